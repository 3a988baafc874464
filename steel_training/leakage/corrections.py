"""The command that corrects an alarm, if another split can."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from steel_training.data.versions import is_date
from steel_training.leakage.probe import Probe

BY_IDS = frozenset({"leak.group", "leak.coordinates", "data.disjoint_groups"})
BY_STEEL = frozenset(
    {"leak.duplicate", "leak.overlap", "leak.rotation", "leak.near_duplicate", "data.duplicate_content"}
)


def with_fixes(probes: Sequence[Probe], dataset: str) -> list[Probe]:
    """Return the probes in order, with the shell command added to each alarm that another split corrects.

    It is the same command for all of them, since the search for the same steel also groups by ids. If the alarm is about the
    patches themselves, or patches have no source_id, no split helps and no command is given.

    Args:
        probes: results of the probes.
        dataset: URI of the dataset version.
    """
    straddling = [probe.code for probe in probes if _straddles_split(probe)]
    if any(probe.evidence.get("unnamed") for probe in probes):  # refused by `steel-training split`
        return list(probes)
    by = "steel" if BY_STEEL & set(straddling) else "source_id"
    command = shlex.join(["steel-training", "split", dataset, copy_of(dataset), "--group-by", by])
    return [replace(probe, fix=command) if probe.code in straddling else probe for probe in probes]


def copy_of(dataset: str) -> str:
    """Return the URI for the corrected copy of a dataset: beside it, with the same date if it has one.

    Example:
        >>> copy_of("s3://steel/strip/2026-01-05")
        's3://steel/strip-regrouped/2026-01-05'
    """
    above, _, name = dataset.rstrip("/").rpartition("/")
    if is_date(name) and above.rpartition("/")[2]:
        return f"{copy_of(above)}/{name}"
    if above == "s3:/":  # a bucket: the copy cannot be beside it
        return f"s3://{name}/regrouped"
    return f"{above}/{name}-regrouped"


def _straddles_split(probe: Probe) -> bool:
    """Return whether the alarm is about one group in several splits, which another split corrects."""
    if probe.passed or probe.code not in BY_IDS | BY_STEEL:
        return False
    pairs = probe.evidence.get("pairs", ())
    return bool(probe.evidence.get("groups")) or any(len(set(pair["parts"])) > 1 for pair in pairs)
