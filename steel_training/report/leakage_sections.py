"""Report section on the baseline check: results of the probes, pairs of patches as evidence, and the command that fixes it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from steel_training.leakage.evidence_images import FOLDER, Shown, read_pair_images
from steel_training.leakage.probe import StoredProbe
from steel_training.report.blocks import (
    Block,
    Code,
    Details,
    Half,
    Heading,
    Link,
    Pairs,
    Section,
    SideBySide,
    Table,
    Text,
)
from steel_training.report.formatting import FOUND, NAMES, is_number, number
from steel_training.report.rendering import render_page
from steel_training.validation.data_docs import link_page

PAGE = "leakage.html"
TITLE = "Evidence: patches side by side"

Evidence = Sequence[tuple[str, SideBySide]]
"""Pairs of patches, each with the code of the alarm that it supports."""


def pairs_in(folder: Path) -> list[tuple[str, SideBySide]]:
    """Return the pairs that a stage wrote to its folder, each with the code of its probe."""
    return [(shown.code, _side_by_side(folder, shown)) for shown in read_pair_images(folder)]


def probes(outputs: Mapping[str, Any], pairs: Evidence = (), explained: Collection[str] = ()) -> list[Section]:
    """Results of every probe of the baseline check; alarms first, each with its evidence.

    Args:
        outputs: of the stage `check_baseline`.
        pairs: of patches, each with the code of its probe.
        explained: codes whose message is shown at the top of the report.
    """
    found = outputs.get("probes")
    if not found:
        return []
    blocks = raised(found, pairs, explained)
    head = ("Probe", "", "Value", "Limit", "")
    rows = [
        (p["code"], _state(p), _number(p.get("statistic")), _number(p.get("threshold")), p["message"])
        for p in sorted(found, key=_urgency)
    ]
    quiet = sum(probe["passed"] for probe in found)
    blocks.append(Details(f"All {len(rows)} probes; {quiet} passed", [Table("", head, rows, numeric=False)]))
    metrics = outputs.get("metrics") or {}
    if metrics:
        values = [(NAMES.get(name, name), number(value)) for name, value in metrics.items()]
        blocks.append(Table("Baseline CNN on the validation split", ("Metric", "Value"), values))
    if outputs.get("data_docs"):
        blocks.append(Link(f"check_baseline/{outputs['data_docs']}", "Data Docs with this evidence"))
    return [Section("probes", "Baseline check", blocks)]


def raised(found: Sequence[StoredProbe], pairs: Evidence, explained: Collection[str] = ()) -> list[Block]:
    """Every alarm and warning, most urgent first, with its evidence and the command that fixes it.

    Args:
        found: probes as `Probe.as_dict` gives them.
        pairs: of patches, each with the code of its probe.
        explained: codes whose message and command are shown elsewhere on the page.
    """
    blocks: list[Block] = []
    for probe in sorted(found, key=_urgency):
        if probe["passed"]:
            continue
        title = FOUND.get(probe["code"], probe["code"])
        blocks.append(Heading(f"{_state(probe)} · {title}"))
        if probe["code"] not in explained:
            blocks.append(Text(f"{probe['code']}: {probe['message']}"))
        its = [pair for code, pair in pairs if code == probe["code"]]
        if its:
            blocks.append(Pairs(its))
        if probe.get("fix") and probe["code"] not in explained:
            blocks += [
                Text("This command writes a corrected copy of the dataset; run on that copy:"),
                Code(probe["fix"]),
            ]
        if probe.get("evidence"):
            written = Code(json.dumps(probe["evidence"], indent=2, default=str))
            blocks.append(Details(f"All evidence for {probe['code']}", [written]))
    return blocks


def add_to_data_docs(site: Path, found: Sequence[StoredProbe], folder: Path) -> str:
    """Add a page with the alarms and their evidence to Data Docs, and a link to it on the index page.

    Args:
        site: the Data Docs, with their `index.html`.
        found: probes as `Probe.as_dict` gives them.
        folder: of the stage, with the pictures.

    Returns:
        Path of the index page, relative to the folder of the stage.
    """
    alarms = [probe for probe in found if not probe["passed"] and probe.get("judged", True)]
    blocks = raised(alarms, pairs_in(folder)) or [Text("No probe raised an alarm.")]
    (site / PAGE).write_text(render_page(TITLE, [Section("evidence", TITLE, blocks)]), encoding="utf-8")
    blocking = sum(map(_blocks, alarms))
    if blocking:
        head = f"■ {blocking} {'alarm blocks' if blocking == 1 else 'alarms block'} this run: compare the patches side by side"
    else:
        head = f"{TITLE} ({len(alarms)} alarms and warnings of the leak probes; none blocks the run)"
    return link_page(site, PAGE, head).relative_to(folder).as_posix()


def _side_by_side(folder: Path, shown: Shown) -> SideBySide:
    frames = shown.frames or (None, None)
    halves = []
    for name, side, frame in zip(shown.files, shown.sides, frames, strict=True):
        badge, also = (side.part, side.label) if shown.told == "part" else (side.label, side.part)
        lines = [line for line in (side.value, also, side.patch_id, f"group {side.group}") if line]
        halves.append(Half((folder / FOLDER / name).read_bytes(), badge, lines, frame))
    return SideBySide(shown.how, halves)


def _blocks(probe: StoredProbe) -> bool:
    return not probe["passed"] and probe.get("decisive", True) and not probe.get("allowed")


def _number(value: object) -> str:
    """Format whole numbers without decimals, others with four."""
    return f"{value:,.0f}" if is_number(value) and float(value).is_integer() else number(value, 4)


def _urgency(probe: StoredProbe) -> int:
    if probe["passed"]:
        return 3
    if not probe.get("judged", True):
        return 2
    return 0 if probe.get("decisive", True) else 1


def _state(probe: StoredProbe) -> str:
    if probe["passed"]:
        return "✓ passed"
    if probe.get("allowed"):
        return "✗ ALARM, allowed by name"
    if not probe.get("judged", True):
        return "– not tested"
    return "✗ ALARM" if probe.get("decisive", True) else "△ warning"
