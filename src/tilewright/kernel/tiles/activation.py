"""Activations applied to a tile before it is stored."""

from __future__ import annotations

from tilewright.kernel.builder import Function, Value, element, lanes, splat
from tilewright.kernel.tiles.curves import CURVES

#: The activations that a convolution can carry out itself.
ACTIVATIONS = ("none", "relu", "leaky_relu", *CURVES)


def activate(f: Function, activation: str, x: Value, slope: Value) -> Value:
    """The activation of every lane; ``slope`` (a double) is leaky ReLU's.

    Scalar loop: ``for i in lanes: out[i] = activation(x[i])``

    ReLU and leaky ReLU give the same bits as the functions on arrays: a NaN stays as it is, and −0 becomes 0.
    """
    assert activation in ACTIVATIONS, f"no activation {activation}"
    if activation == "none":
        return x
    if activation in CURVES:
        return CURVES[activation](f, x)
    zero = f.number(x.type, 0)
    positive = f.select(x <= 0, zero, x)
    if activation == "relu":
        return positive
    slope = splat(f, f.convert(slope, element(x.type)), lanes(x.type))
    # One of the two is 0. Not fused: a product that is rounded to −0 leaves the sum 0.
    return positive + f.select(x >= 0, zero, x) * slope
