"""Operations on two operands: + - * / // % **, maximum, minimum, where."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.autograd.checks import broadcast
from tilewright.autograd.complexes import conjugated
from tilewright.autograd.dtypes import get_default_dtype, of_number, result_type
from tilewright.autograd.operands import cast as cast
from tilewright.autograd.operands import combine, ordered, pair, python_number, raw, unbroadcast
from tilewright.autograd.tape import Array, Context, Taped, X, apply, is_tensor, made, rule
from tilewright.errors import ArgumentError, DtypeError, describe
from tilewright.op.memory import copy, pooled
from tilewright.op.select import select

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

Pair = tuple["Tensor | None", "Tensor | None"]


def _crossed(needs: tuple[bool, ...]) -> tuple[int, ...]:
    """Each operand is read for the gradient of the other."""
    return (1,) * needs[0] + (0,) * needs[1]


def _both_for_second(needs: tuple[bool, ...]) -> tuple[int, ...]:
    return (0, 1) if needs[1] else (1,)


# --- the rules -------------------------------------------------------------------------------------------


def _add_backward(context: Context, gradient: Tensor) -> Pair:
    needs, shapes = context.needs, context.shapes
    return (
        unbroadcast(gradient, shapes[0]) if needs[0] else None,
        unbroadcast(gradient, shapes[1]) if needs[1] else None,
    )


def _sub_backward(context: Context, gradient: Tensor) -> Pair:
    needs, shapes = context.needs, context.shapes
    return (
        unbroadcast(gradient, shapes[0]) if needs[0] else None,
        -unbroadcast(gradient, shapes[1]) if needs[1] else None,
    )


def _mul_backward(context: Context, gradient: Tensor) -> Pair:
    needs, shapes = context.needs, context.shapes
    return (
        unbroadcast(gradient * conjugated(context.operand(1)), shapes[0]) if needs[0] else None,
        unbroadcast(gradient * conjugated(context.operand(0)), shapes[1]) if needs[1] else None,
    )


def _div_backward(context: Context, gradient: Tensor) -> Pair:
    needs, shapes = context.needs, context.shapes
    divisor = context.operand(1)
    share = gradient / conjugated(divisor)
    return (
        unbroadcast(share, shapes[0]) if needs[0] else None,
        -unbroadcast(share * conjugated(context.operand(0) / divisor), shapes[1]) if needs[1] else None,
    )


def _remainder_backward(context: Context, gradient: Tensor) -> Pair:
    needs, shapes = context.needs, context.shapes
    return (
        unbroadcast(gradient, shapes[0]) if needs[0] else None,
        -unbroadcast(gradient * floor_divide(context.operand(0), context.operand(1)), shapes[1])
        if needs[1]
        else None,
    )


_multiply, _power, _square = pooled(np.multiply), pooled(np.power), pooled(np.square)
_sqrt, _reciprocal = pooled(np.sqrt), pooled(np.reciprocal)


def _power_forward(context: Context, base: Any, exponent: Any) -> Any:
    if not isinstance(exponent, np.ndarray):
        # NumPy's own short cuts hold for Python numbers only; np.power is 20 times slower than these.
        if exponent == 2:
            return _square(base)
        if exponent == 1:
            return copy(np.asarray(base))
        if exponent == 3:
            return _multiply(_multiply(base, base), base)
        if base.dtype.kind in "fc":
            if exponent == 0.5:
                return _sqrt(base)
            if exponent == -1:
                return _reciprocal(base)
    return _power(base, exponent)


def _power_backward(context: Context, gradient: Tensor) -> Pair:
    base, exponent = context.operand(0), context.operand(1)
    for_base = for_exponent = None
    if context.needs[0]:
        if is_tensor(exponent):
            slope = where(exponent == 0, 0.0, exponent * base ** (exponent - 1))
        elif exponent == 0:
            slope = base * 0.0
        else:
            power = exponent.item()
            power = power if isinstance(power, complex) else float(power)
            slope = base * 2.0 if exponent == 2 else base ** (power - 1.0) * power
        for_base = unbroadcast(gradient * conjugated(slope), context.shapes[0])
    if context.needs[1]:
        from tilewright.autograd.elementwise import log

        result = context.output()
        # x^y·log x tends to 0 as x does, when y ≥ 0.
        base = base if isinstance(base, Taped) else made(np.asarray(base))
        flat = _flat(base, exponent)
        slope = where(flat, 0.0, result * log(where(flat, 1.0, base)))
        for_exponent = unbroadcast(gradient * conjugated(slope), context.shapes[1])
    return for_base, for_exponent


def _flat(base: Any, exponent: Any) -> Any:
    """Where x^y has slope 0 in y: x = 0 and y ≥ 0."""
    return base == 0 if base.dtype.kind == "c" else (base == 0) & (exponent >= 0)


def _larger_backward(context: Context, gradient: Tensor) -> Pair:
    return _chosen_backward(context, gradient, operator.gt)


def _smaller_backward(context: Context, gradient: Tensor) -> Pair:
    return _chosen_backward(context, gradient, operator.lt)


def _chosen_backward(context: Context, gradient: Tensor, wins: Callable[[Any, Any], Any]) -> Pair:
    first, second = context.operand(0), context.operand(1)
    # Equal operands share the gradient.
    shared = where(first == second, gradient * 0.5, gradient)
    needs, shapes = context.needs, context.shapes
    return (
        unbroadcast(where(wins(second, first), 0.0, shared), shapes[0]) if needs[0] else None,
        unbroadcast(where(wins(first, second), 0.0, shared), shapes[1]) if needs[1] else None,
    )


def _where_forward(context: Context, condition: Array, chosen: Array, otherwise: Array) -> Array:
    # Both are of one dtype here; numbers as wide as an integer are chosen by their bits, far faster.
    if chosen.dtype == otherwise.dtype and chosen.dtype.kind == "f" and chosen.dtype.itemsize in (4, 8):
        return select(condition, chosen, otherwise, chosen.dtype)
    return np.asarray(np.where(condition, chosen, otherwise))


def _where_backward(context: Context, gradient: Tensor) -> tuple[Tensor | None, ...]:
    condition = context.operand(0)
    needs, shapes = context.needs, context.shapes
    return (
        None,
        unbroadcast(where(condition, gradient, 0.0), shapes[1]) if needs[1] else None,
        unbroadcast(where(condition, 0.0, gradient), shapes[2]) if needs[2] else None,
    )


def _plain(function: np.ufunc) -> Callable[..., Any]:
    """A NumPy function as a forward that keeps nothing."""
    pool = pooled(function)
    return lambda context, *arrays: pool(*arrays)


rule("add", _plain(np.add), _add_backward, keeps=(), keeps_output=False)
rule("sub", _plain(np.subtract), _sub_backward, keeps=(), keeps_output=False)
rule("mul", _plain(np.multiply), _mul_backward, keeps=_crossed, keeps_output=False)
rule("div", _plain(np.true_divide), _div_backward, keeps=_both_for_second, keeps_output=False)
rule("floor_divide", _plain(np.floor_divide))
rule("remainder", _plain(np.remainder), _remainder_backward, keeps=_both_for_second, keeps_output=False)
rule("pow", _power_forward, _power_backward, keeps=(0, 1))
rule("maximum", _plain(np.maximum), _larger_backward, keeps=(0, 1), keeps_output=False)
rule("minimum", _plain(np.minimum), _smaller_backward, keeps=(0, 1), keeps_output=False)
rule("where", _where_forward, _where_backward, keeps=(0,), keeps_output=False)


# --- the functions ---------------------------------------------------------------------------------------


def add(input: X, other: Any, *, alpha: int | float = 1) -> X:
    """``input + alpha · other``, elementwise, broadcast.

    Raises:
        ShapeError: the shapes don't broadcast.
        DtypeError: an operand is neither a Tensor, an array nor a number.
    """
    if alpha != 1:
        other = _scaled(other, alpha)
    result: X = combine("add", input, other)
    return result


def sub(input: X, other: Any, *, alpha: int | float = 1) -> X:
    """``input − alpha · other``; errors as for :func:`add`."""
    if alpha != 1:
        other = _scaled(other, alpha)
    _not_two_bools("sub", input, other)
    result: X = combine("sub", input, other)
    return result


def _not_two_bools(name: str, *operands: Any) -> None:
    if all(isinstance(x, bool) or getattr(x, "dtype", None) == np.bool_ for x in operands):
        raise DtypeError(
            f"{name} needs numbers, not two bools.", describe(operand=operands[0]), "Use x.long() first."
        )


def _scaled(value: Any, factor: float) -> Any:
    return mul(value, factor) if hasattr(value, "ndim") else value * factor


def rsub(input: X, other: Any) -> X:
    """``other − input``."""
    result: X = sub(other, input)
    return result


def mul(input: X, other: Any) -> X:
    """``input · other``, elementwise; errors as for :func:`add`."""
    result: X = combine("mul", input, other)
    return result


def div(input: X, other: Any, *, rounding_mode: str | None = None) -> X:
    """``input / other``; integers give floats. ``rounding_mode`` may be "floor" or "trunc"."""
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode not in (None, "trunc"):
        raise ArgumentError(
            "div needs rounding_mode None, 'floor' or 'trunc'.", describe(rounding_mode=rounding_mode)
        )
    first, second = pair("div", input, other)
    whole = first.dtype.kind in "biu"
    if whole:
        first, second = _as_default(first), _as_default(second)
    result: X = combine("div", first, second)
    if rounding_mode == "trunc":
        from tilewright.autograd.elementwise import trunc

        result = trunc(result)
        return cast(result, result_type(input, other)) if whole else result
    return result


def _as_default(value: Any) -> Any:
    """A Tensor, an array or a NumPy number in the default float dtype."""
    dtype = get_default_dtype()
    return dtype.type(value) if isinstance(value, np.generic) else cast(value, dtype)


def rdiv(input: X, other: Any) -> X:
    """``other / input``."""
    result: X = div(other, input)
    return result


def floor_divide(input: X, other: Any) -> X:
    """``⌊input / other⌋``; no gradient.

    Raises:
        ArgumentError: integers are divided by 0.
    """
    _not_two_bools("floor_divide", input, other)
    _no_integer_zero("floor_divide", input, other)
    result: X = combine("floor_divide", input, other)
    return result


def rfloor_divide(input: X, other: Any) -> X:
    """``⌊other / input⌋``."""
    result: X = floor_divide(other, input)
    return result


def remainder(input: X, other: Any) -> X:
    """``input − other · ⌊input / other⌋``: the sign is that of the divisor.

    Raises:
        ArgumentError: integers are divided by 0.
    """
    _not_two_bools("remainder", input, other)
    _no_integer_zero("remainder", input, other)
    result: X = combine("remainder", input, other)
    return result


def rremainder(input: X, other: Any) -> X:
    """``other mod input``."""
    result: X = remainder(other, input)
    return result


def _no_integer_zero(name: str, input: Any, other: Any) -> None:
    first, second = raw(input), raw(other)
    kinds = {np.asarray(x).dtype.kind for x in (first, second)}
    if kinds <= set("biu") and not np.all(second):
        raise ArgumentError(
            f"{name} needs integers to be divided by other than 0.", "a divisor with a 0 in it"
        )


def pow(input: X, exponent: Any) -> X:
    """``input ^ exponent``, elementwise.

    Raises:
        ArgumentError: an integer is raised to a negative power.
    """
    _not_two_bools("pow", input, exponent)
    first, second = pair("pow", input, exponent)
    if first.dtype.kind in "iu" and np.any(raw(second) < 0):
        raise ArgumentError(
            "pow needs an exponent of 0 or more for integers.", "a negative exponent", "Use x.float() first."
        )
    result: X = combine("pow", first, second)
    return result


def rpow(input: X, other: Any) -> X:
    """``other ^ input``."""
    result: X = pow(other, input)
    return result


def maximum(input: X, other: Any) -> X:
    """The larger of two, elementwise; NaN if either is. Equal ones get half the gradient each."""
    ordered("maximum", input, other)
    result: X = combine("maximum", input, other)
    return result


def minimum(input: X, other: Any) -> X:
    """The smaller of two, elementwise; NaN if either is. Equal ones get half the gradient each."""
    ordered("minimum", input, other)
    result: X = combine("minimum", input, other)
    return result


def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """``input`` where ``condition`` holds and ``other`` elsewhere; with the condition alone, where it holds.

    Args:
        condition: a bool Tensor or array.
        input: Tensor, array or number.
        other: Tensor, array or number.

    Returns:
        A Tensor or array; with the condition alone a tuple of index Tensors or arrays, one for each axis.

    Raises:
        DtypeError: ``condition`` is not bool.
        ShapeError: the shapes don't broadcast.
    """
    test = raw(condition)
    if not isinstance(test, np.ndarray) or test.dtype != np.bool_:
        raise DtypeError("where needs a condition of bools.", describe(condition=condition))
    if input is None and other is None:
        found = np.nonzero(test)
        return tuple(made(x) for x in found) if isinstance(condition, Taped) else found
    if isinstance(raw(input), np.ndarray) or isinstance(raw(other), np.ndarray):
        input, other = pair("where", input, other)
    else:
        one, two = python_number("where", input), python_number("where", other)
        dtype = max(of_number(one), of_number(two), key=lambda found: "biufVc".index(found.kind))
        input, other = np.asarray(one, dtype), np.asarray(two, dtype)
    broadcast("where", test.shape, np.shape(raw(input)), np.shape(raw(other)))
    return apply("where", condition, input, other)
