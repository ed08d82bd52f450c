"""Who takes part: what every contestant promises, and ours."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tilewright._version import __version__
from tilewright.geometry import ConvDims
from tilewright.kernel import threads
from tilewright.op.conv import conv_data_gradient, conv_forward, conv_weight_gradient

Array = npt.NDArray[Any]

#: What is measured: the output, or the gradients of both input and weight from that of the output.
DIRECTIONS = ("forward", "backward")
LAYOUTS = ("nchw", "nhwc")
OURS = "tilewright"


class Unable(Exception):  # noqa: N818 - a polite refusal, no error
    """A contestant can't do a task; the message is the reason, as a clause that a person reads."""


@dataclass(frozen=True, eq=False)
class Task:
    """One thing to compute, the same for all contestants.

    Attributes:
        dims: the geometry.
        direction: one of :data:`DIRECTIONS`.
        threads: how many threads may compute.
        x, w, gy: input, weight and the output's gradient, channels first and contiguous; never written to.
    """

    dims: ConvDims
    direction: str
    threads: int
    x: Array
    w: Array
    gy: Array


@dataclass(frozen=True, eq=False)
class Prepared:
    """A contestant ready for one task.

    Attributes:
        call: computes once and returns whatever it likes; this is what is timed.
        answers: makes of that the arrays to judge, channels first: (y,), or (gx, gw).
    """

    call: Callable[[], Any]
    answers: Callable[[Any], tuple[Array, ...]]


class Contestant(Protocol):
    """Somebody who computes convolutions.

    Attributes:
        name: unique, for people: ``PyTorch channels-last``.
        package: whose code it is; contestants of one package are variants of one peer.
    """

    name: str
    package: str

    def version(self) -> str:
        """The version of the package.

        Raises:
            Unable: it isn't installed.
        """
        ...

    def prepare(self, task: Task) -> Prepared:
        """All that can be done before the first call: conversions, compiling, sessions.

        Raises:
            Unable: it can't do this task.
        """
        ...


class Ours:
    """This library's functions on arrays, channels first or last; the weight is in its usual order."""

    package = OURS

    def __init__(self, layout: str = "nchw") -> None:
        self.layout = layout
        self.name = our_name(layout)

    def version(self) -> str:
        """The version of this library."""
        return __version__

    def prepare(self, task: Task) -> Prepared:
        """Arrays in the layout asked for; kernels are compiled at the first call."""
        dims, w = task.dims, task.w
        x, gy = task.x, task.gy
        if self.layout == "nhwc":
            if dims.in_channels == 1 or dims.out_channels == 1:
                raise Unable("with one channel both layouts are the same")
            x, gy = channels_last(x), channels_last(gy)
        if task.direction == "forward":
            return Prepared(lambda: conv_forward(dims, x, w), lambda y: (y,))
        return Prepared(
            lambda: (conv_data_gradient(dims, gy, w), conv_weight_gradient(dims, x, gy)),
            lambda gradients: gradients,
        )


def our_name(layout: str) -> str:
    """What our variant for a layout is called.

    >>> our_name("nhwc")
    'tilewright channels-last'
    """
    return OURS if layout == "nchw" else f"{OURS} channels-last"


def channels_last(array: Array) -> Array:
    """A copy of the same shape whose channels lie innermost in memory.

    >>> channels_last(np.zeros((2, 3, 4, 5), np.float32)).strides
    (240, 4, 60, 12)
    """
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)


@contextlib.contextmanager
def our_threads(count: int) -> Iterator[None]:
    """A block in which this library, and NumPy's BLAS below it, compute on ``count`` threads."""
    before = threads.get_num_threads()
    threads.set_num_threads(count)
    try:
        with _blas_threads(count):
            yield
    finally:
        threads.set_num_threads(before)


def _blas_threads(count: int) -> contextlib.AbstractContextManager[Any]:
    """Nothing happens where threadpoolctl is missing; only the NumPy families call BLAS."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return contextlib.nullcontext()
    limits: contextlib.AbstractContextManager[Any] = threadpool_limits(limits=count, user_api="blas")
    return limits
