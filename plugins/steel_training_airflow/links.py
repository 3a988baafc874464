"""Buttons on a task's page that lead to what the run made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

STORE_URL_VARIABLE = "STEEL_TRAINING_STORE_URL"


class FilesLink(BaseOperatorLink):
    """The folder of the stage in the store: its result, Data Docs, curves."""

    name = "Files"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Returns the address that the operator noted when its stage had ended; empty before that."""
        return str(getattr(operator, "files_url", ""))


class ReportLink(BaseOperatorLink):
    """The report of the run, on the task that ended it."""

    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Returns the address that the operator noted when its stage had brought the verdict; empty else."""
        return str(getattr(operator, "report_url", ""))


def address(store: str, key: str) -> str:
    """Returns where a person can open a key of the store.

    `STEEL_TRAINING_STORE_URL` is the address under which the store is served to browsers; without it the address is
    the store's own (`s3://…`, or `file://…` for a folder on this machine).
    """
    base = os.environ.get(STORE_URL_VARIABLE) or (store if "://" in store else Path(store).absolute().as_uri())
    return f"{base.rstrip('/')}/{quote(key)}"
