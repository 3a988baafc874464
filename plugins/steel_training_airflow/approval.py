"""The task in which a person releases a model that meets its targets, or refuses it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import BranchMixIn, Param

from steel_training.runs.run import folder_of
from steel_training.verdict import ALLOWED
from steel_training_airflow.links import report_address
from steel_training_airflow.notices import WAITS, VerdictNotifier
from steel_training_airflow.operators import StageOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

REASON = "reason"
_FIRST = ("recall", "f2", "precision", "auc")
NOBODY = "nobody (no answer in time)"


class ApproveReleaseOperator(StageOperator, ApprovalOperator, BranchMixIn):
    """Shows the figures to a person and waits; the answer is recorded by the stage, and decides the branch.

    Args:
        approved: the task to go on with when the model is released.
        refused: the task to go on with when it is not, or when nobody answers within `response_timeout`.

    Unlike its base, a refusal does not skip all that follows: it is recorded as a rejection, with the person's reason.
    """

    ui_color = "#f5ecd7"

    def __init__(self, *, approved: str, refused: str, **kwargs: Any) -> None:
        kwargs["params"] = {  # Airflow has put those of the DAG there, which the person is not asked for
            REASON: Param(
                None,
                type=["string", "null"],  # a text that must not be empty would keep a person from approving
                title="Reason",
                description="Of a refusal; it stands in the record of the rejection, under your name.",
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
        """Puts the question, with the figures, and waits without a worker."""
        decided = context["ti"].xcom_pull(task_ids="decide") or {}
        report = report_address(folder_of(context["run_id"]))
        self.body = figures(decided.get("outputs", {}), report, alarms_allowed(decided.get("reasons", ())))
        return ApprovalOperator.execute(self, context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> None:
        """Records the answer and skips the branch that it does not take."""
        answer = super(ApprovalOperator, self).execute_complete(context, event)
        approved = answer["chosen_options"] == [self.APPROVE]
        user = answer["responded_by_user"] or {}
        words = ["--by", str(user.get("name") or user.get("id") or NOBODY)]
        if not approved:
            words += ["--refuse", str(answer["params_input"].get(REASON) or "").strip() or "no reason given"]
        self.arguments = lambda _: words
        self.run_stage(context)
        self.do_branch(context, self.approved if approved else self.refused)


def alarms_allowed(reasons: Iterable[Mapping[str, str]]) -> list[str]:
    """Returns, as Markdown, those reasons of a decision that are alarms somebody allowed by name."""
    return [f"**{each['code']}**: {each['message']}" for each in reasons if each["message"].startswith(ALLOWED)]


def figures(decided: Mapping[str, Any], report: str, alarms: Sequence[str] = ()) -> str:
    """Returns what a person must see to answer, as Markdown.

    Args:
        decided: outputs of the stage `decide`: the judged figures with bounds and targets, the mistakes counted.
        report: address of the run's report.
        alarms: of the baseline check that were allowed, as Markdown: they come first.
    """
    judged = decided.get("figures", {})
    rows = [
        f"| {name} | {_figure(judged[name]['value'])} | {_figure(judged[name]['bound'])} | {_figure(judged[name]['target'])} |"
        for name in sorted(judged, key=_FIRST.index)
    ]
    told = [line for alarm in alarms for line in (alarm, "")]
    told += ["| | test | bound | target |", "|---|---|---|---|", *rows, ""]
    if "defects" in decided:
        told.append(
            f"{decided['missed']:,} of {decided['defects']:,} defects missed, {decided['false_alarms']:,} false alarms on "
            f"{decided['clean']:,} clean patches. Champion: {decided.get('champion') or 'none yet'}."
        )
    told += ["", f"[Report]({report})"]
    return "\n".join(told)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
