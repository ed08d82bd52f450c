"""The definition of convolution and its gradients, as loops over taps.

Written to be read and believed, not to be fast: every other implementation is judged by this one. Each
function takes the forward geometry (:class:`~tilewright.geometry.conv.ConvDims`) and arrays in channels-first
layout, batch included, and returns a new array of the input's dtype.

The input is laid out once with its padding, its cropping and the zeros of its input dilation in place, as in
the formula; then tap t of output o reads position o·stride + t·dilation.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry.boxes import at
from tilewright.geometry.conv import ConvDims

Array = npt.NDArray[Any]


def forward(dims: ConvDims, x: Array, w: Array, bias: Array | None = None) -> Array:
    """y[n, k, o] = bias[k] + Σ_c Σ_t x̃[n, c, o·stride + t·dilation] · w[k, c, t]."""
    laid_out = lay_out(dims, x)
    y = np.zeros(dims.output_shape, dtype=x.dtype)
    for tap, window in _windows(dims):
        for g in range(dims.groups):
            inputs, outputs = _channels(dims, g)
            seen = laid_out[at(slice(None), inputs, *window)]
            y[:, outputs] += np.einsum("nc...,kc->nk...", seen, w[at(outputs, slice(None), *tap)])
    if bias is not None:
        y += bias.reshape((1, -1) + (1,) * dims.rank)
    return y


def data_gradient(dims: ConvDims, gy: Array, w: Array) -> Array:
    """gx[n, c, i] = Σ gy[n, k, o] · w[k, c, t] over all (k, o, t) whose window position is sample i."""
    laid_out = np.zeros(_laid_out_shape(dims), dtype=gy.dtype)
    for tap, window in _windows(dims):
        for g in range(dims.groups):
            inputs, outputs = _channels(dims, g)
            share = np.einsum("nk...,kc->nc...", gy[:, outputs], w[at(outputs, slice(None), *tap)])
            laid_out[at(slice(None), inputs, *window)] += share
    return gather_back(dims, laid_out)


def weight_gradient(dims: ConvDims, x: Array, gy: Array) -> Array:
    """gw[k, c, t] = Σ_n Σ_o gy[n, k, o] · x̃[n, c, o·stride + t·dilation]."""
    laid_out = lay_out(dims, x)
    gw = np.zeros(dims.weight_shape, dtype=x.dtype)
    for tap, window in _windows(dims):
        for g in range(dims.groups):
            inputs, outputs = _channels(dims, g)
            seen = laid_out[at(slice(None), inputs, *window)]
            all_but_channels = (0, *range(2, 2 + dims.rank))
            gw[at(outputs, slice(None), *tap)] = np.tensordot(
                gy[:, outputs], seen, axes=(all_but_channels, all_but_channels)
            )
    return gw


def bias_gradient(gy: Array) -> Array:
    """gbias[k] = Σ_n Σ_o gy[n, k, o]."""
    return np.asarray(gy.sum(axis=(0, *range(2, gy.ndim)), dtype=gy.dtype))


def lay_out(dims: ConvDims, x: Array) -> Array:
    """x̃ of the formula: x with input dilation's zeros, padding and cropping in place."""
    laid_out = np.zeros(_laid_out_shape(dims), dtype=x.dtype)
    inner, kept = _sample_places(dims)
    laid_out[at(slice(None), slice(None), *inner)] = x[at(slice(None), slice(None), *kept)]
    return laid_out


def gather_back(dims: ConvDims, laid_out: Array) -> Array:
    """The adjoint of :func:`lay_out`: picks each sample of x back out; cropped samples give zero."""
    x = np.zeros(dims.input_shape, dtype=laid_out.dtype)
    inner, kept = _sample_places(dims)
    x[at(slice(None), slice(None), *kept)] = laid_out[at(slice(None), slice(None), *inner)]
    return x


def _laid_out_shape(dims: ConvDims) -> tuple[int, ...]:
    padded = (n + lo + hi for n, (lo, hi) in zip(dims.dilated_spatial, dims.padding, strict=True))
    return (dims.batch, dims.in_channels, *padded)


def _sample_places(dims: ConvDims) -> tuple[list[slice], list[slice]]:
    """Per axis: where samples stand in x̃, and which samples those are."""
    inner, kept = [], []
    for n, e, (lo, _), size in zip(
        dims.spatial, dims.input_dilation, dims.padding, _laid_out_shape(dims)[2:], strict=True
    ):
        indices = [i for i in range(n) if 0 <= i * e + lo < size]
        if not indices:
            inner.append(slice(0, 0))
            kept.append(slice(0, 0))
            continue
        first, last = indices[0], indices[-1]
        inner.append(slice(first * e + lo, last * e + lo + 1, e))
        kept.append(slice(first, last + 1))
    return inner, kept


def _windows(dims: ConvDims) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Each tap with the positions of x̃ that it reads over all outputs."""
    for tap in product(*(range(k) for k in dims.kernel)):
        yield (
            tap,
            tuple(
                slice(t * d, t * d + s * (o - 1) + 1, s) if o else slice(0, 0)
                for t, d, s, o in zip(tap, dims.dilation, dims.stride, dims.output, strict=True)
            ),
        )


def _channels(dims: ConvDims, group: int) -> tuple[slice, slice]:
    """The input and output channels of a group."""
    ins, outs = dims.in_channels // dims.groups, dims.out_channels // dims.groups
    return slice(group * ins, (group + 1) * ins), slice(group * outs, (group + 1) * outs)
