"""How far apart vectors are, and in what direction: PyTorch's cosine similarity and pairwise distance."""

from __future__ import annotations

from typing import Any

from tilewright.autograd.checks import axis, broadcast
from tilewright.autograd.operands import raw
from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.functional.activations import _flag, _number
from tilewright.functional.composing import check_floating, composed
from tilewright.functional.halves import takes_halves
from tilewright.functional.norms import normalize
from tilewright.functional.operands import Operand
from tilewright.op.arrays import check_same_dtype

__all__ = ["cosine_similarity", "pairwise_distance"]


@takes_halves
def cosine_similarity(x1: Operand, x2: Operand, dim: int = 1, eps: float = 1e-8) -> Any:
    """The cosine of the angle between vectors along ``dim``: x1·x2 / (max(‖x1‖, eps) · max(‖x2‖, eps)).

    Args:
        x1: floating, any shape with that axis.
        x2: of a shape that broadcasts against it, and of the same dtype.
        dim: the axis of the vectors, counted in the shape that both broadcast to.
        eps: the least length that is divided by.

    Raises:
        ShapeError: the shapes don't broadcast, or there is no such axis.
        DtypeError: dtypes differ or are not floating.

    >>> import numpy as np
    >>> cosine_similarity(np.array([[3.0, 4.0]]), np.array([[4.0, 3.0]]))
    array([0.96])
    """
    op = "cosine_similarity"
    least = _number(op, eps=eps)
    check_floating(op, x1=x1, x2=x2)
    check_same_dtype(op, x1=raw(x1), x2=raw(x2))
    shape = broadcast(op, x1.shape, x2.shape)
    along = axis(op, dim, len(shape))

    def cosine(a: Any, b: Any) -> Any:
        # Two numbers are vectors of one.
        a, b = (x.expand(shape or (1,)) if tuple(x.shape) != shape or not shape else x for x in (a, b))
        return (normalize(a, 2.0, along, least) * normalize(b, 2.0, along, least)).sum(along)

    return composed(cosine, x1, x2)


@takes_halves
def pairwise_distance(
    x1: Operand, x2: Operand, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Any:
    """The p-norm of x1 − x2 + eps along the last axis: how far each vector is from its partner.

    Args:
        x1: floating, (batch, features) or (features,).
        x2: of a shape that broadcasts against it, and of the same dtype.
        p: above 0; infinity takes the largest difference.
        eps: keeps the difference away from 0.
        keepdim: keep the last axis with size 1.

    Raises:
        ShapeError: the shapes don't broadcast.
        DtypeError: dtypes differ or are not floating.
        ArgumentError: p is not above 0.

    >>> import numpy as np
    >>> pairwise_distance(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]]), eps=0.0)
    array([5.])
    """
    op = "pairwise_distance"
    power, little, keepdim = _number(op, p=p), _number(op, eps=eps), _flag(op, keepdim=keepdim)
    if not power > 0:
        raise ArgumentError("pairwise_distance needs p above 0.", describe(p=p))
    check_floating(op, x1=x1, x2=x2)
    check_same_dtype(op, x1=raw(x1), x2=raw(x2))
    if not broadcast(op, x1.shape, x2.shape):
        raise ShapeError("pairwise_distance needs operands with an axis.", describe(x1=x1, x2=x2))
    return composed(lambda a, b: (a - b + little).norm(power, -1, keepdim), x1, x2)
