"""Log output of an epoch: a line of the task log, and a row of `results.csv`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = "results.csv"


@dataclass(frozen=True)
class Epoch:
    """Metrics of one epoch; the fields are the columns of `results.csv`, in order.

    Attributes:
        epoch: its number, from 1.
        seconds: of training and validation.
        learning_rate: at its end.
        loss: mean over the training split, weighted by class.
        val_loss: the same over validation.
        val_recall: of validation, at the best threshold that keeps precision at its target.
        val_pr_auc: area under the precision-recall curve of validation.
        val_auc: area under the ROC curve of validation.
        best: whether it is better than all epochs before it; the weights of the last such epoch are kept.
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
        """Return the log line; its columns align from epoch to epoch.

        Args:
            stage: name of the stage.
            epochs: planned number.
            precision: at which `val_recall` is measured.
        """
        number = f"{self.epoch:>{len(str(epochs))}}/{epochs}"
        return (
            f"{stage}  epoch {number}  loss {self.loss:.4f}  val_loss {self.val_loss:.4f}  "
            f"val_recall {self.val_recall:.3f} at precision {precision:.2f}  val_auc {self.val_auc:.4f}  "
            f"rate {self.learning_rate:.1e}  {self.seconds:5.1f} s{'  * best' if self.best else ''}"
        )


class ResultsFile:
    """`results.csv`: a header, and one row per epoch, written as soon as the epoch ends.

    The file is closed after each row, so that readers see complete rows, and an interrupted training leaves its epochs.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        path.write_text(",".join(Epoch.__dataclass_fields__) + "\n", encoding="utf-8")

    def add(self, epoch: Epoch) -> None:
        """Append a row; numbers have six digits, `best` is 1 or 0."""
        row = ",".join(f"{value:.6g}" for value in asdict(epoch).values()) + "\n"
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(row)
