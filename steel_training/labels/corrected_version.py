"""A new dated version of a dataset with corrected labels: whole or absent, and with a record of every change."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pandas as pd

from steel_training.data.dataset import (
    Dataset,
    OutputExists,
    find_dataset,
    fingerprint,
    ingest_record_of,
    write_manifest,
)
from steel_training.data.splits import CannotSplit, assign_splits
from steel_training.data.versions import dated_versions
from steel_training.errors import UsageError
from steel_training.labels.answers import Answer
from steel_training.labels.audit import read_labels
from steel_training.labels.correction_record import write_record
from steel_training.labels.corrections import Correction, Corrections, corrections
from steel_training.storage import (
    ConditionFailed,
    FolderStorage,
    ObjectNotFound,
    Storage,
    confined,
    object_of,
    open_storage,
)


class CannotApply(UsageError):
    """The answers do not fit the dataset, or change nothing; nothing was written."""


def apply_corrections(
    uri: str, answers: Sequence[Answer], *, day: date, seed: int, val_share: float, test_share: float
) -> tuple[str, Corrections]:
    """Write the version of a day, with the labels that people agree on.

    The manifest changes in its labels only, and gets the splits that it had or that the run of that seed made, so that the same
    patches are tested before and after. Files are linked where the file system can, and else copied. `corrections.csv` beside it
    says what was changed: it is no column of the manifest, where it would give the label away.

    Args:
        uri: folder or S3 prefix with dated versions; the newest is corrected.
        answers: oldest first; those about other datasets are left out.
        day: name of the new version; must be later than the newest.
        seed: of the splits, where the manifest has none.
        val_share: share of the groups, the same.
        test_share: share of the groups, the same.

    Returns:
        URI of the new version, and what became of every answer.

    Raises:
        DatasetNotFound: there is none.
        OutputExists: there is a version of that day.
        CannotApply: the dataset has no dated versions, it changed since the answers were given, patches are unknown, or no label changes.
    """
    dataset = find_dataset(uri)
    versions = dated_versions(uri)
    if dataset.version is None or dataset.version not in versions:
        raise CannotApply(
            f"{uri} has no dated versions; move it to {uri.rstrip('/')}/YYYY-MM-DD first, so that a corrected version can stand beside it."
        )
    if day.isoformat() in versions:
        raise OutputExists(
            f"{uri} has a version {day} already; nothing was written. Name another day: --date YYYY-MM-DD."
        )
    if day.isoformat() < max(versions):
        raise CannotApply(
            f"{day} is before the newest version {max(versions)}, so that no run would take it. Name a later day: --date YYYY-MM-DD."
        )
    own = _about(answers, dataset)
    manifest = dataset.manifest.reset_index(drop=True)
    labels = dict(zip(manifest["patch_id"].astype(str), read_labels(manifest).tolist(), strict=True))
    try:
        splits = assign_splits(manifest, seed=seed, val_share=val_share, test_share=test_share)
    except CannotSplit as error:
        raise CannotApply(f"{dataset.uri} cannot be split into train, val and test: {error}.") from None
    found = corrections(own, labels, dict(zip(labels, splits, strict=True)))
    if found.unknown:
        raise CannotApply(
            f"{len(found.unknown):,} answers are about patches that {dataset.uri} does not have: {', '.join(found.unknown[:5])}. Nothing was written."
        )
    if not found.changed:
        raise CannotApply(
            f"No label changes: {len(found.confirmed):,} are confirmed, {len(found.contradicting):,} contradict each other, "
            f"{len(found.undecided):,} are undecided, and {len(found.not_blind):,} are of the test split and not blind. Nothing was written."
        )
    now = {correction.patch_id: correction.label for correction in found.changed}
    corrected = manifest.assign(label=[now.get(name, label) for name, label in labels.items()], split=splits.to_numpy())
    out = f"{uri.rstrip('/')}/{day}"
    _write(dataset, corrected, found.changed, uri, day.isoformat())
    return out, found


def _about(answers: Sequence[Answer], dataset: Dataset) -> list[Answer]:
    """Return the answers about this version.

    Raises:
        CannotApply: it has none, or the version changed since.
    """
    own = [answer for answer in answers if answer.dataset == dataset.uri]
    if not own:
        known = sorted({answer.dataset for answer in answers})
        raise CannotApply(
            f"There is no answer about {dataset.uri}; {'answers are about ' + ', '.join(known[:3]) if known else 'there are none at all'}. "
            "Review it first."
        )
    content = fingerprint(dataset)
    stale = sum(answer.fingerprint != content for answer in own)
    if stale:
        raise CannotApply(
            f"{dataset.uri} changed after {stale:,} of {len(own):,} answers about it (fingerprint {own[0].fingerprint[:12]}…, now "
            f"{content[:12]}…). Nothing was written. Restore the version, or review it again."
        )
    return own


def _write(dataset: Dataset, manifest: pd.DataFrame, changed: Sequence[Correction], root: str, name: str) -> None:
    """Write the version, in one step; of two that write the same day, one succeeds."""
    target = open_storage(root)
    keys = sorted({object_of(confined(str(path))) for path in manifest["path"]} | {*ingest_record_of(dataset)})
    links: dict[str, Path] = {}
    with tempfile.TemporaryDirectory(prefix="steel-training-") as scratch:
        folder = Path(scratch)
        if dataset.storage.is_local and isinstance(target, FolderStorage):
            links = {key: _regular_file(dataset.storage, key) for key in keys}
        else:
            for key in keys:
                (folder / key).parent.mkdir(parents=True, exist_ok=True)
                dataset.storage.copy_to(key, folder / key)
        write_record(folder, changed)
        write_manifest(folder / dataset.manifest_name, manifest)
        try:
            if isinstance(target, FolderStorage):
                target.put_linked_folder(folder, name, links, last=dataset.manifest_name, if_absent=True)
            else:
                target.put_folder(folder, name, last=dataset.manifest_name, if_absent=True)
        except ConditionFailed:
            raise OutputExists(
                f"{target.location(name)} was written by another meanwhile; nothing was changed."
            ) from None


def _regular_file(storage: Storage, key: str) -> Path:
    """Return the path of a file of a dataset's folder, links within it resolved.

    Raises:
        PathEscapes: it is a link that leads out of the dataset.
        ObjectNotFound: there is no such file.
    """
    storage.entry(key)
    path = Path(storage.uri, key).resolve()
    if not path.is_file():
        raise ObjectNotFound(f"{storage.location(key)} is not a regular file; add the file, or remove its rows.")
    return path
