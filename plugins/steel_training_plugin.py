"""Registers the plugins with Airflow; the code is in the packages beside it."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin
from models_page.mount import PREFIX, ModelsPage
from steel_training_airflow.links import ALL
from steel_training_airflow.schedule import SiteSchedule

_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='{ink}' "
    "stroke-width='1.8' stroke-linecap='round' stroke-linejoin='round'%3E%3Crect x='3' y='4' width='18' height='16' rx='2'/%3E"
    "%3Cpath d='M7 12.5l3.2 3.2L17 9'/%3E%3C/svg%3E"
)


class SteelTrainingPlugin(AirflowPlugin):
    """The schedule, the links on task pages, and the models page with its tab on every run."""

    name = "steel_training"
    timetables = [SiteSchedule]  # noqa: RUF012 - Airflow reads a list
    operator_extra_links = list(ALL)  # noqa: RUF012 - Airflow reads a list
    fastapi_apps = [{"app": ModelsPage(), "url_prefix": PREFIX, "name": "Steel models"}]  # noqa: RUF012
    # Addresses without a leading slash are relative to Airflow's base URL.
    external_views = [  # noqa: RUF012
        {
            "name": "Models",
            "href": f"{PREFIX.lstrip('/')}/",
            "destination": "nav",
            "nav_top_level": True,
            "url_route": "steel-models",
            "icon": _ICON.format(ink="%236a8cbb"),
            "icon_dark_mode": _ICON.format(ink="%23d5deea"),
        },
        {
            "name": "Verdict",
            "href": f"{PREFIX.lstrip('/')}/runs/{{RUN_ID}}?dag={{DAG_ID}}",
            "destination": "dag_run",
            "url_route": "steel-verdict",
        },
    ]
