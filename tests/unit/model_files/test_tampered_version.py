"""A version in which SavedModel and checksums were both replaced is not loaded by any reader, and nothing of it runs."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from steel_training.bundle.golden import write_golden
from steel_training.bundle.verify import verify
from steel_training.cli import main
from steel_training.model_files import UnsafeModelFile
from steel_training.registry import Registry, VersionUnsafe
from steel_training.serving.champion import ChampionFollower
from steel_training.serving.deployment import deploy

if TYPE_CHECKING:
    from tests.unit.model_files.conftest import Trap

Tamper = Callable[[Registry, str, Path], None]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    data = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 40), dtype=np.uint8)).save(data, format="PNG")
    (tmp_path / "patch.png").write_bytes(data.getvalue())
    return tmp_path / "patch.png"


def test_trap_reads_and_writes_where_it_is_called(trap: Trap, image: Path) -> None:
    """Else the tests beside this one would pass with any graph."""
    import tensorflow as tf

    serve = tf.saved_model.load(str(trap.files / "saved_model")).signatures["serving_default"]
    serve(image_bytes=tf.constant([image.read_bytes()]))
    assert trap.written.read_text() == "key of the mill"


def test_predict_refuses_it_by_name(
    registry: Registry, trap: Trap, tamper: Tamper, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tamper(registry, "v2", trap.files)
    assert main(["predict", str(image), "--store", registry.store.uri]) == 1
    told = capsys.readouterr().err
    assert "Version v2 of steel-defects: saved_model/saved_model.pb holds the operation " in told
    assert "ReadFile" in told or "WriteFile" in told
    assert "Use another version" in told
    assert not trap.written.exists()
    assert main(["predict", str(image), "--store", registry.store.uri, "--version", "v1"]) == 0


def test_serve_keeps_the_version_that_it_has(registry: Registry, trap: Trap, tamper: Tamper) -> None:
    registry.rollback()
    follower = ChampionFollower(registry, every=3600)
    follower.poll()
    tamper(registry, "v2", trap.files)
    champion = Path(registry.store.uri) / "models/steel-defects/champion.json"
    moved = json.loads(champion.read_text()) | {"version": "v2"}
    champion.write_text(json.dumps(moved))  # by one who can write the store
    follower.poll()
    assert follower.model is not None
    assert follower.model.version == "v1"
    assert "VersionUnsafe: Version v2" in str(follower.problem)
    assert not trap.written.exists()


def test_it_is_not_deployed_to_tensorflow_serving(
    registry: Registry, trap: Trap, tamper: Tamper, tmp_path: Path
) -> None:
    tamper(registry, "v2", trap.files)
    with pytest.raises(VersionUnsafe, match="saved_model.pb holds the operation"):
        deploy(registry, tmp_path / "served")
    assert not list((tmp_path / "served").glob("[0-9]*"))


def test_verify_finds_it(registry: Registry, trap: Trap, tamper: Tamper, capsys: pytest.CaptureFixture[str]) -> None:
    tamper(registry, "v1", trap.files)
    assert main(["models", "verify", "v1", "--store", registry.store.uri]) == 1
    assert "saved_model.pb holds the operation" in capsys.readouterr().out


def test_it_becomes_champion_by_no_command(
    registry: Registry, trap: Trap, tamper: Tamper, capsys: pytest.CaptureFixture[str]
) -> None:
    tamper(registry, "v1", trap.files)
    for command in (["promote", "v1"], ["rollback"]):
        assert main(["models", *command, "--store", registry.store.uri]) == 1
        assert "Version v1 cannot become champion" in capsys.readouterr().err
    assert registry.champion()[0] == "v2"


def test_bundle_of_a_run_is_neither_replayed_nor_published(
    exported: Path, registry: Registry, trap: Trap, image: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(exported, bundle)
    write_golden(bundle, [("00.png", image.read_bytes())], np.array([0.1]))
    shutil.copytree(trap.files, bundle, dirs_exist_ok=True)
    with pytest.raises(UnsafeModelFile, match=r"saved_model/saved_model.pb holds the operation"):
        verify(bundle)
    with pytest.raises(UnsafeModelFile):
        registry.publish(bundle, "v3")
    assert not registry.holds("v3")
    assert not trap.written.exists()
