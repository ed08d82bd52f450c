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
from tilewright.kernel.halves import rounded, rounded_to, single, widened
from tilewright.kernel.stored import stored_of
from tilewright.kernel.tiles import (
    convolve,
    direct,
    dot_forward,
    dot_weights,
    outer_weights,
    weights,
    winograd,
    winograd_weights,
)
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
    program = program_for(plan, x.strides, y.strides, activation, slope, stored_of(x.dtype))
    _run(program, x, np.ascontiguousarray(w), bias, y)


def data_gradient(plan: Plan, gy: Array, w: Array, gx: Array, bias: Array | None = None) -> None:
    """Writes the gradient of the input into ``gx``; with ``bias``, a transposed convolution."""
    gy = _readable(gy)
    program = program_for(plan, gy.strides, gx.strides, stored=stored_of(gy.dtype))
    if bias is not None and _as_product(plan, _steps(gx.strides, gx.itemsize)):
        # The outputs of the product are all places of all channels.
        bias = np.repeat(bias, _conv(plan).taps)
    _run(program, gy, np.ascontiguousarray(w), bias, gx)


def weight_gradient(plan: Plan, x: Array, gy: Array, gw: Array) -> None:
    """Writes the gradient of the weights into ``gw``: the shares of the sum, added in order."""
    x, gy = _readable(x), _readable(gy)
    dtype, stored = np.dtype(plan.dtype), stored_of(x.dtype)
    if stored and _reads_rows(plan, x.strides, gy.strides, stored):
        # A few rows, of which nothing is packed.
        x, gy, stored = widened(x), widened(gy), ""
    found = _weight_program(plan, x.strides, gy.strides, stored)
    if found.exchanged:
        outputs = gw.shape[0]
        shares = buffers.empty((found.shares, gw.size // outputs, outputs), dtype)
        found.program.run(address(gy), address(x), address(shares), 0)
        total = buffers.empty(shares.shape[1:], dtype)
        np.add.reduce(shares, axis=0, out=total)
        np.copyto(gw, rounded(total, gw.dtype).T.reshape(gw.shape))
        return
    alike = gw.dtype == dtype
    if alike and found.shares == 1 and gw.flags.c_contiguous and gw.flags.aligned:
        found.program.run(address(x), address(gy), address(gw), 0)
        return
    shares = buffers.empty((found.shares, *gw.shape), dtype)
    found.program.run(address(x), address(gy), address(shares), 0)
    if alike:
        np.add.reduce(shares, axis=0, out=gw)
    else:
        rounded_to(shares[0] if found.shares == 1 else np.add.reduce(shares, axis=0), gw)


def _run(program: Program, x: Array, w: Array, bias: Array | None, y: Array) -> None:
    if bias is None:
        program.run(address(x), address(w), 0, address(y))
        return
    bias = single(bias)
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
    stored: str = "",
) -> Program:
    """The program that computes a plan on arrays with these strides (in bytes), of halves if ``stored``."""
    problem = _problem(plan, x_strides, y_strides, activation, slope, stored)
    return _maker(plan, problem)(problem, named(plan.target))


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
        weight_problem = _weight_problem(plan, x_strides, y_strides)
        return _weight_maker(plan, weight_problem)(weight_problem, target, load=False).program
    problem = _problem(plan, x_strides, y_strides, activation, slope)
    return _maker(plan, problem)(problem, target, load=False)


def _problem(
    plan: Plan,
    x_strides: tuple[int, ...],
    y_strides: tuple[int, ...],
    activation: str,
    slope: float,
    stored: str = "",
) -> Problem:
    dims, itemsize = _conv(plan), 2 if stored else np.dtype(plan.dtype).itemsize
    backwards = plan.operation == "data_gradient"
    x_steps, y_steps = _steps(x_strides, itemsize), _steps(y_strides, itemsize)
    side = None if plan.family == "tiles-pointwise" else plan.side
    if _as_product(plan, y_steps if backwards else x_steps):
        dims, side = product_of(dims), None
        read, written = (_samples, _features) if backwards else (_features, _samples)
        x_steps, y_steps = read(x_steps), written(y_steps)
    return Problem(
        dims.adjoint() if backwards else dims,
        plan.dtype,
        x_steps,
        y_steps,
        backwards,
        side,
        activation,
        slope,
        stored,
    )


@lru_cache(maxsize=_PROGRAMS)
def _weight_program(
    plan: Plan, x_strides: tuple[int, ...], gy_strides: tuple[int, ...], stored: str
) -> weights.WeightProgram:
    problem = _weight_problem(plan, x_strides, gy_strides, stored)
    return _weight_maker(plan, problem)(problem, named(plan.target))


@lru_cache(maxsize=_PROGRAMS)
def _reads_rows(plan: Plan, x_strides: tuple[int, ...], gy_strides: tuple[int, ...], stored: str) -> bool:
    """Whether both operands are read where they lie."""
    problem = _weight_problem(plan, x_strides, gy_strides, stored)
    return plan.family != "tiles-winograd" and outer_weights.serves(problem, named(plan.target))


def _weight_problem(
    plan: Plan, x_strides: tuple[int, ...], gy_strides: tuple[int, ...], stored: str = ""
) -> weights.WeightProblem:
    dims, itemsize = _conv(plan), 2 if stored else np.dtype(plan.dtype).itemsize
    x_steps, gy_steps = _steps(x_strides, itemsize), _steps(gy_strides, itemsize)
    if _as_product(plan, x_steps):
        dims, x_steps, gy_steps = product_of(dims), _features(x_steps), _samples(gy_steps)
    return weights.WeightProblem(dims, plan.dtype, x_steps, gy_steps, stored)


def _maker(plan: Plan, problem: Problem) -> Callable[..., Program]:
    if plan.family == "tiles-winograd":
        return winograd.program
    if dot_forward.serves(problem):
        return dot_forward.program
    return direct.program if direct.serves(problem) else convolve.program


def _steps(strides: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    return tuple(stride // itemsize for stride in strides)


def _as_product(plan: Plan, x_steps: tuple[int, ...]) -> bool:
    return plan.family != "tiles-winograd" and is_product(_conv(plan), x_steps)


def is_product(dims: ConvDims, x_steps: tuple[int, ...]) -> bool:
    """Whether every sample is one window, whose numbers follow each other in memory as the weights do.

    Then the convolution is a product of matrices: samples by all that a window holds.
    """
    following = [1]
    for size in reversed(dims.spatial):
        following.append(following[-1] * size)
    return (
        dims.taps > 1
        and dims.groups == 1
        and all(n == 1 for n in dims.output + dims.input_dilation)
        and dims.kernel == dims.spatial
        and all(pair == (0, 0) for pair in dims.padding)
        and x_steps[1:] == tuple(reversed(following))
    )


def product_of(dims: ConvDims) -> ConvDims:
    """The same as a 1×1 convolution: samples are its pixels, a window's numbers its channels."""
    inputs = dims.in_channels * dims.taps
    return ConvDims.of((1, inputs, dims.batch), (dims.out_channels, inputs, 1))


def _features(steps: tuple[int, ...]) -> tuple[int, ...]:
    return (0, 1, steps[0])


def _samples(steps: tuple[int, ...]) -> tuple[int, ...]:
    return (0, steps[1], steps[0])


def _weight_maker(plan: Plan, problem: weights.WeightProblem) -> Callable[..., weights.WeightProgram]:
    if plan.family == "tiles-winograd":
        return winograd_weights.program
    if outer_weights.serves(problem, named(plan.target)):
        return outer_weights.program
    return dot_weights.program if dot_weights.serves(problem) else weights.program


def forget() -> None:
    """Forget all programs: the next are made by the numbers of ``tilewright.plan.tiles`` as they are then."""
    program_for.cache_clear()
    _weight_program.cache_clear()
    _reads_rows.cache_clear()


def _conv(plan: Plan) -> ConvDims:
    assert isinstance(plan.dims, ConvDims)
    return plan.dims
