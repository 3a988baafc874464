"""Buttons on a task's page that link to the outputs of its stage.

The worker stores a link in an attribute of the operator when the stage has ended: only then is it known whether the
output exists.
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
"""Path of the models page below Airflow's base URL."""


class FilesLink(BaseOperatorLink):
    """The folder of the stage in the store."""

    name = "Files"
    attribute = "files"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Return the URL stored by the operator; empty where the stage has no such output."""
        links: dict[str, str] = getattr(operator, "links", {})
        return links.get(self.attribute, "")


class DataDocsLink(FilesLink):
    """The Data Docs of Great Expectations."""

    name = "Data Docs"
    attribute = "data_docs"


class ReportLink(FilesLink):
    """The report of the run, on the task that ended the run."""

    name = "Report"
    attribute = "report"


class TensorBoardLink(FilesLink):
    """The training curves in TensorBoard."""

    name = "TensorBoard"
    attribute = "tensorboard"


class ModelLink(FilesLink):
    """The published version, on the models page."""

    name = "Model version"
    attribute = "model"


ALL = (FilesLink(), DataDocsLink(), ReportLink(), TensorBoardLink(), ModelLink())


def file_address(key: str) -> str:
    """Return the URL of a key of the store: the models page serves its files to users who may read the DAG.

    `STEEL_TRAINING_STORE_URL` replaces it by another server of the store.
    """
    base = Environment.read().store_url or _page("files")
    return f"{base.rstrip('/')}/{quote(key)}"


def links_of(run_id: str, stage: str, result: Mapping[str, Any]) -> dict[str, str]:
    """Return the links of a stage that has ended, keyed by the attribute of their link class.

    Args:
        run_id: id of the run in the store.
        stage: its name.
        result: of the stage.
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
    """Return the URL of the report of a run."""
    return file_address(f"{RUNS}/{run_id}/report.html")


def _page(path: str) -> str:
    base = conf.get("api", "base_url", fallback="") or ""
    return f"{base.rstrip('/')}/{PAGES}/{path}"
