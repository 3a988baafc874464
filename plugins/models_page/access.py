"""Who may read the page, and who may move the champion: Airflow's own login and its permissions on the DAG.

Airflow does not put plugins behind its login, so every route checks here. Reading requires permission to read the DAG. Moving the
champion requires permission to trigger it: whoever may start a run may have it publish and promote a model, so requiring more here
would protect nothing.
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
    """Nobody is logged in, or the login has expired."""


class NotAllowed(SteelTrainingError):
    """The user may not do this."""


@dataclass(frozen=True)
class Person:
    """The user of the page.

    Attributes:
        user_id: in Airflow, unique.
        name: as in Airflow's audit log.
        may_move: whether promote and rollback are allowed.
    """

    user_id: str
    name: str
    may_move: bool


async def _user(request: Request) -> BaseUser:
    try:
        return await get_user(request, None, await bearer_scheme(request))
    except HTTPException as error:  # no token, or an expired, revoked or foreign one
        raise NotLoggedIn(f"Log in to Airflow to see this ({error.detail}).") from None


def _reader(user: Annotated[BaseUser, Depends(_user)]) -> Person:
    details = DagDetails(id=DAG_ID, team_name=DagModel.get_team_name(DAG_ID))
    manager = get_auth_manager()
    if not manager.is_authorized_dag(method="GET", details=details, user=user):
        raise NotAllowed(f"You may not see this page: it requires permission to read the DAG {DAG_ID}.")
    may_move = manager.is_authorized_dag(method="POST", access_entity=DagAccessEntity.RUN, details=details, user=user)
    return Person(str(user.get_id()), user.get_name(), may_move)


Reader = Annotated[Person, Depends(_reader)]


def login_address(request: Request) -> str:
    """Return the address of the login, which leads back to the requested page; after a form, to the first page."""
    wanted = quote(request.scope["path"]) + (f"?{request.url.query}" if request.url.query else "")
    if request.method != "GET":
        wanted = f"{request.scope.get('root_path', '')}/"
    return f"{API_ROOT_PATH}api/v2/auth/login?next={quote(wanted, safe='')}"
