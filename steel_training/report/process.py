"""Sections on the data and on the run itself: profile, drift, validation, probes, training, time, lineage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from steel_training.report import plots
from steel_training.report.blocks import Block, Code, Details, Figures, Link, Section, Table, Text
from steel_training.report.record import RunRecord
from steel_training.report.wording import NAMES, number
from steel_training.splits import SPLITS

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
            blocks.append(Figures(plots.history(name, outputs["history"], int(outputs.get("best_epoch") or 0))))
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
            blocks.append(Figures([plots.by_part(profile, name, unit=_UNITS[name]) for name in known]))
        blocks += _sizes(profile)
    return [Section("data", "Data", [*blocks, *_drift(record.drift)])]


def validation(outputs: Mapping[str, Any]) -> list[Section]:
    """What every expectation found; those not met first."""
    found = outputs.get("expectations")
    if not found:
        return []
    said = {True: "✓ met", None: "– not judged"}
    ordered = sorted(found, key=lambda e: (e["success"] is True, e["severity"] != "critical"))
    rows = [
        (
            e["code"],
            said.get(e["success"], f"✗ {e['severity']}"),
            e.get("message") or e["title"],
            ", ".join(e.get("examples", ())[:3]),
        )
        for e in ordered
    ]
    head = ("Expectation", "", "Found", "Patches")
    failed = [row for row, e in zip(rows, ordered, strict=True) if e["success"] is not True]
    blocks: list[Block] = [Table("Not met", head, failed, numeric=False)] if failed else []
    met = rows[len(failed) :]
    blocks.append(Details(f"{len(met)} expectations are met", [Table("", head, met, numeric=False)]))
    if outputs.get("data_docs"):
        blocks.append(Link(f"validate_patches/{outputs['data_docs']}", "Data Docs of Great Expectations"))
    return [Section("validation", "Data validation", blocks)]


def probes(outputs: Mapping[str, Any]) -> list[Section]:
    """What every probe of the baseline check found, with evidence; alarms first."""
    found = outputs.get("probes")
    if not found:
        return []
    ordered = sorted(found, key=lambda p: bool(p["passed"]))
    rows = [
        (
            p["code"],
            "✓ passed" if p["passed"] else "✗ ALARM" if p.get("decisive", True) else "△ warning",
            number(p.get("statistic"), 4),
            number(p.get("threshold"), 4),
            p["message"],
        )
        for p in ordered
    ]
    blocks: list[Block] = [Table("Probes", ("Probe", "", "Found", "Limit", ""), rows, numeric=False)]
    blocks += [
        Details(f"Evidence of {p['code']}", [Code(json.dumps(p["evidence"], indent=2, default=str))])
        for p in ordered
        if p.get("evidence")
    ]
    figures = outputs.get("metrics") or {}
    if figures:
        blocks.append(
            Table(
                "Baseline CNN on validation", ("", "Value"), [(NAMES.get(k, k), number(v)) for k, v in figures.items()]
            )
        )
    return [Section("probes", "Baseline check", blocks)]


def time(record: RunRecord) -> list[Section]:
    """How long every stage took."""
    rows = [(stage, float(result.seconds)) for stage, result in record.results.items()]
    return [Section("time", "Time", [Figures([plots.seconds(rows)])])] if rows else []


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
    rows = [(p["name"], number(p["psi"], 3), number(p["chance"], 3), signs[p["reading"]]) for p in drift["properties"]]
    head = ("Property", "Stability index", "By chance", "Reading (0.1 / 0.25)")
    return [Table(f"Drift from the data of champion {drift['champion']}", head, rows)]
