"""The command line: one command a stage, `run` for all of them, and what a person does with models.

Logs go to standard error; the last line of standard output is one JSON object for the caller.
"""

from __future__ import annotations

import argparse
import errno
import json
import logging
import os
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from steel_training.config import load_config, settings
from steel_training.errors import SteelTrainingError, UsageError
from steel_training.runs.run import STAGES, Run, StageResult, Status, safe_run_id
from steel_training.stages import perform
from steel_training.storage import open_storage
from steel_training.training import cluster
from steel_training.verdict import EXIT_BLOCKED_BY_BASELINE, EXIT_BLOCKED_BY_DATA, EXIT_REJECTED

log = logging.getLogger("steel_training")

_ROOM = "Make room on that disk, or point TMPDIR and STEEL_TRAINING_SCRATCH at a larger one."
_RIGHTS = "Let this user write there, or name another folder."
_MACHINE = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EROFS: _RIGHTS,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EMFILE: "Allow more open files (ulimit -n).",
    errno.ENOMEM: "Give the machine more memory.",
}
"""What the machine refuses, not the program: told with what to do, and no traceback."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code (see DESIGN, `steel-training --help`)."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    for chatty in ("botocore", "great_expectations", "matplotlib", "absl", "tensorflow", "h5py"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    # Without a GPU, that there is none is all that TensorFlow's own errors would tell.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if Path("/dev/nvidiactl").exists() else "3")
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    options = _parser().parse_args(arguments)
    try:
        code: int = options.func(options)
    except SteelTrainingError as error:
        print(f"steel-training: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        if error.errno not in _MACHINE:
            raise
        where = f" ({error.filename})" if error.filename else ""
        print(
            f"steel-training: {error.strerror}{where}. {_MACHINE[error.errno]} Finished stages are kept: run again with the same "
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


def _parser() -> argparse.ArgumentParser:
    from steel_training.ingest.commands import add_commands as add_ingest_commands
    from steel_training.registry.commands import add_commands as add_registry_commands
    from steel_training.serving.commands import add_commands as add_serving_commands

    parser = argparse.ArgumentParser(prog="steel-training", description=sys.modules["steel_training"].__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    whole = commands.add_parser("run", help="all stages, to a verdict")
    whole.add_argument(
        "dataset", metavar="DATASET", help="folder or s3:// prefix, or one that holds YYYY-MM-DD versions"
    )
    _add_store(whole)
    whole.add_argument("--run-id", help="continue a run of this id, or start one (default: the time)")
    _add_request(whole)
    whole.set_defaults(func=_run)

    for stage in STAGES:
        single = commands.add_parser(stage, help=f"only the stage {stage}")
        single.add_argument("--run-id", required=True)
        _add_store(single)
        if stage == STAGES[0]:
            single.add_argument("--dataset", required=True)
            _add_request(single)
        if stage == "approve_release":
            single.add_argument("--by", required=True, metavar="NAME", help="who answers")
            single.add_argument("--refuse", metavar="REASON", help="refuse the release; left out: release the model")
        single.set_defaults(func=_stage, stage=stage)

    add_ingest_commands(commands)
    add_serving_commands(commands, add_registry_commands(commands))

    listing = commands.add_parser("settings", help="every configuration key, its default and meaning")
    listing.set_defaults(func=_settings)
    return parser


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", required=True, help="folder or s3:// prefix for runs and models")


def _add_request(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", help="YAML file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="CODE",
        help="let an alarm of this leak probe pass, such as leak.too_good; it will stand in the model card (baseline.allow)",
    )
    parser.add_argument("--date", help="newest dataset version not later than YYYY-MM-DD")


def _perform(run: Run, stage: str, options: argparse.Namespace) -> StageResult:
    cluster.refuse_worker(stage)
    # A run without a person in it has one step less than there are stages: it is published or rejected.
    place = STAGES.index(stage) + 1
    of = f"[{min(place, len(STAGES) - 2)}/{len(STAGES) - 2}]"
    log.info("%s %s", of, stage)
    if stage == STAGES[0]:
        as_of = _date(options.date)
        config = load_config(options.config, overrides=options.overrides)
        if options.allow:
            named = [*config.baseline.allow, *options.allow]
            config = load_config(options.config, overrides=[*options.overrides, f"baseline.allow={json.dumps(named)}"])
        from steel_training.stages.resolve_dataset import Request

        result = perform(stage, run, Request(options.dataset, config, as_of))
    elif stage == "approve_release":
        from steel_training.stages.approve_release import Answer

        result = perform(stage, run, Answer(options.by, options.refuse))
    else:
        result = perform(stage, run)
    log.info("%s %s: %s, %.0f s", of, stage, result.status, result.seconds)
    return result


def _date(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--date {text!r} is no date; expected YYYY-MM-DD.") from None


def _exit_code(result: StageResult) -> int:
    if result.status is Status.BLOCKED:
        return EXIT_BLOCKED_BY_DATA if result.stage == "validate_patches" else EXIT_BLOCKED_BY_BASELINE
    return EXIT_REJECTED if result.status is Status.REFUSED or result.stage == "reject_model" else 0


def _stage(options: argparse.Namespace) -> int:
    run = Run(open_storage(options.store), safe_run_id(options.run_id))
    result = _perform(run, options.stage, options)
    for reason in result.reasons:
        log.info("%s: %s", reason.code, reason.message)
    print(json.dumps(result.as_dict()))
    return _exit_code(result)


def _run(options: argparse.Namespace) -> int:
    from steel_training.stages.approve_release import released

    run_id = options.run_id or datetime.now(UTC).strftime("run-%Y%m%dT%H%M%S%f")
    run = Run(open_storage(options.store), safe_run_id(run_id))
    for stage in STAGES[: STAGES.index("decide") + 1]:
        result = _perform(run, stage, options)
        if result.status is not Status.DONE:
            return _conclude(run, result)
    last = "publish_model" if released(run).publish else "reject_model"
    return _conclude(run, _perform(run, last, options))


def _conclude(run: Run, result: StageResult) -> int:
    from steel_training.report.summary import conclude

    conclusion = conclude(run, result)
    print(conclusion.told(), file=sys.stderr)
    print(json.dumps(conclusion.as_dict()))
    return _exit_code(result)


def _settings(_: argparse.Namespace) -> int:
    for key, schema in settings():
        print(f"{key:<40} {schema['default']!s:<22} {schema.get('description', '')}")
    return 0
