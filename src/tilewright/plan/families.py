"""The ordered list of families, and how one is chosen.

A family says of each operation and geometry either that it accepts it, with the tiles it would use, or why
not. :func:`choose` walks the list and takes the first that accepts; the reference stands last and accepts
everything. :func:`explain` shows the walk.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tilewright.errors import ArgumentError, describe
from tilewright.geometry import ConvDims, PoolDims
from tilewright.plan import compiled, fft, planes
from tilewright.plan.plan import (
    CONV_OPERATIONS,
    POOL_OPERATIONS,
    SCRATCH_BYTES,
    Plan,
    samples_within,
    tile_within,
)
from tilewright.plan.precision import mode as precision_mode
from tilewright.plan.target import Target

Dims = ConvDims | PoolDims


@dataclass(frozen=True)
class Family:
    """One way of computing operations.

    Attributes:
        name: how it is called in plans and explanations.
        about: one sentence on what it does.
        consider: (operation, dims, dtype, layout, target) → a :class:`Plan` if it can, else a sentence saying
            why not. A target of None is this process's own.
        yields: the same arguments → why a later family does it better, or nothing. Not asked of a family that
            was named.
        sums: whether it computes sums as the definition writes them, or a fast algorithm with errors of its
        own.
    """

    name: str
    about: str
    consider: Callable[[str, Dims, str, str, Target | None], Plan | str]
    yields: Callable[[str, Dims, str, str, Target | None], str] | None = None
    sums: bool = True

    def answer(
        self, operation: str, dims: Dims, dtype: str, layout: str, named: bool, target: Target | None = None
    ) -> Plan | str:
        """The plan, or why not."""
        answer = self.consider(operation, dims, dtype, layout, target)
        if named or isinstance(answer, str) or self.yields is None:
            return answer
        return self.yields(operation, dims, dtype, layout, target) or answer


def _pointwise(operation: str, dims: Dims, dtype: str, layout: str, target: Target | None) -> Plan | str:
    if not isinstance(dims, ConvDims):
        return "it computes convolutions only"
    if dims.taps != 1 or any(n != 1 for n in dims.stride + dims.input_dilation):
        return "it needs one tap and stride 1"
    if any(pair != (0, 0) for pair in dims.padding):
        return "it needs an input without padding"
    return Plan(operation, "numpy-pointwise", dims, dtype, dims.output, 1, 0)


def _taps(operation: str, dims: Dims, dtype: str, layout: str, target: Target | None) -> Plan | str:
    if not isinstance(dims, ConvDims):
        return "it computes convolutions only"
    # With one input channel a group there is nothing for a matrix product to sum over but the taps; beyond
    # two outputs a group the product's reuse of the windows pays again.
    if dims.in_channels != dims.groups or dims.out_channels > 2 * dims.groups or dims.groups == 1:
        return "it needs several groups of one input channel and at most two output channels each"
    itemsize = np.dtype(dtype).itemsize
    per_position = 2 * dims.out_channels * itemsize
    tile = tile_within(dims.output, per_position)
    return Plan(operation, "numpy-taps", dims, dtype, tile, 1, math.prod(tile) * per_position)


def _windows(operation: str, dims: Dims, dtype: str, layout: str, target: Target | None) -> Plan | str:
    if not isinstance(dims, ConvDims):
        return "it computes convolutions only"
    itemsize = np.dtype(dtype).itemsize
    # Windows of every group, the contiguous copy of the gradient, and the products.
    per_position = (dims.in_channels * dims.taps + 2 * dims.out_channels) * itemsize
    tile = tile_within(dims.output, per_position)
    samples = samples_within(dims, tile, per_position)
    return Plan(
        operation, "numpy-windows", dims, dtype, tile, samples, samples * math.prod(tile) * per_position
    )


def _numpy_pool(operation: str, dims: Dims, dtype: str, layout: str, target: Target | None) -> Plan | str:
    if not isinstance(dims, PoolDims):
        return "it computes pools only"
    # For each output of a plane: candidate, copy, comparison and index; and, shared by all planes, where
    # each tap's sample lies.
    per_plane = 3 * np.dtype(dtype).itemsize + 10
    shared = np.dtype(np.int64).itemsize * dims.taps
    tile = tile_within(dims.output, per_plane + shared)
    positions = math.prod(tile)
    channels = max(min(dims.channels, SCRATCH_BYTES // (positions * per_plane or 1)), 1)
    scratch = positions * (channels * per_plane + shared)
    return Plan(operation, "numpy-pool", dims, dtype, tile, channels, scratch)


def _reference(operation: str, dims: Dims, dtype: str, layout: str, target: Target | None) -> Plan | str:
    return Plan(operation, "reference", dims, dtype, dims.output, dims.batch, 0)


#: Every family, the most special first, the reference last.
FAMILIES: tuple[Family, ...] = (
    Family(
        "fft",
        "Large kernels in the frequency domain, in blocks that overlap (SciPy's transforms).",
        fft.fft,
        fft.prefers_sums,
        sums=False,
    ),
    Family(
        "planes",
        "Windows over few channels: planes packed with their padding, each tap an offset (compiled).",
        planes.planes,
        planes.prefers_tiles,
    ),
    Family(
        "tiles-pointwise",
        "1×1 convolution in register tiles, planes as single rows (compiled).",
        compiled.pointwise,
    ),
    Family(
        "tiles-winograd",
        "Convolution with a few taps and stride 1 by Winograd's algorithm in register tiles (compiled).",
        compiled.winograd,
        compiled.prefers_definition,
        sums=False,
    ),
    Family(
        "tiles-pixels",
        "Convolution in register tiles, vectors along the pixels of a row (compiled).",
        compiled.by_pixels,
        compiled.prefers_pixels,
    ),
    Family(
        "tiles-channels",
        "Convolution in register tiles, vectors along the output channels (compiled).",
        compiled.by_channels,
    ),
    Family(
        "tiles-weights",
        "The weight gradient in register tiles of output by input channels (compiled).",
        compiled.weights,
    ),
    Family(
        "numpy-pointwise",
        "1×1 convolution as one matrix product on the array itself (NumPy, BLAS).",
        _pointwise,
    ),
    Family("numpy-taps", "Depthwise convolution as one multiply-add per tap (NumPy).", _taps),
    Family("numpy-windows", "Windows gathered tile by tile, then a matrix product (NumPy, BLAS).", _windows),
    Family(
        "planes-pool",
        "Pooling, planes packed with their padding, or windows of channels as they lie (compiled).",
        planes.pools,
    ),
    Family("numpy-pool", "Pooling as one comparison or addition per tap (NumPy).", _numpy_pool),
    Family(
        "reference",
        "The definition, loop by loop: the oracle, never chosen while another accepts.",
        _reference,
    ),
)


def families() -> list[tuple[str, str]]:
    """Names and one-sentence descriptions of the families, in the order in which they are asked."""
    return [(family.name, family.about) for family in FAMILIES]


def choose(
    operation: str,
    dims: Dims,
    dtype: str,
    family: str | None = None,
    layout: str = "channels_first",
    target: Target | None = None,
    *,
    exact: bool = False,
) -> Plan:
    """The plan of the first family that accepts; ``family`` asks one by name.

    Args:
        operation: one of :data:`~tilewright.plan.plan.CONV_OPERATIONS` or ``POOL_OPERATIONS``.
        dims: the forward geometry.
        dtype: name of the element type.
        family: a family's name, or None.
        layout: how the result lies in memory: ``channels_first`` or ``channels_last``.
        target: what compiled families compile for; None for this process's own.
        exact: pass over fast algorithms with errors of their own, whatever :class:`precision` is set to.

    Raises:
        ArgumentError: an unknown operation or family, or the named family does not accept.
    """
    mode = precision_mode()
    return _chosen(operation, dims, dtype, family, layout, target, "sums" if exact else mode)


def forget() -> None:
    """Forget all plans: they are chosen anew."""
    _chosen.cache_clear()


# As many plans as geometries are remembered, for each of the operations.
@lru_cache(maxsize=16384)
def _chosen(
    operation: str,
    dims: Dims,
    dtype: str,
    family: str | None,
    layout: str,
    target: Target | None,
    mode: str,
) -> Plan:
    known = CONV_OPERATIONS if isinstance(dims, ConvDims) else POOL_OPERATIONS
    if operation not in known:
        raise ArgumentError(
            f"choose needs an operation among {', '.join(known)}.", describe(operation=operation)
        )
    names = [candidate.name for candidate in FAMILIES]
    if family is not None and family not in names:
        raise ArgumentError(f"choose needs a family among {', '.join(names)}.", describe(family=family))
    for candidate in FAMILIES:
        if family is not None and candidate.name != family:
            continue
        if mode == "sums" and family is None and not candidate.sums:
            continue
        answer = candidate.answer(operation, dims, dtype, layout, family is not None, target)
        if isinstance(answer, Plan):
            return answer
        if family is not None:
            raise ArgumentError(f"The family {family} does not accept this: {answer}.", describe(dims=dims))
    raise AssertionError("the reference accepts everything")  # pragma: no cover


@dataclass(frozen=True)
class Explanation:
    """Why a family was chosen: the plan, and what each family said in turn. ``str()`` is for people.

    Attributes:
        plan: of the family that was chosen for the geometry.
        answers: each family's name and what it said, up to the chosen one.
        passes: the plans that are computed instead, one after the other, because the kernel is an outer
            product of vectors; empty if it isn't, or wasn't given.
    """

    plan: Plan
    answers: tuple[tuple[str, str], ...]
    passes: tuple[Plan, ...] = ()

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.answers)
        lines = [str(self.plan), "Families in the order asked:"]
        if self.passes:
            lines = ["The kernel is an outer product, computed in passes along its axes:"]
            lines += [f"  {_taps_of(plan)} taps {plan}" for plan in self.passes]
            lines += ["For another kernel of this shape:", str(self.plan), "Families in the order asked:"]
        lines += [f"  {name:<{width}}  {answer}" for name, answer in self.answers]
        return "\n".join(lines)


def _taps_of(plan: Plan) -> str:
    return "×".join(str(n) for n in plan.dims.kernel)


def explain(
    operation: str,
    dims: Dims,
    dtype: str,
    layout: str = "channels_first",
    target: Target | None = None,
    *,
    exact: bool = False,
) -> Explanation:
    """The plan for an operation and, for each family up to the chosen one, its answer.

    ``target`` may be one that this processor can't run; ``exact`` as in :func:`choose`.
    """
    plan = choose(operation, dims, dtype, None, layout, target, exact=exact)
    answers = []
    for candidate in FAMILIES:
        if exact and not candidate.sums:
            answers.append((candidate.name, "declines: these sums have to be exact"))
            continue
        answer = candidate.answer(operation, dims, dtype, layout, False, target)
        if isinstance(answer, Plan):
            answers.append((candidate.name, "accepts: chosen"))
            break
        answers.append((candidate.name, f"declines: {answer}"))
    return Explanation(plan, tuple(answers))
