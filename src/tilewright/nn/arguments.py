"""Constructor arguments that several layers and optimisers share, checked in one place."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np

from tilewright.autograd.dtypes import as_dtype
from tilewright.errors import ArgumentError, DtypeError, describe
from tilewright.geometry.axes import LARGEST, as_integer, as_rank
from tilewright.geometry.padding import resolve_padding
from tilewright.op.kinds import DIFFERENTIABLE

# What PyTorch calls its devices; all but the first are refused by name rather than as unknown dtypes.
_DEVICES = ("cpu", "cuda", "mps", "xpu", "xla", "meta")


def as_number(
    value: Any, name: str, op: str, *, least: float = 0.0, most: float = math.inf, below: float = math.inf
) -> float:
    """``value`` as given, if it is a finite real number from ``least`` to ``most`` and under ``below``.

    Raises:
        ArgumentError: it is not.

    >>> as_number(0.9, "momentum", "SGD")
    0.9
    """
    # NumPy scalars and 0-d arrays become plain numbers, so that states stay plain.
    if isinstance(value, (np.generic, np.ndarray)) and np.ndim(value) == 0:
        value = value.item()
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    try:
        is_number = is_number and math.isfinite(value)
    except OverflowError:  # an integer that no float holds
        is_number = False
    if not is_number or not least <= value <= most or not value < below:
        bounds = "" if least == -math.inf else f", at least {least:g}"
        bounds += f" and at most {most:g}" if most < math.inf else ""
        bounds += f" and below {below:g}" if below < math.inf else ""
        raise ArgumentError(f"{op} needs {name} to be a finite number{bounds}.", describe(**{name: value}))
    return value  # type: ignore[no-any-return]  # an int stays an int, as it prints


def as_real(value: Any, name: str, op: str) -> float:
    """``value`` as given, if it is a number; infinities are fine, NaN is taken for a slip.

    Raises:
        ArgumentError: it is not.
    """
    if isinstance(value, (np.generic, np.ndarray)) and np.ndim(value) == 0:
        value = value.item()
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            if not math.isnan(value):
                return value  # type: ignore[return-value]  # an int stays an int, as it prints
        except OverflowError:  # an integer that no float holds
            pass
    raise ArgumentError(f"{op} needs {name} to be a number.", describe(**{name: value}))


def as_dim(value: Any, op: str) -> int:
    """``value`` as the number of an axis; which axes there are, the input will say.

    Raises:
        ArgumentError: it is no integer.
    """
    return as_integer(value, "dim", op, least=-LARGEST)


def floating_dtype(value: Any, op: str) -> np.dtype[Any]:
    """``value`` as a floating NumPy dtype; None is the default dtype.

    Raises:
        DtypeError: it names no floating dtype.
    """
    try:
        dtype = as_dtype(value)
    except DtypeError:
        dtype = np.dtype(np.bool_)
    if dtype.kind not in DIFFERENTIABLE:
        raise DtypeError(f"{op} needs a floating dtype, such as float32.", describe(dtype=value))
    return dtype


def device_kind(value: Any) -> str:
    """The kind of device that ``value`` names (``"cuda"`` for ``"cuda:0"``), or nothing if it names none."""
    name = getattr(value, "type", value)
    if not isinstance(name, str):
        return ""
    kind = name.split(":")[0]
    return kind if kind in _DEVICES else ""


def check_device(value: Any, op: str) -> None:
    """Refuse every device but ``"cpu"`` (or None).

    Raises:
        ArgumentError: naming the device.
    """
    if value is not None and device_kind(value) != "cpu":
        raise ArgumentError(f"{op} knows only the device 'cpu'.", describe(device=value))


def one_of(value: Any, choices: tuple[str, ...], name: str, op: str) -> str:
    """``value``, if it is one of the names ``choices``.

    Raises:
        ArgumentError: it is not.
    """
    if not isinstance(value, str) or value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise ArgumentError(f"{op} needs {name} to be one of {listed}.", describe(**{name: value}))
    return value


def rank_of(kernel_size: Any, rank: int | None, fixed: int | None, op: str) -> int:
    """The number of spatial axes that a layer's class, ``rank`` and ``kernel_size`` agree on."""
    if rank is not None:
        rank = as_rank(rank, op)
        if fixed is not None and rank != fixed:
            raise ArgumentError(f"{op} has rank {fixed}.", describe(rank=rank), "Conv takes any rank.")
    found = rank if fixed is None else fixed
    if found is not None:
        return found
    if isinstance(kernel_size, (tuple, list)) and kernel_size:
        return len(kernel_size)
    raise ArgumentError(
        f"{op} needs kernel_size with one integer per spatial axis, or rank beside a single one.",
        describe(kernel_size=kernel_size),
        f"For two axes: {op}(…, kernel_size=(3, 3)) or {op}(…, kernel_size=3, rank=2).",
    )


def least_padding(padding: Any, rank: int, op: str) -> Any:
    """The padding in the least form that says it: a name, an integer per axis, or a pair per axis."""
    # What a name amounts to depends on the input; here only the form is checked.
    ones = (1,) * rank
    pairs = resolve_padding(padding, op=op, spatial=ones, kernel=ones, stride=ones, dilation=ones)
    if isinstance(padding, str):
        return padding
    return tuple(before for before, _ in pairs) if all(lo == hi for lo, hi in pairs) else pairs
