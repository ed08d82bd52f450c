"""What a training run shows while it works: a live bar on a terminal, plain lines elsewhere.

Everything goes to standard error, so that a program's results on standard output can be piped on.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

# Without a terminal, a line at least this often (in seconds) says that the run is alive.
_SECONDS_BETWEEN_LINES = 15.0


class Silent:
    """Shows nothing; the base of the other two, and their interface.

    Used as a context manager around the training loop.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def begin(self, total: int, done: int) -> None:
        """Training goes from step ``done`` to step ``total``."""

    def update(
        self, step: int, epoch: int, loss: float, accuracy: float | None, images_per_second: float
    ) -> None:
        """A step is done; the numbers are those of the last few batches."""

    def say(self, line: str) -> None:
        """A line that stays, such as a validation's result."""

    def stopping(self) -> None:
        """Ctrl-C has come, and the run is about to save and stop. Called from a signal handler."""


class Plain(Silent):
    """A line for each validation, and now and then one to say how far the run is."""

    def __init__(self) -> None:
        self._total = 0
        self._last = time.monotonic()
        self._from: tuple[float, int] = (self._last, 0)

    def begin(self, total: int, done: int) -> None:
        """Remember where the run stands, for the time left."""
        self._total = total
        self._last = time.monotonic()
        self._from = (self._last, done)

    def update(
        self, step: int, epoch: int, loss: float, accuracy: float | None, images_per_second: float
    ) -> None:
        """A line, if none has been printed for a while."""
        now = time.monotonic()
        if now - self._last < _SECONDS_BETWEEN_LINES:
            return
        since, first = self._from
        left = (now - since) / max(1, step - first) * (self._total - step)
        parts = [f"step {step} of {self._total}", f"epoch {epoch}", f"loss {loss:.4f}"]
        if accuracy is not None:
            parts.append(f"accuracy {100 * accuracy:.2f} %")
        parts += [f"{images_per_second:,.0f} images/s", f"{duration(left)} left"]
        self.say("  ".join(parts))

    def say(self, line: str) -> None:
        """Print the line at once."""
        self._last = time.monotonic()
        print(line, file=sys.stderr, flush=True)


class Live(Silent):
    """A bar that moves, with loss, accuracy, images per second and the time left (by rich)."""

    def __init__(self, console: Any) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self._task: TaskID | None = None
        self._bar: RichProgress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[numbers]}"),
            TimeElapsedColumn(),
            TextColumn("[dim]left"),
            TimeRemainingColumn(compact=True),
            console=console,
            expand=True,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begin(self, total: int, done: int) -> None:
        """Show the bar, already filled up to ``done``."""
        self._task = self._bar.add_task("training", total=total, completed=done, numbers="")

    def update(
        self, step: int, epoch: int, loss: float, accuracy: float | None, images_per_second: float
    ) -> None:
        """Move the bar; it redraws itself ten times a second."""
        if self._task is None:
            return
        numbers = f"loss [cyan]{loss:.4f}[/]"
        if accuracy is not None:
            numbers += f"  accuracy [green]{100 * accuracy:.1f} %[/]"
        numbers += f"  {images_per_second:,.0f} images/s"
        self._bar.update(self._task, completed=step, numbers=numbers, description=f"epoch {epoch}")

    def say(self, line: str) -> None:
        """Print the line above the bar."""
        self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def stopping(self) -> None:
        """Say so in the bar."""
        if self._task is not None:
            self._bar.update(self._task, description="stopping")


def choose(show: bool) -> Silent:
    """The live bar on a terminal that can show it, plain lines elsewhere, nothing when not asked to show."""
    if not show:
        return Silent()
    if sys.stderr.isatty():
        try:
            from rich.console import Console
        except ImportError:
            return Plain()
        console = Console(stderr=True)
        if console.is_terminal and not console.is_dumb_terminal:
            return Live(console)
    return Plain()


def duration(seconds: float) -> str:
    """A time span for people: ``8.3 s``, ``75 s``, ``12 min``, ``3 h 05 min``.

    >>> duration(8.26), duration(754), duration(11100)
    ('8.3 s', '13 min', '3 h 05 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"
