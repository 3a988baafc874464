"""The record of a corrected version: `corrections.csv` beside its manifest, which says what every label was before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from steel_training.data.splits import TEST
from steel_training.data.tables import read_table
from steel_training.errors import SteelTrainingError
from steel_training.labels.corrections import Correction
from steel_training.storage import ObjectNotFound, Storage, StorageError, StorageUnavailable

RECORD = "corrections.csv"
COLUMNS = ("patch_id", "was", "label", "by", "at", "blind")
_YES_OR_NO = ("0", "1")


class RecordUnusable(SteelTrainingError):
    """The record cannot be read, or contradicts itself or the dataset."""


def write_record(folder: Path, changed: Sequence[Correction]) -> None:
    """Write the record of a version into its folder."""
    rows = [(c.patch_id, c.was, c.label, "; ".join(c.by), c.at, int(c.blind)) for c in changed]
    pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(folder / RECORD, index=False)


def labels_before(dataset: Storage, patches: pd.DataFrame) -> np.ndarray | None:
    """Return the labels that the test split had before the last `labels apply`, in the order of the table, int (n,).

    Args:
        dataset: the version.
        patches: all of its patches: `patch_id`, `label`, and the split in `part`.

    Returns:
        `None` where the version was not made by `labels apply`, or no label of the test split was corrected.

    Raises:
        RecordUnusable: the record cannot be read, or does not fit the dataset.
        StorageUnavailable: the dataset cannot be reached.
    """
    record = _read(dataset)
    if record is None:
        return None
    now = dict(zip(patches["patch_id"].astype(str), patches["label"].astype(int).astype(str), strict=True))
    tested = patches.loc[patches["part"] == TEST, ["patch_id", "label"]]
    names = tested["patch_id"].astype(str)
    of_test = record["patch_id"].isin(set(names))
    for wrong, said in (
        (~record["was"].isin(_YES_OR_NO) | ~record["label"].isin(_YES_OR_NO), "names another label than 0 and 1"),
        (record["was"] == record["label"], "names the same label before and after"),
        (record["patch_id"].duplicated(), "names a patch twice"),
        (~record["patch_id"].isin(now.keys()), "names a patch that the dataset does not have"),
        (record["label"] != record["patch_id"].map(now), "names another label than the manifest"),
        (of_test & (record["blind"] != "1"), "corrects a patch of the test split that was not reviewed blind"),
    ):
        if wrong.any():
            first = record["patch_id"][wrong].iloc[0]
            raise _unusable(
                dataset, f"{said} in {int(wrong.sum()):,} of {len(record):,} rows, the first about {first!r:.80}"
            )
    was = dict(zip(record["patch_id"][of_test], record["was"][of_test].astype(int), strict=True))
    if not was:
        return None
    return np.array([was.get(name, label) for name, label in zip(names, tested["label"].astype(int), strict=True)])


def _read(dataset: Storage) -> pd.DataFrame | None:
    try:
        table = read_table(dataset.read(RECORD), COLUMNS, dtype=str, keep_default_na=False)
    except ObjectNotFound:
        return None
    except StorageUnavailable:
        raise
    except (StorageError, ValueError) as error:
        raise _unusable(dataset, f"cannot be read ({error})") from None
    if missing := [name for name in COLUMNS if name not in table]:
        raise _unusable(dataset, f"lacks the column {', '.join(missing)}")
    return table


def _unusable(dataset: Storage, said: str) -> RecordUnusable:
    return RecordUnusable(
        f"{dataset.location(RECORD)}, which 'labels apply' wrote, {said}. Restore it as it was written, or remove it."
    )
