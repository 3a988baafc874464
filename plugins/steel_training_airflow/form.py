"""The params form, derived from the configuration, and the way back: from a run's params to command line arguments."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import Param

from steel_training.config import settings

DATASET_VARIABLE = "STEEL_TRAINING_DATASET"
TIMEZONE = os.environ.get("STEEL_TRAINING_TIMEZONE", "UTC")
"""Where the mill is: when its night falls, and which day a run belongs to."""

DATED_RUNS = ("scheduled", "backfill")

# Params of a run that are no settings of the training.
DATASET, DATE, PROMOTE_BACKFILL = "dataset", "date", "promote_backfill"


def params() -> dict[str, Param]:
    """Returns the form: the dataset and its date, then every setting under its dotted key, one section a group."""
    form = {
        DATASET: Param(
            os.environ.get(DATASET_VARIABLE, ""),
            type="string",
            title="Dataset",
            description="Folder or s3:// URI of a dataset, or of its dated versions (DATASET/YYYY-MM-DD/).",
            section="Dataset",
        ),
        DATE: Param(
            None,
            type=["string", "null"],
            format="date",
            title="Dated version",
            description="Take the newest version not later than this day. "
            "Empty: a nightly or backfilled run takes its own day, any other run the newest version.",
            section="Dataset",
        ),
    }
    for key, schema in settings():
        form[key] = _param(key, schema)
    form[PROMOTE_BACKFILL] = Param(
        False,
        type="boolean",
        title="Promote backfilled models",
        description="Without it a backfilled run registers its version and leaves the champion where it is.",
        section="Publish",
    )
    return form


def resolve_arguments(context: Mapping[str, Any]) -> list[str]:
    """Returns the arguments of `resolve_dataset` for a run: `--dataset`, `--date`, and what differs from the defaults.

    Params that no setting has are handed on as well: the command line knows all settings and names the nearest one.
    """
    run = context["dag_run"]
    given = dict(context["params"])
    dataset, date, promote = (given.pop(name, None) for name in (DATASET, DATE, PROMOTE_BACKFILL))
    run_type = getattr(run.run_type, "value", run.run_type)  # an enum without a __str__ of its own
    if date is None and run.logical_date is not None and run_type in DATED_RUNS:
        date = run.logical_date.astimezone(ZoneInfo(TIMEZONE)).date().isoformat()
    if run_type == "backfill" and not promote:
        given["publish.promote"] = False
    arguments = ["--dataset", str(dataset or "")]
    if date is not None:
        arguments += ["--date", date]
    for key, value in _changed(given):
        arguments += ["--set", f"{key}={_as_yaml(value)}"]
    return arguments


def _param(key: str, schema: Mapping[str, Any]) -> Param:
    extra = _flat(schema)
    default, description = extra.pop("default"), extra.pop("description", None)
    return Param(default, description=description, section=_section(key), title=key, **extra)


def _section(key: str) -> str:
    return key.partition(".")[0].replace("_", " ").capitalize()


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


def _as_yaml(value: Any) -> str:
    """JSON is YAML; only a bare word may stand without its quotation marks."""
    if (
        isinstance(value, str)
        and value.replace("_", "").replace("-", "").isalpha()
        and value.lower() not in _YAML_WORDS
    ):
        return value
    return json.dumps(value, ensure_ascii=False)


_YAML_WORDS = {"true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf", "infinity"}
