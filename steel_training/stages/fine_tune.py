"""Trains the top of the backbone."""

from __future__ import annotations

from pathlib import Path

from steel_training.data.splits import TRAIN, VAL
from steel_training.runs import provenance
from steel_training.runs.artifacts import MODEL, patch_sets, unfinished_of
from steel_training.runs.outputs import Trained
from steel_training.runs.result import StageResult
from steel_training.runs.run import Run
from steel_training.stages._together import perform_together
from steel_training.training.model_trainer import ModelTrainer, TransferLearningModel


def fine_tune(run: Run) -> StageResult:
    """Train the top layers of the backbone at a lower rate."""
    inputs = run.inputs_of("fine_tune")
    unfinished = unfinished_of(run, "fine_tune", inputs)

    def work(folder: Path) -> StageResult:
        config, splits = run.config, patch_sets(run)
        weights = run.outputs("train_head", Trained.from_dict).weights
        trainer = ModelTrainer(config, splits[TRAIN], splits[VAL], logs=folder, unfinished=unfinished)
        with run.folder("train_head") as head:
            model = TransferLearningModel.load(head / MODEL, config.model, weights)
        training = trainer.fine_tune(model)
        model.scoring_model(flips=config.model.flips).save(folder / MODEL)
        return StageResult(
            "fine_tune",
            outputs=Trained(weights, training.as_dict(), provenance.machine()).to_dict(),
        )

    result = perform_together(run, "fine_tune", inputs, work)
    unfinished.remove()
    return result
