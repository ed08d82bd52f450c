"""Gradients run back along the tape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.autograd.complexes import real
from tilewright.autograd.context import Node
from tilewright.autograd.mode import Recording
from tilewright.autograd.tape import order
from tilewright.autograd.taped import is_tensor, made
from tilewright.errors import ArgumentError, DtypeError, ShapeError, StateError, describe
from tilewright.op.memory import copy, pooled

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

_add = pooled(np.add)

Hooks = dict[int, "Callable[[Tensor], Tensor | None]"]


class _Sum:
    """A gradient as it arrives in parts; the second part makes an array of our own to add the rest to."""

    __slots__ = ("own", "value")

    def __init__(self, value: Tensor) -> None:
        self.value = value
        self.own = False

    def add(self, part: Tensor, create_graph: bool) -> None:
        if create_graph:
            self.value = self.value + part
        elif self.own:
            np.add(self.value._data, part._data, out=self.value._data)
        else:
            self.value = made(np.asarray(_add(self.value._data, part._data)))
            self.own = True


def run_backward(
    outputs: Sequence[Tensor],
    gradients: Sequence[Tensor],
    *,
    create_graph: bool,
    keep: bool,
    wanted: Sequence[Tensor] | None,
) -> list[Tensor | None]:
    """Carry gradients from outputs to leaves, or to the ``wanted`` tensors.

    With ``wanted`` None the gradients are added to the leaves' ``grad`` and the result is empty; otherwise
    the result holds the gradient of each wanted tensor (None where nothing leads there), and steps that
    lead to none of them are not run.
    """
    for x in (*outputs, *(wanted or ())):
        x._refresh()
    at_nodes: dict[tuple[int, int], _Sum] = {}
    at_leaves: dict[int, tuple[Tensor, _Sum]] = {}
    wanted_keys = {_key(x) for x in wanted or ()}
    found: dict[Any, Tensor] = {}

    def give(edge: Any, gradient: Tensor) -> None:
        if type(edge) is tuple:
            key = (id(edge[0]), edge[1])
            if key in at_nodes:
                at_nodes[key].add(gradient, create_graph)
            else:
                at_nodes[key] = _Sum(gradient)
        elif id(edge) in at_leaves:
            at_leaves[id(edge)][1].add(gradient, create_graph)
        else:
            at_leaves[id(edge)] = (edge, _Sum(gradient))

    with Recording(create_graph):
        for out, gradient in zip(outputs, gradients, strict=True):
            give(out if out._node is None else (out._node, out._index), gradient)
        steps = order([out._node for out in outputs if out._node is not None])
        useful = _leading_to(wanted_keys, steps) if wanted is not None else None
        for node in steps:
            arrived = [at_nodes.pop((id(node), i), None) for i in range(len(node.output_shapes))]
            incoming = [None if part is None else part.value for part in arrived]
            for i, whole in enumerate(incoming):
                if whole is not None:
                    incoming[i] = seen = _visit(node, i, whole, create_graph)
                    if (id(node), i) in wanted_keys:
                        found[(id(node), i)] = seen
            if useful is None or id(node) in useful:
                if any(gradient is not None for gradient in incoming):
                    _step(node, incoming, give, useful, wanted_keys)
                if not keep:
                    node.free()
        for leaf, total in at_leaves.values():
            gradient = _through(leaf._hooks, total.value)
            if wanted is None:
                _accumulate(leaf, gradient, create_graph, total.own and gradient is total.value)
            else:
                found[id(leaf)] = gradient
    return [] if wanted is None else [found.get(_key(x)) for x in wanted]


def _key(x: Tensor) -> Any:
    return id(x) if x._node is None else (id(x._node), x._index)


def _edge_key(edge: Any) -> Any:
    return (id(edge[0]), edge[1]) if type(edge) is tuple else id(edge)


def _leading_to(wanted: set[Any], steps: Sequence[Node]) -> set[int]:
    """The nodes whose backward brings a gradient nearer to one that is wanted."""
    useful: set[int] = set()
    for node in reversed(steps):
        for edge in node.edges:
            if edge is not None and (
                _edge_key(edge) in wanted or (type(edge) is tuple and id(edge[0]) in useful)
            ):
                useful.add(id(node))
                break
        else:
            # A freed node is run so that it says so.
            if node.context is None:
                useful.add(id(node))
    return useful


def _visit(node: Node, index: int, gradient: Tensor, create_graph: bool) -> Tensor:
    """Hooks and retained gradients of one output, once its gradient is complete."""
    if node.hooks is not None:
        gradient = _through(node.hooks.get(index), gradient)
    if node.retained is not None and index in node.retained:
        holder = node.retained[index]()
        if holder is not None:
            _accumulate(holder, gradient, create_graph, False)
    return gradient


def _through(hooks: Hooks | None, gradient: Tensor) -> Tensor:
    if hooks:
        for hook in list(hooks.values()):
            changed = hook(gradient)
            if changed is not None:
                gradient = changed
    return gradient


def _step(
    node: Node,
    incoming: list[Tensor | None],
    give: Callable[[Any, Tensor], None],
    useful: set[int] | None,
    wanted: set[Any],
) -> None:
    context = node.live_context()
    assert node.rule.backward is not None
    needs = context.needs
    if useful is not None:
        context.needs = tuple(
            need and (_edge_key(edge) in wanted or (type(edge) is tuple and id(edge[0]) in useful))
            for need, edge in zip(needs, node.edges, strict=True)
        )
    try:
        result = node.rule.backward(context, *incoming)
        results = result if isinstance(result, tuple) else (result,)
        if len(results) != len(node.edges):
            raise StateError(
                f"The backward of {node.rule.name} gives one gradient for each of {len(node.edges)} inputs.",
                f"{len(results)} gradients",
            )
        for number, gradient in enumerate(results):
            if gradient is not None and context.needs[number]:
                give(node.edges[number], _fitted(gradient, node, number))
    finally:
        context.needs = needs


def _fitted(gradient: Tensor, node: Node, number: int) -> Tensor:
    """The gradient in the dtype of what it is the gradient of; its shape must be right already."""
    edge = node.edges[number]
    if type(edge) is tuple:
        shape, dtype = edge[0].output_shapes[edge[1]]
    else:
        shape, dtype = edge._data.shape, edge._data.dtype
    if gradient._data.shape != shape:
        raise StateError(
            f"The backward of {node.rule.name} gives input {number} a gradient of the input's shape {shape}.",
            describe(gradient=gradient),
        )
    if gradient._data.dtype == dtype:
        return gradient
    # What a real number does to a complex result shows in the real part.
    return (real(gradient) if dtype.kind != "c" else gradient).to(dtype)


def _accumulate(leaf: Tensor, gradient: Tensor, create_graph: bool, own: bool) -> None:
    if leaf.grad is None:
        # A gradient is owned by its leaf: never a view of another array, nor the caller's.
        leaf.grad = gradient if create_graph or own else made(copy(gradient._data))
    elif create_graph:
        leaf.grad = leaf.grad + gradient
    else:
        np.add(leaf.grad._data, gradient._data, out=leaf.grad._data, casting="same_kind")
        leaf.grad._version[0] += 1


def _first_gradient(output: Tensor, gradient: Tensor | None) -> Tensor:
    """The gradient to start from at ``output``; 1 for a single number."""
    output._refresh()
    if not output._requires:
        raise StateError(
            "backward needs a tensor that was computed from one with requires_grad=True.",
            describe(tensor=output),
            "Set requires_grad=True on what you want gradients of, outside no_grad().",
        )
    if gradient is None:
        if output._data.dtype.kind == "c":
            raise StateError(
                "backward can only start by itself from a real number.",
                describe(tensor=output),
                "Make it real, as in y.abs() or y.real, or pass gradient= of the same shape.",
            )
        if output._data.size != 1:
            raise StateError(
                "backward can only start by itself from a single number.",
                describe(tensor=output),
                "Reduce it first, as in y.sum().backward(), or pass gradient= of the same shape.",
            )
        return made(np.ones(output._data.shape, output._data.dtype))
    if isinstance(gradient, np.ndarray):
        gradient = made(gradient)
    if gradient._data.shape != output._data.shape:
        raise ShapeError(
            "backward needs a gradient of the shape of the tensor.",
            f"{describe(gradient=gradient)}, {describe(tensor=output)}",
        )
    return gradient if gradient.dtype == output.dtype else gradient.to(output.dtype)


def _listed(name: str, what: str, value: Any, or_none: bool = False) -> list[Any]:
    """One Tensor or several, as a list."""
    found = list(value) if isinstance(value, (tuple, list)) else [value]
    for x in found:
        if not is_tensor(x) and not (or_none and (x is None or isinstance(x, np.ndarray))):
            raise DtypeError(f"{name} needs its {what} as a Tensor or a list of Tensors.", describe(found=x))
    return found


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """Add to ``grad`` of every leaf the gradient of the sum of ``tensors`` (see :meth:`Tensor.backward`).

    Raises:
        StateError: no gradient leads anywhere, a tensor isn't a single number and came without gradient, or
            what backward needs was freed or overwritten.
        ShapeError: a gradient has another shape than its tensor.
    """
    outputs = _listed("backward", "tensors", tensors)
    starts: list[Any] = [None] * len(outputs)
    if grad_tensors is not None:
        starts = _listed("backward", "gradient", grad_tensors, or_none=True)
    if len(starts) != len(outputs):
        raise ArgumentError(
            "backward needs one gradient for each tensor.",
            describe(tensors=len(outputs), gradients=len(starts)),
        )
    firsts = [_first_gradient(out, start) for out, start in zip(outputs, starts, strict=True)]
    keep = create_graph if retain_graph is None else retain_graph
    run_backward(outputs, firsts, create_graph=create_graph, keep=keep, wanted=None)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of the sum of ``outputs`` with respect to each of ``inputs``; no ``grad`` is touched.

    Args:
        outputs: what to differentiate.
        inputs: what to differentiate by: leaves or results on the way.
        grad_outputs: a gradient for each output to start from; single numbers start from 1.
        retain_graph: keep the tape for another backward; by default as ``create_graph``.
        create_graph: record the computation of the gradients, so that they can be differentiated again.
        allow_unused: give None for an input that no output depends on, instead of raising.

    Raises:
        StateError: an input isn't used, doesn't require gradients, or backward can't run.

    Example:
        >>> import tilewright as tw
        >>> x = tw.tensor(3.0, requires_grad=True)
        >>> tw.autograd.grad(x * x, x)
        (tensor(6.),)
    """
    results, sources = _listed("grad", "outputs", outputs), _listed("grad", "inputs", inputs)
    starts: list[Any] = [None] * len(results)
    if grad_outputs is not None:
        starts = _listed("grad", "grad_outputs", grad_outputs, or_none=True)
    if len(starts) != len(results):
        raise ArgumentError(
            "grad needs one grad_output for each output.",
            describe(outputs=len(results), grad_outputs=len(starts)),
        )
    for x in sources:
        if not x.requires_grad:
            raise StateError("grad needs inputs with requires_grad=True.", describe(input=x))
    firsts = [_first_gradient(out, start) for out, start in zip(results, starts, strict=True)]
    keep = create_graph if retain_graph is None else retain_graph
    found = run_backward(results, firsts, create_graph=create_graph, keep=keep, wanted=sources)
    for x, gradient in zip(sources, found, strict=True):
        if gradient is None and not allow_unused:
            raise StateError(
                "grad needs inputs that the outputs depend on.",
                describe(input=x),
                "Pass allow_unused=True to get None for such an input.",
            )
    return tuple(found)
