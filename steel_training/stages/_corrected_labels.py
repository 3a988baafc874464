"""The test split by the labels before and after the last `labels apply`."""

from __future__ import annotations

import numpy as np

from steel_training.evaluation.corrected_labels import CorrectedLabels, judge_by_both
from steel_training.labels.correction_record import RecordUnusable, labels_before
from steel_training.runs.artifacts import PATCHES, table_of
from steel_training.runs.run import Run


def by_labels_before_and_after(
    run: Run, labels: np.ndarray, scores: np.ndarray, threshold: float
) -> CorrectedLabels | None:
    """Judge the model by the labels of the test split before and after they were corrected.

    A record that cannot be used is told and stops nothing: the verdict does not depend on it.

    Args:
        run: the run.
        labels: of the test split, int (n,), in the order of the run's patches.
        scores: of the model, float (n,).
        threshold: its operating threshold.

    Returns:
        `None` where no label of the test split was corrected.
    """
    try:
        before = labels_before(run.dataset, table_of(run, "resolve_dataset", PATCHES))
    except RecordUnusable as error:
        return CorrectedLabels(problem=str(error))
    return None if before is None else judge_by_both(before, labels, scores, threshold)
