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


def large_allocations(call: Callable[[], Any], least: int, ignore: tuple[str, ...] = ()) -> Counter[str]:
    """Lines ("op/loss.py:12") at which traced memory peaked by ``least`` bytes or more, and how often.

    Before each line of the library the peak is reset, and after it read. What a line calls in turn is charged
    to the lines called, and what NumPy does to the line that called NumPy.

    Args:
        call: what to watch.
        least: bytes.
        ignore: files whose own lines aren't charged.
    """
    found: Counter[str] = Counter()
    here, base = ("", 0), 0
    names: dict[str, str] = {}

    def settle(frame: FrameType | None) -> None:
        nonlocal here, base
        now, most = tracemalloc.get_traced_memory()
        if most - base >= least and here[0] not in ignore:
            found[f"{here[0]}:{here[1]}"] += 1
        if frame is not None:
            here = (_name(frame), frame.f_lineno)
        base = now
        tracemalloc.reset_peak()

    def _name(frame: FrameType) -> str:
        path = frame.f_code.co_filename
        if path not in names:
            inside = path.startswith(_SOURCE)
            names[path] = Path(path).relative_to(_SOURCE).as_posix() if inside else path
        return names[path]

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        name = _name(frame)
        if name == frame.f_code.co_filename:
            return None  # not the library's
        if name in ignore:
            frame.f_trace_lines = False
        settle(frame.f_back if event == "return" else frame)
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
