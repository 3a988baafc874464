"""Promotion and rollback: permission, confirmation, and an entry in Airflow's audit log."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated

from airflow.models.log import Log
from airflow.utils.session import create_session
from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse

from models_page.access import DAG_ID, NotAllowed, Person, Reader
from models_page.confirmation import Move, given
from models_page.pages import render
from models_page.store import model_store
from models_page.store_access import LONG_SECONDS, asks_store
from steel_training.errors import SteelTrainingError
from steel_training.registry import ChampionMoved
from steel_training.storage import OutcomeUnknown, StorageUnavailable

router = APIRouter()

Field = Annotated[str, Form()]


@router.post("/versions/{version}/promote", response_class=HTMLResponse)
@asks_store(LONG_SECONDS, moves=True)
def promote(
    request: Request, person: Reader, version: str, confirmation: Field = "", confirmed: Field = ""
) -> HTMLResponse:
    """Make a version the champion, if the champion is still the one that the person saw."""
    move = _allowed(request, person, "promote", confirmation, confirmed)
    if move.version != version:
        raise NotAllowed("This form was made for another version; nothing was changed.")
    found = model_store(move.name)

    def moved() -> tuple[str | None, str]:
        # A person who saw no champion may have seen a damaged pointer; promoting then repairs it.
        repairing = move.champion is None and found.pointer()[1] is not None
        return found.registry.promote(version, expected=... if repairing else move.champion), version

    return _do(request, person, move, moved)


@router.post("/rollback", response_class=HTMLResponse)
@asks_store(LONG_SECONDS, moves=True)
def rollback(request: Request, person: Reader, confirmation: Field = "", confirmed: Field = "") -> HTMLResponse:
    """Go back to the previous champion, if the champion is still the one that the person saw."""
    move = _allowed(request, person, "rollback", confirmation, confirmed)
    registry = model_store(move.name).registry
    return _do(request, person, move, lambda: registry.rollback(expected=move.champion))


def _allowed(request: Request, person: Person, action: str, confirmation: str, confirmed: str) -> Move:
    if not person.may_move:
        raise NotAllowed(f"You may read but not change: that requires permission to trigger the DAG {DAG_ID}.")
    return given(request, person, action, confirmation, confirmed)


def _do(request: Request, person: Person, move: Move, work: Callable[[], tuple[str | None, str]]) -> HTMLResponse:
    """Move the pointer. The attempt is logged before it is made, so that no move can go unrecorded."""
    entry = _note(person, move)
    try:
        before, now = work()
    except ChampionMoved:
        _complete(entry, move, "refused: the champion had moved")
        raise ChampionMoved(
            f"The champion of {move.name} is no longer {move.champion or 'none'}, which you saw when you decided. "
            "Nothing was changed; reload the models page."
        ) from None
    except StorageUnavailable as error:
        # A request that timed out may still be carried out, whatever the store says now.
        _complete(entry, move, f"unknown: {error}")
        raise OutcomeUnknown(
            f"{error} It is unknown whether the champion of {move.name} has moved. When the store answers again, the models page "
            "shows the champion: look there before you try again."
        ) from error
    except SteelTrainingError as error:
        _complete(entry, move, f"refused: {error}")
        raise
    _complete(entry, move, "done", came_from=before, now=now)
    return render(request, "moved.html.j2", name=move.name, before=before, now=now, person=person, action=move.action)


def _note(person: Person, move: Move) -> int:
    with create_session() as session:
        entry = Log(
            event=f"steel_model_{move.action}",
            dag_id=DAG_ID,
            owner=person.name,
            owner_display_name=person.name,
            extra=_extra(move, "requested"),
        )
        session.add(entry)
        session.flush()
        return int(entry.id)


def _complete(entry: int, move: Move, outcome: str, **further: str | None) -> None:
    with create_session() as session:
        session.get_one(Log, entry).extra = _extra(move, outcome, **further)


def _extra(move: Move, outcome: str, **further: str | None) -> str:
    details = {"model": move.name, "from": move.champion, "to": move.version, "outcome": outcome}
    return json.dumps(details | ({"from": further["came_from"], "to": further["now"]} if further else {}))
