"""Buttons on a task's page that lead to what its stage made.

A link is an attribute of the operator that the worker fills in when the stage has ended: only then is it known whether
there is anything to open.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf

from steel_training.environment import Environment
from steel_training.runs.result import RUNS, Status
from steel_training.verdict import Verdict

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

PAGES = "steel-training"
"""Where the models page answers, below Airflow's own address."""


class FilesLink(BaseOperatorLink):
    """The folder of the stage in the store."""

    name = "Files"
    attribute = "files"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Returns the address that the operator noted; empty where the stage made nothing of the kind."""
        links: dict[str, str] = getattr(operator, "links", {})
        return links.get(self.attribute, "")


class DataDocsLink(FilesLink):
    """What Great Expectations says of the patches."""

    name = "Data Docs"
    attribute = "data_docs"


class ReportLink(FilesLink):
    """The report of the run, on the task that ended it."""

    name = "Report"
    attribute = "report"


class TensorBoardLink(FilesLink):
    """The curves of a training."""

    name = "TensorBoard"
    attribute = "tensorboard"


class ModelLink(FilesLink):
    """The version that was published, on the models page."""

    name = "Model version"
    attribute = "model"


ALL = (FilesLink(), DataDocsLink(), ReportLink(), TensorBoardLink(), ModelLink())


def file_address(key: str) -> str:
    """Returns where a person can open a key of the store: the models page hands out its files to those who may read.

    `STEEL_TRAINING_STORE_URL` names another place that serves the store to browsers.
    """
    base = Environment.read().store_url or _page("files")
    return f"{base.rstrip('/')}/{quote(key)}"


def links_of(run_id: str, stage: str, result: Mapping[str, Any]) -> dict[str, str]:
    """Returns the links of a stage that has ended, by the attribute of the link that shows them.

    Args:
        run_id: of the run, as the store has it.
        stage: that has ended.
        result: that it left.
    """
    folder, outputs = f"{RUNS}/{run_id}/{stage}/", result.get("outputs", {})
    links = {"files": file_address(folder)}
    if docs := outputs.get("data_docs"):
        links["data_docs"] = file_address(folder + docs)
    if (board := Environment.read().tensorboard_url) and "history" in outputs:
        links["tensorboard"] = f"{board.rstrip('/')}/?runFilter={quote(f'{run_id}/{stage}')}"
    if result.get("status") in (Status.BLOCKED, Status.REFUSED) or "verdict" in outputs:
        links["report"] = report_address(run_id)
    if version := outputs.get("version") if outputs.get("verdict") == Verdict.PUBLISHED else None:
        links["model"] = _page(f"versions/{quote(version, safe='')}")
    return links


def report_address(run_id: str) -> str:
    """Returns where the report of a run is opened."""
    return file_address(f"{RUNS}/{run_id}/report.html")


def _page(path: str) -> str:
    base = conf.get("api", "base_url", fallback="") or ""
    return f"{base.rstrip('/')}/{PAGES}/{path}"
