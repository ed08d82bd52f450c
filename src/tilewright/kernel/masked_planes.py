"""Masked convolution over few channels in one pass: a program for each geometry and layout, run on arrays."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import ConvDims
from tilewright.kernel.addresses import address
from tilewright.kernel.conv_planes import readable
from tilewright.kernel.planes.masked_program import MaskedProblem, MaskedProgram, program
from tilewright.plan import Plan
from tilewright.plan.target import named

Array = npt.NDArray[Any]

# As many as of the other families.
_PROGRAMS = 1024


def forward(
    plan: Plan,
    x: Array,
    given: Array | None,
    w: Array,
    bias: Array | None,
    y: Array,
    *,
    counts: bool,
    fill: float | None = None,
    ratios: Array | None = None,
    g: Array | None = None,
) -> None:
    """Writes Σ w·m·x · ratio + bias into ``y``; see :func:`tilewright.functional.masked_conv`.

    Args:
        plan: of the family "planes", forward.
        x: the input. Without ``given``, NaN is missing.
        given: 1 where a sample is there, else 0: of the dtype and with the spatial strides of the input,
            (1 or batch, 1 or channels, *spatial).
        w: the weights.
        bias: or None.
        y: the result.
        counts: whether samples that are there are counted; else they are weighed with |w|.
        fill: the result where nothing is there.
        ratios: laid out as ``y``; gets what the sums were multiplied with, 0 where nothing is there.
        g: the result's gradient, laid out as ``y``. Then ``y`` gets that of the sums, and ``ratios`` that of
            the sums of what is there, but for its sign: see
            :mod:`tilewright.kernel.planes.masked_parts`.
    """
    if given is None:
        x = readable(x)
    steps = None
    if given is not None:
        steps = tuple(0 if n == 1 else s for n, s in zip(given.shape[:2], given.strides[:2], strict=True))
    found = _program(plan, x.strides, y.strides, steps, counts, g is not None)
    w = np.ascontiguousarray(w)
    inputs = w.shape[1]
    if counts:
        # The masks of a group are added up before their windows are.
        magnitudes = np.ones((1, w[0, 0].size), w.dtype)
        totals = np.full(len(w), inputs * w[0, 0].size, w.dtype)
    else:
        magnitudes = np.abs(w)
        totals = found.totals(magnitudes)
    kept = {"x": x, "w": w, "y": y, "magnitudes": magnitudes, "totals": totals}
    arrays = {key: address(value) for key, value in kept.items()}
    bias = None if bias is None else np.ascontiguousarray(bias)
    for key, value in (("bias", bias), ("given", given), ("ratios", ratios), ("g", g)):
        arrays[key] = 0 if value is None else address(value)
    found.run(arrays, fill)


@lru_cache(maxsize=_PROGRAMS)
def _program(
    plan: Plan,
    x_strides: tuple[int, ...],
    y_strides: tuple[int, ...],
    given_strides: tuple[int, ...] | None,
    counts: bool,
    slopes: bool = False,
) -> MaskedProgram:
    assert isinstance(plan.dims, ConvDims)
    itemsize = np.dtype(plan.dtype).itemsize
    x_steps, y_steps = (tuple(stride // itemsize for stride in s) for s in (x_strides, y_strides))
    given = None
    if given_strides is not None:
        given = (given_strides[0] // itemsize, given_strides[1] // itemsize)
    problem = MaskedProblem(plan.dims, plan.dtype, x_steps, y_steps, given, counts, slopes)
    return program(problem, named(plan.target))


def forget() -> None:
    """Forget all programs."""
    _program.cache_clear()
