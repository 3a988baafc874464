"""Keeps the champion in memory: looks at the pointer every few seconds, and changes over when it has moved.

The new version is fetched, verified, loaded and warmed up beside the one that serves; then one reference changes. A
request keeps the version that it began with. What cannot be loaded is logged, and the version before keeps serving.
"""

from __future__ import annotations

import logging
import threading
import time

from steel_training.registry import Registry
from steel_training.serving.model import LoadedModel

log = logging.getLogger(__name__)

LONGEST_PAUSE_S = 60.0


class ChampionFollower:
    """The champion of a registry, loaded.

    Attributes:
        problem: why the champion of the pointer is not the one that serves; `None` where it is.
    """

    def __init__(self, registry: Registry, *, every: float) -> None:
        self.registry = registry
        self.every = every
        self.problem: str | None = None
        self._model: LoadedModel | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="champion", daemon=True)

    @property
    def model(self) -> LoadedModel | None:
        """The version that serves; `None` before the first champion."""
        return self._model

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it."""
        self._stop.set()

    def look(self) -> None:
        """Looks at the pointer once, and changes over where it names another version than the one that serves."""
        try:
            champion, _ = self.registry.champion()
            if self._model is None or champion not in (None, self._model.version):
                started = time.monotonic()
                with self.registry.bundle(champion) as (version, folder):
                    model = LoadedModel(version, folder)
                model.warm_up()
                self._model = model
                log.info(
                    "serving %s, version %s (loaded in %.1f s)", self.registry.name, version, time.monotonic() - started
                )
            self.problem = None
        except Exception as error:
            self._note(f"{type(error).__name__}: {error}")

    def _note(self, problem: str) -> None:
        if problem != self.problem:
            serving = f"version {self._model.version} keeps serving" if self._model else "nothing is served yet"
            log.warning("%s; %s", problem, serving)
        self.problem = problem

    def _follow(self) -> None:
        pause = self.every
        while True:
            self.look()
            # A version that cannot be loaded is not fetched again every few seconds.
            pause = min(2 * pause, max(LONGEST_PAUSE_S, self.every)) if self.problem and self._model else self.every
            if self._stop.wait(pause):
                return
