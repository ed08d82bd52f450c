"""One filter for every image: any rank, grey or colour, whole numbers or floats, a kernel of any kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.image.borders import CONSTANT, REFLECT, check_border, check_cval, check_pixels
from tilewright.image.correlating import Outside, Term, correlate
from tilewright.image.kernels import check_kernel, check_origins, dense_term, product_term
from tilewright.image.named import Filter, named
from tilewright.kernel import buffers

Array = npt.NDArray[Any]

# Below so large a sum of absolute products, whole numbers are exact in float32.
_EXACT = 1 << 24


def filter(
    image: Any,
    kernel: Any,
    *,
    border: str = REFLECT,
    cval: float = 0.0,
    origin: Any = 0,
    channel_axis: int | None = None,
    dtype: Any = None,
    flip: bool = False,
) -> Array:
    """An image filtered: y[p] = Σ_t kernel[t] · image[p + t − centre], beyond the edges as ``border`` says.

    Args:
        image: any number of spatial axes, of bools, integers, float16, float32 or float64.
        kernel: an array of the image's spatial rank; one vector, which runs along every spatial axis; a
            sequence of vectors, one for each spatial axis; a :class:`Filter`; or the name of one (see
            :func:`names`).
        border: what stands beyond the edges, one of :func:`border_names`.
        cval: what the constant border is made of.
        origin: moves the kernel, as in SciPy: tap ``size // 2 + origin`` stands at the output. An integer or
            one for each spatial axis.
        channel_axis: the axis of the channels, each of which is filtered alone; None: there is none.
        dtype: of the result; the image's own if it is None.
        flip: True convolves: the kernel is turned round about its centre.

    Returns:
        A new array of the image's shape. Floats are computed in float32 (float16, too) or float64. Integers
        are computed in float32 (8 bits, bools, and whenever whole numbers stay exact in it) or float64,
        rounded to the nearest (half to even) and clipped to the range of their dtype; bools are 0 and 1,
        and true above a half.

    Raises:
        ShapeError: a kernel of another rank than the image, or an empty one.
        DtypeError: something that can't be filtered, or with.
        ArgumentError: an unknown border or filter, or an origin outside the kernel.

    >>> import numpy as np, tilewright as tw
    >>> tw.image.filter(np.array([[0.0, 1.0, 4.0, 9.0]]), np.array([[-1.0, 0.0, 1.0]]), border="nearest")
    array([[1., 4., 8., 5.]])
    >>> tw.image.filter(np.array([0, 0, 255, 0], np.uint8), [1, 2, 1] / np.float32(4))
    array([  0,  64, 128,  64], dtype=uint8)
    """
    op = "filter"
    image = check_pixels(image, "image", op)
    channel = check_channel_axis(image, channel_axis, op)
    rank = image.ndim - (channel is not None)
    if rank < 1:
        raise ShapeError(f"{op} needs an image with a spatial axis.", describe(image=image))
    outside = Outside(check_border(border, op), check_cval(cval, op))
    terms = terms_of(kernel, rank, origin, bool(flip), op)
    wanted = image.dtype if dtype is None else check_dtype(dtype, op)
    return filtered(image, terms, channel, wanted, outside)


def filtered(
    image: Array,
    terms: Sequence[Term],
    channel: int | None,
    wanted: np.dtype[Any],
    outside: Outside,
    computed: np.dtype[Any] | None = None,
    out: Array | None = None,
    put: Callable[[Array, Array], None] | None = None,
) -> Array:
    """The sum of the terms, of checked arguments; in ``computed`` if a dtype to compute in is named.

    ``out`` is written to if it is there, and shares no memory with the image; ``put`` rounds in another way.
    """
    if out is None:
        out = buffers.empty(image.shape, wanted)
    if image.size == 0:
        return out
    x, y = as_planes(image, channel), as_planes(out, channel)
    if x.ndim == 3:  # one spatial axis: a picture of one row
        x, y = x[:, np.newaxis], y[:, np.newaxis]
        terms = [_lifted(term) for term in terms]
    if computed is None:
        computed = dtype_of(image.dtype, wanted, terms, outside)
    correlate(x, terms, y, computed, outside, put)
    return out


def as_planes(image: Array, channel: int | None) -> Array:
    """The view (batch, *spatial, channels) of an image."""
    if channel is None:
        return image[np.newaxis, ..., np.newaxis]
    if channel == image.ndim - 1:
        return image[np.newaxis]
    return np.moveaxis(image, channel, 0)[..., np.newaxis]


def terms_of(kernel: Any, rank: int, origin: Any, flip: bool, op: str) -> list[Term]:
    """The terms of what a filter may be given as."""
    if isinstance(kernel, str):
        kernel = named(kernel, rank)
    if isinstance(kernel, Filter):
        return _terms_of_filter(kernel, rank, origin, flip, op)
    if isinstance(kernel, (list, tuple)) and kernel and all(np.ndim(one) == 1 for one in kernel) and rank > 1:
        vectors = [check_kernel(one, op, "kernel") for one in kernel]
        same = len({one.size for one in vectors}) == 1
        # Rows of a kernel that is written as a list of lists, or vectors for the axes?
        as_rows = same and rank == 2 and not all(isinstance(one, np.ndarray) for one in kernel)
        if not as_rows:
            if len(vectors) != rank:
                raise ShapeError(
                    f"{op} needs a vector for each of the image's {rank} spatial axes.",
                    f"{len(vectors)} vectors",
                )
            origins = check_origins(origin, [vector.size for vector in vectors], op)
            return [product_term(list(enumerate(vectors)), rank, origins, flip)]
    array = check_kernel(kernel, op)
    if array.ndim == 1:
        origins = check_origins(origin, (array.size,) * rank, op)
        return [product_term([(axis, array) for axis in range(rank)], rank, origins, flip)]
    if array.ndim != rank:
        raise ShapeError(
            f"{op} needs a kernel of the image's spatial rank {rank}, or vectors.",
            describe(kernel=array),
            "Name the axis of the channels with channel_axis if the image has one.",
        )
    origins = check_origins(origin, array.shape, op)
    return [dense_term(array, origins, flip)]


def _terms_of_filter(found: Filter, rank: int, origin: Any, flip: bool, op: str) -> list[Term]:
    if found.rank != rank:
        raise ShapeError(
            f"{op} needs a filter of the image's spatial rank {rank}.",
            f"the filter {found.name} of rank {found.rank}",
            "Make one with named(name, rank), and name the axis of the channels with channel_axis.",
        )
    terms = []
    for part in found.parts:
        if isinstance(part, np.ndarray):
            terms.append(dense_term(part, check_origins(origin, part.shape, op), flip))
        else:
            origins = check_origins(origin, [vector.size for vector in part], op)
            terms.append(product_term(list(enumerate(part)), rank, origins, flip))
    return terms


def dtype_of(
    given: np.dtype[Any], wanted: np.dtype[Any], terms: Sequence[Term], outside: Outside
) -> np.dtype[Any]:
    """What is computed in: float32 where it does justice to the image and the result, else float64."""
    single, double = np.dtype(np.float32), np.dtype(np.float64)
    if double in (given, wanted):
        return double
    if given.kind == "f":
        return double if wanted.kind in "iu" and wanted.itemsize > 2 else single
    if given.itemsize == 1 and (wanted.kind == "f" or wanted.itemsize == 1):
        return single
    if wanted.kind == "f" and wanted.itemsize <= 4 and given.itemsize <= 2:
        return single
    if given.itemsize > 2:
        return double
    limits = np.iinfo(given)
    largest = max(
        abs(int(limits.min)), int(limits.max), abs(outside.cval) if outside.border == CONSTANT else 0
    )
    weights = 0.0
    for term in terms:
        parts = [term.kernel] if term.kernel is not None else [vector for _, vector in term.vectors]
        if any((part != np.rint(part)).any() for part in parts):
            return double
        weight = 1.0
        for part in parts:
            weight *= float(np.abs(part).sum())
        weights += weight
    return single if weights * largest < _EXACT else double


def _lifted(term: Term) -> Term:
    """The term of one row of a picture, of that of a line."""
    kernel = None if term.kernel is None else term.kernel[np.newaxis]
    vectors = tuple((axis + 1, vector) for axis, vector in term.vectors)
    return Term(kernel, vectors, (0, *term.befores), (1, *term.sizes))


def check_channel_axis(image: Array, channel_axis: Any, op: str) -> int | None:
    """The channels' axis counted from the first.

    Raises:
        DtypeError: it is no integer.
        ArgumentError: the image has no such axis.
    """
    if channel_axis is None:
        return None
    if not isinstance(channel_axis, (int, np.integer)) or isinstance(channel_axis, bool):
        raise DtypeError(
            f"{op} needs channel_axis to be an integer or None.", describe(channel_axis=channel_axis)
        )
    if not -image.ndim <= channel_axis < image.ndim:
        raise ArgumentError(
            f"{op} needs channel_axis to be an axis of the image.",
            describe(channel_axis=channel_axis, image=image),
        )
    return int(channel_axis) % image.ndim


def check_dtype(dtype: Any, op: str, name: str = "dtype") -> np.dtype[Any]:
    """A dtype that a result may have.

    Raises:
        DtypeError: another one, or none at all.
    """
    try:
        found = np.dtype(dtype)
    except Exception as error:  # whatever NumPy makes of what isn't one
        raise DtypeError(f"{op} needs {name} to be a dtype.", describe(**{name: dtype})) from error
    if found.kind in "biu" or (found.kind == "f" and found.itemsize <= 8):
        native: np.dtype[Any] = found.newbyteorder("=")
        return native
    raise DtypeError(
        f"{op} needs {name} to be of bools, integers, float16, float32 or float64.", f"{name}={found}"
    )
