"""Monitoring of a training: selection of the best epoch, logs and TensorBoard files.

`ranking` selects the best epoch, `epoch_log` formats an epoch as a log line and a row of `results.csv`, `tensorboard` writes
event files, `worst` draws the patches with the largest errors, and `callbacks` connects them to Keras. `docs/watching.md` is the
user's guide.
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
"""Names of the files and folders that a training leaves in the folder of its stage."""

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
