"""Evidence that a stage writes while it can read the dataset: pairs of patches, and a page of the Data Docs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from steel_training.data.columns import REQUIRED_COLUMNS
from steel_training.data.images import open_image
from steel_training.data.measurements import grey_of
from steel_training.leakage import Probe
from steel_training.leakage.corrections import with_fixes
from steel_training.leakage.duplicates import contradicting_labels, identical_pixels
from steel_training.leakage.evidence_images import Pixels, write_pair_images
from steel_training.leakage.shared_groups import shared_groups
from steel_training.report.leakage_sections import add_to_data_docs
from steel_training.storage import Storage
from steel_training.validation.data_docs import DOCS
from steel_training.validation.outcome import ValidationOutcome

_GROUPS, _TWINS = "data.disjoint_groups", "data.duplicate_content"


def reader_of(dataset: Storage, profile: pd.DataFrame) -> Pixels:
    """Return a function that reads the grey values of the patch in a row of the profile."""

    def pixels(row: int) -> np.ndarray:
        return grey_of(open_image(dataset.read(str(profile["path"].iloc[row]))))

    return pixels


def split_alarms(outcome: ValidationOutcome, profile: pd.DataFrame, dataset: str) -> list[Probe]:
    """Return the alarms about the split of a dataset, with the pairs of patches that an expectation does not name.

    Args:
        outcome: of the validation.
        profile: one row per patch.
        dataset: URI of the dataset version.
    """
    message_of = {reason.code: reason.message for reason in outcome.reasons}
    if not set(REQUIRED_COLUMNS) <= set(profile):
        return []
    found = []
    if _GROUPS in message_of:
        found.append(replace(shared_groups(profile), code=_GROUPS, message=message_of[_GROUPS]))
    if _TWINS in message_of:
        twins, contradicting = identical_pixels(profile), contradicting_labels(profile)
        pairs = [*twins.evidence.get("pairs", ()), *contradicting.evidence.get("pairs", ())]
        worse = contradicting if twins.passed else twins
        found.append(replace(worse, code=_TWINS, message=message_of[_TWINS], evidence={"pairs": pairs}))
    # Correcting the split is only advised where nothing else is wrong: otherwise it would have to be made again.
    return with_fixes(found, dataset) if set(message_of) <= {_GROUPS, _TWINS} else found


def write_evidence(folder: Path, probes: Sequence[Probe], profile: pd.DataFrame, pixels: Pixels) -> str:
    """Write pairs of patches to the folder of a stage, and a page of them to the Data Docs in it.

    Returns:
        Path of the first page of the Data Docs, below the folder.
    """
    write_pair_images(folder, probes, profile, pixels)
    return add_to_data_docs(folder / DOCS, [probe.as_dict() for probe in probes], folder)
