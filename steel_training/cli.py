"""The command line: one command per stage, `run` for all stages, and commands for datasets, models and serving.

Logs go to standard error; the last line of standard output is a JSON object.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.exceptions import TyperException

from steel_training import stages
from steel_training.config import load_config, settings
from steel_training.errors import SteelTrainingError, UsageError
from steel_training.ingest.commands import datasets
from steel_training.labels.commands import ConfigFile, Overrides, labels
from steel_training.registry.commands import Store, models
from steel_training.runs.lease import Lease
from steel_training.runs.result import FIRST, STAGES, StageResult, Status, safe_run_id
from steel_training.runs.run import Run
from steel_training.serving.commands import serving
from steel_training.storage import open_storage
from steel_training.training import cluster
from steel_training.verdict import EXIT_BLOCKED_BY_BASELINE, EXIT_BLOCKED_BY_DATA, EXIT_REJECTED, printable

if TYPE_CHECKING:
    from steel_training.stages.resolve_dataset import Request

log = logging.getLogger("steel_training")

app = typer.Typer(
    help=sys.modules["steel_training"].__doc__,
    subcommand_metavar="COMMAND [ARGS]...",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Dataset = Annotated[
    str,
    typer.Argument(metavar="DATASET", help="folder or s3:// prefix of a dataset, or of its YYYY-MM-DD versions"),
]
RunId = Annotated[str, typer.Option(help="id of the run, as used by `run` or the previous stage")]
Allowed = Annotated[
    list[str],
    typer.Option(
        "--allow",
        metavar="CODE",
        default_factory=list,
        show_default=False,
        help="do not block on this leak probe, such as leak.too_good; the model card will list it (baseline.allow)",
    ),
]
AsOf = Annotated[
    str | None, typer.Option("--date", metavar="DATE", help="use the newest dataset version up to YYYY-MM-DD")
]

_DISK_FULL = "Free space on that disk, or point TMPDIR and STEEL_TRAINING_SCRATCH at a larger one."
_NO_PERMISSION = "Give this user write permission there, or use another folder."
_MACHINE_ERRORS = {
    errno.ENOSPC: _DISK_FULL,
    errno.EDQUOT: _DISK_FULL,
    errno.EFBIG: _DISK_FULL,
    errno.EROFS: _NO_PERMISSION,
    errno.EACCES: _NO_PERMISSION,
    errno.EPERM: _NO_PERMISSION,
    errno.EMFILE: "Raise the limit of open files (ulimit -n).",
    errno.ENOMEM: "The machine needs more memory.",
}
"""Errors of the machine, not of the program: reported with advice and without a traceback."""


class _OneLine(logging.Formatter):
    """Writes each message on one line: a name in a dataset must not forge log lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name that logging calls
        record.message = printable(record.message)
        return super().formatMessage(record)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (see the README)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for chatty in ("botocore", "great_expectations", "matplotlib", "absl", "tensorflow", "h5py"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    # On a machine without a GPU, TensorFlow logs errors only to say so.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if Path("/dev/nvidiactl").exists() else "3")
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    command = typer.main.get_command(app)
    try:
        # Not command.main(): typer would handle Ctrl-C and full disks itself.
        with command.make_context("steel-training", list(sys.argv[1:] if arguments is None else arguments)) as context:
            code: int = command.invoke(context)
    except typer.Exit as ended:
        return ended.exit_code
    except TyperException as error:
        _print_usage(error)
        return error.exit_code
    except SteelTrainingError as error:
        print(f"steel-training: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        if error.errno not in _MACHINE_ERRORS:
            raise
        where = f" ({error.filename})" if error.filename else ""
        print(
            f"steel-training: {error.strerror}{where}. {_MACHINE_ERRORS[error.errno]} Finished stages are kept: run again with the same "
            "--run-id.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print(
            "steel-training: interrupted; finished stages are kept, run again with the same --run-id.", file=sys.stderr
        )
        return 1
    return code


def _print_usage(error: TyperException) -> None:
    context: typer.Context | None = getattr(error, "ctx", None)
    path = context.command_path if context else "steel-training"
    if context:
        print(context.get_usage(), file=sys.stderr)
    message = error.format_message().replace("Value error, ", "").rstrip(".")
    print(f"steel-training: {message}. See: {path} --help", file=sys.stderr)


@app.command("run")
def run_all(
    dataset: Dataset,
    *,
    store: Store,
    run_id: Annotated[
        str | None,
        typer.Option(help="start a run with this id, or continue it", show_default="from the current time"),
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides,
    allow: Allowed,
    as_of: AsOf = None,
) -> int:
    """Run all stages, to a verdict."""
    from steel_training.stages.approve_release import released

    request = _request(dataset, config, overrides, allow, as_of)
    run = Run(open_storage(store), safe_run_id(run_id or datetime.now(UTC).strftime("run-%Y%m%dT%H%M%S%f")))
    with _leased(run, "run"):
        result = _perform(run, FIRST, request)
        for stage in STAGES[1 : STAGES.index("decide") + 1]:
            if result.status is not Status.DONE:
                return _conclude(run, result)
            result = _perform(run, stage)
        if result.status is not Status.DONE:
            return _conclude(run, result)
        last = "publish_model" if released(run).publish else "reject_model"
        return _conclude(run, _perform(run, last))


def _add_stages() -> None:
    # In the order of a run, which is also the order in --help.
    own: dict[str, Callable[..., int]] = {FIRST: resolve_dataset, "approve_release": approve_release}
    for stage in STAGES:
        app.command(stage)(own.get(stage) or _command_of(stage))


def resolve_dataset(
    run_id: RunId,
    store: Store,
    dataset: Annotated[str, typer.Option(help="folder or s3:// prefix of a dataset, or of its YYYY-MM-DD versions")],
    *,
    config: ConfigFile = None,
    overrides: Overrides,
    allow: Allowed,
    as_of: AsOf = None,
) -> int:
    """Run only the stage resolve_dataset, the first of a run."""
    return _stage(FIRST, run_id, store, _request(dataset, config, overrides, allow, as_of))


def approve_release(
    run_id: RunId,
    store: Store,
    by: Annotated[str, typer.Option(metavar="NAME", help="name of the person who decides")],
    refuse: Annotated[
        str | None, typer.Option(metavar="REASON", help="refuse the release; without it the model is released")
    ] = None,
    user: Annotated[
        str | None, typer.Option(metavar="ID", help="id of that person, as in publish.approvers; default: the name")
    ] = None,
) -> int:
    """Run only the stage approve_release: record a person's decision."""
    from steel_training.stages.approve_release import Answer

    return _stage("approve_release", run_id, store, Answer(by, refuse, user))


def _command_of(stage: str) -> Callable[..., int]:
    def command(run_id: RunId, store: Store) -> int:
        return _stage(stage, run_id, store)

    command.__doc__ = f"Run only the stage {stage}."
    return command


_add_stages()
app.add_typer(datasets)
app.add_typer(labels, name="labels")
app.add_typer(models, name="models")
app.add_typer(serving)


@app.command("settings")
def list_settings(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="as the page docs/settings.md, with the environment variables")
    ] = False,
) -> int:
    """List every configuration key, its default and meaning."""
    if markdown:
        from steel_training.report.settings_page import settings_page

        print(settings_page(), end="")
        return 0
    for key, schema in settings():
        print(f"{key:<40} {schema['default']!s:<22} {schema.get('description', '')}")
    return 0


def _request(
    dataset: str, config: str | None, overrides: Sequence[str], allow: Sequence[str], as_of: str | None
) -> Request:
    from steel_training.stages.resolve_dataset import Request

    day = _date(as_of)
    read = load_config(config, overrides=overrides)
    if allow:
        named = json.dumps([*read.baseline.allow, *allow])
        read = load_config(config, overrides=[*overrides, f"baseline.allow={named}"])
    return Request(dataset, read, day)


def _stage(stage: str, run_id: str, store: str, *request: object) -> int:
    run = Run(open_storage(store), safe_run_id(run_id))
    with _leased(run, stage):
        result = _perform(run, stage, *request)
    for reason in result.reasons:
        log.info("%s: %s", reason.code, reason.message)
    if advice := result.outputs.get("advice"):
        log.info("%s", advice)
    print(json.dumps(result.as_dict()))
    return _exit_code(result)


@contextlib.contextmanager
def _leased(run: Run, work: str) -> Iterator[None]:
    """Keep other processes from working on the run; of a cluster's workers, the chief does."""
    if not cluster.is_chief():
        yield
        return
    run.lease = Lease(run.store, run.run_id, work)
    try:
        yield
    finally:
        run.lease.release()


def _perform(run: Run, stage: str, *request: object) -> StageResult:
    cluster.refuse_worker(stage)
    # Without an approval a run has two stages less than STAGES: it ends in either publish_model or reject_model.
    place = STAGES.index(stage) + 1
    of = f"[{min(place, len(STAGES) - 2)}/{len(STAGES) - 2}]"
    log.info("%s %s", of, stage)
    result = stages.perform(stage, run, *request)
    log.info("%s %s: %s, %.0f s", of, stage, result.status, result.seconds)
    return result


def _conclude(run: Run, result: StageResult) -> int:
    from steel_training.report.summary import conclude

    conclusion = conclude(run, result)
    print(conclusion.as_text(), file=sys.stderr)
    print(json.dumps(conclusion.as_dict()))
    return _exit_code(result)


def _exit_code(result: StageResult) -> int:
    if result.status is Status.BLOCKED:
        return EXIT_BLOCKED_BY_DATA if result.stage == "validate_patches" else EXIT_BLOCKED_BY_BASELINE
    return EXIT_REJECTED if result.status is Status.REFUSED or result.stage == "reject_model" else 0


def _date(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--date {text!r} is not a valid date; expected YYYY-MM-DD.") from None
