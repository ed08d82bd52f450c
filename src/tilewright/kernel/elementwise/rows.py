"""The calls of softmax's passes, on arrays (rows, length) in C order.

Both take the ``target`` to compile for; this process's when left out.
"""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.kernel import jit, threads
from tilewright.kernel.addresses import address
from tilewright.kernel.elementwise import softmax
from tilewright.plan.target import Target

Array = npt.NDArray[Any]

_SCALARS = {"f": "float", "d": "double"}
# Elements of a unit, but for a last one: about 10 µs of work.
_LEAST = 16384


def totals(x: Array, *, target: Target | None = None) -> tuple[Array, Array]:
    """The largest number of each row, and Σ exp(x − largest) in float64; each (rows,).

    Args:
        x: with at least one number in a row.
        target: see above.
    """
    largest, total = np.empty(len(x), x.dtype), np.empty(len(x), np.float64)
    _run("totals", x, (address(largest), address(total), 0, 0), target)
    return largest, total


def shares(x: Array, largest: Array, factor: Array, out: Array, *, target: Target | None = None) -> None:
    """Writes exp(x − largest) · factor to ``out``.

    Args:
        x: rows.
        largest: of each row.
        factor: of each row, of the dtype of x.
        out: rows of the dtype of x; may be ``x`` itself.
        target: see above.
    """
    _run("shares", x, (address(largest), 0, address(factor), address(out)), target)


def _run(kind: str, x: Array, addresses: tuple[int, ...], target: Target | None) -> None:
    scalar = _SCALARS[x.dtype.char]
    kernel = jit.address(
        softmax.name(scalar, kind), lambda target: softmax.emit(target, scalar, kind), target
    )
    rows, length = x.shape
    share = max(_LEAST // length, 1)
    table = array("q", (address(x), *addresses, rows, length, share))
    threads.run(kernel, -(-rows // share), table.buffer_info()[0], 0)
