"""`steel-training labels agreement` as typed: who is compared with whom, and what is named where nobody can be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from steel_training.cli import main
from steel_training.data.dataset import find_dataset, fingerprint
from steel_training.labels.answers import Answer, Said, append_answers
from steel_training.storage import open_storage

AGREEMENT = ["labels", "agreement"]


@pytest.fixture
def reviewed(tmp_path: Path, make_dataset: Callable[..., Path]) -> tuple[str, str]:
    """A dataset and a store, in which Ada answered 40 patches blind and differs from four labels."""
    found = find_dataset(str(make_dataset(tmp_path / "data", patches=60)))
    given = []
    for number, (name, label) in enumerate(zip(found.manifest["patch_id"], found.manifest["label"], strict=True)):
        said = (Said.CLEAN, Said.DEFECTIVE)[label ^ (number % 10 == 0)]
        given.append(
            Answer(
                found.uri,
                fingerprint(found),
                name,
                said,
                "Ada",
                f"2026-01-02T10:{number:02d}:00+00:00",
                1.0,
                number < 40,
            )
        )
    append_answers(open_storage(tmp_path / "store"), "ada", given)
    return str(tmp_path / "data"), str(tmp_path / "store")


def test_label_and_model_are_compared_with_the_reviewer(
    reviewed: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, store = reviewed
    ids = find_dataset(data).manifest["patch_id"]
    pd.DataFrame({"patch_id": ids, "score": [0.9 if n % 2 else 0.1 for n in range(60)]}).to_parquet(
        tmp_path / "s.parquet"
    )
    capsys.readouterr()
    assert (
        main([*AGREEMENT, data, "--store", store, "--scores", str(tmp_path / "s.parquet"), "--threshold", "0.5"]) == 0
    )
    out, err = capsys.readouterr()
    label, model = json.loads(out)["agreements"]
    assert (label["assessor"], label["patches"], label["agreement"]["value"]) == ("label", 40, 0.9)
    assert model["assessor"] == "model"
    assert "label against Ada, 40 patches" in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--scores", "x.parquet"], "belong together"),
        (["--scores", "no/such/scores.parquet", "--threshold", "0.5"], "does not exist"),
        (["--scores", "manifest.csv", "--threshold", "0.5"], "no table of scores"),
    ],
)
def test_wrong_scores_are_named(
    options: list[str],
    said: str,
    reviewed: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, store = reviewed
    monkeypatch.chdir(data)
    assert main([*AGREEMENT, data, "--store", store, *options]) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert "Traceback" not in err
    assert not out


def test_a_store_without_blind_answers_is_named(
    reviewed: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*AGREEMENT, reviewed[0], "--store", str(tmp_path / "empty")]) == 2
    assert "0 answers about" in capsys.readouterr().err
