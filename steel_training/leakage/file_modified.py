"""Tests whether the modification time of the files predicts the label."""

from __future__ import annotations

import pandas as pd

from steel_training.leakage.probe import Probe
from steel_training.leakage.separability import TooFewGroups, separability

CODE, LIMIT = "leak.file_modified", 0.9


def file_modified(profile: pd.DataFrame) -> Probe:
    """Try to predict the label from the modification time in the storage; only warns.

    A network sees no times, and copying changes them. But they reveal classes that were made in separate batches or by
    different tools, and patches that were added later.
    """
    times = pd.to_numeric(profile["modified"], errors="coerce").round() if "modified" in profile else pd.Series()
    if times.nunique() < 2:
        return Probe(
            CODE, True, 0.5, LIMIT, "All files have the same modification time, or it is not known.", decisive=False
        )
    try:
        result = separability(
            times.to_frame(), profile["label"].to_numpy(int), profile["group"].to_numpy(str), alone=True
        )
    except TooFewGroups as error:
        return Probe.unjudged(CODE, str(error))
    found = result.bound >= LIMIT
    message = f"The modification time of a file predicts the label with an AUC of {result.auc:.3f}, at least {result.bound:.3f} (limit {LIMIT})"
    if not found:
        return Probe(CODE, True, result.bound, LIMIT, message + ".", decisive=False)
    middle = pd.to_datetime(times.groupby(profile["label"].astype(int)).median(), unit="s", utc=True)
    evidence = {
        "usually written": {f"label {label}": f"{time:%Y-%m-%d %H:%M:%S} UTC" for label, time in middle.items()}
    }
    advice = ". Check whether clean and defective patches were made and copied in the same way."
    return Probe(CODE, False, result.bound, LIMIT, message + advice, evidence, decisive=False)
