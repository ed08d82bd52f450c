"""Whether operations are written to the tape: one switch for each thread."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class _Mode(threading.local):
    recording = True


_mode = _Mode()


def is_grad_enabled() -> bool:
    """Whether operations on this thread are written to the tape."""
    return _mode.recording


def set_recording(on: bool) -> bool:
    """Switch the tape of this thread on or off; returns how it was before."""
    before = _mode.recording
    _mode.recording = on
    return before


class Recording(contextlib.ContextDecorator):
    """Context manager and decorator that sets the tape on or off, as PyTorch's ``no_grad`` is used."""

    def __init__(self, on: bool) -> None:
        self._on = on
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(set_recording(self._on))

    def __exit__(self, *details: object) -> None:
        set_recording(self._before.pop())


def no_grad(function: Callable[P, R] | None = None) -> Any:
    """Nothing inside is written to the tape: ``with tw.no_grad():``, ``@tw.no_grad()`` or ``@tw.no_grad``."""
    return _switch(False, function)


def enable_grad(function: Callable[P, R] | None = None) -> Any:
    """The tape is on inside, also within :func:`no_grad`."""
    return _switch(True, function)


def _switch(on: bool, function: Callable[P, R] | None) -> Any:
    if function is None:
        return Recording(on)

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with Recording(on):
            return function(*args, **kwargs)

    return wrapped


class set_grad_enabled(Recording):  # noqa: N801 - PyTorch's name, used like a function there
    """Set the tape on or off at once; used as a context manager, the former state returns on leaving."""

    def __init__(self, mode: bool) -> None:
        super().__init__(mode)
        self._outer = set_recording(mode)

    def __enter__(self) -> None:
        set_recording(self._on)

    def __exit__(self, *details: object) -> None:
        set_recording(self._outer)


def inference_mode(mode: bool = True) -> Recording:
    """As :func:`no_grad` (PyTorch's faster kind of it); ``inference_mode(False)`` switches the tape on."""
    return Recording(not mode)
