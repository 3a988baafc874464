"""Agreement on blind answers: metrics of hand-counted tables, intervals by group, and what does not count."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from steel_training.labels.agreement import agreements, blind_decisions
from steel_training.labels.answers import Answer, Said


def answers(by: str, said: dict[str, str], *, blind: bool = True) -> list[Answer]:
    at = "2026-01-02T10:00:00+00:00"
    return [Answer("d", "f", patch, Said(each), by, at, 1.0, blind) for patch, each in said.items()]


def words(labels: np.ndarray) -> dict[str, str]:
    return {f"p{n}": ("clean", "defective")[label] for n, label in enumerate(labels)}


def test_metrics_are_those_of_the_counted_table() -> None:
    # The reviewer calls 20 defective, of which the label misses 5, and 80 clean, of which the label calls 8 defective.
    reviewer = np.repeat([1, 0], [20, 80])
    label = np.r_[np.repeat([0, 1], [5, 15]), np.repeat([1, 0], [8, 72])]
    patches = [f"p{n}" for n in range(100)]
    groups = dict(zip(patches, (f"g{n % 10}" for n in range(100)), strict=True))
    (found,) = agreements(answers("Ada", words(reviewer)), dict(zip(patches, label, strict=True)), groups)
    assert (found.assessor, found.reference, found.patches) == ("label", "Ada", 100)
    assert found.agreement.value == pytest.approx(0.87)
    assert found.miss_rate.value == pytest.approx(0.25)
    assert found.false_alarm_rate.value == pytest.approx(0.1)
    assert found.kappa.value == pytest.approx(cohen_kappa_score(label, reviewer))
    for each in (found.agreement, found.kappa, found.miss_rate, found.false_alarm_rate):
        assert each.low < each.value < each.high


def test_every_assessor_meets_every_reviewer() -> None:
    random = np.random.default_rng(0)
    given = [each for name in ("Bo", "Ada", "Cy") for each in answers(name, words(random.integers(0, 2, 30)))]
    labels = {f"p{n}": n % 2 for n in range(30)}
    found = agreements(given, labels, {name: name for name in labels}, model=labels)
    assert [(each.assessor, each.reference) for each in found] == [
        *(("label", name) for name in ("Ada", "Bo", "Cy")),
        *(("model", name) for name in ("Ada", "Bo", "Cy")),
        *(("Ada", "Bo"), ("Ada", "Cy"), ("Bo", "Cy")),
    ]
    assert found[0].agreement == found[3].agreement


def test_errors_within_one_group_widen_the_interval() -> None:
    reviewer = np.tile([0, 1], 100)
    label = np.where(np.arange(200) < 20, 1 - reviewer, reviewer)
    patches = [f"p{n}" for n in range(200)]
    widths = []
    for size in (1, 20):
        groups = {name: str(n // size) for n, name in enumerate(patches)}
        (found,) = agreements(answers("Ada", words(reviewer)), dict(zip(patches, label, strict=True)), groups)
        widths.append(found.agreement.high - found.agreement.low)
    assert widths[1] > 1.5 * widths[0]


def test_only_sure_blind_answers_count() -> None:
    given = [
        *answers("Ada", {"a": "clean", "b": "cannot_tell", "c": "clean", "d": "clean"}),
        *answers("Ada", {"c": "defective", "d": "undo"}),
        *answers("Bo", {"a": "clean"}, blind=False),
    ]
    assert blind_decisions(given) == {"Ada": {"a": 0}}


def test_undefined_metrics_are_null() -> None:
    (found,) = agreements(answers("Ada", {"a": "clean", "b": "clean"}), {"a": 0, "b": 0}, {"a": "g", "b": "h"})
    said = found.as_dict()
    assert said["agreement"] == {"value": 1.0, "low": pytest.approx(0.05**0.5), "high": 1.0}, "two patches show little"
    assert said["miss_rate"] == said["kappa"] == {"value": None, "low": None, "high": None}


def test_no_miss_among_few_defects_is_no_proof() -> None:
    highs = []
    for patches in (40, 400):
        reviewer = (np.arange(patches) % 4 == 0).astype(int)
        names = [f"p{n}" for n in range(patches)]
        groups = {name: f"coil{n // 8}" for n, name in enumerate(names)}
        (found,) = agreements(answers("Ada", words(reviewer)), dict(zip(names, reviewer, strict=True)), groups)
        assert (found.miss_rate.value, found.miss_rate.low) == (0, 0)
        assert (found.agreement.value, found.agreement.high, found.kappa.value, found.kappa.high) == (1, 1, 1, 1)
        assert found.kappa.low < found.agreement.low < 1
        highs.append(found.miss_rate.high)
    # Exact bounds at 95 % for none of 10 are 0.26, and for none of 100 0.03; few coils make the first one wider.
    assert highs[0] > 0.26
    assert 0.02 < highs[1] < 0.05
