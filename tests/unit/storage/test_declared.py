"""A record's value of another type than declared is told with its place, what it is, and what was expected."""

from __future__ import annotations

from typing import Literal

import pytest

from steel_training.storage.declared import Declared, type_problem


class Weighed(Declared):
    kind: Literal["weighed"]
    grams: float


class Counted(Declared):
    kind: Literal["counted"]
    pieces: int


class Shown(Declared):
    name: str
    lots: list[Weighed | Counted]
    sure: bool | None = None


WHOLE = {"name": "coil", "lots": [{"kind": "weighed", "grams": 5}, {"kind": "counted", "pieces": 2}], "more": object()}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, None),
        ({"sure": None}, None),
        ({"name": None}, "name is None; expected text"),
        ({"name": 5}, "name is 5; expected text"),
        ({"sure": 1}, "sure is 1; expected true or false"),
        ({"lots": {}}, "lots is {}; expected a list"),
        ({"lots": [5]}, "lots[0] is 5; expected an object"),
        ({"lots": [{"kind": "weighed", "grams": True}]}, "lots[0].grams is True; expected a number"),
        ({"lots": [{"kind": "weighed", "grams": float("nan")}]}, "lots[0].grams is nan; expected a finite number"),
        ({"name": "x" * 5}, None),
        ({"name": ["x" * 500]}, f"name is ['{'x' * 78}; expected text"),
    ],
)
def test_the_first_of_another_type_is_told(changed: dict[str, object], told: str | None) -> None:
    assert type_problem(Shown, {**WHOLE, **changed}) == told


@pytest.mark.parametrize("values", [None, 5, "text", [], [("name", "coil")]])
def test_what_is_no_object_is_told(values: object) -> None:
    assert type_problem(Shown, values) == f"it is {values!r}; expected an object"


def test_what_is_missing_is_told_unless_it_may_be() -> None:
    assert type_problem(Shown, {"name": "coil"}) == "lots is missing"
    assert type_problem(Shown, {"name": "coil"}, may_lack=True) is None
    assert type_problem(Shown, {"lots": 5}, may_lack=True) == "lots is 5; expected a list"
