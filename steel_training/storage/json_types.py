"""Types of JSON values: what a record in a store is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | float | bool | None"
"""A value that JSON can hold, as the program writes it."""
JsonObject: TypeAlias = Mapping[str, Json]
"""A JSON object of which this program writes or passes on the fields, and does not read them."""
