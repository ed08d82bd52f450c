"""Operands for tests of functions that take arrays and Tensors, and the checks that all of them go "
"through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from hypothesis import strategies as st

import tilewright as tw

Array = np.ndarray[Any, Any]
Call = Callable[..., Any]


def shapes(least: int = 0, most: int = 4, largest: int = 5, smallest: int = 1) -> st.SearchStrategy[Any]:
    """Shapes of rank `least` to `most`, each axis from `smallest` to `largest`."""
    return st.lists(st.integers(smallest, largest), min_size=least, max_size=most).map(tuple)


def normal(shape: Sequence[int], seed: int = 0, dtype: Any = np.float64) -> Array:
    """Normally distributed numbers, the same for the same seed."""
    return np.asarray(np.random.default_rng(seed).standard_normal(tuple(shape))).astype(dtype)


def probabilities(shape: Sequence[int], seed: int, axis: int | None = None) -> Array:
    """Numbers between 0 and 1, which add up to 1 along the axis, if one is named."""
    x = np.exp(normal(shape, seed))
    return x / (1.0 + x) if axis is None else x / x.sum(axis=axis, keepdims=True)


def pytorch() -> Any:
    """PyTorch, on one thread; without it the test skips."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")
    # Its threads cost more than these small arrays do.
    torch.set_num_threads(1)
    return torch


def layouts(x: Array) -> dict[str, Array]:
    """The same values in every layout of memory that a caller may bring."""
    wide = np.zeros((*x.shape[:-1], 3 * x.shape[-1]), x.dtype)
    wide[..., ::3] = x
    locked = x.copy()
    locked.flags.writeable = False
    return {
        "Fortran order": np.asfortranarray(x),
        "negative strides": np.flip(np.flip(x).copy()),
        "strided": wide[..., ::3],
        "read-only": locked,
        "channels last": np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)
        if x.ndim > 2
        else x.copy(order="F"),
    }


def check_kinds(function: Call, *arrays: Array) -> Array:
    """Arrays give an array and Tensors a Tensor of the same values and dtype, and no input changes."""
    before = [x.copy() for x in arrays]
    y = function(*arrays)
    assert type(y) is np.ndarray
    wanted = next(x.dtype for x in arrays if x.dtype.kind == "f")
    assert y.dtype == wanted, f"{y.dtype} from {wanted}"
    assert not any(np.shares_memory(x, y) for x in arrays)
    tensors = [tw.tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]
    t = function(*tensors)
    assert isinstance(t, tw.Tensor)
    assert t.requires_grad
    assert_same(t, y, rtol=0, atol=0, reason="the same computation")
    for x, tensor, old in zip(arrays, tensors, before, strict=True):
        assert_same(x, old, rtol=0, atol=0, reason="inputs are never written to")
        assert_same(tensor, old, rtol=0, atol=0, reason="inputs are never written to")
    return np.asarray(y)


def check_layouts(function: Call, x: Array) -> None:
    """Every layout of memory gives the same values; a broadcast input and one without elements work."""
    expected = function(x)
    for name, view in layouts(x).items():
        found = function(view)
        assert_same(
            found,
            expected,
            rtol=2 * float(np.finfo(x.dtype).eps),
            atol=1e-12,
            reason=f"{name}: an ulp of exp",
        )
    spread = np.broadcast_to(x[:1], x.shape)
    assert_same(
        function(spread),
        function(spread.copy()),
        rtol=2 * float(np.finfo(x.dtype).eps),
        atol=1e-12,
        reason="broadcast: an ulp of exp",
    )
    nothing = function(x[:0])
    assert nothing.shape == (expected[:0].shape if expected.ndim else ())
    assert nothing.dtype == expected.dtype


def against_torch(
    ours: Call,
    theirs: Call,
    arrays: Sequence[Array],
    *,
    rtol: float = 1e-9,
    atol: float = 1e-10,
    reason: str = "the same formula in another order, float64",
    gradients: Sequence[int] | None = None,
) -> None:
    """Output and gradients of both on the same arrays; whole numbers and those not listed have no "
    "gradient."""
    torch = pytorch()
    wanted = [
        x.dtype.kind == "f" and (gradients is None or number in gradients) for number, x in enumerate(arrays)
    ]
    mine = [tw.tensor(x, requires_grad=want) for x, want in zip(arrays, wanted, strict=True)]
    other = [torch.tensor(x, requires_grad=want) for x, want in zip(arrays, wanted, strict=True)]
    y, z = ours(*mine), theirs(*other)
    assert_same(y, z.detach(), rtol=rtol, atol=atol, reason=reason)
    if not any(wanted):
        return
    upstream = normal(tuple(y.shape), 11, arrays[wanted.index(True)].dtype)
    y.backward(tw.tensor(upstream))
    z.backward(torch.tensor(upstream))
    for want, a, b in zip(wanted, mine, other, strict=True):
        if want:
            assert_same(a.grad, b.grad, rtol=rtol, atol=atol, reason=f"gradient: {reason}")
