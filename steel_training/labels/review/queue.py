"""Which patches a reviewer gets, and in which order."""

from __future__ import annotations

import random
from collections.abc import Sequence

from steel_training.labels.review.sheet import SheetPatch

TEST = "test"
"""`data.splits.TEST`, which this module cannot import: Airflow's API server has no pandas."""


def suspects_of(patches: Sequence[SheetPatch], first: int | None) -> list[SheetPatch]:
    """Return the worst `first` patches, worst first; without a number, those that the audit suspects."""
    return [patch for patch in patches if patch.suspect] if first is None else list(patches[:first])


def worst_first(patches: Sequence[SheetPatch], *, first: int | None = None) -> list[SheetPatch]:
    """Return the patches to review with label and score in view, worst first.

    Patches of the test split are left out: answers about them count only if they are blind (`labels.corrections`).

    Args:
        patches: worst first.
        first: how many; `None`: those that the audit suspects.
    """
    return suspects_of([patch for patch in patches if patch.split != TEST], first)


def blind(patches: Sequence[SheetPatch], *, controls: int, seed: int, first: int | None = None) -> list[SheetPatch]:
    """Return suspects and randomly drawn other patches in a random order, which says nothing about either.

    Args:
        patches: worst first.
        controls: how many others; all of them if there are fewer.
        seed: of drawing and order.
        first: how many of the worst patches count as suspects; `None`: those that the audit suspects.
    """
    suspects = suspects_of(patches, first)
    taken = {patch.patch_id for patch in suspects}
    others = [patch for patch in patches if patch.patch_id not in taken]
    drawing = random.Random(seed)  # noqa: S311 - an order, no secret
    chosen = suspects + drawing.sample(others, min(controls, len(others)))
    drawing.shuffle(chosen)
    return chosen
