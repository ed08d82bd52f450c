"""The portable family: the windows of a tile are gathered beside each other, then one matrix product.

Algorithm, for one sample and group:  y[k, o] = Σ_(c,t) w[k, (c, t)] · windows[(c, t), o]
Schedule: tiles of output positions whose windows fit the scratch; taps copied by strided slices, so that
padding, cropping, stride and both dilations cost nothing but the slice. The data gradient runs the same path
backwards (product, then each tap added where it was read), so no inserted zeros are ever multiplied.

Every product of the forward pass and of the data gradient belongs to one sample and has sizes that do not
depend on the batch: a sample's result is the same bits in any batch.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import ConvDims
from tilewright.geometry.boxes import at
from tilewright.kernel.overlap import Tile, tiles
from tilewright.plan import Plan

Array = npt.NDArray[Any]


def forward(plan: Plan, x: Array, w: Array, bias: Array | None, y: Array) -> None:
    """Writes the cross-correlation of ``x`` with ``w`` (plus ``bias``) into ``y``."""
    dims = _conv(plan)
    weights = _weight_matrices(dims, w)
    inputs, outputs = _grouped(dims, x), _grouped_out(dims, y)
    offsets = None if bias is None else bias.reshape(dims.groups, -1, 1)
    scratch = np.empty(_scratch_size(plan), dtype=x.dtype)
    for tile in tiles(dims, plan.tile):
        for first in range(0, dims.batch, plan.samples):
            batch = slice(first, min(first + plan.samples, dims.batch))
            windows = _gather(dims, tile, inputs[batch], scratch)
            products = np.matmul(weights, windows)
            if offsets is not None:
                products += offsets
            outputs[at(batch, slice(None), slice(None), *tile.outputs)] = products.reshape(
                products.shape[:3] + tile.shape
            )


def data_gradient(plan: Plan, gy: Array, w: Array, gx: Array) -> None:
    """Writes the gradient of the input into ``gx``."""
    dims = _conv(plan)
    weights = np.ascontiguousarray(_weight_matrices(dims, w).transpose(0, 2, 1))
    gradients, inputs = _grouped_out(dims, gy), _grouped(dims, gx)
    gx[...] = 0
    for tile in tiles(dims, plan.tile):
        for first in range(0, dims.batch, plan.samples):
            batch = slice(first, min(first + plan.samples, dims.batch))
            block = gradients[at(batch, slice(None), slice(None), *tile.outputs)]
            flat = np.ascontiguousarray(block).reshape(*block.shape[:3], -1)
            shares = np.matmul(weights, flat).reshape(
                block.shape[0], dims.groups, dims.in_channels // dims.groups, dims.taps, *tile.shape
            )
            for meeting in tile.meetings:
                share = shares[at(slice(None), slice(None), slice(None), meeting.number, *meeting.outputs)]
                inputs[at(batch, slice(None), slice(None), *meeting.inputs)] += share


def weight_gradient(plan: Plan, x: Array, gy: Array, gw: Array) -> None:
    """Writes the gradient of the weights into ``gw``, summed over tiles and samples in a fixed order."""
    dims = _conv(plan)
    inputs = np.moveaxis(_grouped(dims, x), 0, 2)
    gradients = np.moveaxis(_grouped_out(dims, gy), 0, 2)
    total = np.zeros((dims.groups, dims.out_channels // dims.groups, dims.reduction), dtype=x.dtype)
    scratch = np.empty(_scratch_size(plan), dtype=x.dtype)
    for tile in tiles(dims, plan.tile):
        for first in range(0, dims.batch, plan.samples):
            batch = slice(first, min(first + plan.samples, dims.batch))
            windows = _gather_batch_inside(dims, tile, inputs[:, :, batch], scratch)
            block = gradients[at(slice(None), slice(None), batch, *tile.outputs)]
            flat = np.ascontiguousarray(block).reshape(*block.shape[:2], -1)
            total += np.matmul(flat, windows.transpose(0, 2, 1))
    gw[...] = total.reshape(dims.weight_shape)


def _conv(plan: Plan) -> ConvDims:
    assert isinstance(plan.dims, ConvDims)
    return plan.dims


def _scratch_size(plan: Plan) -> int:
    dims = _conv(plan)
    return plan.samples * dims.in_channels * dims.taps * math.prod(plan.tile)


def _weight_matrices(dims: ConvDims, w: Array) -> Array:
    """(groups, out/groups, in/groups·taps)."""
    shape = (dims.groups, dims.out_channels // dims.groups, dims.reduction)
    return np.ascontiguousarray(w).reshape(shape)


def _grouped(dims: ConvDims, x: Array) -> Array:
    """(batch, groups, in/groups, *spatial): splitting an axis is a view for any strides."""
    return x.reshape(x.shape[0], dims.groups, dims.in_channels // dims.groups, *dims.spatial)


def _grouped_out(dims: ConvDims, y: Array) -> Array:
    return y.reshape(y.shape[0], dims.groups, dims.out_channels // dims.groups, *dims.output)


def _gather(dims: ConvDims, tile: Tile, x: Array, scratch: Array) -> Array:
    """The windows of a tile: (samples, groups, in/groups·taps, positions)."""
    shape = (x.shape[0], dims.groups, dims.in_channels // dims.groups, dims.taps, *tile.shape)
    windows = scratch[: math.prod(shape)].reshape(shape)
    if len(tile.meetings) < dims.taps:
        windows[...] = 0
    for meeting in tile.meetings:
        of_tap = windows[:, :, :, meeting.number]
        if not meeting.whole:
            of_tap[...] = 0
        of_tap[at(..., *meeting.outputs)] = x[at(..., *meeting.inputs)]
    return windows.reshape(x.shape[0], dims.groups, dims.reduction, math.prod(tile.shape))


def _gather_batch_inside(dims: ConvDims, tile: Tile, x: Array, scratch: Array) -> Array:
    """The windows with the samples beside the positions: (groups, in/groups·taps, samples·positions)."""
    samples = x.shape[2]
    shape = (dims.groups, dims.in_channels // dims.groups, dims.taps, samples, *tile.shape)
    windows = scratch[: math.prod(shape)].reshape(shape)
    if len(tile.meetings) < dims.taps:
        windows[...] = 0
    for meeting in tile.meetings:
        of_tap = windows[:, :, meeting.number]
        if not meeting.whole:
            of_tap[...] = 0
        of_tap[at(..., *meeting.outputs)] = x[at(..., *meeting.inputs)]
    return windows.reshape(dims.groups, dims.reduction, samples * math.prod(tile.shape))
