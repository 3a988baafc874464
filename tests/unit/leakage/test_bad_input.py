"""Whatever a dataset contains, the result is a verdict with a named reason or a usage error, never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from steel_training.cli import main
from steel_training.runs.run import Run
from steel_training.storage import open_storage

Make = Callable[..., Path]


def rewritten(folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Path:
    rows = pd.read_csv(folder / "manifest.csv", dtype={"source_id": "string", "group_id": "string"})
    change(rows).to_csv(folder / "manifest.csv", index=False)
    return folder


def repainted(folder: Path, paint: Callable[[np.ndarray], np.ndarray]) -> Path:
    for path in folder.rglob("*.png"):
        Image.fromarray(paint(np.asarray(Image.open(path)))).save(path)
    return folder


def judged(dataset: Path, store: Path, *settings: str) -> tuple[str, int, set[str]]:
    """Does the stages up to the baseline check: the last one, its exit code and its reasons."""
    at = ["--run-id", "bad", "--store", str(store)]
    small = ("baseline.input_size=32", "baseline.epochs=1", "baseline.min_steps=0", "model.weights=none", *settings)
    request = ["--dataset", str(dataset), *(word for setting in small for word in ("--set", setting))]
    last, code = "", 0
    for last, *words in (["resolve_dataset", *request], ["profile_patches"], ["validate_patches"], ["check_baseline"]):
        code = main([last, *words, *at])
        if code:
            break
    result = Run(open_storage(store), "bad").find_result(last)
    return last, code, {reason.code for reason in result.reasons} if result else set()


BLOCKED_BY_DATA: dict[str, tuple[Callable[[Make, Path], Path], str]] = {
    "one group": (
        lambda make, at: rewritten(make(at), lambda rows: rows.assign(group_id="coil")),
        "data.both_classes_in_every_split",
    ),
    "one photograph": (
        lambda make, at: rewritten(make(at), lambda rows: rows.assign(source_id="photo").drop(columns="group_id")),
        "data.both_classes_in_every_split",
    ),
    "ten patches": (lambda make, at: make(at, patches=10), "data.row_count"),
    "no patch": (lambda make, at: rewritten(make(at, patches=10), lambda rows: rows.iloc[:0]), "data.row_count"),
    "all black": (lambda make, at: repainted(make(at), np.zeros_like), "data.contrast"),
    "all of one grey": (lambda make, at: repainted(make(at), lambda pixels: np.full_like(pixels, 120)), "data.contrast"),
    "one pixel each": (lambda make, at: repainted(make(at), lambda pixels: pixels[:1, :1]), "data.contrast"),
    "labels that are no numbers": (
        lambda make, at: rewritten(make(at), lambda rows: rows.assign(label=np.where(rows["label"], "bad", "good"))),
        "data.labels",
    ),
    "labels missing": (lambda make, at: rewritten(make(at), lambda rows: rows.assign(label=np.nan)), "data.labels"),
    "ids missing": (lambda make, at: rewritten(make(at), lambda rows: rows.assign(source_id=np.nan)), "data.ids_present"),
    "paths that lead nowhere": (
        lambda make, at: rewritten(make(at), lambda rows: rows.assign(path="gone/" + rows["path"])),
        "data.files_present",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BLOCKED_BY_DATA)
def test_unusable_dataset_is_blocked_by_name(
    name: str, tmp_path: Path, make_dataset: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    make, expected = BLOCKED_BY_DATA[name]
    stage, code, reasons = judged(make(make_dataset, tmp_path / "data"), tmp_path / "store")
    assert (stage, code) == ("validate_patches", 4)
    assert expected in reasons
    assert "Traceback" not in capfd.readouterr().err


def test_probes_answer_even_if_validation_is_lenient(
    tmp_path: Path, make_dataset: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    """Patches of one pixel have no signature, no keypoints, no contrast."""
    data = repainted(make_dataset(tmp_path / "data"), lambda pixels: pixels[:1, :1])
    limits = ("validation.min_contrast=0", "validation.max_odd_share=1")
    stage, code, reasons = judged(data, tmp_path / "store", *limits)
    assert (stage, code) in {("validate_patches", 4), ("check_baseline", 5)}, reasons
    assert reasons
    assert "Traceback" not in capfd.readouterr().err


def test_numeric_ids_and_missing_metadata_are_accepted(
    tmp_path: Path, make_dataset: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ids such as 7, 7.0 and 007, and every optional column with gaps: the run gets to the network and judges it."""

    def change(rows: pd.DataFrame) -> pd.DataFrame:
        number = pd.Series(np.arange(len(rows)))
        gaps = number % 3 == 0
        return rows.assign(
            patch_id=number,
            source_id=rows["source_id"].str[5:],
            group_id=rows["group_id"].str[4:].astype(float),
            x=number.where(~gaps),
            y=np.nan,
            line=np.where(gaps, None, "two"),
            captured_at=np.where(gaps, "", "2026-01-05"),
            defect_type=np.nan,
            oven=number.where(gaps).astype(float),
            operator=np.nan,
        )

    data = rewritten(make_dataset(tmp_path / "data"), change)
    stage, code, reasons = judged(
        data, tmp_path / "store", "baseline.epochs=6", "baseline.min_steps=100", "baseline.batch_size=8"
    )
    assert (stage, code, reasons) == ("check_baseline", 0, set())
    patches = pd.read_parquet(tmp_path / "store" / "runs" / "bad" / "resolve_dataset" / "patches.parquet")
    assert "007" in set(patches["source_id"])
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda data: (data / "manifest.csv").unlink(), "no dataset"),
        (lambda data: (data / "manifest.csv").write_bytes(b"\xff\xfe\x00garbage\n\x80"), "cannot be read as a table"),
        (lambda data: (data / "manifest.csv").rename(data / "manifest.parquet"), "cannot be read as a table"),
    ],
    ids=["no manifest", "bytes", "a CSV called Parquet"],
)
def test_unreadable_manifest_is_a_usage_error(
    wrong: Callable[[Path], object], said: str, tmp_path: Path, make_dataset: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    data = make_dataset(tmp_path / "data", patches=10)
    wrong(data)
    assert main(["run", str(data), "--store", str(tmp_path / "store")]) == 2
    output = capfd.readouterr().err
    assert said in output
    assert "Traceback" not in output
