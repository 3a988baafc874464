"""Training that can be watched: what chooses an epoch, and where a person sees it happen.

`ranking` says which epoch is best, `epoch` is one epoch as a line and as a row of `results.csv`, `event_files` is
TensorBoard, `worst` draws the patches that a model is most wrong about, `progress` is the bar of a terminal, and
`callbacks` puts them into Keras. `docs/watching.md` is for the person who looks.
"""

from steel_training.monitoring.callbacks import LossNotFinite, callbacks
from steel_training.monitoring.epoch import RESULTS
from steel_training.monitoring.event_files import FOLDER, write_worst
from steel_training.monitoring.progress import counting, epoch_bar
from steel_training.monitoring.ranking import MONITOR, RANKED, TIE_BREAK, MonitorMissing, counts_at_half, metrics, rank
from steel_training.monitoring.worst import pictures as worst_pictures

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
    "counting",
    "counts_at_half",
    "epoch_bar",
    "metrics",
    "rank",
    "worst_pictures",
    "write_worst",
]
