"""Evaluation of a model: operating threshold from validation, metrics from the test split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from steel_training.config import JUDGED, Config
from steel_training.evaluation.calibration import Calibration, calibration, probability, shift_of
from steel_training.evaluation.comparison import AucDifference, Comparison, ScoredModel, auc_difference, compare
from steel_training.evaluation.confidence import Resamples, design_effect
from steel_training.evaluation.estimates import estimates, precision_at
from steel_training.evaluation.images import by_source
from steel_training.evaluation.metrics import Counts, Estimate, count
from steel_training.evaluation.review_band import Reviewed, apply_band, choose_band
from steel_training.evaluation.slices import Slice, slices_of, worst
from steel_training.evaluation.threshold import NoOperatingThreshold, OperatingThreshold, choose_threshold


class _Bounds(TypedDict):
    """How bounds are resampled."""

    confidence: float
    resamples: int
    seed: int


@dataclass(frozen=True)
class Tally:
    """Counts and metrics per patch, or per source image."""

    counts: Counts
    metrics: dict[str, Estimate]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {
            "counts": self.counts.as_dict(),
            "metrics": {name: estimate.as_dict() for name, estimate in self.metrics.items()},
        }


@dataclass(frozen=True)
class Judgement:
    """Evaluation of a model at its operating threshold on the test split.

    Attributes:
        threshold: chosen on validation.
        review: the review band on the test split, if one is configured.
        patches: counts and metrics per patch.
        sources: the same per source image.
        precision_on_line: precision at the declared prevalence, if there is one.
        calibration: of the probabilities.
        slices: by columns of the manifest.
        design_effect: number of clustered defects that equal one independent one, ≥ 1.
    """

    threshold: OperatingThreshold
    review: Reviewed | None
    patches: Tally
    sources: Tally
    precision_on_line: Estimate | None
    calibration: Calibration
    slices: list[Slice]
    design_effect: float

    def as_dict(self, config: Config) -> dict[str, Any]:
        """Return the output of the stage `evaluate` for the model, as JSON values."""
        weakest = worst(self.slices)
        sources = self.sources.counts
        return {
            "threshold": {**self.threshold.as_dict(), "margin": config.threshold.margin},
            "review": self.review.as_dict() if self.review else None,
            **self.patches.as_dict(),
            "sources": {
                "sources": sum(sources.as_dict().values()),
                "defective": sources.tp + sources.fn,
                **self.sources.as_dict(),
            },
            "targets": {name: getattr(config.gate, name) for name in JUDGED},
            "evidence": config.gate.evidence,
            "prevalence": {"declared": config.data.prevalence, "precision": self.precision_on_line.as_dict()}
            if self.precision_on_line
            else None,
            "calibration": self.calibration.as_dict(),
            "slices": [each.as_dict() for each in self.slices],
            "worst_slice": weakest.as_dict() if weakest else None,
            "design_effect": self.design_effect,
        }


def operating_threshold(config: Config, labels: np.ndarray, scores: np.ndarray) -> OperatingThreshold:
    """Choose the threshold on validation by the targets and the margin of the configuration."""
    gate = config.gate
    return choose_threshold(
        labels, scores, recall=gate.recall or 0.0, precision=gate.precision or 0.0, margin=config.threshold.margin
    )


def judge(
    config: Config,
    *,
    val: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    groups: np.ndarray,
    rows: pd.DataFrame,
    slice_by: Sequence[str],
) -> Judgement:
    """Choose the threshold on validation and compute the metrics on the test split.

    Args:
        config: targets, margin, confidence.
        val: labels int (n,) and scores float (n,) of validation.
        test: labels int (m,) and scores float (m,) of the test split.
        groups: of the test patches, (m,).
        rows: manifest rows of the test patches, in order: `source_id`, and the columns to slice by.
        slice_by: names of the latter.

    Raises:
        NoOperatingThreshold: validation does not support a threshold, or a test score is not finite.
    """
    gate, (labels, scores) = config.gate, test
    threshold = operating_threshold(config, *val)
    if not np.all(np.isfinite(scores)):
        raise NoOperatingThreshold(
            "gate.not_finite",
            f"{int(np.sum(~np.isfinite(scores)))} of {len(scores)} test scores are not finite; expected numbers from 0 "
            "to 1. Check the pixels of those patches, and train again at a lower learning rate.",
        )
    bounds = _Bounds(confidence=gate.confidence, resamples=gate.resamples, seed=config.data.seed)
    predicted_positive, drawn = scores >= threshold.value, Resamples.by_group(groups, gate.resamples, config.data.seed)
    defects = drawn.per_group(labels == 1)
    effect = float(design_effect(drawn.per_group(predicted_positive & (labels == 1)), defects)) if labels.any() else 1.0
    sources = by_source(labels, scores, groups, rows["source_id"].to_numpy(str))
    return Judgement(
        threshold=threshold,
        review=_reviewed(config, val, test, threshold.value) if config.threshold.review else None,
        patches=Tally(count(labels, scores, threshold.value), estimates(*test, groups, threshold.value, **bounds)),
        sources=Tally(count(sources[0], sources[1], threshold.value), estimates(*sources, threshold.value, **bounds)),
        precision_on_line=precision_at(config.data.prevalence, labels, predicted_positive, drawn, gate.confidence)
        if config.data.prevalence
        else None,
        calibration=calibration(labels, probabilities(config, scores), shift_of(config.training.class_weights)),
        slices=slices_of(
            rows,
            slice_by,
            labels,
            predicted_positive,
            groups,
            min_defects=config.slices.min_defects,
            **bounds,
        ),
        design_effect=effect,
    )


def probabilities(config: Config, scores: np.ndarray) -> np.ndarray:
    """Return scores (n,) with the shift of the class weights undone."""
    return probability(scores, shift_of(config.training.class_weights))


def compare_on_test(
    config: Config, labels: np.ndarray, groups: np.ndarray, *, ours: ScoredModel, theirs: ScoredModel
) -> Comparison:
    """Compare two models on the test split, paired by group."""
    gate = config.gate
    return compare(
        labels, groups, ours, theirs, confidence=gate.confidence, resamples=gate.resamples, seed=config.data.seed
    )


def compare_on_validation(
    config: Config, labels: np.ndarray, groups: np.ndarray, ours: np.ndarray, theirs: np.ndarray
) -> AucDifference:
    """Compare the AUC of two models on validation, from their scores (n,), paired by group."""
    gate = config.gate
    return auc_difference(
        labels, groups, ours, theirs, confidence=gate.confidence, resamples=gate.resamples, seed=config.data.seed
    )


def _reviewed(
    config: Config, val: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], threshold: float
) -> Reviewed:
    settings = config.threshold
    band = choose_band(
        *val,
        threshold,
        recall=settings.review_recall,
        precision=settings.review_precision,
        margin=settings.margin,
    )
    return apply_band(band, *test)
