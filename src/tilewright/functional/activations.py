"""Activation functions and softmax: PyTorch's names, order and defaults.

All take a floating array or Tensor of any shape and return the same kind, shape and dtype; float16 is
computed in float32. ``inplace`` is taken for PyTorch's sake: the result is the same, but **the input is never
written to**, so use what is returned.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.autograd import elementwise
from tilewright.autograd import rules_activation as _rules  # noqa: F401 - puts the rules into the table
from tilewright.autograd.arithmetic import cast
from tilewright.autograd.checks import axis
from tilewright.autograd.dtypes import as_dtype
from tilewright.autograd.tape import apply
from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, DtypeError, describe
from tilewright.functional.halves import takes_halves
from tilewright.functional.operands import Operand, check_operand
from tilewright.geometry.axes import as_flag
from tilewright.op.kinds import is_half, sum_dtype

__all__ = [
    "elu",
    "gelu",
    "hardtanh",
    "leaky_relu",
    "log_softmax",
    "relu",
    "relu6",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
    "threshold",
]


def _number(op: str, **given: Any) -> float:
    """The one number given, as a float.

    Raises:
        DtypeError: it is none.
        ArgumentError: it is an integer beyond all floats.
    """
    ((name, value),) = given.items()
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise DtypeError(f"{op} needs {name} to be a number.", describe(**given))
    try:
        return float(value)
    except OverflowError:
        raise ArgumentError(
            f"{op} needs {name} to be a number that a float holds.", describe(**given)
        ) from None


def _flag(op: str, **given: Any) -> bool:
    """The one flag given, as a bool.

    Raises:
        DtypeError: it is neither True nor False (nor 0 or 1).
    """
    ((name, value),) = given.items()
    if not isinstance(value, (bool, np.bool_)) and not (type(value) is int and value in (0, 1)):
        raise DtypeError(f"{op} needs {name} to be True or False.", describe(**given))
    return bool(value)


@takes_halves
def relu(input: Operand, inplace: bool = False) -> Any:
    """max(input, 0); the gradient at 0 is 0, and NaN stays. Integers are taken too.

    >>> import numpy as np
    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    as_flag(inplace, "inplace", "relu")
    check_operand(input, "input", "relu")
    return elementwise.relu(input)


@takes_halves
def relu6(input: Operand, inplace: bool = False) -> Any:
    """The input brought into [0, 6]; the gradient at 0 and 6 is 0.

    >>> import numpy as np
    >>> relu6(np.array([-1.0, 3.0, 8.0]))
    array([0., 3., 6.])
    """
    as_flag(inplace, "inplace", "relu6")
    return apply("hardtanh", input, low=0.0, high=6.0, op_name="relu6")


@takes_halves
def hardtanh(input: Operand, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    """The input brought into [min_val, max_val]; the gradient at the bounds is 0.

    Raises:
        ArgumentError: min_val > max_val.

    >>> import numpy as np
    >>> hardtanh(np.array([-3.0, 0.5]))
    array([-1. ,  0.5])
    """
    as_flag(inplace, "inplace", "hardtanh")
    low, high = _number("hardtanh", min_val=min_val), _number("hardtanh", max_val=max_val)
    return apply("hardtanh", input, low=low, high=high, op_name="hardtanh")


@takes_halves
def threshold(input: Operand, threshold: float, value: float, inplace: bool = False) -> Any:
    """The input where it is above ``threshold``, and ``value`` elsewhere; NaN stays.

    >>> import numpy as np
    >>> threshold(np.array([0.1, 0.9]), 0.5, -1.0)
    array([-1. ,  0.9])
    """
    as_flag(inplace, "inplace", "threshold")
    limit, found = _number("threshold", threshold=threshold), _number("threshold", value=value)
    return apply("threshold", input, threshold=limit, value=found)


@takes_halves
def leaky_relu(input: Operand, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """The input where it is above 0, and ``negative_slope`` · input elsewhere.

    >>> import numpy as np
    >>> leaky_relu(np.array([-2.0, 3.0]), 0.5)
    array([-1.,  3.])
    """
    as_flag(inplace, "inplace", "leaky_relu")
    return apply("leaky_relu", input, slope=_number("leaky_relu", negative_slope=negative_slope))


@takes_halves
def elu(input: Operand, alpha: float = 1.0, inplace: bool = False) -> Any:
    """The input where it is above 0, and alpha · (exp(input) − 1) elsewhere.

    Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by exponential linear
    units", 2016.
    """
    as_flag(inplace, "inplace", "elu")
    return apply("elu", input, alpha=_number("elu", alpha=alpha))


@takes_halves
def tanh(input: Operand) -> Any:
    """The hyperbolic tangent."""
    check_operand(input, "input", "tanh")
    return elementwise.tanh(input)


@takes_halves
def sigmoid(input: Operand) -> Any:
    """1 / (1 + exp(−input))."""
    check_operand(input, "input", "sigmoid")
    return elementwise.sigmoid(input)


@takes_halves
def softplus(input: Operand, beta: float = 1, threshold: float = 20) -> Any:
    """log(1 + exp(beta · input)) / beta, and the input itself where beta · input > threshold.

    Raises:
        ArgumentError: beta is not a finite number above 0.
    """
    return apply(
        "softplus",
        input,
        beta=_number("softplus", beta=beta),
        threshold=_number("softplus", threshold=threshold),
    )


@takes_halves
def silu(input: Operand, inplace: bool = False) -> Any:
    """The input times its sigmoid, also called swish.

    Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016.
    """
    as_flag(inplace, "inplace", "silu")
    return apply("silu", input)


@takes_halves
def gelu(input: Operand, approximate: str = "none") -> Any:
    """The input times the probability that a standard normal number is below it.

    Args:
        input: floating array or Tensor.
        approximate: "none", or "tanh" for ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))).

    Raises:
        ArgumentError: ``approximate`` is neither.

    Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016.
    """
    if not isinstance(approximate, str) or approximate not in ("none", "tanh"):
        raise ArgumentError(
            "gelu needs approximate to be 'none' or 'tanh'.", describe(approximate=approximate)
        )
    return apply("gelu" if approximate == "none" else "gelu_tanh", input)


def softmax(input: Operand, dim: int | None = None, dtype: Any = None) -> Any:
    """exp(input) / Σ exp(input), the sum along ``dim``: positive numbers that add up to 1.

    Args:
        input: floating array or Tensor.
        dim: the axis; it must be given.
        dtype: convert the input to it first.

    Raises:
        ArgumentError: ``dim`` is missing.
        ShapeError: there is no such axis.

    >>> import numpy as np
    >>> softmax(np.array([0.0, 0.0, np.log(2.0)]), 0)
    array([0.25, 0.25, 0.5 ])
    """
    return softmax_along("softmax", input, dim, dtype)


def log_softmax(input: Operand, dim: int | None = None, dtype: Any = None) -> Any:
    """The logarithm of :func:`softmax`, without forming it: nothing is lost where that would be 0.

    Arguments and errors as for :func:`softmax`.
    """
    return softmax_along("log_softmax", input, dim, dtype)


def softmax_along(op: str, input: Any, dim: int | None, dtype: Any) -> Any:
    """Softmax, log-softmax or softmin, by name."""
    if isinstance(input, (np.ndarray, Tensor)) and is_half(input.dtype):
        half: Any = input
        found = softmax_along(op, cast(half, np.dtype(np.float32)), dim, dtype)
        return cast(found, half.dtype) if dtype is None else found
    check_operand(input, "input", op)
    if dim is None:
        raise ArgumentError(
            f"{op} needs dim, the axis along which results add up to 1.",
            describe(dim=dim, input=input if isinstance(input, (Tensor, np.ndarray)) else None),
            f"For scores of shape (batch, classes), write {op}(input, dim=1).",
        )
    along = axis(op, dim, input.ndim)
    wanted = input.dtype if dtype is None else as_dtype(dtype)
    # Halves are too coarse to add up in.
    x = cast(input, sum_dtype(wanted))
    if op == "softmin":
        op, x = "softmax", elementwise.neg(x)
    y = apply(op, x.reshape(1), axis=0).reshape(()) if x.ndim == 0 else apply(op, x, axis=along)
    return cast(y, wanted)
