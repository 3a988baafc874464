"""What a machine of the installation is told by its environment: every `STEEL_TRAINING_…` variable, typed and described once.

A setting of a run belongs in its configuration (`config.py`); what differs from machine to machine is a variable.
`docs/settings.md` is made from both.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from steel_training.errors import UsageError

PREFIX = "STEEL_TRAINING_"
_ALL_OF_AIRFLOW = "DAG processor, scheduler, task pods"
GPU_TAINT = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


class VariableInvalid(UsageError):
    """A variable of the environment cannot be used as it is."""


def _words(value: Any) -> Any:
    return value.split() if isinstance(value, str) else value


def _from_json(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f"no JSON ({error})") from None


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
Labels = Annotated[dict[str, str], NoDecode, BeforeValidator(_from_json)]
Tolerations = Annotated[list[dict[str, Any]], NoDecode, BeforeValidator(_from_json)]


def _variable(
    default: Any, description: str, *, on: str, expected: str = "", shown: str | None = None, **range_: Any
) -> Any:
    """Describes one variable.

    Args:
        default: where it is not set, or empty.
        description: what it is for.
        on: the machines that read it.
        expected: what a value must be, for the message about one that is not.
        shown: the default in words, where the value itself would not tell.
        range_: limits, as `pydantic.Field` takes them.
    """
    told: dict[str, Any] = {"on": on, "expected": expected, "shown": shown}
    return Field(default, description=description, json_schema_extra=told, **range_)


class Environment(BaseSettings):
    """The variables as they are now; an empty one counts as not set.

    What is wrong with a value is told when that variable is asked for, so that a mistake in one stops only what needs it.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    dataset: str = _variable(
        "",
        "Folder or s3:// URI of the dataset: the form begins with it, the watcher looks there for new versions.",
        on="DAG processor",
    )
    store: str = _variable("", "Folder or s3:// URI of runs and models.", on="workers, API server")
    config: Path | None = _variable(
        None,
        "The site's own configuration file: what the form begins with, and what every run without a form uses.",
        on="DAG processor",
    )
    timezone: str = _variable(
        "UTC", "Where the site is: when its night falls, and which day a run belongs to.", on="DAG processor"
    )
    cron: str = _variable("0 2 * * *", "When the nightly run begins.", on="DAG processor")
    watch_seconds: float = _variable(
        60.0,
        "Seconds between two looks of the watcher.",
        on="DAG processor",
        expected="seconds above 0, such as 60",
        gt=0,
        allow_inf_nan=False,
    )
    roots: Words = _variable(
        (),
        "What a run may read (dataset, weights), whoever triggers it: folders and s3:// prefixes, separated by spaces.",
        on="workers",
        shown="whatever the worker may read",
    )
    notify: Words = _variable(
        (),
        "Who is told of rejected, blocked and failed runs: addresses as Apprise writes them, separated by spaces. May hold passwords.",
        on="workers",
    )
    tensorboard_url: str = _variable(
        "", "Where a browser finds TensorBoard; without it tasks have no link to it.", on="workers"
    )
    store_url: str = _variable("", "Where the store is served to browsers.", on="workers", shown="the models page")
    python: str = _variable("", "Python interpreter that runs the stages.", on="workers", shown="the worker's own")
    scratch: Path | None = _variable(
        None,
        "Folder for what a machine computes once and keeps.",
        on="workers",
        shown="`steel-training` in the user's cache folder",
    )
    cache_gb: float | None = _variable(
        None,
        "GB that the feature cache may take; what was used least recently goes first.",
        on="workers",
        expected="how many GB a cache may take, such as 50",
        shown="half of what the disk has free",
        gt=0,
    )
    kubernetes_image: str = _variable(
        "", "Image of a training task, of the target `gpu-worker`.", on=_ALL_OF_AIRFLOW, shown="the pod template's"
    )
    kubernetes_gpus: int = _variable(
        1,
        "`nvidia.com/gpu` of a training task, as request and limit; 0 trains on the CPU, more than one on all of them.",
        on=_ALL_OF_AIRFLOW,
        expected="a number of GPUs, 0 to train on the CPU",
        ge=0,
    )
    kubernetes_cpu: str = _variable("4", "CPU request of a training task.", on=_ALL_OF_AIRFLOW)
    kubernetes_memory: str = _variable("16Gi", "Memory of a training task, as request and limit.", on=_ALL_OF_AIRFLOW)
    kubernetes_shared_memory: str = _variable(
        "2Gi", "`/dev/shm`, which the GPUs of a pod use between them; part of the memory.", on=_ALL_OF_AIRFLOW
    )
    kubernetes_node_selector: Labels = _variable(
        {},
        'JSON object of node labels, such as `{"accelerator": "a100"}`.',
        on=_ALL_OF_AIRFLOW,
        expected='such as {"gpu": "a100"}',
    )
    kubernetes_tolerations: Tolerations = _variable(
        [GPU_TAINT],
        "JSON list of the taints that a training task tolerates.",
        on=_ALL_OF_AIRFLOW,
        expected=f"such as {json.dumps([GPU_TAINT])}",
        shown=f"`{json.dumps([GPU_TAINT])}`",
    )
    kubernetes_cache_claim: str = _variable(
        "",
        "Persistent volume claim for the feature cache (`ReadWriteMany` where several nodes train).",
        on=_ALL_OF_AIRFLOW,
        shown="goes with the pod",
    )

    _problems: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def read(cls) -> Environment:
        """Reads the variables of this process."""
        try:
            return cls()
        except ValidationError as error:
            problems = {str(each["loc"][0]): _explain(str(each["loc"][0]), each) for each in reversed(error.errors())}
        environment = cls(**{name: cls.model_fields[name].default for name in problems})
        environment._problems.update(problems)
        for name in problems:
            del environment.__dict__[name]
        return environment

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # Asked only for what is missing: a variable that `read` took out, since its value is wrong.
            problems = (self.__pydantic_private__ or {}).get("_problems", {})
            if name in problems:
                raise VariableInvalid(problems[name])
            return super().__getattr__(name)


class Variable(NamedTuple):
    """One variable, for a page that lists them.

    Attributes:
        name: as the environment has it.
        default: in words; empty where there is none.
        description: what it is for.
        on: the machines that read it.
    """

    name: str
    default: str
    description: str
    on: str


def variables() -> Iterator[Variable]:
    """Yields every variable, in order."""
    for name, field in Environment.model_fields.items():
        told: Any = field.json_schema_extra
        default = told["shown"] or (f"`{field.default}`" if field.default not in ("", None, (), {}) else "")
        yield Variable(variable(name), default, field.description or "", told["on"])


def variable(field: str) -> str:
    """Returns the name of a field's variable."""
    return PREFIX + field.upper()


def _explain(field: str, problem: Any) -> str:
    told: Any = Environment.model_fields[field].json_schema_extra
    name = variable(field)
    why = f", which is {problem['ctx']['error']}" if problem["type"] == "value_error" else ""
    return f"{name} is {os.environ.get(name, problem['input'])!r}{why}; expected {told['expected']}."
