"""The environment variables of an installation: every `STEEL_TRAINING_…` variable, with its type and description.

Settings of a run are in `config.py`; what differs between machines is an environment variable.
`docs/settings.md` is generated from both.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationError
from pydantic.config import JsonDict
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from steel_training.errors import UsageError

PREFIX = "STEEL_TRAINING_"
_ALL_OF_AIRFLOW = "DAG processor, scheduler, task pods"
GPU_TAINT = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


class VariableInvalid(UsageError):
    """An environment variable has an invalid value."""


def _words(value: object) -> object:
    return value.split() if isinstance(value, str) else value


def _from_json(value: object) -> object:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f"not valid JSON ({error})") from None


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
Labels = Annotated[dict[str, str], NoDecode, BeforeValidator(_from_json)]
Tolerations = Annotated[list[dict[str, Any]], NoDecode, BeforeValidator(_from_json)]


def _variable(
    default: Any, description: str, *, on: str, expected: str = "", shown: str | None = None, **range_: Any
) -> Any:
    """Define one variable.

    Args:
        default: its value where it is unset or empty.
        description: its purpose.
        on: the services that read it.
        expected: what a valid value is, for the error message.
        shown: the default in words, where the value itself is not informative.
        range_: limits, as `pydantic.Field` takes them.
    """
    details: JsonDict = {"on": on, "expected": expected, "shown": shown}
    return Field(default, description=description, json_schema_extra=details, **range_)


class Environment(BaseSettings):
    """The current environment variables; an empty one counts as not set.

    An invalid value raises `VariableInvalid` when its field is read, so that it affects only the code that needs it.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    dataset: str = _variable(
        "",
        "Folder or s3:// URI of the dataset: the default of the trigger form, and where the watcher looks for new versions.",
        on="DAG processor",
    )
    store: str = _variable(
        "", "Folder or s3:// URI of the store, which holds runs and models.", on="workers, API server"
    )
    config: Path | None = _variable(
        None,
        "The site's configuration file: defaults of the trigger form, and settings of every run started without the form.",
        on="DAG processor, workers",
    )
    timezone: str = _variable("UTC", "Time zone of the schedule, and of the date of a run.", on="DAG processor")
    cron: str = _variable("0 2 * * *", "Schedule of the nightly run.", on="DAG processor")
    watch_seconds: float = _variable(
        60.0,
        "Polling interval of the watchers in seconds.",
        on="DAG processor",
        expected="seconds above 0, such as 60",
        gt=0,
        allow_inf_nan=False,
    )
    roots: Words = _variable(
        (),
        "Folders and s3:// prefixes, separated by spaces, from which a run may read dataset and weights, and the review of labels the dataset.",
        on="workers, API server",
        shown="everything that the worker can read",
    )
    notify: Words = _variable(
        (),
        "Recipients of notifications on rejected, blocked and failed runs: Apprise URLs, separated by spaces. They may contain passwords.",
        on="workers",
    )
    tensorboard_url: str = _variable(
        "", "URL of TensorBoard for browsers; without it tasks have no TensorBoard link.", on="workers"
    )
    store_url: str = _variable("", "URL where the store is served to browsers.", on="workers", shown="the models page")
    python: str = _variable("", "Python interpreter that runs the stages.", on="workers", shown="the worker's own")
    isolation: Literal["preferred", "required"] = _variable(
        "preferred",
        "Whether a stage may start where the kernel cannot keep it from reading the environment and memory of Airflow's processes: `preferred` "
        "starts it with a warning, `required` fails the task.",
        on="workers",
        expected="preferred or required",
    )
    signing_key: Path | None = _variable(
        None,
        "File of the private key (Ed25519, PEM) with which `publish_model` signs versions; passed on to no other stage.",
        on="workers that publish",
    )
    trusted_keys: Words = _variable(
        (),
        "Files of the public keys, separated by spaces, one of which must have signed a version before it is loaded or promoted.",
        on="workers, API server, wherever versions are served",
        shown="versions need no signature",
    )
    scratch: Path | None = _variable(
        None,
        "Folder for caches.",
        on="workers",
        shown="`steel-training` in the user's cache folder",
    )
    cache_gb: float | None = _variable(
        None,
        "Maximum size of the feature cache in GB; the least recently used entries are deleted first.",
        on="workers",
        expected="a size in GB, such as 50",
        shown="half of the free disk space",
        gt=0,
    )
    kubernetes_image: str = _variable(
        "",
        "Container image of training tasks (build target `gpu-worker`).",
        on=_ALL_OF_AIRFLOW,
        shown="the pod template's",
    )
    kubernetes_gpus: int = _variable(
        1,
        "`nvidia.com/gpu` of a training task, as request and limit; 0 trains on the CPU, more than one on all requested GPUs.",
        on=_ALL_OF_AIRFLOW,
        expected="a number of GPUs, 0 to train on the CPU",
        ge=0,
    )
    kubernetes_cpu: str = _variable("4", "CPU request of a training task.", on=_ALL_OF_AIRFLOW)
    kubernetes_memory: str = _variable("16Gi", "Memory of a training task, as request and limit.", on=_ALL_OF_AIRFLOW)
    kubernetes_shared_memory: str = _variable(
        "2Gi",
        "Size of `/dev/shm`, through which the GPUs of a pod communicate; counts towards the memory.",
        on=_ALL_OF_AIRFLOW,
    )
    kubernetes_node_selector: Labels = _variable(
        {},
        'JSON object of node labels, such as `{"accelerator": "a100"}`.',
        on=_ALL_OF_AIRFLOW,
        expected='such as {"gpu": "a100"}',
    )
    kubernetes_tolerations: Tolerations = _variable(
        [GPU_TAINT],
        "JSON list of tolerations of a training task.",
        on=_ALL_OF_AIRFLOW,
        expected=f"such as {json.dumps([GPU_TAINT])}",
        shown=f"`{json.dumps([GPU_TAINT])}`",
    )
    kubernetes_cache_claim: str = _variable(
        "",
        "Persistent volume claim for the feature cache (`ReadWriteMany` where several nodes train).",
        on=_ALL_OF_AIRFLOW,
        shown="deleted with the pod",
    )

    _problems: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def read(cls) -> Environment:
        """Read the variables of this process."""
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
            # Called only for missing attributes: `read` removed the fields with an invalid value.
            problems = (self.__pydantic_private__ or {}).get("_problems", {})
            if name in problems:
                raise VariableInvalid(problems[name])
            return super().__getattr__(name)


class Variable(NamedTuple):
    """One variable, for a page that lists them.

    Attributes:
        name: of the environment variable.
        default: as text; empty where there is none.
        description: its purpose.
        on: the services that read it.
    """

    name: str
    default: str
    description: str
    on: str


def variables() -> Iterator[Variable]:
    """Yield every variable, in order."""
    for name, field in Environment.model_fields.items():
        details: Any = field.json_schema_extra
        default = details["shown"] or (f"`{field.default}`" if field.default not in ("", None, (), {}) else "")
        yield Variable(variable(name), default, field.description or "", details["on"])


def variable(field: str) -> str:
    """Return the name of the environment variable of a field."""
    return PREFIX + field.upper()


def _explain(field: str, problem: ErrorDetails) -> str:
    details: Any = Environment.model_fields[field].json_schema_extra
    name = variable(field)
    why = f", which is {problem['ctx']['error']}" if problem["type"] == "value_error" else ""
    return f"{name} is {os.environ.get(name, problem['input'])!r}{why}; expected {details['expected']}."
