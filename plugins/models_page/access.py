"""Who may read the page, and who may move the champion: Airflow's own login and its permissions on the DAG.

Airflow puts plugins behind no login, so every route asks here. Reading takes what reading the DAG takes. Moving the champion
takes what triggering it takes: whoever may start a run may have it publish and promote a model, so asking for more here would
protect nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from airflow.api_fastapi.app import API_ROOT_PATH, get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import bearer_scheme, get_user
from airflow.models.dag import DagModel
from fastapi import Depends, HTTPException, Request

from steel_training.errors import SteelTrainingError

DAG_ID = "steel_training"


class NotLoggedIn(SteelTrainingError):
    """Nobody is logged in, or no longer."""


class NotAllowed(SteelTrainingError):
    """Who is logged in may not do this."""


@dataclass(frozen=True)
class Person:
    """Who looks at the page.

    Attributes:
        user_id: in Airflow, unique.
        name: as Airflow's audit log has it.
        may_move: whether promote and rollback are allowed.
    """

    user_id: str
    name: str
    may_move: bool


async def _user(request: Request) -> BaseUser:
    try:
        return await get_user(request, None, await bearer_scheme(request))
    except HTTPException as error:  # no token, an expired or revoked one, or none of Airflow's
        raise NotLoggedIn(f"Log in to Airflow to see this ({error.detail}).") from None


def _reader(user: Annotated[BaseUser, Depends(_user)]) -> Person:
    details = DagDetails(id=DAG_ID, team_name=DagModel.get_team_name(DAG_ID))
    manager = get_auth_manager()
    if not manager.is_authorized_dag(method="GET", details=details, user=user):
        raise NotAllowed(f"You may not see this page: it takes the permission to read the DAG {DAG_ID}.")
    may_move = manager.is_authorized_dag(method="POST", access_entity=DagAccessEntity.RUN, details=details, user=user)
    return Person(str(user.get_id()), user.get_name(), may_move)


Reader = Annotated[Person, Depends(_reader)]


def login_address(request: Request) -> str:
    """Returns where to log in, and come back from to where the request was for; from a form, to the first page."""
    wanted = quote(request.scope["path"]) + (f"?{request.url.query}" if request.url.query else "")
    if request.method != "GET":
        wanted = f"{request.scope.get('root_path', '')}/"
    return f"{API_ROOT_PATH}api/v2/auth/login?next={quote(wanted, safe='')}"
