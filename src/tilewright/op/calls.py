"""Convolutions met before: the same shapes, layouts and arguments are not checked and planned again.

A small convolution takes less time than checking what it is called with. So when a call has been through the
whole path once and a compiled family served it, what was found is kept under everything that the checks look
at; the next such call allocates its output and runs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import ConvDims
from tilewright.kernel import buffers, program_for
from tilewright.kernel.addresses import address
from tilewright.kernel.conv_planes import is_finite
from tilewright.kernel.tiles.convolve import Program
from tilewright.op.arrays import is_channels_last, layout_of, name_of
from tilewright.plan import choose
from tilewright.plan.precision import mode
from tilewright.plan.separable import pays

Array = npt.NDArray[Any]
Key = tuple[Any, ...]

# As many as geometries are remembered.
_MOST = 4096
_known: dict[Key, _Call] = {}


class _Call:
    """How to answer one kind of call."""

    __slots__ = ("axes", "dtype", "finite", "misplaced", "program", "shape")

    def __init__(
        self, program: Program, shape: tuple[int, ...], axes: tuple[int, ...] | None, dtype: np.dtype[Any]
    ) -> None:
        self.program, self.shape, self.axes, self.dtype = program, shape, axes, dtype
        self.finite = program.finite
        # Bits that an address of whole elements doesn't have.
        self.misplaced = dtype.itemsize - 1


def key_of(op: str, x: Any, w: Any, bias: Any, arguments: tuple[Any, ...]) -> Key | None:
    """Everything that decides what a call does, or None if it is not of the kind that is remembered."""
    if type(x) is not np.ndarray or type(w) is not np.ndarray:
        return None
    for argument in arguments:
        kind = type(argument)
        # True is equal to 1, but refused: only plain integers may stand for themselves.
        if (
            kind is not int
            and kind is not str
            and not (kind is tuple and all(type(e) is int for e in argument))
        ):
            return None
    if bias is None:
        return (op, mode(), x.shape, x.strides, x.dtype, w.shape, w.strides, w.dtype, arguments)
    if type(bias) is not np.ndarray:
        return None
    return (
        op, mode(), x.shape, x.strides, x.dtype, w.shape, w.strides, w.dtype, arguments,
        bias.shape, bias.strides, bias.dtype,
    )  # fmt: skip


def again(key: Key, x: Array, w: Array, bias: Array | None) -> Array | None:
    """The answer of a call met before, or None."""
    call = _known.get(key)
    if call is None:
        return None
    here, weights = address(x), address(w)
    offset = 0 if bias is None else address(bias)
    if (here | weights | offset) & call.misplaced:
        return None
    if call.finite and not is_finite(w):
        return None
    y = buffers.empty(call.shape, call.dtype)
    call.program.run(here, weights, offset, address(y))
    return y if call.axes is None else y.transpose(call.axes)


def remember(key: Key, dims: ConvDims, x: Array, w: Array, bias: Array | None) -> None:
    """Keep how a call that has just succeeded is to be answered, if a compiled family serves it."""
    if dims.reduction == 0 or 0 in dims.output_shape:
        return
    if pays(dims, name_of(x.dtype)):
        # It depends on the weights' numbers how this is done.
        return
    plan = choose("forward", dims, name_of(x.dtype), None, layout_of(x))
    whole = all(stride % x.itemsize == 0 for stride in x.strides) and w.flags.c_contiguous
    if not plan.target or not whole or not (bias is None or bias.flags.c_contiguous):
        return
    shape, axes = dims.output_shape, None
    probe = np.empty(shape, x.dtype)  # for its strides
    if is_channels_last(x):
        last = len(shape) - 1
        axes = (0, last, *range(1, last))
        shape = (shape[0], *shape[2:], shape[1])
        probe = np.empty(shape, x.dtype).transpose(axes)
    if len(_known) >= _MOST:
        _known.clear()
    _known[key] = _Call(program_for(plan, x.strides, probe.strides), shape, axes, x.dtype)
