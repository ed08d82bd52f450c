"""The Tensor: a NumPy array with a place on the tape.

Its methods are the functions of this room; what stands here is what makes it a Python object.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.autograd import (
    arithmetic,
    complexes,
    convert,
    elementwise,
    indexing,
    inplace,
    joining,
    logic,
    sorting,
    subscript,
)
from tilewright.autograd import matmul as products
from tilewright.autograd import reduce as reductions
from tilewright.autograd import shape as shapes
from tilewright.autograd.context import Node
from tilewright.autograd.dtypes import CPU, as_dtype, device, float32
from tilewright.autograd.engine import backward
from tilewright.autograd.protocols import Protocols
from tilewright.autograd.size import Size as Size
from tilewright.autograd.taped import Array, Taped, is_tensor, made, register_tensor_class
from tilewright.errors import ArgumentError, DtypeError, ShapeError, StateError, describe
from tilewright.op.kinds import DIFFERENTIABLE, REAL

if TYPE_CHECKING:
    from tilewright.autograd.dtypes import Dtype


class HookHandle:
    """What ``register_hook`` gives: :meth:`remove` takes the hook away again."""

    def __init__(self, hooks: dict[int, Any]) -> None:
        self._hooks = hooks
        self._number = max(hooks, default=-1) + 1

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        self._hooks.pop(self._number, None)


class Tensor(Protocols):
    """An array that records what is computed from it, so that gradients can run back.

    ``Tensor([1, 2])`` copies numbers or an array to the default float dtype, as PyTorch does;
    ``Tensor(2, 3)`` is zeros of that shape. What one usually wants is :func:`tilewright.tensor`.

    Attributes:
        grad: the gradient that ``backward`` has gathered, or None.

    Example:
        >>> import tilewright as tw
        >>> x = tw.tensor([1.0, 2.0], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> x.grad
        tensor([2., 4.])
    """

    __slots__ = ()

    def __init__(self, *data: Any, device: Any = None) -> None:
        from tilewright.autograd.create import as_array, check_device, filled

        check_device(device)
        if all(type(size) is int for size in data) and data:
            self._become(filled("Tensor", data, 0, None), None, 0)
        elif len(data) <= 1:
            given = as_array(data[0] if data else [], float32 if not data else None)
            self._become(given.astype(as_dtype(None)), None, 0)
        else:
            raise ArgumentError("Tensor needs sizes, or one list or array.", describe(arguments=data))

    @classmethod
    def _made(cls, data: Array, node: Node | None, index: builtins.int) -> Tensor:
        """A Tensor that holds ``data`` itself, output ``index`` of ``node`` (None: a leaf)."""
        return made(data if builtins.type(data) is np.ndarray else np.asarray(data), node, index)

    # --- what it is --------------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """The sizes of the axes."""
        return Size(self._data.shape)

    def size(self, dim: builtins.int | None = None) -> Any:
        """The shape, or the size of one axis."""
        from tilewright.autograd.checks import axis

        if dim is None:
            return Size(self._data.shape)
        if not self._data.ndim:
            raise ShapeError("size needs a tensor with axes.", describe(tensor=self, dim=dim))
        return self._data.shape[axis("size", dim, self._data.ndim)]

    @property
    def dtype(self) -> Dtype:
        """The dtype, a NumPy dtype."""
        return self._data.dtype

    @property
    def device(self) -> device:
        """Where it lies: on the processor."""
        return CPU

    @property
    def ndim(self) -> builtins.int:
        """The number of axes."""
        return self._data.ndim

    def dim(self) -> builtins.int:
        """The number of axes."""
        return self._data.ndim

    def numel(self) -> builtins.int:
        """The number of elements."""
        return self._data.size

    nelement = numel

    def element_size(self) -> builtins.int:
        """Bytes per element."""
        return self._data.itemsize

    @property
    def nbytes(self) -> builtins.int:
        """Bytes of all elements."""
        return self._data.nbytes

    @property
    def itemsize(self) -> builtins.int:
        """Bytes per element."""
        return self._data.itemsize

    def stride(self, dim: builtins.int | None = None) -> Any:
        """Steps in elements from one to the next along each axis, or along one."""
        steps = tuple(step // self._data.itemsize for step in self._data.strides)
        return steps if dim is None else steps[dim]

    def is_contiguous(self) -> builtins.bool:
        """Whether the elements lie in memory in order."""
        return self._data.flags.c_contiguous

    def is_floating_point(self) -> builtins.bool:
        """Whether the dtype is floating (complex ones are not)."""
        return self._data.dtype.kind in REAL

    def is_complex(self) -> builtins.bool:
        """Whether the dtype is complex."""
        return self._data.dtype.kind == "c"

    def data_ptr(self) -> builtins.int:
        """The address of the first element."""
        return self._data.ctypes.data

    is_cuda = False

    # --- the tape ----------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> builtins.bool:
        """Whether gradients of this tensor are wanted."""
        if self._base is not None:
            self._refresh()
        return self._requires

    @requires_grad.setter
    def requires_grad(self, wanted: builtins.bool) -> None:
        self.requires_grad_(wanted)

    def requires_grad_(self, requires_grad: builtins.bool = True) -> Tensor:
        """Say whether gradients of this leaf are wanted; returns the tensor.

        Raises:
            DtypeError: gradients are wanted of integers or bools.
            StateError: it was computed from tensors that require gradients, and so does as well.
        """
        self._refresh()
        if requires_grad and self._data.dtype.kind not in DIFFERENTIABLE:
            raise DtypeError("Gradients exist for floating dtypes only.", describe(tensor=self))
        if self._node is not None and not requires_grad:
            raise StateError(
                "requires_grad can be set to False for leaf tensors only.",
                describe(tensor=self),
                "Use x.detach().",
            )
        self._requires = bool(requires_grad)
        return self

    @property
    def is_leaf(self) -> builtins.bool:
        """Whether it was made by the user rather than computed from tensors that require gradients."""
        self._refresh()
        return self._node is None

    @property
    def grad_fn(self) -> Node | None:
        """The step of the tape that made it; None for a leaf."""
        self._refresh()
        return self._node

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: builtins.bool | None = None,
        create_graph: builtins.bool = False,
    ) -> None:
        """Add the gradient of this tensor to ``grad`` of every leaf that it was computed from.

        Args:
            gradient: where to start from; a single number starts from 1.
            retain_graph: keep the tape for another backward; by default as ``create_graph``.
            create_graph: record the computation of the gradients, so that they can be differentiated again.

        Raises:
            StateError: nothing requires gradients, the tensor isn't a single number and ``gradient`` is
                missing, or what backward needs was freed or overwritten.
        """
        backward(self, None if gradient is None else [gradient], retain_graph, create_graph)

    def retain_grad(self) -> None:
        """Let ``backward`` fill ``grad`` of this result, as it does for leaves."""
        import weakref

        if not self.requires_grad:
            raise StateError("retain_grad needs a tensor that requires gradients.", describe(tensor=self))
        if self._node is not None:
            if self._node.retained is None:
                self._node.retained = {}
            # A weak reference: the tape does not keep alive what nobody else holds.
            self._node.retained[self._index] = weakref.ref(self)

    @property
    def retains_grad(self) -> builtins.bool:
        """Whether :meth:`retain_grad` was called on this result."""
        kept = None if self._node is None else self._node.retained
        return kept is not None and self._index in kept and kept[self._index]() is self

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> HookHandle:
        """Call ``hook(gradient)`` when backward has this tensor's gradient; what it returns replaces it."""
        if not self.requires_grad:
            raise StateError("register_hook needs a tensor that requires gradients.", describe(tensor=self))
        hooks: dict[int, Callable[[Tensor], Tensor | None]]
        if self._node is not None:
            if self._node.hooks is None:
                self._node.hooks = {}
            hooks = self._node.hooks.setdefault(self._index, {})
        else:
            if self._hooks is None:
                self._hooks = {}
            hooks = self._hooks
        handle = HookHandle(hooks)
        hooks[handle._number] = hook
        return handle

    def detach(self) -> Tensor:
        """The same memory without history."""
        found = made(self._data)
        found._version = self._version
        return found

    def detach_(self) -> Tensor:
        """Forget the history of this very tensor."""
        self._node, self._index, self._requires = None, 0, False
        self._base, self._chain = None, ()
        return self

    @property
    def data(self) -> Tensor:
        """The same memory, unseen by the tape: writes to it are not noticed."""
        return made(self._data)

    @data.setter
    def data(self, value: Tensor) -> None:
        if not is_tensor(value):
            raise DtypeError("data needs a Tensor.", describe(data=value))
        self._data = value._data
        self._version[0] += 1

    # --- conversion --------------------------------------------------------------------------------------

    to, type, type_as = convert.to, convert.type_, convert.type_as
    float, double, half, bfloat16 = convert.float_, convert.double, convert.half, convert.bfloat16
    long, int, short, byte, bool = convert.long, convert.int_, convert.short, convert.byte, convert.bool_
    cpu, cuda = convert.cpu, convert.cuda
    new_tensor, new_zeros, new_ones = convert.new_tensor, convert.new_zeros, convert.new_ones
    new_full, new_empty = convert.new_full, convert.new_empty

    # --- shape -------------------------------------------------------------------------------------------

    @property
    def real(self) -> Tensor:
        """The real parts, a copy; of real numbers the tensor itself."""
        return complexes.real(self)

    @property
    def imag(self) -> Tensor:
        """The imaginary parts, a copy."""
        return complexes.imag(self)

    @property
    def T(self) -> Tensor:  # noqa: N802 - NumPy's and PyTorch's name
        """All axes in reverse order."""
        return shapes.permute(self, tuple(range(self._data.ndim))[::-1])

    @property
    def mT(self) -> Tensor:  # noqa: N802 - PyTorch's name
        """The last two axes exchanged."""
        return shapes.transpose(self, -2, -1)

    reshape, view, view_as, reshape_as = shapes.reshape, shapes.view, shapes.view_as, shapes.reshape_as
    flatten, unflatten, ravel = shapes.flatten, shapes.unflatten, shapes.ravel
    squeeze, unsqueeze = shapes.squeeze, shapes.unsqueeze
    permute, transpose, t = shapes.permute, shapes.transpose, shapes.t
    movedim, moveaxis, swapaxes = shapes.movedim, shapes.movedim, shapes.transpose
    expand, expand_as, broadcast_to = shapes.expand, shapes.expand_as, shapes.broadcast_to
    repeat, tile, repeat_interleave = shapes.repeat, shapes.tile, shapes.repeat_interleave
    flip, roll, clone, contiguous = shapes.flip, shapes.roll, shapes.clone, shapes.contiguous
    split, chunk, unbind = joining.split, joining.chunk, joining.unbind

    # --- indexing ----------------------------------------------------------------------------------------

    __getitem__, __setitem__ = subscript.getitem, subscript.setitem
    select, narrow, diagonal = indexing.select, indexing.narrow, indexing.diagonal
    index_select, gather, scatter = indexing.index_select, indexing.gather, indexing.scatter
    scatter_add, masked_fill, masked_select = (
        indexing.scatter_add,
        indexing.masked_fill,
        indexing.masked_select,
    )
    nonzero, take_along_dim = indexing.nonzero, indexing.take_along_dim
    tril, triu = indexing.tril, indexing.triu

    # --- arithmetic --------------------------------------------------------------------------------------

    __add__ = __radd__ = add = arithmetic.add
    __sub__ = sub = subtract = arithmetic.sub
    __rsub__ = arithmetic.rsub
    __mul__ = __rmul__ = mul = multiply = arithmetic.mul
    __truediv__ = div = divide = true_divide = arithmetic.div
    __rtruediv__ = arithmetic.rdiv
    __floordiv__ = floor_divide = arithmetic.floor_divide
    __rfloordiv__ = arithmetic.rfloor_divide
    __mod__ = remainder = arithmetic.remainder
    __rmod__ = arithmetic.rremainder
    __pow__ = pow = arithmetic.pow
    __rpow__ = arithmetic.rpow
    __matmul__ = matmul = products.matmul
    __rmatmul__ = products.rmatmul
    mm, bmm, dot = products.mm, products.bmm, products.dot
    maximum, minimum = arithmetic.maximum, arithmetic.minimum

    def where(self, condition: Any, other: Any) -> Tensor:
        """This tensor where ``condition`` holds, ``other`` elsewhere."""
        found: Tensor = arithmetic.where(condition, self, other)
        return found

    conj = complexes.conj
    __neg__ = neg = negative = elementwise.neg
    __pos__ = positive = elementwise.positive
    __abs__ = abs = absolute = elementwise.abs
    exp, expm1, log, log1p = elementwise.exp, elementwise.expm1, elementwise.log, elementwise.log1p
    log2, log10, sqrt, rsqrt = elementwise.log2, elementwise.log10, elementwise.sqrt, elementwise.rsqrt
    square, reciprocal, sin, cos = (
        elementwise.square,
        elementwise.reciprocal,
        elementwise.sin,
        elementwise.cos,
    )
    tan, asin, acos, atan = elementwise.tan, elementwise.asin, elementwise.acos, elementwise.atan
    sinh, cosh, tanh, sigmoid = elementwise.sinh, elementwise.cosh, elementwise.tanh, elementwise.sigmoid
    relu, sign, floor, ceil = elementwise.relu, elementwise.sign, elementwise.floor, elementwise.ceil
    round, trunc, clamp, clip = elementwise.round, elementwise.trunc, elementwise.clamp, elementwise.clamp

    # --- comparison and logic ----------------------------------------------------------------------------

    def __eq__(self, other: object) -> Any:
        return logic.eq(self, other) if _comparable(other) else NotImplemented

    # A class that defines equality loses its hash: a tensor is hashed by identity.
    __hash__ = Protocols.__hash__

    def __ne__(self, other: object) -> Any:
        return logic.ne(self, other) if _comparable(other) else NotImplemented

    __lt__ = lt = logic.lt
    __le__ = le = logic.le
    __gt__ = gt = logic.gt
    __ge__ = ge = logic.ge
    eq, ne = logic.eq, logic.ne
    __and__ = __rand__ = bitwise_and = logic.bitwise_and
    __or__ = __ror__ = bitwise_or = logic.bitwise_or
    __xor__ = __rxor__ = bitwise_xor = logic.bitwise_xor
    __invert__ = bitwise_not = logic.bitwise_not
    logical_and, logical_or = logic.logical_and, logic.logical_or
    logical_xor, logical_not = logic.logical_xor, logic.logical_not
    isnan, isinf, isfinite = logic.isnan, logic.isinf, logic.isfinite
    isclose, allclose, equal = logic.isclose, logic.allclose, logic.equal

    # --- reductions and order ----------------------------------------------------------------------------

    sum, mean, var, std, prod = (
        reductions.sum,
        reductions.mean,
        reductions.var,
        reductions.std,
        reductions.prod,
    )
    max, min, amax, amin = reductions.max, reductions.min, reductions.amax, reductions.amin
    argmax, argmin, any, all = reductions.argmax, reductions.argmin, reductions.any, reductions.all
    count_nonzero, logsumexp, norm = reductions.count_nonzero, reductions.logsumexp, reductions.norm
    softmax, log_softmax = reductions.softmax, reductions.log_softmax
    cumsum, sort, argsort, topk = sorting.cumsum, sorting.sort, sorting.argsort, sorting.topk

    # --- in place ----------------------------------------------------------------------------------------

    __iadd__ = add_ = inplace.add_
    __isub__ = sub_ = inplace.sub_
    __imul__ = mul_ = inplace.mul_
    __itruediv__ = div_ = inplace.div_
    __ifloordiv__ = floor_divide_ = inplace.floor_divide_
    __imod__ = remainder_ = inplace.remainder_
    __ipow__ = pow_ = inplace.pow_
    addcmul_, addcdiv_, lerp_ = inplace.addcmul_, inplace.addcdiv_, inplace.lerp_
    neg_, abs_, exp_, log_, sqrt_ = inplace.neg_, inplace.abs_, inplace.exp_, inplace.log_, inplace.sqrt_
    tanh_, sigmoid_, relu_, clamp_ = inplace.tanh_, inplace.sigmoid_, inplace.relu_, inplace.clamp_
    zero_, fill_, copy_, masked_fill_ = inplace.zero_, inplace.fill_, inplace.copy_, inplace.masked_fill_
    scatter_, scatter_add_ = inplace.scatter_, inplace.scatter_add_
    uniform_, normal_, bernoulli_ = inplace.uniform_, inplace.normal_, inplace.bernoulli_
    clip_ = inplace.clamp_


register_tensor_class(Tensor)


def _comparable(value: object) -> bool:
    return isinstance(value, (Taped, np.ndarray, np.generic, bool, int, float))
