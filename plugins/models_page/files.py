"""Serves files of the store, so that the report and Data Docs open from the UI without access to the store.

Files of the store are not trusted: they contain values of a dataset. An HTML page of the store is shown in a sandbox without this
server's origin, so it can neither read what the viewer may read nor act with the viewer's login; it runs no script and loads
nothing. File types that a browser may not show safely are downloaded.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from models_page import access_tokens
from models_page.access import Reader
from models_page.pages import render
from models_page.safe_files import NotServed, TooLarge, checked, is_folder, listed, read, size
from models_page.store import open_store
from models_page.store_access import LONG_SECONDS, asks_store
from steel_training.storage import ObjectNotFound, Storage

__all__ = ["NotServed", "TooLarge", "is_file", "router"]

router = APIRouter()

_PAGE = "text/html; charset=utf-8"
_PLAIN = "text/plain; charset=utf-8"
_SHOWN = {
    ".html": _PAGE,
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".bmp": "image/bmp",
    ".json": "application/json",
    **dict.fromkeys((".txt", ".csv", ".md", ".log", ".yaml"), _PLAIN),
}
_HEADERS = {
    # Styles and pictures only from within the page; links to other files of the store work.
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
        "frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}


def is_file(request: Request) -> bool:
    """Return whether a request is for a file, which gets an error instead of a redirect to the login."""
    return "/files/" in request.url.path


@router.get("/files/{key:path}")
@asks_store(LONG_SECONDS)
def file(request: Request, _: Reader, key: str) -> Response:
    """Return a file of the store, or the listing of a folder (a key that ends in a slash).

    An HTML page is redirected to a signed address, so that its links work (see `access_tokens`).
    """
    store, clean = open_store(), checked(key)
    base = request.scope.get("root_path", "")
    if key.endswith("/"):
        found = listed(store, clean)
        if not found.folders and not found.files:
            raise ObjectNotFound(f"There is no folder {clean} in the store.")
        return render(request, "folder.html.j2", folder=found, above=clean.rpartition("/")[0])
    try:
        if _kind(clean) == _PAGE and "/" in clean:
            size(store, clean)
            return RedirectResponse(f"{base}/open/{access_tokens.issue(clean)}/{quote(clean)}", status_code=303)
        return _served(store, clean)
    except ObjectNotFound:
        if is_folder(store, clean):
            return RedirectResponse(f"{base}/files/{quote(clean)}/", status_code=303)
        raise


def _covered(given: str, key: str) -> str:
    """Return the key in normal form, if the token covers it; a visitor without one learns nothing of the store's state."""
    clean = checked(key)
    access_tokens.check(given, clean)
    return clean


@router.get("/open/{given}/{key:path}")
@asks_store(LONG_SECONDS)
def page(clean: Annotated[str, Depends(_covered)]) -> Response:
    """Return a page of the store, or a file that it links to, for a valid access token."""
    return _served(open_store(), clean)


def _kind(key: str) -> str | None:
    return _SHOWN.get(PurePosixPath(key).suffix.lower())


def _served(store: Storage, key: str) -> Response:
    data, kind, headers = read(store, key), _kind(key), dict(_HEADERS)
    if kind is None:
        name = quote(PurePosixPath(key).name, safe="")
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{name}"
    return Response(data, media_type=kind or "application/octet-stream", headers=headers)
