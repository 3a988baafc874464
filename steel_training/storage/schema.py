"""Schema version of stored records, so that a later program reads earlier records, and an earlier one refuses later records.

A stage's result, a verdict, the champion pointer and a version's `gate.json` carry it. It is raised when earlier programs would misread a
new record; added fields do not change it. Records without one are older than the number.
"""

from __future__ import annotations

from collections.abc import Mapping

from steel_training.errors import SteelTrainingError

SCHEMA = 1
KEY = "schema"


class WrittenByNewer(SteelTrainingError):
    """A record was written by a later version of this program, whose format may differ."""


def readable(record: object, where: str) -> None:
    """Refuse a record of a later version. What is no JSON object has no number; whoever reads it says what is wrong.

    Args:
        record: as it was read.
        where: what it is, for the message.

    Raises:
        WrittenByNewer: its number is above `SCHEMA`, or not a number.
    """
    found = record.get(KEY, 0) if isinstance(record, Mapping) else 0
    if not isinstance(found, int) or found > SCHEMA:
        raise WrittenByNewer(
            f"{where} was written by a later version of steel-training (schema {found!r}; this one reads up to {SCHEMA}). "
            "Nothing was changed. Bring this installation up to date, on every machine that uses the store."
        )
