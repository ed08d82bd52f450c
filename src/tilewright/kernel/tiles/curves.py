"""The smooth activations: tanh, the logistic sigmoid, SiLU and GELU, all made of one exponential function.

exp is only taken of numbers that are not positive, so nothing overflows, and a small result comes from a
product and keeps its digits. A factor that is too small for a normal number is computed 2^scale times too
large and brought down at the end, so that the result is rounded once. A NaN stays NaN at every step.

Measured against functions of higher precision, over all magnitudes and subnormal numbers too, with and
without fused multiply-add: no result is wrong by more than 3.2 units in the last place, or 4.7 in GELU; and
doubles are right to 6e-16.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tilewright.kernel.builder import Function, Value, element, lanes, vector


@dataclass(frozen=True)
class Format:
    """What depends on the type of float.

    Attributes:
        integer: the integer type of the same size.
        fraction: bits of the fraction, above which the exponent stands.
        bias: the exponent's bits of 1.
        scale: so many binary places up, every factor below 1 is a normal number.
        ln2: ln 2 in two parts. The upper has so few bits that its products with the whole numbers that occur
            are exact; the lower holds the next ones.
        expm1: c of exp(r) − 1 = r + r²·c(r) for r from −ln 2 / 2 to ln 2 / 2, lowest power first. It meets c
            at the zeros, save 0 itself, of the Chebyshev polynomial that has one zero more; this spreads the
            relative error of exp(r) − 1 evenly. Solved in 60 digits and then rounded: 3e-9 and 2.5e-17.
        tail: P(N > z) · exp(z²/2) · (z + 4) for a standard normal N, lowest power first, as a polynomial in
            u, which runs from 1 to −1 as 1 / (z + 4) does while z runs from 0 to ``normal``. (In such a u all
            of the tail is smooth; Press et al., "Numerical Recipes", 3rd ed., section 6.2.2, write the
            logarithm of it in 1 / (1 + z/2).) Fitted by least squares of the relative error at the 120 zeros
            of a Chebyshev polynomial, in 50 digits; then one coefficient after the other was rounded and the
            rest fitted anew: 1.2e-8 and 2.8e-17.
        half: a mask that leaves a float half of its bits, so that its square is exact.
        sigmoid: from here on exp(−z), and z · exp(−z) too, are rounded to 0.
        tanh: from here on tanh is rounded to 1.
        normal: from here on z · P(N > z) is rounded to 0.
    """

    integer: str
    fraction: int
    bias: int
    scale: int
    ln2: tuple[float, float]
    expm1: tuple[float, ...]
    tail: tuple[float, ...]
    half: int
    sigmoid: float
    tanh: float
    normal: float


FORMATS = {
    "float": Format(
        integer="i32",
        fraction=23,
        bias=127,
        scale=64,
        ln2=(0.693145751953125, 1.428606765330187e-06),
        expm1=(0.5, 0.16666667, 0.04166635, 0.0083332984, 0.0013941147, 0.00019899316),
        tail=(
            0.8939409, 0.6296959, 0.3289955, 0.12145163, 0.026790757, 0.0006886627, -0.0014207844,
            -0.00023093185, 6.976115e-05, 1.86125e-05,
        ),
        half=-1 << 12,
        sigmoid=110.0,
        tanh=10.0,
        normal=16.0,
    ),
    "double": Format(
        integer="i64",
        fraction=52,
        bias=1023,
        scale=256,
        ln2=(0.693147180559663, 2.8235290563031577e-13),
        expm1=(
            0.5000000000000006, 0.1666666666666667, 0.04166666666657287, 0.00833333333332612,
            0.0013888888932584156, 0.00019841269874873975, 2.4801504225811066e-05, 2.755725533255441e-06,
            2.762640767090547e-07, 2.510524515390137e-08,
        ),
        tail=(
            0.8138922507262536, 0.6209942868501248, 0.3645080539467627, 0.15706331840040222,
            0.043269244021431084, 0.00333231543368591, -0.0025244246175753575, -0.0007523105049897777,
            0.00014808143504428797, 9.066464869153069e-05, -1.3667833955948755e-05, -1.079750648221352e-05,
            2.208077640015464e-06, 1.2658035970808985e-06, -4.4603738838687017e-07, -1.225491210811488e-07,
            8.746432823967427e-08, 3.978171286973054e-09, -1.4836822272292623e-08, 1.5790180609613363e-09,
            1.947217739794821e-09, -2.757266700852056e-10, -1.5030691711985472e-10,
        ),
        half=-1 << 27,
        sigmoid=760.0,
        tanh=20.0,
        normal=40.0,
    ),
}  # fmt: skip


def _format(x: Value) -> Format:
    return FORMATS[element(x.type)]


def polynomial(f: Function, x: Value, coefficients: Sequence[float]) -> Value:
    """Horner's scheme; the lowest power comes first."""
    *lower, highest = coefficients
    result = f.number(x.type, highest)
    for coefficient in reversed(lower):
        result = f.multiply_add(result, x, f.number(x.type, coefficient))
    return result


def _split(f: Function, t: Value, rest: Value | None = None) -> tuple[Value, Value]:
    """For ``t + rest = n·ln 2 + r`` with the least r: n in the lowest bits of an integer, and exp(r) − 1.

    The rest is what ``t`` lost when it was rounded.
    """
    format = _format(t)
    # Beside a number this large there is room for whole numbers only: adding it rounds to the nearest, and
    # leaves it in the lowest bits of the sum.
    anchor = 1.5 * 2.0**format.fraction
    shifted = f.multiply_add(t, f.number(t.type, 1 / math.log(2)), f.number(t.type, anchor))
    n = shifted - anchor
    upper, lower = format.ln2
    r = f.multiply_add(n, f.number(t.type, -upper), t)
    r = f.multiply_add(n, f.number(t.type, -lower), r)
    if rest is not None:
        r = r + rest
    expm1 = f.multiply_add(r * r, polynomial(f, r, format.expm1), r)
    return f.reinterpret(shifted, vector(lanes(t.type), format.integer)), expm1


def _power(f: Function, n: Value, type: str, more: int = 0) -> Value:
    """2^(n + more): n goes where a float has its exponent. What the integer holds above n moves out."""
    format = FORMATS[element(type)]
    exponent = (n << format.fraction) + ((format.bias + more) << format.fraction)
    return f.reinterpret(exponent, type)


def exp_scaled(f: Function, t: Value, rest: Value | None = None) -> Value:
    """exp(t + rest)·2^scale, for t ≤ 0."""
    n, expm1 = _split(f, t, rest)
    power = _power(f, n, t.type, _format(t).scale)
    return f.multiply_add(expm1, power, power)


def tanh(f: Function, x: Value) -> Value:
    """Hyperbolic tangent: −e / (2 + e) with e = exp(−2·|x|) − 1, and the sign of x.

    Scalar loop: ``for i in lanes: out[i] = tanh(x[i])``
    """
    n, expm1 = _split(f, f.least(f.number(x.type, _format(x).tanh), f.magnitude(x)) * -2)
    power = _power(f, n, x.type)
    e = f.multiply_add(expm1, power, power - 1)
    return f.with_sign(e / (e + 2), x)


def sigmoid(f: Function, x: Value) -> Value:
    """The logistic function: e / (1 + e) below 0 and 1 / (1 + e) above, with e = exp(−|x|).

    Scalar loop: ``for i in lanes: out[i] = 1 / (1 + exp(-x[i]))``
    """
    format = _format(x)
    z = f.least(f.number(x.type, format.sigmoid), f.magnitude(x))
    e = exp_scaled(f, -z) * 2.0**-format.scale
    return f.select(x < 0, e, f.number(x.type, 1)) / (e + 1)


def silu(f: Function, x: Value) -> Value:
    """A number times its sigmoid, which goes to 0 for x → −∞; at −∞ itself it is −∞ · 0, that is NaN.

    Scalar loop: ``for i in lanes: out[i] = x[i] / (1 + exp(-x[i]))``
    """
    format = _format(x)
    z = f.least(f.number(x.type, format.sigmoid), f.magnitude(x))
    scaled = exp_scaled(f, -z)
    below = x < 0
    e = scaled * 2.0**-format.scale
    share = f.select(below, scaled, f.number(x.type, 1)) / (e + 1)
    return _times(f, x, share, below, format.sigmoid)


def gelu(f: Function, x: Value) -> Value:
    """A number times the probability of less, P(N ≤ x) for a standard normal N; at −∞ it is NaN, like SiLU.

    Scalar loop: ``for i in lanes: out[i] = x[i] * 0.5 * erfc(-x[i] / sqrt(2))``
    """
    format = _format(x)
    z = f.least(f.number(x.type, format.normal), f.magnitude(x))
    # A relative error of z² is z² / 2 times as large in exp(−z² / 2): the square is exact, in two parts.
    whole = f.reinterpret(z, vector(lanes(x.type), format.integer)) & format.half
    upper = f.reinterpret(whole, x.type)
    square, rest = upper * upper * -0.5, (z - upper) * (z + upper) * -0.5
    inverse = 1 / (z + 4)
    # From the inverse, and not the other way round: what it was rounded by then hardly matters, since the two
    # factors of the tail answer to it in opposite ways.
    reach = 2 * (format.normal + 4) / format.normal
    u = f.multiply_add(z * inverse, f.number(x.type, -reach), f.number(x.type, 1))
    tail = exp_scaled(f, square, rest) * (polynomial(f, u, format.tail) * inverse)
    below = x < 0
    share = f.select(below, tail, f.number(x.type, 1) - tail * 2.0**-format.scale)
    return _times(f, x, share, below, format.normal)


def _times(f: Function, x: Value, share: Value, below: Value, bound: float) -> Value:
    """The product of x and its share, which for ``below`` (x < 0) is scaled, and 0 from −bound down.

    It is NaN at −∞, as it would be if the share were 0 there and not just too small to count.
    """
    # A large x would show how small.
    least = f.greatest(f.number(x.type, -bound), x)
    x = f.select(x.equals(-math.inf), f.number(x.type, math.nan), least)
    small = 2.0 ** -_format(x).scale
    return x * share * f.select(below, f.number(x.type, small), f.number(x.type, 1))


CURVES: dict[str, Callable[[Function, Value], Value]] = {
    "tanh": tanh,
    "sigmoid": sigmoid,
    "silu": silu,
    "gelu": gelu,
}
