"""A layer as the benchmark sees it: an operation with its geometry, whatever the window does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tilewright.geometry import ConvDims, PoolDims

#: What a layer may compute, by the names of ``shapes/``.
OPERATIONS = ("conv", "conv_transpose", "max_pool", "avg_pool")

Shape = tuple[int, ...]
# Positions that a maximum was taken from are 64-bit integers.
_POSITION_BYTES = 8


@dataclass(frozen=True)
class Layer:
    """What is computed, but for the numbers.

    Attributes:
        operation: one of :data:`OPERATIONS`.
        dims: the geometry; for ``conv_transpose`` that of the ordinary convolution it is adjoint to.
        weights: empty where every weight is a number of its own; ``same``: all channels have one kernel;
            ``separable``: and that is an outer product of a vector per axis.
    """

    operation: str
    dims: ConvDims | PoolDims
    weights: str = ""

    def __str__(self) -> str:
        return geometry(self)

    @property
    def conv(self) -> ConvDims:
        """The geometry of a convolution, transposed or not."""
        assert isinstance(self.dims, ConvDims)
        return self.dims

    @property
    def pool(self) -> PoolDims:
        """The geometry of a pool."""
        assert isinstance(self.dims, PoolDims)
        return self.dims

    @property
    def is_pool(self) -> bool:
        """Whether there is no weight."""
        return isinstance(self.dims, PoolDims)

    @property
    def is_transposed(self) -> bool:
        """Whether input and output are those of the ordinary convolution, exchanged."""
        return self.operation == "conv_transpose"

    @property
    def batch(self) -> int:
        """Samples."""
        return self.dims.batch

    @property
    def rank(self) -> int:
        """Spatial axes."""
        return self.dims.rank

    @property
    def input_shape(self) -> Shape:
        """Shape of x: (batch, channels, *spatial)."""
        return self.dims.output_shape if self.is_transposed else self.dims.input_shape

    @property
    def output_shape(self) -> Shape:
        """Shape of y: (batch, channels, *spatial)."""
        return self.dims.input_shape if self.is_transposed else self.dims.output_shape

    @property
    def weight_shape(self) -> Shape:
        """Shape of w, in the operation's own order; (0,) for pools, which have none."""
        return (0,) if self.is_pool else self.conv.weight_shape

    @property
    def groups(self) -> int:
        """Groups of channels that see nothing of each other; a pool's channels all are."""
        return self.pool.channels if self.is_pool else self.conv.groups

    @property
    def is_depthwise(self) -> bool:
        """Whether it is a convolution with as many groups as input channels, more than one."""
        return not self.is_pool and self.groups == self.input_shape[1] > 1

    def with_batch(self, batch: int) -> Layer:
        """The same layer on another number of samples."""
        return replace(self, dims=self.dims.with_batch(batch))

    def flops(self, direction: str) -> int:
        """Operations of a call: a multiply and an add one each, or a comparison or an addition of a pool.

        Both gradients of a convolution together take twice as many as the output. Of a pool, a maximum's
        gradient is an addition for each output, a mean's one for each sample of each window.
        """
        if direction == "forward":
            return self.dims.flops
        if self.operation == "max_pool":
            return math.prod(self.output_shape)
        return self.dims.flops * (1 if self.is_pool else 2)

    def bytes(self, direction: str, itemsize: int) -> int:
        """Bytes that must move at least once: every operand read, every answer written."""
        x, y = math.prod(self.input_shape), math.prod(self.output_shape)
        w = math.prod(self.weight_shape)
        if direction == "forward":
            return itemsize * (x + w + y)
        if self.is_pool:
            return itemsize * (x + y) + (_POSITION_BYTES * y if self.operation == "max_pool" else 0)
        return itemsize * (2 * x + 2 * w + y)


def geometry(layer: Layer) -> str:
    """A layer in a few words: channels, window, the size of the input, and what isn't the usual.

    >>> geometry(Layer("conv", ConvDims.of((8, 3, 224, 224), (64, 3, 7, 7), stride=2, padding=3)))
    '3→64 7×7 at 224×224, stride 2, pad 3'
    >>> geometry(Layer("max_pool", PoolDims.of((8, 64, 112, 112), 3, stride=2, padding=1)))
    'max 3×3 at 112×112, 64 channels, stride 2, pad 1'
    """
    dims, size = layer.dims, _times(layer.input_shape[2:])
    if layer.is_pool:
        start = f"{layer.operation.removesuffix('_pool')} {_times(dims.kernel)} at {size}"
        words = [start, f"{layer.input_shape[1]} channels"]
    else:
        kind = "transposed " if layer.is_transposed else ""
        channels = f"{layer.input_shape[1]}→{layer.output_shape[1]}"
        words = [f"{kind}{channels} {_times(dims.kernel)} at {size}"]
    for name, values in (("stride", dims.stride), ("dilation", dims.dilation)):
        if any(value != 1 for value in values):
            words.append(f"{name} {_same(values)}")
    if any(pair != (0, 0) for pair in dims.padding):
        even = all(before == after for before, after in dims.padding)
        sides = [str(b) if even else f"{b}:{a}" for b, a in dims.padding]
        words.append(f"pad {sides[0] if len(set(sides)) == 1 else '×'.join(sides)}")
    if isinstance(dims, PoolDims):
        words += ["ceil"] if dims.ceil_mode else []
    elif dims.groups > 1:
        words.append(f"{dims.groups} groups")
    if layer.weights:
        words.append("one kernel" if layer.weights == "same" else "one separable kernel")
    return ", ".join(words)


def _times(sizes: Sequence[int]) -> str:
    return "×".join(str(size) for size in sizes)


def _same(sizes: Sequence[int]) -> str:
    return str(sizes[0]) if len(set(sizes)) == 1 else _times(sizes)
