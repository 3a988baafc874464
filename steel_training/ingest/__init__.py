"""From what mills have to the input contract: photographs with masks, run lengths or boxes, and procedural steel."""

from steel_training.ingest.masks import ingest_masks
from steel_training.ingest.severstal import ingest_severstal
from steel_training.ingest.synthetic import make_sample
from steel_training.ingest.voc import ingest_voc

__all__ = ["ingest_masks", "ingest_severstal", "ingest_voc", "make_sample"]
