"""The configuration: LOCKED defaults, one set of keys for file, command line and form, and refusals that name the key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steel_training.config import Config, ConfigError, load_config, settings

LOCKED = {
    "model.backbone": "EfficientNetB0",
    "training.batch_size": 32,
    "training.loss": "binary_crossentropy",
    "training.class_weights.clean": 0.5,
    "training.class_weights.defective": 2.0,
    "training.head.epochs": 20,
    "training.head.learning_rate": 1e-4,
    "training.fine_tune.epochs": 20,
    "training.fine_tune.learning_rate": 1e-5,
    "training.patience": 5,
    "gate.recall": 0.95,
    "gate.f2": 0.85,
    "gate.precision": 0.70,
    "gate.auc": 0.90,
    "baseline.too_good": 0.99,
}
KEYS = dict(settings())


def value_of(config: Config, key: str) -> Any:
    found: Any = config
    for part in key.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize(("key", "value"), LOCKED.items())
def test_design_defaults_are_the_defaults(key: str, value: object) -> None:
    assert value_of(load_config(), key) == value
    assert KEYS[key]["default"] == value


def test_settings_have_descriptions_and_valid_defaults() -> None:
    for key, schema in KEYS.items():
        assert schema["description"], key
        assert value_of(load_config(overrides={key: schema["default"]}), key) == schema["default"]


NUMBERS = {key: schema for key, schema in KEYS.items() if schema.get("type") in ("integer", "number")}


@given(st.sampled_from(sorted(NUMBERS)), st.floats(1e-9, 1e6))
def test_value_out_of_range_names_key_and_value(key: str, beyond: float) -> None:
    schema = NUMBERS[key]
    lowest = schema.get("minimum", schema.get("exclusiveMinimum"))
    value = lowest - beyond if schema["type"] == "number" else lowest - 1 - int(beyond)
    if value == lowest:
        value = lowest - 1
    with pytest.raises(ConfigError) as refused:
        load_config(overrides={key: value})
    assert f"'{key}' is {value!r}" in str(refused.value)


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf", "null", "text", "[1]"])
@pytest.mark.parametrize("key", ["gate.confidence", "training.head.learning_rate", "baseline.epochs"])
def test_value_that_is_not_a_number_is_refused(key: str, value: str) -> None:
    with pytest.raises(ConfigError, match=key):
        load_config(overrides=[f"{key}={value}"])


def test_an_unknown_key_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"'training.epochs' is not a setting.*training.head.epochs"):
        load_config(overrides=["training.epochs=5"])
    with pytest.raises(ConfigError, match="is a value, not a section"):
        load_config(overrides={"gate.recall": 0.9, "gate.recall.deep": 1})


def test_command_line_overrides_file_overrides_defaults(tmp_path: Path) -> None:
    file = tmp_path / "mill.yaml"
    file.write_text("training: {batch_size: 16, head: {epochs: 3}}\ngate: {precision: null}\n", encoding="utf-8")
    config = load_config(file, overrides=["training.head.epochs=4", "training.head.learning_rate=1e-3"])
    assert (config.training.batch_size, config.training.head.epochs) == (16, 4)
    assert config.training.head.learning_rate == 0.001, "YAML 1.1 reads 1e-3 as text; people mean the number"
    assert config.gate.precision is None
    assert config.training.fine_tune.epochs == 20


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: [", "not valid YAML"),
        ("- 1", "contains a list"),
        ("training:\n  hed: {}\n", "training.hed"),
    ],
)
def test_invalid_configuration_file_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "bad.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        load_config(tmp_path / "bad.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "missing.yaml")


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"leave at least 0\.4 for training"):
        load_config(overrides={"data.val_share": 0.4, "data.test_share": 0.3})
    with pytest.raises(ConfigError, match="min_brightness must be below"):
        load_config(overrides={"validation.min_brightness": 200, "validation.max_brightness": 100})


def test_fingerprint_covers_what_can_change_a_model() -> None:
    usual = load_config().fingerprint()
    assert load_config(overrides=["publish.promote=false", "publish.force=true"]).fingerprint() == usual
    for key in ("data.seed=1", "gate.recall=0.96", "training.views=1", "model.weights=none"):
        assert load_config(overrides=[key]).fingerprint() != usual


@pytest.mark.parametrize("file", sorted((Path(__file__).parents[2] / "configs").glob("*.yaml")), ids=lambda f: f.name)
def test_the_configurations_of_the_repository_are_valid(file: Path) -> None:
    load_config(file)


def test_slice_columns_default_is_not_shared() -> None:
    config = load_config(overrides=["slices.columns=[line, defect_type]", "data.prevalence=0.01"])
    assert config.slices.columns == ["line", "defect_type"]
    assert config.data.prevalence == 0.01
    load_config().slices.columns.append("line")
    assert load_config().slices.columns == []
    with pytest.raises(ConfigError, match=r"slices\.columns.*valid list"):
        load_config(overrides=["slices.columns=line"])
