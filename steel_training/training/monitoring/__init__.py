"""Training that can be watched: what chooses an epoch, and where a person sees it happen.

`ranking` says which epoch is best, `epoch_log` is one epoch as a line and as a row of `results.csv`, `tensorboard` its
event files, `worst` draws the patches that a model is most wrong about, and `callbacks`
puts them into Keras. `docs/watching.md` is for the person who looks.
"""

from steel_training.training.monitoring.callbacks import LossNotFinite, callbacks
from steel_training.training.monitoring.epoch_log import RESULTS
from steel_training.training.monitoring.ranking import (
    MONITOR,
    RANKED,
    TIE_BREAK,
    MonitorMissing,
    counts_at_half,
    metrics,
    rank,
)
from steel_training.training.monitoring.tensorboard import FOLDER, write_worst
from steel_training.training.monitoring.worst import pictures as worst_pictures

WATCHED = (RESULTS, FOLDER)
"""What a training leaves for a person, in the folder of its stage."""

__all__ = [
    "MONITOR",
    "RANKED",
    "TIE_BREAK",
    "WATCHED",
    "LossNotFinite",
    "MonitorMissing",
    "callbacks",
    "counts_at_half",
    "metrics",
    "rank",
    "worst_pictures",
    "write_worst",
]
