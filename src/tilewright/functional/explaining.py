"""Why a convolution is computed the way it is: the public face of the plan."""

from __future__ import annotations

from typing import Any

from tilewright.errors import ArgumentError, describe
from tilewright.geometry import ConvDims
from tilewright.plan import Explanation
from tilewright.plan import explain as explain_plan

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
        dtype: element type; the input's own, or float32 when a shape is given.

    Returns:
        An :class:`~tilewright.plan.Explanation`; print it, or read its ``plan`` and ``answers``.

    Raises:
        ShapeError, ArgumentError: as :func:`tilewright.conv`.

    >>> import tilewright as tw
    >>> explanation = tw.explain((1, 64, 7, 7), (32, 64, 1, 1), dtype="int32")
    >>> explanation.plan.family
    'numpy-pointwise'
    >>> explanation.answers[0]
    ('tiles-pointwise', 'declines: it computes float32 and float64 only')
    """
    dims = ConvDims.of(
        _shape(input, "input"),
        _shape(weight, "weight"),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        op="explain",
    )
    element = dtype if dtype is not None else getattr(input, "dtype", "float32")
    return explain_plan(operation, dims, getattr(element, "name", str(element)))


def _shape(value: Any, name: str) -> tuple[int, ...]:
    shape = getattr(value, "shape", value)
    if not isinstance(shape, (tuple, list)):
        raise ArgumentError(f"explain needs {name} to be an array or a shape.", describe(**{name: value}))
    return tuple(shape)
