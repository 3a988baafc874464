"""Identical patches with both labels: the rarer label is contradicted, and the score decides between two."""

from __future__ import annotations

import numpy as np
import pandas as pd

from steel_training.labels.copies import contradicted_copies


def marked(rows: list[tuple[str | None, int, float]]) -> list[bool]:
    pixels, labels, scores = zip(*rows, strict=True)
    return contradicted_copies(np.array(labels), np.array(scores), pd.Series(pixels)).tolist()


def test_the_rarer_label_is_marked_whatever_its_score() -> None:
    assert marked([("a", 0, 0.9), ("a", 0, 0.9), ("a", 1, 0.9), ("b", 1, 0.2), ("b", 1, 0.2)]) == [
        *(False, False, True),
        *(False, False),
    ]


def test_of_two_copies_the_score_decides() -> None:
    assert marked([("a", 0, 0.9), ("a", 1, 0.8), ("b", 0, 0.1), ("b", 1, 0.2)]) == [True, False, False, True]


def test_patches_without_a_hash_are_no_copies() -> None:
    assert marked([("", 0, 0.9), ("", 1, 0.9), (None, 0, 0.1), (None, 1, 0.1)]) == [False] * 4
