"""From source images with annotations to patches of the input contract; and procedural steel."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steel_training.ingest.coco import ingest_coco
    from steel_training.ingest.cvat import ingest_cvat
    from steel_training.ingest.folders import ingest_folders
    from steel_training.ingest.labelme import ingest_labelme
    from steel_training.ingest.labelstudio import ingest_labelstudio
    from steel_training.ingest.masks import ingest_masks
    from steel_training.ingest.mvtec import ingest_mvtec
    from steel_training.ingest.severstal import ingest_severstal
    from steel_training.ingest.synthetic import make_sample
    from steel_training.ingest.voc import ingest_voc
    from steel_training.ingest.yolo import ingest_yolo

__all__ = [
    "ingest_coco",
    "ingest_cvat",
    "ingest_folders",
    "ingest_labelme",
    "ingest_labelstudio",
    "ingest_masks",
    "ingest_mvtec",
    "ingest_severstal",
    "ingest_voc",
    "ingest_yolo",
    "make_sample",
]


def __getattr__(name: str) -> Any:
    # Every command line loads `ingest.commands`, and thereby this package: pandas waits until something is ingested.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "synthetic" if name == "make_sample" else name.removeprefix("ingest_")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
