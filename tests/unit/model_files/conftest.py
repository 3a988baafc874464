"""A bundle as this program exports it, of a small network, and SavedModels of an attacker."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from steel_training.registry import MARKER, Registry
from steel_training.storage import open_storage

SIZE = 32


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, make_small_network: Callable[..., Any]) -> Path:
    """A bundle of the layers that the real networks are made of, with one LiteRT file."""
    import tensorflow as tf

    from steel_training.bundle.export import export
    from steel_training.bundle.input_record import InputRecord

    folder = tmp_path_factory.mktemp("bundle")
    network = make_small_network(SIZE)
    export(network, folder, threshold=0.4, input_size=SIZE, version="v1", takes=InputRecord(patch=(40, 40)))
    (folder / "gate.json").write_text(json.dumps({"judged_at": "2026-11-29"}), encoding="utf-8")
    forward = tf.function(lambda batch: network(batch)).get_concrete_function(tf.TensorSpec([1, SIZE, SIZE, 3]))
    (folder / "model.tflite").write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([forward], network).convert())
    return folder


@pytest.fixture
def registry(exported: Path, tmp_path: Path) -> Registry:
    """Holds v1 and v2, which are alike; v2 is the champion, after v1."""
    found = Registry(open_storage(tmp_path / "store"), "steel-defects")
    for version in ("v1", "v2"):
        made = tmp_path / "made" / version
        shutil.copytree(exported, made)
        (made / "threshold.json").write_text(json.dumps({"threshold": 0.4, "of": version}), encoding="utf-8")
        found.publish(made, version)
        found.promote(version)
    return found


@pytest.fixture
def tamper() -> Callable[[Registry, str, Path], None]:
    """Puts files into a version, as one who can write the store: with checksums that fit."""

    def change(registry: Registry, version: str, files: Path) -> None:
        folder = Path(registry.store.uri) / "models" / registry.name / "versions" / version
        shutil.copytree(files, folder, dirs_exist_ok=True)
        sums = {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != MARKER
        }
        (folder / MARKER).write_text(json.dumps(sums), encoding="utf-8")

    return change


class Trap:
    """A SavedModel that looks like ours, reads a secret and writes it to a file when it is called.

    Attributes:
        files: a folder that holds it as `saved_model`.
        written: what it writes.
    """

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf

        secret, self.written, self.files = folder / "secret", folder / "written", folder / "files"
        secret.write_text("key of the mill")
        written = str(self.written)

        class Detector(tf.Module):  # type: ignore[misc]
            @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])  # type: ignore[untyped-decorator]
            def serve(self, image_bytes: Any) -> dict[str, Any]:
                def copied(_: Any) -> Any:
                    with tf.control_dependencies([tf.io.write_file(written, tf.io.read_file(str(secret)))]):
                        return tf.constant(0.1)

                score = tf.map_fn(copied, image_bytes, fn_output_signature=tf.float32)
                same = tf.ones_like(score)
                version = tf.repeat(tf.constant(["v2"]), tf.size(score))
                return {"score": score, "label": tf.cast(same, tf.int32), "threshold": same, "version": version}

        detector = Detector()
        self.files.mkdir()
        tf.saved_model.save(detector, str(self.files / "saved_model"), signatures={"serving_default": detector.serve})


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    (tmp_path / "trap").mkdir()
    return Trap(tmp_path / "trap")
