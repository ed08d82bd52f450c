"""Is the answer right? Asked before anything is timed.

The whole of a large layer takes the definition minutes, so it computes a part exactly: the first and the last
sample, and the first and last channels. A part of a convolution is a convolution, with every border and every
tap of the whole, so what goes wrong at a border, in a vector's tail or between threads' shares shows. In
addition the whole answers of two contestants are compared with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright import reference
from tilewright.bench.contestants import Task
from tilewright.geometry import ConvDims

Array = npt.NDArray[Any]

# The largest error allowed, as a share of the answers' root mean square. A sum of n products of random normal
# numbers has the size √n, and a product that is missing or counted twice changes it by about 1: 1.6e-3 of it
# for the longest sums measured (400,000 products of a weight gradient). Rounding in float32 stays below 2e-5
# there, Winograd's algorithm included.
TOLERANCE = {"float32": 1e-4, "float64": 1e-11}
# Multiply-adds that a check may cost: a tenth of a second or so of NumPy.
_BUDGET = 1e8


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
    parts = []
    for group in sorted({0, task.dims.groups - 1}):
        if task.direction == "forward":
            parts.append(_output(task, group))
        else:
            parts.append(_data_gradient(task, group))
            parts.append(_weight_gradient(task, group))
    return parts


def shapes_of(task: Task) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Names and shapes of the answers."""
    if task.direction == "forward":
        return (("y", task.dims.output_shape),)
    return (("gx", task.dims.input_shape), ("gw", task.dims.weight_shape))


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
        if not error <= TOLERANCE[task.x.dtype.name]:
            return f"{part.name} differs from the definition by {error:.1e} of its root mean square"
    return ""


def difference(answers: Sequence[Array], others: Sequence[Array], who: str, task: Task) -> str:
    """How two whole answers differ, in a clause; empty when they are the same but for rounding."""
    for answer, other, (name, _) in zip(answers, others, shapes_of(task), strict=True):
        error = _error(answer, other)
        # Both may be off by the tolerance, in opposite directions.
        if not error <= 2 * TOLERANCE[task.x.dtype.name]:
            return f"{name} differs from that of {who} by {error:.1e} of its root mean square"
    return ""


def _error(found: Array, expected: Array) -> float:
    """The largest difference over the root mean square of what is expected; NaN counts as infinitely far."""
    size = float(np.sqrt(np.mean(np.square(expected, dtype=np.float64))))
    with np.errstate(all="ignore"):
        worst = float(np.max(np.abs(found - expected), initial=0.0))
    return worst / size if np.isfinite(worst) and size else (0.0 if worst == 0 else np.inf)


def _output(task: Task, group: int) -> Part:
    """All outputs of some samples in some of the group's output channels."""
    dims = _one_group(task.dims)
    ins, outs = _channels(task.dims, group)
    samples, chosen = _few(dims.batch, outs, dims.flops / dims.batch / dims.out_channels)
    part = replace(dims, batch=len(samples), out_channels=len(chosen))
    y = reference.conv.forward(part, _float64(task.x[samples][:, ins]), _float64(task.w[chosen]))
    return Part("y", 0, np.ix_(samples, chosen), y)


def _data_gradient(task: Task, group: int) -> Part:
    """All input positions of some samples in some of the group's input channels."""
    dims = _one_group(task.dims)
    ins, outs = _channels(task.dims, group)
    samples, chosen = _few(dims.batch, ins, dims.flops / dims.batch / dims.in_channels)
    part = replace(dims, batch=len(samples), in_channels=len(chosen))
    within = [channel - ins[0] for channel in chosen]
    gx = reference.conv.data_gradient(
        part, _float64(task.gy[samples][:, outs]), _float64(task.w[outs][:, within])
    )
    return Part("gx", 0, np.ix_(samples, chosen), gx)


def _weight_gradient(task: Task, group: int) -> Part:
    """All taps between some of the group's input and output channels, summed over the whole batch."""
    dims = _one_group(task.dims)
    ins, outs = _channels(task.dims, group)
    rows, columns = _ends(outs, 2), _ends(ins, 2)
    part = replace(dims, in_channels=len(columns), out_channels=len(rows))
    gw = reference.conv.weight_gradient(part, _float64(task.x[:, columns]), _float64(task.gy[:, rows]))
    return Part("gw", 1, np.ix_(rows, [channel - ins[0] for channel in columns]), gw)


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
