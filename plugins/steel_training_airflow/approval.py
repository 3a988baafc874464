"""The approval task: a person releases or refuses a model that meets its targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import BranchMixIn, Param
from airflow.sdk.execution_time.hitl import HITLUser

from steel_training.runs.result import folder_of
from steel_training.verdict import ALLOWED
from steel_training_airflow.links import report_address
from steel_training_airflow.notices import WAITS, VerdictNotifier
from steel_training_airflow.operators import StageOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

REASON = "reason"
_ORDER = ("recall", "f2", "precision", "auc")
NOBODY = "nobody (no answer in time)"


class ApproveReleaseOperator(StageOperator, ApprovalOperator, BranchMixIn):
    """Shows the metrics to a person and waits; the stage records the answer, which decides the branch.

    Args:
        approved: task that follows a release.
        refused: task that follows a refusal, or no answer within `response_timeout`.

    Unlike in the base class, a refusal does not skip all downstream tasks: it is recorded as a rejection, with its reason.
    """

    ui_color = "#f5ecd7"

    def __init__(self, *, approved: str, refused: str, **kwargs: Any) -> None:
        kwargs["params"] = {  # replaces the DAG's params, which Airflow has put there
            REASON: Param(
                None,
                type=["string", "null"],  # a required text would have to be filled in to approve as well
                title="Reason",
                description="Required only to refuse. It is recorded with the rejection, under your name.",
            )
        }
        super().__init__(
            subject="Release the model of run {{ run_id }}?",
            defaults=self.REJECT,
            notifiers=VerdictNotifier(WAITS),
            **kwargs,
        )
        self.approved = approved
        self.refused = refused

    def execute(self, context: Context) -> Any:
        """Asks for approval, showing the metrics, and waits without occupying a worker."""
        decided = context["ti"].xcom_pull(task_ids="decide") or {}
        outputs = decided.get("outputs", {})
        report = report_address(folder_of(context["run_id"]))
        self.body = question(outputs, report, alarms_allowed(decided.get("reasons", ())))
        # Airflow refuses answers of others; the stage checks again.
        self.assigned_users = [HITLUser(id=user, name=user) for user in outputs.get("approvers", ())]
        return ApprovalOperator.execute(self, context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> None:
        """Record the answer and skip the branch that it does not take; ask again where another person must release too."""
        answer = super(ApprovalOperator, self).execute_complete(context, event)
        approved = answer["chosen_options"] == [self.APPROVE]
        user = answer["responded_by_user"] or {}
        arguments = ["--by", str(user.get("name") or user.get("id") or NOBODY)]
        if user.get("id"):
            arguments += ["--user", str(user["id"])]
        if not approved:
            arguments += ["--refuse", str(answer["params_input"].get(REASON) or "").strip() or "no reason given"]
        self.arguments = lambda _: arguments
        recorded = self.run_stage(context).get("outputs", {})
        if recorded.get("waiting"):
            self.log.info("Released by %s; another person has to release it as well.", recorded["by"])
            ApprovalOperator.execute(self, context)  # waits again
        self.do_branch(context, self.approved if approved else self.refused)


def alarms_allowed(reasons: Iterable[Mapping[str, str]]) -> list[str]:
    """Return, as Markdown, the alarms of the baseline check that `baseline.allow` allows."""
    return [f"**{each['code']}**: {each['message']}" for each in reasons if each["message"].startswith(ALLOWED)]


def question(decided: Mapping[str, Any], report: str, alarms: Sequence[str] = ()) -> str:
    """Return the text of the approval request, as Markdown.

    Args:
        decided: outputs of the stage `decide`: metrics with bounds and targets, counts of errors, who may release.
        report: address of the run's report.
        alarms: allowed alarms of the baseline check, as Markdown; they come first.
    """
    judged = decided.get("figures", {})
    rows = [
        f"| {name} | {_number(judged[name]['value'])} | {_number(judged[name]['bound'])} | {_number(judged[name]['target'])} |"
        for name in sorted(judged, key=_ORDER.index)
    ]
    lines = [line for alarm in alarms for line in (alarm, "")]
    lines += ["| metric | test split | one-sided bound | target |", "|---|---|---|---|", *rows, ""]
    if "defects" in decided:
        lines.append(
            f"{decided['missed']:,} of {decided['defects']:,} defects missed, {decided['false_alarms']:,} false alarms among "
            f"{decided['clean']:,} clean patches. Champion: {decided.get('champion') or 'none yet'}."
        )
    if decided.get("four_eyes"):
        lines += ["", "Two people have to release it; the task waits again after the first."]
    lines += ["", f"[Report]({report})"]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
