"""When a convolution is done in the frequency domain, and in which blocks.

A block of L inputs along an axis, multiplied in the frequency domain with a kernel of k taps, is L − k + 1
outputs (*overlap-save*): the others have wrapped round. So blocks overlap by k − 1, and their size is a
trade: larger ones waste less on the overlap, but must stay within the scratch memory, and do best in the
second-level cache. A kernel too large for any block is cut into parts, whose outputs are added up.

All of it follows from the geometry of one sample, so neither the choice nor a bit of a result depends on the
batch. Source: A. V. Oppenheim and R. W. Schafer, *Discrete-Time Signal Processing*, section 8.7.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from tilewright.geometry import ConvDims
from tilewright.plan import compiled
from tilewright.plan.plan import Plan
from tilewright.plan.precision import mode as precision_mode
from tilewright.plan.target import Target, host

# A float32's transform, in ns for each number and for each doubling of their count, by how many axes are
# transformed (measured with SciPy 1.17 on one core at 3 GHz; its code has vectors of 16 bytes on any x86).
# More axes than three cost as three do.
_TRANSFORM = (0.0, 0.135, 0.15, 0.21)
# float64 has half as many in a vector.
_DOUBLE = 1.65
# What a number of a block costs beside: gathered, multiplied in the frequency domain, checked and stored.
_GATHER, _MULTIPLY, _STORE = 0.4, 0.3, 0.7
# Calls of a transform, and the rest of a block, from Python.
_CALL, _BLOCK = 8_000.0, 25_000.0
# Arrays of more bytes than malloc keeps come page by page, and each first touch takes its time.
_KEPT, _PAGE, _FAULT = 128 << 10, 4096, 600.0
# Products that the compiled families do in a ns, float32, vectors of 64 bytes: sums over rows above each
# other share what they read; along a line alone they don't; many channels are products of matrices.
_DIRECT, _DIRECT_ON_A_LINE, _DIRECT_OF_MATRICES = 52.0, 27.0, 100.0
# Those of NumPy, which serves kernels beyond the compiled families' scratch.
_DIRECT_BY_NUMPY = 15.0
# The estimate must be so much lower: what it is about is one machine.
_MARGIN = 0.85
# Fewer products an output than these are faster written out, on every machine measured.
_LEAST_PRODUCTS = 60

# Blocks in a line that are transformed together: lines fill vectors, of up to 16 numbers.
_ROWS = 16
# Lengths that transforms are fast for, and whose halves and quarters fill vectors.
_LENGTHS = sorted(4 * odd << n for odd in (1, 3, 5, 9, 15) for n in range(22))
# How many lengths of an axis are tried, by the number of axes.
_TRIED = (0, 16, 8, 4)


@dataclass(frozen=True)
class Blocks:
    """How one group of a sample is done.

    Attributes:
        lengths: inputs of a block, per axis, padding included.
        tile: outputs of a block, per axis.
        part: taps that are done at a time, per axis, dilation's gaps counted.
        parts: how many parts the kernel has, per axis.
        axes: those that are transformed; along the others the kernel has a single tap.
        rows: blocks of a line that are done together; 1 with more than one spatial axis.
        nanoseconds: the estimate for one group of one sample.
    """

    lengths: tuple[int, ...]
    tile: tuple[int, ...]
    part: tuple[int, ...]
    parts: tuple[int, ...]
    axes: tuple[int, ...]
    rows: int
    nanoseconds: float


def fft(operation: str, dims: object, dtype: str, layout: str, target: Target | None) -> Plan | str:
    """Convolution as multiplication in the frequency domain, block by block."""
    if not isinstance(dims, ConvDims):
        return "it computes convolutions only"
    if dtype not in ("float32", "float64"):
        return "it computes float32 and float64 only"
    if operation == "weight_gradient":
        return "it computes outputs and data gradients only"
    if any(n != 1 for n in dims.stride + dims.input_dilation):
        return "it needs stride 1"
    form = dims.adjoint() if operation == "data_gradient" else dims
    found = blocks_of(form, np.dtype(dtype).itemsize)
    if found is None:
        return "the transforms of its channels' kernels would not fit the scratch"
    scratch = _scratch(form, np.dtype(dtype).itemsize, found.rows * math.prod(found.lengths))
    reason = unavailable()
    return reason or Plan(operation, "fft", dims, dtype, found.tile, found.rows, scratch)


def prefers_sums(operation: str, dims: object, dtype: str, layout: str, target: Target | None) -> str:
    """Why sums written out are the better choice here; empty if transforms are."""
    assert isinstance(dims, ConvDims)
    if precision_mode() == "exact":
        return 'precision("exact") is set'
    if dtype != "float32":
        return f"{dtype} is computed as the definition writes it"
    form = dims.adjoint() if operation == "data_gradient" else dims
    if form.reduction < _LEAST_PRODUCTS:
        return "so few products are summed faster"
    itemsize = np.dtype(dtype).itemsize
    found = blocks_of(form, itemsize)
    assert found is not None
    sums = written_out(form, dtype, target or host())
    if found.nanoseconds > _MARGIN * sums:
        times = found.nanoseconds / sums
        return f"transforms would take {times:.2g} times what the sums do, by estimate"
    return ""


@lru_cache(maxsize=1)
def unavailable() -> str:
    """Why there are no transforms here; empty if there are."""
    try:
        importlib.import_module("scipy.fft")
    except ImportError as error:
        return f"it needs SciPy, which can't be imported ({error}): pip install 'tilewright[fft]'"
    return ""


def written_out(form: ConvDims, dtype: str, target: Target) -> float:
    """What the other families take for one group of one sample, in ns."""
    inputs, outputs = form.in_channels // form.groups, form.out_channels // form.groups
    products = math.prod(form.output) * outputs * form.reduction
    itemsize = np.dtype(dtype).itemsize
    if not compiled.serves(dtype):
        return products / (_DIRECT_BY_NUMPY * 4 / itemsize)
    rate = _DIRECT if math.prod(form.kernel[:-1]) > 1 else _DIRECT_ON_A_LINE
    if inputs > 4 and outputs > 8:
        rate = _DIRECT_OF_MATRICES
    rate *= target.vector_bytes / 64 * (1 if target.fused else 0.5)
    return products / (rate * 4 / itemsize)


@lru_cache(maxsize=4096)
def blocks_of(form: ConvDims, itemsize: int) -> Blocks | None:
    """The blocks that take least by estimate, of a convolution with stride 1; None if none fits the scratch.

    >>> form = ConvDims.of((1, 1, 1080, 1920), (1, 1, 31, 31), padding="same")
    >>> blocks_of(form, 4).lengths
    (256, 256)
    """
    form = form.with_batch(1)
    extent = tuple(r + 1 for r in form.reach)
    best: Blocks | None = None
    # The whole kernel; else halves of its longest axis, and so on: as many as fit and don't cost more.
    parts = [1] * form.rank
    while math.prod(parts) <= _MOST_PARTS:
        part = tuple(-(-e // p) for e, p in zip(extent, parts, strict=True))
        found = _blocks_for(form, itemsize, part, tuple(parts))
        if best is not None and (found is None or found.nanoseconds >= best.nanoseconds):
            break
        best = found or best
        longest = max(range(form.rank), key=lambda axis: part[axis])
        if part[longest] < 2:
            break
        parts[longest] *= 2
    return best


# A kernel of 4095×4095 taps, float64.
_MOST_PARTS = 1024


def _blocks_for(
    form: ConvDims, itemsize: int, part: tuple[int, ...], parts: tuple[int, ...]
) -> Blocks | None:
    axes = tuple(axis for axis, n in enumerate(part) if n > 1) or (form.rank - 1,)
    tried = _TRIED[min(len(axes), 3)]
    choices = []
    for axis, (size, taps) in enumerate(zip(form.output, part, strict=True)):
        if axis not in axes:
            choices.append(sorted({min(size, n) for n in (1, 4, 16, 64)}))
            continue
        whole = _length_for(size + taps - 1)
        # From blocks that are mostly overlap to such with little of it.
        some = {_length_for(max(taps - 1 + n * taps // 2, 16)) for n in (1, 2, 4, 7, 12, 20, 40)}
        some |= {256, 512, 1024, 2048, 4096, 8192} if len(axes) == 1 else {128, 256}
        fitting = sorted(n for n in some if taps <= n < whole)
        choices.append([*fitting[-tried:], whole])
    best: Blocks | None = None
    for lengths in product(*choices):
        tile = tuple(min(n - t + 1, o) for n, t, o in zip(lengths, part, form.output, strict=True))
        rows = 1
        if form.rank == 1:
            # As even as they can be, and whole vectors of them.
            count = -(-form.output[0] // tile[0])
            even = -(-count // -(-count // _ROWS))
            rows = 4 * -(-even // 4)
        if _scratch(form, itemsize, rows * math.prod(lengths)) > compiled.SCRATCH_BYTES:
            continue
        cost = _cost(form, itemsize, lengths, tile, axes, rows) * math.prod(parts)
        if best is None or cost < best.nanoseconds:
            best = Blocks(lengths, tile, part, parts, axes, rows, cost)
    return best


def _length_for(least: int) -> int:
    """The first length from ``least`` on that transforms are fast for."""
    return next((n for n in _LENGTHS if n >= least), least)


def _scratch(form: ConvDims, itemsize: int, numbers: int) -> int:
    """Bytes for blocks of so many numbers.

    A block as it is gathered; its transform, of each input channel; the kernels' transforms; a product, what
    is added to it, and the inverse transform, which takes as much again inside.
    """
    inputs, outputs = form.in_channels // form.groups, form.out_channels // form.groups
    # A transform along an axis of n has n // 2 + 1 complex numbers: an eighth more, at the shortest.
    return (1 + inputs + inputs * outputs + 4) * (numbers + numbers // 8) * itemsize


def _cost(
    form: ConvDims,
    itemsize: int,
    lengths: tuple[int, ...],
    tile: tuple[int, ...],
    axes: tuple[int, ...],
    rows: int,
) -> float:
    """Estimated ns for one group of one sample and one part of the kernel."""
    inputs, outputs = form.in_channels // form.groups, form.out_channels // form.groups
    numbers = rows * math.prod(lengths)
    wide = 1.0 if itemsize == 4 else _DOUBLE
    doublings = math.log2(max(math.prod(lengths[axis] for axis in axes), 2))
    transform = _CALL + numbers * doublings * _TRANSFORM[min(len(axes), 3)] * wide
    blocks = math.prod(-(-o // t) for o, t in zip(form.output, tile, strict=True))
    beside = inputs * _GATHER + inputs * outputs * _MULTIPLY + outputs * _STORE
    block = (inputs + outputs) * transform + numbers * beside * wide + _BLOCK
    touched = _scratch(form, itemsize, numbers) // _PAGE * _FAULT if numbers * itemsize > _KEPT else 0.0
    return -(-blocks // rows) * block + inputs * outputs * transform + touched
