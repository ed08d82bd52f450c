"""The compiled families: a program for each geometry and layout, run on the arrays at hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import ConvDims
from tilewright.kernel import buffers
from tilewright.kernel.addresses import address
from tilewright.kernel.tiles import convolve, weights, winograd, winograd_weights
from tilewright.kernel.tiles.convolve import Problem, Program
from tilewright.plan import Plan
from tilewright.plan.target import named

Array = npt.NDArray[Any]

# A program holds a few tables of a line's or a plane's size; a network has a few dozen geometries.
_PROGRAMS = 1024


def forward(
    plan: Plan,
    x: Array,
    w: Array,
    bias: Array | None,
    y: Array,
    activation: str = "none",
    slope: float = 0.0,
) -> None:
    """Writes activation(x ⋆ w + bias) into ``y``."""
    x = _readable(x)
    program = program_for(plan, x.strides, y.strides, activation, slope)
    _run(program, x, np.ascontiguousarray(w), bias, y)


def data_gradient(plan: Plan, gy: Array, w: Array, gx: Array, bias: Array | None = None) -> None:
    """Writes the gradient of the input into ``gx``; with ``bias``, a transposed convolution."""
    gy = _readable(gy)
    program = program_for(plan, gy.strides, gx.strides)
    _run(program, gy, np.ascontiguousarray(w), bias, gx)


def weight_gradient(plan: Plan, x: Array, gy: Array, gw: Array) -> None:
    """Writes the gradient of the weights into ``gw``: the shares of the sum, added in order."""
    x, gy = _readable(x), _readable(gy)
    found = _weight_program(plan, x.strides, gy.strides)
    if found.exchanged:
        shares = buffers.empty((found.shares, gw.shape[1], gw.shape[0]), gw.dtype)
        found.program.run(address(gy), address(x), address(shares), 0)
        # One tap: the axes behind the first two have one place each.
        taps: tuple[Any, ...] = (0,) * (gw.ndim - 2)
        total = buffers.empty(shares.shape[1:], gw.dtype)
        np.add.reduce(shares, axis=0, out=total)
        np.copyto(gw[(..., *taps)], total.T)
        return
    if found.shares == 1 and gw.flags.c_contiguous and gw.flags.aligned:
        found.program.run(address(x), address(gy), address(gw), 0)
        return
    shares = buffers.empty((found.shares, *gw.shape), gw.dtype)
    found.program.run(address(x), address(gy), address(shares), 0)
    np.add.reduce(shares, axis=0, out=gw)


def _run(program: Program, x: Array, w: Array, bias: Array | None, y: Array) -> None:
    if bias is None:
        program.run(address(x), address(w), 0, address(y))
        return
    bias = np.ascontiguousarray(bias)
    program.run(address(x), address(w), address(bias), address(y))


def _readable(array: Array) -> Array:
    """The array itself, unless its elements lie where no vector could read them."""
    if array.flags.aligned and all(stride % array.itemsize == 0 for stride in array.strides):
        return array
    return np.ascontiguousarray(array)


@lru_cache(maxsize=_PROGRAMS)
def program_for(
    plan: Plan,
    x_strides: tuple[int, ...],
    y_strides: tuple[int, ...],
    activation: str = "none",
    slope: float = 0.0,
) -> Program:
    """The program that computes a plan on arrays with these strides (in bytes)."""
    problem = _problem(plan, x_strides, y_strides, activation, slope)
    return _maker(plan)(problem, named(plan.target))


def outline(
    plan: Plan,
    x_strides: tuple[int, ...],
    y_strides: tuple[int, ...],
    activation: str = "none",
    slope: float = 0.0,
) -> Program:
    """The program of a plan for any target, only to be read: nothing is compiled.

    The strides (in bytes) are those of the array that is read and of the one that is written; of the weight
    gradient, of the two that are read.
    """
    target = named(plan.target)
    if plan.operation == "weight_gradient":
        found = _weight_maker(plan)(_weight_problem(plan, x_strides, y_strides), target, load=False)
        return found.program
    problem = _problem(plan, x_strides, y_strides, activation, slope)
    return _maker(plan)(problem, target, load=False)


def _problem(
    plan: Plan,
    x_strides: tuple[int, ...],
    y_strides: tuple[int, ...],
    activation: str,
    slope: float,
) -> Problem:
    dims, itemsize = _conv(plan), np.dtype(plan.dtype).itemsize
    backwards = plan.operation == "data_gradient"
    return Problem(
        dims.adjoint() if backwards else dims,
        plan.dtype,
        tuple(stride // itemsize for stride in x_strides),
        tuple(stride // itemsize for stride in y_strides),
        backwards,
        None if plan.family == "tiles-pointwise" else plan.side,
        activation,
        slope,
    )


@lru_cache(maxsize=_PROGRAMS)
def _weight_program(
    plan: Plan, x_strides: tuple[int, ...], gy_strides: tuple[int, ...]
) -> weights.WeightProgram:
    return _weight_maker(plan)(_weight_problem(plan, x_strides, gy_strides), named(plan.target))


def _weight_problem(
    plan: Plan, x_strides: tuple[int, ...], gy_strides: tuple[int, ...]
) -> weights.WeightProblem:
    dims, itemsize = _conv(plan), np.dtype(plan.dtype).itemsize
    return weights.WeightProblem(
        dims,
        plan.dtype,
        tuple(stride // itemsize for stride in x_strides),
        tuple(stride // itemsize for stride in gy_strides),
    )


def _maker(plan: Plan) -> Callable[..., Program]:
    return winograd.program if plan.family == "tiles-winograd" else convolve.program


def _weight_maker(plan: Plan) -> Callable[..., weights.WeightProgram]:
    return winograd_weights.program if plan.family == "tiles-winograd" else weights.program


def forget() -> None:
    """Forget all programs: the next are made by the numbers of ``tilewright.plan.tiles`` as they are then."""
    program_for.cache_clear()
    _weight_program.cache_clear()


def _conv(plan: Plan) -> ConvDims:
    assert isinstance(plan.dims, ConvDims)
    return plan.dims
