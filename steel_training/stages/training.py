"""The stages that train: the head, and the top of the backbone."""

from __future__ import annotations

from pathlib import Path

from steel_training import provenance
from steel_training.records import MODEL, config_of, patch_sets, unfinished_of
from steel_training.run import Run, StageResult
from steel_training.splits import TRAIN, VAL


def train_head(run: Run) -> StageResult:
    """Trains the head on the frozen backbone."""
    inputs = run.after("check_baseline")
    unfinished = unfinished_of(run, "train_head", inputs)

    def work(folder: Path) -> StageResult:
        from steel_training.model_trainer import ModelTrainer, TransferLearningModel
        from steel_training.received import check_received

        config, parts = config_of(run), patch_sets(run)
        trainer = ModelTrainer(config, parts[TRAIN], parts[VAL], logs=folder, unfinished=unfinished)
        model = TransferLearningModel.build(config.model, config.data.input_size)
        check_received(model.keras_model, model.spec)
        training = trainer.train_head(model)
        model.keras_model.save(folder / MODEL)
        return StageResult("train_head", outputs={"weights": model.weights.as_dict(), **training.as_dict()})

    result = run.perform("train_head", inputs, work, together=True)
    unfinished.remove()
    return result


def fine_tune(run: Run) -> StageResult:
    """Trains the top layers of the backbone at a lower rate."""
    inputs = run.after("train_head")
    unfinished = unfinished_of(run, "fine_tune", inputs)

    def work(folder: Path) -> StageResult:
        from steel_training.model_trainer import ModelTrainer, TransferLearningModel
        from steel_training.weights import LoadedWeights

        config, parts = config_of(run), patch_sets(run)
        weights = LoadedWeights(**run.result("train_head").outputs["weights"])
        trainer = ModelTrainer(config, parts[TRAIN], parts[VAL], logs=folder, unfinished=unfinished)
        with run.folder("train_head") as head:
            model = TransferLearningModel.load(head / MODEL, config.model, weights)
        training = trainer.fine_tune(model)
        model.scoring_model(flips=config.model.flips).save(folder / MODEL)
        return StageResult(
            "fine_tune",
            outputs={"weights": weights.as_dict(), "machine": provenance.machine(), **training.as_dict()},
        )

    result = run.perform("fine_tune", inputs, work, together=True)
    unfinished.remove()
    return result
