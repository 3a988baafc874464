"""Labels of two runs: compared where a patch has the same id and the same pixels, and nowhere else."""

from __future__ import annotations

import pandas as pd

from steel_training.evaluation.label_difference import LabelDifference, label_difference

OURS = pd.DataFrame(
    [
        ("a", "h1", 1, "test"), ("b", "h2", 0, "test"), ("c", "h3", 1, "train"), ("d", "h4", 1, "test"),
        ("e", "other pixels", 1, "test"), ("f", None, 1, "val"), ("new", "h7", 0, "val"),
    ],
    columns=["patch_id", "pixel_hash", "label", "part"],
)  # fmt: skip
THEIRS = pd.DataFrame(
    [
        ("d", "h4", 1, "val"), ("c", "h3", 0, "test"), ("b", "h2", 1, "train"), ("a", "h1", 0, "train"),
        ("e", "h5", 0, "test"), ("f", None, 0, "val"), ("gone", "h7", 1, "val"),
    ],
    columns=["patch_id", "pixel_hash", "label", "part"],
)  # fmt: skip


def test_only_the_same_patches_are_compared() -> None:
    found = label_difference("v1", OURS, THEIRS, tested="test")
    assert found == LabelDifference("v1", common=4, to_defective=2, to_clean=1, in_test=2)
    assert found.sentence == (
        "3 of 4 labels differ from those of champion v1 (patches of the same id and pixels): 2 now defective, 1 now clean, and 2 of them "
        "in the test split. Champion and challenger are judged by the labels of this run."
    )


def test_what_cannot_be_compared_is_said() -> None:
    assert label_difference("v1", OURS, OURS, tested="test").sentence.startswith("None of 6 labels differs")
    strangers = label_difference("v1", OURS, THEIRS.assign(patch_id="x"), tested="test")
    assert strangers.sentence == "No patch of this run was in the data of champion v1, so that no label can differ."
    unknown = LabelDifference("v1", problem="its run is gone.")
    assert unknown.sentence == "How many labels differ from those of champion v1 is not known: its run is gone."
    assert LabelDifference.from_dict(unknown.as_dict()) == unknown
