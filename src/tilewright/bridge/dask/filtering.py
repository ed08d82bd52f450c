"""Filters of Dask arrays, chunk by chunk."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from dask.array.core import Array as DaskArray

from tilewright.bridge.dask.blocks import Part, blockwise, check_dask_array, joined
from tilewright.bridge.dask.cores import shared_cores
from tilewright.image.borders import REFLECT
from tilewright.image.parted import Job, job_of
from tilewright.image.spans import Span, spans_of

Array = npt.NDArray[Any]


def filter(
    image: DaskArray,
    kernel: Any,
    *,
    border: str = REFLECT,
    cval: float = 0.0,
    origin: Any = 0,
    channel_axis: int | None = None,
    dtype: Any = None,
    flip: bool = False,
) -> DaskArray:
    """:func:`tilewright.image.filter` of a Dask array: an image or a volume that may be larger than memory.

    Every chunk is filtered with its halo, the samples that its outputs reach in other chunks; nothing is
    computed before it is asked for. The result has the chunks of the image. However the image is cut, the
    numbers are those of the whole image, to the bit, along its edges, too.

    Args:
        image: a Dask array of any number of spatial axes, of bools, integers, float16, float32 or float64.
        kernel: an array, vectors, a :class:`~tilewright.image.Filter` or the name of one, as in
            :func:`tilewright.image.filter`.
        border: what stands beyond the edges of the image, one of
            :func:`~tilewright.image.border_names`.
        cval: what the constant border is made of.
        origin: moves the kernel.
        channel_axis: the axis of the channels, each of which is filtered alone; None: there is none.
        dtype: of the result; the image's own if it is None.
        flip: True convolves.

    Returns:
        A Dask array of the image's shape and chunks.

    Raises:
        ShapeError: a kernel of another rank than the image, or an empty one.
        DtypeError: something that can't be filtered, or with.
        ArgumentError: an unknown border or filter, an origin outside the kernel, or chunks of unknown sizes.

    >>> import dask.array as da, numpy as np, tilewright as tw
    >>> volume = da.random.random((40, 60, 60), chunks=(16, 32, 60))
    >>> smooth = tw.bridge.dask.filter(volume, tw.image.gaussian(1.5, rank=3))
    >>> smooth.chunks == volume.chunks
    True
    >>> bool((smooth == tw.image.filter(volume.compute(), tw.image.gaussian(1.5, rank=3))).all())
    True
    """
    image = check_dask_array(image, "image", "filter")
    job = job_of(
        image.shape,
        image.dtype,
        kernel,
        border=border,
        cval=cval,
        origin=origin,
        channel_axis=channel_axis,
        dtype=dtype,
        flip=flip,
    )
    axes = zip(image.shape, image.chunks, job.befores, job.afters, strict=True)
    parts = [
        [
            Part(span.stop - span.start, span.ranges, span)
            for span in spans_of(size, chunks, before, after, job.border)
        ]
        for size, chunks, before, after in axes
    ]
    return blockwise(image, parts, partial(_block, job), job.dtype, "filter")


def _block(job: Job, pieces: Any, spans: tuple[Span, ...]) -> Array:
    """Filters one block."""
    with shared_cores():
        return np.asarray(job.part(joined(pieces, len(spans)), spans))
