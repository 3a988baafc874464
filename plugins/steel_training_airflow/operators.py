"""Operators that run one stage of the pipeline in a child process, by its command line.

So TensorFlow never runs in a forked worker, GPU memory is free when the stage ends, and the command in the task's log can
be run by hand. The exit code of the stage decides the state of its task:

| exit | task |
|---|---|
| 0, status `unchanged` | skipped, with all downstream tasks |
| 0 | success |
| 3 (rejected) | success, with the reasons as a warning |
| 3, status `refused` (the model cannot be evaluated) | failed, not retried: downstream tasks would have no metrics |
| 4, 5 (blocked by data validation, by the baseline check) | failed, not retried: the same data would fail again |
| 2 (wrong use) | failed, not retried |
| any other code, a signal, no result | failed, retried |
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, BranchMixIn
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from steel_training.environment import Environment
from steel_training.runs.result import Status, folder_of
from steel_training.verdict import EXIT_BLOCKED_BY_BASELINE, EXIT_BLOCKED_BY_DATA, EXIT_REJECTED
from steel_training_airflow.child import ChildProcess, NotIsolated
from steel_training_airflow.links import ALL, links_of

if TYPE_CHECKING:
    from airflow.sdk import Context

EXIT_WRONG_USE = 2
SMALL = 600
"""Maximum length, in characters of JSON, of an output that is pushed to XCom."""
MOST = 32_768
"""Maximum bytes of JSON of all reasons, and of all outputs, that are pushed to XCom: Airflow's database keeps it for every task."""

# A worker's environment holds Airflow's secrets; a stage gets only the variables that it needs.
PASSED_ON = frozenset(
    {
        *("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR"),
        *("LD_LIBRARY_PATH", "XLA_FLAGS", "OMP_NUM_THREADS", "KERAS_HOME"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    }
)
NOT_PASSED_ON = frozenset({"STEEL_TRAINING_NOTIFY"})
"""May contain passwords, and only Airflow notifies."""
ONLY_FOR = {"STEEL_TRAINING_SIGNING_KEY": "publish_model"}
"""The one stage that gets a variable."""
PASSED_ON_PREFIXES = ("LC_", "AWS_", "STEEL_TRAINING_", "TF_", "CUDA_", "NVIDIA_", "NCCL_")


class StageOperator(BaseOperator):
    """Runs `python -m steel_training STAGE --run-id … --store …`.

    Args:
        stage: name of the stage; by default the task's id.
        arguments: called with the task's context; returns further arguments of the command.

    The store comes from `STEEL_TRAINING_STORE`, the interpreter from `STEEL_TRAINING_PYTHON` (default: the worker's own).
    The XCom holds status, reasons, seconds and the small outputs of the stage; large ones are only in the store.
    """

    operator_extra_links = ALL
    ui_color = "#e4edf5"

    def __init__(
        self, *, stage: str | None = None, arguments: Callable[[Context], list[str]] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.stage = stage or self.task_id
        self.arguments = arguments
        self.links: dict[str, str] = {}
        self._child: ChildProcess | None = None

    def execute(self, context: Context) -> None:
        """Run the stage.

        Raises:
            AirflowSkipException: nothing has changed since the last verdict.
            AirflowFailException: a retry cannot help: the run is blocked, or the command is used wrongly.
            AirflowException: any other failure.
        """
        self.run_stage(context)

    def run_stage(self, context: Context) -> dict[str, Any]:
        """Run the stage, push the summary of its result to XCom, and return the whole result."""
        run_id = folder_of(context["run_id"])
        environment = Environment.read()
        if not environment.store:
            raise AirflowFailException(
                "STEEL_TRAINING_STORE is not set on this worker; expected the folder or s3:// URI of runs and models."
            )
        command = [environment.python or sys.executable, "-m", "steel_training", self.stage]
        command += ["--run-id", run_id, "--store", environment.store]
        if self.arguments is not None:
            command += self.arguments(context)
        code, last, tail = self._run(command)
        result = _parsed(last)
        if result is not None:
            self.links = links_of(run_id, self.stage, result)
            small = summary(result)
            context["ti"].xcom_push(key="return_value", value=small)
            for outlet in self.outlets:
                context["outlet_events"][outlet].extra.update(small)
        self._judge(code, result, tail)
        return result or {}

    def on_kill(self) -> None:
        """End the stage and its child processes. Airflow calls this when a task is cleared, failed or timed out."""
        if self._child is not None:
            self._child.terminate()

    def _run(self, command: list[str]) -> tuple[int, str, str]:
        self.log.info("Running: %s", shlex.join(command))
        tail: deque[str] = deque(maxlen=8)

        def on_line(line: str) -> None:
            tail.append(line)
            self.log.info("%s", line)

        self._child = child = ChildProcess(
            command,
            stage_environment(os.environ, self.stage),
            isolation_required=Environment.read().isolation == "required",
            warn=self.log.warning,
        )
        try:
            code, last = child.run(on_line)
        except OSError as error:
            raise AirflowFailException(
                f"{command[0]} cannot be started: {error.strerror}. Set STEEL_TRAINING_PYTHON to a Python interpreter."
            ) from error
        except NotIsolated as error:
            raise AirflowFailException(str(error)) from error
        finally:
            self._child = None
        if child.terminated:
            # The task runner continues after SIGTERM; a stage that was stopped must not end as a success.
            raise AirflowException(f"{self.stage} was stopped (exit {code}).")
        if _parsed(last) is None and last:
            on_line(last)
        return code, last, "\n".join(tail)

    def _judge(self, code: int, result: Mapping[str, Any] | None, tail: str) -> None:
        reasons = _listed(result)
        if code in (EXIT_BLOCKED_BY_DATA, EXIT_BLOCKED_BY_BASELINE):
            raise AirflowFailException(f"{self.stage} blocks the run; nothing is published.\n{reasons or tail}")
        if code == EXIT_WRONG_USE:
            raise AirflowFailException(f"{self.stage} was called with invalid arguments or settings.\n{tail}")
        if code not in (0, EXIT_REJECTED):
            raise AirflowException(f"{self.stage} failed ({_ending(code)}).\n{tail}")
        if result is None:
            raise AirflowException(f"{self.stage} ended without a result on its last line.\n{tail}")
        if result.get("status") == Status.REFUSED:
            raise AirflowFailException(f"REJECTED at {self.stage}; nothing is published.\n{reasons}")
        if code == EXIT_REJECTED:
            self.log.warning("REJECTED: the model is not published.\n%s", reasons)
        if result.get("status") == Status.UNCHANGED:
            raise AirflowSkipException(f"Nothing to do.\n{reasons}".strip())
        self.log.info("%s: %s in %s s", self.stage, result.get("status"), result.get("seconds"))


class DecideOperator(StageOperator, BranchMixIn):
    """Runs the stage `decide` and follows the branch of its verdict.

    Args:
        accepted: task that follows when the model meets its targets.
        asked: task that follows when it does and `publish.require_approval` is set.
        refused: task that follows when it does not.
    """

    inherits_from_skipmixin = True
    ui_color = "#f5ecd7"

    def __init__(self, *, accepted: str, asked: str, refused: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.accepted = accepted
        self.asked = asked
        self.refused = refused

    def execute(self, context: Context) -> None:
        """Run the stage and skip the other branches.

        Returns nothing: a return value would replace the stage's result in XCom.
        """
        result = self.run_stage(context)
        outputs = result.get("outputs", {})
        publish = outputs.get("publish")
        if not isinstance(publish, bool):
            raise AirflowException(f"{self.stage} returned publish = {publish!r}; expected true or false.")
        if not publish:
            self.log.warning("The model does not pass the gate.\n%s", _listed(result))
        accepted = self.asked if outputs.get("require_approval") else self.accepted
        self.do_branch(context, accepted if publish else self.refused)


def stage_environment(environment: Mapping[str, str], stage: str) -> dict[str, str]:
    """Return the environment variables that a stage gets."""
    passed = {
        name: value
        for name, value in environment.items()
        if (name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES))
        and name not in NOT_PASSED_ON
        and ONLY_FOR.get(name, stage) == stage
    }
    return {**passed, "PYTHONUNBUFFERED": "1"}


def summary(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a stage's result that is pushed to XCom: status, reasons, seconds, and small outputs.

    Reasons and outputs take at most `MOST` bytes each; of the outputs the smallest go first.
    """
    sizes = {name: len(json.dumps(value)) for name, value in result.get("outputs", {}).items() if value is not None}
    outputs, room = {}, MOST
    for name in sorted(sizes, key=lambda each: sizes[each]):
        room -= len(name) + sizes[name]
        if sizes[name] > SMALL or room < 0:
            break
        outputs[name] = result["outputs"][name]
    reasons, left_out = _first(result.get("reasons", ()))
    found = {"status": result.get("status"), "reasons": reasons, "seconds": result.get("seconds"), "outputs": outputs}
    return found | ({"reasons_left_out": left_out} if left_out else {})


def _first(reasons: Sequence[Mapping[str, str]]) -> tuple[list[Mapping[str, str]], int]:
    """Return the reasons that take at most `MOST` bytes, the first ones first, and how many are left out."""
    kept, room = [], MOST
    for reason in reasons:
        room -= len(json.dumps(reason))
        if room < 0:
            break
        kept.append(reason)
    return kept, len(reasons) - len(kept)


def _parsed(line: str) -> dict[str, Any] | None:
    """Parse the result line; `None` where it is not a JSON object. NaN is not JSON, and XCom would refuse it."""
    try:
        value = json.loads(line, parse_constant=_refuse_constant)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


def _listed(result: Mapping[str, Any] | None) -> str:
    reasons, left_out = _first(result.get("reasons", ()) if result else ())
    lines = [f"  {reason['code']}: {reason['message']}" for reason in reasons]
    return "\n".join([*lines, f"  and {left_out:,} more reasons, in the store"] if left_out else lines)


def _ending(code: int) -> str:
    if code == -9:
        return "killed by SIGKILL; out of memory is the usual cause"
    return f"exit {code}" if code >= 0 else f"ended by signal {-code}"
