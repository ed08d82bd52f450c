"""Convolution whose padding continues the samples: packed by the family for few channels, or a padded copy.

The family for few channels copies what stands in the padding as it packs, so the input is read as it lies.
Other families get a padded copy, and so do dtypes that no family computes in.

The gradient of the input is that of zeros in the padding, and what would have fallen on the padding is added
to the samples that it is a copy of. It is computed strip by strip, one for each end of each axis.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.geometry import ConvDims
from tilewright.geometry.boxes import at
from tilewright.geometry.padding import ZEROS
from tilewright.kernel.planes.continuing import continued
from tilewright.op.arrays import layout_of, name_of
from tilewright.op.pad import pad, pad_gradient
from tilewright.plan import Plan, choose
from tilewright.plan.separable import pays

Array = npt.NDArray[Any]

# What families compute in.
_DTYPES = ("float32", "float64")
# The widest padding that is filled in place by place; a table has an entry for each of a line's.
_WIDEST = 1 << 12


def plan_for(operation: str, dims: ConvDims, x: Array, *, exact: bool = False) -> Plan | None:
    """The plan of the family that packs this padding, if it is the one for such windows; else None.

    ``x`` is the operand whose layout the result gets. Large kernels that may be outer products get a padded
    copy: passes along the axes gain more than the copy costs.
    """
    if name_of(x.dtype) not in _DTYPES:
        return None
    if dims.padding_mode != ZEROS and not all(0 <= n <= _WIDEST for pair in dims.padding for n in pair):
        return None
    zeros = replace(dims, padding_mode=ZEROS) if dims.padding_mode != ZEROS else dims
    if operation == "forward" and not exact and pays(zeros, name_of(x.dtype)):
        return None
    plan = choose(operation, zeros, name_of(x.dtype), None, layout_of(x), exact=exact)
    return replace(plan, dims=dims) if plan.family == "planes" else None


def padded(dims: ConvDims, x: Array, op: str) -> tuple[ConvDims, Array]:
    """The geometry without padding, and the input that has it."""
    longer = pad(x, dims.padding, dims.padding_mode, op=op)
    return inside(dims), longer


def inside(dims: ConvDims) -> ConvDims:
    """The same windows over an input that is padded already."""
    longer = tuple(n + before + after for n, (before, after) in zip(dims.spatial, dims.padding, strict=True))
    return replace(dims, spatial=longer, padding=((0, 0),) * dims.rank, padding_mode=ZEROS)


def data_gradient(compute: Any, dims: ConvDims, gy: Array, w: Array) -> Array:
    """The gradient of the input; ``compute(dims, gy, w)`` is that of padding with zeros."""
    zeros = replace(dims, padding_mode=ZEROS)
    if plan_for("data_gradient", dims, gy) is None:
        laid = compute(inside(dims), gy, w)
        return pad_gradient(laid, dims.input_shape, dims.padding, dims.padding_mode)
    gx: Array = compute(zeros, gy, w)
    # Of an axis' strips, those before it are without padding, those behind it as long as the padding makes
    # them: so each corner belongs to one strip only.
    for axis in reversed(range(dims.rank)):
        for strip, inner in _strips(dims, axis):
            given = compute(strip, gy, w)
            behind = dims.padding[axis + 1 :]
            shape = (*given.shape[: axis + 3], *dims.spatial[axis + 1 :])
            if any(side for pair in behind for side in pair):
                given = pad_gradient(given, shape, behind, dims.padding_mode)
            with np.errstate(all="ignore"):  # NaN and infinity are results like any other
                _add(gx, given, axis + 2, inner)
    return gx


def _strips(dims: ConvDims, axis: int) -> list[tuple[ConvDims, Array]]:
    """The geometries of what falls on the padding of an axis, and the samples that it is copies of."""
    found = []
    before, after = dims.padding[axis]
    size = dims.spatial[axis]
    samples = np.arange(-before, size + after)
    sources = continued(samples, size, dims.padding_mode)
    for first, last in ((-before, 0), (size, size + after)):
        if first == last:
            continue
        spatial, padding = list(dims.spatial), list(dims.padding)
        spatial[axis] = last - first
        # What lies before and behind the strip is cropped off the padded line.
        padding[axis] = (first + before, size + after - last)
        for other in range(axis + 1, dims.rank):
            low, high = padding[other]
            spatial[other], padding[other] = spatial[other] + low + high, (0, 0)
        strip = replace(dims, spatial=tuple(spatial), padding=tuple(padding), padding_mode=ZEROS)
        found.append((strip, sources[first + before : last + before]))
    return found


def _add(gx: Array, strip: Array, axis: int, sources: Array) -> None:
    """Adds each line of the strip along an axis to the one that it is a copy of."""
    for number, source in enumerate(sources):
        where = at(*(slice(None),) * axis)
        gx[(*where, int(source))] += strip[(*where, number)]
