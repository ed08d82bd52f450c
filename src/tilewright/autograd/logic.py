"""Comparisons, logic and tests of elements. Their results are bools and carry no gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tilewright.autograd.operands import combine, ordered, raw
from tilewright.autograd.tape import Taped, X, made, rule, run
from tilewright.errors import DtypeError, describe
from tilewright.op.memory import pooled


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda context, *arrays: function(*arrays)


for _name, _test in (
    ("eq", np.equal),
    ("ne", np.not_equal),
    ("lt", np.less),
    ("le", np.less_equal),
    ("gt", np.greater),
    ("ge", np.greater_equal),
    ("logical_and", np.logical_and),
    ("logical_or", np.logical_or),
    ("logical_xor", np.logical_xor),
    ("logical_not", np.logical_not),
    ("isnan", np.isnan),
    ("isinf", np.isinf),
    ("isfinite", np.isfinite),
):
    rule(_name, _plain(pooled(_test, np.bool_)))
for _name, _bitwise in (
    ("bitwise_and", np.bitwise_and),
    ("bitwise_or", np.bitwise_or),
    ("bitwise_xor", np.bitwise_xor),
    ("bitwise_not", np.invert),
):
    rule(_name, _plain(_bitwise))


def eq(input: X, other: Any) -> X:
    """Whether elements are equal."""
    result: X = combine("eq", input, other)
    return result


def ne(input: X, other: Any) -> X:
    """Whether elements differ."""
    result: X = combine("ne", input, other)
    return result


def lt(input: X, other: Any) -> X:
    """Whether ``input < other``, elementwise."""
    ordered("lt", input, other)
    result: X = combine("lt", input, other)
    return result


def le(input: X, other: Any) -> X:
    """Whether ``input ≤ other``, elementwise."""
    ordered("le", input, other)
    result: X = combine("le", input, other)
    return result


def gt(input: X, other: Any) -> X:
    """Whether ``input > other``, elementwise."""
    ordered("gt", input, other)
    result: X = combine("gt", input, other)
    return result


def ge(input: X, other: Any) -> X:
    """Whether ``input ≥ other``, elementwise."""
    ordered("ge", input, other)
    result: X = combine("ge", input, other)
    return result


def logical_and(input: X, other: Any) -> X:
    """Whether both elements are other than 0."""
    result: X = combine("logical_and", input, other)
    return result


def logical_or(input: X, other: Any) -> X:
    """Whether one of the elements is other than 0."""
    result: X = combine("logical_or", input, other)
    return result


def logical_xor(input: X, other: Any) -> X:
    """Whether exactly one of the elements is other than 0."""
    result: X = combine("logical_xor", input, other)
    return result


def logical_not(input: X) -> X:
    """Whether elements are 0."""
    return run("logical_not", input)


def _bits(name: str, *operands: Any) -> None:
    for operand in operands:
        kind = operand.dtype.kind if hasattr(operand, "dtype") else np.asarray(operand).dtype.kind
        if kind not in "biu":
            raise DtypeError(f"{name} needs bools or integers.", describe(operand=operand))


def bitwise_and(input: X, other: Any) -> X:
    """``input & other`` for bools and integers."""
    _bits("bitwise_and", input, other)
    result: X = combine("bitwise_and", input, other)
    return result


def bitwise_or(input: X, other: Any) -> X:
    """``input | other`` for bools and integers."""
    _bits("bitwise_or", input, other)
    result: X = combine("bitwise_or", input, other)
    return result


def bitwise_xor(input: X, other: Any) -> X:
    """``input ^ other`` for bools and integers."""
    _bits("bitwise_xor", input, other)
    result: X = combine("bitwise_xor", input, other)
    return result


def bitwise_not(input: X) -> X:
    """``~input`` for bools and integers."""
    _bits("bitwise_not", input)
    return run("bitwise_not", input)


def isnan(input: X) -> X:
    """Where elements are not a number."""
    return run("isnan", input)


def isinf(input: X) -> X:
    """Where elements are infinite, of either sign."""
    return run("isinf", input)


def isfinite(input: X) -> X:
    """Where elements are neither infinite nor NaN."""
    return run("isfinite", input)


def isclose(input: X, other: X, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> X:
    """Where ``|input − other| ≤ atol + rtol · |other|``."""
    found = np.isclose(raw(input), raw(other), rtol, atol, equal_nan)
    return _like(input, np.asarray(found))


def _like(input: X, found: Any) -> X:
    result: Any = made(found) if isinstance(input, Taped) else found
    return result  # type: ignore[no-any-return]  # a Tensor for a Tensor


def allclose(input: X, other: X, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether all elements are close (see :func:`isclose`)."""
    return bool(np.allclose(raw(input), raw(other), rtol, atol, equal_nan))


def equal(input: X, other: X) -> bool:
    """Whether shapes and all elements are equal."""
    return bool(np.array_equal(raw(input), raw(other)))
