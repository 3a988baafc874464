"""The application that Airflow mounts: the models page, built at the first request.

Every component of Airflow loads the plugins, but only the API server answers requests; the others skip the imports.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PREFIX = "/steel-training"


class ModelsPage:
    """An ASGI application that builds the real one on first use, once for all threads."""

    def __init__(self) -> None:
        self._app: ASGIApp | None = None
        self._building = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        await self._built()(scope, receive, send)

    def _built(self) -> ASGIApp:
        with self._building:
            if self._app is None:
                from models_page.app import create_app

                self._app = create_app()
            return self._app
