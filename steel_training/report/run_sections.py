"""Report sections on the data and the run: profile, drift, validation, training, time, lineage."""

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
    """Training curves, with the kept epoch marked."""
    blocks: list[Block] = []
    weights = record.outputs("train_head").get("weights")
    if weights:
        blocks.append(Text(f"Initial backbone weights: {weights['detail']}."))
        if weights["random"]:
            blocks.append(
                Text(
                    "The backbone started from random weights; such a model is not expected to pass. Set model.weights.",
                    "warn",
                )
            )
    for stage, name in _TRAININGS:
        outputs = record.outputs(stage)
        if outputs.get("history"):
            blocks.append(Figures(charts.history(name, outputs["history"], int(outputs.get("best_epoch") or 0))))
    return [Section("training", "Training", blocks)] if blocks else []


def data(record: RunRecord) -> list[Section]:
    """Patches by split and class, their properties by split, and drift from the champion's data."""
    resolved = record.outputs("resolve_dataset")
    if not resolved:
        return []
    rows = [
        (split, f"{p['clean']:,}", f"{p['defective']:,}", f"{p['groups']:,}")
        for split in SPLITS
        if (p := resolved.get("parts", {}).get(split))
    ]
    blocks: list[Block] = [Table("Patches by split", ("Split", "Clean", "Defective", "Groups"), rows)]
    if resolved.get("split_problem"):
        blocks.insert(0, Text(str(resolved["split_problem"]), "bad"))
    profile = record.profile
    if profile is not None and len(profile):
        known = [name for name in _UNITS if name in profile and profile[name].notna().any()]
        if "part" in profile and known:
            blocks.append(Figures([charts.by_split(profile, name, unit=_UNITS[name]) for name in known]))
        blocks += _sizes(profile)
    return [Section("data", "Data", [*blocks, *_drift(record.outputs("validate_patches").get("drift"))])]


def validation(
    outputs: Mapping[str, Any], pairs: leakage_sections.Evidence = (), explained: Collection[str] = ()
) -> list[Section]:
    """Results of the expectations: groups and duplicates across splits with their patches, then expectations not met.

    Args:
        outputs: of the stage `validate_patches`.
        pairs: of patches, each with the code of the alarm that it supports.
        explained: codes whose message is shown at the top of the report.
    """
    found = outputs.get("expectations")
    if not found:
        return []
    state = {True: "✓ met", None: "– not tested"}
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
    head = ("Expectation", "", "Observed", "Patches")
    failed = [row for row, e in zip(rows, ordered, strict=True) if e["success"] is not True]
    blocks: list[Block] = leakage_sections.raised(outputs.get("probes", ()), pairs, explained)
    if failed:
        blocks.append(Table("Not met", head, failed, numeric=False))
    met = rows[len(failed) :]
    blocks.append(Details(f"{len(met)} expectations met", [Table("", head, met, numeric=False)]))
    if outputs.get("data_docs"):
        blocks.append(Link(f"validate_patches/{outputs['data_docs']}", "Data Docs of Great Expectations"))
    return [Section("validation", "Data validation", blocks)]


def time(record: RunRecord) -> list[Section]:
    """Duration of every stage."""
    rows = [(stage, float(result.seconds)) for stage, result in record.results.items()]
    return [Section("time", "Time", [Figures([charts.seconds(rows)])])] if rows else []


def lineage(record: RunRecord) -> list[Section]:
    """Inputs of the run, and the command that repeats it."""
    resolved = record.outputs("resolve_dataset")
    if not resolved:
        return []
    config = resolved.get("config", {})
    rows = [
        ("Run", record.run_id),
        ("Version", record.version or "none published"),
        ("Dataset", str(resolved.get("dataset", "unknown"))),
        ("Dataset version", str(resolved.get("version") or "undated")),
        ("Dataset fingerprint", str(resolved.get("fingerprint", "unknown"))),
        ("Split seed", str(config.get("data", {}).get("seed", "unknown"))),
        ("Code", str(resolved.get("code", "unknown"))),
        (
            "Backbone weights",
            str((record.outputs("train_head").get("weights") or {}).get("detail", "no training")),
        ),
    ]
    blocks: list[Block] = [Table("", ("", ""), rows, numeric=False)]
    if record.reproduce:
        blocks += [Text("To repeat this run:"), Code(record.reproduce)]
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
    head = ("Property", "Split", "Population stability index", "Chance level", "Result (limits 0.1 / 0.25)")
    table = f"Drift from the data of champion {drift['champion']}"
    changed = [row for row, p in zip(rows, found, strict=True) if p["reading"] != "stable"]
    blocks: list[Block] = [Table(table, head, changed)] if changed else []
    if len(changed) < len(rows):
        same = f"{len(rows) - len(changed)} properties are stable against the data of champion {drift['champion']}"
        blocks.append(Details(same, [Table("", head, rows[len(changed) :])]))
    return blocks


def _chance(limit: float | None) -> str:
    return "too few groups" if limit is None else number(limit, 3)
