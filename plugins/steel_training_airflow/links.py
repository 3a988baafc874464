"""Buttons on a task's page that lead to what its stage made.

A link is an attribute of the operator that the worker fills in when the stage has ended: only then is it known whether
there is anything to open.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf

from steel_training.run import RUNS

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

STORE_URL_VARIABLE = "STEEL_TRAINING_STORE_URL"
TENSORBOARD_URL_VARIABLE = "STEEL_TRAINING_TENSORBOARD_URL"
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
    base = os.environ.get(STORE_URL_VARIABLE) or _page("files")
    return f"{base.rstrip('/')}/{quote(key)}"


def stage_links(run_id: str, stage: str) -> dict[str, str]:
    """Returns the links of a stage that has ended: its folder, Data Docs, curves."""
    folder = f"{RUNS}/{run_id}/{stage}/"
    links = {"files": file_address(folder)}
    if stage == "validate_patches":
        links["data_docs"] = file_address(f"{folder}data_docs/index.html")
    board = os.environ.get(TENSORBOARD_URL_VARIABLE)
    if board and stage in ("check_baseline", "train_head", "fine_tune"):
        links["tensorboard"] = f"{board.rstrip('/')}/?runFilter={quote(f'{run_id}/{stage}')}"
    return links


def report_address(run_id: str) -> str:
    """Returns where the report of a run is opened."""
    return file_address(f"{RUNS}/{run_id}/report.html")


def version_address(version: str) -> str:
    """Returns where a published version is shown."""
    return _page(f"versions/{quote(version, safe='')}")


def _page(path: str) -> str:
    base = conf.get("api", "base_url", fallback="") or ""
    return f"{base.rstrip('/')}/{PAGES}/{path}"
