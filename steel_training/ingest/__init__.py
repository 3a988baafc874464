"""From source images with masks, run lengths or boxes to patches of the input contract; and procedural steel."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steel_training.ingest.masks import ingest_masks
    from steel_training.ingest.severstal import ingest_severstal
    from steel_training.ingest.synthetic import make_sample
    from steel_training.ingest.voc import ingest_voc

__all__ = ["ingest_masks", "ingest_severstal", "ingest_voc", "make_sample"]

_MODULES = {"ingest_masks": "masks", "ingest_severstal": "severstal", "ingest_voc": "voc", "make_sample": "synthetic"}


def __getattr__(name: str) -> Any:
    # Every command line loads `ingest.commands`, and thereby this package: pandas waits until something is ingested.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
