"""Trains the head on the frozen backbone."""

from __future__ import annotations

from pathlib import Path

from steel_training.data.splits import TRAIN, VAL
from steel_training.runs.artifacts import MODEL, patch_sets, unfinished_of
from steel_training.runs.outputs import Trained
from steel_training.runs.result import StageResult
from steel_training.runs.run import Run
from steel_training.stages._together import perform_together
from steel_training.training.input_check import check_input_normalisation
from steel_training.training.model_trainer import ModelTrainer, TransferLearningModel


def train_head(run: Run) -> StageResult:
    """Train the head on the frozen backbone."""
    inputs = run.inputs_of("train_head")
    unfinished = unfinished_of(run, "train_head", inputs)

    def work(folder: Path) -> StageResult:
        config, splits = run.config, patch_sets(run)
        trainer = ModelTrainer(config, splits[TRAIN], splits[VAL], logs=folder, unfinished=unfinished)
        model = TransferLearningModel.build(config.model, config.data.input_size)
        check_input_normalisation(model.keras_model, model.spec)
        training = trainer.train_head(model)
        model.keras_model.save(folder / MODEL)
        return StageResult("train_head", outputs=Trained(model.weights, training.as_dict()).to_dict())

    result = perform_together(run, "train_head", inputs, work)
    unfinished.remove()
    return result
