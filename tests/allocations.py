"""Find the lines of the library that allocate large arrays with NumPy, even if those die at once."""

from __future__ import annotations

import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import tilewright

_SOURCE = str(Path(tilewright.__file__).parent)


def large_allocations(call: Callable[[], Any], least: int) -> Counter[str]:
    """Lines ("op/loss.py:12") whose peak of traced memory rose by ``least`` bytes or more, and how often.

    Before each line of the library the peak is reset, and after it read; what a line calls in turn is charged
    to the lines called, and what NumPy does to the line that called NumPy.
    """
    found: Counter[str] = Counter()
    place, base = "", 0

    def settle(frame: FrameType | None) -> None:
        nonlocal place, base
        now, most = tracemalloc.get_traced_memory()
        if most - base >= least:
            found[place] += 1
        if frame is not None:
            name = frame.f_code.co_filename
            inside = name.startswith(_SOURCE)
            place = f"{Path(name).relative_to(_SOURCE).as_posix() if inside else name}:{frame.f_lineno}"
        base = now
        tracemalloc.reset_peak()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(_SOURCE):
            return None
        settle(frame if event != "return" else frame.f_back)
        return trace

    before = sys.gettrace()
    tracemalloc.start()
    sys.settrace(trace)
    try:
        settle(sys._getframe())
        call()
        settle(None)
    finally:
        sys.settrace(before)
        tracemalloc.stop()
    return found
