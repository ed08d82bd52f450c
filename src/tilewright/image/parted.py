"""A filter that is checked once and then applied to an image part by part, to the bits of the whole image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ShapeError, describe
from tilewright.image.borders import REFLECT, check_border, check_cval, check_pixels
from tilewright.image.correlating import Outside, Term
from tilewright.image.filtering import check_channel_axis, check_dtype, dtype_of, filtered, terms_of
from tilewright.image.spans import Span

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Job:
    """A filter for images of one shape and dtype.

    Attributes:
        terms: what is added up.
        outside: the border, and its constant.
        channel: the axis of the channels, or None.
        dtype: of the result.
        computed: what it is computed in.
        befores, afters: how far an output reaches along each of the image's axes.
    """

    terms: tuple[Term, ...]
    outside: Outside
    channel: int | None
    dtype: np.dtype[Any]
    computed: np.dtype[Any]
    befores: tuple[int, ...]
    afters: tuple[int, ...]

    @property
    def border(self) -> str:
        """The border's name."""
        return self.outside.border

    def part(self, samples: Array, spans: Sequence[Span]) -> Array:
        """The outputs of a part of the image, of the samples that its spans say, in new memory."""
        if 0 in samples.shape or any(span.start == span.stop for span in spans):
            return np.empty(tuple(span.stop - span.start for span in spans), self.dtype)
        if not samples.dtype.isnative:
            samples = samples.astype(samples.dtype.newbyteorder("="))
        whole = filtered(samples, self.terms, self.channel, self.dtype, self.outside, self.computed)
        kept = whole[tuple(span.kept for span in spans)]
        return whole if kept.shape == whole.shape else np.ascontiguousarray(kept)


def job_of(
    shape: Sequence[int],
    given: np.dtype[Any],
    kernel: Any,
    *,
    border: Any = REFLECT,
    cval: Any = 0.0,
    origin: Any = 0,
    channel_axis: Any = None,
    dtype: Any = None,
    flip: Any = False,
    op: str = "filter",
) -> Job:
    """Check the arguments of :func:`tilewright.image.filter` for an image of a shape and dtype.

    Raises:
        ShapeError, DtypeError, ArgumentError: as there.
    """
    # Of the image's shape and dtype, without its memory.
    image = check_pixels(np.broadcast_to(np.zeros((), given), tuple(shape)), "image", op)
    channel = check_channel_axis(image, channel_axis, op)
    rank = image.ndim - (channel is not None)
    if rank < 1:
        raise ShapeError(f"{op} needs an image with a spatial axis.", describe(image=image))
    outside = Outside(check_border(border, op), check_cval(cval, op))
    terms = tuple(terms_of(kernel, rank, origin, bool(flip), op))
    wanted = image.dtype if dtype is None else check_dtype(dtype, op)
    computed = dtype_of(image.dtype, wanted, terms, outside)
    reaches = []
    for sides in ("befores", "afters"):
        reach = [max(one) for one in zip(*(getattr(term, sides) for term in terms), strict=True)]
        if channel is not None:
            reach.insert(channel, 0)
        reaches.append(tuple(reach))
    return Job(terms, outside, channel, wanted, computed, *reaches)
