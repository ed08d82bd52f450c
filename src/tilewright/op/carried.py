"""Convolution of dtypes that no family computes in, carried by one that does.

======================== ==================== =========================================================
float16, bfloat16        float32              sums in float32, the result rounded once
int8, uint8, int16,      float64              exact while every sum stays below 2⁵³, and then reduced to the
uint16                                        dtype's range, as sums of wrapped products would be
complex64, complex128    float32, float64     real and imaginary part as channels, twice as many
======================== ==================== =========================================================

Compiled families read and write float16 and bfloat16 themselves (:func:`compiled_plan`), with the same bits:
these are carried only where nothing can be compiled, a family of NumPy's is asked for, or a large kernel is
taken by transforms or passes along the axes.

A complex convolution is y = (xᵣ·wᵣ − xᵢ·wᵢ) + i (xᵣ·wᵢ + xᵢ·wᵣ): a real one with the weights
[[wᵣ, −wᵢ], [wᵢ, wᵣ]] between the parts. Nothing is conjugated here; gradients that need it conjugate first.

Operands are brought over piece by piece (:mod:`tilewright.op.pieces`), so that what this takes beside the
arrays is a constant; the weights, which every piece needs, are brought over whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tilewright.geometry import ConvDims
from tilewright.kernel import buffers
from tilewright.op import memory
from tilewright.op.arrays import layout_of
from tilewright.op.kinds import FLOAT32, FLOAT64, HALVES, is_half, real_of
from tilewright.op.pieces import by_input, by_output
from tilewright.plan import Plan, choose
from tilewright.plan.separable import pays

Array = npt.NDArray[Any]
#: An operation of :mod:`tilewright.op.conv` on arrays of the carrier's dtype.
Compute = Callable[..., Array]

# Whole numbers up to here, and their sums, are exact in float64.
_EXACT = 1 << 53


class Carrier(NamedTuple):
    """What carries a dtype: another one, and how many numbers of it make up one."""

    dtype: np.dtype[Any]
    parts: int

    @property
    def itemsize(self) -> int:
        """Bytes that an element takes when it is carried."""
        return self.dtype.itemsize * self.parts


def carrier_of(dtype: np.dtype[Any], length: int) -> Carrier | None:
    """What carries sums of ``length`` products (and one number more) of a dtype; None if it needs no carrier.

    >>> carrier_of(np.dtype("complex64"), 9)
    Carrier(dtype=dtype('float32'), parts=2)
    >>> carrier_of(np.dtype("int64"), 9)
    """
    kind = dtype.kind
    if kind == "f" and dtype.itemsize > 2:
        return None
    if kind == "c":
        return Carrier(real_of(dtype), 2)
    if dtype.name in HALVES:
        return Carrier(FLOAT32, 1)
    if kind in "iu" and dtype.itemsize <= 2:
        largest = max(abs(int(np.iinfo(dtype).min)), int(np.iinfo(dtype).max))
        if length * largest * largest + largest <= _EXACT:
            return Carrier(FLOAT64, 1)
    return None


def is_exact(dtype: np.dtype[Any] | str) -> bool:
    """Whether sums of this dtype's products have to be exact: those of integers do.

    >>> is_exact("int16"), is_exact("float16")
    (True, False)
    """
    # By name: NumPy knows that of bfloat16 only once its package has been imported.
    return str(dtype).startswith(("int", "uint"))


def compiled_plan(
    operation: str, dims: ConvDims, x: Array, family: str | None, *, exact: bool = False
) -> Plan | None:
    """The plan of a compiled family that reads and writes halves itself, for an operation that reads x.

    None for other dtypes, and where no compiled family serves or passes along the axes may: then halves are
    carried.
    """
    if not is_half(x.dtype):
        return None
    layout = "channels_first" if operation == "weight_gradient" else layout_of(x)
    if operation == "forward" and family is None and not exact and pays(dims, FLOAT32.name):
        return None
    plan = choose(operation, dims, FLOAT32.name, family, layout, exact=exact)
    return plan if plan.target else None


def stand_in(dims: ConvDims, dtype: str, operation: str) -> tuple[ConvDims, str]:
    """The geometry and the dtype that a convolution is really computed in, a piece that is not cut."""
    if dtype in HALVES:
        # By name: NumPy knows that of bfloat16 only once its package has been imported.
        return dims, FLOAT32.name
    try:
        found = np.dtype(dtype)
    except TypeError:
        return dims, dtype
    carrier = carrier_of(found, _length(dims, operation))
    if carrier is None:
        return dims, dtype
    return carried_dims(dims, carrier), carrier.dtype.name


def _length(dims: ConvDims, operation: str) -> int:
    """How many products make up one sum."""
    if operation == "forward":
        return dims.reduction
    if operation == "data_gradient":
        return dims.out_channels // dims.groups * dims.taps
    return weight_sum_length(dims)


def weight_sum_length(dims: ConvDims) -> int:
    """How many products make up one weight's gradient."""
    outputs = dims.batch
    for n in dims.output:
        outputs *= n
    return outputs


def carried_dims(dims: ConvDims, carrier: Carrier) -> ConvDims:
    """The geometry of what carries it: complex channels are two each."""
    if carrier.parts == 1:
        return dims
    return replace(dims, in_channels=2 * dims.in_channels, out_channels=2 * dims.out_channels)


def forward(
    compute: Compute, carrier: Carrier, dims: ConvDims, x: Array, w: Array, bias: Array | None, y: Array
) -> None:
    """Writes x ⋆ w + bias into ``y``; ``compute`` is the same for the carrier's dtype."""
    weights = _weights(w, carrier, dims.groups)
    offsets = None if bias is None else _channels(bias, carrier, dims.groups)
    for piece in by_output(dims, carrier.itemsize):
        block = _carried(x[piece.of_input], carrier, dims.groups)
        found = compute(carried_dims(piece.dims, carrier), block, weights, offsets)
        _bring_back(found, y[piece.of_output], carrier, dims.groups)


def data_gradient(
    compute: Compute, carrier: Carrier, dims: ConvDims, gy: Array, w: Array, bias: Array | None, gx: Array
) -> None:
    """Writes the gradient of x, not conjugated, into ``gx``; with ``bias`` a transposed convolution."""
    # A transposed real matrix would conjugate; the other sign of the imaginary part takes that back.
    weights = _weights(w, carrier, dims.groups, conjugate=True)
    offsets = None if bias is None else _channels(bias, carrier, dims.groups)
    for piece in by_input(dims, carrier.itemsize):
        block = _carried(gy[piece.of_output], carrier, dims.groups)
        found = compute(carried_dims(piece.dims, carrier), block, weights, offsets)
        _bring_back(found, gx[piece.of_input], carrier, dims.groups)


def weight_gradient(
    compute: Compute, carrier: Carrier, dims: ConvDims, x: Array, gy: Array, gw: Array
) -> None:
    """Writes the gradient of w, not conjugated, into ``gw``: the pieces' shares, added in order."""
    total: Array | None = None
    for piece in by_output(dims, carrier.itemsize):
        seen = _carried(x[piece.of_input], carrier, dims.groups)
        block = _carried(gy[piece.of_output], carrier, dims.groups)
        share = compute(carried_dims(piece.dims, carrier), seen, block)
        if total is None:
            total = share
        else:
            total += share
    assert total is not None
    if carrier.parts == 1:
        _round(total, gw)
        return
    groups, outputs, inputs = dims.groups, dims.out_channels // dims.groups, gw.shape[1]
    parts = total.reshape(groups, 2, outputs, 2, inputs, *dims.kernel)
    by_group = gw.reshape(groups, outputs, inputs, *dims.kernel)
    by_group.real = parts[:, 0, :, 0] - parts[:, 1, :, 1]
    by_group.imag = parts[:, 0, :, 1] + parts[:, 1, :, 0]


def _carried(x: Array, carrier: Carrier, groups: int) -> Array:
    """A block of (batch, channels, *spatial) in the form that it is computed in."""
    if carrier.parts == 1:
        found = memory.empty_like(x, dtype=carrier.dtype)
        np.copyto(found, x, casting="unsafe")
        return found
    batch, channels, *spatial = x.shape
    by_group = x.reshape(batch, groups, channels // groups, *spatial)
    parts = buffers.empty((batch, groups, 2, channels // groups, *spatial), carrier.dtype)
    parts[:, :, 0], parts[:, :, 1] = by_group.real, by_group.imag
    return parts.reshape(batch, 2 * channels, *spatial)


def _channels(bias: Array, carrier: Carrier, groups: int) -> Array:
    """One number per channel, carried as the channels are."""
    return np.asarray(_carried(bias[None], carrier, groups)[0])


def _weights(w: Array, carrier: Carrier, groups: int, *, conjugate: bool = False) -> Array:
    if carrier.parts == 1:
        return np.asarray(w.astype(carrier.dtype))
    outputs, inputs, *kernel = w.shape
    by_group = w.reshape(groups, outputs // groups, inputs, *kernel)
    real, imaginary = by_group.real, -by_group.imag if conjugate else by_group.imag
    parts = np.empty((groups, 2, outputs // groups, 2, inputs, *kernel), carrier.dtype)
    parts[:, 0, :, 0], parts[:, 0, :, 1] = real, -imaginary
    parts[:, 1, :, 0], parts[:, 1, :, 1] = imaginary, real
    return np.asarray(parts.reshape(2 * outputs, 2 * inputs, *kernel))


def _bring_back(found: Array, y: Array, carrier: Carrier, groups: int) -> None:
    """Write a block that was computed, (batch, channels, *spatial), to its place in the result."""
    if carrier.parts == 1:
        _round(found, y)
        return
    batch, channels, *spatial = y.shape
    parts = found.reshape(batch, groups, 2, channels // groups, *spatial)
    # Splitting an axis is a view of any array.
    by_group = y.reshape(batch, groups, channels // groups, *spatial)
    by_group.real, by_group.imag = parts[:, :, 0], parts[:, :, 1]


def _round(found: Array, y: Array) -> None:
    """Write as halves, rounded to the nearest, or as integers modulo the dtype's range."""
    if y.dtype.kind in "iu":
        found = found.astype(np.int64)
    with np.errstate(all="ignore"):
        np.copyto(y, found, casting="unsafe")
