"""Sizes of a max unpooling: what a pool may have come from."""

from __future__ import annotations

from typing import Any

from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.geometry.axes import as_integer, per_axis
from tilewright.geometry.padding import resolve_padding
from tilewright.geometry.pool import check_no_empty_axis


def unpooled_size(
    input_shape: tuple[int, ...],
    kernel: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    output_size: Any = None,
    op: str = "max_unpool",
) -> tuple[int, ...]:
    """Spatial sizes of what is unpooled from ``input_shape`` (batch, channels, *spatial).

    By default (n−1)·stride − before − after + dilation·(k−1) + 1 per axis, the least size that a pool with
    these arguments makes n of (and n·stride for ``same``). ``output_size`` says another: an integer for all
    axes, one per axis, or a whole shape, each less than a stride away from the default.

    Raises:
        ShapeError: an empty spatial axis, or a default below 0.
        ArgumentError: an argument outside its rule.

    >>> unpooled_size((1, 1, 4, 4), 2), unpooled_size((1, 1, 4, 4), 2, output_size=(9, 8))
    ((8, 8), (9, 8))
    """
    spatial = tuple(input_shape[2:])
    rank = len(spatial)
    check_no_empty_axis(tuple(input_shape), op)
    window = per_axis(kernel, rank, "kernel_size", op, least=1)
    usual = stride is None or (isinstance(stride, (tuple, list)) and not stride)
    steps = window if usual else per_axis(stride, rank, "stride", op, least=1)
    dilations = per_axis(dilation, rank, "dilation", op, least=1)
    largest = tuple(n * s for n, s in zip(spatial, steps, strict=True))
    pads = resolve_padding(padding, op=op, spatial=largest, kernel=window, stride=steps, dilation=dilations)
    if min(min(pair) for pair in pads) < 0:
        raise ArgumentError(f"{op} needs padding of at least 0.", describe(padding=padding))
    default = tuple(
        (n - 1) * s - before - after + d * (k - 1) + 1
        for n, s, (before, after), d, k in zip(spatial, steps, pads, dilations, window, strict=True)
    )
    if padding in ("same", "same_lower"):
        default = largest
    if output_size is not None:
        return _chosen(op, output_size, default, steps)
    if min(default) < 0:
        raise ShapeError(
            f"{op} needs an output of at least size 0 on every axis.",
            f"input with shape {tuple(input_shape)} and {describe(kernel_size=kernel, padding=padding)}, "
            f"which gives {default}",
            "Pad less, or say output_size.",
        )
    return default


def _chosen(op: str, output_size: Any, default: tuple[int, ...], stride: tuple[int, ...]) -> tuple[int, ...]:
    """``output_size`` as one size per spatial axis, each less than a stride away from the default."""
    rank = len(default)
    listed = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * rank
    if len(listed) not in (rank, rank + 2):
        raise ArgumentError(
            f"{op} needs output_size to be an integer, {rank} of them (one per spatial axis) or the shape of "
            "the result.",
            describe(output_size=output_size),
        )
    sizes = tuple(as_integer(size, "output_size", op, least=0) for size in listed[-rank:])
    if any(abs(size - usual) >= step for size, usual, step in zip(sizes, default, stride, strict=True)):
        raise ArgumentError(
            f"{op} needs output_size to be less than a stride {stride} away from {default} on every axis.",
            describe(output_size=output_size),
        )
    return sizes
