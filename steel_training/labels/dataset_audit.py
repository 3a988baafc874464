"""The audit of a dataset on disk or on S3, without a run."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from steel_training.config import Config
from steel_training.data.columns import REQUIRED_COLUMNS
from steel_training.data.dataset import find_dataset, fingerprint, groups_of
from steel_training.data.images import read_batches
from steel_training.data.measurements import BLANK
from steel_training.data.patches import PatchSet, pixel_digest
from steel_training.data.splits import CannotSplit, assign_splits
from steel_training.labels.audit import LabelAudit, audit, read_labels
from steel_training.labels.errors import CannotAudit
from steel_training.labels.out_of_fold import require_enough

_BATCH = 64


@dataclass(frozen=True)
class DatasetAudit:
    """An audit, and what was audited.

    Attributes:
        dataset: URI of the version.
        fingerprint: of the version, files and labels.
        audit: what was found.
    """

    dataset: str
    fingerprint: str
    audit: LabelAudit


def audit_dataset(uri: str, config: Config) -> DatasetAudit:
    """Audit the labels of a dataset.

    Args:
        uri: folder or S3 prefix; of dated versions the newest is taken.
        config: backbone, weights, input size, seed, and shares of the splits that a run would make.

    Raises:
        DatasetNotFound: there is none.
        CannotAudit: the manifest lacks a column or a value, there is too little data, or the features hardly predict the label.
        ImageUnreadable: a patch cannot be decoded.
    """
    dataset = find_dataset(uri)
    patches = dataset.manifest.reset_index(drop=True)
    missing = [name for name in REQUIRED_COLUMNS if name not in patches]
    if missing:
        raise CannotAudit(f"The manifest of {dataset.uri} has no column {', '.join(missing)}; add it first.")
    unfilled = [name for name in REQUIRED_COLUMNS if patches[name].isna().any()]
    if unfilled:
        raise CannotAudit(f"Rows of {dataset.uri} have no {', '.join(unfilled)}; fill it in, or remove the rows.")
    labels = read_labels(patches)
    patches["group"] = groups_of(patches)
    patches["part"] = splits_of_run(patches, config)
    require_enough(labels, patches["group"].to_numpy(str))
    content = fingerprint(dataset)
    found = PatchSet(dataset.storage, tuple(patches["path"]), labels, content)
    patches["pixel_hash"] = _hashes(found)
    # Imported when there is something to compute: it loads TensorFlow.
    from steel_training.labels.features import pooled_features

    features = pooled_features(config, {"all patches": found}, images=len(found), stage="labels audit")
    return DatasetAudit(dataset.uri, content, audit(patches, features, seed=config.data.seed))


def splits_of_run(patches: pd.DataFrame, config: Config) -> pd.Series:
    """Return the splits that a run would use; empty text where it could make none.

    Args:
        patches: the manifest.
        config: seed, and shares of the splits.
    """
    shares = {"val_share": config.data.val_share, "test_share": config.data.test_share}
    try:
        return assign_splits(patches, seed=config.data.seed, **shares)
    except CannotSplit:
        return pd.Series("", index=patches.index, dtype="string")


def _hashes(patches: PatchSet) -> list[str]:
    """Return the hash of the pixels of every patch; empty for blank ones, which are identical without being copies."""
    return [
        pixel_digest(pixels).hex() if pixels.std() >= BLANK else ""
        for batch in read_batches(patches.storage, patches.paths, _BATCH)
        for pixels in batch
    ]
