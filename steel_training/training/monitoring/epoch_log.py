"""One epoch as a person reads it: a line of the task's log, and a row of `results.csv`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = "results.csv"


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to; the fields are the columns of `results.csv`, in order.

    Attributes:
        epoch: its number, from 1.
        seconds: of training and validation.
        learning_rate: at its end.
        loss: mean over the training part, weighted by class.
        val_loss: the same over validation.
        val_recall: of validation, at the best threshold that keeps precision at its target.
        val_pr_auc: area under the precision-recall curve of validation.
        val_auc: area under the ROC curve of validation.
        best: whether it is better than every epoch before it; the last such epoch is the one that is kept.
    """

    epoch: int
    seconds: float
    learning_rate: float
    loss: float
    val_loss: float
    val_recall: float
    val_pr_auc: float
    val_auc: float
    best: bool

    def line(self, stage: str, *, epochs: int, precision: float) -> str:
        """Returns the line of the log; columns stand under each other from epoch to epoch.

        Args:
            stage: that trains.
            epochs: planned.
            precision: at which `val_recall` is measured.
        """
        number = f"{self.epoch:>{len(str(epochs))}}/{epochs}"
        return (
            f"{stage}  epoch {number}  loss {self.loss:.4f}  val_loss {self.val_loss:.4f}  "
            f"val_recall {self.val_recall:.3f} at precision {precision:.2f}  val_auc {self.val_auc:.4f}  "
            f"rate {self.learning_rate:.1e}  {self.seconds:5.1f} s{'  * best' if self.best else ''}"
        )


class ResultsFile:
    """`results.csv`: a header, and a row an epoch, in the file as soon as the epoch ends.

    A row is written at once and the file closed: whoever reads it sees whole rows, and a training that dies leaves
    what it had done.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        path.write_text(",".join(Epoch.__dataclass_fields__) + "\n", encoding="utf-8")

    def add(self, epoch: Epoch) -> None:
        """Appends a row; numbers have six digits, `best` is 1 or 0."""
        row = ",".join(f"{value:.6g}" for value in asdict(epoch).values()) + "\n"
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(row)
