"""``x[index]`` and ``x[index] = value``: ints, slices, masks and index arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.autograd.checks import OutOfRangeError, check_rank, whole
from tilewright.autograd.context import Discard
from tilewright.autograd.operands import unbroadcast
from tilewright.autograd.tape import RULES, Array, Chain, Context, Taped, X, replay, rule, run
from tilewright.errors import DtypeError, ShapeError, describe
from tilewright.geometry.axes import MOST_AXES
from tilewright.op.memory import copy, copy_in_c_order, zeros

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

Index = tuple[Any, ...]


# --- rules -----------------------------------------------------------------------------------------------


def _getitem_forward(context: Context, x: Array, *, index: Index) -> Any:
    # With ... NumPy gives a view even of a single element, not a number.
    return x[(*index, ...)]


def _getitem_backward(context: Context, gradient: Tensor) -> Tensor:
    return run(
        "place",
        gradient,
        chain=(("getitem", {"index": context.attributes["index"]}),),
        shape=context.shapes[0],
    )


def _take_forward(context: Context, x: Array, *, index: Index) -> Any:
    return x[index]


def _take_backward(context: Context, gradient: Tensor) -> Tensor:
    return run("scatter_to", gradient, index=context.attributes["index"], shape=context.shapes[0])


def _scatter_to_forward(context: Context, x: Array, *, index: Index, shape: tuple[int, ...]) -> Array:
    """Zeros to which ``x`` is added at ``index``, as often as an element is named."""
    out = zeros(shape, x.dtype)
    if any(isinstance(i, np.ndarray) and i.dtype != np.bool_ for i in index):
        np.add.at(out, index, x)
    else:
        out[index] = x  # a mask names no element twice
    return out


def _scatter_to_backward(context: Context, gradient: Tensor) -> Tensor:
    return run("take", gradient, index=context.attributes["index"])


def part(array: Array, chain: Chain) -> Array:
    """The view of ``array`` that the steps of ``chain`` make."""
    for name, attributes in chain:
        array = RULES[name].forward(Discard((), attributes), array, **attributes)
    return array


def put_into(array: Array, chain: Chain, values: Any) -> None:
    """Write ``values`` to the part of ``array`` that ``chain`` reads."""
    last: Any = Ellipsis
    if chain and chain[-1][0] == "take":
        last, chain = chain[-1][1]["index"], chain[:-1]
    target = part(array, chain)
    if np.may_share_memory(target, array):
        target[last] = values
    elif array.size:
        # In this array's memory order a step of the chain had to copy: write by position.
        positions = part(np.arange(array.size).reshape(array.shape), chain)
        flat = array.reshape(-1)
        where_ = positions[last]
        flat[where_.reshape(-1)] = np.broadcast_to(values, where_.shape).reshape(-1)
        if not np.may_share_memory(flat, array):
            array[...] = flat.reshape(array.shape)


def _place_forward(context: Context, x: Array, *, chain: Chain, shape: tuple[int, ...]) -> Array:
    """Zeros with ``x`` at the part that ``chain`` reads."""
    out = zeros(shape, x.dtype)
    put_into(out, chain, x)
    return out


def _read_chain(context: Context, gradient: Tensor) -> Tensor:
    return replay(gradient, context.attributes["chain"])


def _erase_forward(context: Context, x: Array, *, chain: Chain) -> Array:
    """A copy of ``x`` with zeros at the part that ``chain`` reads."""
    out = copy_in_c_order(x)
    put_into(out, chain, x.dtype.type(0))
    return out


def _erase_backward(context: Context, gradient: Tensor) -> Tensor:
    return run("erase", gradient, chain=context.attributes["chain"])


def _write_forward(context: Context, x: Array, value: Any, *, chain: Chain) -> Array:
    """A copy of ``x`` with ``value`` at the part that ``chain`` reads."""
    out = copy(x)
    put_into(out, chain, value)
    return out


def _write_backward(context: Context, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
    chain = context.attributes["chain"]
    return (
        run("erase", gradient, chain=chain) if context.needs[0] else None,
        unbroadcast(replay(gradient, chain), context.shapes[1]) if context.needs[1] else None,
    )


rule("getitem", _getitem_forward, _getitem_backward, keeps=(), keeps_output=False, view=True)
rule("take", _take_forward, _take_backward, keeps=(), keeps_output=False)
rule("scatter_to", _scatter_to_forward, _scatter_to_backward, keeps=(), keeps_output=False)
rule("place", _place_forward, _read_chain, keeps=(), keeps_output=False)
rule("erase", _erase_forward, _erase_backward, keeps=(), keeps_output=False)
rule("write", _write_forward, _write_backward, keeps=(), keeps_output=False)


# --- reading an index ------------------------------------------------------------------------------------


def _entry(entry: Any) -> Any:
    """One entry of an index: an int, a slice, None, Ellipsis, or an array of ints or bools."""
    if entry is None or entry is Ellipsis or type(entry) is int:
        return entry
    if isinstance(entry, slice):
        ends = (entry.start, entry.stop, entry.step)
        return slice(
            *(None if end is None else whole("indexing", end, "the ends of a slice") for end in ends)
        )
    if isinstance(entry, (int, np.integer)) and not isinstance(entry, bool):
        return int(entry)
    if isinstance(entry, (list, range, tuple)):
        entry = [_entry(e) if isinstance(e, (list, tuple, Taped)) else e for e in entry]
    data = entry._data if isinstance(entry, Taped) else np.asarray(entry)
    if data.size == 0 and data.dtype.kind == "f":
        data = data.astype(np.int64)
    if data.dtype == np.uint8:
        raise DtypeError(
            "Indexing by uint8 could mean a mask or numbers.", describe(index=data), "Use .bool() or .long()."
        )
    if data.dtype.kind not in "biu":
        raise DtypeError(
            "An index is made of ints, slices, None, ..., and tensors of bools or integers.",
            describe(index=data),
        )
    return int(data) if data.ndim == 0 and data.dtype != np.bool_ else data


def split_index(index: Any, shape: tuple[int, ...]) -> tuple[Index, Index | None]:
    """An index in two steps: ints, slices and None first (a view), then arrays and masks (a copy).

    So an int beside an array drops its axis and moves none, as PyTorch does it and NumPy doesn't.

    Raises:
        OutOfRangeError: there are too many entries, or one lies outside.
        DtypeError: an entry is of a type that doesn't index.
        ShapeError: the result would have more axes than arrays have.
    """
    if isinstance(index, list) and any(isinstance(e, (slice, type(None), type(Ellipsis))) for e in index):
        index = tuple(index)
    entries = [_entry(e) for e in (index if isinstance(index, tuple) else (index,))]
    used = sum(_consumed(e) for e in entries)
    rank = len(shape)
    if used > rank:
        raise OutOfRangeError(
            f"A tensor of rank {rank} takes at most {rank} indices.", f"{used} for shape {shape}"
        )
    if not any(e is Ellipsis for e in entries):
        entries.append(Ellipsis)
    basic: list[Any] = []
    arrays: list[Any] = []
    seen_ellipsis, at, advanced = False, 0, False
    for entry in entries:
        if entry is Ellipsis:
            if seen_ellipsis:
                raise OutOfRangeError("An index holds at most one '...'.", f"for shape {shape}")
            seen_ellipsis = True
            fill = [slice(None)] * (rank - used)
            basic += fill
            arrays += fill
            at += len(fill)
        elif entry is None:
            basic.append(None)
            arrays.append(slice(None))
        elif isinstance(entry, slice):
            basic.append(entry)
            arrays.append(slice(None))
            at += 1
        elif isinstance(entry, int):
            if not -shape[at] <= entry < shape[at]:
                raise OutOfRangeError(
                    f"Index {entry} lies outside axis {at} with size {shape[at]}.",
                    f"a tensor of shape {shape}",
                )
            basic.append(entry)
            at += 1
        else:
            advanced = True
            _inside(entry, shape, at)
            if entry.dtype == np.bool_ and entry.ndim == 0:
                # A single truth value adds an axis of size 0 or 1.
                basic.append(None)
                arrays.append(np.zeros(int(entry), np.int64))
                continue
            for _ in range(_consumed(entry)):
                basic.append(slice(None))
                at += 1
            arrays.append(entry)
    if len(basic) > MOST_AXES:
        check_rank("indexing", sum(not isinstance(entry, int) for entry in basic))
    return tuple(basic), (tuple(arrays) if advanced else None)


def _consumed(entry: Any) -> int:
    if entry is None or entry is Ellipsis:
        return 0
    if isinstance(entry, np.ndarray) and entry.dtype == np.bool_:
        return entry.ndim
    return 1


def _inside(entry: Array, shape: tuple[int, ...], at: int) -> None:
    if entry.dtype == np.bool_:
        if entry.shape != shape[at : at + entry.ndim]:
            raise OutOfRangeError(
                f"A mask at axis {at} needs the sizes of the axes that it covers.",
                f"a mask of shape {entry.shape} for shape {shape}",
            )
    elif entry.size and not (-shape[at] <= entry.min() and entry.max() < shape[at]):
        raise OutOfRangeError(
            f"Indices of axis {at} lie from {-shape[at]} to {shape[at] - 1}.",
            f"indices from {entry.min()} to {entry.max()}",
        )


def _take(x: Any, arrays: Index) -> Any:
    try:
        return run("take", x, index=arrays)
    except IndexError:
        raise ShapeError(
            f"Index tensors need shapes that broadcast, and a result of at most {MOST_AXES} axes.",
            " and ".join(str(a.shape) for a in arrays if isinstance(a, np.ndarray)),
        ) from None


def getitem(input: X, index: Any) -> X:
    """``input[index]``: a view for ints, slices, None and ``...``; a copy for masks and index tensors."""
    # Most indices are one int or one slice; they need no sorting out.
    if type(index) is int and input.ndim and -input.shape[0] <= index < input.shape[0]:
        return run("getitem", input, index=(index,))
    basic, arrays = split_index(index, tuple(input.shape))
    found = run("getitem", input, index=basic)
    return found if arrays is None else _take(found, arrays)


def setitem(input: Tensor, index: Any, value: Any) -> None:
    """``input[index] = value``, in place; gradients go on to what was written and to what wasn't overwritten.

    Raises:
        StateError: ``input`` is a leaf that requires gradients.
        ShapeError: ``value`` doesn't broadcast to the part.
    """
    from tilewright.autograd.inplace import overwrite, overwrite_taken

    basic, arrays = split_index(index, tuple(input.shape))
    target = run("getitem", input, index=basic)
    if arrays is None:
        if target._base is None and target._data.size:
            # Nothing of size 0 or 1 aside, an index made of ints and slices is a view.
            raise ShapeError("Writing needs an index that makes a view.", describe(index=index))
        overwrite("indexing", target, value)
    else:
        overwrite_taken(target, arrays, value)
