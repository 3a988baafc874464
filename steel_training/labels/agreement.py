"""Attribute agreement analysis: how far label, reviewers and model agree on patches that were answered blind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np

from steel_training.evaluation.confidence import Resamples, share_bound
from steel_training.labels.answers import Answer, Said
from steel_training.labels.corrections import standing
from steel_training.storage.json_types import Json

CONFIDENCE = 0.9
_RESAMPLES = 1000
_LABEL = {Said.CLEAN: 0, Said.DEFECTIVE: 1}
NAMES = ("agreement", "kappa", "miss_rate", "false_alarm_rate")


@dataclass(frozen=True)
class Measured:
    """A metric with its two-sided interval, resampled by group; NaN where it is undefined, such as a miss rate without defects."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float | None]:
        """Return the fields as JSON values, None if not finite."""
        return {name: value if np.isfinite(value) else None for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Agreement:
    """How far one assessor agrees with a reference on the same patches.

    Attributes:
        assessor: `label`, `model`, or the name of a reviewer.
        reference: name of a reviewer.
        patches: that both decided.
        agreement: share of these with the same decision.
        kappa: agreement beyond chance (Cohen 1960): 1 is perfect, 0 is chance.
        miss_rate: share of the patches that the reference calls defective and the assessor calls clean.
        false_alarm_rate: share of the patches that the reference calls clean and the assessor calls defective.
    """

    assessor: str
    reference: str
    patches: int
    agreement: Measured
    kappa: Measured
    miss_rate: Measured
    false_alarm_rate: Measured

    def as_dict(self) -> dict[str, Json]:
        """Return the fields as JSON values."""
        plain: dict[str, Json] = {"assessor": self.assessor, "reference": self.reference, "patches": self.patches}
        return plain | {name: dict(getattr(self, name).as_dict()) for name in NAMES}


def agreements(
    answers: Sequence[Answer],
    labels: Mapping[str, int],
    groups: Mapping[str, str],
    model: Mapping[str, int] | None = None,
) -> list[Agreement]:
    """Compare the labels, the model and every reviewer with each reviewer, on blind answers only.

    Args:
        answers: oldest first.
        labels: of the dataset, by patch.
        groups: of the dataset, by patch.
        model: decisions of a model, by patch; `None` without one.

    Returns:
        Label against each reviewer, model against each reviewer, reviewer against reviewer; none without a common patch.
    """
    decided = blind_decisions(answers)
    found = []
    for assessor, one, reference, other in _pairs(decided, labels, model):
        common = sorted(set(one) & set(other) & set(groups))
        if common:
            first, second = (np.array([each[name] for name in common]) for each in (one, other))
            found.append(_measured(assessor, reference, first, second, np.array([groups[name] for name in common])))
    return found


def blind_decisions(answers: Sequence[Answer]) -> dict[str, dict[str, int]]:
    """Return what each reviewer decided blind, 0 clean and 1 defective, by name and patch.

    Patches about which a reviewer cannot tell, or answered both ways, are left out.
    """
    said: dict[tuple[str, str], set[int]] = defaultdict(set)
    for answer in standing(answers):
        if answer.blind and answer.said in _LABEL:
            said[answer.by, answer.patch_id].add(_LABEL[answer.said])
    decided: dict[str, dict[str, int]] = defaultdict(dict)
    for (name, patch_id), labels in said.items():
        if len(labels) == 1:
            decided[name][patch_id] = labels.pop()
    return dict(sorted(decided.items()))


def _pairs(
    decided: Mapping[str, Mapping[str, int]], labels: Mapping[str, int], model: Mapping[str, int] | None
) -> Iterator[tuple[str, Mapping[str, int], str, Mapping[str, int]]]:
    for assessor, one in (("label", labels), ("model", model)):
        if one is not None:
            for name, other in decided.items():
                yield assessor, one, name, other
    for name, other_name in combinations(decided, 2):
        yield name, decided[name], other_name, decided[other_name]


def _measured(assessor: str, reference: str, one: np.ndarray, other: np.ndarray, groups: np.ndarray) -> Agreement:
    resamples = Resamples.by_group(groups, _RESAMPLES, 0)
    cells = [(one == a) & (other == b) for a in (0, 1) for b in (0, 1)]
    point = [float(each[0]) for each in _metrics(*(np.array([float(cell.sum())]) for cell in cells))]
    drawn = _metrics(*(resamples.totals(cell) for cell in cells))
    agreed, kappa, missed, false = map(_interval, point, drawn)
    # No resample can show what no patch showed: the exact bound for so many clustered patches.
    agreed, missed, false = (
        _exact(each, resamples.per_group(rows))
        for each, rows in ((agreed, np.ones(len(one))), (missed, other == 1), (false, other == 0))
    )
    if kappa.value == 1:
        chance = float(np.mean(other)) ** 2 + float(np.mean(1 - other)) ** 2
        kappa = Measured(1.0, (agreed.low - chance) / (1 - chance), 1.0)
    return Agreement(assessor, reference, len(one), agreed, kappa, missed, false)


def _interval(value: float, samples: np.ndarray) -> Measured:
    """Return a metric with the quantiles of its resampled values."""
    finite = samples[np.isfinite(samples)]
    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile(finite, [outside, 1 - outside]) if len(finite) else (np.nan, np.nan)
    return Measured(value, float(low), float(high))


def _exact(share: Measured, trials: np.ndarray) -> Measured:
    """Return a share of all or of none of the patches, float (groups,) per group, with the bound that such a count allows."""
    if share.value not in (0, 1):
        return share
    low = float(share_bound(trials, trials, (1 + CONFIDENCE) / 2))
    return Measured(1.0, low, 1.0) if share.value == 1 else Measured(0.0, 0.0, 1 - low)


def _metrics(
    both_clean: np.ndarray, missed: np.ndarray, false: np.ndarray, both_defective: np.ndarray
) -> list[np.ndarray]:
    """Return the metrics of `NAMES` from counts (n,) each."""
    total = both_clean + missed + false + both_defective
    with np.errstate(invalid="ignore", divide="ignore"):
        agreed = (both_clean + both_defective) / total
        chance = (
            (both_clean + missed) * (both_clean + false) + (false + both_defective) * (missed + both_defective)
        ) / total**2
        return [
            agreed,
            (agreed - chance) / (1 - chance),
            missed / (missed + both_defective),
            false / (false + both_clean),
        ]
