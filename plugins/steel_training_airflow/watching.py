"""Waits in the triggerer for a new or relabelled dataset version, and emits an asset event for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, BaseOperator
from airflow.sdk.exceptions import AirflowFailException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from steel_training.data.versions import dated_versions, unseen
from steel_training_airflow.polling import look

if TYPE_CHECKING:
    from airflow.sdk import Context

DATASET = Asset("steel_dataset")
"""Its events carry `{"uri": URI of the version, "version": its date}`."""

SEEN = "versions"
"""Key in the asset's state: the versions already announced, each with the tag of its manifest."""


class NewVersionTrigger(BaseTrigger):
    """Polls the root of the dataset until there is a version to announce.

    Args:
        root: folder or `s3://` prefix of the dated versions.
        seen: manifest tag by version, of the versions already announced; `None` on the very first poll, which only records.
        seconds: polling interval.
    """

    def __init__(self, root: str, seen: dict[str, str] | None, seconds: float) -> None:
        super().__init__()
        self.root = root
        self.seen = seen
        self.seconds = seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments from which the triggerer recreates this trigger."""
        arguments = {"root": self.root, "seen": self.seen, "seconds": self.seconds}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: the versions to announce, oldest first, and their manifest tags."""
        if self.seen is None:
            yield TriggerEvent({"new": [], "seen": await self._poll()})
            return
        before: dict[str, str] = {}
        while True:
            now = await self._poll()
            if new := unseen(now, before, self.seen):
                yield TriggerEvent({"new": new, "seen": {name: now[name] for name in new}})
                return
            before = now
            await asyncio.sleep(self.seconds)

    async def _poll(self) -> dict[str, str]:
        return await look(dated_versions, self.root, self.seconds, self.log)


class NewVersionOperator(BaseOperator):
    """Waits until there are versions to announce and returns them; occupies no worker while it waits.

    Args:
        root: folder or `s3://` prefix of the dated versions.
        seconds: polling interval.

    Announced versions are kept in the asset's state, beyond this run. Versions that exist at the very first poll count as
    known: the nightly run trains on the newest of them, a backfill on the others.
    """

    def __init__(self, *, root: str, seconds: float = 60.0, **kwargs: Any) -> None:
        super().__init__(inlets=[DATASET], **kwargs)
        self.root = root
        self.seconds = seconds

    def execute(self, context: Context) -> None:
        """Defers to the triggerer.

        Raises:
            AirflowFailException: no dataset is configured.
        """
        if not self.root:
            raise AirflowFailException("No dataset to watch: set STEEL_TRAINING_DATASET for the DAG processor.")
        seen = context["asset_state_store"][DATASET].get(SEEN)
        self.defer(trigger=NewVersionTrigger(self.root, seen, self.seconds), method_name="found")

    def found(self, context: Context, event: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the new versions, one entry each; on the very first poll only records the existing ones."""
        if not event["new"]:
            context["asset_state_store"][DATASET].set(SEEN, event["seen"])
            self.log.info("First poll of %s: %d versions, recorded as known.", self.root, len(event["seen"]))
        root = self.root.rstrip("/")
        return [
            {"version": version, "uri": f"{root}/{version}", "tag": event["seen"][version]} for version in event["new"]
        ]


class AnnounceOperator(BaseOperator):
    """Emits the asset event of one version, and records it as announced.

    Args:
        version: an entry of what `NewVersionOperator` returns.

    Its outlets must contain the asset, and only one may run at a time, because they share the asset's state. Both are set
    in the DAG: Airflow reads them of a mapped task before the operator exists.
    """

    template_fields = ("version",)

    def __init__(self, *, version: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.version = version

    def execute(self, context: Context) -> None:
        """Fill in the event, which Airflow emits when the task succeeds."""
        state = context["asset_state_store"][DATASET]
        event = {"version": self.version["version"], "uri": self.version["uri"]}
        context["outlet_events"][DATASET].extra.update(event)
        state.set(SEEN, {**(state.get(SEEN) or {}), event["version"]: self.version["tag"]})
        self.log.info("Version %(version)s is ready: %(uri)s", event)
