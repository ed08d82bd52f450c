"""Checks of plain numbers."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError, describe


def as_number(
    value: Any, name: str, owner: str, *, least: float | None = None, above: float | None = None
) -> float:
    """A finite number, as a float.

    Args:
        value: what the caller gave.
        name: the argument's.
        owner: the function's.
        least: it may not be under this.
        above: it must be over this.

    Raises:
        ArgumentError: it is none, or out of range.
    """
    is_number = isinstance(value, (int, float, np.integer, np.floating, Fraction))
    try:
        number = float(value) if is_number and not isinstance(value, bool) else math.nan
    except OverflowError:  # an integer that no float holds
        number = math.inf
    bound = f" above {above:g}" if above is not None else f" from {least:g} on" if least is not None else ""
    if (
        not math.isfinite(number)
        or (above is not None and number <= above)
        or (least is not None and number < least)
    ):
        raise ArgumentError(f"{owner} needs {name} to be a finite number{bound}.", describe(**{name: value}))
    return number
