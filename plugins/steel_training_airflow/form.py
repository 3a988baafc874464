"""The params form, derived from the configuration, and the way back: from a run's params to command line arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import Param

from steel_training.config import as_yaml, load_config, settings
from steel_training.environment import Environment

TIMEZONE = Environment.read().timezone
"""Where the mill is: when its night falls, and which day a run belongs to."""

SECTIONS = {
    "data": "Dataset",
    "model": "Model",
    "training": "Training",
    "gate": "Targets",
    "publish": "Publishing",
    "threshold": "Operating threshold",
    "slices": "Slices",
    "validation": "Data validation",
    "baseline": "Baseline check",
}
"""How the form groups the sections of the configuration, in its order: what a person changes most comes first."""

DATED_RUNS = ("scheduled", "backfill")

# Params of a run that are no settings of the training.
DATASET, DATE, PROMOTE_BACKFILL = "dataset", "date", "promote_backfill"


def params() -> dict[str, Param]:
    """Returns the form: the dataset and its date, then every setting under its dotted key, grouped by `SECTIONS`.

    `STEEL_TRAINING_CONFIG` names the mill's own configuration file: its values are what the form begins with, and what
    the night, a new dataset version and a backfill use.

    Raises:
        ConfigError: that file is missing, or holds something else than settings.
    """
    environment = Environment.read()
    mill = load_config(environment.config)
    form = {
        DATASET: Param(
            environment.dataset,
            type="string",
            title="Dataset",
            description="Folder or s3:// URI of a dataset, or of its dated versions (DATASET/YYYY-MM-DD/).",
            section=SECTIONS["data"],
        ),
        DATE: Param(
            None,
            type=["string", "null"],
            format="date",
            title="Dated version",
            description="Take the newest version not later than this day. "
            "Empty: a nightly or backfilled run takes its own day, any other run the newest version.",
            section=SECTIONS["data"],
        ),
    }
    for key, schema in settings():
        form[key] = _param(key, schema, mill.value(key))
    form[PROMOTE_BACKFILL] = Param(
        False,
        type="boolean",
        title="Promote backfilled models",
        description="Without it a backfilled run registers its version and leaves the champion where it is.",
        section=SECTIONS["publish"],
    )
    order = list(SECTIONS.values())
    return dict(sorted(form.items(), key=lambda item: order.index(item[1].schema["section"])))


def resolve_arguments(context: Mapping[str, Any]) -> list[str]:
    """Returns the arguments of `resolve_dataset` for a run: `--dataset`, `--date`, and what differs from the defaults.

    Params that no setting has are handed on as well: the command line knows all settings and names the nearest one.
    """
    run = context["dag_run"]
    told = newest_version(context)
    given = dict(context["params"])
    dataset, date, promote = (given.pop(name, None) for name in (DATASET, DATE, PROMOTE_BACKFILL))
    run_type = getattr(run.run_type, "value", run.run_type)  # an enum without a __str__ of its own
    if date is None and run.logical_date is not None and run_type in DATED_RUNS:
        date = run.logical_date.astimezone(ZoneInfo(TIMEZONE)).date().isoformat()
    if run_type == "backfill" and not promote:
        given["publish.promote"] = False
    arguments = ["--dataset", told or str(dataset or "")]
    if date is not None:
        arguments += ["--date", date]
    for key, value in _changed(given):
        arguments += ["--set", f"{key}={as_yaml(value)}"]
    return arguments


def newest_version(context: Mapping[str, Any]) -> str | None:
    """Returns the address of the newest version among the asset events that started a run; `None` without any.

    Events that came together start one run; the older versions among them are for a backfill.
    """
    events = (context.get("triggering_asset_events") or {}).values()
    told = [event.extra for several in events for event in several if event.extra.get("uri")]
    newest = max(told, key=lambda extra: str(extra.get("version", "")), default=None)
    return str(newest["uri"]) if newest else None


def _param(key: str, schema: Mapping[str, Any], value: Any) -> Param:
    extra = {name: said for name, said in _flat(schema).items() if name != "default"}
    description = extra.pop("description", None)
    section, _, name = key.partition(".")
    title = name.replace(".", ": ").replace("_", " ").capitalize()
    told = f"{description} {_range(extra)}[{key}]"
    return Param(value, title=title, description=told, section=SECTIONS[section], **extra)


def _range(schema: Mapping[str, Any]) -> str:
    """Returns the range of a number in words; the form refuses what is outside without saying what is inside."""
    low, high = (
        schema.get("minimum", schema.get("exclusiveMinimum")),
        schema.get("maximum", schema.get("exclusiveMaximum")),
    )
    if low is None and high is None:
        return ""
    words = [
        "" if low is None else f"{'from' if 'minimum' in schema else 'above'} {low:g}",
        "" if high is None else f"{'to' if 'maximum' in schema else 'below'} {high:g}",
    ]
    text = " ".join(filter(None, words))
    return f"{text[0].upper()}{text[1:]}. "


def _flat(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Writes `anyOf: [X, null]` as one schema of two types, which is the form of it that the trigger form can draw."""
    flat = {name: value for name, value in schema.items() if name != "anyOf"}
    for choice in schema.get("anyOf", ()):
        flat["type"] = [*flat.get("type", []), choice["type"]]
        flat.update({name: value for name, value in choice.items() if name != "type"})
    return flat


def _changed(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    defaults = {key: schema["default"] for key, schema in settings()}
    for key, value in given.items():
        if key not in defaults or value != defaults[key]:
            yield key, value
