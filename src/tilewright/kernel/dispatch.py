"""The call: from a plan to the family's code. Only here a family's name becomes a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright import reference
from tilewright.geometry import ConvDims, PoolDims
from tilewright.kernel import (
    conv_fft,
    conv_planes,
    conv_pointwise,
    conv_taps,
    conv_tiles,
    conv_windows,
    pool_numpy,
    pool_planes,
)
from tilewright.kernel.tiles.convolve import Program
from tilewright.plan import Plan

Array = npt.NDArray[Any]


def _reference_forward(plan: Plan, x: Array, w: Array, bias: Array | None, y: Array) -> None:
    assert isinstance(plan.dims, ConvDims)
    y[...] = reference.conv.forward(plan.dims, x, w, bias)


def _reference_data_gradient(plan: Plan, gy: Array, w: Array, gx: Array) -> None:
    assert isinstance(plan.dims, ConvDims)
    gx[...] = reference.conv.data_gradient(plan.dims, gy, w)


def _reference_weight_gradient(plan: Plan, x: Array, gy: Array, gw: Array) -> None:
    assert isinstance(plan.dims, ConvDims)
    gw[...] = reference.conv.weight_gradient(plan.dims, x, gy)


def _reference_max_pool(plan: Plan, x: Array, y: Array, indices: Array | None) -> None:
    assert isinstance(plan.dims, PoolDims)
    y[...], found = reference.pool.max_pool(plan.dims, x)
    if indices is not None:
        indices[...] = found


def _reference_max_pool_gradient(plan: Plan, gy: Array, indices: Array, gx: Array) -> None:
    assert isinstance(plan.dims, PoolDims)
    gx[...] = reference.pool.max_pool_gradient(plan.dims, gy, indices)


def _reference_avg_pool(plan: Plan, x: Array, y: Array, divisors: Array) -> None:
    assert isinstance(plan.dims, PoolDims)
    # A divisor of 1 leaves the window sums, which the given divisors then share out.
    y[...] = reference.pool.avg_pool(plan.dims, x, divisor=1) / divisors


def _reference_avg_pool_gradient(plan: Plan, gy: Array, gx: Array, divisors: Array) -> None:
    assert isinstance(plan.dims, PoolDims)
    gx[...] = reference.pool.avg_pool_gradient(plan.dims, gy / divisors, divisor=1)


_CODE: dict[tuple[str, str], Callable[..., None]] = {
    (family, operation): getattr(module, operation)
    for family, module, operations in (
        ("fft", conv_fft, ("forward", "data_gradient")),
        ("planes", conv_planes, ("forward", "data_gradient", "weight_gradient")),
        ("tiles-pointwise", conv_tiles, ("forward", "data_gradient", "weight_gradient")),
        ("tiles-winograd", conv_tiles, ("forward", "data_gradient", "weight_gradient")),
        ("tiles-pixels", conv_tiles, ("forward", "data_gradient")),
        ("tiles-channels", conv_tiles, ("forward", "data_gradient")),
        ("tiles-weights", conv_tiles, ("weight_gradient",)),
        ("numpy-pointwise", conv_pointwise, ("forward", "data_gradient", "weight_gradient")),
        ("numpy-taps", conv_taps, ("forward", "data_gradient", "weight_gradient")),
        ("numpy-windows", conv_windows, ("forward", "data_gradient", "weight_gradient")),
        ("planes-pool", pool_planes, ("max_pool", "max_pool_gradient", "avg_pool", "avg_pool_gradient")),
        ("numpy-pool", pool_numpy, ("max_pool", "max_pool_gradient", "avg_pool", "avg_pool_gradient")),
    )
    for operation in operations
} | {
    ("reference", "forward"): _reference_forward,
    ("reference", "data_gradient"): _reference_data_gradient,
    ("reference", "weight_gradient"): _reference_weight_gradient,
    ("reference", "max_pool"): _reference_max_pool,
    ("reference", "max_pool_gradient"): _reference_max_pool_gradient,
    ("reference", "avg_pool"): _reference_avg_pool,
    ("reference", "avg_pool_gradient"): _reference_avg_pool_gradient,
}


def run(plan: Plan, *arguments: Array | str | float | None) -> None:
    """Run a plan on arrays that fit it; the last ones are written to. Nothing is checked here.

    The forward of a compiled family also takes an activation's name and its slope behind the arrays.
    """
    with np.errstate(all="ignore"):  # NaN and infinity are results like any other
        _CODE[plan.family, plan.operation](plan, *arguments)


def program_for(
    plan: Plan,
    x_strides: tuple[int, ...],
    y_strides: tuple[int, ...],
    activation: str = "none",
    slope: float = 0.0,
) -> Program:
    """The program of a compiled plan, but no weight gradient, for arrays with these strides (in bytes)."""
    make = conv_planes.program_for if plan.family == "planes" else conv_tiles.program_for
    return make(plan, x_strides, y_strides, activation, slope)


def outline(
    plan: Plan,
    x_strides: tuple[int, ...],
    y_strides: tuple[int, ...],
    activation: str = "none",
    slope: float = 0.0,
) -> Program:
    """The program of a compiled plan for any target, only to be read: nothing is compiled.

    The strides (in bytes) are those of the array that is read and of the one that is written; of a weight
    gradient, of the two that are read.
    """
    make = conv_planes.outline if plan.family == "planes" else conv_tiles.outline
    return make(plan, x_strides, y_strides, activation, slope)
