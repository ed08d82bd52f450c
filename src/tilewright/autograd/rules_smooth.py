"""Rules of the smooth activation functions, made as :mod:`tilewright.autograd.rules_activation` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilewright.autograd.arithmetic import where
from tilewright.autograd.elementwise import abs, clamp, exp, sigmoid, sign, tanh
from tilewright.autograd.rules_activation import _activation
from tilewright.autograd.tape import Array, apply
from tilewright.op import smooth as op

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor


def _exponential_unit(x: Array, *, scale: float, drop: float, width: float, op_name: str) -> Array:
    return op.exponential_unit(x, scale, drop, width, op_name)


def _exponential_unit_gradient(
    g: Array, x: Array, *, scale: float, drop: float, width: float, op_name: str
) -> Array:
    return op.exponential_unit_gradient(g, x, scale, drop, width)


def _exponential_unit_curve(x: Tensor, *, scale: float, drop: float, width: float, op_name: str) -> Tensor:
    bent = exp(clamp(x, max=0.0) / width) * (drop / width / width)
    return where(x > 0, 0.0, bent)  # type: ignore[no-any-return]


def _mish_curve(x: Tensor) -> Tensor:
    # With t = tanh(log(1 + exp(x))), s = sigmoid(x) and t' = (1 − t²) · s:  t' · (2 + x · (1 − s − 2·t·s)).
    s = sigmoid(x)
    t = tanh(apply("softplus", x, beta=1.0, threshold=float("inf")))
    found: Tensor = (1.0 - t * t) * s * (x * (1.0 - s - t * s * 2.0) + 2.0)
    return found


def _logsigmoid_curve(x: Tensor) -> Tensor:
    return -(sigmoid(x) * sigmoid(-x))


def _softsign_curve(x: Tensor) -> Tensor:
    share = 1.0 / (abs(x) + 1.0)
    found: Tensor = sign(x) * share * share * share * -2.0
    return found


def _tanhshrink_curve(x: Tensor) -> Tensor:
    t = tanh(x)
    return t * (1.0 - t * t) * 2.0


_activation("exponential_unit", _exponential_unit, _exponential_unit_gradient, _exponential_unit_curve)
_activation("mish", op.mish, op.mish_gradient, _mish_curve)
_activation("logsigmoid", op.logsigmoid, op.logsigmoid_gradient, _logsigmoid_curve)
_activation("softsign", op.softsign, op.softsign_gradient, _softsign_curve)
_activation("tanhshrink", op.tanhshrink, op.tanhshrink_gradient, _tanhshrink_curve)
