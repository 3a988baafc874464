"""The reviews that people have open, kept between requests; each API server process opens them for itself."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict

from airflow.api_fastapi.auth.tokens import get_signing_key

from models_page.reviewable import Mode, sheet_key
from models_page.safe_files import checked, read
from models_page.store import LIMITS, open_store
from steel_training.environment import Environment
from steel_training.errors import SteelTrainingError
from steel_training.labels.review.current import CannotReview, require_current
from steel_training.labels.review.own_answers import OwnAnswers
from steel_training.labels.review.queue import blind, worst_first
from steel_training.labels.review.review import Review
from steel_training.labels.review.sheet import Sheet, SheetPatch, SheetUnreadable
from steel_training.storage import ObjectNotFound, Storage, StorageUnavailable, open_dataset
from steel_training.storage.roots import require_below

_MOST_OPEN = 32
_FEWEST_CONTROLS = 20


class DatasetUnavailable(SteelTrainingError):
    """The dataset of a run does not answer. Not a `StorageUnavailable`, which would stand for the store of the page."""


_open: OrderedDict[tuple[str, str, Mode, str], Review] = OrderedDict()
_lock = threading.Lock()


def opened(run_id: str, mode: Mode, reviewer: str) -> Review:
    """Return the review of a person, opened at the first request.

    Raises:
        ObjectNotFound: the run was not audited, or by an earlier version.
        SheetUnreadable: what the audit left is damaged.
        OutsideOfRoots: the dataset is outside of the configured roots.
        CannotReview: the dataset changed since the audit or since answers were given, or nothing is to be reviewed.
        AnswerInvalid: an answer in the store was edited by hand.
        DatasetUnavailable: the dataset does not answer.
    """
    store = open_store()
    place = (store.uri, run_id, mode, reviewer)
    with _lock:
        found = _open.get(place)
        if found is not None:
            _open.move_to_end(place)
            return found
    made = _opened(store, run_id, mode, reviewer)
    with _lock:
        # Of two requests that opened it at once, both get the same one.
        kept = _open.setdefault(place, made)
        while len(_open) > _MOST_OPEN:
            _open.popitem(last=False)
        return kept


def read_picture(review: Review, name: str) -> tuple[bytes, str]:
    """Return a picture and its media type; see `Pictures.read`.

    Raises:
        DatasetUnavailable: the dataset does not answer.
    """
    try:
        return review.pictures.read(name)
    except StorageUnavailable as error:
        raise DatasetUnavailable(str(error)) from error


def _opened(store: Storage, run_id: str, mode: Mode, reviewer: str) -> Review:
    sheet = _sheet(store, run_id)
    environment = Environment.read()
    roots = environment.roots or ((environment.dataset,) if environment.dataset else ())
    if not roots:
        raise CannotReview(
            "The API server may not read datasets: set STEEL_TRAINING_ROOTS (or STEEL_TRAINING_DATASET) for it, to the folders or s3:// "
            "prefixes that hold them."
        )
    require_below(roots, "The run's dataset", sheet.dataset)
    dataset = open_dataset(sheet.dataset, LIMITS)
    _require_unchanged(dataset, sheet)
    answers = OwnAnswers(store, sheet.dataset, sheet.fingerprint, reviewer)
    require_current(answers, sheet.dataset, sheet.fingerprint)
    patches = _queue(sheet, mode)
    if not patches:
        raise CannotReview(
            "Nothing to review: outside the test split no label is more likely wrong than right. Review blind."
        )
    secret = hashlib.sha256(f"review {sheet.fingerprint} {get_signing_key('api', 'secret_key')}".encode()).digest()
    return Review(sheet, patches, answers, dataset, blind=mode is Mode.BLIND, key=secret)


def _queue(sheet: Sheet, mode: Mode) -> list[SheetPatch]:
    if mode is Mode.WORST:
        return worst_first(sheet.patches)
    controls = max(_FEWEST_CONTROLS, sum(patch.suspect for patch in sheet.patches))
    # The same patches in the same order for everybody, so that reviewers can be compared.
    return blind(sheet.patches, controls=controls, seed=int(sheet.fingerprint[:8], 16))


def _sheet(store: Storage, run_id: str) -> Sheet:
    try:
        return Sheet.from_dict(json.loads(read(store, checked(sheet_key(run_id)))))
    except ObjectNotFound:
        raise ObjectNotFound(
            f"The run {run_id} has no labels to review: it was not audited, or by an earlier version of steel-training."
        ) from None
    except ValueError as error:
        raise SheetUnreadable(
            f"The list of patches to review of {run_id} is damaged ({error}); run the audit again."
        ) from None


def _require_unchanged(dataset: Storage, sheet: Sheet) -> None:
    """Refuse a dataset whose manifest changed since the audit. Its images are compared by `labels apply`.

    Raises:
        CannotReview: it changed, or is gone.
        DatasetUnavailable: it does not answer.
    """
    try:
        content = dataset.read(sheet.manifest)
    except ObjectNotFound:
        raise CannotReview(
            f"{sheet.dataset} is gone, or the API server does not see it. Restore it, or mount it there."
        ) from None
    except StorageUnavailable as error:
        raise DatasetUnavailable(str(error)) from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != sheet.manifest_md5:
        raise CannotReview(f"{sheet.dataset} changed since this run audited it. Review the labels of a later run.")
