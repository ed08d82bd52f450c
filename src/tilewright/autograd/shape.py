"""Operations on shape: reshape, permute, expand, flip, repeat and kin. Views share memory, as in PyTorch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.autograd.checks import axes, axis, check_rank, sizes, whole
from tilewright.autograd.joining import cat, chunk, concat, concatenate, hstack, split, stack, unbind, vstack
from tilewright.autograd.tape import Array, Context, Taped, X, rule, run
from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.kernel import buffers
from tilewright.op.memory import copy, copy_in_c_order

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

# Whether NumPy can be asked to reshape without copying, and then refuses where it would have to.
_RESHAPE_REFUSES = np.lib.NumpyVersion(np.__version__) >= "2.1.0"


def _reshape_forward(context: Context, x: Array, *, shape: tuple[int, ...]) -> Array:
    if x.flags.c_contiguous or x.nbytes < buffers.LARGE or not _RESHAPE_REFUSES:
        return x.reshape(shape)
    try:
        return np.reshape(x, shape, copy=False)
    except ValueError:
        return copy_in_c_order(x).reshape(shape)


def _reshape_backward(context: Context, gradient: Tensor) -> Tensor:
    return run("reshape", gradient, shape=context.shapes[0])


def _permute_forward(context: Context, x: Array, *, order: tuple[int, ...]) -> Array:
    return x.transpose(order)


def _permute_backward(context: Context, gradient: Tensor) -> Tensor:
    order = context.attributes["order"]
    return run("permute", gradient, order=tuple(int(i) for i in np.argsort(order)))


def _clone_forward(context: Context, x: Array) -> Array:
    return copy(x)


def _contiguous_forward(context: Context, x: Array) -> Array:
    return copy_in_c_order(x)


def _same(context: Context, gradient: Tensor) -> Tensor:
    return gradient


def _flip_forward(context: Context, x: Array, *, over: tuple[int, ...]) -> Array:
    return copy_in_c_order(np.flip(x, over))


def _flip_backward(context: Context, gradient: Tensor) -> Tensor:
    return run("flip", gradient, over=context.attributes["over"])


def _roll_forward(
    context: Context, x: Array, *, shifts: tuple[int, ...], over: tuple[int, ...] | None
) -> Array:
    return np.roll(x, shifts if over is not None else shifts[0], over)


def _roll_backward(context: Context, gradient: Tensor) -> Tensor:
    back = tuple(-shift for shift in context.attributes["shifts"])
    return run("roll", gradient, shifts=back, over=context.attributes["over"])


def _tile_forward(context: Context, x: Array, *, counts: tuple[int, ...]) -> Array:
    return np.tile(x, counts)


def _tile_backward(context: Context, gradient: Tensor) -> Tensor:
    shape, counts = context.shapes[0], context.attributes["counts"]
    assert shape is not None
    wide = (1,) * (len(counts) - len(shape)) + shape
    apart = tuple(size for both in zip(counts, wide, strict=True) for size in both)
    split_up = run("reshape", gradient, shape=apart)
    total = run("sum", split_up, over=tuple(range(0, len(apart), 2)), keepdim=False)
    return run("reshape", total, shape=shape)


rule("reshape", _reshape_forward, _reshape_backward, keeps=(), keeps_output=False, view=True)
rule("permute", _permute_forward, _permute_backward, keeps=(), keeps_output=False, view=True)
rule("clone", _clone_forward, _same, keeps=(), keeps_output=False)
rule("contiguous", _contiguous_forward, _same, keeps=(), keeps_output=False)
rule("flip", _flip_forward, _flip_backward, keeps=(), keeps_output=False)
rule("roll", _roll_forward, _roll_backward, keeps=(), keeps_output=False)
rule("tile", _tile_forward, _tile_backward, keeps=(), keeps_output=False)


def _resolved(name: str, input: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """``shape`` with its −1 worked out; it must hold as many elements as ``input``."""
    total = math.prod(input.shape)
    unknown = [i for i, size in enumerate(shape) if size == -1]
    known = math.prod(size for size in shape if size != -1)
    fits = known == total
    if len(unknown) == 1 and known > 0 and total % known == 0:
        i = unknown[0]
        shape, fits = (*shape[:i], total // known, *shape[i + 1 :]), True
    elif unknown or any(size < 0 for size in shape):
        fits = False
    if not fits:
        raise ShapeError(
            f"{name} needs a shape that holds the {total} elements of its input; at most one size may be -1.",
            f"shape={shape}, {describe(input=input)}",
        )
    return shape


def reshape(input: X, *shape: Any) -> X:
    """The elements in their order in another shape: a view where memory allows, otherwise a copy.

    Args:
        input: any Tensor or array.
        shape: ints, or one tuple of ints; one may be −1 and is worked out.

    Raises:
        ShapeError: the shape holds another number of elements.
    """
    return run("reshape", input, shape=_resolved("reshape", input, sizes("reshape", shape)))


def view(input: X, *shape: Any) -> X:
    """Like :func:`reshape`, but never a copy.

    Raises:
        ShapeError: the shape holds another number of elements, or memory order doesn't allow a view.
        DtypeError: a dtype was given: tensors aren't reinterpreted.
    """
    if len(shape) == 1 and (isinstance(shape[0], (np.dtype, str, type))):
        raise DtypeError(
            "view needs sizes: it does not reinterpret memory as another dtype.",
            f"shape={shape[0]!r}",
            "Use x.to(dtype) to convert the values.",
        )
    result = run("reshape", input, shape=_resolved("view", input, sizes("view", shape)))
    one = input._data if isinstance(input, Taped) else input
    two = result._data if isinstance(result, Taped) else result
    if one.size and not np.may_share_memory(one, two):
        raise ShapeError(
            "view needs a shape that the order of the elements in memory allows.",
            f"shape={tuple(shape)}, {describe(input=input)}, strides={one.strides}",
            "Use x.reshape(...), which copies where it must.",
        )
    return result


def view_as(input: X, other: Any) -> X:
    """``input.view(other.shape)``."""
    return view(input, tuple(other.shape))


def reshape_as(input: X, other: Any) -> X:
    """``input.reshape(other.shape)``."""
    return reshape(input, tuple(other.shape))


def flatten(input: X, start_dim: int = 0, end_dim: int = -1) -> X:
    """The axes from ``start_dim`` to ``end_dim``, both included, made into one.

    Example:
        >>> flatten(np.zeros((2, 3, 4)), 1).shape
        (2, 12)
    """
    rank = input.ndim
    first: int = axis("flatten", start_dim, rank)
    last: int = axis("flatten", end_dim, rank)
    if first > last:
        raise ArgumentError(
            "flatten needs start_dim before end_dim.", describe(start_dim=start_dim, end_dim=end_dim)
        )
    shape: tuple[int, ...] = tuple(input.shape)
    if rank == 0:
        return run("reshape", input, shape=(1,))
    if first == last:
        return input
    middle = math.prod(shape[first : last + 1])
    return run("reshape", input, shape=(*shape[:first], middle, *shape[last + 1 :]))


def ravel(input: X) -> X:
    """All elements along one axis."""
    return flatten(input)


def unflatten(input: X, dim: int, sizes: Any) -> X:
    """The axis ``dim`` split into ``sizes``; one may be −1."""
    where: int = axis("unflatten", dim, input.ndim)
    shape: tuple[int, ...] = tuple(input.shape)
    inner: list[int] = [whole("unflatten", size, "each size") for size in sizes]
    rest = math.prod(size for size in inner if size != -1)
    if inner.count(-1) == 1 and rest > 0 and shape[where] % rest == 0:
        inner[inner.index(-1)] = shape[where] // rest
    if any(size < 0 for size in inner) or math.prod(inner) != shape[where]:
        raise ShapeError(
            f"unflatten needs sizes whose product is the {shape[where]} elements of the axis.",
            f"sizes={tuple(sizes)}, {describe(input=input)}",
        )
    check_rank("unflatten", len(shape) - 1 + len(inner))
    return run("reshape", input, shape=(*shape[:where], *inner, *shape[where + 1 :]))


def squeeze(input: X, dim: Any = None) -> X:
    """Without the axes of size 1: all, or those of ``dim`` (an axis of another size stays)."""
    over = axes("squeeze", dim, input.ndim)
    shape = tuple(size for i, size in enumerate(input.shape) if size != 1 or i not in over)
    return run("reshape", input, shape=shape)


def unsqueeze(input: X, dim: int) -> X:
    """With a new axis of size 1 at ``dim``."""
    check_rank("unsqueeze", input.ndim + 1)
    where: int = axis("unsqueeze", dim, input.ndim + 1)
    shape: tuple[int, ...] = tuple(input.shape)
    return run("reshape", input, shape=(*shape[:where], 1, *shape[where:]))


def permute(input: X, *dims: Any) -> X:
    """The axes in another order; a view.

    Raises:
        ShapeError: ``dims`` is not each axis once.
    """
    found = tuple(d % input.ndim if -input.ndim <= d < input.ndim else d for d in sizes("permute", dims))
    if sorted(found) != list(range(input.ndim)):
        raise ShapeError(
            "permute needs each axis of its input once.", f"dims={found}, {describe(input=input)}"
        )
    return run("permute", input, order=found)


def transpose(input: X, dim0: int, dim1: int) -> X:
    """Two axes exchanged; a view."""
    one, two = axis("transpose", dim0, input.ndim), axis("transpose", dim1, input.ndim)
    order = list(range(input.ndim))
    if order:
        order[one], order[two] = two, one
    return run("permute", input, order=tuple(order))


swapaxes = transpose


def t(input: X) -> X:
    """The transpose of a matrix; tensors of rank 0 and 1 as they are."""
    if input.ndim > 2:
        raise ShapeError(
            "t needs a tensor of rank 2 or less.", describe(input=input), "Use transpose or permute."
        )
    return run("permute", input, order=tuple(range(input.ndim))[::-1])


def movedim(input: X, source: Any, destination: Any) -> X:
    """Axes moved from ``source`` to ``destination`` (ints or tuples); the rest keep their order."""
    from_ = source if isinstance(source, (tuple, list)) else (source,)
    to = destination if isinstance(destination, (tuple, list)) else (destination,)
    old = [axis("movedim", d, input.ndim) for d in from_]
    new = [axis("movedim", d, input.ndim) for d in to]
    if len(old) != len(new) or len(set(old)) != len(old) or len(set(new)) != len(new):
        raise ArgumentError(
            "movedim needs as many sources as destinations, each once.",
            describe(source=source, destination=destination),
        )
    rest = iter([d for d in range(input.ndim) if d not in old])
    placed = dict(zip(new, old, strict=True))
    return run(
        "permute", input, order=tuple(placed[d] if d in placed else next(rest) for d in range(input.ndim))
    )


moveaxis = movedim


def expand(input: X, *size: Any) -> X:
    """Axes of size 1 stretched without copying; −1 keeps a size; new axes come in front.

    Raises:
        ShapeError: an axis of another size than 1 would change.
    """
    wanted, shape = sizes("expand", size), tuple(input.shape)
    lead = len(wanted) - len(shape)
    full = tuple(shape[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(wanted))
    if (
        lead < 0
        or any(n < 0 for n in full)
        or any(had not in (1, n) for had, n in zip(shape, full[max(lead, 0) :], strict=True))
    ):
        raise ShapeError(
            "expand needs sizes that stretch only axes of size 1.", f"size={wanted}, {describe(input=input)}"
        )
    return run("broadcast_to", input, shape=full)


def expand_as(input: X, other: Any) -> X:
    """``input.expand(other.shape)``."""
    return expand(input, tuple(other.shape))


def broadcast_to(input: X, size: Any) -> X:
    """``input.expand(size)``."""
    return expand(input, tuple(size))


def repeat(input: X, *repeats: Any) -> X:
    """Copies laid side by side along each axis; at least as many numbers as axes."""
    counts = sizes("repeat", repeats)
    if len(counts) < input.ndim or any(count < 0 for count in counts):
        raise ShapeError(
            "repeat needs a count of 0 or more for each axis.", f"repeats={counts}, {describe(input=input)}"
        )
    return run("tile", input, counts=counts)


def tile(input: X, *dims: Any) -> X:
    """Like :func:`repeat`; fewer numbers than axes count from the last axis."""
    counts = sizes("tile", dims)
    return repeat(input, (1,) * (input.ndim - len(counts)) + counts)


def repeat_interleave(input: X, repeats: int, dim: int | None = None) -> X:
    """Each element (or slice along ``dim``) several times in a row."""
    count = whole("repeat_interleave", repeats, "repeats")
    x = flatten(input) if dim is None else input
    where: int = 0 if dim is None else axis("repeat_interleave", dim, x.ndim)
    shape: tuple[int, ...] = tuple(x.shape)
    wide = run(
        "broadcast_to", unsqueeze(x, where + 1), shape=(*shape[: where + 1], count, *shape[where + 1 :])
    )
    return run("reshape", wide, shape=(*shape[:where], shape[where] * count, *shape[where + 1 :]))


def flip(input: X, *dims: Any) -> X:
    """The order of elements reversed along ``dims``; a copy."""
    return run("flip", input, over=axes("flip", sizes("flip", dims), input.ndim) if dims != ((),) else ())


def roll(input: X, shifts: Any, dims: Any = None) -> X:
    """Elements moved along ``dims``, those that leave at one end come back at the other."""
    if dims is None:
        return run("roll", input, shifts=(whole("roll", shifts, "shifts"),), over=None)
    by = tuple(shifts) if isinstance(shifts, (tuple, list)) else (shifts,)
    given = tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)
    if len(by) != len(given):
        raise ArgumentError("roll needs as many shifts as dims.", describe(shifts=shifts, dims=dims))
    return run("roll", input, shifts=by, over=tuple(axis("roll", d, input.ndim) for d in given))


def clone(input: X) -> X:
    """A copy with memory of its own; gradients pass through."""
    return run("clone", input)


def contiguous(input: X) -> X:
    """The tensor itself if its elements lie in memory in order, otherwise a copy whose elements do."""
    data = input._data if isinstance(input, Taped) else input
    return input if data.flags.c_contiguous else run("contiguous", input)


def numel(input: Any) -> int:
    """How many elements there are."""
    return math.prod(input.shape)


__all__ = [
    "broadcast_to",
    "cat",
    "chunk",
    "clone",
    "concat",
    "concatenate",
    "contiguous",
    "expand",
    "expand_as",
    "flatten",
    "flip",
    "hstack",
    "moveaxis",
    "movedim",
    "numel",
    "permute",
    "ravel",
    "repeat",
    "repeat_interleave",
    "reshape",
    "reshape_as",
    "roll",
    "split",
    "squeeze",
    "stack",
    "swapaxes",
    "t",
    "tile",
    "transpose",
    "unbind",
    "unflatten",
    "unsqueeze",
    "view",
    "view_as",
    "vstack",
]
