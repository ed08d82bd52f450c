"""A case that both libraries compute, and what drawing one needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from operands import pytorch

import tilewright.functional as F

torch = pytorch()
TF = torch.nn.functional

Array = np.ndarray[Any, Any]
Rng = np.random.Generator


@dataclass(frozen=True)
class Case:
    """A function of the same operands in either library: ours takes Tensors, PyTorch's takes its own."""

    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    operands: Sequence[Array]
    about: str
    #: Other arguments of ``check_twice``.
    options: dict[str, Any] = field(default_factory=dict)


#: Draws a case; None where what it drew is no case that PyTorch takes.
Draw = Callable[[Rng], Case | None]


def same_call(name: str, operands: Sequence[Array], *rest: Any, about: str = "", **arguments: Any) -> Case:
    """The function of one name in both libraries, with the same arguments after the operands.

    Arrays among the arguments are constants: no gradient is asked for in them.
    """
    theirs = [_constant(value) for value in rest]
    named = {key: _constant(value) for key, value in arguments.items()}
    shapes = ", ".join(str(x.shape) for x in operands)
    return Case(
        lambda *tensors: getattr(F, name)(*tensors, *rest, **arguments),
        lambda *tensors: getattr(TF, name)(*tensors, *theirs, **named),
        operands,
        about or f"{shapes}, {rest}, {arguments}",
    )


def _constant(value: Any) -> Any:
    return torch.tensor(value) if isinstance(value, np.ndarray) else value


def chance(rng: Rng, share: float) -> bool:
    """True in this share of cases."""
    return bool(rng.random() < share)


def pick(rng: Rng, choices: Sequence[Any]) -> Any:
    """One of the choices, as it is (NumPy's own ``choice`` makes NumPy's scalars of them)."""
    return choices[int(rng.integers(len(choices)))]


def whole(rng: Rng, least: int, most: int) -> int:
    """An integer, both ends included."""
    return int(rng.integers(least, most + 1))


def sizes(rng: Rng, least: int, most: int, largest: int = 4, *, empty: bool = False) -> tuple[int, ...]:
    """A shape of rank ``least`` to ``most``, each axis from 1 to ``largest``; with ``empty``, at times 0."""
    smallest = 0 if empty and chance(rng, 0.1) else 1
    return tuple(whole(rng, smallest, largest) for _ in range(whole(rng, least, most)))


def normal(rng: Rng, shape: Sequence[int]) -> Array:
    """Normal numbers; in one case of five not in row order."""
    x = np.asarray(rng.standard_normal(tuple(shape)))
    if x.ndim < 2 or not chance(rng, 0.2):
        return x
    return np.asfortranarray(x) if chance(rng, 0.5) else np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)
