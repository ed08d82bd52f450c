"""Constructor arguments that several layers and optimisers share, checked in one place."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np

from tilewright.autograd.dtypes import as_dtype
from tilewright.errors import ArgumentError, DtypeError, describe

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
    is_number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not least <= value <= most or not value < below:
        bounds = "" if least == -math.inf else f", at least {least:g}"
        bounds += f" and at most {most:g}" if most < math.inf else ""
        bounds += f" and below {below:g}" if below < math.inf else ""
        raise ArgumentError(f"{op} needs {name} to be a finite number{bounds}.", describe(**{name: value}))
    return value  # type: ignore[no-any-return]  # an int stays an int, as it prints


def floating_dtype(value: Any, op: str) -> np.dtype[Any]:
    """``value`` as a floating NumPy dtype; None is the default dtype.

    Raises:
        DtypeError: it names no floating dtype.
    """
    try:
        dtype = as_dtype(value)
    except DtypeError:
        dtype = np.dtype(np.bool_)
    if dtype.kind != "f":
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
