"""The trigger form (DAG params), derived from the configuration, and its conversion to command line arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException

from steel_training.config import ConfigError, as_yaml, load_config, settings
from steel_training.environment import Environment

TIMEZONE = Environment.read().timezone
"""Time zone of the schedule, and of the date of a run."""

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
"""Titles of the configuration's sections in the form, in the order shown: most often changed first."""

DATED_RUNS = ("scheduled", "backfill")

RELEASE = ("publish.require_approval", "publish.approvers", "publish.four_eyes")
"""Settings that say who releases a model. Where the site's configuration requires approval, a run cannot change them."""

# Params of a run that are not settings of the configuration.
DATASET, DATE, PROMOTE_BACKFILL = "dataset", "date", "promote_backfill"


def params() -> dict[str, Param]:
    """Return the DAG params: the dataset and its date, then every setting under its dotted key, grouped by `SECTIONS`.

    `STEEL_TRAINING_CONFIG` names the site's configuration file: its values are the defaults of the form, and the settings
    of runs started by schedule, by a new dataset version or by a backfill.

    Raises:
        ConfigError: that file is missing or invalid.
    """
    environment = Environment.read()
    site = load_config(environment.config)
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
            title="Version date",
            description=f"Use the newest version up to this day, which is a day in the site's time zone ({TIMEZONE}). "
            "Empty: scheduled and backfilled runs use their own date, other runs the newest version.",
            section=SECTIONS["data"],
        ),
    }
    for key, schema in settings():
        form[key] = _param(key, schema, site.value(key))
    form[PROMOTE_BACKFILL] = Param(
        False,
        type="boolean",
        title="Promote backfilled models",
        description="A backfilled run may make its version the champion. Otherwise the version is only registered.",
        section=SECTIONS["publish"],
    )
    order = list(SECTIONS.values())
    return dict(sorted(form.items(), key=lambda item: order.index(item[1].schema["section"])))


def resolve_arguments(context: Mapping[str, Any]) -> list[str]:
    """Return the arguments of `resolve_dataset` for a run: `--dataset`, `--date`, and settings that differ from the defaults.

    Unknown params are passed on as well: the command line refuses them and suggests the nearest setting.

    Raises:
        AirflowFailException: the run would change who releases its model.
    """
    run = context["dag_run"]
    version = newest_version(context)
    given = dict(context["params"])
    dataset, date, promote = (given.pop(name, None) for name in (DATASET, DATE, PROMOTE_BACKFILL))
    run_type = getattr(run.run_type, "value", run.run_type)  # an enum whose str() is not its value
    if date is None and run.logical_date is not None and run_type in DATED_RUNS:
        date = run.logical_date.astimezone(ZoneInfo(TIMEZONE)).date().isoformat()
    if run_type == "backfill" and not promote:
        given["publish.promote"] = False
    arguments = ["--dataset", version or str(dataset or "")]
    if date is not None:
        arguments += ["--date", date]
    overrides = [f"{key}={as_yaml(value)}" for key, value in _changed(given)]
    _require_release_rules(overrides)
    for override in overrides:
        arguments += ["--set", override]
    return arguments


def _require_release_rules(overrides: Sequence[str]) -> None:
    """Compare what a run would be configured to with the site's configuration, in whatever form its settings were written."""
    site = load_config(Environment.read().config)
    if not site.publish.require_approval:
        return
    try:
        asked = load_config(overrides=overrides)
    except ConfigError:
        return  # the command line refuses it too, and explains
    for key in RELEASE:
        if asked.value(key) != site.value(key):
            raise AirflowFailException(
                f"{key} is {as_yaml(asked.value(key))} for this run and {as_yaml(site.value(key))} in the site's configuration "
                "(STEEL_TRAINING_CONFIG), which requires approval: a run cannot change who releases its model. Trigger it again "
                "without that setting, or have it changed in that file."
            )


def newest_version(context: Mapping[str, Any]) -> str | None:
    """Return the URI of the newest version among the asset events that started a run; `None` without any.

    Several events may start one run together; the older versions among them are left to a backfill.
    """
    events = (context.get("triggering_asset_events") or {}).values()
    extras = [event.extra for several in events for event in several if event.extra.get("uri")]
    newest = max(extras, key=lambda extra: str(extra.get("version", "")), default=None)
    return str(newest["uri"]) if newest else None


def _param(key: str, schema: Mapping[str, Any], value: Any) -> Param:
    extra = {name: entry for name, entry in _flat(schema).items() if name != "default"}
    description = extra.pop("description", None)
    section, _, name = key.partition(".")
    title = name.replace(".", ": ").replace("_", " ").capitalize()
    text = f"{description} {_range(extra)}[{key}]"
    return Param(value, title=title, description=text, section=SECTIONS[section], **extra)


def _range(schema: Mapping[str, Any]) -> str:
    """Return the range of a number as text, because the form's own error message does not state it."""
    low, high = (
        schema.get("minimum", schema.get("exclusiveMinimum")),
        schema.get("maximum", schema.get("exclusiveMaximum")),
    )
    if low is None and high is None:
        return ""
    limits = [
        "" if low is None else f"{'from' if 'minimum' in schema else 'above'} {low:g}",
        "" if high is None else f"{'to' if 'maximum' in schema else 'below'} {high:g}",
    ]
    text = " ".join(filter(None, limits))
    return f"{text[0].upper()}{text[1:]}. "


def _flat(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Rewrite `anyOf: [X, null]` as one schema with two types, which is what the trigger form can render."""
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
