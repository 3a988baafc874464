"""A Keras file names only what our networks are made of."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from steel_training.model_files import UnsafeModelFile, objection

Config = dict[str, Any]


def archive(config: object) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as made:
        made.writestr("config.json", json.dumps(config))
    return data.getvalue()


@pytest.fixture
def config(exported: Path) -> Config:
    with zipfile.ZipFile(exported / "model.keras") as made:
        found: Config = json.loads(made.read("config.json"))
    return found


def layer(class_name: str, module: str | None = "keras.layers", **config: Any) -> Config:
    return {"module": module, "class_name": class_name, "config": config, "registered_name": None}


def test_own_networks_are_accepted(config: Config) -> None:
    assert objection("model.keras", archive(config)) is None


@pytest.mark.parametrize(
    ("foreign", "told"),
    [
        (
            layer("Lambda", function={"class_name": "__lambda__", "config": {"code": "4wAA"}}),
            "names keras.layers.Lambda",
        ),
        (layer("StringLookup", vocabulary="/etc/passwd"), "names keras.layers.StringLookup"),
        (layer("TFSMLayer", filepath="/tmp/graph"), "names keras.layers.TFSMLayer"),
        (layer("Dense", module="os"), "names os.Dense"),
        (layer("Dense", module=None), "names no module.Dense"),
        (layer("function", module="builtins"), "names builtins.function"),
        (layer("Dense") | {"registered_name": "site>Dense"}, "names site>Dense in the place of Dense"),
        (layer("Activation", activation=layer("get_file", module="keras.utils")), "names keras.utils.get_file"),
    ],
)
def test_foreign_class_is_refused_by_name(config: Config, foreign: Config, told: str) -> None:
    config["config"]["layers"].append(foreign)
    assert told in str(objection("model.keras", archive(config)))


def test_file_with_a_lambda_is_not_loaded(tmp_path: Path) -> None:
    """Made by Keras itself."""
    import keras

    from steel_training.training.saved_network import load_network

    pixels = keras.Input((4,))
    path = tmp_path / "model.keras"
    keras.Model(pixels, keras.layers.Lambda(lambda x: x + 1)(pixels)).save(path)
    with pytest.raises(UnsafeModelFile, match=r"model.keras names keras.layers.Lambda, of which"):
        load_network(path)


def test_own_file_is_loaded(exported: Path) -> None:
    from steel_training.training.saved_network import load_network

    assert load_network(exported / "model.keras").output_shape == (None, 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"half a file",
        lambda: archive([]),
        lambda: archive({"a": "x" * 70_000_000}),
        lambda: archive(None)[:-10],
    ],
    ids=["no archive", "no object", "too large", "torn"],
)
def test_damaged_file_is_refused(make: Callable[[], bytes]) -> None:
    assert objection("model.keras", make()) is not None


def test_only_this_function_loads_networks() -> None:
    """So that no other place leaves out the check, or safe mode."""
    root = Path(__file__).resolve().parents[3]
    for call, place in (
        ("load_model(", ["steel_training/training/saved_network.py"]),
        (
            "saved_model.load(",
            ["steel_training/bundle/card.py", "steel_training/bundle/replay.py", "steel_training/serving/model.py"],
        ),
    ):
        folders = [root / name for name in ("steel_training", "plugins", "dags")]
        found = [
            path for folder in folders for path in folder.rglob("*.py") if call in path.read_text(encoding="utf-8")
        ]
        assert sorted(path.relative_to(root).as_posix() for path in found) == place
