"""The labels that the champion was trained on: the profile of the run that published it."""

from __future__ import annotations

import pandas as pd

from steel_training.data.splits import TEST
from steel_training.errors import SteelTrainingError
from steel_training.evaluation.label_difference import LabelDifference, label_difference
from steel_training.runs.artifacts import PROFILE, table_of
from steel_training.runs.run import Run
from steel_training.storage import ObjectNotFound, StorageUnavailable

_COLUMNS = ("patch_id", "pixel_hash", "label")


class _Unknown(SteelTrainingError):
    """The labels of the champion are not known."""


def labels_unlike_champion(run: Run, champion: str | None) -> LabelDifference | None:
    """Compare the labels of a run with those of the champion; where that is not possible, the problem says why.

    Args:
        run: the run, profiled.
        champion: version; None before the first.

    Raises:
        StorageUnavailable: the store cannot be reached.
    """
    if champion is None:
        return None
    try:
        theirs = _profile_of(run, champion)
    except StorageUnavailable:
        raise
    except SteelTrainingError as error:
        return LabelDifference(champion, problem=str(error))
    return label_difference(champion, table_of(run, "profile_patches", PROFILE), theirs, tested=TEST)


def _profile_of(run: Run, champion: str) -> pd.DataFrame:
    """Return the profile of the run that published a version.

    Raises:
        SteelTrainingError: it is not there any more, or not that of the version.
    """
    run_id = run.registry.metadata(champion).get("run_id")
    if run_id is None:
        raise _Unknown("its gate.json does not name its run.")
    made = Run(run.store, run_id)
    try:
        published = made.version
    except ValueError as error:  # its inputs are those of another version of the program
        raise _Unknown(f"what its run {run_id} left cannot be read ({error}).") from None
    if published != champion:
        raise _Unknown(f"its run {run_id} was started again since, and is now that of version {published}.")
    try:
        profile = table_of(made, "profile_patches", PROFILE)
    except (ObjectNotFound, FileNotFoundError):
        raise _Unknown(f"its run {run_id} has no profile any more.") from None
    except (OSError, ValueError) as error:
        raise _Unknown(f"the profile of its run {run_id} cannot be read ({error}).") from None
    if missing := [name for name in _COLUMNS if name not in profile]:
        raise _Unknown(f"the profile of its run {run_id} has no {', '.join(missing)}.")
    return profile
