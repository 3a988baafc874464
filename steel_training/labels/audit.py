"""The audit of a dataset's labels: a table of its patches, worst first, and the estimated share of wrong labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from steel_training.data.splits import TEST
from steel_training.evaluation.metrics import auc
from steel_training.labels.copies import contradicted_copies
from steel_training.labels.errors import CannotAudit
from steel_training.labels.neighbours import Nearest, Neighbourhood
from steel_training.labels.out_of_fold import Features, out_of_fold_scores
from steel_training.labels.quality import label_quality, worst_first
from steel_training.labels.wrong_shares import WrongShare, estimate_wrong_shares, wrong_shares
from steel_training.storage.json_types import Json

SUSPECT = 0.5
"""Quality below which a label is more likely wrong than right."""

CONTRADICTING = 0.8
"""Share of the nearest neighbours with the other label from which they contradict a label."""

NEAREST_SHOWN = 3
"""Patches of each class that a reviewer sees beside a doubtful one."""

_COMPARED = 2_000
"""Worst labels that get neighbours to show, even where fewer are suspects."""

# Scores that rank defects hardly better than chance also rank labels hardly better than chance.
_LOWEST_AUC = 0.6


@dataclass(frozen=True)
class LabelAudit:
    """What an audit found.

    Attributes:
        table: one row per patch, worst label first: `row` (position in the input), `patch_id`, `label`, `suggested`, `quality`,
            `score`, `group`, `split`, `neighbours` (share of the nearest with the other label), `copy` (an identical patch
            contradicts the label).
        wrong: estimated shares of wrong labels, of label 0 and label 1.
        auc: of the out-of-fold scores against the labels as given.
        nearest: nearest clean and defective patches of other groups, of the worst labels by `patch_id`. None is of the test split: its
            labels are not to be seen.
    """

    table: pd.DataFrame
    wrong: tuple[WrongShare, WrongShare]
    auc: float
    nearest: Mapping[str, Nearest]

    @property
    def suspects(self) -> pd.DataFrame:
        """The rows whose label is more likely wrong than right, worst first."""
        return self.table[self.table["quality"] < SUSPECT]

    def as_dict(self) -> dict[str, Json]:
        """Return counts and estimates as JSON values."""
        suspects, table = self.suspects, self.table
        by_split: Mapping[str, int] = {
            str(name): int(count) for name, count in suspects["split"].value_counts().items()
        }
        return {
            "patches": len(table),
            "suspects": len(suspects),
            "suspects_by_split": dict(sorted(by_split.items())),
            "contradicting_neighbours": int((table["neighbours"] >= CONTRADICTING).sum()),
            "contradicting_copies": int(table["copy"].sum()),
            "auc": self.auc,
            "wrong_labels": [dict(each.as_dict()) for each in self.wrong],
        }


def audit(patches: pd.DataFrame, features: Features, *, seed: int = 0) -> LabelAudit:
    """Audit the labels of patches.

    Every split takes part, also the test split: a score is made without the group of its patch, and the models are thrown away.

    Args:
        patches: `patch_id`, `label` (0 or 1), `group`, `part` (the split, may be empty) and `pixel_hash` (may be missing).
        features: of the patches, by their position: float32 (m, channels).
        seed: of folds and resampling.

    Raises:
        CannotAudit: there is too little data, a label is neither 0 nor 1, or the features hardly predict the label.
    """
    labels, groups = read_labels(patches), patches["group"].to_numpy(str)
    scores = out_of_fold_scores(features, labels, groups, seed=seed)
    area = auc(labels, scores)
    if not area >= _LOWEST_AUC:
        raise CannotAudit(
            f"The features hardly predict the label (AUC {area:.3f} on groups not fitted to; at least {_LOWEST_AUC} is needed), so "
            "they cannot say which labels are wrong. Check that the patches show the defects, and model.weights."
        )
    pixels = patches["pixel_hash"] if "pixel_hash" in patches else pd.Series("", index=patches.index)
    around = Neighbourhood(features, labels, groups, seed=seed)
    copies = contradicted_copies(labels, scores, pixels)
    quality = np.where(copies, 0.0, label_quality(labels, scores, wrong_shares(labels, scores)))
    table = pd.DataFrame(
        {
            "row": np.arange(len(labels)),
            "patch_id": patches["patch_id"].astype("string").to_numpy(),
            "label": labels,
            "suggested": np.where(quality < SUSPECT, 1 - labels, labels),
            "quality": quality,
            "score": scores,
            "group": groups,
            "split": patches["part"].fillna("").astype("string").to_numpy(),
            "neighbours": around.contradicting(),
            "copy": copies,
        }
    )
    ranked = table.iloc[worst_first(labels, scores, quality)].reset_index(drop=True)
    shown = ranked.loc[ranked["split"] != TEST]
    shown = shown[(shown["quality"] < SUSPECT) | (np.arange(len(shown)) < _COMPARED)]
    nearest = around.nearest(
        shown["row"].to_numpy(int),
        table["patch_id"].to_numpy(str),
        (table["split"] != TEST).to_numpy(bool),
        NEAREST_SHOWN,
    )
    return LabelAudit(ranked, estimate_wrong_shares(labels, scores, groups, seed=seed), area, nearest)


def read_labels(patches: pd.DataFrame) -> np.ndarray:
    """Return the labels of patches, int (n,).

    Raises:
        CannotAudit: one is neither 0 nor 1.
    """
    given = pd.to_numeric(patches["label"], errors="coerce")
    unknown = ~given.isin([0, 1])
    if unknown.any():
        named = ", ".join(patches.loc[unknown, "patch_id"].astype(str).head(5))
        raise CannotAudit(
            f"{int(unknown.sum()):,} labels are neither 0 nor 1, such as those of {named}; correct them first."
        )
    return given.to_numpy(int)
