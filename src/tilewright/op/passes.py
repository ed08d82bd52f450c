"""Compiled passes over arrays, where the arrays are of their kind; where not, None, and NumPy serves.

A call costs some 5 µs, as much as five or six of NumPy's on small arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.kernel import buffers
from tilewright.kernel.elementwise import call
from tilewright.op.kinds import is_half
from tilewright.op.memory import empty_like, memory_order, result
from tilewright.plan import compiled

Array = npt.NDArray[Any]

# As objects: comparing with these is quicker than asking a dtype for its name. They are in native byte order.
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
# Channels that lie innermost are summed from so many on; fewer leave most of a vector empty.
_CHANNELS = 3


def serves(x: Array) -> bool:
    """Whether compiled passes compute on arrays of this dtype here."""
    return isinstance(x, np.ndarray) and x.dtype in _FLOATS and compiled.serves("float32")


def sloped(
    slope: str, g: Array, y: Array, leak: float = 0.0, *, bits: Array | None = None, scale: float = 1.0
) -> Array | None:
    """A gradient times the slope of an activation, told from its result y.

    See :mod:`tilewright.kernel.elementwise.slopes`.

    With ``bits`` (one for each element in C order) the gradient is first multiplied by ``scale`` where one is
    set, and by 0 elsewhere.

    The result has the bits of the formulas in NumPy. None for small arrays; and for those of different
    shapes, dtypes or orders in memory, or with gaps.
    """
    if g.nbytes < buffers.LARGE or g.dtype != y.dtype or g.shape != y.shape or not serves(g):
        return None
    order = memory_order(g)
    if order is None or memory_order(y) != order or not (g.flags.aligned and y.flags.aligned):
        return None
    if bits is not None and not g.flags.c_contiguous:
        return None
    out = empty_like(g)
    call.sloped(g, y, out, slope, leak, bits, scale)
    return out


def curved(curve: str, x: Array, g: Array | None = None, leak: float = 0.0) -> Array | None:
    """The activation of x, or g times its slope there; see :mod:`tilewright.kernel.elementwise.curves`.

    Arrays of any layout and size, so that an element gives the same bits in all of them. None for other
    dtypes, and where shapes differ.
    """
    if not serves(x) or (g is not None and (not isinstance(g, np.ndarray) or g.dtype != x.dtype)):
        return None
    if g is None:
        out = buffers.empty(x.shape, x.dtype) if x.flags.c_contiguous else result(x.dtype, x)
    elif g.shape != x.shape:
        return None
    else:
        out = result(x.dtype, g, x)
        g = _as(out, g)
    call.curved(_as(out, x), out, curve, g, leak)
    return out


def _as(out: Array, x: Array) -> Array:
    """An array as ``out`` lies in memory: itself, or a copy."""
    if x.flags.aligned and x.flags.c_contiguous and out.flags.c_contiguous:
        return x
    order = memory_order(x)
    if order is not None and order == memory_order(out) and x.flags.aligned:
        return x
    copied = empty_like(out)
    np.copyto(copied, x)
    return copied


def converted(x: Array, dtype: np.dtype[Any]) -> Array | None:
    """A copy of halves as float32, or of float32 as halves, rounded to the nearest.

    None for other dtypes, and for arrays that are small or have gaps.
    """
    if x.nbytes < buffers.LARGE or {x.dtype.itemsize, dtype.itemsize} != {2, 4}:
        return None
    halves, single = (x.dtype, dtype) if x.dtype.itemsize == 2 else (dtype, x.dtype)
    if single != _FLOATS[0] or not is_half(halves) or not compiled.serves("float32"):
        return None
    if not x.flags.aligned or memory_order(x) is None:
        return None
    found = empty_like(x, dtype=dtype)
    call.rounded(x, found)
    return found


def channel_sums(x: Array) -> Array | None:
    """The sums of x (samples, channels, ...) over all axes but the channels, in its dtype.

    None for arrays that lie in memory in another order, for small ones, and without axes behind the channels.
    """
    if x.ndim < 3 or x.nbytes < buffers.LARGE or not serves(x) or not x.flags.aligned:
        return None
    channels = x.shape[1]
    if x.flags.c_contiguous:
        rows = x.reshape(x.shape[0], channels, -1)
    else:
        last = np.moveaxis(x, 1, -1)
        if not last.flags.c_contiguous or channels < _CHANNELS:
            return None
        rows = last.reshape(-1, channels, 1)
    # A sum too large for float32 becomes infinite.
    with np.errstate(over="ignore"):
        return call.channel_sums(rows).astype(x.dtype, copy=False)
