"""Agreement on the patches of a dataset, from the answers in a store."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd

from steel_training.data.dataset import find_dataset, groups_of
from steel_training.errors import UsageError
from steel_training.labels.agreement import Agreement, agreements
from steel_training.labels.answers import read_answers
from steel_training.labels.audit import read_labels
from steel_training.storage import ObjectNotFound, open_storage


class CannotCompare(UsageError):
    """There are no blind answers about the dataset, or the scores are not those of a run; the message says which."""


def dataset_agreement(
    uri: str, store: str, *, scores: str | None = None, threshold: float | None = None
) -> list[Agreement]:
    """Compare labels, reviewers and a model on the patches of a dataset that were answered blind.

    Args:
        uri: folder or S3 prefix; of dated versions the newest is taken. Answers about it count.
        store: with the answers.
        scores: address of `scores.parquet` of a run, for the model's decisions; `None` without a model.
        threshold: from which the model calls a patch defective.

    Raises:
        DatasetNotFound: there is none.
        CannotCompare: no blind answer is about it, or the scores cannot be read.
    """
    dataset = find_dataset(uri)
    own = [answer for answer in read_answers(open_storage(store)) if answer.dataset == dataset.uri]
    manifest = dataset.manifest
    names = manifest["patch_id"].astype(str)
    labels = dict(zip(names, read_labels(manifest).tolist(), strict=True))
    groups = dict(zip(names, groups_of(manifest).astype(str), strict=True))
    model = None if scores is None or threshold is None else _decisions(scores, threshold)
    found = agreements(own, labels, groups, model)
    if not found:
        blind = sum(answer.blind for answer in own)
        raise CannotCompare(
            f"{store} has {len(own):,} answers about {dataset.uri}, {blind:,} of them blind, and none that decides a patch of it. "
            "Answer some patches blind first."
        )
    return found


def _decisions(address: str, threshold: float) -> dict[str, int]:
    folder, slash, name = address.rpartition("/")
    try:
        table = pd.read_parquet(io.BytesIO(open_storage(folder or slash or ".").read(name)))
        called = np.asarray(table["score"] >= threshold, int)
        return dict(zip(table["patch_id"].astype(str), called.tolist(), strict=True))
    except ObjectNotFound:
        raise CannotCompare(f"{address} does not exist; expected STORE/runs/RUN_ID/evaluate/scores.parquet.") from None
    except (KeyError, ValueError, OSError) as error:
        raise CannotCompare(
            f"{address} is no table of scores ({error}); expected the scores.parquet of evaluate."
        ) from None
