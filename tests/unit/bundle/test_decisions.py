"""When a LiteRT file is left out, which samples are golden, and what the card says."""

from __future__ import annotations

import numpy as np
import pytest

from steel_training.bundle.card import model_card
from steel_training.bundle.golden import choose_golden
from steel_training.bundle.lite import LiteCheck, balanced, compare
from steel_training.evaluation.corrected_labels import CorrectedLabels, judge_by_both
from steel_training.evaluation.label_difference import LabelDifference


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (LiteCheck("none", 0.0, 0.0, 0.0, 0), None),
        (LiteCheck("none", 0.005, 0.02, 0.05, 0), None),
        (LiteCheck("none", -0.1, 0.0, 0.0, 0), None),
        (LiteCheck("none", 0.006, 0.0, 0.0, 0), "recall"),
        (LiteCheck("none", -0.1, 0.03, 0.0, 0), "specificity"),
        (LiteCheck("none", 0.0, 0.0, 0.06, 0), "0.0600"),
        (LiteCheck("none", 0.0, 0.0, 0.0, 1), "1 golden labels"),
        (LiteCheck("none", float("nan"), 0.0, 0.0, 0), "recall"),
        (LiteCheck("none", 0.0, 0.0, float("nan"), 0), "golden score"),
    ],
)
def test_lite_file_that_predicts_differently_is_left_out(check: LiteCheck, said: str | None) -> None:
    objection = check.objection(0.05)
    assert objection is None if said is None else said in str(objection)


@pytest.mark.parametrize("broken", [np.ones(8), np.zeros(8), np.full(8, np.nan)])
def test_lite_file_predicting_one_class_cannot_pass(broken: np.ndarray) -> None:
    labels, scores = np.array([0, 1] * 4), np.array([0.1, 0.9] * 4)
    check = compare(labels, scores, broken, scores, broken, threshold=0.5, quantisation="none")
    assert check.objection(2.0) is not None


def test_rounding_keeps_the_patch_of_the_threshold() -> None:
    labels, scores = np.array([0, 1] * 4), np.array([0.1, 0.9] * 4)
    check = compare(labels, scores, scores - 2e-6, scores[:2], scores[:2] - 2e-6, threshold=0.9, quantisation="none")
    assert check.recall_drop == 0
    check = compare(labels, scores, scores - 2e-3, scores[:2], scores[:2] - 2e-3, threshold=0.9, quantisation="none")
    assert check.recall_drop == 1


def test_golden_samples_cover_both_classes_and_scores() -> None:
    scores = np.linspace(0, 1, 200)
    labels = (np.arange(200) % 4 == 0).astype(int)
    chosen = choose_golden(labels, scores, 0.4)
    assert len(set(chosen)) == 16
    assert labels[chosen].sum() == 8
    for label in (0, 1):
        away = np.abs(scores - 0.4)
        members = labels == label
        assert away[chosen][labels[chosen] == label].min() == away[members].min()
        assert away[chosen][labels[chosen] == label].max() == away[members].max()


@pytest.mark.parametrize(("defects", "patches"), [(0, 20), (20, 20), (3, 40), (3, 10)])
def test_rare_class_is_filled_up_with_the_other(defects: int, patches: int) -> None:
    labels = (np.arange(patches) < defects).astype(int)
    assert len(set(choose_golden(labels, np.linspace(0, 1, patches), 0.5))) == min(16, patches)


def test_balanced_choice_is_half_defects_within_its_size() -> None:
    labels = (np.arange(1000) % 10 == 0).astype(int)
    assert (labels[balanced(labels, 400)] == 1).sum() == 100
    assert len(balanced(labels, 400)) == 200
    assert len(balanced(labels, 40)) == 40


def card(evaluated: dict[str, object] | None = None, **changed: object) -> str:
    metric = {"value": 0.96, "bound": 0.94}
    left_out = {"included": False, "reason": "recall on validation drops by 2.0 points"}
    content = {
        "version": "v1", "run_id": "r", "dataset": "d", "fingerprint": "f" * 64, "weights": {"detail": "steel"},
        "config": {"model": {"name": "steel-defects", "backbone": "EfficientNetB0"}, "data": {"input_size": 128}},
        "verification": {
            "golden": 16, "max_difference": 1e-6, "corrupt_image": "refused", "odd_size_image": "scored",
            "latency_ms": {"p50": 9.0, "p95": 11.0}, "throughput_per_s": 150.0, "memory_mb": 900.0,
            "lite": {"float": left_out, "int8": left_out},
        },
        **changed,
    }  # fmt: skip
    judged = {
        "counts": {"tp": 96, "fn": 4, "fp": 9, "tn": 291}, "patches": 400, "defects": 100, "groups": 40,
        "metrics": {"recall": metric, "auc": {"value": None, "bound": None}}, "targets": {"recall": 0.95, "f2": None},
        "threshold": {"value": 0.31, "val_recall": 0.97, "val_precision": 0.8, "note": "best F2"},
        **(evaluated or {}),
    }  # fmt: skip
    return model_card(content, judged)


def test_card_says_which_images_the_model_takes() -> None:
    assert "refuses images of another size" not in card()
    verified = {
        "golden": 16,
        "max_difference": 0.0,
        "corrupt_image": "refused",
        "odd_size_image": "refused",
        "patch": [64, 32],
    }
    rest = {"latency_ms": {"p50": 9.0, "p95": 11.0}, "throughput_per_s": 1.0, "memory_mb": 1.0, "lite": {}}
    text = card(verification={**verified, **rest}, grey_range={"low": 200, "high": 3000})
    assert "patches of 64 × 32 pixels (width × height), and refuses images of another size" in text
    assert "map grey 200 to 0 and 3000 to 255" in text


def test_card_has_metrics_speed_and_left_out_files() -> None:
    text = card()
    assert "missed 4 of 100 defects" in text
    assert "| recall | 0.9600 | 0.9400 | 0.9500 |" in text
    assert "`model_int8.tflite` is left out: recall on validation drops by 2.0 points" in text
    assert "9.0 ms per image" in text
    assert "To reproduce it" not in text
    assert "steel-training run d" in card(reproduce="steel-training run d")


def test_card_has_the_metrics_by_the_labels_before_and_after() -> None:
    labels, was = np.array([1, 1, 0, 0]), np.array([1, 0, 0, 0])
    found = judge_by_both(was, labels, np.array([0.9, 0.8, 0.7, 0.1]), 0.5)
    text = card({"corrected_labels": found.as_dict()})
    assert text.index("## Metrics") < text.index("## Labels") < text.index("## Threshold")
    for said in (
        "Blind review corrected 1 label of the test split: 1 from clean to defective, 0 from defective to clean.",
        "| precision | 0.3333 | 0.6667 |",
        "| missed defects | 0 of 1 | 0 of 2 |",
        "| false alarms | 2 of 3 | 1 of 2 |",
    ):
        assert said in text, said
    unknown = card({"corrected_labels": CorrectedLabels(problem="it was edited.").as_dict()})
    assert "are not known: it was edited." in unknown
    assert "labels before |" not in unknown
    assert "## Labels" not in card({"corrected_labels": None, "labels_unlike_champion": None})
    assert "## Labels" not in card()


def test_card_says_how_many_labels_differ_from_the_champions() -> None:
    found = LabelDifference("20261101-old", common=580, to_defective=4, to_clean=8, in_test=5)
    text = card({"labels_unlike_champion": found.as_dict()})
    assert text.index("## Metrics") < text.index("## Labels") < text.index("## Threshold")
    assert found.sentence in text
    assert "12 of 580 labels differ from those of champion 20261101-old" in text
