"""Waits for a new or relabelled dated version of the dataset, in the triggerer, and tells of it by an asset event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, BaseOperator
from airflow.sdk.exceptions import AirflowFailException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from steel_training.data.versions import dated_versions, unseen
from steel_training.storage import StorageError

if TYPE_CHECKING:
    from airflow.sdk import Context

DATASET = Asset("steel_dataset")
"""What an event tells: `{"uri": address of the version, "version": its date}`."""

SEEN = "versions"
"""Under which the asset's state holds the versions that were told of, with the tag of their manifest."""


class NewVersionTrigger(BaseTrigger):
    """Looks at the dataset's root until there is a version to tell of.

    Args:
        root: folder or `s3://` prefix of the dated versions.
        seen: tag by version, of those told of; `None` on the first look ever, which only takes stock.
        seconds: between two looks.
    """

    def __init__(self, root: str, seen: dict[str, str] | None, seconds: float) -> None:
        super().__init__()
        self.root = root
        self.seen = seen
        self.seconds = seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Returns what the triggerer makes this trigger from."""
        arguments = {"root": self.root, "seen": self.seen, "seconds": self.seconds}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yields one event: the versions to tell of, oldest first, and the state that they were seen in."""
        if self.seen is None:
            yield TriggerEvent({"new": [], "seen": await self._look()})
            return
        before: dict[str, str] = {}
        while True:
            now = await self._look()
            if new := unseen(now, before, self.seen):
                yield TriggerEvent({"new": new, "seen": {name: now[name] for name in new}})
                return
            before = now
            await asyncio.sleep(self.seconds)

    async def _look(self) -> dict[str, str]:
        # A storage that cannot be reached for a while is no reason to stop watching it.
        while True:
            try:
                return await asyncio.to_thread(dated_versions, self.root)
            except StorageError as error:
                self.log.warning("%s Looking again in %g s.", error, self.seconds)
                await asyncio.sleep(self.seconds)


class NewVersionOperator(BaseOperator):
    """Waits until there are versions to tell of and returns them; holds no worker meanwhile.

    Args:
        root: folder or `s3://` prefix of the dated versions.
        seconds: between two looks.

    What was told of is kept in the asset's state, beyond this run. The versions that are there at the first look ever
    are taken as known: the night trains on the newest of them, a backfill on the others.
    """

    def __init__(self, *, root: str, seconds: float = 60.0, **kwargs: Any) -> None:
        super().__init__(inlets=[DATASET], **kwargs)
        self.root = root
        self.seconds = seconds

    def execute(self, context: Context) -> None:
        """Hands over to the triggerer.

        Raises:
            AirflowFailException: there is no dataset to watch.
        """
        if not self.root:
            raise AirflowFailException("There is nothing to watch: set STEEL_TRAINING_DATASET for the DAG processor.")
        seen = context["asset_state_store"][DATASET].get(SEEN)
        self.defer(trigger=NewVersionTrigger(self.root, seen, self.seconds), method_name="found")

    def found(self, context: Context, event: dict[str, Any]) -> list[dict[str, Any]]:
        """Returns what is new, one entry a version; on the first look only notes what there is."""
        if not event["new"]:
            context["asset_state_store"][DATASET].set(SEEN, event["seen"])
            self.log.info("First look at %s: %d versions, taken as known.", self.root, len(event["seen"]))
        root = self.root.rstrip("/")
        return [
            {"version": version, "uri": f"{root}/{version}", "tag": event["seen"][version]} for version in event["new"]
        ]


class AnnounceOperator(BaseOperator):
    """Emits the asset event of one version, and notes it as told.

    Args:
        version: an entry of what `NewVersionOperator` returns.

    Its outlets must hold the asset, and no two of it may run at once: they share the asset's state. Both are the DAG's
    to say, because Airflow reads them of a mapped task before there is an operator.
    """

    template_fields = ("version",)

    def __init__(self, *, version: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.version = version

    def execute(self, context: Context) -> None:
        """Fills in the event; Airflow emits it when the task has succeeded."""
        state = context["asset_state_store"][DATASET]
        told = {"version": self.version["version"], "uri": self.version["uri"]}
        context["outlet_events"][DATASET].extra.update(told)
        state.set(SEEN, {**(state.get(SEEN) or {}), told["version"]: self.version["tag"]})
        self.log.info("Version %(version)s is ready: %(uri)s", told)
