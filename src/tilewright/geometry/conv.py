"""The geometry of a convolution as one frozen value, checked once and passed everywhere.

    y[n, k, o] = bias[k] + Σ_c Σ_t  x̃[n, c, o·stride + t·dilation − before] · w[k, c, t]

where x̃ is x with ``input_dilation − 1`` zeros between neighbouring samples and zeros outside. The
same value describes forward, data gradient and weight gradient (the forward geometry is what the gradients
receive), and through :meth:`ConvDims.adjoint` states the data gradient as a convolution of its own.
A transposed convolution is the data gradient of an ordinary one: :meth:`ConvDims.of_transposed` returns
that ordinary one.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import Any

from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.geometry.axes import as_integer, as_op, as_shape, per_axis, sizes
from tilewright.geometry.padding import ZEROS, Pairs, resolve_padding


@dataclass(frozen=True)
class ConvDims:
    """Sizes of one cross-correlation, all exact Python integers.

    Attributes:
        batch: samples, ≥ 0.
        in_channels, out_channels: channels of x and y, both divisible by ``groups``.
        groups: independent groups of channels, ≥ 1.
        spatial: sizes of the spatial axes of x.
        kernel, stride, dilation, input_dilation: one integer ≥ 1 per spatial axis.
        padding: (before, after) per spatial axis, in samples of the dilated input; negative crops.
        padding_mode: what stands in the padding, one of :data:`tilewright.geometry.padding.PADDING_MODES`.

    Build it with :meth:`of` or :meth:`of_transposed`, which check everything.
    """

    batch: int
    in_channels: int
    out_channels: int
    groups: int
    spatial: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    input_dilation: tuple[int, ...]
    padding: Pairs
    padding_mode: str = ZEROS

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        # Geometries are keys of caches that every call asks: their numbers are hashed once.
        return hash(tuple(getattr(self, field.name) for field in fields(self)))

    @staticmethod
    def of(
        input_shape: tuple[int, ...],
        weight_shape: tuple[int, ...],
        *,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: Any = 1,
        input_dilation: Any = 1,
        op: str = "conv",
    ) -> ConvDims:
        """The geometry of ``x`` (batch, channels, *spatial) with ``w`` (out, in/groups, *kernel).

        Raises:
            ShapeError: ranks or channels don't fit, or the kernel reaches beyond the padded input.
            ArgumentError: a stride, dilation, group count or padding outside its rule.

        >>> ConvDims.of((1, 3, 224, 224), (64, 3, 7, 7), stride=2, padding=3).output
        (112, 112)
        """
        return _of_conv(
            as_shape(input_shape, "input_shape", op),
            as_shape(weight_shape, "weight_shape", op),
            hashable(stride),
            hashable(padding),
            hashable(dilation),
            hashable(groups),
            hashable(input_dilation),
            as_op(op),
        )

    @staticmethod
    def of_transposed(
        input_shape: tuple[int, ...],
        weight_shape: tuple[int, ...],
        *,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: Any = 1,
        dilation: Any = 1,
        op: str = "conv_transpose",
    ) -> ConvDims:
        """The ordinary convolution whose data gradient is this transposed convolution.

        ``input_shape`` is (batch, channels, *spatial), ``weight_shape`` (channels, out/groups, *kernel).
        In the result ``spatial`` and ``in_channels`` describe the transposed convolution's *output*,
        ``output`` and ``out_channels`` its input. Output size per axis:
        (n−1)·stride − before − after + dilation·(k−1) + output_padding + 1.
        A padding name means the adjoint of that name: ``same`` gives n·stride.

        Raises:
            ShapeError: ranks or channels don't fit, or nothing would be left after cropping.
            ArgumentError: an argument outside its rule; ``output_padding`` must be smaller than the
                larger of stride and dilation, as in PyTorch.

        >>> ConvDims.of_transposed((1, 8, 5, 5), (8, 4, 3, 3), stride=2, output_padding=1).spatial
        (12, 12)
        """
        return _of_transposed(
            as_shape(input_shape, "input_shape", op),
            as_shape(weight_shape, "weight_shape", op),
            hashable(stride),
            hashable(padding),
            hashable(output_padding),
            hashable(groups),
            hashable(dilation),
            as_op(op),
        )

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.spatial)

    @cached_property
    def dilated_spatial(self) -> tuple[int, ...]:
        """Sizes of x with its input dilation's zeros in place."""
        return tuple(
            e * (n - 1) + 1 if n else 0 for n, e in zip(self.spatial, self.input_dilation, strict=True)
        )

    @cached_property
    def reach(self) -> tuple[int, ...]:
        """How far the last tap lies from the first, per axis: dilation·(kernel−1)."""
        return tuple(d * (k - 1) for k, d in zip(self.kernel, self.dilation, strict=True))

    @cached_property
    def output(self) -> tuple[int, ...]:
        """Spatial sizes of y."""
        return tuple(
            (n + before + after - reach - 1) // s + 1
            for n, (before, after), reach, s in zip(
                self.dilated_spatial, self.padding, self.reach, self.stride, strict=True
            )
        )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of x: (batch, in_channels, *spatial)."""
        return (self.batch, self.in_channels, *self.spatial)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of w: (out_channels, in_channels/groups, *kernel)."""
        return (self.out_channels, self.in_channels // self.groups, *self.kernel)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of y: (batch, out_channels, *output)."""
        return (self.batch, self.out_channels, *self.output)

    @property
    def taps(self) -> int:
        """Kernel positions per channel."""
        return math.prod(self.kernel)

    @property
    def reduction(self) -> int:
        """Products summed into one output sample: in_channels/groups · taps."""
        return self.in_channels // self.groups * self.taps

    @property
    def flops(self) -> int:
        """Floating-point operations of the forward pass, a multiply and an add each counted as one.

        Products with padding are counted, as is usual in published tables.
        """
        return 2 * math.prod(self.output_shape) * self.reduction

    @property
    def parameters(self) -> int:
        """Number of weights (a bias adds ``out_channels`` more)."""
        return math.prod(self.weight_shape)

    def bytes_moved(self, itemsize: int) -> int:
        """Bytes that must move at least once: x, w and y, at ``itemsize`` bytes an element."""
        return itemsize * (
            math.prod(self.input_shape) + math.prod(self.weight_shape) + math.prod(self.output_shape)
        )

    def adjoint(self) -> ConvDims:
        """The convolution that computes this one's data gradient from the output's gradient.

        Stride and input dilation change places, the kernel is flipped on every spatial axis and its channel
        axes exchanged within each group, and the padding is what gives back exactly the input's size. Twice
        the adjoint is the same geometry, with trailing padding that no window reaches left out.
        """
        pads = []
        for n, (before, _), reach, s, o in zip(
            self.dilated_spatial, self.padding, self.reach, self.stride, self.output, strict=True
        ):
            spread = s * (o - 1) + 1 if o else 0
            lead = reach - before
            pads.append((lead, n + reach - lead - spread if n else reach - lead - spread))
        return replace(
            self,
            in_channels=self.out_channels,
            out_channels=self.in_channels,
            spatial=self.output,
            stride=self.input_dilation,
            input_dilation=self.stride,
            padding=tuple(pads),
        )

    def with_batch(self, batch: int) -> ConvDims:
        """The same geometry for another number of samples."""
        return replace(self, batch=batch)


def hashable(value: Any) -> Any:
    """The argument as a cache key: lists become tuples, and only integers pass for integers.

    True and 1.0 equal 1, and so does NumPy's float32 of 1: found in a cache, they would be taken for it.
    """
    if value is None or type(value) is int or isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return tuple(hashable(item) for item in value)
    if not isinstance(value, bool) and hasattr(value, "__index__"):
        try:
            return operator.index(value)  # NumPy's integers
        except (TypeError, ValueError):
            pass
    return _Odd(value)


class _Odd:
    """An argument that no rule accepts, kept apart from the integer it may equal."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return repr(self.value)


# A network repeats a few dozen geometries; 4096 holds several networks at several batch sizes.
@lru_cache(maxsize=4096)
def _of_conv(
    input_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    input_dilation: Any,
    op: str,
) -> ConvDims:
    rank = _check_ranks(input_shape, weight_shape, op)
    batch, channels, *spatial = sizes(input_shape, "input", op)
    out_channels, per_group, *kernel = sizes(weight_shape, "weight", op)
    strides = per_axis(stride, rank, "stride", op, least=1)
    dilations = per_axis(dilation, rank, "dilation", op, least=1)
    input_dilations = per_axis(input_dilation, rank, "input_dilation", op, least=1)
    group_count = as_integer(groups, "groups", op, least=1)
    _check_kernel(kernel, op)
    if per_group * group_count != channels:
        raise ShapeError(
            f"{op} needs weight of shape (out_channels, in_channels/groups, *kernel).",
            f"input with {channels} channels, weight with shape {weight_shape}, groups={group_count}",
            f"With groups={group_count} this weight takes {per_group * group_count} channels.",
        )
    if out_channels % group_count:
        raise ShapeError(
            f"{op} needs out_channels to be divisible by groups.",
            f"weight with shape {weight_shape}, groups={group_count}",
        )
    dims = ConvDims(
        batch,
        channels,
        out_channels,
        group_count,
        tuple(spatial),
        tuple(kernel),
        strides,
        dilations,
        input_dilations,
        (),
    )
    pads = resolve_padding(
        padding,
        op=op,
        spatial=dims.dilated_spatial,
        kernel=dims.kernel,
        stride=strides,
        dilation=dilations,
    )
    dims = replace(dims, padding=pads)
    check_window_fits(dims.dilated_spatial, pads, dims.reach, op)
    return dims


@lru_cache(maxsize=4096)
def _of_transposed(
    input_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: Any,
    dilation: Any,
    op: str,
) -> ConvDims:
    rank = _check_ranks(input_shape, weight_shape, op)
    batch, channels, *spatial = sizes(input_shape, "input", op)
    weight_channels, per_group, *kernel = sizes(weight_shape, "weight", op)
    strides = per_axis(stride, rank, "stride", op, least=1)
    dilations = per_axis(dilation, rank, "dilation", op, least=1)
    extras = per_axis(output_padding, rank, "output_padding", op, least=0)
    group_count = as_integer(groups, "groups", op, least=1)
    _check_kernel(kernel, op)
    if weight_channels != channels:
        raise ShapeError(
            f"{op} needs weight of shape (in_channels, out_channels/groups, *kernel).",
            f"input with {channels} channels, weight with shape {weight_shape}",
        )
    if channels % group_count:
        raise ShapeError(
            f"{op} needs in_channels to be divisible by groups.",
            f"input with {channels} channels, groups={group_count}",
        )
    for axis in range(rank):
        if extras[axis] and extras[axis] >= max(strides[axis], dilations[axis]):
            raise ArgumentError(
                f"{op} needs output_padding to be smaller than the larger of stride and dilation.",
                describe(output_padding=output_padding, stride=stride, dilation=dilation),
            )
    reach = tuple(d * (k - 1) for k, d in zip(kernel, dilations, strict=True))
    # A name is understood for the ordinary convolution that goes from the larger array to this one.
    pads = resolve_padding(
        padding,
        op=op,
        spatial=tuple(n * s for n, s in zip(spatial, strides, strict=True)),
        kernel=tuple(kernel),
        stride=strides,
        dilation=dilations,
    )
    if padding in ("same", "same_lower"):
        # n·stride outputs, also where the stride is wider than the window.
        pads = tuple(
            (lo, (n - 1) * s + r + 1 - n * s - lo)
            for (lo, _), n, s, r in zip(pads, spatial, strides, reach, strict=True)
        )
    # output_padding lengthens the output at the end only: the ordinary convolution sees that much less
    # padding there, which keeps its own output at exactly n.
    pads = tuple((lo, hi - extra) for (lo, hi), extra in zip(pads, extras, strict=True))
    large = tuple(
        (n - 1) * s - lo - hi + r + 1 if n else 0
        for n, s, (lo, hi), r in zip(spatial, strides, pads, reach, strict=True)
    )
    if min(large) < 0 or min(spatial) == 0:
        raise ShapeError(
            f"{op} needs an output of at least size 0 on every axis and an input without empty spatial axes.",
            f"input with shape {input_shape}, weight with shape {weight_shape}, stride={stride}, "
            f"padding={padding!r}, which gives {large}",
        )
    return ConvDims(
        batch,
        per_group * group_count,
        channels,
        group_count,
        large,
        tuple(kernel),
        strides,
        dilations,
        (1,) * rank,
        pads,
    )


def _check_ranks(input_shape: tuple[int, ...], weight_shape: tuple[int, ...], op: str) -> int:
    rank = len(weight_shape) - 2
    if rank < 1 or len(input_shape) != rank + 2:
        raise ShapeError(
            f"{op} needs input (batch, channels, *spatial) and weight (channels, channels, *kernel) "
            "with the same number of spatial axes, at least one.",
            f"input with shape {input_shape}, weight with shape {weight_shape}",
        )
    return rank


def _check_kernel(kernel: list[int], op: str) -> None:
    if min(kernel) < 1:
        raise ShapeError(f"{op} needs a kernel of at least one tap per axis.", describe(kernel=tuple(kernel)))


def check_window_fits(spatial: tuple[int, ...], pads: Pairs, reach: tuple[int, ...], op: str) -> None:
    """Refuse a window that is wider than the padded input on some axis.

    Raises:
        ShapeError: naming the padded sizes and the window's.
    """
    padded = tuple(n + lo + hi for n, (lo, hi) in zip(spatial, pads, strict=True))
    window = tuple(r + 1 for r in reach)
    if any(p < w for p, w in zip(padded, window, strict=True)):
        raise ShapeError(
            f"{op} needs the window to fit into the padded input.",
            f"padded input of size {padded}, window of size {window}",
            "Pad more, or use a smaller kernel or dilation.",
        )
