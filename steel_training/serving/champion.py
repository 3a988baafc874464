"""Keeps the champion loaded: polls the champion pointer and switches to a new champion.

The new version is fetched, verified, loaded and warmed up while the current one serves; then one reference changes. A
request keeps the version that it started with. A version that cannot be loaded is logged, and the current one keeps serving.
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
        problem: why the current champion does not serve; `None` if it does, or if there is no champion.
    """

    def __init__(self, registry: Registry, *, every: float) -> None:
        self.registry = registry
        self.every = every
        self.problem: str | None = None
        self._model: LoadedModel | None = None
        self._refused: str | None = None
        self._pause = every
        self._again_at = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="champion", daemon=True)

    @property
    def model(self) -> LoadedModel | None:
        """The version that serves; `None` before the first champion."""
        return self._model

    def start(self) -> None:
        """Start polling."""
        self._thread.start()

    def stop(self) -> None:
        """Stop polling."""
        self._stop.set()

    def poll(self) -> None:
        """Poll the pointer once, and switches if it names another version than the one that serves."""
        champion: str | None = None
        try:
            champion, _ = self.registry.champion()
            if champion is None or (self._model is not None and champion == self._model.version):
                self.problem = self._refused = None
                return
            # A version that failed to load is retried with growing delay; another version is loaded at once.
            if champion == self._refused and time.monotonic() < self._again_at:
                return
            started = time.monotonic()
            with self.registry.bundle(champion) as (version, folder):
                model = LoadedModel(version, folder)
            model.warm_up()
        except Exception as error:
            self._refuse(champion, f"{type(error).__name__}: {error}")
        else:
            self._model, self.problem, self._refused = model, None, None
            log.info(
                "serving %s, version %s (loaded in %.1f s)", self.registry.name, version, time.monotonic() - started
            )

    def _refuse(self, champion: str | None, problem: str) -> None:
        if problem != self.problem:
            serving = f"version {self._model.version} keeps serving" if self._model else "nothing is served yet"
            log.warning("%s; %s", problem, serving)
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S) if champion == self._refused else self.every
        self._again_at = time.monotonic() + self._pause
        self.problem, self._refused = problem, champion

    def _follow(self) -> None:
        while not self._stop.is_set():
            self.poll()
            self._stop.wait(self.every)
