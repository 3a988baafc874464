"""TensorFlow Serving finds complete numbered models, the highest of which is the champion."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from steel_training.cli import main
from steel_training.registry import Registry, VersionDamaged, VersionNotFound
from steel_training.serving.deployment import CannotDeploy, Deployed, deploy
from steel_training.storage import open_storage


def numbers(base: Path) -> list[str]:
    return sorted(path.name for path in base.iterdir() if not path.name.startswith("."))


def test_champion_is_deployed_under_the_next_number(registry, tmp_path, picture) -> None:
    import tensorflow as tf

    base = tmp_path / "served" / "steel-defects"
    assert deploy(registry, base) == Deployed(1, "v1", placed=True)
    assert deploy(registry, base) == Deployed(1, "v1", placed=False)
    registry.promote("v2")
    assert deploy(registry, base) == Deployed(2, "v2", placed=True)
    served = tf.saved_model.load(str(base / "2")).signatures["serving_default"]
    answer = served(image_bytes=tf.constant([picture(1)]))
    assert answer["version"].numpy()[0] == b"v2"
    registry.rollback()
    assert deploy(registry, base) == Deployed(3, "v1", placed=True)
    assert numbers(base) == ["2", "3"]
    assert {path.name for path in base.iterdir()} == {"2", "3", ".checked"}


def test_damaged_champion_is_not_deployed(registry, tmp_path) -> None:
    base = tmp_path / "served"
    deploy(registry, base)
    registry.promote("v2")
    registry.store.write("models/steel-defects/versions/v2/saved_model/saved_model.pb", b"torn")
    with pytest.raises(VersionDamaged):
        deploy(registry, base)
    assert numbers(base) == ["1"]


def test_missing_champion_or_read_only_folder_is_named(registry, tmp_path) -> None:
    with pytest.raises(VersionNotFound, match="no champion"):
        deploy(Registry(open_storage(tmp_path / "empty"), "steel-defects"), tmp_path / "served")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(CannotDeploy, match="--to FOLDER"):
        deploy(registry, tmp_path / "file" / "below")


def test_reader_never_sees_an_incomplete_model(registry, tmp_path, wait_until) -> None:
    """What TensorFlow Serving does: look for the highest number, then read it."""
    base, done, torn, looks = tmp_path / "served", threading.Event(), [], []

    def look() -> None:
        while not done.is_set():
            found = [int(p.name) for p in base.iterdir() if p.name.isdigit()] if base.exists() else []
            if found:
                looks.append(max(found))
                if not (base / str(max(found)) / "saved_model.pb").is_file():
                    torn.append(max(found))

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for number in range(12):
            registry.promote(f"v{1 + number % 2}")
            deploy(registry, base)
            if number in (0, 11):
                wait_until(lambda number=number: looks[-1:] == [number + 1] or torn, "a look at the newest model")
    finally:
        done.set()
        reader.join()
    assert not torn
    assert len(set(looks)) > 1
    assert numbers(base) == ["11", "12"]


def test_command_prints_where_the_champion_is(registry, tmp_path, capsys) -> None:
    words = ["models", "deploy", "--store", registry.store.uri, "--to", str(tmp_path / "served")]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{tmp_path}/served/1: version v1 (deployed)\n"
    assert main(words) == 0
    assert "already deployed" in capsys.readouterr().out


def test_watcher_deploys_every_new_champion(registry, tmp_path, wait_until) -> None:
    base = tmp_path / "served"
    words = ["models", "deploy", "--store", registry.store.uri, "--to", str(base), "--watch", "0.2"]
    process = subprocess.Popen([sys.executable, "-m", "steel_training", *words], env=dict(os.environ))
    try:
        for number, version in (("1", None), ("2", "v2")):
            if version:
                registry.promote(version)
            placed = base / number / "saved_model.pb"
            wait_until(lambda placed=placed: placed.is_file() or process.poll() is not None, f"{placed} or an end")
            assert placed.is_file()
        wait_until((base / ".checked").is_file, "the time of the last look")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=300)
