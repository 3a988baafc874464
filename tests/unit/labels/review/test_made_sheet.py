"""A run keeps its suspects and as many others as a blind review may draw, and no more."""

from __future__ import annotations

import numpy as np
import pytest

from steel_training.labels.review import made_sheet
from steel_training.labels.review.made_sheet import commonest_size, kept_for_review
from steel_training.labels.review.sheet import SheetPatch

PATCHES = [SheetPatch(f"p{n}", f"{n}.png", 0, suspect=n < 30) for n in range(200)]


def test_a_run_keeps_suspects_and_random_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made_sheet, "MOST_SUSPECTS", 20)
    monkeypatch.setattr(made_sheet, "CONTROLS", 10)
    kept = kept_for_review(PATCHES, 1)
    assert [patch for patch in kept if patch.suspect] == PATCHES[:20]
    assert len(kept) == 30
    assert kept == kept_for_review(PATCHES, 1) != kept_for_review(PATCHES, 2)


def test_the_commonest_size_is_that_of_most() -> None:
    assert commonest_size(np.array([64, 64, 48]), np.array([32, 32, 32])) == (64, 32)
