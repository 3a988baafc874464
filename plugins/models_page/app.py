"""The FastAPI application of the page: its routes and error pages."""

from __future__ import annotations

import logging
import math
from urllib.parse import quote

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from models_page import access_tokens, actions, files, labels, reviews, runs, versions, views
from models_page.access import NotAllowed, NotLoggedIn, login_address
from models_page.pages import render
from models_page.store import StoreNotSet
from models_page.store_access import StoreNotAsked
from steel_training.errors import SteelTrainingError, UsageError
from steel_training.labels.answers import AnswerInvalid, AnswersBusy
from steel_training.labels.review.current import CannotReview
from steel_training.labels.review.pictures import PictureUnknown, PictureUnshowable
from steel_training.labels.review.review import AnswerRefused
from steel_training.labels.review.sheet import SheetUnreadable
from steel_training.registry import ChampionMoved, PointerDamaged, VersionDamaged, VersionNotFound
from steel_training.storage import ObjectNotFound, OutcomeUnknown, PathEscapes, StorageError
from steel_training.storage.roots import OutsideOfRoots

log = logging.getLogger(__name__)

_STATUS: tuple[tuple[type[SteelTrainingError], int, str], ...] = (
    (NotAllowed, 403, "Not allowed"),
    (VersionNotFound, 404, "Not found"),
    (ObjectNotFound, 404, "Not found"),
    (PathEscapes, 404, "Not found"),
    (files.NotServed, 404, "Not found"),
    (files.TooLarge, 413, "Too large"),
    (ChampionMoved, 409, "The champion has changed"),
    (VersionDamaged, 409, "Damaged"),
    (PointerDamaged, 409, "Damaged"),
    (StoreNotSet, 503, "No store"),
    (OutcomeUnknown, 504, "The outcome is unknown"),
    (reviews.DatasetUnavailable, 503, "The dataset does not answer"),
    (AnswerRefused, 409, "Not recorded"),
    (AnswerInvalid, 409, "Damaged"),
    (AnswersBusy, 503, "Not recorded"),
    (CannotReview, 409, "Cannot be reviewed"),
    (SheetUnreadable, 409, "Damaged"),
    (PictureUnknown, 404, "Not found"),
    (PictureUnshowable, 415, "Cannot be shown"),
    (OutsideOfRoots, 403, "Not allowed"),
    (StorageError, 503, "The store cannot be read"),
    (UsageError, 400, "Bad request"),
)


def create_app() -> FastAPI:
    """Return the application that Airflow mounts; it has no documentation pages of its own."""
    app = FastAPI(title="Steel models", docs_url=None, redoc_url=None, openapi_url=None)
    for module in (views, versions, runs, files, actions, labels):
        app.include_router(module.router)
    app.add_exception_handler(NotLoggedIn, _log_in)
    app.add_exception_handler(access_tokens.TokenRefused, _open_again)
    app.add_exception_handler(StoreNotAsked, _ask_later)
    app.add_exception_handler(SteelTrainingError, _explain)
    app.add_exception_handler(StarletteHTTPException, _explain_http)
    app.add_exception_handler(RequestValidationError, _explain_request)
    app.add_exception_handler(Exception, _explain_failure)
    return app


def _log_in(request: Request, error: Exception) -> Response:
    login = login_address(request)
    if request.method == "GET" and not files.is_file(request) and not labels.is_asked_by_page(request):
        return RedirectResponse(login, status_code=303)
    return _message(request, 401, "Not logged in", str(error), ("Log in", login))


def _open_again(request: Request, error: Exception) -> Response:
    address = f"{request.scope.get('root_path', '')}/files/{quote(request.path_params['key'])}"
    return _message(request, 401, "Expired link", str(error), ("Expired link", address))


def _ask_later(request: Request, error: Exception) -> Response:
    later = math.ceil(getattr(error, "retry_seconds", 0)) or 1
    moves = request.method != "GET"
    message = f"Nothing was changed. {error}" if moves else str(error)
    # A large file that takes too long would be fetched again and again by a tab that is left open.
    reload_after = None if moves or files.is_file(request) else later
    answer = _message(request, 503, "The store does not answer in time", message, reload_after=reload_after)
    answer.headers["Retry-After"] = str(later)
    return answer


def _explain(request: Request, error: Exception) -> Response:
    for kind, status, title in _STATUS:
        if isinstance(error, kind):
            return _message(request, status, title, str(error))
    return _message(request, 500, "Internal error", str(error))


def _explain_http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException | StarletteHTTPException) else 500
    return _message(request, status, "Not found", "There is no such page.")


def _explain_request(request: Request, _: Exception) -> Response:
    return _message(request, 400, "Bad request", "The address or form was not made by this page.")


def _explain_failure(request: Request, error: Exception) -> Response:
    log.error("%s failed", request.url.path, exc_info=error)
    return _message(request, 500, "Internal error", "See the log of the API server for the reason.")


def _message(
    request: Request,
    status: int,
    title: str,
    message: str,
    way_out: tuple[str, str] | None = None,
    reload_after: int | None = None,
) -> Response:
    if labels.is_asked_by_page(request):
        return JSONResponse({"error": message}, status, headers={"Cache-Control": "no-store"})
    return render(
        request,
        "message.html.j2",
        status=status,
        title=title,
        message=message,
        way_out=way_out,
        reload_after=reload_after,
    )
