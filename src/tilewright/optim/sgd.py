"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from tilewright.errors import ArgumentError, describe
from tilewright.geometry.axes import as_flag
from tilewright.nn.arguments import as_number
from tilewright.op import step_passes as passes
from tilewright.optim.optimizer import Array, Group, Optimizer


class SGD(Optimizer):
    """Gradient descent with momentum, PyTorch's formulas.

        g = gradient + weight_decay · p              (−gradient with maximize)
        v = momentum · v + (1 − dampening) · g       (v = g in the first step)
        p = p − lr · v                               (g + momentum · v instead of v with nesterov)

    Source of Nesterov's form: Sutskever et al., "On the importance of initialization and momentum in deep
    learning", ICML 2013, as PyTorch writes it.

    Args:
        params: Tensors or groups (see :class:`Optimizer`).
        lr: learning rate, ≥ 0.
        momentum: ≥ 0.
        dampening: share of a gradient that doesn't enter the momentum.
        weight_decay: ≥ 0.
        nesterov: look ahead by the momentum; needs momentum above 0 and no dampening.
        maximize: climb instead of descend.

    Raises:
        ArgumentError, DtypeError: an argument outside its rule.

    >>> model = nn.Linear(3, 1)
    >>> optimizer = SGD(model.parameters(), lr=0.01, momentum=0.9)
    >>> optimizer.zero_grad()
    >>> model(tw.ones(2, 3)).square().mean().backward()
    >>> optimizer.step()
    """

    may_remember: ClassVar[tuple[str, ...]] = ("momentum_buffer",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )

    def _check(self, options: Mapping[str, Any]) -> None:
        for name in ("nesterov", "maximize"):
            as_flag(options[name], name, "SGD")
        for name in ("lr", "momentum", "weight_decay"):
            as_number(options[name], name, "SGD")
        as_number(options["dampening"], "dampening", "SGD", least=-float("inf"))
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"] != 0):
            raise ArgumentError(
                "SGD needs momentum above 0 and no dampening for nesterov.",
                describe(momentum=options["momentum"], dampening=options["dampening"]),
            )

    def _update(self, parameter: Array, gradient: Array, state: dict[str, Any], group: Group) -> None:
        # Python's numbers, since a NumPy float64 (as a schedule may set) would widen float32 arithmetic.
        lr, momentum, dampening, decay = (
            float(group[name]) for name in ("lr", "momentum", "dampening", "weight_decay")
        )
        velocity = state.get("momentum_buffer") if momentum else None
        begins = bool(momentum) and velocity is None
        if begins:
            velocity = np.empty_like(parameter)
        if passes.sgd_step(
            parameter,
            gradient,
            velocity,
            (decay, momentum, 1 - dampening, lr),
            maximize=bool(group["maximize"]),
            decays=bool(decay),
            begins=begins,
            nesterov=bool(momentum) and bool(group["nesterov"]),
        ):
            if begins:
                state["momentum_buffer"] = velocity
            return
        step = gradient
        if group["maximize"]:
            step = np.negative(gradient, out=self._room(parameter))
        if decay:
            decayed = np.multiply(parameter, decay, out=self._room(parameter, 1))
            step = np.add(step, decayed, out=self._room(parameter))
        if momentum:
            assert velocity is not None, "it was made above"
            if begins:
                np.copyto(velocity, step)
                state["momentum_buffer"] = velocity
            else:
                np.multiply(velocity, momentum, out=velocity)
                part = step
                if dampening:
                    part = np.multiply(step, 1 - dampening, out=self._room(parameter, 1))
                np.add(velocity, part, out=velocity)
            if group["nesterov"]:
                ahead = np.multiply(velocity, momentum, out=self._room(parameter, 1))
                step = np.add(step, ahead, out=self._room(parameter))
            else:
                step = velocity
        np.subtract(parameter, np.multiply(step, lr, out=self._room(parameter, 1)), out=parameter)
