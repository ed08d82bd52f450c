"""Losses element by element on arrays, and what brings them to one number.

Every function returns one value per element (or per label); :func:`total` adds them up or averages them.
All take float32 or float64 arrays and return the same dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.op.arrays import FLOATS, broadcast_shape, check_array, check_same_dtype
from tilewright.op.memory import copy_in_c_order, empty_like, in_blocks, pooled, room, zeros_like
from tilewright.op.select import select, write_selected

Array = npt.NDArray[Any]

REDUCTIONS = ("none", "mean", "sum")
# log(0) counts as −100, as PyTorch has it: a loss stays finite for a probability of 0.
LEAST_LOG = -100.0
# The least x · (1 − x) that the gradient of binary cross-entropy divides by: PyTorch's number.
LEAST_SPREAD = 1e-12

_absolute, _negative, _sign, _square = map(pooled, (np.absolute, np.negative, np.sign, np.square))
_add, _multiply, _subtract = map(pooled, (np.add, np.multiply, np.subtract))
_maximum = pooled(np.maximum)
_equal, _less, _less_equal, _greater_equal, _and, _not = (
    pooled(test, np.bool_)
    for test in (np.equal, np.less, np.less_equal, np.greater_equal, np.logical_and, np.logical_not)
)


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
        fits = broadcast_shape(weight.shape, shape) == shape
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
    in_order = values if values.flags.c_contiguous else copy_in_c_order(values)
    found = np.add.reduce(in_order, axis=None)
    return np.asarray(found if divisor is None else found / values.dtype.type(divisor))


# --- losses of the difference input − target ---------------------------------------------------------------


def squared(d: Array) -> Any:
    """d²."""
    return _square(d)


def squared_slope(d: Array) -> Any:
    """2·d."""
    return _add(d, d)


def squared_curve(d: Array) -> Any:
    """2."""
    found = empty_like(d)
    found[...] = 2
    return found


def absolute(d: Array) -> Any:
    """|d|."""
    return _absolute(d)


def absolute_slope(d: Array) -> Any:
    """The sign of d, 0 at 0."""
    return _sign(d)


def absolute_curve(d: Array) -> Any:
    """0."""
    return zeros_like(d)


def smooth_absolute(d: Array, beta: float) -> Any:
    """½·d²/beta where |d| < beta, otherwise |d| − ½·beta."""
    one = d.dtype.type
    if beta == 0.0:
        return _absolute(d)
    return in_blocks(_smooth_absolute, d, one(beta), one(0.5 * beta), rooms=3)


def _smooth_absolute(
    out: Array, d: Array, beta: Any, half: Any, curved: Array, straight: Array, spare: Array
) -> None:
    np.absolute(d, out=straight)
    near = straight < beta
    np.subtract(straight, half, out=straight)
    np.multiply(d, d, out=curved)
    np.multiply(curved, d.dtype.type(0.5), out=curved)
    np.divide(curved, beta, out=curved)
    write_selected(out, near, curved, straight, spare)


def smooth_absolute_slope(d: Array, beta: float) -> Any:
    """d/beta, brought into [−1, 1]."""
    one = d.dtype.type
    if beta == 0.0:
        return _sign(d)
    return in_blocks(_smooth_absolute_slope, d, one(beta))


def _smooth_absolute_slope(out: Array, d: Array, beta: Any) -> None:
    np.divide(d, beta, out=out)
    np.clip(out, d.dtype.type(-1), d.dtype.type(1), out=out)


def smooth_absolute_curve(d: Array, beta: float) -> Any:
    """1/beta where |d| < beta, otherwise 0."""
    one = d.dtype.type
    if beta == 0.0:
        return zeros_like(d)
    return select(_less(_absolute(d), one(beta)), one(1.0 / beta), 0.0, d.dtype)


def huber(d: Array, delta: float) -> Any:
    """½·d² where |d| ≤ delta, otherwise delta·(|d| − ½·delta)."""
    one = d.dtype.type
    return in_blocks(_huber, d, one(delta), one(0.5 * delta), rooms=3)


def _huber(out: Array, d: Array, delta: Any, half: Any, curved: Array, straight: Array, spare: Array) -> None:
    np.absolute(d, out=straight)
    near = straight <= delta
    np.subtract(straight, half, out=straight)
    np.multiply(straight, delta, out=straight)
    np.multiply(d, d, out=curved)
    np.multiply(curved, d.dtype.type(0.5), out=curved)
    write_selected(out, near, curved, straight, spare)


def huber_slope(d: Array, delta: float) -> Any:
    """d, brought into [−delta, delta]."""
    return np.clip(d, d.dtype.type(-delta), d.dtype.type(delta), out=room(d.dtype, d))


def huber_curve(d: Array, delta: float) -> Any:
    """1 where |d| ≤ delta, otherwise 0."""
    one = d.dtype.type
    return select(_less_equal(_absolute(d), one(delta)), one(1), 0.0, d.dtype)


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
    outside = _not(_and(_greater_equal(x, x.dtype.type(0)), _less_equal(x, x.dtype.type(1))))
    if outside.any():
        raise ArgumentError(
            f"{op} needs input to be probabilities, from 0 to 1.",
            f"input with {int(outside.sum())} of {x.size} elements outside, the first {x[outside][0]}",
            "For logits, use binary_cross_entropy_with_logits.",
        )
    one, least = x.dtype.type(1), x.dtype.type(LEAST_LOG)
    # On a fresh copy: NumPy's logarithm of a strided array may differ in the last bit.
    log_x = copy_in_c_order(x)
    np.log(log_x, out=log_x)
    np.maximum(log_x, least, out=log_x)
    log_rest = copy_in_c_order(x)
    np.negative(log_rest, out=log_rest)
    np.log1p(log_rest, out=log_rest)
    np.maximum(log_rest, least, out=log_rest)
    values = _subtract(_multiply(_subtract(target, one), log_rest), _multiply(target, log_x))
    return np.asarray(values if weight is None else _multiply(values, weight))


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
    size = copy_in_c_order(x)
    np.absolute(size, out=size)
    np.negative(size, out=size)
    np.exp(size, out=size)
    np.log1p(size, out=size)
    soft = _add(size, _maximum(_negative(x), one(0)))
    if pos_weight is not None:
        soft = _multiply(soft, _add(_multiply(target, pos_weight - one(1)), one(1)))
    values = _add(_multiply(_subtract(one(1), target), x), soft)
    return np.asarray(values if weight is None else _multiply(values, weight))


def kl_div(x: Array, target: Array, log_target: bool = False) -> Array:
    """Gives target · (log target − x), 0 · log 0 counting as 0; x holds log-probabilities.

    With ``log_target`` the target holds log-probabilities too: exp(target) · (target − x).

    Raises:
        ShapeError, DtypeError: the operands don't fit.
    """
    check_pair(x, target, "kl_div")
    if log_target:
        likely = copy_in_c_order(target)
        np.exp(likely, out=likely)
        return np.asarray(_multiply(likely, _subtract(target, x)))
    logarithm = copy_in_c_order(target)
    np.log(logarithm, out=logarithm)
    nothing = _equal(target, x.dtype.type(0))
    own = select(nothing, 0.0, _multiply(target, logarithm), x.dtype)
    return np.asarray(_subtract(own, _multiply(target, x)))
