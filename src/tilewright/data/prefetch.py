"""Work done ahead by threads, and handed out in order.

Threads, not processes: what takes time in making batches (decoding, NumPy on large arrays, reading files)
lets other threads run, nothing has to be copied between processes, and data sets needn't be picklable.
"""

from __future__ import annotations

import atexit
import contextvars
import sys
import threading
import weakref
from collections.abc import Callable, Generator
from typing import Any

# How long to wait before looking again. On Windows, Ctrl-C is noticed only between two waits.
_SECONDS = 1.0

Make = Callable[[int, Callable[[], bool]], Any]


def in_order(make: Make, first: int, end: int, workers: int, ahead: int) -> Generator[Any, None, None]:
    """The values of ``first`` to ``end - 1``, in order, worked out by threads before they are asked for.

    The threads begin with the first value asked for. They have ended when the iterator has: at the last
    value, at an exception, when the iterator is closed or dropped (as after a ``break``), or when the program
    ends. An exception comes at the turn of the value that it kept from being made.

    Args:
        make: works the value of a number out; called from several threads at once. Its second argument says
            whether nobody waits any longer: then it may give up, and what it returns is dropped.
        first: the first number.
        end: the number after the last.
        workers: threads, ≥ 1.
        ahead: values that may be finished or in the making before they are asked for, ≥ 1.

    >>> list(in_order(lambda number, is_over: number * number, 1, 4, workers=2, ahead=4))
    [1, 4, 9]
    """
    crew = _Crew(make, first, end, ahead)
    try:
        crew.start(min(workers, end - first))
        for number in range(first, end):
            yield crew.take(number)
    finally:
        crew.stop()


class _Crew:
    """The threads, and what they have finished; all of it guarded by one condition."""

    def __init__(self, make: Make, first: int, end: int, ahead: int) -> None:
        self._make = make
        self._end = end
        self._ahead = ahead
        self._next = first  # the number that nobody has begun
        self._asked = first  # the number that is taken next
        self._finished: dict[int, tuple[Any, BaseException | None]] = {}
        self._is_over = False
        # Re-entrant: the garbage collector may drop an iterator, and so stop its crew, between any two lines.
        self._changed = threading.Condition(threading.RLock())
        self._threads: list[threading.Thread] = []

    def start(self, workers: int) -> None:
        recording = _recording()
        for place in range(workers):
            # Each gets the caller's context (NumPy keeps its errstate there), and whether the tape is on.
            context = contextvars.copy_context()
            thread = threading.Thread(
                target=context.run,
                args=(self._work, recording),
                name=f"tilewright-data-{place}",
                # A program may end in the middle of an epoch; the crews are told so below.
                daemon=True,
            )
            thread.start()
            self._threads.append(thread)
        _crews.add(self)

    def take(self, number: int) -> Any:
        with self._changed:
            self._asked = number
            self._changed.notify_all()
            while number not in self._finished:
                self._changed.wait(_SECONDS)
            value, error = self._finished.pop(number)
        if error is None:
            return value
        try:
            raise error
        finally:
            # The error holds this frame by its traceback; the frame must not hold the error as well.
            del error

    def stop(self) -> None:
        """End the threads, and wait for those that are in the middle of something."""
        with self._changed:
            self._is_over = True
            self._finished.clear()
            self._changed.notify_all()
        _crews.discard(self)
        # A thread that the garbage collector has made do this can't wait for itself, nor for the others.
        if threading.current_thread() not in self._threads:
            for thread in self._threads:
                thread.join()

    def _work(self, recording: bool | None) -> None:
        if recording is not None:
            sys.modules["tilewright.autograd.mode"].set_recording(recording)
        while (number := self._begin()) is not None:
            value, error = None, None
            try:
                value = self._make(number, lambda: self._is_over)
            except BaseException as raised:  # SystemExit, too, belongs to whoever asked for the value
                error = raised
            with self._changed:
                if not self._is_over:
                    self._finished[number] = (value, error)
                    self._changed.notify_all()
            del value, error

    def _begin(self) -> int | None:
        """The number to make next; None when there is nothing left to do."""
        with self._changed:
            while not self._is_over and self._asked + self._ahead <= self._next < self._end:
                self._changed.wait(_SECONDS)
            if self._is_over or self._next >= self._end:
                return None
            self._next += 1
            return self._next - 1


def _recording() -> bool | None:
    """Whether this thread's tape is on; None where nothing has been imported that has one."""
    module = sys.modules.get("tilewright.autograd.mode")
    return None if module is None else bool(module.is_grad_enabled())


_crews: weakref.WeakSet[_Crew] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    # While the interpreter still runs threads: later, one that waits would be waited for without end.
    for crew in list(_crews):
        crew.stop()
