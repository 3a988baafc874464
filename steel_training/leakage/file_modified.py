"""Whether the time at which files were written tells the label."""

from __future__ import annotations

import pandas as pd

from steel_training.leakage.probe import Probe
from steel_training.leakage.separability import TooFewGroups, separability

CODE, LIMIT = "leak.file_modified", 0.9


def file_modified(profile: pd.DataFrame) -> Probe:
    """Tries to tell the label by when the storage says that a file was written.

    A network sees no times, and a copy has those of the copying: this only warns. It is a trace of classes that were made in two
    batches, by two tools, or of patches that were added later.
    """
    times = pd.to_numeric(profile["modified"], errors="coerce").round() if "modified" in profile else pd.Series()
    if times.nunique() < 2:
        return Probe(CODE, True, 0.5, LIMIT, "All files were written at one time, or it is not known.", decisive=False)
    try:
        told = separability(
            times.to_frame(), profile["label"].to_numpy(int), profile["group"].to_numpy(str), alone=True
        )
    except TooFewGroups as error:
        return Probe.unjudged(CODE, str(error))
    found = told.bound >= LIMIT
    message = f"The time a file was written tells the label with an AUC of {told.auc:.3f}, at least {told.bound:.3f} (limit {LIMIT})"
    if not found:
        return Probe(CODE, True, told.bound, LIMIT, message + ".", decisive=False)
    middle = pd.to_datetime(times.groupby(profile["label"].astype(int)).median(), unit="s", utc=True)
    evidence = {
        "usually written": {f"label {label}": f"{time:%Y-%m-%d %H:%M:%S} UTC" for label, time in middle.items()}
    }
    advice = ". Look whether clean and defective patches were made and copied alike."
    return Probe(CODE, False, told.bound, LIMIT, message + advice, evidence, decisive=False)
