"""Records that a person releases a model that meets its targets, or refuses it.

Required by `publish.require_approval`. It is enforced here and not only in the DAG, so that the command line cannot bypass
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from steel_training.errors import UsageError
from steel_training.runs.outputs import Approval, Decided
from steel_training.runs.result import StageResult
from steel_training.runs.run import Run
from steel_training.verdict import Reason


class WaitsForAnswer(UsageError):
    """The model meets its targets, and nobody has released or refused it yet."""


class NothingToAnswer(UsageError):
    """The run was refused by the gate, or needs no approval."""


@dataclass(frozen=True)
class Answer:
    """A person's answer.

    Attributes:
        by: name of the person.
        refused: why the model is not released; `None` releases it.
    """

    by: str
    refused: str | None = None


@dataclass(frozen=True)
class Release:
    """The decision of gate and person together.

    Attributes:
        publish: whether the model is to be published.
        reasons: for it.
        stage: the stage that decided.
    """

    publish: bool
    reasons: tuple[Reason, ...]
    stage: str


def approve_release(run: Run, answer: Answer) -> StageResult:
    """Records a person's answer; another answer replaces it, until the model is published or rejected.

    Raises:
        NothingToAnswer: the gate refused the model, or the configuration requires no approval.
        UsageError: the name or the reason is empty.
    """
    decided = run.result("decide")
    if not Decided.from_dict(decided.outputs).publish:
        raise NothingToAnswer(f"Run {run.run_id} does not meet its targets; a person cannot release it.")
    if not run.config.publish.require_approval:
        raise NothingToAnswer(f"Run {run.run_id} does not require approval (publish.require_approval).")
    if not answer.by.strip():
        raise UsageError("An answer needs a name: --by NAME.")
    if answer.refused is not None and not answer.refused.strip():
        raise UsageError("A refusal needs a reason: --refuse REASON.")

    def work(_: Path) -> StageResult:
        reasons = decided.reasons
        if answer.refused is not None:
            reasons = (
                Reason(
                    "release.refused",
                    f"{answer.by} refused the release of a model that meets its targets: {answer.refused.strip()}",
                ),
            )
        return StageResult(
            "approve_release",
            reasons=reasons,
            outputs=Approval(answer.refused is None, answer.by, answer.refused).to_dict(),
        )

    given = {"by": answer.by, "refused": answer.refused}
    return run.perform("approve_release", {**run.after("decide"), **given}, work)


def released(run: Run) -> Release:
    """Returns whether the run's model is to be published: by the gate, and by a person where approval is required.

    Raises:
        WaitsForAnswer: approval is required and nobody has answered.
    """
    decided = run.result("decide")
    publish = Decided.from_dict(decided.outputs).publish
    if not publish or not run.config.publish.require_approval:
        return Release(publish, decided.reasons, "decide")
    answered = run.find_result("approve_release")
    if answered is None or answered.finished_at < decided.finished_at:
        raise WaitsForAnswer(
            f"The model of run {run.run_id} meets its targets and waits for a person. Release it:\n"
            f"  steel-training approve_release --run-id {run.run_id} --store {run.store.uri} --by NAME\n"
            "or refuse it with --refuse REASON; then run publish_model or reject_model, or repeat the same 'run'."
        )
    return Release(Approval.from_dict(answered.outputs).approved, answered.reasons, "approve_release")
