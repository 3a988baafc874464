"""Checks the data before any expensive training: leak probes, the baseline CNN, collapse, and evidence of alarms."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from steel_training.config import Config
from steel_training.data.splits import TRAIN, VAL
from steel_training.leakage import Probe, baseline_check
from steel_training.leakage.corrections import with_fixes
from steel_training.leakage.overriding import override
from steel_training.leakage.simple_cue import simple_cue
from steel_training.runs.artifacts import BASELINE, KEYPOINTS, PROFILE, groups_in, patch_sets, table_of, unfinished_of
from steel_training.runs.outputs import CheckedBaseline
from steel_training.runs.result import StageResult, Status
from steel_training.runs.run import Run
from steel_training.stages._ending import conclude_if_ended
from steel_training.stages._evidence import reader_of, write_evidence
from steel_training.storage.json_types import Json
from steel_training.training.model_trainer import BaselineCNN, ModelTrainer
from steel_training.training.scoring import score
from steel_training.training.unfinished import Unfinished
from steel_training.validation.data_docs import DOCS

log = logging.getLogger(__name__)


def check_baseline(run: Run) -> StageResult:
    """Leak probes, then the baseline CNN, then collapse; blocks with every reason found, and writes evidence of each."""
    inputs = run.inputs_of("check_baseline")
    unfinished = unfinished_of(run, "check_baseline", inputs)

    def work(folder: Path) -> StageResult:
        config = run.config
        profile = table_of(run, "profile_patches", PROFILE)
        keypoints = table_of(run, "profile_patches", KEYPOINTS)["anchors"]
        storage = run.dataset

        pixels = reader_of(storage, profile)
        found = with_fixes(baseline_check.probe_dataset(profile, list(keypoints), pixels), storage.uri)
        probes = override(found, config.baseline.allow)
        metrics: Mapping[str, Json] = {}
        training: Mapping[str, Json] = {}
        if not any(probe.blocks for probe in probes):
            tried, metrics, training = _try_network(run, config, profile, folder, probes, unfinished)
            probes += override(tried, config.baseline.allow)
        for code in set(config.baseline.allow) - {probe.code for probe in probes if probe.allowed}:
            log.info("baseline.allow names %s, which raised no alarm that blocks", code)
        reasons = tuple(probe.reason for probe in probes if probe.blocks)
        with run.folder("validate_patches") as validated:
            shutil.copytree(validated / DOCS, folder / DOCS)
        data_docs = write_evidence(folder, probes, profile, pixels)
        checked = CheckedBaseline([probe.as_dict() for probe in probes], data_docs, metrics, training)
        return StageResult("check_baseline", Status.BLOCKED if reasons else Status.DONE, reasons, checked.to_dict())

    result = run.perform("check_baseline", inputs, work)
    unfinished.remove()
    return conclude_if_ended(run, result)


def _try_network(
    run: Run, config: Config, profile: pd.DataFrame, folder: Path, probes: Sequence[Probe], unfinished: Unfinished
) -> tuple[list[Probe], Mapping[str, Json], Mapping[str, Json]]:
    """Train the baseline CNN; return the probes of its training and scores, its metrics on validation, and its history."""
    splits = patch_sets(run)
    # The trainer sets the seed, and the network's first weights are to come from it.
    trainer = ModelTrainer(config, splits[TRAIN], splits[VAL], logs=folder, unfinished=unfinished)
    baseline = BaselineCNN(config.baseline)
    trained = trainer.train_baseline(baseline)
    scores = score(baseline.keras_model, splits[VAL])
    baseline.keras_model.save(folder / BASELINE)
    labels, epochs = splits[VAL].labels, len(trained.history["loss"])
    bound = baseline_check.best_epoch_bound(labels, scores, groups_in(run, VAL), epochs)
    tried = [
        baseline_check.too_good(trained.history, config.baseline, probes, bound),
        baseline_check.loss_fell(trained.history, splits[TRAIN].labels),
        *baseline_check.collapse(labels, scores, bound),
        simple_cue(profile, scores),
    ]
    return tried, baseline_check.baseline_metrics(labels, scores), trained.as_dict()
