"""What a published version says of itself: where it comes from, what it reached, and what it is not for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from steel_training.bundle.card import model_card
from steel_training.bundle.layout import CARD, GATE
from steel_training.leakage.overriding import allowed_reasons
from steel_training.runs import reproduction
from steel_training.runs.artifacts import PROFILE, config_of, table_of, version_of
from steel_training.runs.run import REPORT, Run, StageResult
from steel_training.storage import schema


def facts(run: Run, version: str | None) -> dict[str, Any]:
    """Returns what every verdict is recorded with: data, configuration, code, metrics, report."""
    record = run.result("resolve_dataset").outputs
    evaluated, answered = run.find_result("evaluate"), run.find_result("approve_release")
    probed = run.find_result("check_baseline")
    config = config_of(run)
    return {
        "version": version,
        "dataset": record["dataset"],
        "dataset_version": record["version"],
        "fingerprint": record["fingerprint"],
        "configuration": config.fingerprint(),
        "code": record["code"],
        "promote": config.publish.promote,
        "allowed": [reason.as_dict() for reason in allowed_reasons(probed.outputs["probes"])] if probed else [],
        "approval": dict(answered.outputs) if answered else None,
        "metrics": evaluated.outputs["metrics"] if evaluated else {},
        "targets": evaluated.outputs["targets"] if evaluated else {},
        "evidence": config_of(run).gate.evidence,
        "report": run.store.location(run.key(REPORT)),
    }


def reproduce(run: Run) -> str | None:
    """Returns the command that makes this run's model again; `None` before its backbone has been chosen."""
    trained = run.find_result("train_head")
    if trained is None:
        return None
    dataset = run.result("resolve_dataset").outputs["dataset"]
    return reproduction.command_line(reproduction.command(dataset, config_of(run), trained.outputs["weights"]))


def write_lineage(run: Run, folder: Path, decided: StageResult) -> None:
    """Writes `gate.json` and the model card into a bundle that is about to be published."""
    record, judged = run.result("resolve_dataset").outputs, run.result("evaluate").outputs
    trained = run.result("fine_tune")
    content = {
        schema.KEY: schema.SCHEMA,
        **facts(run, version_of(run)),
        "run_id": run.run_id,
        "judged_at": decided.finished_at,
        "split_seed": config_of(run).data.seed,
        "parts": record["parts"],
        "test_part": reproduction.part_hash(table_of(run, "profile_patches", PROFILE)),
        "reasons": [reason.as_dict() for reason in decided.reasons],
        "threshold": judged["threshold"],
        "counts": judged["counts"],
        "weights": trained.outputs["weights"],
        "config": record["config"],
        "packages": record["packages"],
        "machine": trained.outputs["machine"],
        "reproduce": reproduce(run),
        "parent_champion": decided.outputs["champion"],
        "probes": run.result("check_baseline").outputs["probes"],
        "verification": dict(run.result("verify_bundle").outputs),
    }
    (folder / GATE).write_text(json.dumps(content, indent=2, allow_nan=False), encoding="utf-8")
    (folder / CARD).write_text(model_card(content, judged), encoding="utf-8")
