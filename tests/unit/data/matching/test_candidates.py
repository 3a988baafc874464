"""Patches with matching keys at two places are candidates, among any number of others; other patches are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steel_training.data.matching.candidates import NEAR, WIDE, Candidates, Reach, candidates
from steel_training.data.matching.keypoints import BITS, BLOB, KEYPOINT, WINDOW

BLOBS = 24
SHIFT = (14, -6)
"""Half pixels."""


def flipped(keys: np.ndarray, bits: int, random: np.random.Generator) -> np.ndarray:
    """Flip `bits` random bits of each key."""
    masks = [sum(1 << int(bit) for bit in random.choice(BITS, bits, replace=False)) for _ in keys]
    return keys ^ np.array(masks, np.uint64)


def pair_among(
    others: int,
    *,
    bits: int,
    kind: int = BLOB,
    parts: tuple[int, int] = (0, 1),
    seed: int = 0,
    reach: Reach = NEAR,
) -> Candidates:
    """Search for two patches whose keys differ in `bits` bits, among others whose keys share a prefix, as on similar steel."""
    random = np.random.default_rng(seed)
    patches = others + 2
    keypoints = np.zeros((patches, BLOBS), KEYPOINT)
    keypoints["kind"] = kind
    keypoints["key"] = random.integers(0, 2**56, (patches, BLOBS), dtype=np.uint64)
    keypoints["y"], keypoints["x"] = random.integers(20, 100, (2, patches, BLOBS))
    keypoints["key"][-1] = flipped(keypoints["key"][0], bits, random)
    keypoints["y"][-1], keypoints["x"][-1] = keypoints["y"][0] + SHIFT[0], keypoints["x"][0] + SHIFT[1]
    split = random.integers(0, 3, patches)
    split[[0, -1]] = parts
    return candidates(keypoints.ravel(), np.repeat(np.arange(patches), BLOBS), split, reach)


def test_finds_near_equal_keys_among_thousands() -> None:
    for bits in range(6):
        found = pair_among(5_000, bits=bits)
        assert (int(found.first[0]), int(found.second[0])) == (0, 5_001)
        assert tuple(found.shift[0]) == SHIFT
        assert found.places[0] >= BLOBS // 3


@settings(max_examples=20, deadline=None)
@given(others=st.integers(0, 300), bits=st.integers(0, 4), seed=st.integers(0, 1000))
def test_unrelated_patches_are_never_candidates(others: int, bits: int, seed: int) -> None:
    found = pair_among(others, bits=bits, seed=seed)
    assert list(zip(found.first, found.second, strict=True)) == [(0, others + 1)]


@pytest.mark.parametrize(("bits", "kind"), [(12, BLOB), (1, WINDOW)])
def test_keys_that_differ_too_much_do_not_match(bits: int, kind: int) -> None:
    assert len(pair_among(50, bits=bits, kind=kind)) == 0


def test_wider_reach_matches_more_different_keys() -> None:
    assert len(pair_among(50, bits=8)) == 0
    assert len(pair_among(50, bits=8, reach=WIDE)) == 1


def test_pairs_within_one_split_are_ignored() -> None:
    assert len(pair_among(50, bits=0)) == 1
    assert len(pair_among(50, bits=0, parts=(1, 1))) == 0


def test_no_keypoints_give_no_candidates() -> None:
    assert len(candidates(np.empty(0, KEYPOINT), np.empty(0, int), np.zeros(3, int))) == 0
