"""What a stage leaves for a person to look at while the dataset is at hand: pairs of patches, and a page of the Data Docs."""

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
from steel_training.validation.outcome import ValidationOutcome
from steel_training.validation.suite import DOCS

_GROUPS, _TWINS = "data.disjoint_groups", "data.duplicate_content"


def reader_of(dataset: Storage, profile: pd.DataFrame) -> Pixels:
    """Returns what reads the grey values of the patch in a row of the profile."""

    def pixels(row: int) -> np.ndarray:
        return grey_of(open_image(dataset.read(str(profile["path"].iloc[row]))))

    return pixels


def torn_apart(outcome: ValidationOutcome, profile: pd.DataFrame, dataset: str) -> list[Probe]:
    """Returns what blocks a dataset because of its split, with the patches that show it, which an expectation does not name.

    Args:
        outcome: of the validation.
        profile: one row a patch.
        dataset: URI of the dataset version.
    """
    message_of = {reason.code: reason.message for reason in outcome.reasons}
    if not set(REQUIRED_COLUMNS) <= set(profile):
        return []
    found = []
    if _GROUPS in message_of:
        found.append(replace(shared_groups(profile), code=_GROUPS, message=message_of[_GROUPS]))
    if _TWINS in message_of:
        twins, torn = identical_pixels(profile), contradicting_labels(profile)
        pairs = [*twins.evidence.get("pairs", ()), *torn.evidence.get("pairs", ())]
        worse = torn if twins.passed else twins
        found.append(replace(worse, code=_TWINS, message=message_of[_TWINS], evidence={"pairs": pairs}))
    # A split that is corrected while something else is wrong would have to be made again.
    return with_fixes(found, dataset) if set(message_of) <= {_GROUPS, _TWINS} else found


def leave_evidence(folder: Path, probes: Sequence[Probe], profile: pd.DataFrame, pixels: Pixels) -> str:
    """Leaves pairs of patches in the folder of a stage, and a page of them in the Data Docs that stand there.

    Returns:
        Path of the first page of the Data Docs, below the folder.
    """
    write_pair_images(folder, probes, profile, pixels)
    return add_to_data_docs(folder / DOCS, [probe.as_dict() for probe in probes], folder)
