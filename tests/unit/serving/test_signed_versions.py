"""A signed version that was replaced by another harmless model, with fitting checksums, scores nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from steel_training.cli import main
from steel_training.registry import MARKER, Registry, VersionUntrusted
from steel_training.registry.signatures import write_key_pair
from steel_training.serving.champion import ChampionFollower
from steel_training.serving.deployment import deploy


@pytest.fixture
def replaced(registry_in, tmp_path, monkeypatch) -> Registry:
    """Holds v1 and v2, signed; v1 is the champion, and the model of v2 stands in its place."""
    private, public, _ = write_key_pair(tmp_path / "keys")
    monkeypatch.setenv("STEEL_TRAINING_SIGNING_KEY", str(private))
    monkeypatch.setenv("STEEL_TRAINING_TRUSTED_KEYS", str(public))
    registry: Registry = registry_in(tmp_path)
    registry.promote("v1")
    folder = Path(registry.store.uri) / "models/steel-defects/versions"
    shutil.rmtree(folder / "v1" / "saved_model")
    shutil.copytree(folder / "v2" / "saved_model", folder / "v1" / "saved_model")
    sums = {
        name: hashlib.sha256((folder / "v1" / name).read_bytes()).hexdigest()
        for name in json.loads((folder / "v1" / MARKER).read_text())
    }
    (folder / "v1" / MARKER).write_text(json.dumps(sums, indent=2))
    return registry


def test_predict_names_the_version_and_scores_nothing(replaced, tmp_path, picture, capsys) -> None:
    (tmp_path / "patch.png").write_bytes(picture(1))
    command = ["predict", str(tmp_path / "patch.png"), "--store", replaced.store.uri]
    assert main(command) == 1
    told = capsys.readouterr()
    assert "Version v1 of steel-defects is not what key" in told.err
    assert told.out == ""
    assert main([*command, "--version", "v2"]) == 0


def test_serve_does_not_load_it(replaced) -> None:
    follower = ChampionFollower(replaced, every=3600)
    follower.poll()
    assert follower.model is None
    assert "VersionUntrusted: Version v1" in follower.problem


def test_it_is_not_deployed(replaced, tmp_path) -> None:
    with pytest.raises(VersionUntrusted):
        deploy(replaced, tmp_path / "served")
    assert not list((tmp_path / "served").glob("[0-9]*"))


def test_verify_finds_it(replaced, capsys) -> None:
    assert main(["models", "verify", "--store", replaced.store.uri]) == 1
    assert "1 damaged" in capsys.readouterr().out
