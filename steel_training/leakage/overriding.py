"""Overriding an alarm, by its name and by nothing else: what may be allowed, and what an alarm that was allowed says of itself.

A person who knows why the data look as they do may let the run go on. The alarm stays an alarm: it stands first among the
reasons of the verdict, and in the model card of every version that came of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from steel_training.leakage.probe import Probe
from steel_training.verdict import ALLOWED, Reason


def override(probes: Sequence[Probe], allow: Collection[str]) -> list[Probe]:
    """Returns the probes in order; an alarm whose code is in `allow` is marked and blocks no more."""
    return [replace(probe, allowed=True) if probe.blocks and probe.code in allow else probe for probe in probes]


def allowed_reasons(probes: Iterable[Mapping[str, Any]]) -> tuple[Reason, ...]:
    """Returns what a verdict says of the alarms that were allowed.

    Args:
        probes: as `Probe.as_dict` gives them; those of stores from before there was `allowed` have none.
    """
    return tuple(Reason(str(each["code"]), f"{ALLOWED}{each['message']}") for each in probes if each.get("allowed"))
