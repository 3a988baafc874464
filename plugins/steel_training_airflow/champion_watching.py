"""Waits in the triggerer for the champion to move, and emits an asset event for it, whoever moved it.

The pointer in the store is what says which model is champion, so it is the pointer that is watched: a publication, and a promotion or
rollback on the models page or by command line, are told alike, and what leaves the champion in its place is not told.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, BaseOperator
from airflow.sdk.exceptions import AirflowFailException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from steel_training.environment import Environment
from steel_training.registry import Pointer
from steel_training.registry.champion_moves import champions, moves
from steel_training_airflow.polling import look

if TYPE_CHECKING:
    from airflow.sdk import Context

CHAMPION = Asset("steel_champion")
"""Its events carry `{"model", "version", "previous", "move", "moved_at", "uri"}`; see `registry.champion_moves.Move`."""

REPORTED = "champions"
"""Key in the asset's state: the champion that was reported last, by model name."""


class ChampionTrigger(BaseTrigger):
    """Polls the store until a champion has moved.

    Args:
        store: folder or `s3://` prefix of the store.
        reported: version by model name, of the champions reported last; `None` on the very first poll, which only records.
        seconds: polling interval.
    """

    def __init__(self, store: str, reported: dict[str, str] | None, seconds: float) -> None:
        super().__init__()
        self.store = store
        self.reported = reported
        self.seconds = seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments from which the triggerer recreates this trigger."""
        arguments = {"store": self.store, "reported": self.reported, "seconds": self.seconds}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: the moves to report, oldest first, and the champions of the very first poll."""
        if self.reported is None:
            known = {name: pointer.version for name, pointer in (await self._poll()).items()}
            yield TriggerEvent({"moves": [], "known": known})
            return
        while not (found := moves(await self._poll(), self.reported)):
            await asyncio.sleep(self.seconds)
        yield TriggerEvent({"moves": found})

    async def _poll(self) -> dict[str, Pointer]:
        return await look(champions, self.store, self.seconds, self.log)


class ChampionMovedOperator(BaseOperator):
    """Waits until a champion has moved and returns the moves; occupies no worker while it waits.

    Args:
        seconds: polling interval.

    The store comes from `STEEL_TRAINING_STORE` of the worker. The champions reported last are kept in the asset's state, beyond this
    run. Those of the very first poll count as known.
    """

    def __init__(self, *, seconds: float = 60.0, **kwargs: Any) -> None:
        super().__init__(inlets=[CHAMPION], **kwargs)
        self.seconds = seconds

    def execute(self, context: Context) -> None:
        """Defers to the triggerer.

        Raises:
            AirflowFailException: no store is configured.
        """
        reported = context["asset_state_store"][CHAMPION].get(REPORTED)
        self.defer(trigger=ChampionTrigger(store_of_worker(), reported, self.seconds), method_name="moved")

    def moved(self, context: Context, event: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the moves; on the very first poll only records the champions."""
        if "known" in event:
            context["asset_state_store"][CHAMPION].set(REPORTED, event["known"])
            self.log.info("First poll: %d champions, recorded as known.", len(event["known"]))
        return list(event["moves"])


class AnnounceChampionOperator(BaseOperator):
    """Emits the asset event of one move, and records it as reported.

    Args:
        move: an entry of what `ChampionMovedOperator` returns.

    Its outlets must contain the asset, and only one may run at a time, because they share the asset's state. Both are set
    in the DAG: Airflow reads them of a mapped task before the operator exists.
    """

    template_fields = ("move",)

    def __init__(self, *, move: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.move = move

    def execute(self, context: Context) -> None:
        """Fill in the event, which Airflow emits when the task succeeds."""
        state = context["asset_state_store"][CHAMPION]
        context["outlet_events"][CHAMPION].extra.update(self.move, uri=version_uri(store_of_worker(), self.move))
        state.set(REPORTED, {**(state.get(REPORTED) or {}), self.move["model"]: self.move["version"]})
        self.log.info("Champion of %(model)s: %(previous)s -> %(version)s (%(move)s at %(moved_at)s)", self.move)


def store_of_worker() -> str:
    """Return the store's folder or URI.

    Raises:
        AirflowFailException: the worker has none.
    """
    if not (store := Environment.read().store):
        raise AirflowFailException("No store to watch: set STEEL_TRAINING_STORE for the workers.")
    return store


def version_uri(store: str, move: Mapping[str, str]) -> str:
    """Return where the files of the new champion are."""
    return f"{store.rstrip('/')}/models/{move['model']}/versions/{move['version']}"
