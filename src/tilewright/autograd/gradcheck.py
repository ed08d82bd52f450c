"""Gradients checked against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.autograd.engine import grad
from tilewright.autograd.tape import Array, Taped, made, no_grad
from tilewright.errors import DtypeError, StateError, describe
from tilewright.op.kinds import REAL

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

Function = Callable[..., Any]


class GradcheckError(StateError, AssertionError):
    """A gradient isn't what finite differences say."""


def _outputs(function: Function, inputs: Sequence[Any]) -> list[Tensor]:
    result = function(*inputs)
    found = [result] if isinstance(result, Taped) else list(result)
    return [out for out in found if isinstance(out, Taped) and out._data.dtype.kind in REAL]  # type: ignore[misc]


def _checked(name: str, inputs: Any) -> tuple[list[Any], list[int]]:
    given: list[Any] = [inputs] if isinstance(inputs, Taped) else list(inputs)
    numbers = [i for i, x in enumerate(given) if isinstance(x, Taped) and x._requires]
    if not numbers:
        raise DtypeError(f"{name} needs an input that requires gradients.", f"{len(given)} inputs without")
    for i in numbers:
        if given[i]._data.dtype != np.float64:
            raise DtypeError(
                f"{name} compares in float64: what requires gradients must be float64.",
                f"input {i}: " + describe(input=given[i]),
            )
    return given, numbers


def _numeric(function: Function, given: list[Any], number: int, output: int, eps: float) -> Array:
    """D output / d input by central differences: one row for each element of the input."""
    base = given[number]
    rows = []
    with no_grad():
        for at in range(base._data.size):
            ends = []
            for step in (eps, -eps):
                moved = np.array(base._data, order="C")
                moved.reshape(-1)[at] += step
                trial = [made(moved) if i == number else x for i, x in enumerate(given)]
                ends.append(np.array(_outputs(function, trial)[output]._data))
            rows.append(((ends[0] - ends[1]) / (2 * eps)).reshape(-1))
    size = rows[0].size if rows else 0
    return np.array(rows).reshape(len(rows), size)


def _analytic(out: Tensor, sources: list[Any]) -> list[Array]:
    """D out / d source from the tape: one row for each element of the source."""
    columns: list[list[Array]] = [[] for _ in sources]
    for at in range(out._data.size):
        start = np.zeros(out._data.shape, out._data.dtype)
        start.reshape(-1)[at] = 1.0
        found = grad(out, sources, made(start), retain_graph=True, allow_unused=True)
        for column, source, gradient in zip(columns, sources, found, strict=True):
            column.append(np.zeros(source._data.size) if gradient is None else gradient._data.reshape(-1))
    return [
        np.array(column).reshape(len(column), source._data.size).T
        for column, source in zip(columns, sources, strict=True)
    ]


def gradcheck(
    func: Function,
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Compare the gradients of ``func(*inputs)`` with central differences.

    Args:
        func: gives a Tensor or several.
        inputs: Tensors; those that require gradients must be float64.
        eps: the step of the difference.
        atol: largest absolute error.
        rtol: largest error relative to the difference.
        raise_exception: raise on disagreement instead of returning False.

    Raises:
        GradcheckError: a gradient disagrees; the message names input, output and element.
        DtypeError: no input requires gradients, or one isn't float64.

    Example:
        >>> import tilewright as tw
        >>> gradcheck(tw.sin, tw.rand(3, dtype=tw.float64, requires_grad=True))
        True
    """
    given, numbers = _checked("gradcheck", inputs)
    outputs = _outputs(func, given)
    for j, out in enumerate(outputs):
        if out.requires_grad:
            found = _analytic(out, [given[i] for i in numbers])
        else:
            found = [np.zeros((given[i]._data.size, out._data.size)) for i in numbers]
        for i, ours in zip(numbers, found, strict=True):
            theirs = _numeric(func, given, i, j, eps).reshape(ours.shape)
            wrong = ~(np.abs(ours - theirs) <= atol + rtol * np.abs(theirs))
            if not wrong.any():
                continue
            if not raise_exception:
                return False
            error = np.where(np.isfinite(ours - theirs), np.abs(ours - theirs), np.inf) * wrong
            row, column = np.unravel_index(int(np.nanargmax(error)), error.shape)
            at = tuple(int(k) for k in np.unravel_index(int(row), given[i]._data.shape))
            to = tuple(int(k) for k in np.unravel_index(int(column), out._data.shape))
            raise GradcheckError(
                f"The gradient of output {j} at {to} with respect to input {i} at {at} must be its "
                f"difference quotient {theirs[row, column]:.9g}.",
                f"{ours[row, column]:.9g}, and {int(wrong.sum())} of {wrong.size} derivatives disagree",
            )
    return True


def gradgradcheck(
    func: Function,
    inputs: Tensor | Sequence[Any],
    grad_outputs: Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Compare second gradients with central differences of the first; arguments as for :func:`gradcheck`.

    ``grad_outputs`` are where the first gradients start from; by default fixed random numbers.
    """
    given, numbers = _checked("gradgradcheck", inputs)
    outputs = _outputs(func, given)
    if grad_outputs is None:
        # Any numbers do; these are the same in every run.
        drawn = np.random.default_rng(0)
        starts = [made(drawn.standard_normal(out._data.shape)) for out in outputs]
    else:
        starts = [made(np.array(start._data)) for start in grad_outputs]
    for start in starts:
        start.requires_grad_()

    def first(*arguments: Any) -> tuple[Any, ...]:
        # Differences call this within no_grad, but a first gradient needs the tape.
        from tilewright.autograd.tape import enable_grad

        with enable_grad():
            all_given = list(arguments[: len(given)])
            for i in numbers:
                if not all_given[i].requires_grad:
                    all_given[i].requires_grad_()
            results = _outputs(func, all_given)
            pairs = [
                (out, start)
                for out, start in zip(results, arguments[len(given) :], strict=True)
                if out.requires_grad
            ]
            found = grad(
                [out for out, _ in pairs],
                [all_given[i] for i in numbers],
                [start for _, start in pairs],
                create_graph=True,
                allow_unused=True,
            )
        return tuple(
            made(np.zeros(all_given[i]._data.shape)) if gradient is None else gradient
            for i, gradient in zip(numbers, found, strict=True)
        )

    return gradcheck(first, [*given, *starts], eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception)
