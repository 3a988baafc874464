"""The steel that the shipped backbone learns from: what is said of a patch holds, and a step's batch is its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

PRETRAINING = Path(__file__).resolve().parents[3] / "pretraining"


@pytest.fixture(autouse=True)
def _pretraining_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PRETRAINING))


def test_patch_labels_agree_with_cell_labels() -> None:
    from kinds import KINDS
    from surfaces import GRID, PATCHES_PER_STRIP, patches_of_strip

    seen = np.zeros(len(KINDS))
    for seed in range(8):
        strip = patches_of_strip(np.random.default_rng(seed), 64)
        assert strip.pixels.shape == (PATCHES_PER_STRIP, 64, 64)
        assert strip.pixels.dtype == np.uint8
        assert strip.where.shape == (PATCHES_PER_STRIP, GRID, GRID, len(KINDS))
        clean = strip.kinds == 0
        assert (strip.where.transpose(0, 3, 1, 2)[clean] == 0).all(), "a cell has a defect that its patch has not"
        assert (strip.pixels.std((1, 2)) > 0).all(), "a patch of one single grey shows nothing"
        seen += (strip.kinds == 1).sum(0)
    assert (seen > 0).sum() >= len(KINDS) // 2


def test_defect_changes_the_image_at_its_mask() -> None:
    from kinds import KINDS

    for name, draw in KINDS:
        stronger = []
        for seed in range(12):
            defect = draw(np.random.default_rng(seed), (224, 224), 0.05)
            if defect.mask.any() and not defect.mask.all():
                change = np.abs(defect.change)
                stronger.append(change[defect.mask].mean() > 3 * change[~defect.mask].mean())
        assert stronger, f"{name} is never in the picture"
        assert np.mean(stronger) > 0.8, f"the mask of {name} is not where its change is"


def test_batch_depends_only_on_its_number() -> None:
    from train_backbone import batch_of

    early, again, later = batch_of(7, seed=1), batch_of(7, seed=1), batch_of(8, seed=1)
    for one, two in zip(early, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert (early[0] != later[0]).any()
