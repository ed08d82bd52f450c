"""The same function here and in PyTorch: outputs, gradients, and gradients of gradients, in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from compare import assert_same
from operands import pytorch

import tilewright as tw

Array = np.ndarray[Any, Any]


def check_twice(
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    arrays: Sequence[Array],
    *,
    rtol: float = 1e-8,
    atol: float = 1e-9,
    reason: str = "the same formulas in another order, float64",
    second: bool = True,
    about: str = "",
) -> None:
    """Compare output, first gradients and (with ``second``) second gradients.

    Arrays of whole numbers have none. What one side leaves out because nothing depends on it counts as 0. Of
    several outputs the gradients are those of the first.
    """
    torch = pytorch()
    tolerance = {"rtol": rtol, "atol": atol}
    wanted = [x.dtype.kind == "f" for x in arrays]
    mine = [tw.tensor(x, requires_grad=want) for x, want in zip(arrays, wanted, strict=True)]
    # In row order: some of PyTorch's functions refuse others, or their gradients do.
    rows = [np.array(x, order="C") for x in arrays]
    other = [torch.tensor(x, requires_grad=want) for x, want in zip(rows, wanted, strict=True)]
    y, z = ours(*mine), theirs(*other)
    if isinstance(z, tuple):
        assert isinstance(y, tuple), f"{type(y)} instead of a tuple{about}"
        for found, expected in zip(y[1:], z[1:], strict=True):
            assert_same(found, expected, **tolerance, reason=f"another output: {reason}{about}")
        y, z = y[0], z[0]
    assert_same(y, z, **tolerance, reason=f"output: {reason}{about}")
    if not any(wanted):
        return
    start = np.random.default_rng(7).standard_normal(tuple(y.shape))
    u, v = tw.tensor(start, requires_grad=True), torch.tensor(start, requires_grad=True)
    a = [x for x, want in zip(mine, wanted, strict=True) if want]
    b = [x for x, want in zip(other, wanted, strict=True) if want]
    first = tw.autograd.grad(y, a, u, create_graph=True, allow_unused=True)
    their_first = torch.autograd.grad(z, b, v, create_graph=True, allow_unused=True)
    _same_gradients(first, their_first, a, tolerance, f"gradient: {reason}{about}")
    if not second:
        return
    directions = np.random.default_rng(8)
    drawn = [directions.standard_normal(tuple(x.shape)) for x in a]
    total = sum((f * tw.tensor(d)).sum() for f, d in zip(first, drawn, strict=True) if f is not None)
    their_total = sum(
        (f * torch.tensor(d)).sum() for f, d in zip(their_first, drawn, strict=True) if f is not None
    )
    found = tw.autograd.grad(total, [*a, u], allow_unused=True)
    expected = torch.autograd.grad(their_total, [*b, v], allow_unused=True)
    _same_gradients(found, expected, [*a, u], tolerance, f"second gradient: {reason}{about}")


def _same_gradients(
    ours: Sequence[Any], theirs: Sequence[Any], inputs: Sequence[Any], tolerance: Any, reason: str
) -> None:
    for number, (mine, other, x) in enumerate(zip(ours, theirs, inputs, strict=True)):
        nothing = np.zeros(tuple(x.shape))
        assert_same(
            nothing if mine is None else mine.detach(),
            nothing if other is None else other.detach(),
            **tolerance,
            reason=f"input {number}, {reason}",
        )
