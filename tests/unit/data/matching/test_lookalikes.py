"""A match of two patches must agree better than either agrees with other steel."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from steel_training.data.matching.lookalikes import Lookalikes

GRAIN = st.floats(-0.9, 0.97)


def test_what_agrees_in_many_images_is_no_copy() -> None:
    """Of one machine, some pairs pass the limits by chance, and others are just below."""
    machine = Lookalikes()
    machine.add(0, 7, grain=0.49)
    assert not machine.are_less_alike(0, 3, grain=0.52)
    assert not machine.are_less_alike(3, 7, grain=0.52), "either of the two"


def test_a_copy_agrees_better_than_other_steel_with_the_same_relief() -> None:
    relief = Lookalikes()
    relief.add(0, 7, grain=0.49)
    assert relief.are_less_alike(0, 3, grain=0.9)


@given(grain=GRAIN, others=st.lists(st.tuples(st.integers(2, 9), st.integers(10, 19), GRAIN)))
def test_other_patches_do_not_matter(grain: float, others: list[tuple[int, int, float]]) -> None:
    lookalikes = Lookalikes()
    for first, second, alike in others:
        lookalikes.add(first, second, alike)
    assert lookalikes.are_less_alike(0, 1, grain)


@given(grain=GRAIN, seen=st.lists(GRAIN, min_size=1))
def test_order_and_repetition_do_not_matter(grain: float, seen: list[float]) -> None:
    """Only the closest counts."""
    whole, closest = Lookalikes(), Lookalikes()
    for each in seen:
        whole.add(0, 7, each)
    closest.add(0, 7, max(seen))
    assert whole.are_less_alike(0, 1, grain) == closest.are_less_alike(1, 0, grain)
