"""What a run writes down while it works: rows of ``metrics.csv``, and if wanted events for TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.train.evaluate import Evaluation
from tilewright.train.events import EventFile
from tilewright.train.result import Result
from tilewright.train.rows import Row
from tilewright.train.run import RunFolder
from tilewright.train.state import Position

# A row's columns by TensorBoard's tags: what is compared in one picture shares the part before the slash.
_TAGS = {
    "train_loss": "loss/training",
    "val_loss": "loss/validation",
    "train_accuracy": "accuracy/training",
    "val_accuracy": "accuracy/validation",
    "images_per_second": "speed/images_per_second",
}
# Figures that a validation is known by, where there is more to say than its accuracy.
_SAID = {"val_mean_iou": "mean IoU", "val_rmse": "RMSE", "val_r2": "R²"}


class Journal:
    """Keeps a run's numbers on the disk; without a run folder, nowhere.

    Args:
        run: the run folder, or None.
        figures: names of what a validation measures beside loss and accuracy.
        tensorboard: whether to write event files as well.
    """

    def __init__(self, run: RunFolder | None, figures: Sequence[str], tensorboard: bool) -> None:
        self.run = run
        self.columns = ("learning_rate", *(f"val_{name}" for name in figures))
        self.tensorboard = tensorboard
        self._events: EventFile | None = None

    def begin(self) -> None:
        """Start empty files."""
        if self.run is not None:
            self.run.metrics.start(self.columns)
            self._open(None)

    def go_on(self, step: int) -> None:
        """Drop what stands there of steps after ``step``, which will come again."""
        if self.run is not None:
            self.run.metrics.keep_until(step)
            self._open(step)

    def _open(self, step: int | None) -> None:
        if self.run is not None and self.tensorboard:
            self._events = EventFile(self.run.path, resumed_at=step)

    def add(self, row: Row) -> None:
        """Write a row down."""
        if self.run is not None:
            self.run.metrics.append(row)
        if self._events is not None:
            values = {name: value for name, value in row.values().items() if value is not None}
            self._events.scalars(row.step, {_tag(n): v for n, v in values.items() if _is_curve(n)})

    def close(self, result: Result) -> None:
        """Put the pictures of a finished run beside its curves."""
        if self._events is not None and result.report is not None:
            for path in result.report.pictures:
                self._events.picture(result.steps, path.stem, path.read_bytes())


def make_row(position: Position, epoch: int, validation: Evaluation | None, speed: float, rate: float) -> Row:
    """The row of a step: what was measured since the row before, and the validation if there is one.

    Args:
        position: where the run stands.
        epoch: counted from 1.
        validation: the held-out images judged, or None.
        speed: images per second.
        rate: the learning rate.
    """
    more = {"learning_rate": rate}
    if validation is not None:
        more |= {f"val_{name}": value for name, value in validation.figures.items()}
    return Row(
        step=position.step,
        epoch=epoch,
        train_loss=position.sums.mean_loss,
        # Where nothing is right or wrong, nothing was judged.
        train_accuracy=position.sums.accuracy if position.sums.judged else None,
        val_loss=validation.loss if validation else None,
        val_accuracy=validation.accuracy if validation else None,
        images_per_second=speed,
        seconds=position.seconds,
        more=more,
    )


def validation_line(row: Row, steps: int, epochs: int, is_best: bool) -> str:
    """What a validation came to, for people."""
    parts = [f"step {row.step:>{len(str(steps))}} of {steps}"]
    parts.append(f"epoch {row.epoch:>{len(str(epochs))}} of {epochs}")
    parts.append(f"loss {row.train_loss:.4f}")
    said = f"validation loss {row.val_loss:.4f}"
    if row.val_accuracy is not None:
        said += f" accuracy {100 * row.val_accuracy:.2f} %"
    for name, word in _SAID.items():
        if name in row.more:
            said += f" {word} {row.more[name]:.4f}"
    return "  ".join([*parts, said]) + ("  (best)" if is_best else "")


def _is_curve(column: str) -> bool:
    return column not in ("step", "seconds")


def _tag(column: str) -> str:
    if column in _TAGS:
        return _TAGS[column]
    return f"validation/{column[4:]}" if column.startswith("val_") else column
