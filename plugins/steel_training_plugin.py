"""What Airflow is told of this project; the work is in the packages beside it."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin
from steel_training_airflow.links import FilesLink, ReportLink
from steel_training_models.mount import PREFIX, ModelsPage


class SteelTrainingPlugin(AirflowPlugin):
    """The links on the pages of the tasks, and the page of models with its tab on every run."""

    name = "steel_training"
    operator_extra_links = [FilesLink(), ReportLink()]  # noqa: RUF012 - Airflow reads a list
    fastapi_apps = [{"app": ModelsPage(), "url_prefix": PREFIX, "name": "Steel models"}]  # noqa: RUF012
    # Addresses without a slash in front stand below wherever Airflow itself is served.
    external_views = [  # noqa: RUF012
        {
            "name": "Steel models",
            "href": f"{PREFIX.lstrip('/')}/",
            "destination": "nav",
            "category": "browse",
            "url_route": "steel-models",
        },
        {
            "name": "Verdict",
            "href": f"{PREFIX.lstrip('/')}/runs/{{RUN_ID}}?dag={{DAG_ID}}",
            "destination": "dag_run",
            "url_route": "steel-verdict",
        },
    ]
