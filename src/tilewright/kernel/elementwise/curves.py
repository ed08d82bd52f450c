"""Activations of whole arrays, and the gradients of those whose result doesn't tell them.

Definition, element by element:

    out = curve(x)                 without g
    out = g · dcurve/dx (x)        with g, for SiLU and GELU

The slopes are those of the formulas on arrays (see :mod:`tilewright.op.activation`), each with a single
exponential:

    SiLU    s · (x · (1 − s) + 1)      s = sigmoid(x)
    GELU    P(N ≤ x) + x · p(x)        with the density p of a standard normal N
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tilewright.kernel.builder import Function, Value, element, lanes, size_of, vector
from tilewright.kernel.elementwise.groups import GROUP, each_group
from tilewright.kernel.tiles.activation import activate
from tilewright.kernel.tiles.curves import FORMATS, exp_scaled, polynomial
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

#: The activations that are compiled.
NAMES = ("relu", "leaky_relu", "sigmoid", "silu", "gelu")

FIELDS = Fields("x", "g", "out", "count", "leak")


def name(scalar: str, curve: str) -> str:
    """The symbol of the function."""
    return f"curve_{scalar}_{curve}"


def emit(target: Target, scalar: str, curve: str) -> str:
    """The function."""
    f = Function(name(scalar, curve), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    x, g, out = (FIELDS.address(f, f["args"], word) for word in ("x", "g", "out"))
    leak = f.load("double", f["args"], FIELDS.place["leak"])
    width = target.vector_bytes // size_of(scalar)
    type = vector(width, scalar)
    slope = SLOPES.get(curve)
    with each_group(f, scalar, FIELDS.read(f, f["args"], "count"), (x, g, out), (out,)) as (_, places):
        x_at, g_at, out_at = places
        if slope is None:
            with f.loop(GROUP, step=width, surely=True) as i:
                f.store(activate(f, curve, f.load(type, x_at, i), leak), out_at, i)
        else:
            with f.when(g.equals(f.null())), f.loop(GROUP, step=width, surely=True) as i:
                f.store(activate(f, curve, f.load(type, x_at, i), leak), out_at, i)
            with f.when(g.differs(f.null())), f.loop(GROUP, step=width, surely=True) as i:
                f.store(f.load(type, g_at, i) * slope(f, f.load(type, x_at, i)), out_at, i)
    f.give()
    return f.text()


def _silu_slope(f: Function, x: Value) -> Value:
    """Scalar loop: ``for i in lanes: out[i] = s[i] * (x[i] * (1 - s[i]) + 1)`` with s = sigmoid(x).

    1 − s is not computed by subtraction, which would leave few digits right of 0: it is the sigmoid of −x.
    """
    format = FORMATS[element(x.type)]
    one = f.number(x.type, 1)
    z = f.least(f.number(x.type, format.sigmoid), f.magnitude(x))
    e = exp_scaled(f, -z) * 2.0**-format.scale
    inverse = 1 / (e + 1)
    below = x < 0
    s, rest = f.select(below, e, one) * inverse, f.select(below, one, e) * inverse
    return s * f.multiply_add(x, rest, one)


def _gelu_slope(f: Function, x: Value) -> Value:
    """Scalar loop: ``for i in lanes: out[i] = 0.5 * erfc(-x[i] / √2) + x[i] * exp(-x[i]² / 2) / √(2π)``.

    Both parts have the exponential as a factor; see :func:`tilewright.kernel.tiles.curves.gelu`, which the
    first is taken from.
    """
    format = FORMATS[element(x.type)]
    z = f.least(f.number(x.type, format.normal), f.magnitude(x))
    whole = f.reinterpret(z, vector(lanes(x.type), format.integer)) & format.half
    upper = f.reinterpret(whole, x.type)
    square, rest = upper * upper * -0.5, (z - upper) * (z + upper) * -0.5
    inverse = 1 / (z + 4)
    reach = 2 * (format.normal + 4) / format.normal
    u = f.multiply_add(z * inverse, f.number(x.type, -reach), f.number(x.type, 1))
    exp = exp_scaled(f, square, rest) * 2.0**-format.scale
    tail = exp * (polynomial(f, u, format.tail) * inverse)
    share = f.select(x < 0, tail, 1 - tail)
    # At ±∞ this is ∞ · 0, that is NaN, as it is by the formula.
    return f.multiply_add(x * (1 / math.sqrt(2 * math.pi)), exp, share)


#: By activation: ``slope(f, x)``, the derivative at x.
SLOPES: dict[str, Callable[[Function, Value], Value]] = {"silu": _silu_slope, "gelu": _gelu_slope}
