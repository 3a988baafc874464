"""Finds the dataset version and splits it; a run with nothing new ends here as `unchanged`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from steel_training.config import Config
from steel_training.data.columns import slice_columns
from steel_training.data.dataset import Dataset, find_dataset, fingerprint, groups_of, listed
from steel_training.data.grey_range import as_record, recorded_range
from steel_training.data.image_cut import recorded_cut
from steel_training.data.splits import SPLITS, CannotSplit, assign_splits
from steel_training.registry import Registry
from steel_training.registry.stored import Decision
from steel_training.runs import provenance
from steel_training.runs.artifacts import PATCHES
from steel_training.runs.resolved import ResolvedDataset
from steel_training.runs.result import StageResult, Status
from steel_training.runs.run import Run
from steel_training.storage.json_types import Json
from steel_training.storage.roots import require_below_roots
from steel_training.training.weights_source import WORDS, check_weights
from steel_training.verdict import OVERTAKEN, Reason

log = logging.getLogger(__name__)

_MADE_FROM = ("fingerprint", "configuration", "code")


@dataclass(frozen=True)
class Request:
    """What a run was asked for; only `resolve_dataset` reads it, later stages read the run's record."""

    dataset: str
    config: Config
    as_of: date | None = None


def resolve_dataset(run: Run, request: Request) -> StageResult:
    """Find the dataset version, split it, and end the run as `unchanged` where its last verdict still stands."""
    require_below_roots("dataset", request.dataset)
    if request.config.model.weights not in WORDS:
        require_below_roots("model.weights", request.config.model.weights)
    check_weights(request.config.model.weights, request.config.model.backbone)
    dataset = find_dataset(request.dataset, as_of=request.as_of)
    _tell(dataset, request.as_of)
    slice_columns(dataset.manifest, request.config.slices.columns)  # report a misspelt one now, not after hours
    grey_range, image_cut = as_record(recorded_range(dataset.storage)), recorded_cut(dataset.storage)
    content, code = fingerprint(dataset), provenance.code_revision()
    identity: dict[str, Json] = {
        "dataset": dataset.uri,
        "fingerprint": content,
        "config": request.config.model_dump(mode="json"),
        "code": code,
    }

    def work(folder: Path) -> StageResult:
        config, patches = request.config, dataset.manifest.copy()
        problem = None
        try:
            split = assign_splits(
                patches, seed=config.data.seed, val_share=config.data.val_share, test_share=config.data.test_share
            )
        except CannotSplit as error:
            problem, split = str(error), pd.Series("", index=patches.index, dtype="string")
        patches["part"] = split
        patches["group"] = groups_of(patches) if "source_id" in patches else ""
        patches.to_parquet(folder / PATCHES, index=False)
        previous = None if config.publish.force else _same_as_last(run, request.config, identity)
        if previous is not None:
            log.info("nothing changed since run %s (%s)", previous["run_id"], previous["verdict"])
        resolved = ResolvedDataset(
            dataset=dataset.uri,
            version=dataset.version,
            passed_over=dataset.passed_over,
            fingerprint=content,
            config=config,
            code=code,
            patches=len(patches),
            groups=int(patches["group"].nunique()),
            parts=_split_sizes(patches) if problem is None else {},
            split_problem=problem,
            logical_date=request.as_of.isoformat() if request.as_of else None,
            previous=previous,
            # Fixed here: a continued run is compared with the champion that it began with.
            champion=Registry(run.store, config.model.name).champion()[0],
            grey_range=grey_range,
            cut=image_cut.as_record() if image_cut else None,
            packages=provenance.package_versions(),
        )
        return StageResult(
            "resolve_dataset",
            status=Status.UNCHANGED if previous else Status.DONE,
            reasons=tuple(Reason.from_dict(reason) for reason in previous.get("reasons", ())) if previous else (),
            outputs=resolved.to_dict(),
        )

    return run.perform("resolve_dataset", identity, work)


def _tell(dataset: Dataset, as_of: date | None) -> None:
    """Log which version is taken, and what beside it may have been meant."""
    if dataset.version is not None:
        log.info("dataset version %s%s: %s", dataset.version, f", as of {as_of}" if as_of else "", dataset.uri)
    if dataset.passed_over:
        log.warning("passed over: %s", listed(dataset.passed_over))


def _same_as_last(run: Run, config: Config, identity: Mapping[str, Json]) -> Decision | None:
    """Return the last verdict, where it was made from the same data, configuration and code.

    A backfilled run does not move the champion, so its verdict does not count for a run that may. Conversely, a
    backfilled run has nothing to add to any verdict on the same data.
    """
    others = [each for each in Registry(run.store, config.model.name).decisions() if each["run_id"] != run.run_id]
    # A run that was overtaken must run again, and one that ended before its promotion has no verdict that stands.
    others = [each for each in others if all(reason["code"] not in OVERTAKEN for reason in each.get("reasons", ()))]
    if config.publish.promote:
        others = [each for each in others if each.get("promote", True)][-1:]
    wanted = (identity["fingerprint"], config.fingerprint(), identity["code"])
    same = [each for each in others if tuple(each.get(name) for name in _MADE_FROM) == wanted]
    return same[-1] if same else None


def _split_sizes(patches: pd.DataFrame) -> dict[str, dict[str, int]]:
    labels = pd.to_numeric(patches["label"], errors="coerce")
    return {
        split: {
            "clean": int(((patches["part"] == split) & (labels == 0)).sum()),
            "defective": int(((patches["part"] == split) & (labels == 1)).sum()),
            "groups": int(patches.loc[patches["part"] == split, "group"].nunique()),
        }
        for split in SPLITS
    }
