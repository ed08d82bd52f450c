"""Convolution of Dask arrays, chunk by chunk."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from dask.array.core import Array as DaskArray

from tilewright.bridge.dask.blocks import Part, blockwise, check_dask_array, joined, rechunked
from tilewright.bridge.dask.cores import shared_cores
from tilewright.bridge.dask.windows import Block, Manner, blocks_of, dims_of, manner_of, parts_of
from tilewright.errors import DtypeError, ShapeError, describe
from tilewright.functional.operands import axis_names
from tilewright.geometry import ConvDims
from tilewright.geometry.padding import ZEROS, check_padding_mode
from tilewright.op.arrays import MULTIPLIED, check_same_dtype
from tilewright.op.continued import plan_for
from tilewright.op.conv import conv_forward
from tilewright.op.pad import padded_shape

Array = npt.NDArray[Any]


def conv(
    input: DaskArray,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
) -> DaskArray:
    """:func:`tilewright.conv` of a Dask array: cross-correlation over any number of spatial axes.

    Every chunk is computed with its halo, dilation·(kernel−1) samples along each axis; nothing is computed
    before it is asked for. The result's chunks are the outputs whose windows have their centre in a chunk of
    the input: with padding ``same`` and stride 1 the input's own. Every output needs all channels: an input
    with several chunks of channels is rechunked to one, and the result has one.

    The numbers are those of the whole array, whatever the chunks: blocks are computed by the family, and in
    the pieces, that :func:`tilewright.explain` names for the whole array. Integers are exact. Floats are the
    same bits with up to 4 input and 8 output channels in a group (complex numbers with half as many), and
    nearly always with more. Where blocks of channels are added up in another order because lines are much
    shorter, or no compiled family takes the geometry and the BLAS decides, results agree to within the
    rounding of one sum of in_channels/groups·taps products. float16, bfloat16 and complex numbers are
    computed without Winograd's algorithm, and large kernels without transforms and passes along the axes: as
    :func:`tilewright.conv` does under ``precision("exact")``.

    Args:
        input: a Dask array of (batch, in_channels, *spatial), or (in_channels, *spatial).
        weight: (out_channels, in_channels/groups, *kernel), a NumPy or a Dask array; it goes to every task.
        bias: (out_channels,), a NumPy or a Dask array, or None.
        stride: step of the window, an integer or one per axis.
        padding: an integer, one per axis, a (before, after) pair per axis, or a name, as in
            :func:`tilewright.conv`.
        dilation: distance between taps, an integer or one per axis.
        groups: independent groups of channels.
        padding_mode: "zeros", "reflect", "replicate" or "circular", as in :func:`tilewright.conv`.

    Returns:
        A Dask array of (batch, out_channels, *output), of the operands' dtype.

    Raises:
        ShapeError: shapes don't fit each other, or the window doesn't fit the padded input.
        ArgumentError: an argument outside its rule, or chunks of unknown sizes.
        DtypeError: operands of different dtypes or of ones that aren't convolved, or no arrays.

    >>> import dask.array as da, numpy as np, tilewright as tw
    >>> x = da.zeros((1, 3, 1000, 1000), chunks=(1, 3, 300, 500), dtype="float32")
    >>> y = tw.bridge.dask.conv(x, np.ones((8, 3, 5, 5), "float32"), stride=2, padding="same")
    >>> y.shape, y.chunks[2]
    ((1, 8, 500, 500), (150, 150, 150, 50))
    """
    op = "conv"
    x = check_dask_array(input, "input", op)
    w = _operand(weight, "weight", op)
    b = None if bias is None else _operand(bias, "bias", op)
    _check_dtypes(op, input=x, weight=w, bias=b)
    rank = w.ndim - 2
    if rank < 1:
        raise ShapeError(
            f"{op} needs weight of rank at least 3 (channels, channels, *kernel).", describe(weight=w)
        )
    if x.ndim not in (rank + 1, rank + 2):
        raise ShapeError(
            f"{op} needs input of rank {rank + 2} (batch, channels, {axis_names(rank)}) "
            f"or {rank + 1} (channels, {axis_names(rank)}).",
            describe(input=x),
        )
    if x.ndim == rank + 1:
        batched: Any = conv(x[None], w, b, stride, padding, dilation, groups, padding_mode=padding_mode)
        found: DaskArray = batched[0]
        return found
    dims = ConvDims.of(
        x.shape, w.shape, stride=stride, padding=padding, dilation=dilation, groups=groups, op=op
    )
    if b is not None and b.shape != (dims.out_channels,):
        raise ShapeError(f"{op} needs bias of shape {(dims.out_channels,)}.", describe(bias=b))
    mode = check_padding_mode(padding_mode, op)
    padded = dims
    if mode != ZEROS:
        line = padded_shape(dims.input_shape, dims.padding, mode, op)[2:]
        padded = replace(dims, spatial=line, padding=((0, 0),) * rank)
    if len(x.chunks[1]) > 1:
        x = rechunked(x, {1: -1})
    return _graph(op, x, w, b, dims, padded, mode)


def _graph(op: str, x: DaskArray, w: Any, b: Any, dims: ConvDims, padded: ConvDims, mode: str) -> DaskArray:
    empty = 0 in padded.output_shape or padded.reduction == 0 or 0 in padded.input_shape
    if empty:  # without a product there is nothing to plan
        manner = Manner("", (1,) * dims.rank, (1,) * dims.rank, False, False)
    else:
        manner = manner_of(padded, x.dtype, filled=mode != ZEROS and _fills(dims, mode, x.dtype))
    ends = np.cumsum((0, *x.chunks[0])).tolist()
    batch = [Part(end - start, ((start, end),)) for start, end in pairwise(ends)]
    channels = [Part(dims.out_channels, ((0, dims.in_channels),))]
    spatial = [
        parts_of(blocks_of(padded, axis, x.chunks[2 + axis], dims.padding[axis], mode, manner))
        for axis in range(dims.rank)
    ]
    compute = partial(_block, padded, manner)
    return blockwise(x, [batch, channels, *spatial], compute, x.dtype, op, w=w, b=b)


def _fills(dims: ConvDims, mode: str, dtype: np.dtype[Any]) -> bool:
    """Whether the whole array's padding is filled in as it is packed, and not put in place before."""
    like = np.empty((1, 2, *(2,) * dims.rank), dtype)
    return plan_for("forward", replace(dims, padding_mode=mode), like) is not None


def _block(
    whole: ConvDims, manner: Manner, pieces: Any, details: tuple[Any, ...], w: Array, b: Array | None = None
) -> Array:
    """Computes one block."""
    blocks: tuple[Block, ...] = details[2:]
    x = joined(pieces, len(details))
    for axis, block in enumerate(blocks, start=2):
        if block.take is not None:
            x = np.take(x, block.take, axis=axis)
    dims = dims_of(whole, x.shape[0], blocks)
    if not manner.family:
        y = np.zeros(dims.output_shape[:2] + tuple(block.outputs for block in blocks), x.dtype)
        if b is not None:
            y += b.reshape((-1,) + (1,) * dims.rank)
        return y
    with shared_cores():
        y = conv_forward(dims, _laid_out(x, manner.gaps), w, b, family=manner.family)
    kept = y[(slice(None), slice(None), *(block.kept for block in blocks))]
    # What was computed beyond the block must not stay in memory with it.
    return kept if kept.shape == y.shape else np.ascontiguousarray(kept)


def _laid_out(x: Array, gaps: bool) -> Array:
    """In C order; with ``gaps``, a number more between lines, or between numbers if a line is all."""
    if not gaps:
        return np.ascontiguousarray(x)
    if x.ndim == 3:
        apart = np.empty((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)[..., ::2]
        apart[...] = x
        return apart
    room = np.empty((*x.shape[:-1], x.shape[-1] + 1), x.dtype)
    room[..., :-1] = x
    return room[..., :-1]


def _operand(value: Any, name: str, op: str) -> Any:
    if isinstance(value, DaskArray):
        return rechunked(check_dask_array(value, name, op), -1)
    if not isinstance(value, np.ndarray):
        raise DtypeError(
            f"{op} needs {name} to be a NumPy array or a Dask array.",
            f"{name} of type {type(value).__name__}",
            f"Convert it first: numpy.asarray({name}).",
        )
    return value


def _check_dtypes(op: str, **operands: Any) -> None:
    """The rules of :func:`tilewright.conv`: dtypes that are multiplied, all the same."""
    given = {name: value for name, value in operands.items() if value is not None}
    for name, value in given.items():
        if value.dtype.name not in MULTIPLIED or not value.dtype.isnative:
            raise DtypeError(
                f"{op} needs {name} of one of the dtypes {', '.join(MULTIPLIED)}, in native byte order.",
                describe(**{name: value}),
                f"Convert it first, for example {name}.astype('float32').",
            )
    check_same_dtype(op, **given)
