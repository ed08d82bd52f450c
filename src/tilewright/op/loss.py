"""Losses element by element on arrays, and what brings them to one number.

Every function returns one value per element (or per label); :func:`total` adds them up or averages them.
All take float32 or float64 arrays and return the same dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.op.arrays import FLOATS, check_array, check_same_dtype

Array = npt.NDArray[Any]

REDUCTIONS = ("none", "mean", "sum")
# log(0) counts as −100, as PyTorch has it: a loss stays finite for a probability of 0.
LEAST_LOG = -100.0
# The least x · (1 − x) that the gradient of binary cross-entropy divides by: PyTorch's number.
LEAST_SPREAD = 1e-12


def check_reduction(reduction: Any, op: str, allowed: tuple[str, ...] = REDUCTIONS) -> str:
    """``reduction``, if it is one of the allowed names.

    Raises:
        ArgumentError: it is not.
    """
    if not isinstance(reduction, str) or reduction not in allowed:
        names = ", ".join(repr(name) for name in allowed)
        raise ArgumentError(f"{op} needs reduction to be one of {names}.", describe(reduction=reduction))
    return reduction


def check_pair(x: Array, target: Array, op: str) -> None:
    """Refuse operands of different shapes or dtypes: broadcasting here is nearly always a mistake.

    Raises:
        ShapeError, DtypeError: naming both.
    """
    check_array(x, "input", op, FLOATS)
    check_array(target, "target", op, FLOATS)
    if x.shape != target.shape:
        raise ShapeError(
            f"{op} needs input and target of one shape.",
            describe(input=x, target=target),
            "Reshape one of them, or broadcast it on purpose with numpy.broadcast_to or expand.",
        )
    check_same_dtype(op, input=x, target=target)


def check_weight(weight: Array | None, shape: tuple[int, ...], dtype: Any, name: str, op: str) -> None:
    """Refuse factors that don't broadcast to ``shape``, or of another dtype.

    Raises:
        ShapeError, DtypeError: naming the factor.
    """
    if weight is None:
        return
    check_array(weight, name, op, FLOATS)
    try:
        fits = np.broadcast_shapes(weight.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            f"{op} needs {name} of a shape that broadcasts to the input's {shape}.",
            describe(**{name: weight}),
        )
    check_same_dtype(op, input=np.empty(0, dtype), **{name: weight})


def total(values: Array, divisor: float | None) -> Array:
    """The sum of all values, over ``divisor`` unless that is None. A mean of nothing is NaN."""
    # In C order, so that the same values are added in the same order whatever their layout.
    found = np.add.reduce(np.ascontiguousarray(values), axis=None)
    return np.asarray(found if divisor is None else found / values.dtype.type(divisor))


# --- losses of the difference input − target ---------------------------------------------------------------


def squared(d: Array) -> Any:
    """d²."""
    return np.square(d)


def squared_slope(d: Array) -> Any:
    """2·d."""
    return d + d


def squared_curve(d: Array) -> Any:
    """2."""
    return np.full_like(d, 2)


def absolute(d: Array) -> Any:
    """|d|."""
    return np.absolute(d)


def absolute_slope(d: Array) -> Any:
    """The sign of d, 0 at 0."""
    return np.sign(d)


def absolute_curve(d: Array) -> Any:
    """0."""
    return np.zeros_like(d)


def smooth_absolute(d: Array, beta: float) -> Any:
    """½·d²/beta where |d| < beta, otherwise |d| − ½·beta."""
    one = d.dtype.type
    size = np.absolute(d)
    if beta == 0.0:
        return size
    return np.where(size < one(beta), d * d * one(0.5) / one(beta), size - one(0.5 * beta))


def smooth_absolute_slope(d: Array, beta: float) -> Any:
    """d/beta, brought into [−1, 1]."""
    one = d.dtype.type
    if beta == 0.0:
        return np.sign(d)
    return np.clip(d / one(beta), one(-1), one(1))


def smooth_absolute_curve(d: Array, beta: float) -> Any:
    """1/beta where |d| < beta, otherwise 0."""
    one = d.dtype.type
    if beta == 0.0:
        return np.zeros_like(d)
    return np.where(np.absolute(d) < one(beta), one(1.0 / beta), one(0))


def huber(d: Array, delta: float) -> Any:
    """½·d² where |d| ≤ delta, otherwise delta·(|d| − ½·delta)."""
    one = d.dtype.type
    size = np.absolute(d)
    return np.where(size <= one(delta), d * d * one(0.5), (size - one(0.5 * delta)) * one(delta))


def huber_slope(d: Array, delta: float) -> Any:
    """d, brought into [−delta, delta]."""
    return np.clip(d, d.dtype.type(-delta), d.dtype.type(delta))


def huber_curve(d: Array, delta: float) -> Any:
    """1 where |d| ≤ delta, otherwise 0."""
    one = d.dtype.type
    return np.where(np.absolute(d) <= one(delta), one(1), one(0))


# --- losses of probabilities -------------------------------------------------------------------------------


def binary_cross_entropy(x: Array, target: Array, weight: Array | None = None) -> Array:
    """−weight · (target · log x + (1 − target) · log(1 − x)), each logarithm at least −100.

    Args:
        x: probabilities, from 0 to 1.
        target: as many numbers, usually from 0 to 1.
        weight: factors that broadcast to the shape of x.

    Raises:
        ArgumentError: x has numbers outside 0 … 1, or NaN.
        ShapeError, DtypeError: the operands don't fit.
    """
    op = "binary_cross_entropy"
    check_pair(x, target, op)
    check_weight(weight, x.shape, x.dtype, "weight", op)
    outside = ~((x >= 0) & (x <= 1))
    if outside.any():
        raise ArgumentError(
            f"{op} needs input to be probabilities, from 0 to 1.",
            f"input with {int(outside.sum())} of {x.size} elements outside, the first {x[outside][0]}",
            "For logits, use binary_cross_entropy_with_logits.",
        )
    one, least = x.dtype.type(1), x.dtype.type(LEAST_LOG)
    # On a fresh copy: NumPy's logarithm of a strided array may differ in the last bit.
    log_x = np.maximum(np.log(np.array(x, order="C")), least)
    log_rest = np.maximum(np.log1p(np.negative(x, order="C")), least)
    values = (target - one) * log_rest - target * log_x
    return np.asarray(values if weight is None else values * weight)


def binary_cross_entropy_with_logits(
    x: Array, target: Array, weight: Array | None = None, pos_weight: Array | None = None
) -> Array:
    """Binary cross-entropy of sigmoid(x), computed without forming it.

    weight · ((1 − target) · x + (1 + (pos_weight − 1) · target) · log(1 + exp(−x)))

    Args:
        x: logits, any real numbers.
        target: as many numbers, usually from 0 to 1.
        weight: factors that broadcast to the shape of x.
        pos_weight: factors that broadcast to the shape of x.

    Raises:
        ShapeError, DtypeError: the operands don't fit.
    """
    op = "binary_cross_entropy_with_logits"
    check_pair(x, target, op)
    check_weight(weight, x.shape, x.dtype, "weight", op)
    check_weight(pos_weight, x.shape, x.dtype, "pos_weight", op)
    one = x.dtype.type
    # log(1 + exp(−x)), with exp only ever of −|x|.
    soft = np.log1p(np.exp(-np.absolute(np.array(x, order="C")))) + np.maximum(-x, one(0))
    if pos_weight is not None:
        soft = soft * (target * (pos_weight - one(1)) + one(1))
    values = (one(1) - target) * x + soft
    return np.asarray(values if weight is None else values * weight)


def kl_div(x: Array, target: Array, log_target: bool = False) -> Array:
    """Gives target · (log target − x), 0 · log 0 counting as 0; x holds log-probabilities.

    With ``log_target`` the target holds log-probabilities too: exp(target) · (target − x).

    Raises:
        ShapeError, DtypeError: the operands don't fit.
    """
    check_pair(x, target, "kl_div")
    if log_target:
        return np.asarray(np.exp(np.array(target, order="C")) * (target - x))
    zero = x.dtype.type(0)
    own = np.where(target == zero, zero, target * np.log(np.array(target, order="C")))
    return np.asarray(own - target * x)
