"""The output of `resolve_dataset`: the inputs of a run. Light, because every page about a run reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from steel_training.config import Config
from steel_training.storage.json_types import Json


class ResolvedDataset(BaseModel):
    """The dataset version of a run, its splits, and the configuration that was asked for.

    Attributes:
        dataset: URI of the dataset version.
        version: its date, `YYYY-MM-DD`; None for a dataset without versions.
        passed_over: folders beside it that seem to be versions, with the reason why they are none.
        fingerprint: SHA-256 of its files and labels.
        config: of the run.
        code: revision of the code (`provenance.code_revision`).
        patches: in the manifest.
        groups: among them.
        parts: patches by class, and groups, of each split; empty where no splits could be made.
        split_problem: why none could be made.
        logical_date: for which the run was asked.
        previous: the verdict that still stands, where nothing has changed since.
        champion: version that served when the run began.
        grey_range: with which images of more than 8 bits were ingested; None where they had 8, or nothing is on record.
        cut: how images were cut into its patches (`ImageCut`); None where nothing is on record.
        packages: versions of the packages that can change a result.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    dataset: str
    version: str | None
    fingerprint: str
    config: Config
    code: str
    patches: int
    groups: int
    parts: Mapping[str, Mapping[str, int]]
    split_problem: str | None
    logical_date: str | None
    previous: Mapping[str, Any] | None
    champion: str | None = None  # not in stores from before drift was measured against it
    grey_range: Mapping[str, int] | None = None  # not in stores from before 12 and 16 bits
    passed_over: Mapping[str, str] = {}  # not in stores from before 2026-11-30
    cut: Mapping[str, Any] | None = None  # not in stores from before predict cut as ingest does
    packages: Mapping[str, str]

    def to_dict(self) -> dict[str, Json]:
        """Return the fields as JSON values."""
        return self.model_dump(mode="json")
