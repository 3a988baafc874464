"""A button on a task's page that leads to what the stage made."""

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


class StageFilesLink(BaseOperatorLink):
    """The folder of the stage in the store: report, Data Docs, result."""

    name = "Files"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Returns the address that the operator noted when its stage had ended; empty before that."""
        return str(getattr(operator, "files_url", ""))


def address(store: str, key: str) -> str:
    """Returns where a person can open a key of the store.

    `STEEL_TRAINING_STORE_URL` is the address under which the store is served to browsers; without it the address is
    the store's own (`s3://…`, or `file://…` for a folder on this machine).
    """
    base = os.environ.get(STORE_URL_VARIABLE) or (store if "://" in store else Path(store).absolute().as_uri())
    return f"{base.rstrip('/')}/{quote(key)}"
