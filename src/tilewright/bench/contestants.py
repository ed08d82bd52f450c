"""Who takes part: what every contestant promises, and ours."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tilewright._version import __version__
from tilewright.bench.layers import Layer
from tilewright.geometry import ConvDims
from tilewright.kernel import threads
from tilewright.op.conv import conv_data_gradient, conv_forward, conv_weight_gradient
from tilewright.op.pool import avg_pool, avg_pool_gradient, max_pool, max_pool_gradient

Array = npt.NDArray[Any]

#: What is measured: the output, or the gradients of input and weight (of a pool: of the input) from that of
#: the output.
DIRECTIONS = ("forward", "backward")
LAYOUTS = ("nchw", "nhwc")
OURS = "tilewright"


class Unable(Exception):  # noqa: N818 - a polite refusal, no error
    """A contestant can't do a task; the message is the reason, as a clause that a person reads."""


@dataclass(frozen=True, eq=False)
class Task:
    """One thing to compute, the same for all contestants.

    Attributes:
        layer: what it is.
        direction: one of :data:`DIRECTIONS`.
        threads: how many threads may compute.
        x, w, gy: input, weight and the output's gradient, channels first and contiguous; never written to.
            A pool's weight is an empty array.
    """

    layer: Layer
    direction: str
    threads: int
    x: Array
    w: Array
    gy: Array

    @property
    def dims(self) -> ConvDims:
        """The geometry of a convolution, transposed or not."""
        return self.layer.conv


@dataclass(frozen=True, eq=False)
class Prepared:
    """A contestant ready for one task.

    Attributes:
        call: computes once and returns whatever it likes; this is what is timed.
        answers: makes of that the arrays to judge, channels first: (y,), or (gx, gw), or (gx,) of a pool.
    """

    call: Callable[[], Any]
    answers: Callable[[Any], tuple[Array, ...]]


class Contestant(Protocol):
    """Somebody who computes some of the layers.

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
        layer, x, gy = task.layer, task.x, task.gy
        if self.layout == "nhwc":
            if 1 in (layer.input_shape[1], layer.output_shape[1]):
                raise Unable("with one channel both layouts are the same")
            x, gy = channels_last(x), channels_last(gy)
        if task.direction == "forward":
            return Prepared(_output(layer, x, task.w), lambda y: (y,))
        return Prepared(_gradients(layer, x, task.w, gy), lambda gradients: gradients)


def _output(layer: Layer, x: Array, w: Array) -> Callable[[], Array]:
    if layer.operation == "max_pool":
        pool = layer.pool
        return lambda: max_pool(pool, x, indices=False)[0]
    if layer.is_pool:
        pool = layer.pool
        return lambda: avg_pool(pool, x)
    dims = layer.conv
    if layer.is_transposed:
        return lambda: conv_data_gradient(dims, x, w)
    return lambda: conv_forward(dims, x, w)


def _gradients(layer: Layer, x: Array, w: Array, gy: Array) -> Callable[[], tuple[Array, ...]]:
    if layer.operation == "max_pool":
        pool = layer.pool
        # Found on the way forward, and kept for the way back.
        _, positions = max_pool(pool, x)
        assert positions is not None
        kept = positions
        return lambda: (max_pool_gradient(pool, gy, kept),)
    if layer.is_pool:
        pool = layer.pool
        return lambda: (avg_pool_gradient(pool, gy),)
    dims = layer.conv
    if layer.is_transposed:
        return lambda: (conv_forward(dims, gy, w), conv_weight_gradient(dims, gy, x))
    return lambda: (conv_data_gradient(dims, gy, w), conv_weight_gradient(dims, x, gy))


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
