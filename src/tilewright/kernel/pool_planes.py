"""The compiled family of pools: a program for each geometry and layout, run on arrays."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import PoolDims
from tilewright.kernel import buffers, jit, pool_numpy, threads
from tilewright.kernel.addresses import address
from tilewright.kernel.conv_planes import readable
from tilewright.kernel.pools import apart, direct, program, scatter
from tilewright.kernel.pools.problem import WORK, Problem
from tilewright.kernel.stored import stored_of
from tilewright.kernel.tiles.convolve import SCALARS, Program
from tilewright.plan import Plan
from tilewright.plan.compiled import SCRATCH_BYTES
from tilewright.plan.planes import pool_packs
from tilewright.plan.target import named

Array = npt.NDArray[Any]

# As many as of the families in tiles.
_PROGRAMS = 1024


def max_pool(plan: Plan, x: Array, y: Array, indices: Array | None) -> None:
    """Writes the largest sample of each window into ``y``, its flat position into ``indices`` if given."""
    x = _in_lines(plan, readable(x), y)
    if indices is None:
        alone = program_for(plan, "max", x.strides, y.strides, stored=stored_of(x.dtype))
        alone.run(address(x), 0, 0, address(y))
        return
    largest, found = y, indices
    if not _lie_alike(y, indices):
        largest, found = _compact_like(y, y.dtype), _compact_like(y, indices.dtype)
    made = program_for(plan, "max_indices", x.strides, largest.strides, stored=stored_of(x.dtype))
    made.run(address(x), address(found), 0, address(largest))
    if found is not indices:
        y[...], indices[...] = largest, found


def max_pool_gradient(plan: Plan, gy: Array, indices: Array, gx: Array) -> None:
    """Writes the sums of the gradients at each sample that outputs were taken from."""
    gy = readable(gy)
    if indices.dtype != np.int64 or indices.shape != gy.shape:
        indices = np.broadcast_to(indices, gy.shape).astype(np.int64)
    stored = stored_of(gy.dtype)
    gathering = gradient_program_for(plan, gy.strides, gx.strides, stored)
    if gathering is not None:
        if not _lie_alike(gy, indices):
            gy, indices = (_compact_like(gy, array.dtype, array) for array in (gy, indices))
            gathering = gradient_program_for(plan, gy.strides, gx.strides, stored)
            assert gathering is not None, "the channels or the lines still follow each other"
        gathering.run(address(gy), address(indices), 0, address(gx))
        return
    gy, indices = _in_rows(gy), _in_rows(indices)
    to = gx if gx.flags.c_contiguous and gx.flags.aligned else buffers.empty(gx.shape, gx.dtype)
    if _scattered(plan, gy, indices, to):
        if to is not gx:
            gx[...] = to
    else:
        # An index that is none: NumPy says so.
        pool_numpy.max_pool_gradient(plan, gy, indices, gx)


def gradient_serves(plan: Plan, gy: Array, gx: Array) -> bool:
    """Whether these are computed here: of halves that are scattered, a plane must fit the scratch."""
    stored = stored_of(gy.dtype)
    if not stored or math.prod(_pool(plan).spatial) * np.dtype(plan.dtype).itemsize <= SCRATCH_BYTES:
        return True
    return gradient_program_for(plan, readable(gy).strides, gx.strides, stored) is not None


def avg_pool(plan: Plan, x: Array, y: Array, divisors: Array) -> None:
    """Writes each window's sum over its divisor into ``y``."""
    _mean(plan, "mean", readable(x), y, divisors)


def avg_pool_gradient(plan: Plan, gy: Array, gx: Array, divisors: Array) -> None:
    """Writes the gradient of the input: the sum of the shares of the windows that hold a sample."""
    _mean(plan, "shares", readable(gy), gx, divisors)


def _mean(plan: Plan, kind: str, x: Array, y: Array, divisors: Array) -> None:
    each = any(divisors.strides)
    # One number stands for all; a table of them lies in row order.
    divisors = np.ascontiguousarray(divisors) if each else np.array([divisors.flat[0]], divisors.dtype)
    to = y
    if kind == "mean":
        x = _in_lines(plan, x, y)
    else:
        to = _in_lines(plan, y, x)
    found = program_for(plan, kind, x.strides, to.strides, each, stored_of(x.dtype))
    found.run(address(x), 0, address(divisors), address(to))
    if to is not y:
        y[...] = to


def _scattered(plan: Plan, gy: Array, indices: Array, gx: Array) -> bool:
    """Adds each gradient at its index; False if an index is none."""
    dims = _pool(plan)
    scalar, target, stored = SCALARS[plan.dtype], named(plan.target), stored_of(gy.dtype)
    symbol = scatter.name(scalar, stored)
    function = jit.address(symbol, lambda target: scatter.emit(target, scalar, stored), target)
    planes = dims.batch * dims.channels
    read, written = gy.size // planes, gx.size // planes
    planes_a_unit = max(WORK // (4 * read + written), 1)
    words = np.array(
        [address(gy), address(indices), 0, address(gx), planes, planes_a_unit, written, read], np.int64
    )
    scratch = written * np.dtype(plan.dtype).itemsize if stored else 0
    threads.run(function, -(-planes // planes_a_unit), address(words), scratch)
    return not words[scatter.FIELDS.place["wrong"]]


def _in_lines(plan: Plan, array: Array, other: Array) -> Array:
    """The array of samples, with those of a line following each other if nothing else computes the plan."""
    if array.strides[-1] == array.itemsize or array.strides[1] == other.strides[1] == array.itemsize:
        return array
    if pool_packs(_pool(plan), plan.dtype, named(plan.target)):
        return array
    return _in_rows(array)


def _in_rows(array: Array) -> Array:
    """The array in C order: itself, or a copy in memory of the pool."""
    if array.flags.c_contiguous and array.flags.aligned:
        return array
    found = buffers.empty(array.shape, array.dtype)
    found[...] = array
    return found


def _lie_alike(a: Array, b: Array) -> bool:
    """Whether the elements of two arrays of one shape lie in memory in the same way."""
    if not a.flags.aligned:
        return False
    return all(
        n == 1 or i * b.itemsize == j * a.itemsize
        for n, i, j in zip(a.shape, a.strides, b.strides, strict=True)
    )


def _compact_like(a: Array, dtype: np.dtype[Any], values: Array | None = None) -> Array:
    """An array whose elements lie in the order of those of ``a``, without gaps; its values, or none."""
    order = sorted(range(a.ndim), key=lambda axis: -abs(a.strides[axis]))
    found = buffers.empty(tuple(a.shape[axis] for axis in order), dtype).transpose(np.argsort(order))
    if values is not None:
        found[...] = values
    return found


@lru_cache(maxsize=_PROGRAMS)
def gradient_program_for(
    plan: Plan, gy_strides: tuple[int, ...], gx_strides: tuple[int, ...], stored: str = ""
) -> Program | None:
    """The program in which every sample gathers its gradient, if that is the way on arrays like these."""
    problem = _problem(plan, "max_gradient", gy_strides, gx_strides, False, stored)
    serves = direct.channels_serve(problem) or direct.phases_pay(problem, named(plan.target))
    return _program(problem, plan, load=True) if serves else None


@lru_cache(maxsize=_PROGRAMS)
def program_for(
    plan: Plan,
    kind: str,
    x_strides: tuple[int, ...],
    y_strides: tuple[int, ...],
    each: bool = False,
    stored: str = "",
) -> Program:
    """The program that computes a plan on arrays with these strides (in bytes), of halves if ``stored``."""
    return _program(_problem(plan, kind, x_strides, y_strides, each, stored), plan, load=True)


def outline(
    plan: Plan,
    kind: str,
    x_strides: tuple[int, ...],
    y_strides: tuple[int, ...],
    each: bool = False,
) -> Program:
    """The same for any target, only to be read: nothing is compiled."""
    return _program(_problem(plan, kind, x_strides, y_strides, each), plan, load=False)


def forget() -> None:
    """Forget all programs."""
    program_for.cache_clear()
    gradient_program_for.cache_clear()


def _problem(
    plan: Plan,
    kind: str,
    x_strides: tuple[int, ...],
    y_strides: tuple[int, ...],
    each: bool,
    stored: str = "",
) -> Problem:
    itemsize = 2 if stored else np.dtype(plan.dtype).itemsize
    x_steps, y_steps = (tuple(stride // itemsize for stride in strides) for strides in (x_strides, y_strides))
    return Problem(kind, _pool(plan), plan.dtype, x_steps, y_steps, each, stored)


def _program(problem: Problem, plan: Plan, load: bool) -> Program:
    target = named(plan.target)
    make = program.program
    if direct.channels_serve(problem):
        make = direct.along_channels
    elif apart.pays(problem, target):
        make = apart.program
    elif direct.phases_pay(problem, target):
        make = direct.along_phases
    elif direct.lines_pay(problem, target):
        make = direct.along_lines
    return make(problem, target, load=load)


def _pool(plan: Plan) -> PoolDims:
    assert isinstance(plan.dims, PoolDims)
    return plan.dims
