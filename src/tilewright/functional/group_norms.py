"""Normalisation of a sample by its own numbers: group, instance, layer, RMS and local response norm.

None of them looks at the rest of the batch, so a sample's result is the same bits in every batch. float16 is
computed in float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tilewright.autograd import rules_group_norm as _rules  # noqa: F401 - puts the rules into the table
from tilewright.autograd.operands import raw
from tilewright.autograd.tape import apply
from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.functional.activations import _flag, _number
from tilewright.functional.composing import check_floating, composed
from tilewright.functional.halves import takes_halves
from tilewright.functional.norms import batch_norm
from tilewright.functional.operands import Operand
from tilewright.functional.running import all_halves, check_running, in_float32, move_running
from tilewright.geometry.axes import as_integer
from tilewright.op.arrays import check_same_dtype
from tilewright.op.group_norm import channel_means_and_variances, check_groups
from tilewright.op.norm import check_per_channel

__all__ = ["group_norm", "instance_norm", "layer_norm", "local_response_norm", "rms_norm"]


@takes_halves
def group_norm(
    input: Operand,
    num_groups: int,
    weight: Operand | None = None,
    bias: Operand | None = None,
    eps: float = 1e-5,
) -> Any:
    """(input − mean) / √(variance + eps) · weight + bias, with mean and variance of each group of channels.

    The channels of each sample are cut into ``num_groups`` groups of neighbours; mean and variance (divided
    by n) are over a group's channels and places.

    Args:
        input: (batch, channels, *rest), floating.
        num_groups: divides the channels; 1 takes all channels together.
        weight: (channels,), 1 by default.
        bias: (channels,), 0 by default.
        eps: at least 0, keeps the divisor from 0.

    Raises:
        ShapeError: shapes don't fit, or the channels don't make up so many groups.
        DtypeError: dtypes differ or are not floating.
        ArgumentError: num_groups is no integer above 0, or eps is negative.

    Wu and He, "Group normalization", 2018.

    >>> import numpy as np
    >>> group_norm(np.array([[1.0, 3.0, 10.0, 10.0]]), 2, eps=0.0)[:, :2]
    array([[-1.,  1.]])
    """
    op = "group_norm"
    groups = as_integer(num_groups, "num_groups", op, least=1)
    epsilon = _epsilon(op, eps)
    check_per_channel(op, raw(input), weight=raw(weight), bias=raw(bias))
    check_groups(raw(input), groups, op)
    return apply("group_norm", input, weight, bias, groups=groups, eps=epsilon, centred=True)


def instance_norm(
    input: Operand,
    running_mean: Operand | None = None,
    running_var: Operand | None = None,
    weight: Operand | None = None,
    bias: Operand | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """(input − mean) / √(variance + eps) · weight + bias, each channel of each sample by its own numbers.

    Args:
        input: (batch, channels, *spatial), floating.
        running_mean: (channels,); given with ``running_var`` or not at all. With the input's own statistics
            both are **updated in place**: running = (1 − momentum) · running + momentum · found, where what
            was found is averaged over the batch, and the variance is divided by n − 1, as in PyTorch.
        running_var: (channels,).
        weight: (channels,), 1 by default.
        bias: (channels,), 0 by default.
        use_input_stats: by each sample's own statistics; otherwise by the running ones.
        momentum: the share of the input in the running statistics.
        eps: at least 0, keeps the divisor from 0.

    Raises:
        ShapeError: shapes don't fit, or a channel has a single place (it would always come out as 0).
        DtypeError: dtypes differ, or the running statistics can't be written to.
        ArgumentError: running statistics are missing, or eps is negative.

    Ulyanov, Vedaldi and Lempitsky, "Instance normalization: the missing ingredient for fast stylization",
    2016.
    """
    op = "instance_norm"
    use_input_stats = _flag(op, use_input_stats=use_input_stats)
    operands = (input, running_mean, running_var, weight, bias)
    if all_halves(*operands):
        options = (use_input_stats, momentum, eps)
        return in_float32(instance_norm, *operands, *options, moves=use_input_stats)
    epsilon, share = _epsilon(op, eps), _number(op, momentum=momentum)
    x, mean, variance = raw(input), raw(running_mean), raw(running_var)
    check_per_channel(op, x, running_mean=mean, running_var=variance, weight=raw(weight), bias=raw(bias))
    if (mean is None) != (variance is None) or (mean is None and not use_input_stats):
        raise ArgumentError(
            "instance_norm needs running_mean and running_var, both or (with use_input_stats) neither.",
            describe(
                running_mean=running_mean if mean is None else "given",
                running_var=running_var if variance is None else "given",
                use_input_stats=use_input_stats,
            ),
        )
    if not use_input_stats:
        return batch_norm(*operands, False, share, epsilon)
    if x.ndim < 3 or math.prod(x.shape[2:]) == 1:
        raise ShapeError(
            "instance_norm needs input of shape (batch, channels, *spatial) with more than one place.",
            describe(input=input),
        )
    check_running(op, running_mean, running_var)
    y = apply("group_norm", input, weight, bias, groups=x.shape[1], eps=epsilon, centred=True)
    if mean is not None and x.size:
        found_mean, found_variance = channel_means_and_variances(x)
        move_running(running_mean, found_mean, share)
        move_running(running_var, found_variance, share)
    return y


def layer_norm(
    input: Operand,
    normalized_shape: int | Sequence[int],
    weight: Operand | None = None,
    bias: Operand | None = None,
    eps: float = 1e-5,
) -> Any:
    """(input − mean) / √(variance + eps) · weight + bias, with mean and variance over the last axes.

    Args:
        input: (*lead, *normalized_shape), floating.
        normalized_shape: the sizes of the last axes, over which mean and variance (divided by n) are taken.
        weight: of shape ``normalized_shape``, 1 by default.
        bias: of shape ``normalized_shape``, 0 by default.
        eps: at least 0, keeps the divisor from 0.

    Raises:
        ShapeError: shapes don't fit.
        DtypeError: dtypes differ or are not floating.
        ArgumentError: normalized_shape holds something else than integers, or eps is negative.

    Ba, Kiros and Hinton, "Layer normalization", 2016.

    >>> import numpy as np
    >>> layer_norm(np.array([[1.0, 3.0], [5.0, 5.0]]), 2, eps=1e-12).round(6)
    array([[-1.,  1.],
           [ 0.,  0.]])
    """
    return _over_last_axes(input, weight, bias, "layer_norm", normalized_shape, _epsilon("layer_norm", eps))


def rms_norm(
    input: Operand,
    normalized_shape: int | Sequence[int],
    weight: Operand | None = None,
    eps: float | None = None,
) -> Any:
    """Input / √(mean square + eps) · weight, with the mean square over the last axes.

    Arguments and errors as for :func:`layer_norm`; without ``eps`` it is the dtype's relative precision
    (``numpy.finfo(dtype).eps``).

    Zhang and Sennrich, "Root mean square layer normalization", 2019.

    >>> import numpy as np
    >>> rms_norm(np.array([1.0, 7.0]), 2, eps=0.0)
    array([0.2, 1.4])
    """
    epsilon = None if eps is None else _epsilon("rms_norm", eps)
    return _over_last_axes(input, weight, None, "rms_norm", normalized_shape, epsilon)


@takes_halves
def _over_last_axes(
    input: Any, weight: Any, bias: Any, op: str, normalized_shape: Any, epsilon: float | None
) -> Any:
    given = normalized_shape if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    last = tuple(as_integer(size, "every size of normalized_shape", op, least=0) for size in given)
    parameters = {name: value for name, value in (("weight", weight), ("bias", bias)) if value is not None}
    check_floating(op, input=input, **parameters)
    shape = tuple(input.shape)
    lead = len(shape) - len(last)
    if not last or lead < 0 or shape[lead:] != last:
        raise ShapeError(
            f"{op} needs input whose last axes have the sizes normalized_shape, at least one of them.",
            describe(input=input, normalized_shape=normalized_shape),
        )
    for name, value in parameters.items():
        if tuple(value.shape) != last:
            raise ShapeError(
                f"{op} needs {name} of shape {last}, as normalized_shape.", describe(**{name: value})
            )
    check_same_dtype(op, input=raw(input), **{name: raw(value) for name, value in parameters.items()})
    numbers = math.prod(last)
    y = apply(
        "group_norm",
        input.reshape(math.prod(shape[:lead]), numbers),
        None if weight is None else weight.reshape(numbers),
        None if bias is None else bias.reshape(numbers),
        groups=1,
        eps=float(np.finfo(input.dtype).eps) if epsilon is None else epsilon,
        centred=op == "layer_norm",
    )
    return y.reshape(shape)


@takes_halves
def local_response_norm(
    input: Operand, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Any:
    """Input / (k + alpha/size · Σ input²)^beta, with the sum over ``size`` neighbouring channels.

    The channels from c − ⌊size/2⌋ to c + ⌊(size − 1)/2⌋ count for channel c; those outside count as 0.

    Args:
        input: (batch, channels, *rest) with at least one axis after the channels, floating.
        size: of the neighbourhood, at least 1.
        alpha: the weight of the mean square.
        beta: the exponent.
        k: the summand.

    Raises:
        ShapeError: the input has fewer than three axes.
        DtypeError: it is not floating.
        ArgumentError: size is no integer above 0.

    Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks", 2012
    (alpha is not divided by the size there).

    >>> import numpy as np
    >>> local_response_norm(np.array([[[3.0], [4.0]]]), 3, alpha=3.0, beta=0.5, k=0.0)
    array([[[0.6],
            [0.8]]])
    """
    op = "local_response_norm"
    width = as_integer(size, "size", op, least=1)
    share, power, least = _number(op, alpha=alpha), _number(op, beta=beta), _number(op, k=k)
    check_floating(op, input=input)
    if input.ndim < 3:
        raise ShapeError(
            "local_response_norm needs input of shape (batch, channels, *rest) with at least 3 axes.",
            describe(input=input),
        )

    def normalised(x: Any) -> Any:
        around = apply("channel_window_sum", x * x, before=width // 2, after=(width - 1) // 2)
        divisor = around * (share / width) + least
        if power in (0.5, 0.75):
            # Square roots are several times as quick as a power, and 3/4 = 1/2 + 1/4 is the usual exponent.
            root = divisor.rsqrt()
            return x * root if power == 0.5 else x * (root * root.sqrt())
        return x / divisor**power

    return composed(normalised, input)


def _epsilon(op: str, eps: Any) -> float:
    found = _number(op, eps=eps)
    if not found >= 0:
        raise ArgumentError(f"{op} needs eps of at least 0.", describe(eps=eps))
    return found
