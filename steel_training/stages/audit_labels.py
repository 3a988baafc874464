"""Audits the labels: which may be wrong, and how many. Never blocks the run, and changes nothing in it."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import numpy as np
import pandas as pd

from steel_training.data.splits import SPLITS, TRAIN, VAL
from steel_training.data.versions import manifest_name
from steel_training.errors import SteelTrainingError
from steel_training.evaluation.gate import target_or_design
from steel_training.evaluation.learning_curve import learning_curve
from steel_training.labels.audit import LabelAudit, audit, read_labels
from steel_training.labels.features import pooled_features
from steel_training.labels.out_of_fold import MOST_FITTED, fitted_log_odds, require_enough
from steel_training.labels.review.made_sheet import (
    all_patches,
    commonest_size,
    kept_for_review,
    sheet_of,
    with_pictures,
)
from steel_training.labels.review.sheet import REVIEW_SHEET
from steel_training.labels.suspect_images import write_suspect_images
from steel_training.runs.artifacts import LABELS, PROFILE, patch_sets, table_of
from steel_training.runs.outputs import AuditedLabels
from steel_training.runs.result import StageResult
from steel_training.runs.run import Run
from steel_training.stages._evidence import reader_of
from steel_training.training.frozen_features import images_of_training
from steel_training.verdict import Reason

log = logging.getLogger(__name__)

_NAMES = ("clean", "defective")


def audit_labels(run: Run) -> StageResult:
    """Rank the labels by how likely they are wrong, estimate how many are, and what more coils would be worth.

    A failure is a reason, not an end.
    """

    def work(folder: Path) -> StageResult:
        try:
            outputs, reasons = _audited(run, folder)
        except Exception as error:
            # Whatever it is, a run is not lost to a table that nothing in it depends on.
            why = str(error) if isinstance(error, SteelTrainingError) else f"{type(error).__name__}: {error}"
            log.warning("the labels are not audited: %s", why)
            reason = Reason("labels.not_audited", f"The labels were not audited: {why}")
            return StageResult("audit_labels", reasons=(reason,), outputs=AuditedLabels(problem=why).to_dict())
        return StageResult("audit_labels", reasons=reasons, outputs=outputs.to_dict())

    return run.perform("audit_labels", run.inputs_of("audit_labels"), work)


def _audited(run: Run, folder: Path) -> tuple[AuditedLabels, tuple[Reason, ...]]:
    """Write table and pictures; return what was found."""
    started = time.monotonic()
    profile = table_of(run, "profile_patches", PROFILE)
    sets = patch_sets(run)
    # In the order of `sets`: first all of train, then val, then test, as in `patch_sets`.
    order = np.concatenate([np.flatnonzero(profile["part"] == split) for split in SPLITS])
    patches = profile.iloc[order].reset_index(drop=True)
    labels, groups, seed = read_labels(patches), patches["group"].to_numpy(str), run.config.data.seed
    require_enough(labels, groups)
    images = images_of_training(len(sets[TRAIN]), len(sets[VAL]), run.config.training.views)
    features = pooled_features(run.config, sets, images=images, stage="audit_labels")
    computed = time.monotonic()
    found = audit(patches, features, seed=seed)
    found.table.drop(columns="row").to_parquet(folder / LABELS, index=False)
    _write_sheet(run, folder, patches, found)
    write_suspect_images(folder, found.suspects, reader_of(run.dataset, patches))
    audited = time.monotonic()
    curve = learning_curve(
        lambda fitted, scored: fitted_log_odds(features, labels, groups, fitted, scored, seed=seed),
        labels,
        groups,
        train=np.flatnonzero(patches["part"] == TRAIN),
        val=np.flatnonzero(patches["part"] == VAL),
        recall=target_or_design(run.config.gate.recall, "recall"),
        most=MOST_FITTED,
        seed=seed,
    )
    seconds = {
        "features": round(computed - started, 2),
        "audit": round(audited - computed, 2),
        "learning_curve": round(time.monotonic() - audited, 2),
    }
    return AuditedLabels.of(found, curve, seconds), _reasons(found)


def _write_sheet(run: Run, folder: Path, patches: pd.DataFrame, found: LabelAudit) -> None:
    """Write what the page *Labels* in Airflow shows, which has no pandas to make it itself."""
    kept = kept_for_review(all_patches(patches, found.table), run.config.data.seed)
    size = commonest_size(*(patches[name].fillna(1).to_numpy(int) for name in ("width", "height")))
    shown = with_pictures(kept, patches, size, found.nearest)
    name = manifest_name(run.dataset)
    if name is not None:
        sheet = sheet_of(run.dataset, name, run.resolved.fingerprint, shown)
        (folder / REVIEW_SHEET).write_text(json.dumps(sheet.to_dict()), encoding="utf-8")


def _reasons(found: LabelAudit) -> tuple[Reason, ...]:
    if found.suspects.empty:
        return ()
    shares = " and ".join(
        f"{each.share:.1%} of the labels '{_NAMES[each.label]}' ({each.low:.1%} to {each.high:.1%})"
        for each in found.wrong
    )
    message = (
        f"{len(found.suspects):,} of {len(found.table):,} labels are more likely wrong than right; estimated wrong are {shares}. Look at "
        "them first: the report shows the worst ones, and labels.parquet of this stage has all."
    )
    return (Reason("labels.suspect", message),)
