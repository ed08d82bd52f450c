"""Writing to a tensor's memory, with the tape told of it.

A write counts up the version that a tensor shares with its views. When gradients follow it, the tensor goes
on with the history of what was written; a view hands that history to its base, and every other view of the
base takes it from there when it is next used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.autograd import arithmetic, elementwise, indexing
from tilewright.autograd.dtypes import can_hold, number_as
from tilewright.autograd.operands import cast, python_number, raw, unbroadcast
from tilewright.autograd.subscript import Index
from tilewright.autograd.tape import Array, Context, Taped, is_grad_enabled, is_tensor, made, record, rule
from tilewright.errors import DtypeError, ShapeError, StateError, describe
from tilewright.op.arrays import broadcast_shape
from tilewright.op.kinds import DIFFERENTIABLE
from tilewright.op.memory import copy_in_c_order, pooled
from tilewright.op.random import Generator, chosen

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor


def _replaced_forward(context: Context, x: Array, value: Any) -> Array:
    return np.broadcast_to(np.asarray(value, x.dtype), x.shape)


def _replaced_backward(context: Context, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
    return (
        gradient * 0.0 if context.needs[0] else None,
        unbroadcast(gradient, context.shapes[1]) if context.needs[1] else None,
    )


# The first operand, with all its elements replaced by the second.
rule("replaced", _replaced_forward, _replaced_backward, keeps=(), keeps_output=False)


def check_writable(name: str, target: Tensor) -> None:
    """Refuse to write where it would go wrong.

    Raises:
        StateError: a leaf (or a view of one) requires gradients and the tape is on, or memory is read-only or
            shared by several elements.
    """
    target._refresh()
    if is_grad_enabled() and target._requires:
        base = target._base
        if target._node is None or (base is not None and base._node is None and base._requires):
            view = "A view of a" if base is not None else "A"
            raise StateError(
                f"{view} leaf tensor that requires gradients can't be changed in place by {name}.",
                describe(tensor=target),
                "Write inside `with no_grad():`, or to x.data, or to a copy: x.clone().",
            )
    data = target._data
    # Where there are no elements, all strides may be 0.
    if not data.flags.writeable or any(
        step == 0 and size > 1 and data.size for step, size in zip(data.strides, data.shape, strict=True)
    ):
        raise StateError(
            f"{name} needs memory that may be written to, one place for each element.",
            f"{describe(tensor=target)}, strides={data.strides}, writeable={data.flags.writeable}",
            "Work on a copy: x = x.clone().",
        )


def _source(target: Tensor) -> Tensor:
    """The target as an operand, with a version of its own: what is computed from it here is up to date."""
    target._refresh()
    # A leaf that requires gradients gets here only where nothing is recorded.
    return made(target._data, target._node, target._index)


def compute_in_place(
    name: str,
    target: Tensor,
    function: Callable[..., Any],
    *others: Any,
    reads_old: bool = False,
    **options: Any,
) -> Tensor:
    """Write ``function(target, …)`` to the target's memory and history; returns the target.

    Args:
        name: what the caller called.
        target: the tensor.
        function: the operation.
        others: its other operands.
        reads_old: its gradient reads the values that are overwritten, so a copy of them is kept.
        options: its keyword arguments.

    Raises:
        StateError: see :func:`check_writable`.
        ShapeError: the result has another shape.
        DtypeError: the result's dtype has a higher category (a float doesn't go into an integer).
    """
    check_writable(name, target)
    source = _source(target)
    if reads_old and is_grad_enabled():
        source._data = copy_in_c_order(target._data)
    value = function(source, *others, **options)
    settle(name, target, value)
    return target


def settle(name: str, target: Tensor, value: Tensor) -> None:
    """Let ``value`` be what the target holds and comes from."""
    if value._data.shape != target._data.shape:
        raise ShapeError(
            f"{name} writes in place, so its result must have the tensor's own shape {tuple(target.shape)}.",
            f"a result of shape {tuple(value.shape)}",
        )
    if not can_hold(target._data.dtype, value._data.dtype):
        raise DtypeError(
            f"{name} writes in place, and a tensor of {target._data.dtype} can't hold its result.",
            f"a result of dtype {value._data.dtype}",
        )
    value = cast(value, target._data.dtype)
    np.copyto(target._data, value._data)
    rebase(target, value)


def rebase(target: Tensor, value: Tensor) -> None:
    """Give the target, whose memory already holds it, the history of ``value``; its base and views follow."""
    target._version[0] += 1
    base = target._base
    if base is None:
        if value._requires:
            target._node, target._index, target._requires = value._node, value._index, True
        elif is_grad_enabled() and target._node is not None:
            # An operation without gradient: what is written here is a constant from now on.
            target._node, target._index, target._requires = None, 0, False
        return
    if not (is_grad_enabled() and (value._requires or base._requires)):
        # Nothing is recorded; histories stay, and a view that is refreshed finds its old one.
        return
    # `write` is recorded without running its forward: the memory already holds the result.
    whole = record("write", (_source(base), value), base._data, chain=target._chain)
    base._node, base._index, base._requires = whole._node, whole._index, True
    target._refresh()


def _operand(name: str, target: Tensor, value: Any) -> Any:
    """What is to be written: a Tensor, or a NumPy number of the target's dtype."""
    if isinstance(value, (list, tuple)):
        from tilewright.autograd.create import tensor

        value = tensor(value)
    number = value if isinstance(value, (Taped, np.ndarray)) else python_number(name, value)
    is_complex = isinstance(number, complex) or getattr(raw(number), "dtype", target._data.dtype).kind == "c"
    if is_complex and target._data.dtype.kind not in "cb":
        raise DtypeError(
            f"{name} can't write complex numbers to a tensor of {target._data.dtype}.", describe(value=value)
        )
    if isinstance(number, Taped):
        return number
    if isinstance(number, np.ndarray):
        return made(number)
    with np.errstate(all="ignore"):
        if target._data.dtype.kind in "iu" and isinstance(number, float):
            return np.asarray(number).astype(target._data.dtype)[()]
        return number_as(target._data.dtype, number)


def _shape_fits(name: str, target: Tensor, value: Any) -> None:
    shape = value._data.shape if isinstance(value, Taped) else ()
    # Leading axes of size 1 too many are dropped, as NumPy and PyTorch do.
    while len(shape) > target._data.ndim and shape[0] == 1:
        shape = shape[1:]
    try:
        fits = broadcast_shape(shape, target._data.shape) == target._data.shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            f"{name} needs a value that broadcasts to the {tuple(target.shape)} that is written to.",
            describe(value=value),
        )


def overwrite(name: str, target: Tensor, value: Any) -> Tensor:
    """Replace all elements of the target by ``value`` (broadcast, converted to the target's dtype)."""
    check_writable(name, target)
    value = _operand(name, target, value)
    _shape_fits(name, target, value)
    rank, dtype = target._data.ndim, target._data.dtype
    if is_tensor(value):
        if value._data.ndim > rank:
            value = value.reshape(value._data.shape[value._data.ndim - rank :])
        if is_grad_enabled() and (target._requires or value._requires):
            value = cast(value, dtype)
    raw = value._data if is_tensor(value) else value
    with np.errstate(all="ignore"):
        # NumPy copies first where both share memory.
        np.copyto(target._data, raw, casting="unsafe")
    if is_grad_enabled() and (target._requires or (is_tensor(value) and value._requires)):
        rebase(target, record("replaced", (_source(target), value), target._data))
    else:
        target._version[0] += 1
    return target


def overwrite_taken(target: Tensor, arrays: Index, value: Any) -> None:
    """``target[arrays] = value`` for masks and index arrays."""
    check_writable("indexing", target)
    value = _operand("indexing", target, value)
    raw = value._data if isinstance(value, Taped) else value
    chain = (("take", {"index": arrays}),)
    recorded = is_grad_enabled() and (target._requires or (isinstance(value, Taped) and value._requires))
    try:
        with np.errstate(all="ignore"):
            # A copy first: what is written may lie in the memory that is written to.
            target._data[arrays] = np.array(raw).astype(target._data.dtype)
    except (ValueError, IndexError):
        raise ShapeError(
            "indexing needs a value that broadcasts to the elements that are written to.",
            f"{describe(value=value)}, {int(target._data[arrays].size)} elements",
        ) from None
    if not recorded:
        target._version[0] += 1
        return
    written = cast(value, target._data.dtype) if is_tensor(value) else value
    rebase(target, record("write", (_source(target), written), target._data, chain=chain))


_multiply = pooled(np.multiply)
_UFUNCS = {"add_": np.add, "sub_": np.subtract, "mul_": np.multiply, "div_": np.true_divide}


def _directly(name: str, target: Tensor, other: Any, alpha: float) -> bool:
    """Do it in one pass over memory, where nothing is recorded and no dtype or shape changes."""
    raw = other._data if isinstance(other, Taped) else other
    target._refresh()
    if is_grad_enabled() and (target._requires or (isinstance(other, Taped) and other._requires)):
        return False
    data = target._data
    if data.dtype.kind != "f":
        return False
    if isinstance(raw, np.ndarray):
        if raw.dtype != data.dtype or raw.shape != data.shape:
            return False
        if alpha != 1:
            raw = _multiply(raw, data.dtype.type(alpha))
    elif isinstance(raw, (bool, int, float)):
        raw = data.dtype.type(raw * alpha)
    else:
        return False
    check_writable(name, target)
    with np.errstate(all="ignore"):
        _UFUNCS[name](data, raw, out=data)
    target._version[0] += 1
    return True


def add_(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """``input += alpha · other`` in place."""
    if not _directly("add_", input, other, alpha):
        compute_in_place("add_", input, arithmetic.add, other, alpha=alpha)
    return input


def sub_(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """``input -= alpha · other`` in place."""
    if not _directly("sub_", input, other, alpha):
        compute_in_place("sub_", input, arithmetic.sub, other, alpha=alpha)
    return input


def mul_(input: Tensor, other: Any) -> Tensor:
    """``input *= other`` in place."""
    if not _directly("mul_", input, other, 1):
        # The old values matter to the gradient of the other factor alone.
        reads = isinstance(other, Taped) and other._requires
        compute_in_place("mul_", input, arithmetic.mul, other, reads_old=reads)
    return input


def div_(input: Tensor, other: Any) -> Tensor:
    """``input /= other`` in place; not for integers."""
    if not _directly("div_", input, other, 1):
        reads = isinstance(other, Taped) and other._requires
        compute_in_place("div_", input, arithmetic.div, other, reads_old=reads)
    return input


def floor_divide_(input: Tensor, other: Any) -> Tensor:
    """``input //= other`` in place."""
    return compute_in_place("floor_divide_", input, arithmetic.floor_divide, other)


def remainder_(input: Tensor, other: Any) -> Tensor:
    """``input %= other`` in place."""
    return compute_in_place("remainder_", input, arithmetic.remainder, other, reads_old=True)


def pow_(input: Tensor, exponent: Any) -> Tensor:
    """``input **= exponent`` in place."""
    return compute_in_place("pow_", input, arithmetic.pow, exponent, reads_old=True)


def addcmul_(input: Tensor, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
    """``input += value · tensor1 · tensor2`` in place."""
    return add_(input, tensor1 * tensor2, alpha=value)


def addcdiv_(input: Tensor, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
    """``input += value · tensor1 / tensor2`` in place."""
    return add_(input, tensor1 / tensor2, alpha=value)


def lerp_(input: Tensor, end: Any, weight: Any) -> Tensor:
    """``input += weight · (end − input)`` in place."""
    return add_(input, (end - input) * weight)


def neg_(input: Tensor) -> Tensor:
    """``−input`` in place."""
    return compute_in_place("neg_", input, elementwise.neg)


def abs_(input: Tensor) -> Tensor:
    """The absolute value in place."""
    return compute_in_place("abs_", input, elementwise.abs, reads_old=True)


def exp_(input: Tensor) -> Tensor:
    """``exp(input)`` in place."""
    return compute_in_place("exp_", input, elementwise.exp)


def log_(input: Tensor) -> Tensor:
    """``log(input)`` in place."""
    return compute_in_place("log_", input, elementwise.log, reads_old=True)


def sqrt_(input: Tensor) -> Tensor:
    """``sqrt(input)`` in place."""
    return compute_in_place("sqrt_", input, elementwise.sqrt)


def tanh_(input: Tensor) -> Tensor:
    """``tanh(input)`` in place."""
    return compute_in_place("tanh_", input, elementwise.tanh)


def sigmoid_(input: Tensor) -> Tensor:
    """``sigmoid(input)`` in place."""
    return compute_in_place("sigmoid_", input, elementwise.sigmoid)


def relu_(input: Tensor) -> Tensor:
    """``max(input, 0)`` in place."""
    return compute_in_place("relu_", input, elementwise.relu)


def clamp_(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Brought into [min, max] in place."""
    return compute_in_place("clamp_", input, elementwise.clamp, min, max)


def zero_(input: Tensor) -> Tensor:
    """All elements 0."""
    return overwrite("zero_", input, 0)


def fill_(input: Tensor, value: Any) -> Tensor:
    """All elements ``value``: a number or a tensor with one element."""
    return overwrite("fill_", input, value)


def copy_(input: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """The elements of ``src``, broadcast and converted."""
    return overwrite("copy_", input, src)


def masked_fill_(input: Tensor, mask: Any, value: Any) -> Tensor:
    """``value`` where ``mask`` holds, in place."""
    return compute_in_place("masked_fill_", input, indexing.masked_fill, mask, value)


def scatter_(input: Tensor, dim: int, index: Any, src: Any = None, *, value: Any = None) -> Tensor:
    """:func:`tilewright.scatter` in place."""
    return compute_in_place("scatter_", input, indexing.scatter, dim, index, value if src is None else src)


def scatter_add_(input: Tensor, dim: int, index: Any, src: Any) -> Tensor:
    """:func:`tilewright.scatter_add` in place."""
    return compute_in_place("scatter_add_", input, indexing.scatter_add, dim, index, src)


def uniform_(
    input: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Generator | None = None, **names: float
) -> Tensor:
    """Numbers from ``a`` (included) to ``b`` (excluded); also by PyTorch's names ``from`` and ``to``."""
    a, b = names.pop("from", a), names.pop("to", b)
    _floats("uniform_", input, names)
    return overwrite("uniform_", input, chosen(generator).uniform(input.shape, input._data.dtype, a, b))


def normal_(
    input: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Normally distributed numbers."""
    _floats("normal_", input, {})
    return overwrite("normal_", input, chosen(generator).normal(input.shape, input._data.dtype, mean, std))


def bernoulli_(input: Tensor, p: float = 0.5, *, generator: Generator | None = None) -> Tensor:
    """1 with probability ``p``, else 0."""
    return overwrite("bernoulli_", input, chosen(generator).keep(input.shape, p))


def _floats(name: str, input: Tensor, left_over: dict[str, float]) -> None:
    if left_over:
        raise DtypeError(f"{name} takes from, to and generator by name.", describe(**left_over))
    if input._data.dtype.kind not in DIFFERENTIABLE:
        raise DtypeError(f"{name} needs a floating dtype.", describe(input=input))
