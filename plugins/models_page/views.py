"""The list of verdicts, and the comparison of two versions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from models_page import confirmation, evidence
from models_page.access import Person, Reader
from models_page.pages import render
from models_page.rows import FILTERS, SIGNS, listing, moment, row
from models_page.store import known_names, model_store, store_of
from models_page.store_access import asks_store
from steel_training.registry import Pointer
from steel_training.registry.text import compared, incomparable

router = APIRouter()

# After waiting this long for old records, the page shows the newest and reloads.
WITHIN_SECONDS = 0.4
_DIGITS = 9  # of a page number


@router.get("/", response_class=HTMLResponse)
@asks_store()
def models(
    request: Request, person: Reader, model: str | None = None, verdict: str | None = None, page: str = "1"
) -> HTMLResponse:
    """Show every verdict, newest first, with the champion at the top."""
    found = model_store(model)
    pointer, problem = found.pointer()
    started = found.registry.started()
    existing = set(started) - set(pointer.retired if pointer else ())
    champion = pointer.version if pointer else None
    verdicts = found.decisions.read(WITHIN_SECONDS)
    decisions = verdicts.found
    shown = listing(
        decisions,
        existing,
        champion,
        complete=not verdicts.missing,
        verdict=verdict if verdict in FILTERS else None,
        page=int(page) if page.isdecimal() and len(page) <= _DIGITS else 1,
    )
    of_champion = next((d for d in decisions if champion and d.get("version") == champion), None)
    return render(
        request,
        "models.html.j2",
        person=person,
        name=found.registry.name,
        names=known_names(),
        listing=shown,
        filters=[(each, SIGNS[each], shown.counts.get(each, 0)) for each in FILTERS],
        verdict=verdict if verdict in FILTERS else None,
        pointer=pointer,
        champion=row(of_champion, "published", champion) if of_champion else None,
        champion_gone=champion is not None and champion not in existing,
        since=moment(pointer.moved_at) if pointer else None,
        back=_way_back(person, found.registry.name, pointer, existing),
        problem=problem,
        unreadable=verdicts.unreadable,
        missing=verdicts.missing,
    )


@router.get("/compare", response_class=HTMLResponse)
@asks_store()
def compare(
    request: Request,
    _: Reader,
    a: Annotated[str, Query(min_length=1)],
    b: Annotated[str, Query(min_length=1)],
    model: str | None = None,
) -> HTMLResponse:
    """Show two versions side by side, with a warning if their metrics are not comparable."""
    found = store_of(a, model)
    first, second = found.registry.metadata(a), found.registry.metadata(b)
    return render(
        request,
        "compare.html.j2",
        name=found.registry.name,
        a=a,
        b=b,
        rows=compared(first, second),
        warning=incomparable(first, second),
        pointer=found.pointer()[0],
        curve=evidence.drawing(evidence.precision_recall(found.registry.store, [(a, first), (b, second)], {})),
    )


def _way_back(person: Person, name: str, pointer: Pointer | None, existing: set[str]) -> tuple[str, str] | None:
    """Return the version that a rollback would lead to, and the confirmation for it."""
    back = pointer.rolled_back(existing, pointer.moved_at) if pointer else None
    if pointer is None or back is None or not person.may_move:
        return None
    move = confirmation.Move("rollback", name, back.version, pointer.version)
    return back.version, confirmation.ask(person, move)
