"""`steel-training labels audit` as typed: on drawn strips it ranks the turned labels first, and bad input is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from steel_training.cli import main
from steel_training.evaluation.metrics import average_precision
from steel_training.ingest.synthetic import make_sample

QUICK = ("--set", "model.weights=steel", "--set", "data.input_size=64")


@pytest.fixture(scope="module")
def strips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Drawn strips of which 20 labels are turned, and the ids of these patches."""
    folder = tmp_path_factory.mktemp("strips") / "data"
    make_sample(str(folder), coils=12, photographs_per_coil=2, patch=64)
    manifest = pd.read_csv(folder / "manifest.csv")
    turned = np.random.default_rng(2).choice(len(manifest), 20, replace=False)
    manifest.loc[turned, "label"] = 1 - manifest.loc[turned, "label"]
    manifest.drop(columns="defect_type", errors="ignore").to_csv(folder / "manifest.csv", index=False)
    return folder, list(manifest.loc[turned, "patch_id"])


def test_turned_labels_of_drawn_strips_are_ranked_first(
    strips: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, turned = strips
    before = (folder / "manifest.csv").read_bytes()
    assert main(["labels", "audit", str(folder), "--out", str(tmp_path / "a.csv"), "--json", *QUICK]) == 0
    out, err = capsys.readouterr()
    answer = json.loads(out.splitlines()[-1])
    table = pd.read_csv(tmp_path / "a.csv")
    assert list(table)[:6] == ["patch_id", "label", "suggested", "quality", "score", "group"]
    wrong = table["patch_id"].isin(turned).to_numpy(int)
    assert wrong.sum() == 20
    # At 64 pixels, half of the default, some are missed; in random order it would be 0.03.
    assert average_precision(wrong, -np.arange(len(table), dtype=float)) > 0.5
    assert {"train", "val", "test"} == set(table["split"])
    assert answer["patches"] == len(table)
    assert [each["label"] for each in answer["wrong_labels"]] == [0, 1]
    assert "patches labelled clean" in err
    assert (folder / "manifest.csv").read_bytes() == before, "an audit changes no label"


BAD = {
    "one class": (lambda t: t.assign(label=1), "0 clean patches in 0 groups"),
    "one group": (lambda t: t.assign(group_id="coil"), "in 1 groups"),
    "ten patches": (lambda t: t.head(10), "At least 40 patches"),
    "another label": (lambda t: t.assign(label=t["label"].where(t.index != 3, 7)), "neither 0 nor 1"),
    "no label": (lambda t: t.assign(label=t["label"].astype("Int64").where(t.index != 3)), "have no label"),
    "no column": (lambda t: t.drop(columns="source_id"), "no column source_id"),
    "no patches": (lambda t: t.head(0), "At least 40 patches"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_datasets_are_wrong_use_and_write_nothing(
    case: str, tmp_path: Path, make_dataset: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    change, said = BAD[case]
    data = make_dataset(tmp_path / "data", patches=60)
    change(pd.read_csv(data / "manifest.csv")).to_csv(data / "manifest.csv", index=False)
    assert main(["labels", "audit", str(data), "--out", str(tmp_path / "a.csv")]) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert "Traceback" not in err
    assert not out
    assert not (tmp_path / "a.csv").exists()


def test_existing_file_and_missing_folder_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text("mine")
    assert main(["labels", "audit", "nowhere", "--out", str(tmp_path / "a.csv")]) == 2
    assert "a.csv exists" in capsys.readouterr().err
    assert main(["labels", "audit", "nowhere", "--out", str(tmp_path / "no" / "a.csv")]) == 2
    assert "folder of" in capsys.readouterr().err
    assert (tmp_path / "a.csv").read_text() == "mine"
