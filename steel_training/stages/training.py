"""The stages that train: the baseline CNN that tries the data, the head, and the top of the backbone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from steel_training import provenance
from steel_training.measures import grey_of
from steel_training.pixels import open_image
from steel_training.records import (
    ANCHORS,
    BASELINE,
    MODEL,
    PROFILE,
    config_of,
    dataset_of,
    groups_in,
    patch_sets,
    table_of,
)
from steel_training.run import Run, StageResult, Status
from steel_training.splits import TRAIN, VAL
from steel_training.stages.blocking import may_end


def check_baseline(run: Run) -> StageResult:
    """Leak probes, then the baseline CNN, then collapse; blocks with every reason found."""

    def work(folder: Path) -> StageResult:
        from steel_training import sanity

        config = config_of(run)
        profile = table_of(run, "profile_patches", PROFILE)
        anchors = table_of(run, "profile_patches", ANCHORS)["anchors"]
        storage = dataset_of(run)

        def pixels(row: int) -> np.ndarray:
            return grey_of(open_image(storage.read(str(profile["path"].iloc[row]))))

        probes = sanity.probe_dataset(profile, list(anchors), pixels)
        metrics: dict[str, Any] = {}
        training: dict[str, Any] = {}
        if not any(probe.blocks for probe in probes):
            from steel_training.evaluation import score
            from steel_training.model_trainer import BaselineCNN, ModelTrainer

            parts = patch_sets(run)
            trainer = ModelTrainer(config, parts[TRAIN], parts[VAL], logs=folder)
            baseline = BaselineCNN(config.baseline)
            trained = trainer.train_baseline(baseline)
            scores = score(baseline.keras_model, parts[VAL])
            baseline.keras_model.save(folder / BASELINE)
            probes.append(sanity.too_good(trained.history, config.baseline))
            probes.append(sanity.loss_fell(trained.history, parts[TRAIN].labels))
            probes += sanity.collapse(parts[VAL].labels, scores, groups_in(run, VAL))
            metrics, training = sanity.baseline_metrics(parts[VAL].labels, scores), trained.as_dict()
        reasons = tuple(probe.reason for probe in probes if probe.blocks)
        outputs = {"probes": [probe.as_dict() for probe in probes], "metrics": metrics, **training}
        return StageResult("check_baseline", Status.BLOCKED if reasons else Status.DONE, reasons, outputs)

    return may_end(run, run.perform("check_baseline", run.after("validate_patches"), work))


def train_head(run: Run) -> StageResult:
    """Trains the head on the frozen backbone."""

    def work(folder: Path) -> StageResult:
        from steel_training.model_trainer import ModelTrainer, TransferLearningModel
        from steel_training.received import check_received

        config, parts = config_of(run), patch_sets(run)
        trainer = ModelTrainer(config, parts[TRAIN], parts[VAL], logs=folder)
        model = TransferLearningModel.build(config.model, config.data.input_size)
        check_received(model.keras_model, model.spec)
        training = trainer.train_head(model)
        model.keras_model.save(folder / MODEL)
        return StageResult("train_head", outputs={"weights": model.weights.as_dict(), **training.as_dict()})

    return run.perform("train_head", run.after("check_baseline"), work, together=True)


def fine_tune(run: Run) -> StageResult:
    """Trains the top layers of the backbone at a lower rate."""

    def work(folder: Path) -> StageResult:
        from steel_training.model_trainer import ModelTrainer, TransferLearningModel
        from steel_training.weights import LoadedWeights

        config, parts = config_of(run), patch_sets(run)
        weights = LoadedWeights(**run.result("train_head").outputs["weights"])
        trainer = ModelTrainer(config, parts[TRAIN], parts[VAL], logs=folder)
        with run.folder("train_head") as head:
            model = TransferLearningModel.load(head / MODEL, config.model, weights)
        training = trainer.fine_tune(model)
        model.scoring_model(flips=config.model.flips).save(folder / MODEL)
        return StageResult(
            "fine_tune",
            outputs={"weights": weights.as_dict(), "machine": provenance.machine(), **training.as_dict()},
        )

    return run.perform("fine_tune", run.after("train_head"), work, together=True)
