"""The trigger form shows every setting, and a run's params become command line arguments."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import ParamsDict
from airflow.sdk.exceptions import AirflowFailException, ParamValidationError
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from steel_training_airflow.form import SECTIONS, params, resolve_arguments

from steel_training.config import Config, ConfigError, load_config, settings

SETTINGS = dict(settings())
OWN = {"dataset", "date", "promote_backfill"}


def form() -> ParamsDict:
    return ParamsDict(params())


def overrides(arguments: list[str]) -> list[str]:
    return [value for option, value in pairwise(arguments) if option == "--set"]


def test_form_has_every_setting_with_its_default() -> None:
    shown = form().dump()
    assert {key: value for key, value in shown.items() if key not in OWN} == {
        key: schema["default"] for key, schema in SETTINGS.items()
    }


@pytest.mark.parametrize("key", SETTINGS)
def test_setting_keeps_its_range_and_description(key: str) -> None:
    param, schema = form().get_param(key), SETTINGS[key]
    limits = schema["anyOf"][0] if "anyOf" in schema else schema
    for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum", "pattern", "minLength"):
        assert param.schema.get(name) == limits.get(name)
    assert param.schema["type"] == (["number", "null"] if "anyOf" in schema else schema["type"])
    assert param.description.startswith(schema["description"])
    assert f"[{key}]" in param.description, "what a person types into a backfill's or the API's conf"
    assert param.schema["section"] == SECTIONS[key.split(".")[0]]


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("data.input_size", "From 32 to 512."),
        ("training.head.learning_rate", "Above 0 to 1."),
        ("gate.recall", "From 0 to 1."),
        ("validation.min_patches", "From 1."),
        ("model.dropout", "From 0 below 1."),
    ],
)
def test_form_states_the_range_of_a_number(key: str, told: str) -> None:
    assert told in form().get_param(key).description


def test_sections_are_contiguous_and_ordered() -> None:
    sections = [form().get_param(key).schema["section"] for key in form()]
    assert list(dict.fromkeys(sections)) == list(SECTIONS.values())
    assert sections == sorted(sections, key=list(SECTIONS.values()).index)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("training.head.epochs", 0),
        ("training.head.epochs", "five"),
        ("training.head.learning_rate", 0),
        ("training.fine_tune.learning_rate", 1.5),
        ("model.backbone", "VGG16"),
        ("model.name", "No Spaces"),
        ("gate.recall", 1.2),
        ("gate.evidence", "hope"),
        ("publish.force", "yes"),
        ("date", "yesterday"),
        ("dataset", 5),
    ],
)
def test_form_refuses_a_value_out_of_range(key: str, value: Any) -> None:
    with pytest.raises(ParamValidationError):
        form()[key] = value


@pytest.mark.parametrize(("key", "value"), [("gate.auc", None), ("gate.auc", 0.5), ("date", "2026-11-24")])
def test_target_may_be_removed_and_date_given(key: str, value: Any) -> None:
    shown = form()
    shown[key] = value
    assert shown[key] == value


def test_site_configuration_sets_the_defaults(
    context: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mill.yaml").write_text("training: {head: {epochs: 7}}\nslices: {columns: [line]}\n")
    monkeypatch.setenv("STEEL_TRAINING_CONFIG", str(tmp_path / "mill.yaml"))
    shown = form()
    assert shown["training.head.epochs"] == 7
    given_params = {**shown.dump(), "training.head.epochs": 20, "dataset": "d"}
    assert overrides(resolve_arguments(context(**given_params))) == ['slices.columns=["line"]']
    (tmp_path / "mill.yaml").write_text("training: {head: {epochs: 0}}\n")
    with pytest.raises(ConfigError, match=r"training\.head\.epochs"):
        params()


@pytest.mark.parametrize(
    "weaker",
    [
        {"publish.require_approval": False, "publish.approvers": [], "publish.four_eyes": False},
        {"publish.approvers": []},
        {"publish.approvers": ["ada", "eve"]},
        {"publish.four_eyes": False},
        {"publish": {"require_approval": False}},
        {"publish": {"require_approval": True, "approvers": ["eve", "ada"], "four_eyes": True}},
    ],
)
def test_run_cannot_change_who_releases_its_model(
    context: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weaker: dict[str, Any]
) -> None:
    (tmp_path / "mill.yaml").write_text("publish: {require_approval: true, approvers: [ada, ben], four_eyes: true}\n")
    monkeypatch.setenv("STEEL_TRAINING_CONFIG", str(tmp_path / "mill.yaml"))
    shown = {**form().dump(), "dataset": "d"}
    assert len(overrides(resolve_arguments(context(**shown)))) == 3
    with pytest.raises(
        AirflowFailException, match=r"publish\.(require_approval|approvers|four_eyes) is .*cannot change"
    ):
        resolve_arguments(context(**{**shown, **weaker}))


def test_run_may_ask_for_approval_where_the_site_does_not(context: Callable[..., dict[str, Any]]) -> None:
    shown = {**form().dump(), "dataset": "d", "publish.require_approval": True, "publish.approvers": ["ada"]}
    asked = overrides(resolve_arguments(context(**shown)))
    assert asked == ["publish.require_approval=true", 'publish.approvers=["ada"]']


def test_defaults_are_not_passed_as_arguments(context: Callable[..., dict[str, Any]]) -> None:
    given_params = {**form().dump(), "dataset": "s3://mill/strips"}
    assert resolve_arguments(context(**given_params)) == ["--dataset", "s3://mill/strips"]


NUMBERS = st.floats(min_value=1e-9, max_value=1.0)


@given(
    epochs=st.integers(1, 1000),
    rate=NUMBERS,
    weights=st.sampled_from(["auto", "none", "/a b/w.h5", "s3://b/ü'\"$x.h5", "true", "null", "# no", "a: b"]),
    auc=st.none() | st.floats(0, 1),
    prevalence=st.none() | st.floats(0.001, 0.999),
    columns=st.lists(st.sampled_from(["line", "defect type", "a: b", "null", "x,y", "ü'\"$"])),
    promote=st.booleans(),
)
@settings_of_hypothesis(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_params_survive_the_command_line(
    context: Callable[..., dict[str, Any]],
    epochs: int,
    rate: float,
    weights: str,
    auc: float | None,
    prevalence: float | None,
    columns: list[str],
    promote: bool,
) -> None:
    chosen = {
        "training.head.epochs": epochs,
        "training.head.learning_rate": rate,
        "model.weights": weights,
        "gate.auc": auc,
        "data.prevalence": prevalence,
        "slices.columns": columns,
        "publish.promote": promote,
    }
    arguments = resolve_arguments(context(**{**form().dump(), **chosen}))
    pasted = shlex.split(shlex.join(arguments))
    assert load_config(overrides=overrides(pasted)) == load_config(overrides=chosen)


def test_unknown_param_is_passed_on(
    context: Callable[..., dict[str, Any]],
) -> None:
    assert overrides(resolve_arguments(context(dataset="d", **{"training.epochs": 5}))) == ["training.epochs=5"]


NIGHT = datetime(2026, 11, 24, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("run_type", "logical_date", "date", "expected"),
    [
        ("scheduled", NIGHT, None, "2026-11-24"),
        ("backfill", NIGHT, None, "2026-11-24"),
        ("backfill", NIGHT, "2026-01-05", "2026-01-05"),
        ("manual", NIGHT, None, None),
        ("manual", NIGHT, "2026-01-05", "2026-01-05"),
        ("manual", None, None, None),
        ("asset_triggered", None, None, None),
    ],
)
def test_only_dated_runs_use_the_version_of_their_date(
    context: Callable[..., dict[str, Any]], run_type: str, logical_date: datetime, date: str, expected: str
) -> None:
    arguments = resolve_arguments(context(run_type, logical_date, dataset="d", date=date))
    found = arguments[arguments.index("--date") + 1] if "--date" in arguments else None
    assert found == expected


@pytest.mark.parametrize(
    ("events", "dataset"),
    [
        ([], "/data/strip"),
        ([{"uri": "/data/strip/2026-11-24", "version": "2026-11-24"}], "/data/strip/2026-11-24"),
        ([{"uri": "b", "version": "2026-11-24"}, {"uri": "a", "version": "2026-11-23"}], "b"),
        ([{}], "/data/strip"),
    ],
)
def test_asset_run_uses_the_newest_announced_version(
    context: Callable[..., dict[str, Any]], events: list[dict[str, str]], dataset: str
) -> None:
    seen = context("asset_triggered", None, **{**form().dump(), "dataset": "/data/strip"})
    seen["triggering_asset_events"] = {"steel_dataset": [SimpleNamespace(extra=extra) for extra in events]}
    assert resolve_arguments(seen) == ["--dataset", dataset]


@pytest.mark.parametrize(
    ("run_type", "params_given", "promotes"),
    [
        ("manual", {}, True),
        ("manual", {"publish.promote": False}, False),
        ("scheduled", {}, True),
        ("backfill", {}, False),
        ("backfill", {"publish.promote": True}, False),
        ("backfill", {"promote_backfill": True}, True),
        ("backfill", {"promote_backfill": True, "publish.promote": False}, False),
    ],
)
def test_backfill_promotes_only_on_request(
    context: Callable[..., dict[str, Any]], run_type: str, params_given: dict[str, Any], promotes: bool
) -> None:
    arguments = resolve_arguments(context(run_type, NIGHT, **{**form().dump(), **params_given}))
    config: Config = load_config(overrides=overrides(arguments))
    assert config.publish.promote is promotes
