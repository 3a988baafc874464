"""Tells people of a run that publishes nothing, or that waits for them: in the task's log, and wherever they read.

`STEEL_TRAINING_NOTIFY` holds the addresses, separated by spaces, in the notation of the Apprise library:
`json://host/path` posts to a webhook, `mailto://…` sends a mail, and some hundred other services have theirs. They may hold
passwords, so they are a setting of the workers and not of a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

from steel_training.environment import Environment
from steel_training.runs.run import Status, folder_of
from steel_training.verdict import Verdict
from steel_training_airflow.links import report_address

if TYPE_CHECKING:
    from airflow.sdk import Context

WAITS = "waits for release"

_VERDICTS = {Status.BLOCKED: Verdict.BLOCKED, Status.REFUSED: Verdict.REJECTED}


class VerdictNotifier(BaseNotifier):
    """Tells how a task ended its run: rejected, blocked by the data, or failed, with every reason.

    Args:
        what: the title's last word, where the task's own result does not say it.

    A notice that cannot be sent is an error in the log and no more: a verdict stands whether or not anybody is told.
    """

    def __init__(self, what: str | None = None) -> None:
        super().__init__()
        self.what = what

    def notify(self, context: Context) -> None:
        """Writes the notice to the log and sends it to every address."""
        title, text = notice(context, self.what)
        self.log.warning("%s\n%s", title, text)
        for address in Environment.read().notify:
            self._send(address, title, text)

    def _send(self, address: str, title: str, text: str) -> None:
        import apprise

        sender = apprise.Apprise()
        if not sender.add(address):
            scheme = address.partition(":")[0]
            self.log.error(
                "STEEL_TRAINING_NOTIFY holds an address that is none (%s:…); expected one such as json://host/path.",
                scheme,
            )
            return
        shown = sender[0].url(privacy=True)  # without its password
        # Plain text, which mail in HTML then escapes: a name in a dataset may hold tags.
        if sender.notify(title=title, body=text, body_format=apprise.NotifyFormat.TEXT):
            self.log.info("Told %s.", shown)
        else:
            self.log.error("%s could not be told.", shown)


def notice(context: Mapping[str, Any], what: str | None = None) -> tuple[str, str]:
    """Returns title and text of the notice on how a task ended.

    Args:
        context: of the task.
        what: for the title; else the verdict that the task's result holds, or `failed` without one.
    """
    task = context["ti"]
    run_id = folder_of(context["run_id"])
    result = task.xcom_pull(task_ids=task.task_id) or {}
    resolved = task.xcom_pull(task_ids="resolve_dataset") or {}
    verdict = _VERDICTS.get(result.get("status")) or result.get("outputs", {}).get("verdict")
    title = f"steel-training: {what or verdict or 'failed'}"
    lines = [f"Run {context['run_id']}, task {task.task_id}."]
    if dataset := resolved.get("outputs", {}).get("dataset"):
        lines.append(f"Dataset {dataset}.")
    lines += [f"{reason['code']}: {reason['message']}" for reason in result.get("reasons", ())]
    if left_out := result.get("reasons_left_out"):
        lines.append(f"And {left_out:,} reasons more, in the report.")
    if verdict is None and what is None:
        lines.append(str(context.get("exception") or "The task's log has the reason."))
    if verdict is not None:
        lines.append(f"Report: {report_address(run_id)}")
    lines.append(f"Task: {task.log_url}")
    return title, "\n".join(lines)
