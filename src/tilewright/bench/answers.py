"""Is the answer right? Asked before anything is timed.

The whole of a large layer takes the definition minutes, so it computes a part exactly: the first and the last
sample, and the first and last channels; of a large picture the first and the last rows, and the first, middle
and last taps of a large kernel's gradient. A part of a convolution is a convolution, with borders and taps
of the whole, so what goes wrong at a border, in a vector's tail or between threads' shares shows. In addition
the whole answers of two contestants are compared with each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright import reference
from tilewright.bench import definition
from tilewright.bench.contestants import Task
from tilewright.geometry import ConvDims
from tilewright.geometry.boxes import at

Array = npt.NDArray[Any]

# The largest error allowed, as a share of the answers' root mean square. A sum of n products of random normal
# numbers has the size √n, and a product that is missing or counted twice changes it by about 1: 1.6e-3 of it
# for the longest sums measured (400,000 products of a weight gradient). Rounding in float32 stays below 2e-5
# there, Winograd's algorithm included.
TOLERANCE = {"float32": 1e-4, "float64": 1e-11}
# Of longer sums, as the gradient of a filter of a whole picture has them, more is allowed: added up one after
# the other in float32, a million products are off by 1.2e-4 and the eight million of a 4K picture by 1.5e-4
# (PyTorch's are); a missing one weighs 1e-3 and 3.5e-4.
_LONG_SUM, _LONG_FACTOR = 500_000, 2.5
# Operations that a check may cost: a tenth of a second or so of NumPy. Gradients of weights go by BLAS.
_BUDGET = 1e8
_GRADIENT_BUDGET = 2e9


@dataclass(frozen=True, eq=False)
class Part:
    """A part of one answer, and what it has to be.

    Attributes:
        name: ``y``, ``gx`` or ``gw``.
        place: position among the answers.
        index: which part.
        expected: by the definition, in float64.
    """

    name: str
    place: int
    index: tuple[Any, ...]
    expected: Array


def expected_parts(task: Task) -> list[Part]:
    """The parts that the definition is computed for; they don't depend on the number of threads."""
    if task.layer.is_pool:
        return [_pooled(task)]
    # A transposed convolution's output is the data gradient of the ordinary one, and the other way round.
    swap = task.layer.is_transposed
    small, large = (task.x, task.gy) if swap else (task.gy, task.x)
    parts: list[Part] = []
    for group in sorted({0, task.dims.groups - 1}):
        if task.direction == "forward":
            forward = _data_gradient if swap else _output
            parts += forward("y", task.dims, task.x, task.w, group)
        else:
            backward = _output if swap else _data_gradient
            parts += backward("gx", task.dims, task.gy, task.w, group)
            parts += _weight_gradient(task.dims, large, small, group)
    return parts


def shapes_of(task: Task) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Names and shapes of the answers."""
    layer = task.layer
    if task.direction == "forward":
        return (("y", layer.output_shape),)
    gx = ("gx", layer.input_shape)
    return (gx,) if layer.is_pool else (gx, ("gw", layer.weight_shape))


def fault_in(answers: Sequence[Array], parts: Sequence[Part], task: Task) -> str:
    """What is wrong with the answers, in a clause; empty when nothing is."""
    expected = shapes_of(task)
    if len(answers) != len(expected):
        return f"gives {len(answers)} arrays instead of {len(expected)}"
    for answer, (name, shape) in zip(answers, expected, strict=True):
        if answer.shape != shape or answer.dtype != task.x.dtype:
            return f"{name} is {answer.dtype} of shape {answer.shape} instead of {task.x.dtype} {shape}"
    for part in parts:
        error = _error(answers[part.place][part.index], part.expected)
        if not error <= _allowed(part.name, task):
            return f"{part.name} differs from the definition by {error:.1e} of its root mean square"
    return ""


def difference(answers: Sequence[Array], others: Sequence[Array], who: str, task: Task) -> str:
    """How two whole answers differ, in a clause; empty when they are the same but for rounding."""
    for answer, other, (name, _) in zip(answers, others, shapes_of(task), strict=True):
        error = _error(answer, other)
        # Both may be off by the tolerance, in opposite directions.
        if not error <= 2 * _allowed(name, task):
            return f"{name} differs from that of {who} by {error:.1e} of its root mean square"
    return ""


def _allowed(name: str, task: Task) -> float:
    """The largest error of an answer of this name."""
    is_long = name == "gw" and task.dims.batch * math.prod(task.dims.output) > _LONG_SUM
    return TOLERANCE[task.x.dtype.name] * (_LONG_FACTOR if is_long else 1.0)


def _error(found: Array, expected: Array) -> float:
    """The largest difference over the root mean square of what is expected; NaN counts as infinitely far."""
    size = float(np.sqrt(np.mean(np.square(expected, dtype=np.float64))))
    with np.errstate(all="ignore"):
        worst = float(np.max(np.abs(found - expected), initial=0.0))
    return worst / size if np.isfinite(worst) and size else (0.0 if worst == 0 else np.inf)


def _pooled(task: Task) -> Part:
    """All positions of some samples in some channels."""
    dims = task.layer.pool
    cost = dims.flops / (dims.batch * dims.channels)
    samples, chosen = _few(dims.batch, list(range(dims.channels)), cost)
    part = replace(dims, batch=len(samples), channels=len(chosen))
    x, gy = (_float64(array[samples][:, chosen]) for array in (task.x, task.gy))
    if task.layer.operation == "max_pool":
        y, taps = definition.max_pool(part, x)
        found = y if task.direction == "forward" else definition.max_pool_gradient(part, gy, taps)
    elif task.direction == "forward":
        found = definition.avg_pool(part, x)
    else:
        found = definition.avg_pool_gradient(part, gy)
    return Part("y" if task.direction == "forward" else "gx", 0, np.ix_(samples, chosen), found)


def _output(name: str, dims: ConvDims, x: Array, w: Array, group: int) -> Iterator[Part]:
    """All outputs of some samples in some of the group's output channels, or their first and last rows."""
    ins, outs = _channels(dims, group)
    dims = _one_group(dims)
    cost = dims.flops / dims.batch / dims.out_channels
    samples, chosen = _few(dims.batch, outs, cost)
    whole = replace(dims, batch=len(samples), out_channels=len(chosen))
    x, w = _float64(x[samples][:, ins]), _float64(w[chosen])
    for rows in _bands(dims.output[0], cost * len(samples) * len(chosen)):
        first = rows[0] * dims.stride[0] - dims.padding[0][0]
        last = rows[-1] * dims.stride[0] - dims.padding[0][0] + dims.reach[0]
        seen = range(max(first, 0), min(last + 1, dims.spatial[0]))
        part = _between(whole, seen, rows)
        y = reference.conv.forward(part, x[:, :, seen.start : seen.stop], w)
        yield Part(name, 0, np.ix_(samples, chosen, rows), y)


def _data_gradient(name: str, dims: ConvDims, gy: Array, w: Array, group: int) -> Iterator[Part]:
    """All input positions of some samples in some of the group's input channels, or first and last rows."""
    ins, outs = _channels(dims, group)
    dims = _one_group(dims)
    cost = dims.flops / dims.batch / dims.in_channels
    samples, chosen = _few(dims.batch, ins, cost)
    within = [channel - ins[0] for channel in chosen]
    whole = replace(dims, batch=len(samples), in_channels=len(chosen))
    gy, w = _float64(gy[samples][:, outs]), _float64(w[outs][:, within])
    for rows in _bands(dims.spatial[0], cost * len(samples) * len(chosen)):
        # The outputs whose windows hold one of these rows.
        first = -(-(rows[0] + dims.padding[0][0] - dims.reach[0]) // dims.stride[0])
        last = (rows[-1] + dims.padding[0][0]) // dims.stride[0]
        seen = range(max(first, 0), min(last + 1, dims.output[0]))
        part = _between(whole, rows, seen)
        gx = reference.conv.data_gradient(part, gy[:, :, seen.start : seen.stop], w)
        yield Part(name, 0, np.ix_(samples, chosen, rows), gx)


def _weight_gradient(dims: ConvDims, x: Array, gy: Array, group: int) -> Iterator[Part]:
    """Taps between some of the group's input and output channels, summed over the whole batch."""
    ins, outs = _channels(dims, group)
    rows, columns = _ends(outs, 2), _ends(ins, 2)
    part = replace(_one_group(dims), in_channels=len(columns), out_channels=len(rows))
    x, gy = _float64(x[:, columns]), _float64(gy[:, rows])
    inputs = [channel - ins[0] for channel in columns]
    if part.flops <= _GRADIENT_BUDGET:
        yield Part("gw", 1, np.ix_(rows, inputs), reference.conv.weight_gradient(part, x, gy))
        return
    taps = [sorted({0, size // 2, size - 1}) for size in dims.kernel]
    # One part, since a single number may be small by chance, and says nothing of the size of the others.
    gw = np.empty((len(rows), len(columns), *map(len, taps)))
    for place in np.ndindex(gw.shape[2:]):
        tap = tuple(some[index] for some, index in zip(taps, place, strict=True))
        alone = reference.conv.weight_gradient(_one_tap(part, tap), x, gy)
        gw[at(slice(None), slice(None), *place)] = alone.reshape(alone.shape[:2])
    yield Part("gw", 1, np.ix_(rows, inputs, *taps), gw)


def _bands(rows: int, cost: float) -> list[range]:
    """All rows, or the first and the last ones that the budget allows where all of them cost so much."""
    if cost <= _BUDGET or rows < 3:
        return [range(rows)]
    count = min(max(int(rows * _BUDGET / cost / 2), 1), rows // 2)
    return [range(count), range(rows - count, rows)]


def _between(dims: ConvDims, inputs: range, outputs: range) -> ConvDims:
    """The convolution from these rows of the input to these of the output."""
    stride, before = dims.stride[0], dims.padding[0][0] + inputs.start - outputs.start * dims.stride[0]
    after = (len(outputs) - 1) * stride + dims.reach[0] + 1 - len(inputs) - before
    return replace(
        dims, spatial=(len(inputs), *dims.spatial[1:]), padding=((before, after), *dims.padding[1:])
    )


def _one_tap(dims: ConvDims, tap: tuple[int, ...]) -> ConvDims:
    """The convolution with this tap alone, which crops what only the others read."""
    moved = [t * d for t, d in zip(tap, dims.dilation, strict=True)]
    padding = tuple(
        (before - move, after - (reach - move))
        for (before, after), move, reach in zip(dims.padding, moved, dims.reach, strict=True)
    )
    return replace(dims, kernel=(1,) * dims.rank, padding=padding)


def _one_group(dims: ConvDims) -> ConvDims:
    return replace(
        dims,
        groups=1,
        in_channels=dims.in_channels // dims.groups,
        out_channels=dims.out_channels // dims.groups,
    )


def _channels(dims: ConvDims, group: int) -> tuple[list[int], list[int]]:
    """The group's channels of x and of y."""
    ins, outs = dims.in_channels // dims.groups, dims.out_channels // dims.groups
    return list(range(group * ins, (group + 1) * ins)), list(range(group * outs, (group + 1) * outs))


def _few(batch: int, channels: list[int], cost: float) -> tuple[list[int], list[int]]:
    """Samples and channels, as many as the budget allows at this cost (in operations) for one of each."""
    for samples, count in ((2, 4), (2, 2), (1, 2)):
        if samples * count * cost <= _BUDGET:
            return _ends(range(batch), samples), _ends(channels, count)
    return [batch - 1], channels[-1:]


def _ends(items: Sequence[int], count: int) -> list[int]:
    """``count`` of the items, from both ends.

    >>> _ends(range(10), 3)
    [0, 1, 9]
    """
    if len(items) <= count:
        return list(items)
    first = (count + 1) // 2
    return [*items[:first], *items[len(items) - (count - first) :]]


def _float64(array: Array) -> Array:
    return array.astype(np.float64)
