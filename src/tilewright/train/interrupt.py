"""Ctrl-C as a wish: the step at hand is finished and saved first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self


class TrainingInterrupted(KeyboardInterrupt):
    """Training was stopped by Ctrl-C, and saved where it keeps a run folder.

    Attributes:
        step: the last step done.
        total: the steps that were planned.
        run_dir: the run folder, or None when nothing was kept.
    """

    def __init__(self, step: int, total: int, run_dir: Path | None) -> None:
        saved = "nothing is saved, as there is no run_dir" if run_dir is None else f"saved in {run_dir}"
        super().__init__(f"Training stopped by Ctrl-C after step {step} of {total}: {saved}.")
        self.step = step
        self.total = total
        self.run_dir = run_dir


class Interrupts:
    """While entered, the first SIGINT sets :attr:`asked`; the second raises KeyboardInterrupt as usual.

    Outside the main thread (where Python delivers no signals), and where the parent process had SIGINT
    ignored, it does nothing.

    Attributes:
        asked: whether to stop at the next good moment.
        on_first: called by the handler when the first SIGINT comes.
    """

    def __init__(self) -> None:
        self.asked = False
        self.on_first: Callable[[], None] | None = None
        self._before: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            before = signal.getsignal(signal.SIGINT)
            if before is not signal.SIG_IGN:
                self._before = before
                signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        if self.on_first is not None:
            self.on_first()
