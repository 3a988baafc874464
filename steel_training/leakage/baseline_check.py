"""The baseline check: leak probes first, then the baseline CNN, then tests for collapse."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from steel_training.config import BaselineConfig
from steel_training.data.dataset import CLEAN, DEFECTIVE
from steel_training.data.matching.same_surface import Pixels
from steel_training.evaluation.estimates import auc_bound
from steel_training.evaluation.metrics import auc, average_precision, sweep
from steel_training.leakage import Probe
from steel_training.leakage.capture_device import two_cameras
from steel_training.leakage.coordinates import coordinates
from steel_training.leakage.distribution_shift import splits_differ
from steel_training.leakage.duplicates import contradicting_labels, identical_pixels
from steel_training.leakage.file_metadata import file_metadata
from steel_training.leakage.file_modified import file_modified
from steel_training.leakage.group_effect import group_effect, shuffled_labels
from steel_training.leakage.metadata import manifest_columns, names
from steel_training.leakage.near_duplicates import same_surface
from steel_training.leakage.pixel_property import pixel_property
from steel_training.leakage.shared_groups import shared_groups
from steel_training.verdict import OVERRIDABLE

CONSTANT = 1e-3
CHANCE = 0.5
ERROR = 0.05
"""Largest share of the networks that learned nothing that may pass as better than chance."""

LEARNING_PROBES = (
    file_metadata,
    file_modified,
    manifest_columns,
    names,
    pixel_property,
    two_cameras,
    splits_differ,
    group_effect,
    shuffled_labels,
)
"""Probes that try to predict the label from something other than the defect."""


def probe_dataset(profile: pd.DataFrame, keypoints: Sequence[bytes | None], pixels: Pixels) -> list[Probe]:
    """Run every probe that needs no network, cheap ones first.

    Args:
        profile: one row per patch: manifest, `part`, `group` and `Measures`.
        keypoints: of every row, as `Measures.anchors`.
        pixels: returns the grey values of the patch in a row, uint8 (height, width).
    """
    labels = pd.to_numeric(profile["label"], errors="coerce")
    # Probes that learn need a label and a group for every row; validation has reported the rows that lack one.
    whole = profile[labels.isin([CLEAN, DEFECTIVE]).to_numpy(bool) & profile["group"].notna().to_numpy(bool)]
    return [
        shared_groups(profile),
        identical_pixels(profile),
        contradicting_labels(profile),
        coordinates(profile),
        *same_surface(profile, keypoints, pixels),
        *(probe(whole) for probe in LEARNING_PROBES),
    ]


def best_epoch_bound(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, epochs: int) -> float:
    """Return the lower bound of the AUC of the epoch that was kept because it did best on these patches.

    Of ten epochs that learned nothing the best is above chance by luck, so each is held to a tenth of the error (Bonferroni).

    Args:
        labels: int (n,).
        scores: float (n,), of the epoch kept.
        groups: (n,), that were kept together when splitting.
        epochs: how many it is the best of.

    Returns:
        NaN if a score is not finite.
    """
    return auc_bound(labels, scores, groups, confidence=1 - ERROR / max(epochs, 1))


def too_good(
    history: dict[str, list[float]], config: BaselineConfig, probes: Sequence[Probe], in_the_end: float
) -> Probe:
    """Judge whether a small CNN separates the classes almost perfectly, which indicates a leak: at once, or in the end.

    At once blocks. If every other probe that can block was judged and found nothing, or was allowed by name, the defects may
    really be that easy. The alarm is then a warning, and appears with all the evidence in the model card. In the end never
    blocks: a faint trace takes a network longer to learn, but so does an easy defect.

    Args:
        history: `val_auc` by epoch, and the counts at 0.5 of `monitoring.counts_at_half`, of train and validation.
        config: the limit, and the number of steps within which it applies.
        probes: results of the other probes.
        in_the_end: lower bound of the AUC on validation of the network that was kept (`best_epoch_bound`).
    """
    trained_on = sum(history[name][0] for name in ("tp", "fn", "tn", "fp"))
    early_epochs = math.ceil(config.too_good_steps * config.batch_size / max(trained_on, 1))
    epochs = min(max(config.too_good_epochs, early_epochs), len(history["val_auc"]))
    area, balanced = max(history["val_auc"][:epochs]), max(_balanced_accuracy(history)[:epochs])
    name, best = ("AUC", area) if area >= balanced else ("balanced accuracy", balanced)
    found = f"The baseline CNN reaches a validation {name} of {best:.4f} within {epochs} epochs; from {config.too_good} on that indicates leakage"
    if best < config.too_good and in_the_end >= config.too_good:
        return _too_good_in_the_end(in_the_end, config.too_good)
    if best < config.too_good:
        return Probe("leak.too_good", True, best, config.too_good, f"{found}.")
    doubtful = [
        probe.code
        for probe in probes
        if probe.code in OVERRIDABLE and not probe.allowed and (probe.blocks or not probe.judged)
    ]
    if not doubtful:
        lifted = f"{found}, but every probe that can block was judged, and none does: the defects may be that easy. Check some of them by eye."
        return Probe("leak.too_good", False, best, config.too_good, lifted, decisive=False)
    advice = (
        ": something other than the defect predicts the label. Compare how clean and defective patches were acquired, cut and "
        f"stored. It would only be a warning if all probes had been judged without an alarm; not so: {', '.join(doubtful)}. "
        "If the defects are that easy to see, use --allow leak.too_good."
    )
    return Probe("leak.too_good", False, best, config.too_good, found + advice, {"not_judged": doubtful})


def _too_good_in_the_end(bound: float, limit: float) -> Probe:
    message = (
        f"The baseline CNN ends with a validation AUC of at least {bound:.4f} (lower bound; limit {limit}): the defects may "
        "be that easy, or something other than the defect predicts the label, such as a mark that one of two programs leaves. "
        "Compare some patches of both classes by eye, corners and borders first."
    )
    return Probe("leak.too_good", False, bound, limit, message, decisive=False)


def _balanced_accuracy(history: dict[str, list[float]]) -> np.ndarray:
    """Balanced accuracy on validation at 0.5, by epoch (epochs,); a class without patches counts as 0."""
    tp, fn, tn, fp = (np.asarray(history[f"val_{name}"], float) for name in ("tp", "fn", "tn", "fp"))
    return np.asarray((tp / np.maximum(tp + fn, 1) + tn / np.maximum(tn + fp, 1)) / 2)


def loss_fell(history: dict[str, list[float]], labels: np.ndarray) -> Probe:
    """Judge the training loss: it must be finite, and fall below that of the best constant prediction.

    Args:
        history: `loss` and `val_loss` by epoch, binary cross-entropy without class weights.
        labels: of the training split, int (n,).
    """
    share = float(np.clip(np.mean(labels), 1e-9, 1 - 1e-9)) if len(labels) else 0.5
    constant = float(-share * np.log(share) - (1 - share) * np.log(1 - share))
    losses = np.array([*history["loss"], *history.get("val_loss", ())], float)
    if not len(losses) or not np.all(np.isfinite(losses)):
        return Probe(
            "collapse.loss",
            False,
            0.0,
            constant,
            "The baseline's loss is not finite. Check for NaN among pixels and labels, or lower baseline.learning_rate.",
        )
    best = float(min(history["loss"]))
    fell = best < constant
    message = f"The baseline's training loss fell to {best:.4f}; the best constant prediction has {constant:.4f}"
    advice = "." if fell else ": it learned nothing beyond the defect rate. Check that labels match their patches."
    return Probe("collapse.loss", fell, best, constant, message + advice)


def collapse(labels: np.ndarray, scores: np.ndarray, bound: float) -> list[Probe]:
    """Judge the baseline's validation scores: constant, one class only, or no better than chance.

    Args:
        labels: int (n,).
        scores: float (n,).
        bound: lower bound of their AUC (`best_epoch_bound`).
    """
    spread = float(np.std(scores)) if np.all(np.isfinite(scores)) else 0.0
    constant = Probe(
        "collapse.constant_score",
        spread >= CONSTANT,
        spread,
        CONSTANT,
        f"The baseline's scores have a standard deviation of {spread:.4f} (at least {CONSTANT})"
        + (
            ": the network gives every patch the same score. Check labels and pixel range."
            if spread < CONSTANT
            else "."
        ),
    )
    if not constant.passed:
        return [constant]
    # With few defects a sound network may score all patches below 0.5: collapse means one class at every useful threshold.
    share = float(np.mean(scores >= 0.5))
    prior = float(np.mean(scores >= float(np.mean(labels))))
    one_class = share in (0.0, 1.0) and prior in (0.0, 1.0)
    return [
        constant,
        Probe(
            "collapse.one_class",
            not one_class,
            share,
            1.0,
            f"The baseline predicts {share:.1%} of validation as defective at 0.5 and {prior:.1%} at the defect rate"
            + (": it predicts one class only. Check labels, and train the baseline longer." if one_class else "."),
        ),
        Probe(
            "collapse.chance",
            bound > CHANCE,
            bound,
            CHANCE,
            f"The lower bound of the baseline's AUC is {bound:.3f} (must exceed {CHANCE})"
            + ("." if bound > CHANCE else ": it learned nothing. Check that labels match their patches."),
        ),
    ]


def baseline_metrics(labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Return the baseline's metrics on validation, for the report and for comparison with the transfer model."""
    _, recall, precision, _ = sweep(labels, scores)
    enough = recall >= 0.95
    return {
        "auc": auc(labels, scores),
        "average_precision": average_precision(labels, scores),
        "precision_at_recall_95": float(precision[enough].max()),
        "positive_share": float(np.mean(scores >= 0.5)),
    }
