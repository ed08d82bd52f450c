"""Interpolation along the spatial axes of arrays, and its adjoint.

Along one axis each output is a sum of few inputs with fixed weights: a sparse matrix. It is kept as *layers*,
the first term of every output, then the second of those that have one, and so on; so that a layer is one
multiply-add of whole rows. The adjoint has the transposed matrix in the same form, and is computed by the
same function. Terms whose weight is 0 are left out: NaN and infinity stay where they have a weight.

Everything is elementwise and in a fixed order, so results don't depend on how a batch is split.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tilewright.errors import DtypeError, describe
from tilewright.geometry.resample import MOVING, AxisSampling
from tilewright.kernel.sampling.tables import Matrix
from tilewright.op import memory, sampled
from tilewright.op.arrays import FLOATS, check_array
from tilewright.op.kinds import COMPLEX, HALVES, sum_dtype
from tilewright.op.pad import DTYPES

Array = npt.NDArray[Any]
#: Rows of an axis: a slice where they are evenly spaced.
Rows = slice | npt.NDArray[np.int64]

FLOATING = (*HALVES, *FLOATS, *COMPLEX)

# Keys' parameter: −0.75 in PyTorch and OpenCV, −0.5 in Pillow, which PyTorch follows against aliasing.
_CUBIC, _CUBIC_WIDE = -0.75, -0.5
# Elements worked on at a time: 256 KiB in float32, which the L2 cache holds.
_BLOCK = 65536


class Layer(NamedTuple):
    """One term of some outputs: ``y[rows] += weights · x[sources]``; weights None are all 1."""

    rows: Rows
    sources: Rows
    weights: npt.NDArray[np.float64] | None


class Operator(NamedTuple):
    """The sparse matrix of one axis, with ``height`` rows."""

    height: int
    layers: tuple[Layer, ...]
    #: Whether the first layer has a term for every row.
    covers: bool
    #: Whether the matrix is the identity.
    same: bool


def resample(x: Array, axes: Sequence[AxisSampling], *, op: str = "interpolate") -> Array:
    """Gives (…, *spatial) sampled anew along its last axes, in the memory order of x.

    Halves are summed in float32 and rounded once.

    Raises:
        DtypeError: of a dtype that the kind doesn't take.
        ShapeError: no memory holds the result.
    """
    check_array(x, "input", op, DTYPES)
    if x.dtype.kind in "biu" and axes[0].kind not in MOVING:
        raise DtypeError(
            f"{op} with mode 'nearest' or 'nearest-exact' moves samples of any dtype; other modes need "
            "floating ones.",
            describe(input=x),
            "Convert it first, for example input.astype('float32').",
        )
    lead = x.ndim - len(axes)
    shape = (*x.shape[:lead], *(axis.output for axis in axes))
    y = memory.empty_for(op, shape, x.dtype, x)
    if y.size:
        _apply(x, y, [(lead + i, axes[i], False) for i in _order(axes)], op)
    return y


def resample_gradient(
    g: Array, shape: tuple[int, ...], axes: Sequence[AxisSampling], *, op: str = "interpolate"
) -> Array:
    """The gradient of :func:`resample` for an input of ``shape``: exactly its adjoint."""
    check_array(g, "gradient", op, FLOATING)
    lead = len(shape) - len(axes)
    x = memory.empty_for(op, shape, g.dtype, g)
    if x.size:
        _apply(g, x, [(lead + i, axes[i], True) for i in reversed(_order(axes))], op)
    return x


def _order(axes: Sequence[AxisSampling]) -> list[int]:
    """In which order the axes are least work: those that shrink first; among those that grow, the last first.

    (Along the last axis samples are gathered one by one, along the others in whole rows.)
    """

    def work(i: int) -> tuple[float, int]:
        growth = axes[i].output / axes[i].size
        return growth, -i if growth > 1 else i

    return sorted(range(len(axes)), key=work)


def _apply(x: Array, y: Array, samplings: list[tuple[int, AxisSampling, bool]], op: str) -> None:
    """Writes to y what axes sampled anew make of x, one after the other; with True, the adjoint."""
    if sampled.along(op, x, y, [(axis, matrix_of(sampling, turned)) for axis, sampling, turned in samplings]):
        return
    # The axes from the widest stride to the narrowest: rows are then contiguous.
    order = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))
    work = np.ascontiguousarray(x.transpose(order), sum_dtype(x.dtype))
    result = y.transpose(order)
    operators = [(order.index(axis), operator(sampling, turned)) for axis, sampling, turned in samplings]
    steps = [(place, matrix) for place, matrix in operators if not matrix.same]
    for number, (place, matrix) in enumerate(steps, start=1):
        sizes = (*work.shape[:place], matrix.height, *work.shape[place + 1 :])
        if number == len(steps) and result.dtype == work.dtype and result.flags.c_contiguous:
            after = result
        else:
            after = memory.empty_for(op, sizes, work.dtype)
        outer, inner = math.prod(work.shape[:place]), math.prod(work.shape[place + 1 :])
        _multiply(
            matrix,
            work.reshape(outer, work.shape[place], inner),
            after.reshape(outer, matrix.height, inner),
        )
        work = after
    if work is not result:
        result[...] = work


def _multiply(matrix: Operator, x: Array, y: Array) -> None:
    """``y[i] = matrix · x[i]``, x and y of three axes."""
    if not matrix.covers:
        y[...] = 0
    weights = [
        None if layer.weights is None else layer.weights.astype(x.dtype)[:, None] for layer in matrix.layers
    ]
    step = max(1, _BLOCK // (max(x.shape[1], y.shape[1]) * x.shape[2]))
    for start in range(0, len(x), step):
        seen, out = x[start : start + step], y[start : start + step]
        for number, (layer, weight) in enumerate(zip(matrix.layers, weights, strict=True)):
            if isinstance(layer.sources, slice):
                part = seen[:, layer.sources]
            else:
                part = seen.take(layer.sources, axis=1)
            if weight is not None:
                part = part * weight
            if number == 0 and matrix.covers:
                out[...] = part
            else:
                out[:, layer.rows] += part


def operator(axis: AxisSampling, transposed: bool = False) -> Operator:
    """The matrix (outputs × inputs) of an axis, in layers; transposed, if asked."""
    return _known(axis, transposed) if _is_kept(axis) else _made(axis, transposed)


def adjoint(axis: AxisSampling) -> Operator:
    """The transposed matrix (inputs × outputs) of an axis, in layers."""
    return operator(axis, True)


def matrix_of(axis: AxisSampling, transposed: bool = False) -> Matrix:
    """The same, by rows."""
    return _known_rows(axis, transposed) if _is_kept(axis) else _by_rows(axis, transposed)


def _by_rows(axis: AxisSampling, transposed: bool) -> Matrix:
    rows, columns, weights = _terms(axis)
    height, width = axis.output, axis.size
    if transposed:
        order = np.argsort(columns, kind="stable")
        rows, columns, weights = columns[order], rows[order], weights[order]
        height, width = width, height
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=height))])
    return Matrix(width, starts.astype(np.int64), columns.astype(np.int64), weights)


def _made(axis: AxisSampling, transposed: bool) -> Operator:
    rows, columns, weights = _terms(axis)
    if transposed:
        order = np.argsort(columns, kind="stable")
        return _layered(columns[order], rows[order], weights[order], axis.size, axis.output)
    return _layered(rows, columns, weights, axis.output, axis.size)


# A network has a dozen different axes; the longest that are kept take some 500 KB each.
_LONGEST_KNOWN = 8192
_known = lru_cache(maxsize=128)(_made)
_known_rows = lru_cache(maxsize=128)(_by_rows)


def _is_kept(axis: AxisSampling) -> bool:
    return max(axis.size, axis.output) <= _LONGEST_KNOWN


def _terms(axis: AxisSampling) -> tuple[Array, Array, Array]:
    """The terms other than 0, in the order of outputs and then inputs: output, input and weight of each."""
    columns, weights = _windows(axis)
    # Within a window inputs rise, and where the ends are repeated, they are named more than once in a row.
    new = np.ones(columns.shape, bool)
    new[:, 1:] = columns[:, 1:] != columns[:, :-1]
    summed = np.add.reduceat(weights.reshape(-1), np.flatnonzero(new))
    rows, places = np.nonzero(new)
    kept = summed != 0
    return rows[kept], columns[rows, places][kept], summed[kept]


def _windows(axis: AxisSampling) -> tuple[Array, Array]:
    """For each output a row of inputs and a row of their weights."""
    n, m, kind = axis.size, axis.output, axis.kind
    if kind in MOVING:
        step, start, divisor = axis.cells()
        # In 64 bits as long as memory holds an array of indices.
        return np.minimum((np.arange(m) * step + start) // divisor, n - 1)[:, None], np.ones((m, 1))
    outputs = np.arange(m)
    if kind == "area":
        first, end = outputs * n // m, -(-(outputs + 1) * n // m)
        return _in_windows(first, end, lambda columns: np.ones(columns.shape), n)
    spread = float(n) / m if axis.scale is None else 1.0 / axis.scale
    if axis.align_corners:
        spread = (n - 1) / (m - 1) if m > 1 else 0.0
    if axis.antialias:
        return _wide_windows(axis, (outputs + 0.5) * spread, spread)
    at = outputs * spread if axis.align_corners else (outputs + 0.5) * spread - 0.5
    if kind == "linear":
        at = at.clip(0, None)
    first = np.minimum(np.floor(at), n - 1).astype(np.int64)
    beyond = (at - first).clip(0, 1)
    reach = np.arange(2) if kind == "linear" else np.arange(-1, 3)
    columns = (first[:, None] + reach).clip(0, n - 1)
    distance = np.abs(beyond[:, None] - reach)
    return columns, 1 - distance if kind == "linear" else _keys(distance, _CUBIC)


def _wide_windows(axis: AxisSampling, middle: Array, spread: float) -> tuple[Array, Array]:
    """Windows against aliasing: the kernel stretched where the output has fewer samples (as in Pillow)."""
    widest = max(spread, 1.0)
    support = widest * (1.0 if axis.kind == "linear" else 2.0)
    first = np.floor(np.maximum(middle - support + 0.5, 0)).astype(np.int64)
    end = np.floor(np.minimum(middle + support + 0.5, axis.size)).astype(np.int64)

    def weigh(columns: Array) -> Array:
        distance = np.abs(columns + 0.5 - middle[:, None]) / widest
        return (1 - distance).clip(0, None) if axis.kind == "linear" else _keys(distance, _CUBIC_WIDE)

    return _in_windows(first, end, weigh, axis.size)


def _in_windows(first: Array, end: Array, weigh: Any, size: int) -> tuple[Array, Array]:
    """Inputs ``first`` … ``end`` − 1 of each output, with weights that add up to 1."""
    columns = first[:, None] + np.arange(int((end - first).max()))
    weights = np.where(columns < end[:, None], weigh(columns), 0.0)
    return columns.clip(0, size - 1), weights / weights.sum(axis=1, keepdims=True)


def _keys(distance: Array, a: float) -> Array:
    """Keys' cubic kernel."""
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = ((distance - 5) * distance + 8) * distance * a - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))


def _layered(rows: Array, columns: Array, weights: Array, height: int, width: int) -> Operator:
    """A sparse matrix from its terms in the order of rows, of each row from the first column to the last."""
    counts = np.bincount(rows, minlength=height)
    starts = np.cumsum(counts) - counts
    layers = tuple(_layers(columns, weights, starts, counts))
    covers = bool(counts.all())
    every = slice(0, height, 1)
    same = height == width and len(layers) == 1 and layers[0].weights is None
    # Only where both are slices are they compared as such.
    same = same and all(isinstance(part, slice) and part == every for part in layers[0][:2])
    return Operator(height, layers, covers, same)


def _layers(columns: Array, weights: Array, starts: Array, counts: Array) -> Iterator[Layer]:
    for term in range(int(counts.max(initial=0))):
        rows = np.flatnonzero(counts > term)
        places = starts[rows] + term
        some = weights[places]
        yield Layer(
            _evenly_spaced(rows), _evenly_spaced(columns[places]), None if (some == 1).all() else some
        )


def _evenly_spaced(numbers: Array) -> Rows:
    """The numbers as a slice, if they rise in equal steps."""
    if len(numbers) == 1:
        return slice(int(numbers[0]), int(numbers[0]) + 1, 1)
    step = int(numbers[1] - numbers[0])
    if step > 0 and (np.diff(numbers) == step).all():
        return slice(int(numbers[0]), int(numbers[-1]) + 1, step)
    return numbers
