"""The server keeps what works: a champion that cannot be loaded is told of and not fetched over and over."""

from __future__ import annotations

import subprocess
import sys

from steel_training.cli import main
from steel_training.registry import Registry
from steel_training.serving.champion import ChampionFollower


def test_damaged_champion_is_retried_with_growing_delay(registry, monkeypatch) -> None:
    fetched = []
    bundle = Registry.bundle

    def counted(self, version):
        fetched.append(version)
        return bundle(self, version)

    monkeypatch.setattr(Registry, "bundle", counted)
    follower = ChampionFollower(registry, every=3600)
    follower.poll()
    assert (follower.model.version, follower.problem) == ("v1", None)
    registry.promote("v2")
    registry.store.write("models/steel-defects/versions/v2/threshold.json", b"{}")
    for _ in range(3):
        follower.poll()
    assert fetched == ["v1", "v2"]
    assert (follower.model.version, "threshold.json of version v2" in follower.problem) == ("v1", True)
    registry.rollback()
    follower.poll()
    assert (follower.model.version, follower.problem) == ("v1", None)
    assert fetched == ["v1", "v2"], "what serves already is not fetched again"


def test_serve_names_missing_packages(registry, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve", "--store", registry.store.uri]) == 1
    assert "pip install 'steel-training[serve]'" in capsys.readouterr().err


def test_only_serve_imports_a_web_server() -> None:
    source = "import sys, steel_training.cli, steel_training.serving.server; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout.split()
    assert not {"starlette", "uvicorn"} & set(loaded)
