"""Sections on the data and on the run itself: profile, drift, validation, probes, training, time, lineage."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from steel_training.data.splits import SPLITS
from steel_training.report import charts, leakage_sections
from steel_training.report.blocks import Block, Code, Details, Figures, Link, Section, Table, Text
from steel_training.report.formatting import number
from steel_training.report.record import RunRecord

_TRAININGS = (("check_baseline", "Baseline CNN"), ("train_head", "Head"), ("fine_tune", "Fine-tuning"))
_UNITS = {"brightness": "grey value", "contrast": "grey value", "sharpness": "variance of the Laplacian"}
_SIZES_SHOWN = 10


def training(record: RunRecord) -> list[Section]:
    """Curves of every training, the kept epoch marked."""
    blocks: list[Block] = []
    weights = record.outputs("train_head").get("weights")
    if weights:
        blocks.append(Text(f"The backbone started from: {weights['detail']}."))
        if weights["random"]:
            blocks.append(
                Text("The weights were random. Such a model is not expected to pass: set model.weights.", "warn")
            )
    for stage, name in _TRAININGS:
        outputs = record.outputs(stage)
        if outputs.get("history"):
            blocks.append(Figures(charts.history(name, outputs["history"], int(outputs.get("best_epoch") or 0))))
    return [Section("training", "Training", blocks)] if blocks else []


def data(record: RunRecord) -> list[Section]:
    """Parts and classes, how the patches look by part, and how they differ from the champion's."""
    resolved = record.outputs("resolve_dataset")
    if not resolved:
        return []
    rows = [
        (part, f"{p['clean']:,}", f"{p['defective']:,}", f"{p['groups']:,}")
        for part in SPLITS
        if (p := resolved.get("parts", {}).get(part))
    ]
    blocks: list[Block] = [Table("Patches by part", ("Part", "Clean", "Defective", "Groups"), rows)]
    if resolved.get("split_problem"):
        blocks.insert(0, Text(str(resolved["split_problem"]), "bad"))
    profile = record.profile
    if profile is not None and len(profile):
        known = [name for name in _UNITS if name in profile and profile[name].notna().any()]
        if "part" in profile and known:
            blocks.append(Figures([charts.by_part(profile, name, unit=_UNITS[name]) for name in known]))
        blocks += _sizes(profile)
    return [Section("data", "Data", [*blocks, *_drift(record.outputs("validate_patches").get("drift"))])]


def validation(
    outputs: Mapping[str, Any], pairs: leakage_sections.Evidence = (), said: Collection[str] = ()
) -> list[Section]:
    """What every expectation found: what is torn apart by the split with its patches, then those not met.

    Args:
        outputs: of the stage `validate_patches`.
        pairs: of patches, each with the code of what it is evidence of.
        said: codes whose message stands at the head of the report.
    """
    found = outputs.get("expectations")
    if not found:
        return []
    state = {True: "✓ met", None: "– not judged"}
    ordered = sorted(found, key=lambda e: (e["success"] is True, e["severity"] != "critical"))
    rows = [
        (
            e["code"],
            state.get(e["success"], f"✗ {e['severity']}"),
            e.get("message") or e["title"],
            ", ".join(e.get("examples", ())[:3]),
        )
        for e in ordered
    ]
    head = ("Expectation", "", "Found", "Patches")
    failed = [row for row, e in zip(rows, ordered, strict=True) if e["success"] is not True]
    blocks: list[Block] = leakage_sections.raised(outputs.get("probes", ()), pairs, said)
    if failed:
        blocks.append(Table("Not met", head, failed, numeric=False))
    met = rows[len(failed) :]
    blocks.append(Details(f"{len(met)} expectations are met", [Table("", head, met, numeric=False)]))
    if outputs.get("data_docs"):
        blocks.append(Link(f"validate_patches/{outputs['data_docs']}", "Data Docs of Great Expectations"))
    return [Section("validation", "Data validation", blocks)]


def time(record: RunRecord) -> list[Section]:
    """How long every stage took."""
    rows = [(stage, float(result.seconds)) for stage, result in record.results.items()]
    return [Section("time", "Time", [Figures([charts.seconds(rows)])])] if rows else []


def lineage(record: RunRecord) -> list[Section]:
    """What the run was made from, and how to do it again."""
    resolved = record.outputs("resolve_dataset")
    if not resolved:
        return []
    config = resolved.get("config", {})
    rows = [
        ("Run", record.run_id),
        ("Version", record.version or "none published"),
        ("Dataset", str(resolved.get("dataset", "unknown"))),
        ("Dataset version", str(resolved.get("version") or "undated")),
        ("Fingerprint", str(resolved.get("fingerprint", "unknown"))),
        ("Seed of the split", str(config.get("data", {}).get("seed", "unknown"))),
        ("Code", str(resolved.get("code", "unknown"))),
        (
            "Backbone weights",
            str((record.outputs("train_head").get("weights") or {}).get("detail", "nothing was trained")),
        ),
    ]
    blocks: list[Block] = [Table("", ("", ""), rows, numeric=False)]
    if record.reproduce:
        blocks += [Text("To do this run again:"), Code(record.reproduce)]
    packages = resolved.get("packages") or {}
    if packages:
        blocks.append(Details("Packages", [Table("", ("Package", "Version"), list(packages.items()), numeric=False)]))
    blocks.append(Details("Configuration", [Code(json.dumps(config, indent=2))]))
    return [Section("lineage", "Lineage", blocks)]


def _sizes(profile: pd.DataFrame) -> list[Block]:
    if not {"width", "height"} <= set(profile):
        return []
    kind = profile["width"].astype("string") + "×" + profile["height"].astype("string")
    for column in ("mode", "format"):
        if column in profile:
            kind = kind + " " + profile[column].astype("string")
    counts = kind.fillna("unreadable").value_counts()
    rows = [(str(name), f"{int(count):,}") for name, count in counts.head(_SIZES_SHOWN).items()]
    return [Table("Sizes and formats", ("Pixels, mode, format", "Patches"), rows)]


def _drift(drift: Mapping[str, Any] | None) -> list[Block]:
    if drift is None:
        return []
    if not drift["properties"]:
        return [Text(f"Drift: {drift['note']}.")]
    signs = {"stable": "✓ stable", "shifted": "△ shifted", "drifted": "✗ drifted"}
    found = sorted(drift["properties"], key=lambda p: (p["reading"] == "stable", -p["psi"]))
    rows = [(p["name"], p["part"], number(p["psi"], 3), _chance(p["chance"]), signs[p["reading"]]) for p in found]
    head = ("Property", "Part", "Stability index", "By chance, at most", "Reading (0.1 / 0.25)")
    table = f"Drift from the data of champion {drift['champion']}"
    changed = [row for row, p in zip(rows, found, strict=True) if p["reading"] != "stable"]
    blocks: list[Block] = [Table(table, head, changed)] if changed else []
    if len(changed) < len(rows):
        same = f"{len(rows) - len(changed)} comparisons with the data of champion {drift['champion']} are stable"
        blocks.append(Details(same, [Table("", head, rows[len(changed) :])]))
    return blocks


def _chance(limit: float | None) -> str:
    return "too few groups to tell" if limit is None else number(limit, 3)
