"""The page *Labels*: which runs have doubtful labels, and the page on which a person answers about them.

The page, the queue and the records are those of `steel-training labels review`. Who may trigger the DAG may answer; the reviewer is the
user who is logged in. The dataset is read by the API server, from the roots of the installation only.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from models_page import review_confirmation
from models_page.access import DAG_ID, NotAllowed, Person, Reader
from models_page.pages import render
from models_page.reviewable import Mode, reviewable_runs
from models_page.reviews import opened, read_picture
from models_page.store_access import LONG_SECONDS, asks_store
from steel_training.labels.review.messages import Given, Undo, record
from steel_training.labels.review.page import PICTURE_HEADERS, page

router = APIRouter()

_ADDRESS = re.compile(r"/labels/[^/]+/(worst|blind)/(queue|answer|undo|pictures/.*)\Z")


def is_asked_by_page(request: Request) -> bool:
    """Return whether a request comes from the script of the page, which expects JSON and cannot follow a redirect to the login."""
    return _ADDRESS.search(request.url.path) is not None


def _reviewer(person: Reader) -> Person:
    if not person.may_move:
        raise NotAllowed(f"You may read but not review labels: that requires permission to trigger the DAG {DAG_ID}.")
    return person


Reviewer = Annotated[Person, Depends(_reviewer)]


@router.get("/labels", include_in_schema=False)
def without_slash(request: Request, _: Reader) -> Response:
    """Lead to the list."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}/labels/", status_code=303)


@router.get("/labels/", response_class=HTMLResponse)
@asks_store()
def runs(request: Request, person: Reader) -> HTMLResponse:
    """Show the newest runs whose labels were audited."""
    found = reviewable_runs()
    return render(request, "labels.html.j2", runs=found.runs, looked_at=found.looked_at, person=person, dag_id=DAG_ID)


@router.get("/labels/{run_id}/{mode}/", response_class=HTMLResponse)
@asks_store(LONG_SECONDS)
def review(person: Reviewer, run_id: str, mode: Mode) -> HTMLResponse:
    """Show the page on which a person answers, if there is something to review."""
    opened(run_id, mode, person.name)
    text, headers = page()
    return HTMLResponse(text, headers=headers)


@router.get("/labels/{run_id}/{mode}/queue")
@asks_store(LONG_SECONDS)
def queue(person: Reviewer, run_id: str, mode: Mode) -> JSONResponse:
    """Return the next patches."""
    found = opened(run_id, mode, person.name)
    about = {
        "reviewer": person.name,
        "dataset": found.sheet.dataset,
        "blind": found.blind,
        "left_out": found.left_out,
        "confirmation": review_confirmation.ask(person, run_id, mode),
    }
    return JSONResponse({**found.window(), "about": about})


@router.get("/labels/{run_id}/{mode}/pictures/{name}")
@asks_store()
def picture(person: Reviewer, run_id: str, mode: Mode, name: str) -> Response:
    """Return the picture of a patch."""
    data, kind = read_picture(opened(run_id, mode, person.name), name)
    return Response(data, media_type=kind, headers=PICTURE_HEADERS)


@router.post("/labels/{run_id}/{mode}/answer")
@asks_store(LONG_SECONDS, moves=True)
def answer(request: Request, person: Reviewer, run_id: str, mode: Mode, message: Given) -> JSONResponse:
    """Record an answer, and return the next patches."""
    return _recorded(request, person, run_id, mode, message)


@router.post("/labels/{run_id}/{mode}/undo")
@asks_store(LONG_SECONDS, moves=True)
def undo(request: Request, person: Reviewer, run_id: str, mode: Mode, message: Undo) -> JSONResponse:
    """Record that the last answer is taken back, and return the patch again."""
    return _recorded(request, person, run_id, mode, message)


def _recorded(request: Request, person: Person, run_id: str, mode: Mode, message: Given | Undo) -> JSONResponse:
    review_confirmation.require(request, person, run_id, mode, message.confirmation or "")
    return JSONResponse(record(opened(run_id, mode, person.name), message, person.name))
