"""Opens a review of a dataset on disk or on S3 for one reviewer: what `steel-training labels review` shows."""

from __future__ import annotations

import io
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image

from steel_training.config import Config
from steel_training.data.columns import REQUIRED_COLUMNS
from steel_training.data.dataset import Dataset, find_dataset, fingerprint
from steel_training.labels.audit import read_labels
from steel_training.labels.audit_csv import read_audit_csv, read_companion
from steel_training.labels.dataset_audit import splits_of_run
from steel_training.labels.neighbours import Nearest
from steel_training.labels.review.current import CannotReview, require_current
from steel_training.labels.review.made_sheet import all_patches, sheet_of, with_pictures
from steel_training.labels.review.own_answers import OwnAnswers
from steel_training.labels.review.queue import TEST, blind, suspects_of, worst_first
from steel_training.labels.review.review import Review
from steel_training.labels.review.sheet import SheetPatch
from steel_training.storage import StorageError, open_storage

LONGEST_NAME = 100


@dataclass(frozen=True)
class Choice:
    """Which patches are reviewed, and how.

    Attributes:
        audit: CSV file of `labels audit`; None without one.
        blind: whether label and score are hidden.
        controls: random other patches of a blind review; None: as many as suspects.
        seed: of a blind review.
        first: how many of the worst labels; None: the suspects.
        split: only patches of this split; None: of all.
    """

    audit: Path | None = None
    blind: bool = False
    controls: int | None = None
    seed: int = 0
    first: int | None = None
    split: str | None = None


@dataclass(frozen=True)
class Chosen:
    """Patches to review.

    Attributes:
        dataset: that they are of.
        fingerprint: of the dataset.
        known: label of every patch of the dataset.
        patches: to review, in their order.
        nearest: neighbours of some of them, by patch.
    """

    dataset: Dataset
    fingerprint: str
    known: Mapping[str, int]
    patches: Sequence[SheetPatch]
    nearest: Mapping[str, Nearest]


def open_review(uri: str, store: str, reviewer: str, choice: Choice, config: Config, *, key: bytes) -> Review:
    """Open a review.

    Args:
        uri: folder or S3 prefix; of dated versions the newest is taken.
        store: for the answers.
        reviewer: name of the person.
        choice: of patches.
        config: of the splits, where neither audit nor manifest has them.
        key: secret of the names under which patches are sent.

    Raises:
        DatasetNotFound: there is none.
        CannotReview: the choice cannot be made, the dataset changed since the audit or since answers were given, or nothing is left.
        AuditUnreadable: the file of the audit is none.
        AnswerInvalid: an answer in the store was edited by hand and cannot be read.
    """
    require_name(reviewer)
    found = choose(uri, choice, config)
    answers = OwnAnswers(open_storage(store), found.dataset.uri, found.fingerprint, reviewer)
    require_current(answers, found.dataset.uri, found.fingerprint)
    _require_known(found.known, answers, found.dataset.uri, store)
    storage, manifest = found.dataset.storage, found.dataset.manifest
    shown = with_pictures(found.patches, manifest, _size(found.dataset), found.nearest)
    sheet = sheet_of(storage, found.dataset.manifest_name, found.fingerprint, shown)
    return Review(sheet, shown, answers, storage, blind=choice.blind, key=key)


def require_name(reviewer: str) -> None:
    """Refuse what cannot be the name of a reviewer.

    Raises:
        CannotReview: it is empty, too long, or not printable.
    """
    if not reviewer.strip() or len(reviewer) > LONGEST_NAME or not reviewer.isprintable():
        raise CannotReview(
            f"--reviewer {reviewer!r:.120} is no name; expected up to {LONGEST_NAME} printable characters."
        )


def choose(uri: str, choice: Choice, config: Config) -> Chosen:
    """Find the patches to review, in their order.

    Args:
        uri: folder or S3 prefix; of dated versions the newest is taken.
        choice: of patches.
        config: of the splits, where neither audit nor manifest has them.

    Raises:
        DatasetNotFound: there is none.
        CannotReview: the choice cannot be made, the dataset changed since the audit, or nothing is left.
        AuditUnreadable: the file of the audit is none.
    """
    dataset = find_dataset(uri)
    missing = [name for name in REQUIRED_COLUMNS if name not in dataset.manifest]
    if missing:
        raise CannotReview(f"The manifest of {dataset.uri} has no column {', '.join(missing)}; add it first.")
    labels = read_labels(dataset.manifest)
    content = fingerprint(dataset)
    names = dataset.manifest["patch_id"].astype(str)
    known = dict(zip(names, labels.tolist(), strict=True))
    if len(known) < len(names):
        raise CannotReview(
            f"{len(names) - len(known):,} rows of {dataset.uri} have a patch_id that another row has; correct them first."
        )
    if choice.audit:
        table, nearest = _audited(dataset, content, known, choice.audit)
    else:
        table, nearest = _unaudited(dataset, known, config), {}
    return Chosen(dataset, content, known, _queue(all_patches(dataset.manifest, table), choice), nearest)


def _audited(
    dataset: Dataset, content: str, known: dict[str, int], path: Path
) -> tuple[pd.DataFrame, dict[str, Nearest]]:
    """Return the table of the audit, and the neighbours beside it, if both are of this dataset.

    Raises:
        CannotReview: they are not.
    """
    table = read_audit_csv(path, known)
    beside = read_companion(path)
    again = f"Run 'steel-training labels audit {dataset.uri} --out FILE.csv' again."
    if beside is not None and beside[0] != content:
        raise CannotReview(
            f"{dataset.uri} changed since {path} was written (fingerprint {beside[0][:12]}…, now {content[:12]}…). {again}"
        )
    unknown = [name for name in table["patch_id"] if name not in known]
    if unknown:
        raise CannotReview(
            f"{path} names {len(unknown):,} patches that {dataset.uri} does not have, such as {unknown[0]!r}. {again}"
        )
    if table["patch_id"].duplicated().any():
        raise CannotReview(f"{path} names {table['patch_id'][table['patch_id'].duplicated()].iloc[0]!r} twice. {again}")
    other = [name for name, label in zip(table["patch_id"], table["label"], strict=True) if known[name] != label]
    if other:
        raise CannotReview(
            f"{dataset.uri} changed since {path} was written: {len(other):,} labels differ, such as that of {other[0]!r}. {again}"
        )
    return table, beside[1] if beside is not None else {}


def _unaudited(dataset: Dataset, known: dict[str, int], config: Config) -> pd.DataFrame:
    splits = splits_of_run(dataset.manifest, config).astype(str).tolist()
    return pd.DataFrame({"patch_id": list(known), "label": list(known.values()), "split": splits})


def _queue(patches: Sequence[SheetPatch], choice: Choice) -> list[SheetPatch]:
    """Return the chosen patches in their order.

    Raises:
        CannotReview: there are none, or the choice lacks an audit or a number.
    """
    if choice.split is not None:
        found = sorted({patch.split for patch in patches})
        patches = [patch for patch in patches if patch.split == choice.split]
        if not patches:
            raise CannotReview(f"No patch is in the split {choice.split!r}; there are {', '.join(map(repr, found))}.")
    if choice.audit is None and (not choice.blind or choice.first is not None):
        raise CannotReview(
            "The worst labels are known from an audit only. Give --audit FILE.csv (steel-training labels audit DATASET --out FILE.csv), or "
            "read random patches: --blind --controls N."
        )
    if not choice.blind:
        if choice.controls is not None:
            raise CannotReview("--controls are for a blind review; add --blind, or leave --controls away.")
        queue = worst_first(patches, first=choice.first)
        if not queue:
            hidden = sum(patch.split == TEST for patch in suspects_of(patches, choice.first))
            raise CannotReview(
                f"Nothing to review: outside the test split no label is more likely wrong than right. {hidden:,} in the test split are; they "
                "are read with --blind. --first N takes the worst N labels."
            )
        return queue
    if choice.audit is None and choice.controls is None:
        raise CannotReview("Without an audit, say how many random patches are read: --blind --controls N.")
    controls = len(suspects_of(patches, choice.first)) if choice.controls is None else choice.controls
    queue = blind(patches, controls=controls, seed=choice.seed, first=choice.first)
    if not queue:
        raise CannotReview("Nothing to review: no label is suspected. Read random patches: --controls N.")
    return queue


def _require_known(known: Container[str], answers: OwnAnswers, dataset: str, store: str) -> None:
    """Refuse a store with answers about patches that the dataset does not have.

    Raises:
        CannotReview: there are some: `labels apply` would refuse them, and with them those to come.
    """
    about = answers.patches() | {answer.patch_id for answer in answers.others if answer.dataset == dataset}
    unknown = sorted(patch_id for patch_id in about if patch_id not in known)
    if unknown:
        raise CannotReview(
            f"Answers in {store} are about {len(unknown):,} patches that {dataset} does not have, such as {unknown[0]!r}: 'labels apply' "
            "would refuse them. Restore the file of answers, or remove the lines."
        )


def _size(dataset: Dataset) -> tuple[int, int]:
    """Return width and height of the dataset's patches, from the first that can be read; all are of one size by contract."""
    for path in dataset.manifest["path"].astype(str).head(20):
        try:
            with Image.open(io.BytesIO(dataset.storage.read(path)), formats=("PNG", "JPEG", "BMP", "TIFF")) as image:
                return image.size
        except (OSError, SyntaxError, ValueError, StorageError, Image.DecompressionBombError):
            continue
    raise CannotReview(f"None of the first patches of {dataset.uri} can be read as an image; check the dataset.")
