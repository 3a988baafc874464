"""What Airflow is told of this project; the work is in the package beside it."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin
from steel_training_airflow.links import ALL


class SteelTrainingPlugin(AirflowPlugin):
    """The links on the pages of the tasks."""

    name = "steel_training"
    operator_extra_links = list(ALL)  # noqa: RUF012 - Airflow reads a list
