"""Activations right behind a convolution: applied to its result, and their gradients told from the result.

Compiled families apply an activation as they store; :func:`activate` is for those that don't. The gradients
take the activation's result y, not its input: where a convolution has stored y, the input was never written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, describe
from tilewright.kernel.tiles.activation import ACTIVATIONS
from tilewright.op import passes
from tilewright.op.activation import gelu, leaky_relu, relu, sigmoid, silu
from tilewright.op.arrays import FLOATS, NUMBERS, check_array
from tilewright.op.dropout import Kept, drop, scale_of
from tilewright.op.memory import in_blocks, pooled
from tilewright.op.select import write_selected

__all__ = [
    "ACTIVATIONS",
    "activate",
    "check_activation",
    "dropped_gradient",
    "positive",
    "sigmoid_gradient",
    "sloped",
    "tanh_gradient",
]

Array = npt.NDArray[Any]

_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "relu": relu,
    "tanh": pooled(np.tanh),
    "sigmoid": sigmoid,
    "silu": silu,
    "gelu": gelu,
}

_above = pooled(np.greater, np.bool_)


def check_activation(activation: str, x: Any, op: str) -> None:
    """Refuse an activation that a convolution of ``x`` doesn't come with.

    Raises:
        ArgumentError: it is none of :data:`ACTIVATIONS`.
        DtypeError: the input is of halves or complex numbers, or whole numbers would become fractions.
    """
    if activation not in ACTIVATIONS:
        raise ArgumentError(
            f"{op} needs activation to be one of {', '.join(ACTIVATIONS)}.", describe(activation=activation)
        )
    if activation != "none":
        check_array(x, "input", op, NUMBERS if activation == "relu" else FLOATS)


def activate(y: Array, activation: str, slope: float) -> Array:
    """The activation of every element; ``slope`` is leaky ReLU's. The array itself for "none"."""
    if activation == "none":
        return y
    with np.errstate(all="ignore"):
        return leaky_relu(y, slope) if activation == "leaky_relu" else _FUNCTIONS[activation](y)


def tanh_gradient(g: Array, y: Array) -> Array:
    """The gradient of tanh from its result y: g · (1 − y²)."""
    found = passes.sloped("tanh", g, y)
    return in_blocks(_tanh_gradient, g, y) if found is None else found


def _tanh_gradient(out: Array, g: Array, y: Array) -> None:
    np.multiply(y, y, out=out)
    np.subtract(y.dtype.type(1), out, out=out)
    np.multiply(g, out, out=out)


def sigmoid_gradient(g: Array, y: Array) -> Array:
    """The gradient of the logistic function from its result y: g · (y · (1 − y))."""
    found = passes.sloped("sigmoid", g, y)
    return in_blocks(_sigmoid_gradient, g, y) if found is None else found


def _sigmoid_gradient(out: Array, g: Array, y: Array) -> None:
    np.subtract(y.dtype.type(1), y, out=out)
    np.multiply(y, out, out=out)
    np.multiply(g, out, out=out)


def dropped_gradient(activation: str, g: Array, y: Array, kept: Kept, p: float) -> Array:
    """The gradient of tanh or the logistic function, y, and of the dropout behind it, which kept ``kept``."""
    found = passes.sloped(activation, g, y, bits=kept.bits, scale=scale_of(g, p))
    if found is not None:
        return found
    gradient = tanh_gradient if activation == "tanh" else sigmoid_gradient
    return gradient(drop(g, kept, p), y)


def positive(y: Array) -> Array:
    """Where y > 0, as bools: of leaky ReLU with a slope from 0 on, also where its input was above 0."""
    return np.asarray(_above(y, y.dtype.type(0)))


def sloped(g: Array, above: Array, slope: float) -> Array:
    """The gradient of leaky ReLU: g where ``above`` holds, and slope · g elsewhere."""
    return in_blocks(_sloped, g, above, g.dtype.type(slope), rooms=2)


def _sloped(out: Array, g: Array, above: Array, slope: Any, room: Array, other: Array) -> None:
    np.multiply(g, slope, out=room)
    write_selected(out, above, g, room, other)
