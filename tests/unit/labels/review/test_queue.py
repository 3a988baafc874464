"""Worst first without the test split; blind in an order that says nothing."""

from __future__ import annotations

from dataclasses import replace

from steel_training.labels.review.queue import blind, worst_first
from steel_training.labels.review.sheet import SheetPatch

PATCHES = [
    SheetPatch(f"p{n}", f"{n}.png", n % 2, split="test" if n % 5 == 4 else "train", suspect=n < 8) for n in range(40)
]


def ids(patches: list[SheetPatch]) -> list[str]:
    return [patch.patch_id for patch in patches]


def test_suspects_come_worst_first_without_the_test_split() -> None:
    assert ids(worst_first(PATCHES)) == ["p0", "p1", "p2", "p3", "p5", "p6", "p7"]
    assert ids(worst_first(PATCHES, first=3)) == ["p0", "p1", "p2"]
    assert len(worst_first(PATCHES, first=1000)) == 32


def test_a_blind_queue_mixes_suspects_and_controls() -> None:
    found = ids(blind(PATCHES, controls=10, seed=1))
    assert len(found) == len(set(found)) == 18
    assert {f"p{n}" for n in range(8)} <= set(found)
    assert set(found[:8]) != {f"p{n}" for n in range(8)}
    assert found == ids(blind(PATCHES, controls=10, seed=1))
    assert found != ids(blind(PATCHES, controls=10, seed=2))


def test_more_controls_than_patches_takes_all() -> None:
    assert sorted(ids(blind(PATCHES, controls=10_000, seed=0))) == sorted(ids(PATCHES))


def test_suspects_are_spread_evenly_over_a_blind_order() -> None:
    places = [ids(blind(PATCHES, controls=32, seed=seed)).index("p0") for seed in range(400)]
    assert abs(sum(places) / len(places) - 19.5) < 2


def test_labels_do_not_change_a_blind_order() -> None:
    turned = [replace(patch, label=1 - patch.label, score=0.9) for patch in PATCHES]
    assert ids(blind(turned, controls=20, seed=3)) == ids(blind(PATCHES, controls=20, seed=3))
