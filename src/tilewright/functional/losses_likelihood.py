"""Negative log-likelihoods of numbers: PyTorch's Poisson and Gaussian losses.

As in :mod:`tilewright.functional.losses`, arguments that PyTorch has after its deprecated ``size_average``
are taken by name only, and shapes that differ are refused where PyTorch would broadcast. float16 is computed
in float32.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tilewright.autograd.arithmetic import where
from tilewright.autograd.elementwise import exp, log
from tilewright.autograd.operands import raw
from tilewright.autograd.tape import no_grad
from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.functional.activations import _flag, _number
from tilewright.functional.composing import check_floating, composed
from tilewright.functional.halves import takes_halves
from tilewright.functional.losses import _numbers_like, _reduced, _size
from tilewright.functional.operands import Operand
from tilewright.op.arrays import check_same_dtype
from tilewright.op.loss import check_pair, check_reduction, check_weight

__all__ = ["gaussian_nll_loss", "poisson_nll_loss"]


@takes_halves
def poisson_nll_loss(
    input: Operand,
    target: Operand,
    log_input: bool = True,
    full: bool = False,
    *,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Any:
    """exp(input) − target · input: what a count is unlikely by, if its mean is exp(input).

    Args:
        input: the logarithms of expected counts, floating, any shape; with ``log_input=False`` the expected
            counts themselves, and the loss is input − target · log(input + eps).
        target: counts, of the same shape and dtype; integers are taken as numbers of that dtype.
        log_input: what ``input`` holds.
        full: add Stirling's approximation of log(target!), target · log(target) − target + ½·log(2π·target),
            where the target is above 1.
        eps: keeps the logarithm's argument from 0.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: shapes differ.
        DtypeError: dtypes differ or are not floating.
        ArgumentError: ``reduction`` is unknown.

    >>> import numpy as np
    >>> float(poisson_nll_loss(np.zeros(2), np.array([1.0, 5.0])))
    1.0
    """
    op = "poisson_nll_loss"
    check_reduction(reduction, op)
    little = _number(op, eps=eps)
    log_input, full = _flag(op, log_input=log_input), _flag(op, full=full)
    check_floating(op, input=input)
    target = _numbers_like(input, target)
    check_pair(raw(input), raw(target), op)

    def loss(x: Any, t: Any) -> Any:
        found = exp(x) - t * x if log_input else x - t * log(x + little)
        if full:
            many = t > 1.0
            # 2 stands in where the approximation is left out, so that no logarithm of 0 is differentiated.
            n = where(many, t, 2.0)
            found = found + where(many, n * log(n) - n + log(n * (2.0 * math.pi)) * 0.5, 0.0)
        return _reduced(found, reduction, _size(found))

    return composed(loss, input, target)


@takes_halves
def gaussian_nll_loss(
    input: Operand,
    target: Operand,
    var: Operand | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Any:
    """½·(log(var) + (input − target)²/var): what a number is unlikely by, if mean and variance are these.

    Args:
        input: expected numbers, floating, any shape.
        target: of the same dtype, and of the input's shape or one that broadcasts to it; integers are taken
            as numbers of that dtype.
        var: variances, at least 0 and of the same dtype: of the input's shape, of that shape with a last axis
            of 1 or without its last axis; or one number.
        full: add the constant ½·log(2π).
        eps: variances below count as this; the gradient passes as if they were not changed.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: shapes don't fit.
        DtypeError: dtypes differ or are not floating.
        ArgumentError: a variance is negative, eps is not above 0, or ``reduction`` is unknown.

    Nix and Weigend, "Estimating the mean and variance of the target probability distribution", 1994.

    >>> import numpy as np
    >>> float(gaussian_nll_loss(np.array([1.0]), np.array([3.0]), np.array([1.0])))
    2.0
    """
    op = "gaussian_nll_loss"
    check_reduction(reduction, op)
    least, full = _number(op, eps=eps), _flag(op, full=full)
    if not least > 0:
        raise ArgumentError("gaussian_nll_loss needs eps above 0.", describe(eps=eps))
    check_floating(op, input=input)
    target = _numbers_like(input, target)
    shape = tuple(input.shape)
    check_floating(op, target=target)
    check_weight(raw(target), shape, input.dtype, "target", op)
    if isinstance(var, (int, float, np.number)):
        var = np.full(shape, _number(op, var=var), input.dtype)
    check_floating(op, var=var)
    check_same_dtype(op, input=raw(input), var=raw(var))
    found = tuple(var.shape)
    if found != shape and found not in (shape[:-1], (*shape[:-1], 1)):
        raise ShapeError(
            "gaussian_nll_loss needs var of the input's shape, or with its last axis left out or of size 1.",
            describe(var=var, input=input),
        )
    if (raw(var) < 0).any():
        raise ArgumentError(
            "gaussian_nll_loss needs variances of at least 0.",
            f"var with a least element of {raw(var).min()}",
        )

    def loss(x: Any, t: Any, variance: Any) -> Any:
        if found != shape and found == shape[:-1]:
            variance = variance.unsqueeze(-1)
        # Behind the tape's back, as in PyTorch: a gradient still reaches a variance that is too small.
        variance = variance.clone()
        with no_grad():
            variance.clamp_(min=least)
        off = x - t
        value = (log(variance) + off * off / variance) * 0.5
        if full:
            value = value + 0.5 * math.log(2.0 * math.pi)
        return _reduced(value, reduction, _size(value))

    return composed(loss, input, target, var)
