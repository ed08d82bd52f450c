"""A convolution cut into pieces, for operands that are copied into another form before they are computed on.

A piece is some samples of the batch; where a single sample is large, some of its places along its longest
axis too, with the other operand's places that they meet. A piece is a convolution of its own, cropped or
padded so that every product of the whole lies in one piece. How a sample is cut depends on the sample alone,
never on the batch or on threads, and so do the bits of its result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from tilewright.geometry import ConvDims

#: What a piece's input and output may take, in bytes of the form they are computed in. Below about 1 MiB the
#: 50 to 100 µs that a call and its copies cost would show; this is well above, and small beside any memory.
PIECE_BYTES = 16 << 20


class Piece(NamedTuple):
    """One piece: its own geometry, and where it lies in the whole."""

    dims: ConvDims
    samples: slice
    axis: int
    inputs: slice
    outputs: slice

    @property
    def of_input(self) -> Any:
        """Index of its part of the input (batch, channels, *spatial)."""
        return (self.samples, slice(None), *(slice(None),) * self.axis, self.inputs)

    @property
    def of_output(self) -> Any:
        """Index of its part of the output (batch, channels, *output)."""
        return (self.samples, slice(None), *(slice(None),) * self.axis, self.outputs)


def by_output(dims: ConvDims, itemsize: int, budget: int = PIECE_BYTES) -> Iterator[Piece]:
    """Pieces that part the output between them; what they read of the input overlaps.

    Args:
        dims: the whole, with at least one output.
        itemsize: bytes that an element takes in the form it is computed in.
        budget: bytes for a piece; a single place along the longest axis may take more.
    """
    axis = max(range(dims.rank), key=lambda i: dims.output[i])
    for samples, start, stop in _parts(dims, dims.output[axis], itemsize, budget):
        whole = stop - start == dims.output[axis]
        seen = (0, dims.spatial[axis]) if whole else _seen_by(dims, axis, start, stop)
        yield _piece(dims, samples, axis, seen, (start, stop))


def by_input(dims: ConvDims, itemsize: int, budget: int = PIECE_BYTES) -> Iterator[Piece]:
    """Pieces that part the input between them; the outputs that their samples reach overlap.

    For the data gradient, which writes the input's. Arguments as for :func:`by_output`.
    """
    axis = max(range(dims.rank), key=lambda i: dims.spatial[i])
    for samples, start, stop in _parts(dims, dims.spatial[axis], itemsize, budget):
        whole = stop - start == dims.spatial[axis]
        reached = (0, dims.output[axis]) if whole else _reached_by(dims, axis, start, stop)
        yield _piece(dims, samples, axis, (start, stop), reached)


def outputs_along(dims: ConvDims, axis: int, start: int, stop: int) -> Piece:
    """The piece of all samples that has the outputs from ``start`` to ``stop`` (excluded) of one axis."""
    return _piece(dims, slice(0, dims.batch), axis, _seen_by(dims, axis, start, stop), (start, stop))


def _parts(dims: ConvDims, size: int, itemsize: int, budget: int) -> Iterator[tuple[slice, int, int]]:
    """Samples, and the places among ``size`` that are done together."""
    inputs, outputs = dims.in_channels * math.prod(dims.spatial), dims.out_channels * math.prod(dims.output)
    sample = max((inputs + outputs) * itemsize, 1)
    together = max(budget // sample, 1)
    step = max(-(-size // -(-sample // budget)), 1)
    for first in range(0, dims.batch, together):
        samples = slice(first, min(first + together, dims.batch))
        for start in range(0, size, step):
            yield samples, start, min(start + step, size)


def _seen_by(dims: ConvDims, axis: int, start: int, stop: int) -> tuple[int, int]:
    """The input's places that outputs from ``start`` to ``stop`` (excluded) see, at least one."""
    before, spread, last = dims.padding[axis][0], dims.input_dilation[axis], dims.spatial[axis] - 1
    step = dims.stride[axis]
    first = min(max(-(-(start * step - before) // spread), 0), last)
    end = min(max(((stop - 1) * step + dims.reach[axis] - before) // spread, first), last)
    return first, end + 1


def _reached_by(dims: ConvDims, axis: int, start: int, stop: int) -> tuple[int, int]:
    """The outputs whose windows hold inputs from ``start`` to ``stop`` (excluded), at least one."""
    before, spread, last = dims.padding[axis][0], dims.input_dilation[axis], dims.output[axis] - 1
    step = dims.stride[axis]
    first = min(max(-(-(start * spread + before - dims.reach[axis]) // step), 0), last)
    end = min(max(((stop - 1) * spread + before) // step, first), last)
    return first, end + 1


def _piece(
    dims: ConvDims, samples: slice, axis: int, inputs: tuple[int, int], outputs: tuple[int, int]
) -> Piece:
    samples_alone = dims.with_batch(samples.stop - samples.start)
    count, results = inputs[1] - inputs[0], outputs[1] - outputs[0]
    if count == dims.spatial[axis] and results == dims.output[axis]:
        # Nothing is cut off, so nothing is left out of the padding either.
        return Piece(samples_alone, samples, axis, slice(*inputs), slice(*outputs))
    spread, step = dims.input_dilation[axis], dims.stride[axis]
    # Where the first of these windows starts, counted from the first of these samples.
    before = dims.padding[axis][0] + inputs[0] * spread - outputs[0] * step
    after = (results - 1) * step + dims.reach[axis] + 1 - ((count - 1) * spread + 1) - before
    own = replace(
        samples_alone,
        spatial=_with(dims.spatial, axis, count),
        padding=_with(dims.padding, axis, (before, after)),
    )
    return Piece(own, samples, axis, slice(*inputs), slice(*outputs))


def _with(values: tuple[Any, ...], axis: int, value: Any) -> Any:
    return (*values[:axis], value, *values[axis + 1 :])
