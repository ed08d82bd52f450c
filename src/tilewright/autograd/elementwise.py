"""Operations on one operand, elementwise: exp, log, tanh, clamp, rounding."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.autograd.arithmetic import where
from tilewright.autograd.checks import broadcast
from tilewright.autograd.complexes import conjugated
from tilewright.autograd.operands import cast, floating, ordered, pair, raw, unbroadcast
from tilewright.autograd.tape import Array, Context, X, apply, apply_to_tensors, made, rule, run
from tilewright.errors import ArgumentError, DtypeError, describe
from tilewright.op import activation as op
from tilewright.op.fused import sigmoid_gradient, tanh_gradient
from tilewright.op.memory import in_blocks, pooled

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

# Tensor → Tensor; typed loosely, because these functions are written before the Tensor's operators are known.
Slope = Callable[[Any], Any]


def _forward(function: Callable[[Array], Any]) -> Callable[..., Any]:
    return lambda context, x: function(x)


def _from_input(name: str, function: Callable[[Array], Any], slope: Slope) -> None:
    """A rule whose slope is a function of its input."""
    rule(
        name,
        _forward(function),
        lambda context, gradient: gradient * conjugated(slope(context.input(0))),
        keeps=(0,),
        keeps_output=False,
    )


def _from_output(name: str, function: Callable[[Array], Any], slope: Slope) -> None:
    """A rule whose slope is a function of its output."""
    rule(
        name,
        _forward(function),
        lambda context, gradient: gradient * conjugated(slope(context.output())),
        keeps=(),
    )


def _from_output_in_one(
    name: str, function: Callable[[Array], Any], gradient: Callable[[Array, Array], Array], bend: Slope
) -> None:
    """A rule whose slope is a function of its output, with a rule of its own for the gradient.

    Args:
        name: of the operation.
        function: of its input.
        gradient: ``gradient(g, y)``, linear in g.
        bend: ``bend(y)``, its derivative by y over g.
    """
    own = f"{name}_gradient"

    def again(context: Context, gg: Tensor) -> tuple[Tensor | None, ...]:
        y = context.input(1)
        return (
            apply(own, gg, y) if context.needs[0] else None,
            gg * context.input(0) * bend(y) if context.needs[1] else None,
        )

    rule(name, _forward(function), lambda context, g: apply_to_tensors(own, g, context.output()), keeps=())
    rule(
        own,
        lambda context, g, y: gradient(g, y),
        again,
        keeps=lambda needs: (0, 1) if needs[1] else (1,),
        keeps_output=False,
    )


def _stepwise(name: str, function: Callable[[Array], Any]) -> None:
    """A rule whose slope is 0 wherever it has one."""
    rule(name, _forward(function), lambda context, gradient: gradient * 0.0, keeps=(), keeps_output=False)


def _rsqrt(out: Array, x: Array) -> None:
    np.sqrt(x, out=out)
    np.reciprocal(out, out=out)


def _round_half_even(x: Array) -> Any:
    return x if x.dtype.kind in "biu" else _rint(x)


def _unless_whole(function: np.ufunc) -> Callable[[Array], Any]:
    """NumPy's floor and kin refuse bools; whole numbers are their own floor."""
    pool = pooled(function)
    return lambda x: np.array(x) if x.dtype.kind in "biu" else pool(x)


def _abs_backward(context: Context, gradient: Tensor) -> Tensor:
    x = context.input(0)
    if x.dtype.kind != "c":
        return gradient * sign(x)
    # The direction of x, and 0 where it has none. Not conjugated: |x| is no holomorphic function.
    length = abs(x)
    none = length == 0
    direction: Tensor = where(none, 0.0, x / where(none, 1.0, length))
    return gradient * direction


_rint, _sign = pooled(np.rint), pooled(np.sign)

rule("neg", _forward(pooled(np.negative)), lambda context, gradient: -gradient, keeps=(), keeps_output=False)
rule("abs", _forward(pooled(np.absolute)), _abs_backward, keeps=(0,), keeps_output=False)
_from_output("exp", pooled(np.exp), lambda y: y)
_from_output("expm1", pooled(np.expm1), lambda y: y + 1.0)
_from_input("log", pooled(np.log), lambda x: reciprocal(x))
_from_input("log2", pooled(np.log2), lambda x: reciprocal(x * math.log(2.0)))
_from_input("log10", pooled(np.log10), lambda x: reciprocal(x * math.log(10.0)))
_from_input("log1p", pooled(np.log1p), lambda x: reciprocal(x + 1.0))
_from_output("sqrt", pooled(np.sqrt), lambda y: reciprocal(y * 2.0))
_from_output("rsqrt", lambda x: in_blocks(_rsqrt, x), lambda y: y * y * y * -0.5)
_from_output("reciprocal", pooled(np.reciprocal), lambda y: -(y * y))
_from_input("square", pooled(np.square), lambda x: x * 2.0)
_from_input("sin", pooled(np.sin), lambda x: cos(x))
_from_input("cos", pooled(np.cos), lambda x: -sin(x))
_from_output("tan", pooled(np.tan), lambda y: y * y + 1.0)
_from_output("sinh", pooled(np.sinh), lambda y: sqrt(y * y + 1.0))
_from_input("cosh", pooled(np.cosh), lambda x: sinh(x))
_from_output_in_one("tanh", pooled(np.tanh), tanh_gradient, lambda y: y * -2.0)
_from_input("asin", pooled(np.arcsin), lambda x: rsqrt(1.0 - x * x))
_from_input("acos", pooled(np.arccos), lambda x: -rsqrt(1.0 - x * x))
_from_input("atan", pooled(np.arctan), lambda x: reciprocal(x * x + 1.0))
_from_output_in_one("sigmoid", op.sigmoid, sigmoid_gradient, lambda y: 1.0 - y * 2.0)
_stepwise("sign", lambda x: _sign(x) if x.dtype != np.bool_ else np.array(x))
_stepwise("floor", _unless_whole(np.floor))
_stepwise("ceil", _unless_whole(np.ceil))
_stepwise("round", _round_half_even)
_stepwise("trunc", _unless_whole(np.trunc))


def _relu_backward(context: Context, gradient: Tensor) -> Tensor:
    y = context.output()
    # Without y's history: nothing flows back through what only says where the gradient passes.
    still = made(y._data)
    still._version = y._version
    return apply_to_tensors("relu_gradient", gradient, still)


def _relu_gradient(context: Context, g: Array, y: Array) -> Array:
    return op.relu_gradient(g, y)


def _relu_gradient_backward(context: Context, gg: Tensor) -> tuple[Tensor, None]:
    return apply_to_tensors("relu_gradient", gg, context.input(1)), None


rule("relu", _forward(op.relu), _relu_backward, keeps=())
rule("relu_gradient", _relu_gradient, _relu_gradient_backward, keeps=(1,), keeps_output=False)


def _clamp_forward(context: Context, x: Array, low: Any, high: Any) -> Array:
    y = x if low is None else _maximum(x, low)
    y = y if high is None else _minimum(y, high)
    if any(context.needs):
        inside = _at_least(x, low) if high is None else _at_most(x, high)
        if low is not None and high is not None:
            inside = _both(_at_least(x, low), inside)
        context.save(inside=inside)
        if len(context.needs) == 3 and (context.needs[1] or context.needs[2]):
            # Where low > high, high decides.
            crossed = False if low is None or high is None else low > high
            if low is not None:
                context.save(at_low=np.logical_and(x < low, np.logical_not(crossed)))
            if high is not None:
                context.save(at_high=np.logical_or(x > high, crossed))
    return np.array(x) if y is x else y


def _clamp_backward(context: Context, gradient: Tensor) -> tuple[Tensor | None, ...]:
    found: list[Tensor | None] = []
    for number, name in enumerate(("inside", "at_low", "at_high")):
        if context.needs[number]:
            part = where(np.asarray(context.saved[name]), gradient, 0.0)
            found.append(unbroadcast(part, context.shapes[number]))
        else:
            found.append(None)
    return tuple(found)


_maximum, _minimum = pooled(np.maximum), pooled(np.minimum)
_at_least, _at_most = pooled(np.greater_equal, np.bool_), pooled(np.less_equal, np.bool_)
_both = pooled(np.logical_and, np.bool_)

rule("clamp", _clamp_forward, _clamp_backward, keeps=(), keeps_output=False)


def _real(name: str, input: X) -> X:
    """``input``, if it holds numbers and not bools."""
    if input.dtype == np.bool_:
        raise DtypeError(f"{name} needs numbers, not bools.", describe(input=input))
    return input


def neg(input: X) -> X:
    """``−input``."""
    return run("neg", _real("neg", input))


def positive(input: X) -> X:
    """``+input``: the tensor itself."""
    return _real("positive", input)


def abs(input: X) -> X:
    """The absolute value; slope 0 at 0."""
    return run("abs", input)


def exp(input: X) -> X:
    """E to the power of each element; integers give the default float dtype, as in all functions here."""
    return run("exp", floating("exp", input))


def expm1(input: X) -> X:
    """``exp(input) − 1``, exact near 0."""
    return run("expm1", floating("expm1", input))


def log(input: X) -> X:
    """The natural logarithm; −infinity at 0, NaN below."""
    return run("log", floating("log", input))


def log2(input: X) -> X:
    """The logarithm to base 2."""
    return run("log2", floating("log2", input))


def log10(input: X) -> X:
    """The logarithm to base 10."""
    return run("log10", floating("log10", input))


def log1p(input: X) -> X:
    """``log(1 + input)``, exact near 0."""
    return run("log1p", floating("log1p", input))


def sqrt(input: X) -> X:
    """The square root; NaN below 0."""
    return run("sqrt", floating("sqrt", input))


def rsqrt(input: X) -> X:
    """``1 / sqrt(input)``."""
    return run("rsqrt", floating("rsqrt", input))


def reciprocal(input: X) -> X:
    """``1 / input``."""
    return run("reciprocal", floating("reciprocal", input))


def square(input: X) -> X:
    """``input · input``."""
    return run("square", input if input.dtype != np.bool_ else cast(input, np.dtype(np.int64)))


def sin(input: X) -> X:
    """The sine (radians)."""
    return run("sin", floating("sin", input))


def cos(input: X) -> X:
    """The cosine (radians)."""
    return run("cos", floating("cos", input))


def tan(input: X) -> X:
    """The tangent (radians)."""
    return run("tan", floating("tan", input))


def sinh(input: X) -> X:
    """The hyperbolic sine."""
    return run("sinh", floating("sinh", input))


def cosh(input: X) -> X:
    """The hyperbolic cosine."""
    return run("cosh", floating("cosh", input))


def tanh(input: X) -> X:
    """The hyperbolic tangent."""
    return run("tanh", floating("tanh", input))


def asin(input: X) -> X:
    """The inverse of the sine, in radians."""
    return run("asin", floating("asin", input))


def acos(input: X) -> X:
    """The inverse of the cosine, in radians."""
    return run("acos", floating("acos", input))


def atan(input: X) -> X:
    """The inverse of the tangent, in radians."""
    return run("atan", floating("atan", input))


def sigmoid(input: X) -> X:
    """``1 / (1 + exp(−input))``, without overflow."""
    return run("sigmoid", floating("sigmoid", input))


def relu(input: X) -> X:
    """``max(input, 0)``; slope 0 at 0, NaN stays."""
    ordered("relu", input)
    return run("relu", _real("relu", input))


def sign(input: X) -> X:
    """−1, 0 or 1; slope 0."""
    ordered("sign", input)
    return run("sign", input)


def floor(input: X) -> X:
    """The next whole number below; slope 0."""
    return run("floor", input)


def ceil(input: X) -> X:
    """The next whole number above; slope 0."""
    return run("ceil", input)


def trunc(input: X) -> X:
    """The next whole number towards 0; slope 0."""
    return run("trunc", input)


def round(input: X, *, decimals: int = 0) -> X:
    """The nearest number with so many decimals, halves to the even one; slope 0."""
    if decimals == 0:
        return run("round", input)
    scale = 10.0**decimals
    result: X = run("round", input * scale) / scale
    return result


def clamp(input: X, min: Any = None, max: Any = None) -> X:
    """Each element brought into [min, max]; a bound is a number, a Tensor or an array, or left out.

    NaN stays. The gradient passes where ``min ≤ input ≤ max``. Where min > max, max decides.

    Raises:
        ArgumentError: both bounds are left out.
        ShapeError: the shapes don't broadcast.

    Example:
        >>> clamp(np.array([-1.0, 0.5, 3.0]), 0, 1)
        array([0. , 0.5, 1. ])
    """
    if min is None and max is None:
        raise ArgumentError("clamp needs min, max or both.", describe(min=min, max=max))
    x: Any = input
    ordered("clamp", input, min, max)
    for bound in (min, max):
        if bound is not None:
            x, _ = pair("clamp", x, bound)
    low = None if min is None else pair("clamp", x, min)[1]
    high = None if max is None else pair("clamp", x, max)[1]
    broadcast("clamp", *(np.shape(raw(b)) for b in (x, low, high) if b is not None))
    result: X = apply("clamp", x, low, high)
    return result


clip = clamp
