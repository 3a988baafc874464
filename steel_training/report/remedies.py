"""What would help a rejected model most: labels, the weakest slice, more coils; each with the mistakes that it could remove."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from steel_training.data.splits import TEST
from steel_training.evaluation.learning_curve import LearningCurve
from steel_training.evaluation.metrics import Counts, count
from steel_training.report.formatting import is_number, number, percent
from steel_training.report.record import RunRecord
from steel_training.verdict import printable

TITLE = "What would help most"
_LONGEST_TITLE = 120


@dataclass(frozen=True)
class Remedy:
    """Something that would make the next model better.

    Attributes:
        title: what to do, in a few words.
        mistakes: of the test split that it could remove, at most; an estimate for more coils.
        text: what was found.
    """

    title: str
    mistakes: float
    text: str


def remedies_of(record: RunRecord) -> list[Remedy]:
    """Return what would help the model of a run, most first; nothing where it was not evaluated."""
    evaluated = record.outputs("evaluate")
    if not evaluated:
        return []
    return remedies(evaluated, record.scores, record.doubted, record.learning_curve, record.undoubted_threshold)


def advice_for(record: RunRecord) -> str:
    """Say on one line what would help the model of a run most; empty where nothing is known, or it makes no mistake."""
    found = remedies_of(record)
    if not found:
        return ""
    counts = Counts.from_dict(record.outputs("evaluate")["counts"])
    mistakes = counts.fn + counts.fp
    if not mistakes:
        return ""
    if is_worth_something(found[0]):
        return (
            f"{TITLE}: {_short(found[0])}: up to {found[0].mistakes:,.0f} of {mistakes:,} mistakes on the test split."
        )
    tried = "; ".join(_short(each) for each in found)
    return f"{TITLE}: nothing that was measured ({tried}) would remove one of {mistakes:,} mistakes on the test split."


def is_worth_something(remedy: Remedy) -> bool:
    """Return whether a remedy could remove a mistake, rounded."""
    return remedy.mistakes >= 0.5


def _short(remedy: Remedy) -> str:
    title = printable(remedy.title)
    title = title if len(title) <= _LONGEST_TITLE else f"{title[: _LONGEST_TITLE - 1]}…"
    return title[:1].lower() + title[1:]


def remedies(
    evaluated: Mapping[str, Any],
    scores: pd.DataFrame | None,
    suspects: Collection[str] | None,
    curve: LearningCurve | None,
    undoubted: float | None = None,
) -> list[Remedy]:
    """Return what would help, most first.

    Args:
        evaluated: outputs of `evaluate`.
        scores: one row per patch: `patch_id`, `part` (the split), `label`, `score`.
        suspects: ids of patches whose label is more likely wrong than right; `None` where the labels were not audited.
        curve: how the model gets better with more groups, if known.
        undoubted: the operating threshold that validation gives without its suspects; `None` where it has none, or gives none.
    """
    counts = Counts.from_dict(evaluated["counts"])
    found = [_coils(curve, counts)] if curve is not None else []
    if suspects is not None and scores is not None:
        found.append(_labels(scores, evaluated["threshold"]["value"], suspects, undoubted))
    worst = evaluated.get("worst_slice")
    if worst and is_number(worst["recall"]["value"]):
        found.append(_slice(worst, counts))
    return sorted(found, key=lambda remedy: -remedy.mistakes)


def _labels(all_scores: pd.DataFrame, threshold: float, suspects: Collection[str], undoubted: float | None) -> Remedy:
    """Mistakes whose label is a suspect, and those that a threshold chosen without suspects would not make."""
    test = all_scores[all_scores["part"] == TEST]
    labels, scores = test["label"].to_numpy(int), test["score"].to_numpy(float)
    doubted = test["patch_id"].isin(list(suspects)).to_numpy()
    predicted = (scores >= threshold).astype(int)
    called_wrong = (predicted != labels) & doubted
    alarms, misses = int(np.sum(called_wrong & (labels == 0))), int(np.sum(called_wrong & (labels == 1)))
    before = count(labels, scores, threshold)
    text = (
        f"{alarms:,} of {before.fp:,} false alarms and {misses:,} of {before.fn:,} missed defects have a label that is more likely wrong "
        "than right."
    )
    if alarms + misses:
        after = count(np.where(called_wrong, predicted, labels), scores, threshold)
        text += (
            f" If all of these labels are wrong, recall is {number(after.recall, 3)} instead of {number(before.recall, 3)}, and precision "
            f"{number(after.precision, 3)} instead of {number(before.precision, 3)}. Read them blind before you believe it."
        )
    removed = alarms + misses
    if undoubted is not None and undoubted != threshold:
        moved = count(labels, scores, undoubted)
        text += (
            f" Without the doubtful labels of the validation split, the operating threshold would be {number(undoubted, 3)} instead of "
            f"{number(threshold, 3)}: with the labels as they are, {moved.fn:,} missed defects and {moved.fp:,} false alarms."
        )
        sure, kept = (
            count(labels[~doubted], scores[~doubted], threshold),
            count(labels[~doubted], scores[~doubted], undoubted),
        )
        removed += max(0, sure.fn + sure.fp - kept.fn - kept.fp)
    return Remedy("Read doubtful labels again", removed, text)


def _slice(worst: Mapping[str, Any], counts: Counts) -> Remedy:
    """Defects that the worst slice misses beyond the rate of the other patches."""
    recall, defects = float(worst["recall"]["value"]), int(worst["defects"])
    missed = round((1 - recall) * defects)
    others = counts.tp + counts.fn - defects
    rate = (counts.fn - missed) / others if others > 0 else 0.0
    name = f"{worst['column']} = {worst['value']}"
    text = (
        f"{name} has {missed:,} of {counts.fn:,} missed defects: recall {number(recall, 3)} over {defects:,} defects."
    )
    if others > 0:
        text += f" It is {number(1 - rate, 3)} over the other {others:,}."
    return Remedy(f"More examples of {name}", max(0.0, missed - rate * defects), text)


def _coils(curve: LearningCurve, counts: Counts) -> Remedy:
    """False alarms that as many coils again would save, if they saved as large a share as the second half of the present ones."""
    half, whole = curve.half, curve.points[-1]
    share = curve.saved / half.false_alarms_per_1000 if half.false_alarms_per_1000 else 0.0
    text = (
        f"From {half.groups:,} to {whole.groups:,} training groups, false alarms of a quick model at recall {curve.recall:g} went from "
        f"{half.false_alarms_per_1000:,.0f} to {whole.false_alarms_per_1000:,.0f} per 1,000 clean patches of the validation split; the change "
        f"is {-curve.saved:+,.0f} (90 % interval {-curve.high:+,.0f} to {-curve.low:+,.0f})."
    )
    if curve.high <= 0:
        text += " More coils of the same kind do not help; wrong labels would explain that."
    elif curve.low <= 0:
        text += " That is within chance: more coils of the same kind may not help."
    else:
        text += f" As many coils again can be expected to remove up to {percent(share)} of the false alarms."
    return Remedy("More coils", counts.fp * share if curve.low > 0 else 0.0, text)
