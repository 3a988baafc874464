"""One function a stage: it reads what earlier stages left in the run, does its work, and leaves its own.

The order is that of `STAGES`; the DAG and `run` follow it. Heavy packages are imported where they are used, so that a
stage pays only for what it needs.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from steel_training import provenance
from steel_training.config import Config
from steel_training.dataset import fingerprint, groups_of, resolve_dataset
from steel_training.errors import SteelTrainingError
from steel_training.features import PatchSet, scratch_folder
from steel_training.lineage import facts, write_lineage
from steel_training.records import (
    BASELINE,
    MODEL,
    PATCHES,
    PROFILE,
    REPORT,
    SCORES,
    config_of,
    dataset_of,
    groups_in,
    patch_sets,
    registry_of,
    table_of,
    version_of,
)
from steel_training.registry import Registry
from steel_training.report import write_report
from steel_training.run import Run, StageResult, Status
from steel_training.splits import SPLITS, TEST, TRAIN, VAL, CannotSplit, assign_splits
from steel_training.verdict import Reason, Verdict

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """What a run was asked for; only `resolve_dataset` reads it, later stages read the run's record."""

    dataset: str
    config: Config
    as_of: date | None = None


def resolve(run: Run, request: Request) -> StageResult:
    """Finds the dataset version, splits it, and ends the run as `unchanged` where its last verdict still stands."""
    from steel_training.weights import check_weights

    check_weights(request.config.model.weights, request.config.model.backbone)
    dataset = resolve_dataset(request.dataset, as_of=request.as_of)
    identity = {
        "dataset": dataset.uri,
        "fingerprint": fingerprint(dataset),
        "config": request.config.model_dump(mode="json"),
        "code": provenance.code_revision(),
    }

    def work(folder: Path) -> StageResult:
        config, patches = request.config, dataset.manifest.copy()
        problem = None
        try:
            part = assign_splits(
                patches, seed=config.data.seed, val_share=config.data.val_share, test_share=config.data.test_share
            )
        except CannotSplit as error:
            problem, part = str(error), pd.Series("", index=patches.index, dtype="string")
        patches["part"] = part
        patches["group"] = groups_of(patches) if "source_id" in patches else ""
        patches.to_parquet(folder / PATCHES, index=False)
        previous = None if config.publish.force else _same_as_last(run, request.config, identity)
        if previous is not None:
            log.info("nothing changed since run %s (%s)", previous["run_id"], previous["verdict"])
        return StageResult(
            "resolve_dataset",
            status=Status.UNCHANGED if previous else Status.DONE,
            reasons=tuple(Reason.from_dict(reason) for reason in previous["reasons"]) if previous else (),
            outputs={
                **identity,
                "version": dataset.version,
                "patches": len(patches),
                "groups": int(patches["group"].nunique()),
                "parts": _parts(patches) if problem is None else {},
                "split_problem": problem,
                "logical_date": request.as_of.isoformat() if request.as_of else None,
                "previous": previous,
                "packages": provenance.package_versions(),
            },
        )

    return run.perform("resolve_dataset", identity, work)


def profile_patches(run: Run) -> StageResult:
    """Measures every patch once: size, mode, brightness, hashes, and why it cannot be read."""

    def work(folder: Path) -> StageResult:
        from steel_training.profile import profile_patches as measure

        profile = measure(
            dataset_of(run), table_of(run, "resolve_dataset", PATCHES), progress=_progress("profile_patches")
        )
        profile.to_parquet(folder / PROFILE, index=False)
        unreadable = int((profile["decode_error"].fillna("") != "").sum())
        return StageResult("profile_patches", outputs={"patches": len(profile), "undecodable": unreadable})

    return run.perform("profile_patches", _after(run, "resolve_dataset"), work)


def validate_patches(run: Run) -> StageResult:
    """Holds the dataset to the contract with Great Expectations; a critical expectation blocks."""

    def work(folder: Path) -> StageResult:
        from steel_training.validation import validate_patches as validate

        outcome = validate(
            table_of(run, "profile_patches", PROFILE),
            config_of(run).validation,
            folder=folder,
            split_problem=run.result("resolve_dataset").outputs["split_problem"],
        )
        status = Status.DONE if outcome.success else Status.BLOCKED
        return StageResult("validate_patches", status=status, reasons=tuple(outcome.reasons), outputs=outcome.as_dict())

    return _may_block(run, run.perform("validate_patches", _after(run, "profile_patches"), work))


def check_baseline(run: Run) -> StageResult:
    """Leak probes, then the baseline CNN, then collapse; blocks with every reason found."""

    def work(folder: Path) -> StageResult:
        from steel_training import sanity

        config = config_of(run)
        profile = table_of(run, "profile_patches", PROFILE)
        probes = sanity.probe_dataset(profile)
        metrics: dict[str, Any] = {}
        training: dict[str, Any] = {}
        if all(probe.passed for probe in probes):
            from steel_training.evaluation import score
            from steel_training.model_trainer import BaselineCNN, ModelTrainer

            parts = patch_sets(run)
            trainer = ModelTrainer(config, parts[TRAIN], parts[VAL], logs=folder / "tensorboard")
            baseline = BaselineCNN(config.baseline)
            trained = trainer.train_baseline(baseline)
            scores = score(baseline.keras_model, parts[VAL])
            baseline.keras_model.save(folder / BASELINE)
            probes.append(sanity.too_good(trained.history, config.baseline))
            probes += sanity.collapse(parts[VAL].labels, scores, groups_in(run, VAL))
            metrics, training = sanity.baseline_metrics(parts[VAL].labels, scores), trained.as_dict()
        reasons = tuple(probe.reason for probe in probes if not probe.passed)
        outputs = {"probes": [probe.as_dict() for probe in probes], "metrics": metrics, **training}
        return StageResult("check_baseline", Status.BLOCKED if reasons else Status.DONE, reasons, outputs)

    return _may_block(run, run.perform("check_baseline", _after(run, "validate_patches"), work))


def train_head(run: Run) -> StageResult:
    """Trains the head on the frozen backbone."""

    def work(folder: Path) -> StageResult:
        from steel_training.model_trainer import ModelTrainer, TransferLearningModel

        config, parts = config_of(run), patch_sets(run)
        trainer = ModelTrainer(config, parts[TRAIN], parts[VAL], logs=folder / "tensorboard")
        model = TransferLearningModel.build(config.model, config.data.input_size)
        training = trainer.train_head(model)
        model.keras_model.save(folder / MODEL)
        return StageResult("train_head", outputs={"weights": model.weights.as_dict(), **training.as_dict()})

    return run.perform("train_head", _after(run, "check_baseline"), work)


def fine_tune(run: Run) -> StageResult:
    """Trains the top layers of the backbone at a lower rate."""

    def work(folder: Path) -> StageResult:
        from steel_training.model_trainer import ModelTrainer, TransferLearningModel
        from steel_training.weights import LoadedWeights

        config, parts = config_of(run), patch_sets(run)
        weights = LoadedWeights(**run.result("train_head").outputs["weights"])
        trainer = ModelTrainer(config, parts[TRAIN], parts[VAL], logs=folder / "tensorboard")
        with run.folder("train_head") as head:
            model = TransferLearningModel.load(head / MODEL, config.model, weights)
        training = trainer.fine_tune(model)
        model.scoring_model(flips=config.model.flips).save(folder / MODEL)
        return StageResult("fine_tune", outputs={"weights": weights.as_dict(), **training.as_dict()})

    return run.perform("fine_tune", _after(run, "train_head"), work)


def evaluate(run: Run) -> StageResult:
    """Reads the test part, once: threshold from validation, metrics with bounds, rivals on the same patches, export."""
    champion_version, _ = registry_of(run).champion()

    def work(folder: Path) -> StageResult:
        import keras

        from steel_training import bundle
        from steel_training.evaluation import curves, judge, operating_threshold, score

        config, parts = config_of(run), patch_sets(run)
        with run.folder("fine_tune") as tuned:
            network = keras.models.load_model(tuned / MODEL, compile=False, safe_mode=True)
        scores = {part: score(network, parts[part]) for part in (VAL, TEST)}
        val, test = (parts[VAL].labels, scores[VAL]), (parts[TEST].labels, scores[TEST])
        judged = judge(config, val=val, test=test, groups=groups_in(run, TEST))
        with run.folder("check_baseline") as checked:
            small = keras.models.load_model(checked / BASELINE, compile=False, safe_mode=True)
        small_threshold = operating_threshold(config, parts[VAL].labels, score(small, parts[VAL])).value
        patches = table_of(run, "resolve_dataset", PATCHES)
        tables = []
        for part in (VAL, TEST):
            rows = patches[patches["part"] == part]
            tables.append(
                rows[["patch_id", "path", "part", "group"]].assign(label=parts[part].labels, score=scores[part])
            )
        pd.concat(tables).to_parquet(folder / SCORES, index=False)
        (folder / "curves.json").write_text(json.dumps(curves(val, test)), encoding="utf-8")

        exported = folder / "bundle"
        exported.mkdir()
        threshold, size = judged.threshold.value, config.data.input_size
        bundle.export(network, exported, threshold=threshold, input_size=size, version=version_of(run))
        _golden(run, network, exported)
        return StageResult(
            "evaluate",
            outputs={
                "threshold": {**judged.threshold.as_dict(), "margin": config.threshold.margin},
                "metrics": {name: estimate.as_dict() for name, estimate in judged.metrics.items()},
                "counts": judged.counts.as_dict(),
                "targets": {name: getattr(config.gate, name) for name in ("recall", "f2", "precision", "auc")},
                "baseline": _rival(small, parts[TEST], small_threshold),
                "champion": _champion_on(run, champion_version, parts[TEST]),
                "patches": len(parts[TEST]),
                "defects": int(parts[TEST].labels.sum()),
                "groups": len(set(groups_in(run, TEST))),
                "version": version_of(run),
            },
        )

    return run.perform("evaluate", {**_after(run, "fine_tune"), "champion": champion_version}, work)


def verify_bundle(run: Run) -> StageResult:
    """Replays the golden samples in a clean process; the run stops where the export differs."""

    def work(_: Path) -> StageResult:
        from steel_training import bundle

        with run.folder("evaluate") as evaluated:
            measured = bundle.verify(evaluated / "bundle")
        return StageResult("verify_bundle", outputs=measured)

    return run.perform("verify_bundle", _after(run, "evaluate"), work)


def decide(run: Run) -> StageResult:
    """Puts the metrics through the gate."""

    def work(_: Path) -> StageResult:
        from steel_training import gate
        from steel_training.metrics import Estimate

        judged = run.result("evaluate").outputs
        counts = judged["counts"]
        champion = judged["champion"]
        decision = gate.decide(
            {name: Estimate(_number(m["value"]), _number(m["lower"])) for name, m in judged["metrics"].items()},
            config_of(run).gate,
            baseline=gate.Rival("baseline CNN", auc=_number(judged["baseline"]["auc"])),
            champion=gate.Rival(champion["version"], champion["recall"], champion["f2"], champion["auc"])
            if champion
            else None,
            alarms=(counts["tp"] + counts["fp"]) / max(1, judged["patches"]),
        )
        return StageResult(
            "decide",
            reasons=decision.reasons,
            outputs={"publish": decision.publish, "champion": champion["version"] if champion else None},
        )

    return run.perform("decide", _after(run, "verify_bundle"), work)


def publish_model(run: Run) -> StageResult:
    """Registers the bundle as an immutable version and, where asked to, moves the champion pointer."""
    decided = run.result("decide")
    if not decided.outputs["publish"]:
        raise SteelTrainingError(f"Run {run.run_id} was decided against; do reject_model instead of publish_model.")

    def work(_: Path) -> StageResult:
        registry, version, config = registry_of(run), version_of(run), config_of(run)
        outputs = {
            "verdict": str(Verdict.PUBLISHED),
            "version": version,
            "previous_champion": decided.outputs["champion"],
        }
        write_report(run, Verdict.PUBLISHED, decided.reasons, version)
        with run.folder("evaluate") as evaluated:
            made = scratch_folder() / "publishing" / f"{run.run_id}-{version}"
            shutil.rmtree(made, ignore_errors=True)
            try:
                shutil.copytree(evaluated / "bundle", made)
                (made / REPORT).write_bytes(run.store.read(run.key(REPORT)))
                write_lineage(run, made, decided)
                registry.publish(made, version)
            finally:
                shutil.rmtree(made, ignore_errors=True)
        outputs["champion"] = version if config.publish.promote else decided.outputs["champion"]
        if config.publish.promote:
            registry.promote(version, expected=decided.outputs["champion"])
        registry.record(run.run_id, Verdict.PUBLISHED, decided.reasons, facts(run, version))
        return StageResult("publish_model", reasons=decided.reasons, outputs=outputs)

    return run.perform("publish_model", _after(run, "decide"), work)


def reject_model(run: Run) -> StageResult:
    """Leaves the record of a refusal: the champion stays."""
    decided = run.result("decide")
    if decided.outputs["publish"]:
        raise SteelTrainingError(f"Run {run.run_id} was decided for; do publish_model instead of reject_model.")

    def work(_: Path) -> StageResult:
        write_report(run, Verdict.REJECTED, decided.reasons, None)
        registry_of(run).record(run.run_id, Verdict.REJECTED, decided.reasons, facts(run, None))
        champion = decided.outputs["champion"]
        outputs = {
            "verdict": str(Verdict.REJECTED),
            "version": None,
            "champion": champion,
            "previous_champion": champion,
        }
        return StageResult("reject_model", reasons=decided.reasons, outputs=outputs)

    return run.perform("reject_model", _after(run, "decide"), work)


LATER: Mapping[str, Callable[[Run], StageResult]] = {
    "profile_patches": profile_patches,
    "validate_patches": validate_patches,
    "check_baseline": check_baseline,
    "train_head": train_head,
    "fine_tune": fine_tune,
    "evaluate": evaluate,
    "verify_bundle": verify_bundle,
    "decide": decide,
    "publish_model": publish_model,
    "reject_model": reject_model,
}
"""Every stage after `resolve_dataset`: they need nothing but the run."""


def _may_block(run: Run, result: StageResult) -> StageResult:
    if result.status is Status.BLOCKED:
        write_report(run, Verdict.BLOCKED, result.reasons, None)
        registry_of(run).record(run.run_id, Verdict.BLOCKED, result.reasons, facts(run, None))
    return result


def _same_as_last(run: Run, config: Config, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    decisions = Registry(run.store, config.model.name).decisions()
    if not decisions or decisions[-1]["run_id"] == run.run_id:
        return None
    last = decisions[-1]
    same = (
        last.get("fingerprint") == identity["fingerprint"]
        and last.get("configuration") == config.fingerprint()
        and last.get("code") == identity["code"]
    )
    return last if same else None


def _golden(run: Run, network: Any, exported: Path) -> None:
    from steel_training import bundle
    from steel_training.evaluation import score
    from steel_training.pixels import without_tiff

    test = patch_sets(run)[TEST]
    order = np.argsort(test.labels, kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, min(bundle.GOLDEN_SAMPLES, len(order))).astype(int)]
    samples = []
    for number, index in enumerate(chosen):
        original = test.storage.read(test.paths[index])
        data = without_tiff(original)
        suffix = Path(test.paths[index]).suffix if data is original else ".png"
        samples.append((f"{number:02d}{suffix}", data))
    subset = PatchSet(test.storage, tuple(test.paths[i] for i in chosen), test.labels[chosen], test.fingerprint)
    bundle.write_golden(exported, samples, score(network, subset))


def _rival(network: Any, test: PatchSet, threshold: float) -> dict[str, Any]:
    from steel_training.evaluation import score
    from steel_training.metrics import auc, average_precision, count

    scores = score(network, test)
    counts = count(test.labels, scores, threshold)
    return {
        "auc": auc(test.labels, scores),
        "average_precision": average_precision(test.labels, scores),
        "recall": counts.recall,
        "f2": counts.f2,
        "precision": 0.0 if np.isnan(counts.precision) else counts.precision,
    }


def _champion_on(run: Run, version: str | None, test: PatchSet) -> dict[str, Any] | None:
    if version is None:
        return None
    import keras

    from steel_training import bundle

    with registry_of(run).bundle(version) as (_, folder):
        network = keras.models.load_model(folder / bundle.KERAS_MODEL, compile=False, safe_mode=True)
        threshold = json.loads((folder / bundle.THRESHOLD).read_text(encoding="utf-8"))["threshold"]
    return {"version": version, **_rival(network, test, threshold)}


def _after(run: Run, stage: str) -> dict[str, Any]:
    before = run.result(stage)
    if before.status is not Status.DONE:
        reasons = "; ".join(f"{reason.code}: {reason.message}" for reason in before.reasons)
        raise SteelTrainingError(f"Run {run.run_id} ended at {stage} ({before.status}): {reasons}")
    return {"after": stage, "result": before.inputs, "finished_at": before.finished_at}


def _parts(patches: pd.DataFrame) -> dict[str, Any]:
    labels = pd.to_numeric(patches["label"], errors="coerce")
    return {
        part: {
            "clean": int(((patches["part"] == part) & (labels == 0)).sum()),
            "defective": int(((patches["part"] == part) & (labels == 1)).sum()),
            "groups": int(patches.loc[patches["part"] == part, "group"].nunique()),
        }
        for part in SPLITS
    }


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _progress(stage: str) -> Callable[[int, int], None]:
    def report(done: int, total: int) -> None:
        log.info("%s  %s/%s patches", stage, f"{done:,}", f"{total:,}")

    return report
