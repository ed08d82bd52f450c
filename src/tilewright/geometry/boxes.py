"""Index tuples put together from parts."""

from __future__ import annotations

from typing import Any


def at(*parts: Any) -> Any:
    """An index of several axes: ``x[at(n, slice(None), *spatial)]`` is ``x[n, :, *spatial]``.

    The parts are integers, slices, ``...`` and None in any order. (Written out, such a tuple has a type that
    type checkers take for fancy indexing.)
    """
    return parts
