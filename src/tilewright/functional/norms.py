"""Normalisation: PyTorch's ``batch_norm`` and ``normalize``."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.autograd import rules_norm as _rules  # noqa: F401 - puts the rules into the table
from tilewright.autograd.checks import axis
from tilewright.autograd.operands import raw
from tilewright.autograd.tape import apply
from tilewright.errors import ArgumentError, describe
from tilewright.functional.activations import _flag, _number, relu
from tilewright.functional.halves import takes_halves
from tilewright.functional.operands import Operand, check_operand
from tilewright.functional.running import all_halves, check_running, in_float32, move_running
from tilewright.op import norm as op
from tilewright.op.arrays import FLOATS

__all__ = ["batch_norm", "normalize"]


def batch_norm(
    input: Operand,
    running_mean: Operand | None,
    running_var: Operand | None,
    weight: Operand | None = None,
    bias: Operand | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """(input − mean) / √(variance + eps) · weight + bias, each channel by its own numbers.

    In training mean and variance are those of the batch (the variance divided by n), and the running ones, if
    given, are **updated in place**: running = (1 − momentum) · running + momentum · found, with the variance
    divided by n − 1, as in PyTorch. Otherwise the running ones are used.

    Args:
        input: (batch, channels, *rest), floating.
        running_mean: (channels,); given with ``running_var`` or not at all, and always outside training.
        running_var: (channels,).
        weight: (channels,), 1 by default.
        bias: (channels,), 0 by default.
        training: by the batch's own statistics.
        momentum: the share of the batch in the running statistics.
        eps: at least 0, keeps the divisor from 0.

    Raises:
        ShapeError: shapes don't fit, or there are fewer than two numbers per channel in training.
        DtypeError: dtypes differ, or the running statistics can't be written to.
        ArgumentError: running statistics are missing, or eps is negative.

    Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate
    shift", 2015.
    """
    operands = (input, running_mean, running_var, weight, bias)
    if all_halves(*operands):
        training = _flag("batch_norm", training=training)
        return in_float32(batch_norm, *operands, training, momentum, eps, moves=training)
    return _batch_norm("batch_norm", operands, training, momentum, eps)


def batch_norm_relu(
    input: Operand,
    running_mean: Operand | None,
    running_var: Operand | None,
    weight: Operand | None,
    bias: Operand | None,
    training: bool,
    momentum: float,
    eps: float,
    more: Operand | None = None,
) -> Any:
    """ReLU of :func:`batch_norm`, or of that and ``more``, with the bits of these steps and fewer passes.

    Args:
        input: and what follows up to ``eps``, as for :func:`batch_norm`.
        running_mean: see there.
        running_var: see there.
        weight: see there.
        bias: see there.
        training: see there.
        momentum: see there.
        eps: see there.
        more: what is added before ReLU, as the way around a residual block is.

    Raises:
        ShapeError, DtypeError, ArgumentError: as :func:`batch_norm`, and as addition.
    """
    operands = (input, running_mean, running_var, weight, bias)
    x, added = raw(input), raw(more)
    served = isinstance(x, np.ndarray) and x.dtype.name in FLOATS
    if more is not None:
        served = (
            served and isinstance(added, np.ndarray) and added.dtype == x.dtype and added.shape == x.shape
        )
    if served:
        return _batch_norm("batch_norm_relu", operands, training, momentum, eps, more)
    y = batch_norm(*operands, training, momentum, eps)
    return relu(y if more is None else y + more)


def _batch_norm(
    rule: str, operands: tuple[Any, ...], training: Any, momentum: Any, eps: Any, *more: Operand | None
) -> Any:
    """The rule on an input, its statistics, weight and bias, all of which are checked."""
    input, running_mean, running_var, weight, bias = operands
    training = _flag("batch_norm", training=training)
    x, mean, variance = raw(input), raw(running_mean), raw(running_var)
    parameters = {"weight": raw(weight), "bias": raw(bias)}
    op.check_per_channel("batch_norm", x, running_mean=mean, running_var=variance, **parameters)
    epsilon, share = _number("batch_norm", eps=eps), _number("batch_norm", momentum=momentum)
    if not epsilon >= 0:
        raise ArgumentError("batch_norm needs eps of at least 0.", describe(eps=eps))
    if (mean is None) != (variance is None) or (mean is None and not training):
        raise ArgumentError(
            "batch_norm needs running_mean and running_var, both or (in training) neither.",
            describe(
                running_mean=running_mean if mean is None else "given",
                running_var=running_var if variance is None else "given",
                training=training,
            ),
        )
    if training:
        check_running("batch_norm", running_mean, running_var)
    with np.errstate(all="ignore"):
        if training:
            mean, variance = op.channel_statistics(x)
        else:
            # A copy: the running statistics may move on before gradients are computed.
            mean = np.array(mean)
        inverse = op.inverse_deviation(variance, epsilon)
    y = apply(rule, input, weight, bias, *more, mean=mean, inverse=inverse, eps=epsilon, own=training)
    if training and running_mean is not None:
        count = x.size // max(x.shape[1], 1)
        move_running(running_mean, mean, share)
        move_running(running_var, variance * (count / max(count - 1, 1)), share)
    return y


@takes_halves
def normalize(input: Operand, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Any:
    """The input over its p-norm along ``dim``, or over ``eps`` where that is larger.

    Args:
        input: floating, rank ≥ 1.
        p: above 0; infinity takes the largest magnitude.
        dim: the axis of the vectors.
        eps: the least divisor.

    Raises:
        ShapeError: there is no such axis.
        ArgumentError: p is not above 0.

    >>> import numpy as np
    >>> normalize(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    check_operand(input, "input", "normalize")
    along = axis("normalize", dim, input.ndim)
    power, least = _number("normalize", p=p), _number("normalize", eps=eps)
    if input.ndim == 0:
        return apply("normalize", input.reshape(1), p=power, axis=0, eps=least).reshape(())
    return apply("normalize", input, p=power, axis=along, eps=least)
