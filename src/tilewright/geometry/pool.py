"""The geometry of a pooling window as one frozen value, checked once and passed everywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.geometry.axes import as_flag, as_op, as_shape, ceil_div, per_axis, sizes
from tilewright.geometry.conv import ConvDims, check_window_fits, hashable
from tilewright.geometry.counting import remainders_from
from tilewright.geometry.padding import Pairs, resolve_padding


@dataclass(frozen=True)
class PoolDims:
    """Sizes of a pooling over the spatial axes of (batch, channels, *spatial).

    Window o of an axis covers the samples o·stride + t·dilation − before, for t in 0 … kernel−1. In ceil
    mode the last window may hang over the padded end, and is dropped if it would start in the padding there.

    Build it with :meth:`of`, which checks everything.
    """

    batch: int
    channels: int
    spatial: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: Pairs
    ceil_mode: bool

    @staticmethod
    def of(
        input_shape: tuple[int, ...],
        kernel: Any,
        *,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        op: str = "pool",
    ) -> PoolDims:
        """The geometry of a window of ``kernel`` samples over ``input_shape`` (batch, channels, *spatial).

        ``stride`` is the kernel's size when not given, as in PyTorch.

        Raises:
            ShapeError: no spatial axis, an empty one, or the window is wider than the padded input.
            ArgumentError: an argument outside its rule.

        >>> PoolDims.of((1, 64, 112, 112), 3, stride=2, padding=1).output
        (56, 56)
        """
        return _of_pool(
            as_shape(input_shape, "input_shape", op),
            hashable(kernel),
            hashable(stride),
            hashable(padding),
            hashable(dilation),
            as_flag(ceil_mode, "ceil_mode", op),
            as_op(op),
        )

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.spatial)

    @cached_property
    def reach(self) -> tuple[int, ...]:
        """How far the last tap lies from the first, per axis."""
        return tuple(d * (k - 1) for k, d in zip(self.kernel, self.dilation, strict=True))

    @cached_property
    def output(self) -> tuple[int, ...]:
        """Spatial sizes of the pooled array."""
        return tuple(self._axis_output(axis) for axis in range(self.rank))

    def _axis_output(self, axis: int) -> int:
        n, s = self.spatial[axis], self.stride[axis]
        before, after = self.padding[axis]
        room = n + before + after - self.reach[axis] - 1
        if not self.ceil_mode:
            return room // s + 1
        count = ceil_div(room, s) + 1
        if (count - 1) * s >= n + before:
            count -= 1
        return count

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the input: (batch, channels, *spatial)."""
        return (self.batch, self.channels, *self.spatial)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the pooled array: (batch, channels, *output)."""
        return (self.batch, self.channels, *self.output)

    @property
    def taps(self) -> int:
        """Samples in a full window."""
        return math.prod(self.kernel)

    @property
    def flops(self) -> int:
        """Operations (comparisons or additions): one per sample of every full window."""
        return math.prod(self.output_shape) * self.taps

    def bytes_moved(self, itemsize: int) -> int:
        """Bytes that must move at least once: input and output, at ``itemsize`` bytes an element."""
        return itemsize * (math.prod(self.input_shape) + math.prod(self.output_shape))

    @cached_property
    def every_window_sees_input(self) -> bool:
        """Whether each window holds at least one sample that is not padding."""
        return all(self._axis_seen(axis) for axis in range(self.rank))

    def _axis_seen(self, axis: int) -> bool:
        n, s, d, reach = self.spatial[axis], self.stride[axis], self.dilation[axis], self.reach[axis]
        before, out = self.padding[axis][0], self.output[axis]
        # The first window must reach sample 0, and the last one must not start beyond the end.
        if before > reach or (out - 1) * s - before >= n:
            return False
        # A window that starts in the padding first meets the input at (its start mod d): only where d > n can
        # that be beyond the end.
        return d <= n or remainders_from(n, min(ceil_div(before, s), out), -before, s, d) == 0

    def adjoint(self) -> ConvDims:
        """The geometry of the windows turned round: which outputs each sample of the input belongs to.

        It is that of a convolution of one channel, from an array of the output's sizes to one of the input's,
        whose taps are all 1.
        """
        pads = tuple(
            # Windows may end before the padding does, or hang over it: what counts is where the last one is.
            (before, (o - 1) * s + reach + 1 - n - before)
            for (before, _), o, s, reach, n in zip(
                self.padding, self.output, self.stride, self.reach, self.spatial, strict=True
            )
        )
        ones = (1,) * self.rank
        return ConvDims(
            1, 1, 1, 1, self.spatial, self.kernel, self.stride, self.dilation, ones, pads
        ).adjoint()

    def with_batch(self, batch: int) -> PoolDims:
        """The same geometry for another number of samples."""
        return replace(self, batch=batch)


@lru_cache(maxsize=4096)
def _of_pool(
    input_shape: tuple[int, ...],
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    op: str,
) -> PoolDims:
    rank = len(input_shape) - 2
    if rank < 1:
        raise ShapeError(
            f"{op} needs input of shape (batch, channels, *spatial) with at least one spatial axis.",
            f"input with shape {input_shape}",
        )
    batch, channels, *spatial = sizes(input_shape, "input", op)
    check_no_empty_axis(input_shape, op)
    window = per_axis(kernel, rank, "kernel_size", op, least=1)
    strides = window if stride is None or stride == () else per_axis(stride, rank, "stride", op, least=1)
    dilations = per_axis(dilation, rank, "dilation", op, least=1)
    pads = resolve_padding(
        padding, op=op, spatial=tuple(spatial), kernel=window, stride=strides, dilation=dilations
    )
    if min(min(pair) for pair in pads) < 0:
        raise ArgumentError(f"{op} needs padding of at least 0.", describe(padding=padding))
    dims = PoolDims(batch, channels, tuple(spatial), window, strides, dilations, pads, ceil_mode)
    check_window_fits(dims.spatial, pads, dims.reach, op)
    return dims


def check_no_empty_axis(input_shape: tuple[int, ...], op: str) -> None:
    """Refuse spatial axes without samples (an empty batch, or no channels, is fine).

    Raises:
        ShapeError: naming the shape.
    """
    if 0 in input_shape[2:]:
        raise ShapeError(
            f"{op} needs every spatial axis of input to hold at least one sample.",
            f"input with shape {input_shape}",
        )
