"""The data that the champion was trained on: the summary of its profile in the champion's bundle."""

from __future__ import annotations

import json

import pandas as pd

from steel_training.data import drift
from steel_training.registry import Registry, VersionDamaged, VersionNotFound


def drift_from_champion(registry: Registry, champion: str | None, profile: pd.DataFrame) -> drift.Comparison:
    """Compare a profile with the data of a champion; where that is not possible, the note says why.

    Args:
        registry: of the champion.
        champion: its version; None before the first.
        profile: of this run's patches, with `part` and `group`.
    """
    if champion is None:
        return drift.Comparison(None, "there is no champion to compare with")
    try:
        with registry.bundle(champion) as (_, files):
            theirs = json.loads((files / drift.SUMMARY).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return drift.Comparison(champion, f"champion {champion} has no profile stored")
    except (VersionDamaged, VersionNotFound) as error:
        return drift.Comparison(champion, f"champion {champion} cannot be read: {error}")
    return drift.Comparison(champion, "", tuple(drift.compare(theirs, profile)))
