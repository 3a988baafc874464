"""Overriding an alarm, by its reason code only.

A person who knows why the data look as they do may let the run continue. The alarm remains on record: it comes first among
the reasons of the verdict, and in the model card of every version trained in spite of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from steel_training.leakage.probe import Probe, StoredProbe
from steel_training.verdict import ALLOWED, Reason


def override(probes: Sequence[Probe], allow: Collection[str]) -> list[Probe]:
    """Return the probes in order; an alarm whose code is in `allow` is marked as allowed and no longer blocks."""
    return [replace(probe, allowed=True) if probe.blocks and probe.code in allow else probe for probe in probes]


def allowed_reasons(probes: Iterable[StoredProbe]) -> tuple[Reason, ...]:
    """Return the reasons that a verdict lists for the alarms that were allowed.

    Args:
        probes: from `Probe.as_dict`; in older stores they have no `allowed` key.
    """
    return tuple(Reason(str(each["code"]), f"{ALLOWED}{each['message']}") for each in probes if each.get("allowed"))
