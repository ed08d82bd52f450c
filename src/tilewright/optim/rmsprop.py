"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from tilewright.geometry.axes import as_flag
from tilewright.nn.arguments import as_number
from tilewright.op import step_passes as passes
from tilewright.optim.optimizer import Array, Group, Optimizer


class RMSprop(Optimizer):
    """RMSprop, PyTorch's formulas: each gradient is divided by the root of its recent mean square.

        g = gradient + weight_decay · p              (−gradient with maximize)
        v = alpha · v + (1 − alpha) · g²
        d = √v + eps                                 (√(v − a²) + eps with centered)
        p = p − lr · g / d                           (no momentum)
        b = momentum · b + g / d,  p = p − lr · b    (with momentum)

    With ``centered`` a is the mean of recent gradients, a = alpha · a + (1 − alpha) · g, so that d estimates
    their standard deviation. Sources: Tieleman and Hinton, "Neural networks for machine learning", lecture
    6.5 (2012); Graves, "Generating sequences with recurrent neural networks" (2013), for the centred form.

    Args:
        params: Tensors or groups (see :class:`Optimizer`).
        lr: learning rate, ≥ 0.
        alpha: memory of the squares, ≥ 0; below 1 it is a mean.
        eps: ≥ 0, keeps the denominator away from 0.
        weight_decay: ≥ 0.
        momentum: ≥ 0.
        centered: divide by the deviation instead of the root mean square.
        maximize: climb instead of descend.

    Raises:
        ArgumentError, DtypeError: an argument outside its rule.

    >>> optimizer = RMSprop(nn.Linear(3, 1).parameters(), lr=1e-3, momentum=0.9)
    """

    remembers: ClassVar[tuple[str, ...]] = ("step", "square_avg")
    may_remember: ClassVar[tuple[str, ...]] = ("grad_avg", "momentum_buffer")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
        )

    def _check(self, options: Mapping[str, Any]) -> None:
        for name in ("centered", "maximize"):
            as_flag(options[name], name, "RMSprop")
        for name in ("lr", "alpha", "eps", "weight_decay", "momentum"):
            as_number(options[name], name, "RMSprop")

    def _update(self, parameter: Array, gradient: Array, state: dict[str, Any], group: Group) -> None:
        # Python's numbers, since a NumPy float64 (as a schedule may set) would widen float32 arithmetic.
        lr, alpha, eps, decay, momentum = (
            float(group[name]) for name in ("lr", "alpha", "eps", "weight_decay", "momentum")
        )
        if not state:
            state["step"] = 0
            state["square_avg"] = np.zeros_like(parameter)
        # A group may be told to centre, or to gather momentum, after it has begun.
        for name, wanted in (("grad_avg", group["centered"]), ("momentum_buffer", momentum > 0)):
            if wanted and name not in state:
                state[name] = np.zeros_like(parameter)
        state["step"] += 1
        square = state["square_avg"]
        if passes.rmsprop_step(
            parameter,
            gradient,
            square,
            state["grad_avg"] if group["centered"] else None,
            state["momentum_buffer"] if momentum > 0 else None,
            (decay, alpha, 1 - alpha, eps, momentum, lr),
            maximize=bool(group["maximize"]),
            decays=bool(decay),
        ):
            return
        room, other = self._room(parameter), self._room(parameter, 1)
        step = gradient
        if group["maximize"]:
            step = np.negative(gradient, out=room)
        if decay:
            step = np.add(step, np.multiply(parameter, decay, out=other), out=room)
        np.multiply(step, step, out=other)
        np.multiply(square, alpha, out=square)
        np.add(square, np.multiply(other, 1 - alpha, out=other), out=square)
        if group["centered"]:
            mean = state["grad_avg"]
            # m + (1 − alpha)·(g − m), which is exact where m = g.
            np.subtract(step, mean, out=other)
            np.add(mean, np.multiply(other, 1 - alpha, out=other), out=mean)
            np.subtract(square, np.multiply(mean, mean, out=other), out=other)
            # A variance that rounding has taken below 0 is 0; its root would be NaN.
            np.sqrt(np.maximum(other, 0, out=other), out=other)
        else:
            np.sqrt(square, out=other)
        np.add(other, eps, out=other)
        np.divide(step, other, out=other)
        if momentum > 0:
            velocity = state["momentum_buffer"]
            np.multiply(velocity, momentum, out=velocity)
            np.add(velocity, other, out=velocity)
            np.multiply(velocity, lr, out=other)
        else:
            np.multiply(other, lr, out=other)
        np.subtract(parameter, other, out=parameter)
