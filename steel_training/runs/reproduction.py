"""Reproducing a version: the command, and whether two versions were judged on the same patches."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from steel_training.config import Config, as_yaml, settings
from steel_training.data.splits import TEST
from steel_training.storage.json_types import Json

NEW_STORE = "NEW_STORE"
"""Placeholder for an empty store: in the store of the version the run would end as `unchanged`."""


def command(dataset: str, config: Config, weights: Mapping[str, str | bool]) -> list[str]:
    """Return the command that reproduces a model, as words, given the code and packages of the lineage.

    Args:
        dataset: URI of the dataset version itself, so that a later version is not taken instead.
        config: of the run. The section `publish` is left out: it does not change the model.
        weights: what the backbone started from (`LoadedWeights` as JSON). The weights actually used are named, so that
            `auto` does not choose others on another machine.

    Example:
        >>> command("/data/2026-11-24", Config(), {"source": "steel"})[-2:]
        ['--set', 'model.weights=steel']
    """
    words = ["steel-training", "run", dataset, "--store", NEW_STORE]
    for key, value in _differing(config, weights):
        words += ["--set", f"{key}={as_yaml(value)}"]
    return words


def command_line(words: list[str]) -> str:
    """Return the words as one line to paste into a shell."""
    return shlex.join(words)


def part_hash(profile: pd.DataFrame) -> str:
    """Return SHA-256 of the files and labels of the test split, in any order: equal where two runs judged on the same patches.

    Args:
        profile: one row per patch, with `part`, `label` and `file_hash`.
    """
    test = profile[profile["part"] == TEST]
    rows = sorted(f"{label} {digest}" for label, digest in zip(test["label"], test["file_hash"], strict=True))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


@cache
def _keys() -> tuple[str, ...]:
    """Return the dotted key of every setting; to list them makes all of their JSON Schema."""
    return tuple(key for key, _ in settings())


def _differing(config: Config, weights: Mapping[str, str | bool]) -> Iterator[tuple[str, Json]]:
    ours, defaults = config.model_dump(mode="json"), Config().model_dump(mode="json")
    for key in _keys():
        if key.startswith("publish."):
            continue
        value = _at(ours, key)
        if key == "model.weights":
            value = _found(str(value), str(weights["source"]))
        if value != _at(defaults, key):
            yield key, value


def _found(wanted: str, source: str) -> str:
    if source != "file":
        return source
    return wanted if "://" in wanted else str(Path(wanted).absolute())


def _at(values: Mapping[str, Any], dotted: str) -> Any:
    found: Any = values
    for name in dotted.split("."):
        found = found[name]
    return found
