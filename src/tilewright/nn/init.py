"""Where training starts: functions that fill a weight in place, PyTorch's names and three authors' by name.

The *fan* of a weight (out, in, *kernel) is how many inputs an output sums (``fan_in`` = in · taps) and how
many outputs an input feeds (``fan_out`` = out · taps), for any number of kernel axes.

============ ====================================== ==============================================
name         values                                 source
============ ====================================== ==============================================
glorot       uniform, variance 2/(fan_in + fan_out) Glorot and Bengio, AISTATS 2010; also "xavier"
he           normal, variance 2/fan_in              He et al., ICCV 2015; also "kaiming"
lecun        normal, variance 1/fan_in              LeCun et al., "Efficient BackProp", 1998
orthogonal   orthogonal rows or columns             Saxe et al., ICLR 2014
============ ====================================== ==============================================

``_uniform`` or ``_normal`` behind one of the first three names asks for that distribution.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.nn.arguments import as_number, as_real, one_of
from tilewright.nn.state import overwrite
from tilewright.op.kinds import DIFFERENTIABLE
from tilewright.op.random import Generator, chosen

Array = npt.NDArray[Any]
#: A name that :func:`by_name` knows, or a function that fills the Tensor it gets.
Initialiser = str | Callable[[Any], object]

_LINEAR = ("linear", *(f"conv{t}{rank}d" for t in ("", "_transpose") for rank in (1, 2, 3)), "sigmoid")
_NONLINEARITIES = (*_LINEAR, "tanh", "relu", "leaky_relu", "selu")


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By what the standard deviation is multiplied ahead of a nonlinearity, as PyTorch recommends it.

    Args:
        nonlinearity: "linear", "conv1d" and the like, "sigmoid", "tanh", "relu", "leaky_relu" or "selu".
        param: the negative slope of "leaky_relu" (0.01 if not given).

    Raises:
        ArgumentError: another name.

    >>> calculate_gain("tanh")
    1.6666666666666667
    """
    one_of(nonlinearity, _NONLINEARITIES, "nonlinearity", "calculate_gain")
    if nonlinearity == "tanh":
        return 5 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else as_number(param, "param", "calculate_gain", least=-math.inf)
        return math.sqrt(2.0 / (1 + slope**2))
    # 3/4 keeps the variance of SELU's fixed point in practice; PyTorch's value.
    return 0.75 if nonlinearity == "selu" else 1.0


def fans(tensor: Tensor) -> tuple[int, int]:
    """``(fan_in, fan_out)`` of a weight (out, in, *kernel) of any rank from 2 on.

    Raises:
        ShapeError: fewer than two axes.
        DtypeError: no Tensor.

    >>> fans(tw.zeros(6, 1, 5, 5))
    (25, 150)
    """
    if not isinstance(tensor, Tensor):
        raise DtypeError("A fan needs a Tensor of weights.", describe(tensor=tensor))
    shape = tuple(tensor.shape)
    if len(shape) < 2:
        raise ShapeError(
            "A fan needs a weight with at least two axes (out, in, *kernel).", f"a weight with shape {shape}"
        )
    taps = math.prod(shape[2:])
    return shape[1] * taps, shape[0] * taps


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with numbers from ``a`` to ``b``, all equally likely; returns the tensor."""
    a, b = (as_number(bound, name, "uniform_", least=-math.inf) for name, bound in (("a", a), ("b", b)))
    _check_fillable(tensor)
    _fill(tensor, chosen(generator).uniform(tuple(tensor.shape), tensor.dtype, a, b))
    return tensor


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Fill with normally distributed numbers; returns the tensor."""
    mean = as_number(mean, "mean", "normal_", least=-math.inf)
    std = as_number(std, "std", "normal_")
    _check_fillable(tensor)
    _fill(tensor, chosen(generator).normal(tuple(tensor.shape), tensor.dtype, mean, std))
    return tensor


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Fill with normally distributed numbers, those outside ``a`` … ``b`` drawn again; returns the tensor.

    The bounds are values, not multiples of ``std``.

    Raises:
        ArgumentError: ``std`` is not above 0, or ``a`` is not below ``b``.
    """
    mean = as_number(mean, "mean", "trunc_normal_", least=-math.inf)
    std = as_number(std, "std", "trunc_normal_")
    a, b = as_real(a, "a", "trunc_normal_"), as_real(b, "b", "trunc_normal_")
    _check_fillable(tensor)
    if not std > 0 or not a < b:
        raise ArgumentError("trunc_normal_ needs std above 0 and a below b.", describe(std=std, a=a, b=b))
    # Drawn in float64, so that rounding to the tensor's dtype comes last; the bounds then hold in that dtype.
    values = _truncated(math.prod(tensor.shape), (a - mean) / std, (b - mean) / std, chosen(generator).numpy)
    values = np.clip(values * std + mean, a, b).reshape(tuple(tensor.shape))
    _fill(tensor, values.astype(tensor.dtype))
    return tensor


def _truncated(count: int, low: float, high: float, numbers: np.random.Generator) -> Array:
    """``count`` standard normal numbers between the bounds, by rejection, whatever part of the curve that is.

    Source: Robert, "Simulation of truncated normal variables", Statistics and Computing 5, 1995.
    """
    if high <= 0:
        return -_truncated(count, -high, -low, numbers)
    mass = 0.5 * (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2)))
    rate = (low + math.sqrt(low * low + 4)) / 2

    def normal(n: int) -> tuple[Array, Array]:
        drawn = numbers.standard_normal(n)
        return drawn, (drawn >= low) & (drawn <= high)

    def exponential(n: int) -> tuple[Array, Array]:
        drawn = low - np.log1p(numbers.random(n) * math.expm1(-rate * (high - low))) / rate
        return drawn, numbers.random(n) <= np.exp(-((drawn - rate) ** 2) / 2)

    def flat(n: int) -> tuple[Array, Array]:
        drawn = low + numbers.random(n) * (high - low)
        return drawn, numbers.random(n) <= np.exp(-(drawn**2) / 2)

    # Where a fifth of the curve lies between the bounds, drawing from all of it wastes at most four of five.
    # Elsewhere the part is a tail, where the exponential curve fits, or narrow about 0, where a line does.
    draw = normal if mass > 0.2 else exponential if low > 0 else flat
    values = np.empty(count)
    filled = 0
    while filled < count:
        drawn, kept = draw(count - filled + 8)
        some = drawn[kept][: count - filled]
        values[filled : filled + len(some)] = some
        filled += len(some)
    return values


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value; returns the tensor."""
    _fill(tensor, np.asarray(float(as_real(val, "val", "constant_"))))
    return tensor


def ones_(tensor: Tensor) -> Tensor:
    """Fill with 1; returns the tensor."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with 0; returns the tensor."""
    return constant_(tensor, 0.0)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform of variance gain² · 2/(fan_in + fan_out) (Glorot and Bengio 2010); returns the tensor."""
    gain = as_number(gain, "gain", "xavier_uniform_", least=-math.inf)
    bound = gain * math.sqrt(6.0 / _least_one(sum(fans(tensor))))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal of variance gain² · 2/(fan_in + fan_out) (Glorot and Bengio 2010); returns the tensor."""
    gain = as_number(gain, "gain", "xavier_normal_")
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / _least_one(sum(fans(tensor)))), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Uniform of variance gain²/fan (He et al. 2015); returns the tensor.

    Args:
        tensor: the weight.
        a: negative slope of the leaky ReLU that follows.
        mode: "fan_in" keeps the variance of outputs, "fan_out" that of gradients.
        nonlinearity: what follows (see :func:`calculate_gain`).
        generator: draws the numbers; the default one if not given.

    Raises:
        ArgumentError, ShapeError: an unknown mode or nonlinearity, or a weight with fewer than two axes.
    """
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity, "kaiming_uniform_")
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Normal of variance gain²/fan; arguments and errors as for :func:`kaiming_uniform_`."""
    std = _kaiming_std(tensor, a, mode, nonlinearity, "kaiming_normal_")
    return normal_(tensor, 0.0, std, generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str, op: str) -> float:
    one_of(mode, ("fan_in", "fan_out"), "mode", op)
    a = as_number(a, "a", op, least=-math.inf)
    fan = fans(tensor)[0 if mode == "fan_in" else 1]
    return calculate_gain(nonlinearity, a) / math.sqrt(_least_one(fan))


def lecun_uniform_(tensor: Tensor, generator: Generator | None = None) -> Tensor:
    """Uniform of variance 1/fan_in (LeCun et al. 1998); returns the tensor."""
    return kaiming_uniform_(tensor, nonlinearity="linear", generator=generator)


def lecun_normal_(tensor: Tensor, generator: Generator | None = None) -> Tensor:
    """Normal of variance 1/fan_in (LeCun et al. 1998); returns the tensor."""
    return kaiming_normal_(tensor, nonlinearity="linear", generator=generator)


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with an orthogonal matrix (out × the rest) times ``gain`` (Saxe et al. 2014); returns the tensor.

    Rows are orthogonal where there are fewer of them than columns, columns otherwise.

    Raises:
        ShapeError: fewer than two axes.
    """
    fans(tensor)
    gain = as_number(gain, "gain", "orthogonal_", least=-math.inf)
    shape = tuple(tensor.shape)
    rows, columns = shape[0], math.prod(shape[1:])
    drawn = chosen(generator).normal((max(rows, columns), min(rows, columns)), np.float64)
    q, r = np.linalg.qr(drawn)
    # The signs of R's diagonal make the distribution uniform over all orthogonal matrices (Mezzadri 2007).
    q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
    _fill(tensor, (gain * (q.T if rows < columns else q)).reshape(shape).astype(tensor.dtype))
    return tensor


#: What :func:`by_name` knows.
NAMES: dict[str, Callable[..., Tensor]] = {
    "glorot": xavier_uniform_,
    "glorot_uniform": xavier_uniform_,
    "glorot_normal": xavier_normal_,
    "xavier": xavier_uniform_,
    "xavier_uniform": xavier_uniform_,
    "xavier_normal": xavier_normal_,
    "he": lambda tensor, generator=None: kaiming_normal_(tensor, generator=generator),
    "he_uniform": lambda tensor, generator=None: kaiming_uniform_(tensor, generator=generator),
    "he_normal": lambda tensor, generator=None: kaiming_normal_(tensor, generator=generator),
    "kaiming": lambda tensor, generator=None: kaiming_normal_(tensor, generator=generator),
    "kaiming_uniform": lambda tensor, generator=None: kaiming_uniform_(tensor, generator=generator),
    "kaiming_normal": lambda tensor, generator=None: kaiming_normal_(tensor, generator=generator),
    "lecun": lecun_normal_,
    "lecun_uniform": lecun_uniform_,
    "lecun_normal": lecun_normal_,
    "orthogonal": orthogonal_,
}


def by_name(name: str, tensor: Tensor, *, generator: Generator | None = None) -> Tensor:
    """Fill a weight by the name of an initialiser (the table above); returns the tensor.

    Raises:
        ArgumentError: an unknown name.
        ShapeError: a weight with fewer than two axes.

    >>> by_name("glorot", tw.empty(6, 1, 5, 5)).shape
    Size([6, 1, 5, 5])
    """
    return NAMES[one_of(name, tuple(NAMES), "name", "by_name")](tensor, generator=generator)


class _Skipping(threading.local):
    on: bool = False


_skipping = _Skipping()


@contextmanager
def skipped() -> Iterator[None]:
    """Inside, layers are made with zeros for weights, and no random numbers are drawn.

    For a model whose weights are loaded next: large ones are made in no time.

    >>> with skipped():
    ...     model = nn.Linear(2000, 1000)
    >>> model.weight.any().item()
    False
    """
    before, _skipping.on = _skipping.on, True
    try:
        yield
    finally:
        _skipping.on = before


def is_skipped() -> bool:
    """Whether this is inside :func:`skipped`."""
    return _skipping.on


def check_initialiser(how: Any, op: str) -> None:
    """Refuse what :func:`reset` can't start a weight by, before there is a weight.

    Raises:
        ArgumentError: it is neither a name that :func:`by_name` knows nor a function.
    """
    if isinstance(how, str):
        one_of(how, tuple(NAMES), "init", op)
    elif how is not None and not callable(how):
        raise ArgumentError(f"{op} needs init to be a name or a function.", describe(init=how))


def reset(weight: Tensor, bias: Tensor | None, how: Initialiser | None) -> None:
    """Start a layer: as PyTorch does without ``how``; otherwise by it, and the bias at zero.

    PyTorch's start is uniform within ±1/√fan_in for both. Inside :func:`skipped` nothing is done.
    """
    if _skipping.on:
        return
    if how is None:
        bound = 1 / math.sqrt(_least_one(fans(weight)[0]))
        uniform_(weight, -bound, bound)
        if bias is not None:
            uniform_(bias, -bound, bound)
        return
    check_initialiser(how, "A layer")
    if isinstance(how, str):
        by_name(how, weight)
    else:
        how(weight)
    if bias is not None:
        zeros_(bias)


def _least_one(fan: int) -> int:
    """A weight without values has a fan of 0, and any bound will do for it."""
    return max(fan, 1)


def _fill(tensor: Tensor, values: Array) -> None:
    _check_fillable(tensor)
    overwrite(tensor, values)


def _check_fillable(tensor: Any) -> None:
    if not isinstance(tensor, Tensor) or tensor.dtype.kind not in DIFFERENTIABLE:
        raise DtypeError("An initialiser fills a floating Tensor.", describe(tensor=tensor))
