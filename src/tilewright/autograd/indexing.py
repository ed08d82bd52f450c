"""Indexing: reading and writing parts of a tensor, by numbers, slices, masks and index arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.autograd.arithmetic import cast, pair, unbroadcast, where
from tilewright.autograd.checks import OutOfRangeError, axis, broadcast, whole
from tilewright.autograd.tape import (
    RULES,
    Array,
    Chain,
    Context,
    Taped,
    X,
    _Discard,
    apply,
    made,
    replay,
    rule,
    run,
)
from tilewright.errors import DtypeError, ShapeError, describe

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
    out = np.zeros(shape, x.dtype)
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
        array = RULES[name].forward(_Discard((), attributes), array, **attributes)
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
    out = np.zeros(shape, x.dtype)
    put_into(out, chain, x)
    return out


def _read_chain(context: Context, gradient: Tensor) -> Tensor:
    return replay(gradient, context.attributes["chain"])


def _erase_forward(context: Context, x: Array, *, chain: Chain) -> Array:
    """A copy of ``x`` with zeros at the part that ``chain`` reads."""
    out = np.array(x, order="C")
    put_into(out, chain, x.dtype.type(0))
    return out


def _erase_backward(context: Context, gradient: Tensor) -> Tensor:
    return run("erase", gradient, chain=context.attributes["chain"])


def _write_forward(context: Context, x: Array, value: Any, *, chain: Chain) -> Array:
    """A copy of ``x`` with ``value`` at the part that ``chain`` reads."""
    out = np.array(x)
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


def _at(indices: Array, along: int) -> Index:
    """What names, along one axis, the elements that ``indices`` number (its other axes count from 0)."""
    grid = np.ogrid[tuple(slice(size) for size in indices.shape)]
    return tuple(indices if i == along else grid[i] for i in range(indices.ndim))


def _gather_forward(context: Context, x: Array, *, indices: Array, along: int) -> Array:
    return x[_at(indices, along)]


def _gather_backward(context: Context, gradient: Tensor) -> Tensor:
    shape = context.shapes[0]
    assert shape is not None
    zeros = made(np.zeros(shape, gradient.dtype))
    attributes = context.attributes
    return run("scatter_add", zeros, gradient, indices=attributes["indices"], along=attributes["along"])


def _scatter_add_forward(context: Context, x: Array, source: Array, *, indices: Array, along: int) -> Array:
    out = np.array(x)
    np.add.at(out, _at(indices, along), source[tuple(slice(size) for size in indices.shape)])
    return out


def _corner(gradient: Tensor, context: Context) -> Tensor | None:
    """The gradient of a source of which only the corner of the indices' shape was read."""
    shape, attributes = context.shapes[1], context.attributes
    if not context.needs[1] or shape is None:
        return None
    found = run("gather", gradient, indices=attributes["indices"], along=attributes["along"])
    if found.shape == shape:
        return found
    corner = tuple(slice(size) for size in found.shape)
    return run("place", found, chain=(("getitem", {"index": corner}),), shape=shape)


def _scatter_add_backward(context: Context, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
    return (gradient if context.needs[0] else None), _corner(gradient, context)


def _scatter_forward(context: Context, x: Array, source: Any, *, indices: Array, along: int) -> Array:
    out = np.array(x)
    if isinstance(source, np.ndarray) and source.ndim:
        source = source[tuple(slice(size) for size in indices.shape)]
    out[_at(indices, along)] = source
    return out


def _scatter_backward(context: Context, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
    attributes = context.attributes
    kept = None
    if context.needs[0]:
        zero = gradient.dtype.type(0)
        kept = run("scatter", gradient, zero, indices=attributes["indices"], along=attributes["along"])
    return kept, _corner(gradient, context)


rule("gather", _gather_forward, _gather_backward, keeps=(), keeps_output=False)
rule("scatter_add", _scatter_add_forward, _scatter_add_backward, keeps=(), keeps_output=False)
rule("scatter", _scatter_forward, _scatter_backward, keeps=(), keeps_output=False)


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
            "Index tensors need shapes that broadcast.",
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


# --- functions -------------------------------------------------------------------------------------------


def _numbers(name: str, index: Any) -> Array:
    data = index._data if isinstance(index, Taped) else np.asarray(index)
    if data.dtype.kind not in "iu":
        raise DtypeError(f"{name} needs an index of integers.", describe(index=data))
    return data


def _in_range(name: str, indices: Array, size: int) -> None:
    if indices.size and not (indices.min() >= 0 and indices.max() < size):
        raise OutOfRangeError(
            f"{name} needs indices from 0 to {size - 1}.", f"indices from {indices.min()} to {indices.max()}"
        )


def index_select(input: X, dim: int, index: Any) -> X:
    """The slices along ``dim`` that a vector of integers names."""
    numbers = _numbers("index_select", index).reshape(-1)
    along = axis("index_select", dim, input.ndim)
    _in_range("index_select", numbers, input.shape[along])
    return run("take", input, index=(slice(None),) * along + (numbers,))


def select(input: X, dim: int, index: int) -> X:
    """The slice number ``index`` along ``dim``, without that axis; a view."""
    along = axis("select", dim, input.ndim)
    return getitem(input, (slice(None),) * along + (whole("select", index, "its index"),))


def narrow(input: X, dim: int, start: int, length: int) -> X:
    """``length`` elements along ``dim``, from ``start``; a view."""
    along = axis("narrow", dim, input.ndim)
    size = input.shape[along]
    first = start + size if start < 0 else start
    if not (0 <= first <= size and 0 <= length <= size - first):
        raise ShapeError(
            f"narrow needs a stretch within the {size} elements of axis {along}.",
            describe(start=start, length=length),
        )
    return run("getitem", input, index=(slice(None),) * along + (slice(first, first + length),))


def diagonal(input: X, offset: int = 0, dim1: int = 0, dim2: int = 1) -> X:
    """The diagonal of two axes, as a new last axis; a copy."""
    one, two = axis("diagonal", dim1, input.ndim), axis("diagonal", dim2, input.ndim)
    if one == two:
        raise ShapeError("diagonal needs two axes.", describe(dim1=dim1, dim2=dim2, input=input))
    from tilewright.autograd.shape import movedim

    moved = movedim(input, (one, two), (-2, -1))
    rows, columns = moved.shape[-2:]
    count = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    steps = np.arange(count)
    return run("take", moved, index=(..., steps - min(offset, 0), steps + max(offset, 0)))


def _same_rank(name: str, input: Any, indices: Array, along: int, source: Any = None) -> None:
    shapes = [tuple(input.shape), indices.shape]
    fits = input.ndim == indices.ndim and all(
        n <= m for i, (n, m) in enumerate(zip(indices.shape, input.shape, strict=True)) if i != along
    )
    if source is not None and np.ndim(source):
        shapes.append(source.shape)
        fits = (
            fits
            and len(source.shape) == indices.ndim
            and all(n <= m for n, m in zip(indices.shape, source.shape, strict=True))
        )
    if not fits:
        raise ShapeError(
            f"{name} needs an index of its input's rank, no larger than the input off axis {along}"
            + ("." if source is None else ", nor than the source anywhere."),
            " and ".join(str(shape) for shape in shapes),
        )
    _in_range(name, indices, input.shape[along])


def gather(input: X, dim: int, index: Any) -> X:
    """``out[i, j] = input[index[i, j], j]`` for ``dim`` 0 in rank 2, and likewise for every axis and rank.

    Raises:
        ShapeError: ``index`` has another rank or is too large.
        DtypeError: ``index`` is not of integers.
    """
    indices = _numbers("gather", index)
    along = axis("gather", dim, input.ndim)
    if input.ndim == 0:
        return run("reshape", input, shape=indices.shape)
    _same_rank("gather", input, indices, along)
    return run("gather", input, indices=indices, along=along)


def scatter_add(input: X, dim: int, index: Any, src: Any) -> X:
    """A copy of ``input`` with ``src`` added: for ``dim`` 0 ``out[index[i, j], j] += src[i, j]``."""
    indices, along = _numbers("scatter_add", index), axis("scatter_add", dim, input.ndim)
    _same_rank("scatter_add", input, indices, along, src)
    source = cast(src, input.dtype)
    result: X = apply("scatter_add", input, source, indices=indices, along=along)
    return result


def scatter(input: X, dim: int, index: Any, src: Any) -> X:
    """A copy of ``input`` with ``src`` (tensor or number) written: ``out[index[i, j], j] = src[i, j]``."""
    indices, along = _numbers("scatter", index), axis("scatter", dim, input.ndim)
    if isinstance(src, (Taped, np.ndarray)):
        _same_rank("scatter", input, indices, along, src)
        source: Any = cast(src, input.dtype)
    else:
        _same_rank("scatter", input, indices, along)
        source = input.dtype.type(src)
    result: X = apply("scatter", input, source, indices=indices, along=along)
    return result


def _mask(name: str, mask: Any) -> Any:
    data = mask._data if isinstance(mask, Taped) else np.asarray(mask)
    if data.dtype != np.bool_:
        raise DtypeError(f"{name} needs a mask of bools.", describe(mask=data))
    return data


def masked_fill(input: X, mask: Any, value: Any) -> X:
    """``value`` where ``mask`` holds, ``input`` elsewhere; the dtype stays that of ``input``."""
    found = _mask("masked_fill", mask)
    broadcast("masked_fill", found.shape, input.shape)
    if isinstance(value, (Taped, np.ndarray)):
        given: Any = value
        value = cast(given, input.dtype)
    else:
        value = pair("masked_fill", input, value)[1].astype(input.dtype)
    result: X = where(found, value, input)
    return result


def masked_select(input: X, mask: Any) -> X:
    """The elements where ``mask`` (broadcast) holds, along one axis."""
    found = _mask("masked_select", mask)
    shape = broadcast("masked_select", found.shape, input.shape)
    wide = run("broadcast_to", input, shape=shape)
    return run("take", wide, index=(np.broadcast_to(found, shape),))


def nonzero(input: X, *, as_tuple: bool = False) -> Any:
    """Where elements are other than 0: (count, rank) indices, or one vector for each axis."""
    data = input._data if isinstance(input, Taped) else input
    found = np.nonzero(data)
    if as_tuple:
        return tuple(made(x) for x in found) if isinstance(input, Taped) else found
    table = np.stack(found, 1) if found else np.zeros((int(bool(data)), 0), np.int64)
    return made(table) if isinstance(input, Taped) else table


def take_along_dim(input: X, indices: Any, dim: int) -> X:
    """:func:`gather` under NumPy's name."""
    return gather(input, dim, indices)


def tril(input: X, diagonal: int = 0) -> X:
    """The lower triangle of the last two axes, zeros above."""
    return _triangle(input, np.tri(*_matrix("tril", input), diagonal, dtype=np.bool_))


def triu(input: X, diagonal: int = 0) -> X:
    """The upper triangle of the last two axes, zeros below."""
    return _triangle(input, ~np.tri(*_matrix("triu", input), diagonal - 1, dtype=np.bool_))


def _matrix(name: str, input: Any) -> tuple[int, int]:
    if input.ndim < 2:
        raise ShapeError(f"{name} needs a tensor of rank 2 or more.", describe(input=input))
    return input.shape[-2], input.shape[-1]


def _triangle(input: X, keep: Array) -> X:
    result: X = where(keep, input, 0)
    return result
