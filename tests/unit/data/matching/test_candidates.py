"""Two patches with like keys at two places are candidates, among however many others, and unlike keys make none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steel_training.data.matching.candidates import NEAR, WIDE, Candidates, Reach, candidates
from steel_training.data.matching.keypoints import ANCHOR, BITS, BLOCK, SPOT

SPOTS = 24
SHIFT = (14, -6)
"""Half pixels."""


def flipped(keys: np.ndarray, bits: int, random: np.random.Generator) -> np.ndarray:
    """Turns over so many bits of each key, at random."""
    masks = [sum(1 << int(bit) for bit in random.choice(BITS, bits, replace=False)) for _ in keys]
    return keys ^ np.array(masks, np.uint64)


def pair_among(
    others: int,
    *,
    bits: int,
    kind: int = SPOT,
    parts: tuple[int, int] = (0, 1),
    seed: int = 0,
    reach: Reach = NEAR,
) -> Candidates:
    """Looks for two patches whose keys differ in so many bits, among others whose keys all begin alike, as those of like steel do."""
    random = np.random.default_rng(seed)
    patches = others + 2
    anchors = np.zeros((patches, SPOTS), ANCHOR)
    anchors["kind"] = kind
    anchors["key"] = random.integers(0, 2**56, (patches, SPOTS), dtype=np.uint64)
    anchors["y"], anchors["x"] = random.integers(20, 100, (2, patches, SPOTS))
    anchors["key"][-1] = flipped(anchors["key"][0], bits, random)
    anchors["y"][-1], anchors["x"][-1] = anchors["y"][0] + SHIFT[0], anchors["x"][0] + SHIFT[1]
    part = random.integers(0, 3, patches)
    part[[0, -1]] = parts
    return candidates(anchors.ravel(), np.repeat(np.arange(patches), SPOTS), part, reach)


def test_a_pair_is_found_among_thousands_with_keys_that_differ_in_a_few_bits() -> None:
    for bits in range(6):
        found = pair_among(5_000, bits=bits)
        assert (int(found.first[0]), int(found.second[0])) == (0, 5_001)
        assert tuple(found.shift[0]) == SHIFT
        assert found.places[0] >= SPOTS // 3


@settings(max_examples=20, deadline=None)
@given(others=st.integers(0, 300), bits=st.integers(0, 4), seed=st.integers(0, 1000))
def test_unlike_patches_are_no_candidates_whatever_is_among_them(others: int, bits: int, seed: int) -> None:
    found = pair_among(others, bits=bits, seed=seed)
    assert list(zip(found.first, found.second, strict=True)) == [(0, others + 1)]


@pytest.mark.parametrize(("bits", "kind"), [(12, SPOT), (1, BLOCK)])
def test_keys_that_differ_too_much_tell_nothing(bits: int, kind: int) -> None:
    assert len(pair_among(50, bits=bits, kind=kind)) == 0


def test_a_wider_reach_finds_keys_that_differ_more() -> None:
    assert len(pair_among(50, bits=8)) == 0
    assert len(pair_among(50, bits=8, reach=WIDE)) == 1


def test_patches_of_one_part_are_not_looked_for() -> None:
    assert len(pair_among(50, bits=0)) == 1
    assert len(pair_among(50, bits=0, parts=(1, 1))) == 0


def test_no_anchors_make_no_candidates() -> None:
    assert len(candidates(np.empty(0, ANCHOR), np.empty(0, int), np.zeros(3, int))) == 0
