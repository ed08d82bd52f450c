"""Terms that reach along the last two axes only: one kernel, from the picture as it lies to the result."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.image.borders import source_index
from tilewright.image.in_place import is_line
from tilewright.image.terms import Outside, Term, passes_pay
from tilewright.kernel.pictures.call import takes_dtype, takes_passes, takes_window, two_passes, window

Array = npt.NDArray[Any]


def is_over_planes(term: Term, channels: int) -> bool:
    """Whether a term is such a one, and not of very many taps."""
    *others, rows, columns = term.sizes
    if any(size != 1 for size in others) or any(axis < len(others) for axis, _ in term.vectors):
        return False
    return (takes_passes if _in_passes(term) else takes_window)(rows, columns, channels)


def _in_passes(term: Term) -> bool:
    return len(term.vectors) > 1 and passes_pay(*term.sizes[-2:])


class PlaneRows:
    """One term for which :func:`is_over_planes` holds, of blocks of rows."""

    def __init__(self, x: Array, term: Term, dtype: np.dtype[Any], outside: Outside) -> None:
        self.x, self.dtype, self.outside = x, dtype, outside
        #: the vectors of two passes, or else the kernel
        self.weights = (
            [vector.astype(dtype) for _, vector in term.vectors]
            if _in_passes(term)
            else [term.product().reshape(term.sizes[-2:]).astype(dtype)]
        )
        self.taps_across = term.sizes[-2]
        self.rows, pixels = (
            source_index(size, before, after, outside.border)
            for size, before, after in zip(x.shape[-3:-1], term.befores[-2:], term.afters[-2:], strict=True)
        )
        before = term.befores[-1]
        self.left, self.right = pixels[:before], pixels[before + x.shape[-2] :]

    def reads(self) -> bool:
        """Whether the image is read as it lies, and need not be brought over block by block."""
        return self.x.ndim == 4 and is_line(self.x) and takes_dtype(self.x.dtype, self.dtype)

    def writes(self, out: Array) -> bool:
        """Whether a result is written as it is to lie: of integers, rounded and clipped."""
        return out.ndim == 4 and is_line(out) and takes_dtype(out.dtype, self.dtype)

    def write(self, first: int, last: int, out: Array) -> None:
        """Writes rows ``first`` … ``last`` − 1 of the first axis into ``out``: see :meth:`writes`.

        Of more than four dimensions, ``out`` is in C order.
        """
        rows, x = self.rows, self.x
        with np.errstate(all="ignore"):
            if x.ndim > 4:
                x = np.ascontiguousarray(x[:, first:last], self.dtype).reshape(-1, *x.shape[-3:])
                out = out.reshape(-1, *out.shape[-3:])
            else:
                rows = rows[first : last + self.taps_across - 1]
                if not self.reads():
                    # The rows that stand at these places, one after the other.
                    x = np.ascontiguousarray(x[:, np.maximum(rows, 0)], self.dtype)
                    rows = np.where(rows < 0, rows, np.arange(len(rows)))
        sources = rows, self.left, self.right
        if len(self.weights) == 2:
            across, along = self.weights
            two_passes(x, out, across, along, sources, self.outside.cval)
        else:
            window(x, out, self.weights[0], sources, self.outside.cval)
