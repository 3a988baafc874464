"""What is published answers as what was trained, without this package, on any image file; and serving refuses the rest."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from steel_training.bundle.export import export
from steel_training.bundle.golden import write_golden
from steel_training.bundle.input_record import InputRecord
from steel_training.bundle.lite import export_lite
from steel_training.bundle.verify import ExportDiffers, verify
from steel_training.data.patches import PatchSet
from steel_training.errors import UsageError
from steel_training.registry import Registry, VersionDamaged, VersionNotFound
from steel_training.serving.prediction import ImageNotFound, predict
from steel_training.storage import open_storage
from steel_training.training.inference import as_constants

SIZE, THRESHOLD = 32, 0.4


def picture(seed: int, shape: tuple[int, ...] = (40, 40)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    data = io.BytesIO()
    image.save(data, format=kind)
    return data.getvalue()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, make_small_network: Callable[..., Any]) -> Path:
    """A bundle of a small network, with sixteen golden samples."""
    from steel_training.training.scoring import score

    network = make_small_network(SIZE)
    folder = tmp_path_factory.mktemp("bundle")
    export(network, folder, threshold=THRESHOLD, input_size=SIZE, version="v1")
    store = open_storage(tmp_path_factory.mktemp("patches"))
    files = {}
    for number in range(16):
        kind = ("PNG", "JPEG", "BMP")[number % 3]
        shape = ((40, 40), (40, 40, 3), (64, 50))[number // 6]
        files[f"{number:02d}.{kind.lower()}"] = encoded(picture(number, shape), kind)
    for name, data in files.items():
        store.write(name, data)
    # One size a batch is the contract of a dataset; golden samples here are of several.
    scores = np.concatenate([score(network, PatchSet(store, (name,), np.zeros(1, int), "f")) for name in files])
    write_golden(folder, list(files.items()), scores)
    pixels = np.random.default_rng(5).integers(0, 256, (40, SIZE, SIZE, 3)).astype(np.float32)
    expected = np.asarray(network(pixels))[:, 0]
    export_lite(
        network,
        folder,
        threshold=THRESHOLD,
        validation=(pixels, (expected > np.median(expected)).astype(int), expected),
        golden=(pixels[:16], expected[:16]),
    )
    return folder


HELD = 2_500_000_000
"""Bytes that this process holds while the bundle is verified."""


@pytest.fixture(scope="module")
def measured(exported: Path) -> dict[str, Any]:
    """What the verification measures, started by a process that holds a lot of memory."""
    held = np.ones(HELD // 8)
    found = verify(exported)
    assert held.nbytes == HELD
    return found


def test_clean_process_reproduces_the_scores(measured: dict[str, Any]) -> None:
    assert (measured["golden"], measured["labels_differ"], measured["foreign_modules"]) == (16, 0, [])
    assert measured["max_difference"] <= 1e-4
    assert measured["corrupt_image"] == "refused"
    assert (measured["odd_size_image"], measured["patch"]) == ("scored", None), (
        "its golden samples are of several sizes"
    )
    assert 0 < measured["latency_ms"]["p50"] <= measured["latency_ms"]["p95"]
    assert measured["throughput_per_s"] > 0
    assert measured["memory_mb"] > 100
    lite = measured["lite"]["float"]
    assert (lite["included"], lite["reason"], lite["labels_differ"]) == (True, None, 0)
    assert lite["latency_ms"]["p50"] > 0


@pytest.fixture(scope="module")
def of_patches(tmp_path_factory: pytest.TempPathFactory, make_small_network: Callable[..., Any]) -> Path:
    """A bundle of a network that was trained on patches of 40×30 pixels, with four golden samples."""
    import keras

    from steel_training.training.scoring import score

    folder, store = tmp_path_factory.mktemp("bundle"), open_storage(tmp_path_factory.mktemp("patches"))
    files = {f"{number}.png": encoded(picture(number, (30, 40))) for number in range(4)}
    for name, data in files.items():
        store.write(name, data)
    takes = InputRecord.of(list(files.values()), None)
    export(make_small_network(SIZE), folder, threshold=THRESHOLD, input_size=SIZE, version="v1", takes=takes)
    network = keras.models.load_model(folder / "model.keras", compile=False)
    write_golden(
        folder, list(files.items()), score(network, PatchSet(store, tuple(files), np.zeros(len(files), int), "f"))
    )
    return folder


def test_export_refuses_images_that_are_no_patches_and_says_so(of_patches: Path) -> None:
    import tensorflow as tf

    serve = tf.saved_model.load(str(of_patches / "saved_model")).signatures["serving_default"]
    assert 0 <= float(serve(image_bytes=tf.constant([encoded(picture(1, (30, 40)))]))["score"][0]) <= 1
    for shape, kind in (((40, 30), "PNG"), ((60, 80, 3), "JPEG"), ((29, 40), "BMP"), ((300, 1600), "PNG")):
        for others in ([], [encoded(picture(1, (30, 40)))]):
            with pytest.raises(tf.errors.InvalidArgumentError) as told:
                serve(image_bytes=tf.constant([*others, encoded(picture(2, shape), kind)]))
            assert f"the image is {shape[1]}x{shape[0]} pixels (width x height); expected 40x30" in str(told.value)
            assert "Cut the image into patches of that size" in str(told.value)


def test_verification_holds_the_export_to_its_patches(of_patches: Path, tmp_path: Path) -> None:
    import shutil

    found = verify(of_patches)
    assert (found["odd_size_image"], found["patch"]) == ("refused", [40, 30])
    copy = tmp_path / "bundle"
    shutil.copytree(of_patches, copy)
    InputRecord().write(copy)
    with pytest.raises(ExportDiffers, match="an image of another size than its patches is refused"):
        verify(copy)


def test_memory_of_the_parent_process_is_not_counted(measured: dict[str, Any]) -> None:
    assert measured["memory_mb"] < HELD / 2**20


def test_bundle_contains_no_executable_code(exported: Path) -> None:
    import zipfile

    import keras

    names = {path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file()}
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".py", ".joblib", ".npy"))]
    keras.models.load_model(exported / "model.keras", compile=False, safe_mode=True)
    with zipfile.ZipFile(exported / "model.keras") as archive:
        assert set(archive.namelist()) == {"config.json", "metadata.json", "model.weights.h5"}
        assert "Lambda" not in archive.read("config.json").decode()
    assert not list((exported / "saved_model").glob("assets/*"))


def test_every_difference_of_an_export_is_named(exported: Path, tmp_path: Path) -> None:
    """A golden score, the threshold, and a LiteRT file that is gone: each by its own check, in one process."""
    import shutil

    copy = tmp_path / "bundle"
    shutil.copytree(exported, copy)
    golden = json.loads((copy / "golden" / "scores.json").read_text(encoding="utf-8"))
    golden["03.png"] += 2e-4
    (copy / "golden" / "scores.json").write_text(json.dumps(golden), encoding="utf-8")
    (copy / "threshold.json").write_text(json.dumps({"threshold": 0.41, "input_size": SIZE}), encoding="utf-8")
    (copy / "model.tflite").unlink()
    with pytest.raises(ExportDiffers) as told:
        verify(copy)
    for difference in ("scores differ by up to", "its threshold is 0.01", "LiteRT float: scores differ by None"):
        assert difference in str(told.value)


def test_export_that_cannot_be_loaded_is_not_verified(exported: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "bundle"
    shutil.copytree(exported, copy)
    (copy / "saved_model" / "variables" / "variables.index").write_bytes(b"torn")
    with pytest.raises(ExportDiffers, match="cannot be used in a clean process"):
        verify(copy)


@pytest.mark.slow
@pytest.mark.parametrize("flips", [False, True])
def test_export_of_the_real_network_is_reproduced(tmp_path: Path, flips: bool) -> None:
    from steel_training.config import ModelConfig
    from steel_training.training.model_trainer import TransferLearningModel

    network = TransferLearningModel.build(ModelConfig(weights="steel"), 128).scoring_model(flips=flips)
    files = {f"{number:02d}.png": encoded(picture(number, (128, 128))) for number in range(16)}
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float32) for data in files.values()])
    scores = np.asarray(network(pixels, training=False))[:, 0]
    threshold = float(np.sort(scores)[7:9].mean())
    constants = as_constants(network)  # traced once, as the stage `evaluate` does
    export(network, tmp_path, threshold=threshold, input_size=128, version="v1", constants=constants)
    write_golden(tmp_path, list(files.items()), scores)
    labels = (scores >= threshold).astype(int)
    record = export_lite(
        network,
        tmp_path,
        threshold=threshold,
        validation=(pixels, labels, scores),
        golden=(pixels, scores),
        constants=constants,
    )
    measured = verify(tmp_path)
    assert measured["labels_differ"] == 0
    assert measured["lite"]["float"]["included"]
    assert record["int8"]["included"] or record["int8"]["reason"]


@pytest.fixture
def registry(exported: Path, tmp_path: Path) -> Registry:
    import shutil

    shutil.copytree(exported, tmp_path / "b")
    found = Registry(open_storage(tmp_path / "store"), "steel-defects")
    found.publish(tmp_path / "b", "v1")
    found.promote("v1")
    return found


def test_prediction_has_score_label_and_version(exported: Path, registry: Registry, tmp_path: Path) -> None:
    golden = json.loads((exported / "golden" / "scores.json").read_text(encoding="utf-8"))
    rows = predict(registry, [str(exported / "golden" / name) for name in golden])
    for row, (name, expected) in zip(rows, golden.items(), strict=True):
        assert row["image"].endswith(name)
        assert row["score"] == pytest.approx(expected, abs=1e-4)
        assert (row["label"], row["threshold"], row["version"]) == (int(expected >= THRESHOLD), THRESHOLD, "v1")


def test_tiff_is_scored_by_its_pixels(registry: Registry, tmp_path: Path) -> None:
    for kind in ("TIFF", "PNG"):
        (tmp_path / f"x.{kind}").write_bytes(encoded(picture(1), kind))
    tiff, png = predict(registry, [str(tmp_path / "x.TIFF"), str(tmp_path / "x.PNG")])
    assert tiff["score"] == png["score"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        (b"text", "not a PNG, JPEG, BMP or TIFF image"),
        (encoded(picture(1).convert("RGBA")), "RGBA"),
    ],
)
def test_invalid_image_is_refused_before_scoring(registry: Registry, tmp_path: Path, content, said) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    good.write_bytes(encoded(picture(1)))
    if content is not None:
        bad.write_bytes(content)
    with pytest.raises(ImageNotFound, match=said) as told:
        predict(registry, [str(good), str(bad)])
    assert isinstance(told.value, UsageError)


def test_damaged_or_missing_version_is_not_served(registry: Registry, tmp_path: Path) -> None:
    image = tmp_path / "x.png"
    image.write_bytes(encoded(picture(1)))
    with pytest.raises(VersionNotFound, match="no version v9"):
        predict(registry, [str(image)], version="v9")
    with pytest.raises(VersionNotFound, match="no champion"):
        predict(Registry(registry.store, "other"), [str(image)])
    registry.store.write("models/steel-defects/versions/v1/threshold.json", b'{"threshold": 0.0, "input_size": 32}')
    with pytest.raises(VersionDamaged, match=r"threshold\.json of version v1"):
        predict(registry, [str(image)])
