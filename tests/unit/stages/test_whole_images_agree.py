"""What `predict` says of the whole images of a test split is what the report says of them: score, decision, patches, counts.

Real stages from an ingest to a published version, but for the training: a network set by hand, to which dark is defective.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from steel_training.bundle.input_record import InputRecord
from steel_training.cli import main
from steel_training.data.image_cut import ImageCut
from steel_training.runs.artifacts import BASELINE, MODEL, PATCHES, SCORES, table_of
from steel_training.runs.result import StageResult
from steel_training.runs.run import Run
from steel_training.serving.prediction import Scored, predict
from steel_training.stages import perform
from steel_training.storage import open_storage

SOURCES, WIDTH, HEIGHT, PATCH = 36, 108, 76, 24
LOW = {"gate.recall": 0.1, "gate.precision": 0.1, "gate.f2": 0.1, "gate.auc": 0.5, "gate.resamples": 100}
SETTINGS = {"model.weights": "none", "data.input_size": 32, "data.test_share": 0.35, **LOW}
SIDEWAYS = 6
"""An EXIF orientation: viewers rotate the stored pixels to the right."""


class Judged(NamedTuple):
    run: Run
    rows: list[Scored]
    """What `predict` says of the images of the test split."""
    patches: pd.DataFrame
    """The patches of the test split: source_id, x, y, label, score."""
    counts: dict[str, int]
    """Of source images, in the report."""


def steel(number: int) -> tuple[np.ndarray, np.ndarray]:
    """An image in colour, uint8 (height, width, 3), and its mask; a third of them has a dark square."""
    random = np.random.default_rng(number)
    pixels = random.normal((170, 140, 110), 6, (HEIGHT, WIDTH, 3)) + random.normal(0, 3)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    if number % 3 == 0:
        x, y = 8 * random.integers(0, 11), 8 * random.integers(0, 7)
        mask[y : y + 16, x : x + 16] = 1
        pixels[mask == 1] -= 90
    return np.clip(pixels, 0, 255).astype(np.uint8), mask


def as_masks(folder: Path) -> list[str]:
    """Writes images and masks, every fifth image sideways; returns the words of the ingest."""
    for number in range(SOURCES):
        pixels, mask = steel(number)
        image, exif = Image.fromarray(pixels), Image.Exif()
        if number % 5 == 0:
            image, exif[0x0112] = image.transpose(Image.Transpose.ROTATE_90), SIDEWAYS
        image.save(folder / "images" / f"{number:02d}.jpg", quality=95, exif=exif)
        Image.fromarray(mask).save(folder / "masks" / f"{number:02d}.png")
    return ["masks", str(folder / "images"), str(folder / "masks"), "--names", "1=pit"]


def as_severstal(folder: Path) -> list[str]:
    """Writes images and a table of run lengths; half of the images end in black, as where the strip ends."""
    rows = ["ImageId,ClassId,EncodedPixels"]
    for number in range(SOURCES):
        pixels, mask = steel(number)
        if number % 2 == 0:
            pixels[:, WIDTH - 30 :], mask[:, WIDTH - 30 :] = 0, 0
        Image.fromarray(pixels).save(folder / "images" / f"{number:02d}.png")
        ends = np.flatnonzero(np.diff(np.concatenate([[0], mask.T.ravel(), [0]])))
        runs = " ".join(f"{start + 1} {end - start}" for start, end in ends.reshape(-1, 2))
        rows.append(f"{number:02d}.png,{1 if runs else ''},{runs}")
    (folder / "train.csv").write_text("\n".join(rows) + "\n")
    return ["severstal", str(folder / "images"), str(folder / "train.csv")]


FORMATS: dict[str, tuple[Callable[[Path], list[str]], ImageCut]] = {
    "masks": (as_masks, ImageCut(PATCH, 16)),
    "masks, the plain grid": (as_masks, ImageCut(PATCH, 20, cover_edges=False)),
    "severstal": (as_severstal, ImageCut(PATCH, 12, min_contrast=1.0, grey=True)),
}


def network(slope: float) -> Any:
    """Scores a patch by its darkest places."""
    import keras

    pixels = keras.Input((32, 32, 3))
    dark = keras.layers.Rescaling(-1.0, offset=255.0)(keras.layers.AveragePooling2D(4)(pixels))
    darkest = keras.layers.GlobalMaxPooling2D()(dark)
    dense = keras.layers.Dense(1, activation="sigmoid")
    model = keras.Model(pixels, dense(darkest))
    dense.set_weights([np.full((3, 1), slope / 3), np.array([-slope * 150.0])])
    return model


@pytest.fixture(scope="module", params=FORMATS)
def judged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    write, as_cut = FORMATS[request.param]
    folder = tmp_path_factory.mktemp("whole")
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    edges = "cover" if as_cut.cover_edges else "leave"
    rule = ["--patch", str(PATCH), "--stride", str(as_cut.stride), "--edges", edges, "--defective-min", "0.0001"]
    assert main(["ingest", *write(folder)[:3], str(folder / "data"), *write(folder)[3:], *rule]) == 0
    store = open_storage(folder / "store")
    words = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    at = ["--run-id", "run", "--store", store.uri]
    assert main(["resolve_dataset", *at, "--dataset", str(folder / "data"), *words]) == 0
    assert main(["profile_patches", *at]) == 0
    run = Run(store, "run")
    weights = {"source": "none", "detail": "set by hand", "random": False}

    def leave(stage: str, after: str, trained: Any, name: str) -> None:
        def work(target: Path) -> StageResult:
            if trained is not None:
                trained.save(target / name)
            outputs = {"weights": weights, "history": {}, "probes": [], "metrics": {}, "machine": {}}
            return StageResult(stage, outputs=outputs)

        run.perform(stage, run.after(after), work)

    leave("check_baseline", "profile_patches", network(slope=-0.1), BASELINE)
    leave("train_head", "check_baseline", None, MODEL)
    leave("fine_tune", "train_head", network(slope=0.1), MODEL)
    for stage in ("evaluate", "verify_bundle", "decide"):
        decided = perform(stage, run)
    assert decided.outputs["publish"], decided.reasons
    perform("publish_model", run)

    scores = table_of(run, "evaluate", SCORES).query("part == 'test'")
    patches = scores.merge(table_of(run, "resolve_dataset", PATCHES)[["patch_id", "x", "y"]], on="patch_id")
    assert len(patches) == len(scores) > 100
    suffix = ".jpg" if (folder / "images" / "00.jpg").exists() else ".png"
    images = [str(folder / "images" / f"{source}{suffix}") for source in sorted(set(patches["source_id"]))]
    rows = predict(run.registry, images)
    assert InputRecord.read(folder / "store/runs/run/evaluate/bundle").cut == as_cut
    return Judged(run, rows, patches, run.result("evaluate").outputs["sources"]["counts"])


def test_score_and_decision_of_an_image_are_those_of_the_report(judged: Judged) -> None:
    highest = judged.patches.groupby("source_id")["score"].max()
    found = {Path(row["image"]).stem: row["score"] for row in judged.rows}
    assert found == pytest.approx(highest.to_dict(), abs=2e-6)

    labels = judged.patches.groupby("source_id")["label"].max()
    decided = pd.Series({Path(row["image"]).stem: row["label"] for row in judged.rows})
    assert 0 < decided.sum() < len(decided)
    assert judged.counts == {
        "tp": int(((labels == 1) & (decided == 1)).sum()),
        "fp": int(((labels == 0) & (decided == 1)).sum()),
        "fn": int(((labels == 1) & (decided == 0)).sum()),
        "tn": int(((labels == 0) & (decided == 0)).sum()),
    }


def test_patches_of_an_image_are_those_of_the_dataset(judged: Judged) -> None:
    for row in judged.rows:
        known = judged.patches[judged.patches["source_id"] == Path(row["image"]).stem]
        assert row["cut"] - row["blank"] == len(known)
        reaching = known[known["score"] >= row["threshold"]].sort_values(["y", "x"])
        assert [(patch["x"], patch["y"]) for patch in row["patches"]] == list(
            zip(reaching["x"], reaching["y"], strict=True)
        )
        assert [patch["score"] for patch in row["patches"]] == pytest.approx(reaching["score"].tolist(), abs=2e-6)
