"""Renders the page's templates, with security headers."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup

_TEMPLATES = Path(__file__).parent / "templates"


def render(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a template; its values are escaped."""
    environment, headers = _environment()
    base = request.scope.get("root_path", "")

    def link(*segments: str, **query: Any) -> str:
        """Return an address below the page: path segments are quoted, empty query values are left out."""
        given = {name: value for name, value in query.items() if value is not None}
        path = "/".join(quote(segment, safe="") for segment in segments)
        return f"{base}/{path}" + (f"?{urlencode(given)}" if given else "")

    def file(key: str) -> str:
        """Return the address of a key of the store."""
        return f"{base}/files/{quote(key)}"

    text = environment.get_template(template).render(link=link, file=file, **values)
    return HTMLResponse(text, status_code=status, headers=headers)


@lru_cache(maxsize=1)
def _environment() -> tuple[jinja2.Environment, dict[str, str]]:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    hashes = {}
    for name, file in (("style", "style.css"), ("theme", "theme.js")):
        text = (_TEMPLATES / file).read_text(encoding="utf-8").strip()
        environment.globals[name] = Markup(text)  # noqa: S704 - a file of this package  # nosec B704
        hashes[name] = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return environment, {
        # The only script follows Airflow's light or dark theme; forms are sent to this server, and only its own pages may
        # frame it.
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'sha256-{hashes['style']}'; script-src 'sha256-{hashes['theme']}'; "
            "img-src 'self'; form-action 'self'; frame-ancestors 'self'; base-uri 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
