"""Lineage of a published version: `gate.json` and the model card."""

from __future__ import annotations

import json
from pathlib import Path

from steel_training.bundle.card import CardContent, model_card
from steel_training.bundle.layout import CARD, GATE
from steel_training.leakage.overriding import allowed_reasons
from steel_training.registry.stored import VerdictFacts
from steel_training.runs import reproduction
from steel_training.runs.artifacts import PROFILE, table_of
from steel_training.runs.outputs import Approval, CheckedBaseline, Decided, Trained
from steel_training.runs.result import REPORT, StageResult
from steel_training.runs.run import Run
from steel_training.storage import schema


def facts(run: Run, version: str | None) -> VerdictFacts:
    """Return the fields that are recorded with every verdict: data, configuration, code, metrics, report."""
    resolved, config = run.resolved, run.config
    evaluated, answered = run.find_result("evaluate"), run.find_result("approve_release")
    probed = run.find_result("check_baseline")
    return {
        "version": version,
        "dataset": resolved.dataset,
        "dataset_version": resolved.version,
        "fingerprint": resolved.fingerprint,
        "configuration": config.fingerprint(),
        "code": resolved.code,
        "promote": config.publish.promote,
        "allowed": [reason.as_dict() for reason in allowed_reasons(CheckedBaseline.from_dict(probed.outputs).probes)]
        if probed
        else [],
        "approval": Approval.from_dict(answered.outputs).to_record() if answered else None,
        "metrics": evaluated.outputs["metrics"] if evaluated else {},
        "targets": evaluated.outputs["targets"] if evaluated else {},
        "evidence": config.gate.evidence,
        "report": run.store.location(run.key(REPORT)),
    }


def reproduce(run: Run) -> str | None:
    """Return the command that reproduces this run's model; `None` before its backbone has been chosen."""
    trained = run.find_result("train_head")
    if trained is None:
        return None
    weights = Trained.from_dict(trained.outputs).weights
    return reproduction.command_line(reproduction.command(run.resolved.dataset, run.config, weights.as_dict()))


def write_lineage(run: Run, folder: Path, decided: StageResult) -> None:
    """Write `gate.json` and the model card into a bundle that is about to be published."""
    judged, resolved = run.result("evaluate").outputs, run.resolved
    trained = run.outputs("fine_tune", Trained.from_dict)
    content: CardContent = {
        "schema": schema.SCHEMA,
        **facts(run, run.version),
        "run_id": run.run_id,
        "judged_at": decided.finished_at,
        "split_seed": run.config.data.seed,
        "parts": {split: dict(sizes) for split, sizes in resolved.parts.items()},
        "test_part": reproduction.part_hash(table_of(run, "profile_patches", PROFILE)),
        "reasons": [reason.as_dict() for reason in decided.reasons],
        "threshold": judged["threshold"],
        "counts": judged["counts"],
        "weights": trained.weights.as_dict(),
        "config": resolved.config.model_dump(mode="json"),
        "packages": dict(resolved.packages),
        "machine": trained.machine,
        "reproduce": reproduce(run),
        "parent_champion": Decided.from_dict(decided.outputs).champion,
        "grey_range": resolved.grey_range,
        "probes": run.outputs("check_baseline", CheckedBaseline.from_dict).probes,
        "verification": dict(run.result("verify_bundle").outputs),
    }
    (folder / GATE).write_text(json.dumps(content, indent=2, allow_nan=False), encoding="utf-8")
    (folder / CARD).write_text(model_card(content, judged), encoding="utf-8")
