"""A dataset of 60 patches on 12 source images, with the file that an audit of it leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from steel_training.config import Config
from steel_training.data.dataset import find_dataset, fingerprint
from steel_training.labels.audit_csv import write_audit_csv, write_companion
from steel_training.labels.neighbours import Nearest
from steel_training.labels.review.opened import Choice, open_review
from steel_training.labels.review.review import Review

SUSPECTS = ["p0003", "p0010", "p0021", "p0030"]
"""Worst first; the last is of the test split."""


@pytest.fixture
def data(tmp_path: Path, make_dataset: Callable[..., Path]) -> Path:
    """The dataset: five patches of 48 pixels side by side in a source image; the last fifth is the test split."""
    folder = make_dataset(tmp_path / "data" / "2026-01-01", patches=60)
    manifest = pd.read_csv(folder / "manifest.csv")
    place = manifest.index % 5
    split = ["test" if row >= 30 and row < 42 else "train" for row in manifest.index]
    manifest.assign(x=48 * place, y=0, split=split).to_csv(folder / "manifest.csv", index=False)
    return folder


@pytest.fixture
def audit_file(data: Path, tmp_path: Path) -> Path:
    """What `labels audit` writes, with the labels of `SUSPECTS` doubted."""
    manifest = pd.read_csv(data / "manifest.csv")
    rank = {name: place for place, name in enumerate(SUSPECTS)}
    table = manifest.assign(
        suggested=manifest["label"].where(~manifest["patch_id"].isin(SUSPECTS), 1 - manifest["label"]),
        quality=[0.01 + 0.1 * rank[name] if name in rank else 0.99 for name in manifest["patch_id"]],
        score=0.5,
        group=manifest["group_id"],
        neighbours=0.1,
        copy=False,
    ).sort_values("quality", kind="stable")
    write_audit_csv(tmp_path / "audit.csv", table)
    nearest = {name: Nearest(("p0001", "p0002"), ("p0006",)) for name in SUSPECTS[:3]}
    write_companion(tmp_path / "audit.csv", fingerprint(find_dataset(str(data))), nearest)
    return tmp_path / "audit.csv"


@pytest.fixture
def begin(data: Path, audit_file: Path, tmp_path: Path) -> Callable[..., Review]:
    """Opens a review of the dataset: begin("Ada", blind=True, …)."""

    def begin(reviewer: str = "Ada", **choice: object) -> Review:
        chosen = Choice(**{"audit": audit_file, **choice})
        return open_review(str(data), str(tmp_path / "store"), reviewer, chosen, Config(), key=b"secret")

    return begin
