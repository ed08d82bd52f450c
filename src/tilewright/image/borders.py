"""What stands beyond the edge of an image, under SciPy's names, and padding with it.

========================= ============================ ==================================================
name (and SciPy's alias)  a row ``a b c d``            the rule, of position p on an axis of n samples
========================= ============================ ==================================================
reflect (grid-mirror)     ``d c b a|a b c d|d c b a``  folded about the edge of the outermost sample
mirror                    ``  d c b|a b c d|c b a  ``  folded about the centre of the outermost sample
nearest                   ``a a a a|a b c d|d d d d``  the outermost sample
wrap (grid-wrap)          ``a b c d|a b c d|a b c d``  p modulo n
constant (grid-constant)  ``k k k k|a b c d|k k k k``  one value, ``cval``
========================= ============================ ==================================================

Padding may be wider than the image: it folds or goes round as often as it must. The names are those of
``scipy.ndimage``, and every one of them is what SciPy's filters do with it.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.kernel import buffers
from tilewright.op.moved import runs

Array = npt.NDArray[Any]
#: (before, after) for each axis.
Pads = Sequence[tuple[int, int]]

REFLECT, MIRROR, NEAREST, WRAP, CONSTANT = "reflect", "mirror", "nearest", "wrap", "constant"
#: Where no sample stands: no neighbour of a sample, so that it never continues a run of them.
NOWHERE = -2
_NAMES = (REFLECT, MIRROR, NEAREST, WRAP, CONSTANT)
_ALIASES = {"grid-mirror": REFLECT, "grid-wrap": WRAP, "grid-constant": CONSTANT}


def border_names(*, aliases: bool = False) -> tuple[str, ...]:
    """The names of the borders, with ``aliases`` also those that SciPy has for three of them.

    >>> border_names()
    ('reflect', 'mirror', 'nearest', 'wrap', 'constant')
    """
    return (*_NAMES, *_ALIASES) if aliases else _NAMES


def check_border(border: Any, op: str, name: str = "border") -> str:
    """The border's own name, of its name or alias.

    Raises:
        ArgumentError: an unknown one.
    """
    if isinstance(border, str):
        found = _ALIASES.get(border, border)
        if found in _NAMES:
            return found
    raise ArgumentError(
        f"{op} needs {name} to be one of {', '.join(repr(known) for known in border_names(aliases=True))}.",
        describe(**{name: border}),
    )


def check_cval(cval: Any, op: str) -> float:
    """``cval`` as a number; NaN and infinities are numbers, too.

    Raises:
        DtypeError: it is no real number.
    """
    if isinstance(cval, (int, float, np.integer, np.floating, np.bool_)):
        try:
            return float(cval)
        except OverflowError:
            pass
    raise DtypeError(f"{op} needs cval to be a real number.", describe(cval=cval))


def source_index(size: int, before: int, after: int, border: str) -> npt.NDArray[np.int64]:
    """For positions −before … size + after − 1 of an axis of ``size`` samples: the sample that stands there.

    Of the constant border, positions outside are :data:`NOWHERE`. Otherwise the axis needs a sample.

    >>> source_index(3, 2, 2, "reflect").tolist()
    [1, 0, 0, 1, 2, 2, 1]
    >>> source_index(3, 4, 2, "mirror").tolist()
    [0, 1, 2, 1, 0, 1, 2, 1, 0]
    """
    place = np.arange(-before, size + after, dtype=np.int64)
    if border == NEAREST:
        return place.clip(0, size - 1)
    if border == WRAP:
        return place % size
    if border == REFLECT:
        place %= 2 * size
        return np.minimum(place, 2 * size - 1 - place)
    if border == MIRROR:
        if size == 1:
            return np.zeros_like(place)
        place %= 2 * (size - 1)
        return np.minimum(place, 2 * (size - 1) - place)
    return np.where((place >= 0) & (place < size), place, NOWHERE)


def pad_border(array: Array, pads: Any, border: str = REFLECT, cval: float = 0.0) -> Array:
    """``array`` with a border: what the filters see beyond its edges.

    Args:
        array: any rank, any dtype of numbers or bools.
        pads: samples to add: an integer for every side, or for each axis an integer or a (before, after)
            pair. 0 leaves an axis alone (that of the channels, for example).
        border: one of :func:`border_names`, or an alias.
        cval: what the constant border is made of; rounded and clipped to what the dtype holds.

    Returns:
        A new array of the same dtype, in C order.

    Raises:
        ArgumentError: an unknown border, or a negative number of samples.
        DtypeError: pads that are no integers, or an array of something else.
        ShapeError: a number of pads that isn't that of the axes, or an axis without samples to continue.

    >>> import numpy as np, tilewright as tw
    >>> tw.image.pad_border(np.array([1, 2, 3]), [(2, 4)], "mirror")
    array([3, 2, 1, 2, 3, 2, 1, 2, 3])
    """
    op = "pad_border"
    array = check_pixels(array, "array", op, complex_too=True)
    pairs = _pairs(pads, array.ndim, op)
    border = check_border(border, op)
    value = check_cval(cval, op)
    check_continued(array.shape, pairs, border, op)
    shape = tuple(before + size + after for size, (before, after) in zip(array.shape, pairs, strict=True))
    padded = buffers.empty(shape, array.dtype)
    core = tuple(slice(before, before + size) for size, (before, _) in zip(array.shape, pairs, strict=True))
    padded[core] = array
    fill = stored_value(value, array.dtype)
    for axis, one in enumerate(core):
        fill_border(padded, axis, one.start, one.stop, border, fill)
    return padded


def fill_border(padded: Array, axis: int, start: int, stop: int, border: str, cval: Any) -> None:
    """Fills an axis on both sides of its samples, which stand at ``start`` … ``stop`` − 1, in place."""
    before, after, size = start, padded.shape[axis] - stop, stop - start
    if not before and not after:
        return
    lines = np.moveaxis(padded, axis, 0)
    if border == CONSTANT:
        lines[:start] = cval
        lines[stop:] = cval
        return
    samples = lines[start:stop]
    for outputs, inputs in _copies(size, before, after, border):
        lines[outputs] = samples[inputs]


# Blocks of an image are many, and their borders alike.
@lru_cache(maxsize=256)
def _copies(size: int, before: int, after: int, border: str) -> list[tuple[slice, slice]]:
    """What a padded axis takes from its samples, outside of them: from where to where."""
    index = source_index(size, before, after, border)
    found = [(run.outputs(), run.inputs()) for run in runs(index[:before])]
    for run in runs(index[before + size :]):
        to = run.outputs()
        found.append((slice(to.start + before + size, to.stop + before + size), run.inputs()))
    return found


def check_continued(shape: Sequence[int], pairs: Pads, border: str, op: str) -> None:
    """Refuse to continue an axis without samples.

    Raises:
        ShapeError: there is one.
    """
    for axis, (size, pair) in enumerate(zip(shape, pairs, strict=True)):
        if size == 0 and any(pair) and border != CONSTANT:
            raise ShapeError(
                f"{op} with border {border!r} needs a sample to continue on every padded axis.",
                f"({pair[0]}, {pair[1]}) for axis {axis} of an array with shape {tuple(shape)}",
            )


def check_pixels(array: Any, name: str, op: str, *, complex_too: bool = False) -> Array:
    """``array`` as a NumPy array of numbers or bools; lists of numbers are taken, too.

    Raises:
        DtypeError: something else.
    """
    if not isinstance(array, np.ndarray):
        try:
            array = np.asarray(array)
        except Exception as error:  # ragged lists, objects that raise: whatever NumPy makes of them
            raise DtypeError(
                f"{op} needs {name} to be an array of numbers.", f"{name} of type {type(array).__name__}"
            ) from error
    if type(array) is not np.ndarray:
        # A masked array's mask, or a matrix's rank, would be lost on the way without a word.
        if isinstance(array, (np.ma.MaskedArray, np.matrix)):
            raise DtypeError(
                f"{op} needs {name} to be a plain NumPy array.",
                f"{name} of type {type(array).__name__}",
                f"Convert it first: numpy.asarray({name}).",
            )
        array = array.view(np.ndarray)
    kind = array.dtype.kind
    fits = kind in "biu" or (kind == "f" and array.dtype.itemsize <= 8) or (kind == "c" and complex_too)
    if not fits:
        more = " or complex numbers" if complex_too else ""
        raise DtypeError(
            f"{op} needs {name} to be of bools, integers, float16, float32, float64{more}.",
            describe(**{name: array}),
        )
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    found: Array = array
    return found


def stored_value(value: float, dtype: np.dtype[Any]) -> Any:
    """A number as an array of ``dtype`` holds it: rounded half to even and clipped if of integers."""
    if dtype.kind == "b":
        return bool(value > 0.5)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if value != value:
            return dtype.type(0)
        if value in (float("inf"), float("-inf")):
            return dtype.type(limits.max if value > 0 else limits.min)
        return dtype.type(min(max(round(value), int(limits.min)), int(limits.max)))
    with np.errstate(over="ignore"):
        return dtype.type(value)


def _pairs(pads: Any, rank: int, op: str) -> tuple[tuple[int, int], ...]:
    """One (before, after) pair for each axis."""
    if _is_integer(pads):
        pads = ((pads, pads),) * rank
    elif isinstance(pads, (str, bytes)) or not isinstance(pads, (Sequence, np.ndarray)):
        raise DtypeError(f"{op} needs pads to be an integer, or integers or pairs.", describe(pads=pads))
    elif len(pads) != rank:
        raise ShapeError(
            f"{op} needs pads to be an integer, or an integer or a (before, after) pair for each axis.",
            f"{describe(pads=pads)} for an array of rank {rank}",
        )
    found = []
    for one in pads:
        pair = (one, one) if _is_integer(one) else one
        if (
            isinstance(pair, (str, bytes))
            or not isinstance(pair, (Sequence, np.ndarray))
            or len(pair) != 2
            or not all(_is_integer(side) for side in pair)
        ):
            raise DtypeError(f"{op} needs pads to be an integer, or integers or pairs.", describe(pads=pads))
        before, after = (operator.index(side) for side in pair)
        if before < 0 or after < 0:
            raise ArgumentError(f"{op} needs pads of 0 or more.", describe(pads=pads))
        found.append((before, after))
    return tuple(found)


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
