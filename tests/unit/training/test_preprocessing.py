"""An augmentation mirrors the steel or changes brightness or contrast; none can hide a defect."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from steel_training.training.preprocessing import AUGMENTATIONS, augment, resize

MIRRORS = ("identity", "left_right", "up_down", "half_turn")
LAMPS = ("darker", "brighter")
CONTRASTS = ("softer", "harder")
BATCHES = hnp.arrays(
    np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.just(3))
).map(lambda batch: batch.astype(np.float32))  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(BATCHES)
def test_mirroring_only_moves_pixels(batch):
    for name in MIRRORS:
        moved = np.asarray(augment(batch, name))
        for before, after in zip(batch, moved, strict=True):
            pixels = [sorted(map(tuple, image.reshape(-1, 3))) for image in (before, after)]
            assert pixels[0] == pixels[1]
        assert np.array_equal(np.asarray(augment(moved, name)), batch), "done twice it is undone"


@settings(max_examples=60, deadline=None)
@given(BATCHES)
def test_brightness_change_keeps_relative_contrast(batch):
    """One factor a patch: two grey values that differ before still differ, also next to white."""
    for name in LAMPS:
        lit = np.asarray(augment(batch, name))
        assert lit.shape == batch.shape
        assert lit.min() >= 0
        assert lit.max() <= 255 + 1e-3
        for before, after in zip(batch, lit, strict=True):
            factor = after.max() / before.max() if before.max() else 1.0
            assert 0.84 < factor < 1.16
            assert np.allclose(after, before * factor, atol=1e-2)


@settings(max_examples=60, deadline=None)
@given(BATCHES)
def test_contrast_change_scales_around_the_mean(batch):
    """Nothing is cut off at black or white, and what was darker than something else still is."""
    for name, change in zip(CONTRASTS, (0.85, 1.15), strict=True):
        lit = np.asarray(augment(batch, name))
        assert lit.min() >= -1e-3
        assert lit.max() <= 255 + 1e-3
        for before, after in zip(batch, lit, strict=True):
            mean = before.mean(dtype=np.float64)
            spread = before.std()
            factor = after.std() / spread if spread > 1e-3 else 1.0
            assert min(change, 1.0) - 1e-3 <= factor <= max(change, 1.0) + 1e-3
            assert np.allclose(after, mean + (before - mean) * factor, atol=0.05)


def test_augmentations_match_the_configuration():
    from steel_training.config import TrainingConfig

    most = next(limit.le for limit in TrainingConfig.model_fields["views"].metadata if hasattr(limit, "le"))
    assert len(set(AUGMENTATIONS)) == len(AUGMENTATIONS) == most


def test_resizing_keeps_range_and_mean():
    batch = np.random.default_rng(3).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    small = np.asarray(resize(batch, 32))
    assert small.dtype == np.float32
    assert small.shape == (2, 32, 32, 3)
    assert small.min() >= 0
    assert small.max() <= 255
    assert abs(small.mean() - batch.mean()) < 1.0
    assert np.allclose(np.asarray(resize(batch, 64)), batch)
