"""Splits a dataset again, so that nothing that belongs together is in two splits: what `steel-training split` does.

What must stay together is joined step by step: the images and groups that the manifest names, then those that share a
value of a column, or show one piece of steel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from steel_training.data.dataset import Dataset, find_dataset, groups_of, new_copy
from steel_training.data.images import open_image
from steel_training.data.matching.same_surface import same_surface_groups
from steel_training.data.measurements import BLANK, grey_of, measure_file
from steel_training.data.splits import SPLITS, CannotSplit, assign_splits
from steel_training.errors import UsageError
from steel_training.ingest.tiling import Progress

STEEL = "steel"


class CannotRegroup(UsageError):
    """The dataset cannot be grouped like this, or the groups do not allow three splits."""


@dataclass(frozen=True)
class Regrouped:
    """What was made.

    Attributes:
        dataset: where it is.
        patches: how many.
        groups_before: number of groups before.
        groups: number of groups now.
        parts: patches per split.
    """

    dataset: str
    patches: int
    groups_before: int
    groups: int
    parts: dict[str, int]


def regroup(
    uri: str,
    out: str,
    *,
    group_by: str,
    seed: int = 20,
    val_share: float = 0.2,
    test_share: float = 0.2,
    progress: Progress | None = None,
) -> Regrouped:
    """Write a copy of a dataset with new `group_id` and `split`; all other columns are unchanged.

    Args:
        uri: folder or S3 prefix; of dated versions the newest is taken.
        out: folder or S3 prefix of the new dataset; must be empty.
        group_by: column whose values must not straddle the split, or `steel`: what shows one piece of steel is found from the
            pixels (overlaps, rotated copies, other exposures).
        seed: of the splits.
        val_share: share of the groups.
        test_share: share of the groups.
        progress: called with the patches done so far and their total.

    Raises:
        DatasetNotFound: there is none.
        OutputExists: `out` is not empty.
        CannotRegroup: the column is missing, a patch cannot be read, or there are too few groups for three splits.
    """
    dataset = find_dataset(uri)
    manifest = dataset.manifest.reset_index(drop=True)
    missing = [name for name in ("patch_id", "path", "label", "source_id") if name not in manifest]
    if missing:
        raise CannotRegroup(f"The manifest of {dataset.uri} has no column {', '.join(missing)}; add it first.")
    source = manifest["source_id"].astype("string")
    if source.isna().any():
        raise CannotRegroup(
            f"{int(source.isna().sum())} rows of {dataset.uri} have no source image (source_id); fill it in, or remove the rows."
        )
    known = _joined(np.arange(len(manifest)), groups_of(manifest), source)
    if group_by == STEEL:
        groups = _by_steel(dataset, manifest, known, progress)
    elif group_by in manifest and group_by not in ("label", "split", "defect_type", "patch_id", "path"):
        groups = _joined(known, manifest[group_by].astype("string"))
    else:
        usable = [str(name) for name in manifest if name not in ("label", "split", "defect_type", "patch_id", "path")]
        raise CannotRegroup(f"--group-by {group_by!r} is neither 'steel' nor one of the columns {', '.join(usable)}.")
    manifest["group_id"] = pd.Series([f"g{number:05d}" for number in groups], dtype="string")
    try:
        splits = assign_splits(
            manifest.drop(columns="split", errors="ignore"), seed=seed, val_share=val_share, test_share=test_share
        )
    except CannotSplit as error:
        raise CannotRegroup(
            f"Grouped by {group_by}, {dataset.uri} cannot be split into train, val and test: {error}. It has "
            f"{len(set(groups.tolist())):,} such groups. Add source images of other steel."
        ) from None
    manifest["split"] = splits
    new_copy(dataset, manifest, out)
    sizes = {split: int((splits == split).sum()) for split in SPLITS}
    return Regrouped(out, len(manifest), len(set(known.tolist())), len(set(groups.tolist())), sizes)


def _joined(numbers: np.ndarray, *columns: pd.Series) -> np.ndarray:
    """Join rows (n,) of equal number, and rows that share a value of a column, directly or through others."""
    size = len(numbers)
    links: list[np.ndarray] = [numbers, *(pd.factorize(column)[0] for column in columns)]
    rows, ends, start = [], [], size
    for codes in links:
        known = np.flatnonzero(codes >= 0)  # a missing value joins nothing
        rows.append(known)
        ends.append(start + codes[known])
        start += int(codes.max(initial=-1)) + 1
    row, end = np.concatenate(rows), np.concatenate(ends)
    graph = coo_matrix((np.ones(len(row), bool), (row, end)), shape=(start, start))
    return np.asarray(pd.factorize(connected_components(graph, directed=False)[1][:size])[0])


def _by_steel(dataset: Dataset, manifest: pd.DataFrame, known: np.ndarray, progress: Progress | None) -> np.ndarray:
    paths = [None if pd.isna(path) else str(path) for path in manifest["path"]]
    measured = []
    for done, path in enumerate(paths):
        measured.append(measure_file(dataset.storage, path))
        if progress is not None:
            progress(done + 1, len(paths))
    unread = [f"{path}" for path, each in zip(paths, measured, strict=True) if each.pixel_hash is None]
    if unread:
        raise CannotRegroup(
            f"{len(unread):,} of {len(paths):,} patches cannot be read: {', '.join(unread[:5])}. Add the files, or remove the rows."
        )
    read = lru_cache(maxsize=512)(lambda row: grey_of(open_image(dataset.storage.read(str(paths[row])))))
    surfaces = same_surface_groups([each.anchors for each in measured], known, read)
    # Blank patches look alike without being copies.
    hashes = [each.pixel_hash if (each.contrast or 0.0) >= BLANK else None for each in measured]
    return _joined(surfaces[known], pd.Series(hashes, dtype="string"))
