"""The common area of two patches is the same pixels on both."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from steel_training.data.matching.overlap import overlap

sides = st.tuples(st.integers(1, 9), st.integers(1, 9))


@given(first=sides, second=sides, y=st.integers(-12, 12), x=st.integers(-12, 12))
def test_overlap_holds_the_same_places_on_both(first: tuple[int, int], second: tuple[int, int], y: int, x: int) -> None:
    rows, columns = np.mgrid[:40, :40]
    places = 40 * rows + columns
    here, there = overlap(first, second, (y, x))
    ours = places[12 + y : 12 + y + first[0], 12 + x : 12 + x + first[1]]
    theirs = places[12 : 12 + second[0], 12 : 12 + second[1]]
    assert np.array_equal(ours[here], theirs[there])
    assert set(ours[here].ravel()) == set(ours.ravel()) & set(theirs.ravel())
