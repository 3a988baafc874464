"""Notifies people of a run that is rejected, blocked or failed, or that waits for approval: in the task's log and by message.

`STEEL_TRAINING_NOTIFY` holds the recipients as Apprise URLs, separated by spaces: `json://host/path` posts to a webhook,
`mailto://…` sends a mail, and Apprise supports about a hundred other services. They may contain passwords, so they are a
variable of the workers and not a setting of a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

from steel_training.environment import Environment
from steel_training.runs.result import folder_of, verdict_of
from steel_training_airflow.links import report_address

if TYPE_CHECKING:
    from airflow.sdk import Context

WAITS = "waits for release"


class VerdictNotifier(BaseNotifier):
    """Notifies of how a task ended its run (rejected, blocked or failed), with every reason.

    Args:
        what: end of the title, where the task's result does not give it.

    A notification that cannot be sent is logged as an error and changes nothing else.
    """

    def __init__(self, what: str | None = None) -> None:
        super().__init__()
        self.what = what

    def notify(self, context: Context) -> None:
        """Write the notification to the log and send it to every recipient."""
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
                "STEEL_TRAINING_NOTIFY contains an invalid Apprise URL (%s:…); expected one such as json://host/path.",
                scheme,
            )
            return
        shown = sender[0].url(privacy=True)  # without the password
        # Plain text, which mail in HTML then escapes: a name in a dataset may hold tags.
        if sender.notify(title=title, body=text, body_format=apprise.NotifyFormat.TEXT):
            self.log.info("Notified %s.", shown)
        else:
            self.log.error("Could not notify %s.", shown)


def notice(context: Mapping[str, Any], what: str | None = None) -> tuple[str, str]:
    """Return title and text of the notification about how a task ended.

    Args:
        context: of the task.
        what: end of the title; by default the verdict in the task's result, or `failed` without one.
    """
    task = context["ti"]
    run_id = folder_of(context["run_id"])
    result = task.xcom_pull(task_ids=task.task_id) or {}
    resolved = task.xcom_pull(task_ids="resolve_dataset") or {}
    verdict = verdict_of(result.get("status"), result.get("outputs", {}))
    title = f"steel-training: {what or verdict or 'failed'}"
    lines = [f"Run {context['run_id']}, task {task.task_id}."]
    if dataset := resolved.get("outputs", {}).get("dataset"):
        lines.append(f"Dataset {dataset}.")
    lines += [f"{reason['code']}: {reason['message']}" for reason in result.get("reasons", ())]
    if left_out := result.get("reasons_left_out"):
        lines.append(f"And {left_out:,} more reasons, in the report.")
    if advice := result.get("outputs", {}).get("advice"):
        lines.append(advice)
    if verdict is None and what is None:
        lines.append(str(context.get("exception") or "See the task's log for the reason."))
    if verdict is not None:
        lines.append(f"Report: {report_address(run_id)}")
    lines.append(f"Task: {task.log_url}")
    return title, "\n".join(lines)
