"""``padding_mode`` of convolutions: the input continued over its ends, and the adjoint of that.

A convolution with a padding mode is V∘P: P pads the input by reflection, replication or going round, and V is
the convolution of what came out, without padding. The transposed convolution of the same mode is its adjoint
Pᵀ∘Vᵀ: kernels are laid down on the padded line, and then each sample of the padding is added to the sample
that it is a copy of. (With zeros, P adds samples that are copies of nothing, and Pᵀ drops them: the cropping
that everyone knows.)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tilewright.autograd import rules_pad as _rules  # noqa: F401 - puts the rules into the table
from tilewright.autograd.operands import cast, raw
from tilewright.autograd.tape import apply
from tilewright.errors import ShapeError, describe
from tilewright.geometry import ConvDims
from tilewright.geometry.padding import ZEROS, Pairs, check_padding_mode
from tilewright.op.arrays import check_same_dtype
from tilewright.op.continued import plan_for
from tilewright.op.kinds import FLOAT32, is_half
from tilewright.op.pad import padded_shape


def extend(op: str, x: Any, dims: ConvDims, mode: str, *, copy: bool = False) -> tuple[Any, ConvDims]:
    """P for a convolution: the input with its padding in place, and the geometry of the rest, V.

    Where windows are computed by the family that fills in such padding as it reads them, the input stays as
    it is, and the geometry says what stands in its padding; not with ``copy``.

    Raises:
        ArgumentError: an unknown mode.
        ShapeError: an axis has no samples to continue.
    """
    if check_padding_mode(mode, op) == ZEROS or not _any(dims.padding):
        return x, dims
    continued = replace(dims, padding_mode=mode)
    if not copy and plan_for("forward", continued, raw(x)) is not None:
        padded_shape(dims.input_shape, dims.padding, mode, op)
        return x, continued
    longer = apply("pad", x, pairs=dims.padding, mode=mode, value=None, op_name=op)
    return longer, _unpadded(dims, tuple(longer.shape[2:]), (0,) * dims.rank)


def transposed(
    op: str, x: Any, w: Any, bias: Any, dims: ConvDims, output_padding: tuple[int, ...], mode: str
) -> Any:
    """Pᵀ∘Vᵀ, and the bias.

    Args:
        op: the name in messages.
        x: (batch, out_channels of ``dims``, *output).
        w: the weight.
        bias: one per channel of the result, or None.
        dims: the convolution whose data gradient this would be with zeros in the padding.
        output_padding: samples at the end of the line that no kernel reaches.
        mode: of padding.

    Raises:
        ArgumentError: an unknown mode.
        ShapeError: an axis of the result has no samples that the padding could be copies of.
    """
    # ConvDims.of_transposed counts output_padding as padding at the end that isn't there.
    pairs = tuple(
        (before, after + extra) for (before, after), extra in zip(dims.padding, output_padding, strict=True)
    )
    if check_padding_mode(mode, op) == ZEROS or not _any(pairs):
        return apply("conv_data_gradient", x, w, bias, dims=dims, op=op)
    line = padded_shape(dims.input_shape, pairs, mode, op)[2:]
    check_same_dtype(op, input=raw(x), weight=raw(w), bias=raw(bias))
    unreached = any(output_padding)
    if not unreached and plan_for("data_gradient", replace(dims, padding_mode=mode), raw(x)) is not None:
        return apply("conv_data_gradient", x, w, bias, dims=replace(dims, padding_mode=mode), op=op)
    if is_half(x.dtype):
        # What is folded back is added up, too: all in float32, as a whole, and rounded once.
        wide = None if bias is None else cast(bias, FLOAT32)
        y = transposed(op, cast(x, FLOAT32), cast(w, FLOAT32), wide, dims, output_padding, mode)
        return cast(y, x.dtype)
    if bias is not None and tuple(bias.shape) != (dims.in_channels,):
        raise ShapeError(f"{op} needs bias of shape {(dims.in_channels,)}.", describe(bias=bias))
    laid = apply("conv_data_gradient", x, w, None, dims=_unpadded(dims, line, output_padding), op=op)
    y = apply("pad_gradient", laid, shape=dims.input_shape, pairs=pairs, mode=mode)
    return y if bias is None else apply("add", y, bias.reshape((-1,) + (1,) * dims.rank))


def _any(pairs: Pairs) -> bool:
    return any(side for pair in pairs for side in pair)


def _unpadded(dims: ConvDims, spatial: tuple[int, ...], unreached: tuple[int, ...]) -> ConvDims:
    """The same windows over a line that is padded already, the last ``unreached`` samples left out."""
    return replace(dims, spatial=spatial, padding=tuple((0, -count) for count in unreached))
