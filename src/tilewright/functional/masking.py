"""Convolution of what is there: missing samples are left out, the weights of the rest may make up for them.

A missing sample is left out by selection, not by multiplying with 0: a NaN or an infinity that stands there
never reaches a result, nor a gradient, and its own gradient is 0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tilewright.autograd import rules_masked as _rules  # noqa: F401 - puts the rule into the table
from tilewright.autograd import rules_window as _windows  # noqa: F401 - likewise
from tilewright.autograd.arithmetic import add, mul, where
from tilewright.autograd.elementwise import abs
from tilewright.autograd.operands import cast, raw
from tilewright.autograd.reduce import sum
from tilewright.autograd.tape import apply, is_tensor, made
from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.functional.extending import extend
from tilewright.functional.operands import Operand, conv_operands
from tilewright.geometry import ConvDims
from tilewright.geometry.axes import as_flag
from tilewright.geometry.padding import ZEROS, check_padding_mode
from tilewright.op.arrays import check_same_dtype
from tilewright.op.conv import conv_forward
from tilewright.op.kinds import FLOAT32, FLOAT64, is_half, real_of
from tilewright.op.masked import plan_of
from tilewright.op.pad import check_value

__all__ = ["masked_conv"]

Array = npt.NDArray[Any]
NAN = "nan"
#: How weights make up for missing samples.
MODES = ("weights", "count")


def masked_conv(
    input: Operand,
    weight: Operand,
    bias: Operand = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    mask: Any = NAN,
    normalize: bool | str = False,
    fill: float | None = None,
    return_mask: bool = False,
    padding_mode: str = "zeros",
) -> Any:
    """:func:`conv` over the samples that are there, any number of spatial axes.

    With m = 1 where a sample is there and 0 where it is missing, and every sum over one window:

    =================== ====================================================================================
    ``normalize``       result
    =================== ====================================================================================
    False               Σ w·m·x + bias
    "weights" (or True) Σ w·m·x · (Σ |w| / Σ |w|·m) + bias: Knutsson and Westin's normalised convolution
                        times Σ |w|, so that nothing changes where all is there. A smoothing kernel gives the
                        weighted mean of what is there
    "count"             Σ w·m·x · (taps / taps that are there) + bias, counting the samples of all channels of
                        the group: Liu et al.'s partial convolution
    =================== ====================================================================================

    Padding with zeros is missing too: where weights are normalised, borders don't fade. Other padding modes
    copy a sample together with whether it is there.

    Nothing in the denominators is negative, so they are 0 only where nothing is there; where all is there,
    the factor is exactly 1. Over few channels they are added up in the input's dtype, by one compiled pass
    over the input, otherwise in float64. Halves are widened to float32 as a whole, and the result is rounded
    once.

    Args:
        input: and what follows up to ``groups``, as for :func:`conv`.
        weight: see there.
        bias: see there.
        stride: see there.
        padding: see there.
        dilation: see there.
        groups: see there.
        mask: True (or 1) where a sample is there: an array or Tensor of shape (batch, channels, *spatial),
            whose first two sizes may be 1, or (*spatial); without batch where the input has none. "nan": NaNs
            are missing. None: all samples are there.
        normalize: see above.
        fill: the result where a window holds nothing; by default what the sums give, the bias alone.
        return_mask: also give the mask of the result: where its window held anything.
        padding_mode: as for :func:`conv`.

    Returns:
        The result of :func:`conv`; with ``return_mask`` a pair of it and bools of shape (batch, 1, *output),
        or (batch, out_channels, *output) where groups see different masks.

    Raises:
        ShapeError: as :func:`conv`; or a mask of another shape.
        ArgumentError: as :func:`conv`; a mask of other numbers, an unknown ``normalize``, or a ``fill`` that
            the dtype doesn't hold.
        DtypeError: as :func:`conv`; or weights are to be normalised among integers.

    Knutsson and Westin, "Normalized and differential convolution", CVPR 1993; Liu, Reda, Shih, Wang, Tao and
    Catanzaro, "Image inpainting for irregular holes using partial convolutions", ECCV 2018.

    >>> import numpy as np, tilewright as tw
    >>> x = np.array([[1.0, 2.0, np.nan, 4.0, 5.0]])
    >>> tw.functional.masked_conv(x, np.full((1, 1, 3), 1 / 3), padding=1, normalize="weights")
    array([[1.5, 1.5, 3. , 4.5, 4.5]])
    """
    op = "masked_conv"
    arguments = (stride, padding, dilation, groups, padding_mode)
    wanted = as_flag(return_mask, "return_mask", op)
    return masked(op, None, input, weight, bias, arguments, mask, normalize, fill, wanted)


def masked(
    op: str,
    rank: int | None,
    input: Operand,
    weight: Operand,
    bias: Operand,
    arguments: tuple[Any, Any, Any, Any, str],
    mask: Any,
    normalize: Any,
    fill: Any = None,
    return_mask: bool = False,
) -> Any:
    """:func:`masked_conv` under the name and of the rank of another function.

    ``arguments`` are stride, padding, dilation, groups and padding_mode.
    """
    stride, padding, dilation, groups, padding_mode = arguments
    x, batched = conv_operands(op, rank, input, weight, bias)
    dims = ConvDims.of(
        x.shape, weight.shape, stride=stride, padding=padding, dilation=dilation, groups=groups, op=op
    )
    check_same_dtype(op, input=raw(x), weight=raw(weight), bias=raw(bias))
    if bias is not None and tuple(bias.shape) != (dims.out_channels,):
        raise ShapeError(f"{op} needs bias of shape {(dims.out_channels,)}.", describe(bias=bias))
    mode = _mode(op, normalize, x)
    filler = None if fill is None else check_value(fill, raw(x), op, "fill")
    dims = replace(dims, padding_mode=check_padding_mode(padding_mode, op))
    dtype = x.dtype
    if is_half(dtype):
        x, weight = cast(x, FLOAT32), cast(weight, FLOAT32)
        bias = None if bias is None else cast(bias, FLOAT32)
    y, held = _masked(op, dims, x, weight, bias, _Missing(mask, mode, filler, return_mask, batched))
    y = cast(y, dtype)
    if not batched:
        y = y[0]
    if not return_mask:
        return y
    assert held is not None
    found = np.array(np.broadcast_to(held, (dims.batch, *held.shape[1:])))
    found = found if batched else found[0]
    return y, made(found) if is_tensor(y) else found


class _Missing(NamedTuple):
    """What is missing, and what is made of it."""

    mask: Any
    mode: str | None
    filler: Any
    return_mask: bool
    batched: bool

    @property
    def asks(self) -> bool:
        """Whether it matters where a window holds nothing."""
        return self.filler is not None or self.return_mask


def _masked(
    op: str, dims: ConvDims, x: Any, weight: Any, bias: Any, missing: _Missing
) -> tuple[Any, Array | None]:
    """The result, and where its windows hold something, if that is asked for."""
    values, w = raw(x), raw(weight)
    by_weights = missing.mode == MODES[0]
    # Where a weight is 0, a window may hold something that weighs nothing.
    vague = by_weights and missing.asks and not (np.isfinite(w) & (w != 0)).all()
    if missing.mode is None or vague or plan_of(dims, values) is None:
        return _composed(op, dims, x, weight, bias, missing, _present(op, missing.mask, x, missing.batched))
    present = None
    if not isinstance(missing.mask, str) or missing.mask != NAN:
        present = _present(op, missing.mask, x, missing.batched)
        if present is None:
            present = np.ones((1, 1, *dims.spatial), np.bool_)

    def again(x: Any, weight: Any, bias: Any) -> Any:
        known = np.logical_not(np.isnan(values)) if present is None else present
        return _composed(op, dims, x, weight, bias, missing, known)[0]

    y = apply(
        "masked_conv",
        x,
        weight,
        bias,
        dims=dims,
        present=present,
        counts=not by_weights,
        fill=None if missing.filler is None else float(missing.filler),
        ratio=missing.return_mask,
        again=again,
        op_name=op,
    )
    if not missing.return_mask:
        return y, None
    y, ratio = y
    alike = dims.groups == 1 or (present is not None and present.shape[1] == 1)
    return y, raw(ratio)[:, : 1 if alike else None] > 0


def _composed(
    op: str, dims: ConvDims, x: Any, weight: Any, bias: Any, missing: _Missing, present: Array | None
) -> tuple[Any, Array | None]:
    """:func:`_masked` of operations that each have a rule of their own."""
    mode, padding_mode = missing.mode, dims.padding_mode
    dims = replace(dims, padding_mode=ZEROS)
    kept, inside = extend(op, x if present is None else where(present, x, 0), dims, padding_mode, copy=True)
    if present is None:
        present = np.ones((1, 1, *dims.spatial), np.bool_)
    there, _ = extend(op, present, dims, padding_mode, copy=True)
    y = apply("conv", kept, weight, bias if mode is None else None, dims=inside, op=op)
    counts = _counts(inside, there) if mode == "count" or missing.asks else None
    if mode is not None:
        if mode == "count" and counts is not None:
            ratio = _by_count(inside, counts)
        else:
            ratio = _by_weights(inside, there, weight, op)
        y = mul(y, cast(ratio, real_of(y.dtype)))
        if bias is not None:
            y = add(y, bias.reshape((-1,) + (1,) * dims.rank))
    held = None if counts is None else counts > 0
    if missing.filler is not None:
        assert held is not None
        y = where(held, y, cast(np.asarray(missing.filler), y.dtype))
    return y, held


def _mode(op: str, normalize: Any, x: Any) -> str | None:
    if isinstance(normalize, (bool, np.bool_)):
        mode = MODES[0] if normalize else None
    elif isinstance(normalize, str) and normalize in MODES:
        mode = normalize
    else:
        raise ArgumentError(
            f"{op} needs normalize to be True, False or one of {', '.join(repr(mode) for mode in MODES)}.",
            describe(normalize=normalize),
        )
    if mode is not None and x.dtype.kind in "iu":
        raise DtypeError(
            f"{op} normalises weights of floating or complex numbers only.",
            describe(input=x, normalize=normalize),
            "Convert the operands first, for example with astype('float32').",
        )
    return mode


def _present(op: str, mask: Any, x: Any, batched: bool) -> Array | None:
    """Where samples are there: bools of shape (1 or batch, 1 or channels, *spatial); None is everywhere."""
    if mask is None:
        return None
    if isinstance(mask, str):
        if mask != NAN:
            raise ArgumentError(f"{op} needs mask to be an array, None or 'nan'.", describe(mask=mask))
        data = raw(x)
        return None if data.dtype.kind in "iu" else np.asarray(np.logical_not(np.isnan(data)))
    given = raw(mask)
    if not isinstance(given, np.ndarray):
        raise DtypeError(
            f"{op} needs mask to be a NumPy array or a Tensor, None or 'nan'.", describe(mask=mask)
        )
    shape = tuple(x.shape)
    found = given if batched or given.ndim == x.ndim - 2 else given[None]
    if found.ndim == x.ndim - 2:
        found = found[None, None]
    fits = found.ndim == x.ndim and found.shape[2:] == shape[2:]
    if not fits or any(n not in (1, size) for n, size in zip(found.shape[:2], shape[:2], strict=True)):
        raise ShapeError(
            f"{op} needs mask of the input's shape, in which batch and channels may be 1, or of its spatial "
            "shape.",
            describe(mask=mask, input=x if batched else x[0]),
        )
    if found.dtype == np.bool_:
        return found
    chosen = found != 0
    if not np.array_equal(chosen, found):
        raise ArgumentError(
            f"{op} needs a mask of bools, or of the numbers 0 and 1.",
            describe(mask=mask),
            "Say which samples are there: mask > 0.",
        )
    return np.asarray(chosen)


def _counts(dims: ConvDims, there: Array) -> Array:
    """How many samples each window holds: (1 or batch, 1 or out_channels, *output), float64."""
    # Channels of a group are added up first; a mask that is the same for all counts as many times.
    each = dims.in_channels // dims.groups
    groups = 1 if there.shape[1] == 1 else dims.groups
    samples = there.reshape(there.shape[0], groups, -1, *there.shape[2:]).sum(axis=2, dtype=np.float64)
    if there.shape[1] == 1:
        samples *= each
    # Sums of whole numbers, exact in float64.
    alone = replace(dims, batch=len(there), in_channels=groups, out_channels=groups, groups=groups)
    found = conv_forward(alone, samples, np.ones(alone.weight_shape), exact=True)
    return found if groups == 1 else np.repeat(found, dims.out_channels // groups, axis=1)


def _by_count(dims: ConvDims, counts: Array) -> Array:
    return np.divide(dims.reduction, counts, out=np.zeros_like(counts), where=counts != 0)


def _by_weights(dims: ConvDims, there: Array, weight: Any, op: str) -> Any:
    """Σ |w| over what of it meets a sample, float64, a function of the weight; 0 where nothing does."""
    size = cast(abs(weight), FLOAT64)
    axes = tuple(range(1, size.ndim))
    alone = replace(dims, batch=len(there))
    if there.shape[1] == 1:
        # All channels see the same mask: one channel with the sum of their weights.
        size = sum(size, 1, True)
        alone = replace(alone, in_channels=1, groups=1)
    met = apply("conv", there.astype(np.float64), size, None, dims=alone, op=op, exact=True)
    nothing = raw(met) == 0
    total = sum(size, axes).reshape((-1,) + (1,) * dims.rank)
    return where(nothing, 0.0, total / where(nothing, 1.0, met))
