"""Records that people release a model that meets its targets, or that one refuses it.

Required by `publish.require_approval`, and limited by `publish.approvers` and `publish.four_eyes`. They are enforced here and
not only in the DAG, so that the command line cannot bypass them.
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
    """The model meets its targets, and too few people have released it or refused it yet."""


class NothingToAnswer(UsageError):
    """The run was refused by the gate, needs no approval, or is published already."""


class NotAnApprover(UsageError):
    """The person is not one of those who may release a model."""


@dataclass(frozen=True)
class Answer:
    """A person's answer.

    Attributes:
        by: name of the person.
        refused: why the model is not released; `None` releases it.
        user: id of the person, by which approvers are known; `None` where it is the name.
    """

    by: str
    refused: str | None = None
    user: str | None = None


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
    """Record a person's answer; another answer replaces it, until the model is published or rejected.

    With `publish.four_eyes` a release counts when a second person has released the model too. A refusal counts at once, and
    anyone may refuse: it publishes nothing.

    Raises:
        NothingToAnswer: the gate refused the model, the configuration requires no approval, or the model is published already.
        NotAnApprover: `publish.approvers` does not name the person who releases it.
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
    user = answer.user or answer.by
    approvers = run.config.publish.approvers
    if answer.refused is None and approvers and user not in approvers:
        raise NotAnApprover(
            f"{user} may not release the model of run {run.run_id}; nothing was recorded. publish.approvers names "
            f"{', '.join(approvers)}. One of them has to release it; anyone may refuse it with --refuse REASON."
        )
    earlier = _answer(run, decided)
    before = earlier.released_by if earlier is not None else {}
    if run.registry.holds(run.version):
        if answer.refused is None and earlier is not None and earlier.approved:
            return run.result("approve_release")
        raise NothingToAnswer(
            f"Run {run.run_id} has published version {run.version}; its release cannot be answered again. To withdraw it: "
            f"steel-training models rollback --store {run.store.uri}"
        )

    def work(_: Path) -> StageResult:
        if answer.refused is not None:
            message = f"{answer.by} refused the release of a model that meets its targets: {answer.refused.strip()}"
            refusal = Approval(False, answer.by, answer.refused)
            reasons = (Reason("release.refused", message),)
            return StageResult("approve_release", reasons=reasons, outputs=refusal.to_dict())
        people = {**before, user: answer.by} if run.config.publish.four_eyes else {user: answer.by}
        waiting = run.config.publish.four_eyes and len(people) < 2
        release = Approval(not waiting, " and ".join(people.values()), None, people, waiting)
        return StageResult("approve_release", reasons=decided.reasons, outputs=release.to_dict())

    given = {"by": answer.by, "user": user, "refused": answer.refused, "released_by": dict(before)}
    return run.perform("approve_release", {**run.after("decide"), **given}, work)


def released(run: Run) -> Release:
    """Return whether the run's model is to be published: by the gate, and by people where approval is required.

    Raises:
        WaitsForAnswer: approval is required and too few have answered.
    """
    decided = run.result("decide")
    publish = Decided.from_dict(decided.outputs).publish
    if not publish or not run.config.publish.require_approval:
        return Release(publish, decided.reasons, "decide")
    answered = _answer(run, decided)
    if answered is None or answered.waiting:
        waits = "a person" if answered is None else f"another person than {answered.by} (publish.four_eyes)"
        raise WaitsForAnswer(
            f"The model of run {run.run_id} meets its targets and waits for {waits}. Release it:\n"
            f"  steel-training approve_release --run-id {run.run_id} --store {run.store.uri} --by NAME\n"
            "or refuse it with --refuse REASON; then run publish_model or reject_model, or repeat the same 'run'."
        )
    return Release(answered.approved, run.result("approve_release").reasons, "approve_release")


def _answer(run: Run, decided: StageResult) -> Approval | None:
    """Return the answer to this decision; one to an earlier decision of the run does not count."""
    answered = run.find_result("approve_release")
    if answered is None or answered.finished_at < decided.finished_at:
        return None
    return Approval.from_dict(answered.outputs)
