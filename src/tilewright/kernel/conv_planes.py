"""The compiled family for few channels: a program for each geometry and layout, run on arrays."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import ConvDims
from tilewright.geometry.padding import ZEROS
from tilewright.kernel import buffers, conv_windows
from tilewright.kernel.addresses import address
from tilewright.kernel.halves import rounded_to, single
from tilewright.kernel.planes import weights_program
from tilewright.kernel.planes.continuing import continued
from tilewright.kernel.planes.problem import Problem, WeightProblem, WeightProgram, without_gaps
from tilewright.kernel.planes.program import packed_places, program
from tilewright.kernel.stored import stored_of
from tilewright.kernel.tiles.convolve import Program
from tilewright.plan import Plan, choose
from tilewright.plan.target import named

Array = npt.NDArray[Any]

# As many as of the families in tiles.
_PROGRAMS = 1024
# Lines up to so long fill vectors so badly that turning planes over pays; up to twice as long, where phases
# of samples or outputs are told apart. Measured on one core with 3×3 taps, beside lines as they lie: at 28×28
# pixels it is as fast (with 7×7 taps 1.3 times), with stride 2 1.4 times, and 1.3 times at 56×56.
TURNED = 32
# The sums of a weight gradient gain more, for they share no reads: 3 times at 7×7, 1.4 times at 28×28.
TURNED_WEIGHTS = 32
# So many places of such a plane, padded or computed, stay in cache as vectors.
_TURNED_PLACES = 4096


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
    x = readable(x)
    found = program_for(
        plan, x.strides, y.strides, activation, slope, _aligned(y), stored_of(x.dtype), _finite(plan, w)
    )
    _run(found, x, w, bias, y)


def data_gradient(plan: Plan, gy: Array, w: Array, gx: Array, bias: Array | None = None) -> None:
    """Writes the gradient of the input into ``gx``; with ``bias``, a transposed convolution."""
    gy = readable(gy)
    # Here the definition has no product with padding.
    found = program_for(plan, gy.strides, gx.strides, aligned=_aligned(gx), stored=stored_of(gy.dtype))
    _run(found, gy, w, bias, gx)


def weight_gradient(plan: Plan, x: Array, gy: Array, gw: Array, part: str = "") -> None:
    """Writes the gradient of the weights into ``gw``: the shares of the sum, added in order.

    With ``part``, NaN is a sample that is missing: "values" takes it as 0; of "mask", samples that are there
    are 1, and those that are missing 0.

    A gradient that isn't finite is computed anew by the definition: here samples are also multiplied by the
    zeros between lines, and that makes NaN of an infinite one.
    """
    x, gy = readable(x), readable(gy)
    found = _weight_program(plan, x.strides, gy.strides, stored_of(x.dtype), part)
    shape = (found.shares, *gw.shape)
    if found.program.about["side"] == "by_channels":
        shape = (found.shares, gw.size // gw.shape[0], found.padded)
    shares = buffers.empty(shape, np.dtype(plan.dtype))
    found.program.run(address(x), address(gy), address(shares), 0)
    total = shares[0] if found.shares == 1 else np.add.reduce(shares, axis=0)
    if found.program.about["side"] == "by_channels":
        total = total[:, : gw.shape[0]].T.reshape(gw.shape)
    elif not np.isfinite(total).all():
        total = _by_definition(plan, x, gy, part)
    rounded_to(total, gw)


def _by_definition(plan: Plan, x: Array, gy: Array, part: str) -> Array:
    """The gradient of the weights in the dtype of the plan, whatever it is."""
    dims = _conv(plan)
    total = np.zeros(dims.weight_shape, plan.dtype)
    if part:
        x = np.where(np.isnan(x), 0, x if part == "values" else 1).astype(x.dtype, copy=False)
    if dims.padding_mode != ZEROS:
        x, dims = padded(dims, x)
    if x.dtype == total.dtype:
        exact = choose("weight_gradient", dims, plan.dtype, "numpy-windows")
        conv_windows.weight_gradient(exact, x, gy, total)
        return total
    one = choose("weight_gradient", dims.with_batch(1), plan.dtype, "numpy-windows")
    share = np.empty_like(total)
    for n in range(len(x)):
        conv_windows.weight_gradient(one, single(x[n : n + 1]), single(gy[n : n + 1]), share)
        total += share
    return total


def padded(dims: ConvDims, x: Array) -> tuple[Array, ConvDims]:
    """The input with padding that continues its samples in place, and the geometry without it."""
    for axis, (size, (before, after)) in enumerate(zip(dims.spatial, dims.padding, strict=True), start=2):
        x = x.take(continued(np.arange(-before, size + after), size, dims.padding_mode), axis)
    none = ((0, 0),) * dims.rank
    return x, replace(dims, spatial=x.shape[2:], padding=none, padding_mode=ZEROS)


def _run(found: Program, x: Array, w: Array, bias: Array | None, y: Array) -> None:
    w = single(w)
    if bias is not None:
        bias = single(bias)
    found.run(address(x), address(w), 0 if bias is None else address(bias), address(y))


def _finite(plan: Plan, w: Array) -> bool:
    """Whether it is a depthwise convolution with finite weights."""
    dims = _conv(plan)
    if not dims.groups == dims.in_channels == dims.out_channels:
        return False
    return is_finite(w)


def is_finite(w: Array) -> bool:
    """Whether all numbers are finite."""
    with np.errstate(all="ignore"):
        # A sum takes less time, and says so of nearly all arrays.
        return math.isfinite(np.add.reduce(w, axis=None)) or bool(np.isfinite(w).all())


def _aligned(array: Array) -> bool:
    """Whether an array begins at a multiple of the bytes of any vector."""
    return address(array) % buffers.ALIGNMENT == 0


def readable(array: Array) -> Array:
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
    aligned: bool = True,
    stored: str = "",
    finite: bool = True,
) -> Program:
    """The program that computes a plan on arrays with these strides (in bytes).

    ``aligned``: what is written begins where large arrays of :mod:`tilewright.kernel.buffers` do. ``stored``:
    what kind of halves the arrays are, if they are. ``finite``: whether the weights are.
    """
    problem = _problem(plan, x_strides, y_strides, activation, slope, stored)
    return program(replace(problem, aligned=aligned, finite=finite), named(plan.target))


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
        gradient = _weight_problem(plan, x_strides, y_strides)
        return weights_program.program(gradient, target, load=False).program
    problem = _problem(plan, x_strides, y_strides, activation, slope)
    return program(replace(problem, finite=True), target, load=False)


@lru_cache(maxsize=_PROGRAMS)
def _weight_program(
    plan: Plan, x_strides: tuple[int, ...], gy_strides: tuple[int, ...], stored: str, part: str = ""
) -> WeightProgram:
    problem = _weight_problem(plan, x_strides, gy_strides, stored)
    if part:
        problem = replace(problem, part=part, turned=False)
    return weights_program.program(problem, named(plan.target))


def forget() -> None:
    """Forget all programs."""
    program_for.cache_clear()
    _weight_program.cache_clear()


def _weight_problem(
    plan: Plan, x_strides: tuple[int, ...], gy_strides: tuple[int, ...], stored: str = ""
) -> WeightProblem:
    dims, itemsize = _conv(plan), np.dtype(plan.dtype).itemsize
    lying = 2 if stored else itemsize
    x_steps, g_steps = _steps(x_strides, lying), _steps(gy_strides, lying)
    width = named(plan.target).vector_bytes // itemsize
    turned = _turned(dims, x_steps, g_steps, width, TURNED_WEIGHTS)
    by_channels = _by_channels(dims, x_steps, g_steps)
    return WeightProblem(dims, plan.dtype, x_steps, g_steps, by_channels, turned, stored)


def _problem(
    plan: Plan,
    x_strides: tuple[int, ...],
    y_strides: tuple[int, ...],
    activation: str,
    slope: float,
    stored: str = "",
) -> Problem:
    dims, itemsize = _conv(plan), np.dtype(plan.dtype).itemsize
    lying = 2 if stored else itemsize
    x_steps, y_steps = _steps(x_strides, lying), _steps(y_strides, lying)
    backwards = plan.operation == "data_gradient"
    form = dims.adjoint() if backwards else dims
    width = named(plan.target).vector_bytes // itemsize
    longest = TURNED if _even(form) else 2 * TURNED
    return Problem(
        form,
        plan.dtype,
        x_steps,
        y_steps,
        backwards,
        _by_channels(dims, x_steps, y_steps),
        activation,
        slope,
        turned=_turned(form, x_steps, y_steps, width, longest),
        stored=stored,
    )


def _turned(
    form: ConvDims, x_steps: tuple[int, ...], y_steps: tuple[int, ...], width: int, longest: int
) -> bool:
    """Whether small planes, one for each channel, are turned so that vectors run along the channels."""
    return (
        form.groups == form.in_channels == form.out_channels >= width
        and form.padding_mode == ZEROS
        and max(form.spatial[-1], form.output[-1]) <= longest
        and max(packed_places(form), math.prod(form.output)) <= _TURNED_PLACES
        and list(x_steps[2:]) == without_gaps(form.spatial)
        and list(y_steps[2:]) == without_gaps(form.output)
    )


def _even(form: ConvDims) -> bool:
    """Whether samples and outputs are all of one phase."""
    return all(step == 1 for step in form.stride + form.input_dilation)


def _by_channels(dims: ConvDims, x_steps: tuple[int, ...], y_steps: tuple[int, ...]) -> bool:
    """Whether vectors run along the channels: each on its own, and innermost in both arrays."""
    depthwise = dims.groups == dims.in_channels == dims.out_channels
    return depthwise and x_steps[1] == y_steps[1] == 1 and dims.groups > 1


def _steps(strides: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    return tuple(stride // itemsize for stride in strides)


def _conv(plan: Plan) -> ConvDims:
    assert isinstance(plan.dims, ConvDims)
    return plan.dims
