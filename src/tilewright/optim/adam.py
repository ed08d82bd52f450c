"""Adam, and AdamW, whose weight decay goes its own way."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from tilewright.errors import ArgumentError, describe
from tilewright.geometry.axes import as_flag
from tilewright.nn.arguments import as_number
from tilewright.op import step_passes as passes
from tilewright.optim.optimizer import Array, Group, Optimizer


class Adam(Optimizer):
    """Adam, PyTorch's formulas: each value moves by about lr, by the sign its gradient tends to have.

        g = gradient + weight_decay · p              (−gradient with maximize)
        m = beta1 · m + (1 − beta1) · g
        v = beta2 · v + (1 − beta2) · g²
        p = p − lr · m̂ / (√v̂ + eps)                  with m̂ = m/(1 − beta1ᵗ), v̂ = v/(1 − beta2ᵗ)

    With ``amsgrad`` the largest v so far stands for v in the last line. Sources: Kingma and Ba, "Adam", ICLR
    2015; Reddi, Kale and Kumar, "On the convergence of Adam and beyond", ICLR 2018.

    Args:
        params: Tensors or groups (see :class:`Optimizer`).
        lr: learning rate, ≥ 0.
        betas: memory of gradients and of their squares, each from 0 to below 1.
        eps: ≥ 0, keeps the denominator away from 0.
        weight_decay: ≥ 0.
        amsgrad: never let the denominator shrink.
        maximize: climb instead of descend.

    Raises:
        ArgumentError, DtypeError: an argument outside its rule.

    >>> optimizer = Adam(nn.Linear(3, 1).parameters(), lr=1e-3)
    """

    remembers: ClassVar[tuple[str, ...]] = ("step", "exp_avg", "exp_avg_sq")
    may_remember: ClassVar[tuple[str, ...]] = ("max_exp_avg_sq",)
    #: Whether weight decay shrinks the parameter itself, instead of entering the gradient.
    decoupled: ClassVar[bool] = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
            },
        )

    def _check(self, options: Mapping[str, Any]) -> None:
        for name in ("amsgrad", "maximize"):
            as_flag(options[name], name, self._name)
        for name in ("lr", "eps", "weight_decay"):
            as_number(options[name], name, self._name)
        betas = options["betas"]
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ArgumentError(f"{self._name} needs betas to be two numbers.", describe(betas=betas))
        for beta in betas:
            as_number(beta, "betas", self._name, below=1)

    def _update(self, parameter: Array, gradient: Array, state: dict[str, Any], group: Group) -> None:
        # Python's numbers, since a NumPy float64 (as a schedule may set) would widen float32 arithmetic.
        beta1, beta2 = map(float, group["betas"])
        lr, eps, decay = (float(group[name]) for name in ("lr", "eps", "weight_decay"))
        if not state:
            state["step"] = 0
            state["exp_avg"] = np.zeros_like(parameter)
            state["exp_avg_sq"] = np.zeros_like(parameter)
        if group["amsgrad"] and "max_exp_avg_sq" not in state:
            state["max_exp_avg_sq"] = np.zeros_like(parameter)
        state["step"] += 1
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        largest = state["max_exp_avg_sq"] if group["amsgrad"] else None
        # The two corrections are plain numbers.
        root, rate = math.sqrt(1 - beta2 ** state["step"]), lr / (1 - beta1 ** state["step"])
        if passes.adam_step(
            parameter,
            gradient,
            mean,
            square,
            largest,
            (1 - lr * decay, decay, 1 - beta1, beta2, 1 - beta2, root, eps, rate),
            maximize=bool(group["maximize"]),
            decoupled=bool(decay) and self.decoupled,
            decays=bool(decay) and not self.decoupled,
        ):
            return
        room, other = self._room(parameter), self._room(parameter, 1)
        step = gradient
        if group["maximize"]:
            step = np.negative(gradient, out=room)
        if decay and self.decoupled:
            np.multiply(parameter, 1 - lr * decay, out=parameter)
        elif decay:
            step = np.add(step, np.multiply(parameter, decay, out=other), out=room)
        # m + (1 − beta1)·(g − m), which is exact where m = g.
        np.subtract(step, mean, out=other)
        np.add(mean, np.multiply(other, 1 - beta1, out=other), out=mean)
        np.multiply(step, step, out=other)
        np.multiply(square, beta2, out=square)
        np.add(square, np.multiply(other, 1 - beta2, out=other), out=square)
        if largest is not None:
            square = np.maximum(largest, square, out=largest)
        # √v̂ + eps, then m̂ over it.
        np.sqrt(square, out=other)
        np.divide(other, root, out=other)
        np.add(other, eps, out=other)
        np.divide(mean, other, out=other)
        np.multiply(other, rate, out=other)
        np.subtract(parameter, other, out=parameter)


class AdamW(Adam):
    """Adam with decoupled weight decay, PyTorch's formulas: each step first shrinks the parameter itself.

        p = p − lr · weight_decay · p
        then Adam's step, whose m and v know nothing of the decay

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019.

    Args:
        params: Tensors or groups (see :class:`Optimizer`).
        lr: learning rate, ≥ 0.
        betas: memory of gradients and of their squares, each from 0 to below 1.
        eps: ≥ 0, keeps the denominator away from 0.
        weight_decay: ≥ 0; unlike Adam's it is not 0 by default.
        amsgrad: never let the denominator shrink.
        maximize: climb instead of descend (the decay shrinks all the same).

    Raises:
        ArgumentError, DtypeError: an argument outside its rule.

    >>> optimizer = AdamW(nn.Linear(3, 1).parameters(), lr=1e-3, weight_decay=0.05)
    """

    decoupled: ClassVar[bool] = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
