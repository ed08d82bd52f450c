"""The dense layer: y = x · Wᵀ + b, with bits that depend on the sample alone.

It is a 1×1 convolution whose pixels are the rows of x, channels innermost; the compiled families compute it
and both gradients as such. Halves are added up in float32 and rounded once, complex numbers and small
integers are carried by floats (see :mod:`tilewright.op.carried`). What follows is how NumPy serves where
nothing is compiled (wide integers, or no compiler).

A BLAS chooses its kernels by the sizes of a product, the number of rows and the number of threads among them,
and different kernels round differently: the same sample would give one result alone and another in a batch of
64. So every product here has one of few fixed sizes: rows in blocks of 8 (the last one filled up with zeros),
outputs in blocks of 128, and inputs in blocks of 256 whose partial sums are added in order.

- A block of 8 rows is one panel, or whole panels, of every kernel OpenBLAS has for x86; all rows of a panel
  go through the same instructions. With 16 rows or more, results were seen to depend on the place of a row.
- Up to 256 inputs are summed in one pass; longer sums would be cut at a place that depends on the threads.
- 8·128·256 multiplications are the most that OpenBLAS does on one thread (its interface compares M·N·K with
  4·65,536), so how a product is split between threads never matters.

Measured on one thread, this runs at the speed of the whole product with OpenBLAS's AVX-512 kernels, and at
half of it with those for AVX2. A single row costs what 8 rows cost.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ShapeError, describe
from tilewright.geometry import ConvDims
from tilewright.op.arrays import MULTIPLIED, check_array, check_same_dtype
from tilewright.op.carried import carrier_of
from tilewright.op.conv import conv_data_gradient, conv_forward, conv_weight_gradient
from tilewright.op.kinds import sum_dtype
from tilewright.plan import compiled

Array = npt.NDArray[Any]

# See above for all three.
_ROWS = 8
_OUTPUTS = 128
_INPUTS = 256
# Rows worked on at a time: their partial products (at most 4096 · 128 numbers) stay in a few MiB.
_ROWS_AT_A_TIME = 4096


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """The dense layer: x · weightᵀ + bias over the last axis of x.

    Args:
        x: (*, in_features), any number of leading axes.
        weight: (out_features, in_features), or (in_features,) for a single output without an axis of its own.
        bias: (out_features,), or of rank 0 beside a weight of rank 1.

    Returns:
        (*, out_features), the dtype of the operands; (*) for a weight of rank 1.

    Raises:
        ShapeError: the shapes don't fit.
        DtypeError: an operand is no array of numbers, or dtypes differ.
    """
    _check(x, weight, bias)
    rows = x.reshape(-1, x.shape[-1]) if x.size else np.empty((_count(x), x.shape[-1]), x.dtype)
    matrix = weight if weight.ndim == 2 else weight[None]
    y = row_products(rows, matrix, None if bias is None else bias.reshape(-1))
    return y.reshape((*x.shape[:-1], *weight.shape[:-1]))


def _count(x: Array) -> int:
    return int(np.prod(x.shape[:-1], dtype=np.int64))


def row_products(rows: Array, matrix: Array, bias: Array | None = None) -> Array:
    """The product rows · matrixᵀ + bias, each row the same bits whatever other rows come along.

    Args:
        rows: (count, inputs), any layout.
        matrix: (outputs, inputs), the same dtype, any layout.
        bias: (outputs,), the same dtype, or None.
    """
    if _compiled(rows, matrix, rows.shape[1]):
        return _rows_of(conv_forward(_convolution(rows, matrix), _pixels(rows), matrix[:, :, None], bias))
    y = np.empty((rows.shape[0], matrix.shape[0]), rows.dtype)
    wide = sum_dtype(rows.dtype)
    matrix = matrix.astype(wide, copy=False)
    for start in range(0, rows.shape[0], _ROWS_AT_A_TIME):
        stop = min(start + _ROWS_AT_A_TIME, rows.shape[0])
        part = _by_blas(rows[start:stop].astype(wide, copy=False), matrix)
        if bias is not None:
            part += bias
        y[start:stop] = part
    return y


def _compiled(one: Array, other: Array, length: int) -> bool:
    """Whether a compiled family computes sums of ``length`` products of these."""
    if not (one.size and other.size):
        return False
    carrier = carrier_of(one.dtype, length)
    return compiled.serves(one.dtype.name if carrier is None else carrier.dtype.name)


def _product(one: Array, other: Array) -> Array:
    """A matrix product by NumPy; halves are added up in float32."""
    dtype = one.dtype
    wide = sum_dtype(dtype)
    found = np.matmul(one.astype(wide, copy=False), other.astype(wide, copy=False))
    return np.asarray(found.astype(dtype, copy=False))


def _convolution(rows: Array, matrix: Array) -> ConvDims:
    """The 1×1 convolution that a product rows · matrixᵀ is."""
    (count, inputs), outputs = rows.shape, matrix.shape[0]
    return ConvDims.of((1, inputs, count), (outputs, inputs, 1), op="linear")


def _pixels(rows: Array) -> Array:
    """Rows as the pixels of one sample, channels innermost: a view where rows lie so.

    Others are copied: which kernel computes, and so how sums are rounded, depends on what lies innermost.
    """
    if rows.strides[1] != rows.itemsize:
        rows = np.ascontiguousarray(rows)
    return rows.T[None]


def _rows_of(pixels: Array) -> Array:
    return np.asarray(pixels[0].T)


def _by_blas(rows: Array, matrix: Array) -> Array:
    count = rows.shape[0]
    whole = count // _ROWS * _ROWS
    y = np.empty((count, matrix.shape[0]), rows.dtype)
    if whole:
        y[:whole] = _whole_blocks(np.ascontiguousarray(rows[:whole]), matrix)
    if whole < count:
        filled = np.zeros((_ROWS, rows.shape[1]), rows.dtype)
        filled[: count - whole] = rows[whole:]
        y[whole:] = _whole_blocks(filled, matrix)[: count - whole]
    return y


def _whole_blocks(rows: Array, matrix: Array) -> Array:
    """The product rows · matrixᵀ for a multiple of ``_ROWS`` rows in C order."""
    inputs, outputs = rows.shape[1], matrix.shape[0]
    blocks = rows.reshape(rows.shape[0] // _ROWS, _ROWS, inputs)
    y = np.empty((*blocks.shape[:2], outputs), rows.dtype)
    if inputs == 0:
        y[...] = 0
    for first in range(0, outputs, _OUTPUTS):
        last = min(first + _OUTPUTS, outputs)
        block = matrix[first:last]
        if last - first == 1:
            # NumPy hands a product with one column to another routine, where the place of a row matters.
            block = np.concatenate([block, block])
        part = y[:, :, first:last]
        for start in range(0, inputs, _INPUTS):
            product = np.matmul(blocks[:, :, start : start + _INPUTS], block[:, start : start + _INPUTS].T)
            product = product[:, :, : last - first]
            if start == 0:
                part[...] = product
            else:
                part += product
    return y.reshape(rows.shape[0], outputs)


def linear_input_gradient(g: Array, weight: Array) -> Array:
    """The gradient of :func:`linear` in x: g · weight, shape (*, in_features); nothing is conjugated."""
    if weight.ndim == 1:
        return np.asarray(g[..., None] * weight)
    rows = g.reshape(_count(g), weight.shape[0])
    if _compiled(rows, weight, weight.shape[0]):
        dims = ConvDims.of((1, weight.shape[1], rows.shape[0]), (*weight.shape, 1), op="linear")
        found = _rows_of(conv_data_gradient(dims, _pixels(rows), weight[:, :, None]))
    else:
        found = _product(rows, weight)
    return np.asarray(found.reshape(*g.shape[:-1], weight.shape[1]))


def linear_weight_gradient(g: Array, x: Array, rank: int = 2) -> Array:
    """The gradient of :func:`linear` in a weight of ``rank``: Σ g ⊗ x over all leading axes, as they are."""
    rows = x.reshape(_count(x), x.shape[-1])
    if rank == 1:
        return np.asarray(_product(g.reshape(1, rows.shape[0]), rows)[0])
    gradients = g.reshape(rows.shape[0], g.shape[-1])
    if _compiled(rows, gradients, len(rows)):
        dims = ConvDims.of((1, x.shape[-1], rows.shape[0]), (g.shape[-1], x.shape[-1], 1), op="linear")
        return conv_weight_gradient(dims, _pixels(rows), _pixels(gradients))[:, :, 0]
    return _product(gradients.T, rows)


def _check(x: Array, weight: Array, bias: Array | None) -> None:
    check_array(x, "input", "linear", MULTIPLIED)
    check_array(weight, "weight", "linear", MULTIPLIED)
    if bias is not None:
        check_array(bias, "bias", "linear", MULTIPLIED)
    check_same_dtype("linear", input=x, weight=weight, bias=bias)
    if weight.ndim not in (1, 2):
        raise ShapeError(
            "linear needs weight of shape (out_features, in_features) or (in_features,).",
            describe(weight=weight),
        )
    if x.ndim == 0 or x.shape[-1] != weight.shape[-1]:
        advice = ""
        if x.ndim > 1 and int(np.prod(x.shape[1:], dtype=np.int64)) == weight.shape[-1]:
            advice = "Flatten it first: flatten(input, 1)."
        raise ShapeError(
            f"linear needs input whose last axis has the {weight.shape[-1]} in_features of the weight.",
            describe(input=x, weight=weight),
            advice,
        )
    if bias is not None and bias.shape != weight.shape[:-1]:
        raise ShapeError(
            f"linear needs bias of shape {weight.shape[:-1]}, one number per output.",
            describe(bias=bias, weight=weight),
        )
