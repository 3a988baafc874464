"""The stages that judge: the test part is read, the export replayed, the figures put through the gate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from steel_training.features import PatchSet, resize
from steel_training.pixels import read_batches
from steel_training.records import (
    BASELINE,
    MODEL,
    PATCHES,
    SCORES,
    config_of,
    groups_in,
    patch_sets,
    registry_of,
    table_of,
    version_of,
)
from steel_training.run import Run, StageResult
from steel_training.splits import TEST, TRAIN, VAL


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
        _golden_and_lite(run, network, exported, threshold, scores)
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

    return run.perform("evaluate", {**run.after("fine_tune"), "champion": champion_version}, work)


def verify_bundle(run: Run) -> StageResult:
    """Replays the golden samples in a clean process; the run stops where the export differs."""

    def work(_: Path) -> StageResult:
        from steel_training import bundle

        with run.folder("evaluate") as evaluated:
            measured = bundle.verify(evaluated / "bundle")
        return StageResult("verify_bundle", outputs=measured)

    return run.perform("verify_bundle", run.after("evaluate"), work)


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

    return run.perform("decide", run.after("verify_bundle"), work)


def _golden_and_lite(
    run: Run, network: Any, exported: Path, threshold: float, scores: Mapping[str, np.ndarray]
) -> None:
    """Puts golden samples of the test part into the bundle, and the LiteRT files that decide as the network does."""
    from steel_training import bundle
    from steel_training.evaluation import score
    from steel_training.pixels import without_tiff

    parts = patch_sets(run)
    test, val = parts[TEST], parts[VAL]
    chosen = bundle.choose_golden(test.labels, scores[TEST], threshold)
    samples = []
    for number, index in enumerate(chosen):
        original = test.storage.read(test.paths[index])
        data = without_tiff(original)
        suffix = Path(test.paths[index]).suffix if data is original else ".png"
        samples.append((f"{number:02d}{suffix}", data))
    golden = score(network, _some(test, chosen))
    bundle.write_golden(exported, samples, golden)
    size = int(network.input_shape[1])
    checked = bundle.balanced(val.labels, bundle.CHECKED_PATCHES)
    representative = bundle.balanced(parts[TRAIN].labels, bundle.REPRESENTATIVE_PATCHES)
    bundle.export_lite(
        network,
        exported,
        threshold=threshold,
        representative=_pixels(_some(parts[TRAIN], representative), size),
        validation=(_pixels(_some(val, checked), size), val.labels[checked], scores[VAL][checked]),
        golden=(_pixels(_some(test, chosen), size), golden),
    )


def _some(patches: PatchSet, chosen: np.ndarray) -> PatchSet:
    return PatchSet(
        patches.storage, tuple(patches.paths[i] for i in chosen), patches.labels[chosen], patches.fingerprint
    )


def _pixels(patches: PatchSet, size: int) -> np.ndarray:
    batches = read_batches(patches.storage, patches.paths, 64)
    return np.concatenate([np.asarray(resize(batch, size)) for batch in batches])


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


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
