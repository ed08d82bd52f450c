"""Interpolation: PyTorch's ``interpolate``, for any number of spatial axes."""

from __future__ import annotations

from typing import Any

from tilewright.autograd import rules_resample as _rules  # noqa: F401 - puts the rules into the table
from tilewright.autograd.tape import apply
from tilewright.errors import ShapeError, describe
from tilewright.functional.operands import Operand, check_operand
from tilewright.geometry.resample import sampling_of
from tilewright.op.pad import DTYPES

__all__ = ["interpolate"]


def interpolate(
    input: Operand,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    """The spatial axes sampled anew at other sizes, larger or smaller.

    Args:
        input: (batch, channels, *spatial); or (channels, *spatial), if ``size`` or ``scale_factor`` lists one
            number per spatial axis. Halves, float32, float64 or complex; the nearest modes take integers and
            bools too.
        size: of the output, an integer or one per axis; this or ``scale_factor``.
        scale_factor: a number above 0 or one per axis; the output has ⌊n·scale_factor⌋ samples.
        mode: "nearest" (the first sample of the cell), "nearest-exact" (the one in whose cell the output's
            middle lies), "linear", "cubic" or "area" (the mean of what the output covers), for any number of
            axes; PyTorch's "bilinear", "trilinear" and "bicubic" for theirs.
        align_corners: for the linear and cubic modes: the first and last samples of input and output lie on
            each other, rather than the edges of their cells.
        recompute_scale_factor: sample as if the output's size had been given, rather than by
            ``scale_factor``, where the two differ (because ⌊n·scale_factor⌋ is a smaller number).
        antialias: for the linear and cubic modes: where the output is smaller, average over as much more of
            the input, as Pillow does.

    Returns:
        (batch, channels, *output) of the same kind and dtype, in the memory order of the input. Halves are
        summed in float32. Which sample is nearest is worked out in whole numbers, never rounded.

    Raises:
        ArgumentError: an argument outside its rule, or arguments that contradict each other.
        ShapeError: no spatial axis, one without samples, or an output without.
        DtypeError: ``input`` isn't an array or a Tensor of a dtype that the mode takes.

    >>> import numpy as np, tilewright as tw
    >>> tw.functional.interpolate(np.array([[[1.0, 3.0]]]), scale_factor=2, mode="linear")
    array([[[1. , 1.5, 2.5, 3. ]]])
    >>> tw.functional.interpolate(np.eye(2)[None, None], size=4)[0, 0, 0]
    array([1., 1., 0., 0.])
    """
    op = "interpolate"
    check_operand(input, "input", op, DTYPES)
    listed = [len(given) for given in (size, scale_factor) if isinstance(given, (tuple, list))]
    batched = not (listed and input.ndim == listed[0] + 1 > 1)
    x = input if batched else input[None]
    if x.ndim < 3:
        raise ShapeError(
            f"{op} needs input (batch, channels, *spatial) with at least one spatial axis.",
            describe(input=input),
            "For an input without batch, list the size per spatial axis.",
        )
    axes = sampling_of(
        tuple(x.shape[2:]),
        size=size,
        scale_factor=scale_factor,
        mode=mode,
        align_corners=align_corners,
        recompute_scale_factor=recompute_scale_factor,
        antialias=antialias,
        op=op,
    )
    y = apply("resample", x, axes=axes, op_name=op)
    return y if batched else y[0]
