"""Padding and cropping along any axes by index arithmetic, and the gradient through the same indices.

Output o of an axis of n elements takes element i(o) of the input, with p = o − before:

========== =====================================================================================
constant   p, and a constant where p lies outside 0 … n−1
replicate  p, brought into 0 … n−1
reflect    p folded at the first and the last element as often as it must, neither being repeated
circular   p modulo n
========== =====================================================================================

Negative padding crops. In circular mode the axis is cropped first and what is left goes round; the others
fold at the ends of the axis as it was. (PyTorch does the same.)
"""

from __future__ import annotations

import cmath
import sys
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.kernel.sampling.tables import Matrix
from tilewright.op import memory, sampled
from tilewright.op.arrays import MULTIPLIED, check_array
from tilewright.op.kinds import is_bfloat16, is_half, sum_dtype
from tilewright.op.moved import OUTSIDE, Index, runs, taken

Array = npt.NDArray[Any]
#: (before, after) for each of the last axes, in the order of the axes.
Pairs = tuple[tuple[int, int], ...]

MODES = ("constant", "reflect", "replicate", "circular")
#: What can be moved about.
DTYPES = (*MULTIPLIED, "bool")


def source_index(size: int, before: int, after: int, mode: str) -> Array:
    """For each output along an axis of ``size``, the input it takes (int64); mode is not "constant".

    The axis must have an element to take (see :func:`padded_shape`).
    """
    if mode == "circular":
        # Cropped first: this many are left to go round.
        left = size - max(-before, 0) - max(-after, 0)
        place = np.arange(-max(before, 0), left + max(after, 0))
        return place % left + max(-before, 0)
    place = np.arange(-before, size + after)
    if mode == "replicate":
        return place.clip(0, size - 1)
    if size == 1:
        return np.zeros_like(place)
    period = 2 * (size - 1)
    place %= period
    return np.minimum(place, period - place)


def padded_shape(shape: tuple[int, ...], pairs: Pairs, mode: str, op: str = "pad") -> tuple[int, ...]:
    """The shape that padding gives.

    Raises:
        ArgumentError: an unknown mode.
        ShapeError: more pairs than axes, more is cropped than there is, or there is nothing to repeat.
    """
    if not isinstance(mode, str) or mode not in MODES:
        raise ArgumentError(
            f"{op} needs mode to be one of {', '.join(repr(known) for known in MODES)}.", describe(mode=mode)
        )
    if len(pairs) > len(shape):
        raise ShapeError(
            f"{op} needs at most one (before, after) pair for each axis of the input.",
            f"{len(pairs)} pairs for input with shape {shape}",
        )
    lead = len(shape) - len(pairs)
    result = list(shape)
    for axis, (before, after) in enumerate(pairs, start=lead):
        size = shape[axis]
        result[axis] = size + before + after
        if result[axis] < 0:
            raise ShapeError(
                f"{op} can't crop more than there is.",
                f"({before}, {after}) for axis {axis} of {size} elements",
            )
        left = size - max(-before, 0) - max(-after, 0) if mode == "circular" else size
        if mode != "constant" and left <= 0 and result[axis] > 0:
            raise ShapeError(
                f"{op} with mode {mode!r} needs an element to repeat on every padded axis.",
                f"({before}, {after}) for axis {axis} of {size} elements",
            )
    return tuple(result)


def check_value(value: Any, x: Array, op: str, name: str = "value") -> Any:
    """``value`` in the dtype of x; None is 0. ``name`` is the argument's, for messages.

    Raises:
        ArgumentError: it is no number, or the dtype can't hold it.
    """
    number = 0 if value is None else value
    kinds: tuple[type[Any], ...] = (bool, int, float, np.integer, np.floating, np.bool_)
    if x.dtype.kind == "c":
        kinds = (*kinds, complex, np.complexfloating)
    if isinstance(number, kinds) or (isinstance(number, np.generic) and is_bfloat16(number.dtype)):
        try:
            with np.errstate(over="ignore"):
                held = x.dtype.type(number)
            # A float is rounded, but not to infinity.
            whole = x.dtype.kind in "biu"
            fits = held == number if whole else not cmath.isinf(held) or cmath.isinf(number)
        except (OverflowError, ValueError):
            fits = False
        if fits:
            return held
    raise ArgumentError(
        f"{op} needs {name} to be a number that the input's dtype {x.dtype} can hold.",
        describe(**{name: value}),
    )


def pad(x: Array, pairs: Pairs, mode: str = "constant", value: Any = None, op: str = "pad") -> Array:
    """Gives x with its last axes padded or cropped, as a new array in the memory order of x.

    Args:
        x: array of numbers or bools, any rank.
        pairs: (before, after) for each of the last axes, in the order of the axes.
        mode: "constant", "reflect", "replicate" or "circular".
        value: for "constant"; 0 by default.
        op: the name for messages.

    Raises:
        ShapeError, ArgumentError: as :func:`padded_shape` and :func:`check_value`.
    """
    check_array(x, "input", op, DTYPES)
    shape = padded_shape(x.shape, pairs, mode, op)
    lead = x.ndim - len(pairs)
    filler = check_value(value, x, op) if mode == "constant" else x.dtype.type(0)
    if any(map(any, pairs)):
        y = memory.empty_for(op, shape, x.dtype, x)
        if _moved(x, y, pairs, mode, filler):
            return y
    if mode == "constant":
        y = memory.empty_for(op, shape, x.dtype, x)
        y[...] = filler
        here, there = _overlap(x.shape[lead:], pairs)
        y[there] = x[here]
        return y
    y = x
    for axis, (before, after) in enumerate(pairs, start=lead):
        if (before, after) != (0, 0):
            taken = np.moveaxis(y, axis, 0)
            sizes = (*y.shape[:axis], shape[axis], *y.shape[axis + 1 :])
            y = memory.empty_for(op, sizes, y.dtype, y)
            out = np.moveaxis(y, axis, 0)
            if out.size:
                for run in runs(source_index(x.shape[axis], before, after, mode)):
                    out[run.outputs()] = taken[run.inputs()]
    return memory.copy(x) if y is x else y


def pad_gradient(g: Array, shape: tuple[int, ...], pairs: Pairs, mode: str = "constant") -> Array:
    """The gradient of :func:`pad` for an input of ``shape``: each collects from the outputs it went to.

    Halves are summed in float32 and rounded once.
    """
    lead = len(shape) - len(pairs)
    if is_half(g.dtype) and mode != "constant":
        return pad_gradient(g.astype(sum_dtype(g.dtype)), shape, pairs, mode).astype(g.dtype)
    if mode == "constant":
        if any(map(any, pairs)):
            # Cropping what was padded, and zeros where it was cropped.
            result = memory.empty_like(g, shape)
            if _moved(g, result, tuple((-before, -after) for before, after in pairs), mode, g.dtype.type(0)):
                return result
        result = memory.zeros_like(g, shape)
        here, there = _overlap(shape[lead:], pairs)
        result[here] = g[there]
        return result
    if any(map(any, pairs)) and g.size:
        result = memory.empty_like(g, shape)
        steps = [
            (axis, _collecting(shape[axis], *pair, mode))
            for axis, pair in enumerate(pairs, start=lead)
            if any(pair)
        ]
        if sampled.along("pad", g, result, steps):
            return result
    result = g
    for axis, (before, after) in enumerate(pairs, start=lead):
        if (before, after) != (0, 0):
            given = np.moveaxis(result, axis, 0)
            result = memory.zeros_like(result, (*result.shape[:axis], shape[axis], *result.shape[axis + 1 :]))
            collected = np.moveaxis(result, axis, 0)
            if given.size:
                for run in runs(source_index(shape[axis], before, after, mode)):
                    part = given[run.outputs()]
                    collected[run.inputs()] += part if run.step else _total(part)
    return memory.copy(g) if result is g else result


@lru_cache(maxsize=256)
def _collecting(size: int, before: int, after: int, mode: str) -> Matrix:
    """The matrix by which an axis collects its gradient."""
    index = source_index(size, before, after, mode)
    order = np.argsort(index, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(index, minlength=size))])
    return Matrix(len(index), starts.astype(np.int64), order.astype(np.int64), np.ones(len(index)))


def _total(rows: Array) -> Array:
    """The sum over the first axis, which stays, by halving.

    (In which order NumPy sums depends on the other axes, and so on how a batch was split.)
    """
    while len(rows) > 1:
        half, odd = divmod(len(rows), 2)
        added = rows[:half] + rows[half : 2 * half]
        if odd:
            added[-1:] += rows[-1:]
        rows = added
    return rows


def _moved(x: Array, y: Array, pairs: Pairs, mode: str, filler: Any) -> bool:
    """Pads in one compiled pass; False if NumPy had better."""
    lead = x.ndim - len(pairs)

    def taken_along(axis: int) -> Index | None:
        if axis < lead or not any(pairs[axis - lead]):
            return None
        n, (before, after) = x.shape[axis], pairs[axis - lead]
        if mode != "constant":
            return source_index(n, before, after, mode)
        place = np.arange(-before, n + after)
        return np.where((place >= 0) & (place < n), place, OUTSIDE)

    bits = np.asarray(filler, x.dtype).reshape(1).view(np.uint8)
    word = int.from_bytes(bits[:8].tobytes(), sys.byteorder, signed=True) if bits.any() else 0
    return taken(x, y, taken_along, (x.ndim, pairs, mode), word)


def _overlap(sizes: tuple[int, ...], pairs: Pairs) -> tuple[Any, Any]:
    """Where input and output overlap: indices into the one and into the other."""
    here: list[Any] = [...]
    there: list[Any] = [...]
    for size, (before, after) in zip(sizes, pairs, strict=True):
        start = max(-before, 0)
        count = max(size - start - max(-after, 0), 0)
        here.append(slice(start, start + count))
        there.append(slice(max(before, 0), max(before, 0) + count))
    return tuple(here), tuple(there)
