"""Why a convolution is computed the way it is: the public face of the plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tilewright.autograd.operands import raw
from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.geometry import ConvDims
from tilewright.geometry.axes import as_integer
from tilewright.op.arrays import MULTIPLIED
from tilewright.op.carried import is_exact, stand_in
from tilewright.op.separable import plans_of
from tilewright.plan import Explanation
from tilewright.plan import explain as explain_plan
from tilewright.plan.plan import CONV_OPERATIONS

__all__ = ["explain"]


def explain(
    input: Any,
    weight: Any,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    operation: str = "forward",
    dtype: Any = None,
) -> Explanation:
    """Which family computes a convolution, in which tiles, and why each family before it declined.

    Args:
        input: an array or Tensor of shape (batch, channels, *spatial), or that shape.
        weight: an array or Tensor of shape (out_channels, in_channels/groups, *kernel), or that shape.
        stride: as in :func:`tilewright.conv`.
        padding: as in :func:`tilewright.conv`.
        dilation: as in :func:`tilewright.conv`.
        groups: as in :func:`tilewright.conv`.
        operation: ``forward``, ``data_gradient`` or ``weight_gradient``.
        dtype: element type; the input's own, or float32 when a shape is given. float16 and bfloat16 are
            explained as the float32 they are computed in (kernels widen them as they read and round them as
            they write), small integers as float64, complex numbers as twice the channels.

    Returns:
        An :class:`~tilewright.plan.Explanation`; print it, or read its ``plan`` and ``answers``. Of a large
        weight that is given as an array, and is an outer product of vectors, also the ``passes`` that are
        computed instead.

    Raises:
        ShapeError, ArgumentError: as :func:`tilewright.conv`; also an unknown operation, or sizes of 0.
        DtypeError: convolution doesn't take this dtype.

    >>> import tilewright as tw
    >>> explanation = tw.explain((1, 64, 7, 7), (32, 64, 1, 1), dtype="int32")
    >>> explanation.plan.family
    'numpy-pointwise'
    >>> explanation.answers[1]
    ('planes', 'declines: it computes float32 and float64 only')
    """
    if not isinstance(operation, str) or operation not in CONV_OPERATIONS:
        raise ArgumentError(
            f"explain needs operation to be one of {', '.join(CONV_OPERATIONS)}.",
            describe(operation=operation),
        )
    dims = ConvDims.of(
        _shape(input, "input"),
        _shape(weight, "weight"),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        op="explain",
    )
    if 0 in (*dims.input_shape, *dims.weight_shape, *dims.output_shape):
        raise ShapeError(
            "explain needs a convolution with something to compute: sizes of at least 1.",
            f"input with shape {dims.input_shape}, weight with shape {dims.weight_shape}",
        )
    element = dtype if dtype is not None else getattr(input, "dtype", "float32")
    name = getattr(element, "name", getattr(element, "__name__", element))
    if not isinstance(name, str) or name not in MULTIPLIED:
        raise DtypeError(
            f"explain needs dtype to be one that is convolved: {', '.join(MULTIPLIED)}.",
            describe(dtype=element),
        )
    carried, carrier = stand_in(dims, name, operation)
    exact = is_exact(name)
    explanation = explain_plan(operation, carried, carrier, exact=exact)
    given = raw(weight)
    if isinstance(given, np.ndarray) and given.dtype.name == carrier and not exact:
        return replace(explanation, passes=tuple(plans_of(operation, carried, given)))
    return explanation


def _shape(value: Any, name: str) -> tuple[int, ...]:
    shape = getattr(value, "shape", value)
    if not isinstance(shape, (tuple, list)):
        raise ArgumentError(f"explain needs {name} to be an array or a shape.", describe(**{name: value}))
    return tuple(as_integer(size, name, "explain", least=0) for size in shape)
