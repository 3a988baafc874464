from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steel_training.ingest.tiling import IGNORED, CutRule, CutRuleInvalid, SizesDiffer, SourceImageTooSmall, cut


def marked(pixels: int, value: int = 1) -> np.ndarray:
    """A mask of one 64-pixel patch with so many defect pixels."""
    mask = np.zeros(64 * 64, dtype=np.uint8)
    mask[:pixels] = value
    return mask.reshape(64, 64)


@pytest.mark.parametrize(
    ("defect_pixels", "label"),
    [(0, 0), (1, None), (81, None), (82, 1), (4096, 1)],
)
def test_label_thresholds_of_the_default_rule(defect_pixels, label) -> None:
    (piece,) = cut(np.zeros((64, 64), np.uint8), marked(defect_pixels), CutRule())
    assert piece.label == label


@pytest.mark.parametrize(
    ("patch", "defect_pixels", "label"),
    [
        (256, 49, None),
        (256, 50, 1),  # 50 pixels are less than 0.1 % of 65,536
        (128, 16, None),
        (128, 17, 1),  # 0.1 % of 16,384 is less than 50 pixels
    ],
)
def test_defective_by_pixels_or_share_whichever_is_less(patch, defect_pixels, label) -> None:
    assert CutRule(patch=patch, defective_min=0.001, defective_pixels=50).label(defect_pixels) == label


def test_grid_starts_top_left_with_patch_positions() -> None:
    photograph = np.arange(100 * 140, dtype=np.uint32).reshape(100, 140).astype(np.uint8)
    pieces = list(cut(photograph, np.zeros((100, 140), np.uint8), CutRule(patch=32, stride=32, cover_edges=False)))
    assert [(piece.x, piece.y) for piece in pieces] == [(x, y) for y in (0, 32, 64) for x in (0, 32, 64, 96)]
    for piece in pieces:
        np.testing.assert_array_equal(piece.pixels, photograph[piece.y : piece.y + 32, piece.x : piece.x + 32])


@given(
    height=st.integers(8, 60),
    width=st.integers(8, 60),
    patch=st.integers(8, 30),
    stride=st.integers(1, 40),
    seed=st.integers(0, 9),
)
def test_labels_agree_with_mask_and_patches_stay_inside(height, width, patch, stride, seed) -> None:
    rule = CutRule(patch=patch, stride=stride, clean_max=0.02, defective_min=0.1, cover_edges=False)
    mask = (np.random.default_rng(seed).random((height, width)) < 0.06).astype(np.uint8)
    if min(height, width) < patch:
        with pytest.raises(SourceImageTooSmall):
            list(cut(mask, mask, rule))
        return
    pieces = list(cut(mask, mask, rule))
    assert len(pieces) == ((height - patch) // stride + 1) * ((width - patch) // stride + 1)
    for piece in pieces:
        assert piece.pixels.shape == (patch, patch)
        share = piece.pixels.mean()
        assert piece.label == (1 if share >= 0.1 else 0 if share <= 0.02 else None)


@given(height=st.integers(8, 60), width=st.integers(8, 60), patch=st.integers(8, 30), overlap=st.integers(0, 29))
def test_patches_at_the_edges_leave_no_pixel_out(height, width, patch, overlap) -> None:
    rule = CutRule(patch=patch, stride=max(patch - overlap, 1))
    if min(height, width) < patch:
        return
    covered = np.zeros((height, width), int)
    pieces = list(cut(covered.astype(np.uint8), covered, rule))
    for piece in pieces:
        assert piece.pixels.shape == (patch, patch)
        covered[piece.y : piece.y + patch, piece.x : piece.x + patch] += 1
    assert covered.min() >= 1
    assert len({(piece.x, piece.y) for piece in pieces}) == len(pieces)


def test_pixels_that_nobody_judged_make_no_clean_patch() -> None:
    mask = marked(82).astype(np.int32)
    mask[-1, :10] = IGNORED
    (piece,) = cut(np.zeros((64, 64), np.uint8), mask, CutRule())
    assert (piece.label, piece.ignored) == (1, False)
    mask[mask > 0] = 0
    (piece,) = cut(np.zeros((64, 64), np.uint8), mask, CutRule())
    assert (piece.label, piece.ignored, piece.defect_class) == (None, True, 0)


def test_the_defect_class_is_the_one_that_covers_most() -> None:
    mask = marked(200, value=2)
    mask[-1, :60] = 3
    (piece,) = cut(np.zeros((64, 64), np.uint8), mask, CutRule())
    assert piece.defect_class == 2


def test_a_mask_of_another_size_is_refused_with_both_sizes() -> None:
    with pytest.raises(SizesDiffer, match=r"200×100 .* 199×100"):
        list(cut(np.zeros((100, 200), np.uint8), np.zeros((100, 199), np.uint8), CutRule()))


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ({"patch": 4}, "4 pixels"),
        ({"stride": 0}, "stride is 0"),
        ({"clean_max": 1.0}, "clean patch is 1.0"),
        ({"clean_max": float("nan")}, "nan"),
        ({"defective_min": 0.0}, "defective patch is 0.0"),
        ({"defective_pixels": 0}, "from 0 pixels"),
        ({"clean_max": 0.05, "defective_min": 0.02}, "overlap"),
        ({"clean_max": 0.01, "defective_pixels": 3}, "overlap"),
    ],
)
def test_rules_that_make_no_sense_are_refused(numbers, told) -> None:
    with pytest.raises(CutRuleInvalid, match=told):
        CutRule(**numbers)
