"""The tape: what was computed from what, and how gradients run back along it.

An operation is a :class:`Rule`: a forward function on arrays and a backward function on Tensors. Rules
stand in one table, :data:`RULES`, under their name, and :func:`apply` is the one way to run them. Because
backward functions are themselves made of rules, a gradient can be differentiated again.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from tilewright.errors import StateError

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

Array = npt.NDArray[Any]
P = ParamSpec("P")
R = TypeVar("R")

Forward = Callable[..., Any]
Backward = Callable[..., "tuple[Tensor | None, ...] | Tensor | None"]


class Rule:
    """One differentiable operation.

    Args:
        name: its key in :data:`RULES`.
        forward: ``forward(context, *arrays, **attributes)`` → an array, or a tuple of arrays. It may keep
            what backward needs with ``context.save(name=array)``.
        backward: ``backward(context, *output_gradients)`` → one Tensor (or None) per input of forward.
            An output that received no gradient gives None; with a single output it is never None.
    """

    __slots__ = ("backward", "forward", "name")

    def __init__(self, name: str, forward: Forward, backward: Backward | None) -> None:
        self.name = name
        self.forward = forward
        self.backward = backward

    def __repr__(self) -> str:
        return f"Rule({self.name!r})"


#: Every operation by name.
RULES: dict[str, Rule] = {}


def rule(name: str, forward: Forward, backward: Backward | None = None) -> Rule:
    """Put an operation into the table. Without ``backward`` its results never require gradients."""
    if name in RULES:
        raise StateError(f"The operation {name} already stands in the table of rules.")
    RULES[name] = Rule(name, forward, backward)
    return RULES[name]


class Context:
    """What forward leaves for backward.

    Attributes:
        inputs: the Tensors that forward received (None where an input was no Tensor).
        needs: for each input, whether its gradient is wanted.
        attributes: the keyword arguments of the call.
    """

    __slots__ = ("attributes", "inputs", "needs", "node", "outputs", "saved")

    def __init__(self, inputs: tuple[Tensor | None, ...], attributes: dict[str, Any]) -> None:
        self.inputs = inputs
        self.needs: tuple[bool, ...] = tuple(x is not None and x.requires_grad for x in inputs)
        self.attributes = attributes
        self.saved: dict[str, Any] = {}
        self.outputs: tuple[Array, ...] = ()
        self.node: Node | None = None

    def save(self, **values: Any) -> None:
        """Keep arrays or plain values under names, for backward to read from :attr:`saved`."""
        self.saved.update(values)

    def input(self, index: int) -> Tensor:
        """Input ``index`` as a Tensor connected to what made it."""
        from tilewright.autograd.tensor import Tensor

        found = self.inputs[index]
        if not isinstance(found, Tensor):
            raise StateError(f"Input {index} of this operation is not a Tensor.")
        return found

    def output(self, index: int = 0) -> Tensor:
        """Output ``index`` as a Tensor connected to this node."""
        from tilewright.autograd.tensor import Tensor

        # Built anew, so that the tape holds no circle that only the garbage collector could free.
        return Tensor._made(self.outputs[index], self.node, index)


class _Discard(Context):
    """The context of a call that no gradient will follow: keeps nothing."""

    def __init__(self, inputs: tuple[Tensor | None, ...], attributes: dict[str, Any]) -> None:
        super().__init__((), attributes)

    def save(self, **values: Any) -> None:
        return


class Node:
    """A step on the tape: a rule, its context and where its inputs came from."""

    __slots__ = ("__weakref__", "context", "output_shapes", "rule", "versions")

    def __init__(self, found: Rule, context: Context, outputs: Sequence[Array]) -> None:
        self.rule = found
        self.context: Context | None = context
        self.output_shapes = tuple((out.shape, out.dtype) for out in outputs)
        # Version counters of the inputs, so that a later in-place write is noticed.
        self.versions = tuple(None if x is None else x._version[0] for x in context.inputs)

    def __repr__(self) -> str:
        return f"<{self.rule.name}>"

    def live_context(self) -> Context:
        """The context, unless it was freed or what it holds was written to since.

        Raises:
            StateError: in either case.
        """
        context = self.context
        if context is None:
            raise StateError(
                f"backward needs the values kept by {self.rule.name}, which an earlier backward has freed.",
                advice="Pass retain_graph=True to the first backward.",
            )
        for found, version in zip(context.inputs, self.versions, strict=True):
            if found is not None and version is not None and found._version[0] != version:
                raise StateError(
                    f"backward needs an input of {self.rule.name} that was changed in place after it was used.",
                    f"a tensor of shape {tuple(found.shape)} at version {found._version[0]}, used at {version}",
                    "Work on a copy: x = x.clone().",
                )
        return context


class _Mode(threading.local):
    recording = True


_mode = _Mode()


def is_grad_enabled() -> bool:
    """Whether operations on this thread are written to the tape."""
    return _mode.recording


def set_recording(on: bool) -> bool:
    """Switch the tape of this thread on or off; returns how it was before."""
    before = _mode.recording
    _mode.recording = on
    return before


class _Recording(contextlib.ContextDecorator):
    """Context manager and decorator that sets the tape on or off, as PyTorch's ``no_grad`` is used."""

    def __init__(self, on: bool) -> None:
        self._on = on
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(set_recording(self._on))

    def __exit__(self, *details: object) -> None:
        set_recording(self._before.pop())


def no_grad(function: Callable[P, R] | None = None) -> Any:
    """Nothing inside is written to the tape: ``with tw.no_grad():``, ``@tw.no_grad()`` or ``@tw.no_grad``."""
    return _switch(False, function)


def enable_grad(function: Callable[P, R] | None = None) -> Any:
    """The tape is on inside, also within :func:`no_grad`."""
    return _switch(True, function)


def _switch(on: bool, function: Callable[P, R] | None) -> Any:
    if function is None:
        return _Recording(on)

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with _Recording(on):
            return function(*args, **kwargs)

    return wrapped


class set_grad_enabled(_Recording):  # noqa: N801 - PyTorch's name, used like a function there
    """Set the tape on or off at once; used as a context manager, the former state returns on leaving."""

    def __init__(self, mode: bool) -> None:
        super().__init__(mode)
        self._outer = set_recording(mode)

    def __enter__(self) -> None:
        set_recording(self._on)

    def __exit__(self, *details: object) -> None:
        set_recording(self._outer)


def apply(name: str, *inputs: Any, **attributes: Any) -> Any:
    """Run an operation of the table on arrays and Tensors.

    Arrays in → arrays out. If any input is a Tensor, results are Tensors, and when the tape is on and an
    input requires gradients, the step is recorded.

    Args:
        name: the operation.
        inputs: NumPy arrays, Tensors, or None for an optional input left out.
        attributes: everything that is not differentiable.
    """
    from tilewright.autograd.tensor import Tensor

    found = RULES[name]
    tensors = tuple(x if isinstance(x, Tensor) else None for x in inputs)
    arrays = [x._data if isinstance(x, Tensor) else x for x in inputs]
    if not any(x is not None for x in tensors):
        return found.forward(_Discard((), attributes), *arrays, **attributes)
    record = (
        _mode.recording
        and found.backward is not None
        and any(x is not None and x.requires_grad for x in tensors)
    )
    if not record:
        result = found.forward(_Discard((), attributes), *arrays, **attributes)
        if isinstance(result, tuple):
            return tuple(Tensor._made(out, None, 0) for out in result)
        return Tensor._made(result, None, 0)
    context = Context(tensors, attributes)
    result = found.forward(context, *arrays, **attributes)
    outputs = result if isinstance(result, tuple) else (result,)
    context.outputs = outputs
    node = Node(found, context, outputs)
    context.node = node
    made = tuple(
        # Integer outputs (indices) carry no gradient.
        Tensor._made(out, node if out.dtype.kind in "fc" else None, index)
        for index, out in enumerate(outputs)
    )
    return made if isinstance(result, tuple) else made[0]


def order(roots: Sequence[Node]) -> list[Node]:
    """The nodes that lead to ``roots``, each after every node that uses it (roots first)."""
    ordered: list[Node] = []
    state: dict[int, bool] = {}
    stack: list[tuple[Node, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        node, done = stack.pop()
        if done:
            ordered.append(node)
            continue
        if id(node) in state:
            continue
        state[id(node)] = True
        stack.append((node, True))
        if node.context is not None:
            for found in reversed(node.context.inputs):
                if found is not None and found._node is not None and id(found._node) not in state:
                    stack.append((found._node, False))
    ordered.reverse()
    return ordered


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
    the result holds the gradient of each wanted tensor (None where nothing leads there).
    """
    received: dict[tuple[int, int], Tensor] = {}
    wanted_nodes = {}
    wanted_leaves: dict[int, Tensor | None] = {}
    if wanted is not None:
        for x in wanted:
            if x._node is not None:
                wanted_nodes[(id(x._node), x._index)] = None
            else:
                wanted_leaves[id(x)] = None
    found_at_nodes: dict[tuple[int, int], Tensor] = {}

    def give(target: Tensor, gradient: Tensor) -> None:
        if target._node is not None:
            key = (id(target._node), target._index)
            received[key] = received[key] + gradient if key in received else gradient
        elif target.requires_grad:
            if wanted is None:
                _accumulate(target, gradient, create_graph)
            elif id(target) in wanted_leaves:
                before = wanted_leaves[id(target)]
                wanted_leaves[id(target)] = gradient if before is None else before + gradient

    with _Recording(create_graph):
        for out, gradient in zip(outputs, gradients, strict=True):
            give(out, gradient)
        for node in order([out._node for out in outputs if out._node is not None]):
            incoming = [received.pop((id(node), i), None) for i in range(len(node.output_shapes))]
            for i, gradient in enumerate(incoming):
                key = (id(node), i)
                if key in wanted_nodes and gradient is not None:
                    found_at_nodes[key] = gradient
            if all(gradient is None for gradient in incoming):
                continue
            context = node.live_context()
            assert node.rule.backward is not None
            result = node.rule.backward(context, *incoming)
            results = result if isinstance(result, tuple) else (result,)
            for target, need, gradient in zip(context.inputs, context.needs, results, strict=True):
                if target is not None and need and gradient is not None:
                    give(target, gradient)
            if not keep:
                node.context = None
    if wanted is None:
        return []
    return [
        found_at_nodes.get((id(x._node), x._index)) if x._node is not None else wanted_leaves[id(x)]
        for x in wanted
    ]


def _accumulate(leaf: Tensor, gradient: Tensor, create_graph: bool) -> None:
    from tilewright.autograd.tensor import Tensor

    if leaf.grad is None:
        # A gradient is owned by its leaf: never a view of another array, nor the caller's.
        leaf.grad = gradient if create_graph else Tensor._made(np.array(gradient._data), None, 0)
    elif create_graph:
        leaf.grad = leaf.grad + gradient
    else:
        np.add(leaf.grad._data, gradient._data, out=leaf.grad._data)


def each_step(root: Node | None) -> Iterator[str]:
    """Names of the steps that lead to ``root``, nearest first (for people and tests)."""
    if root is not None:
        for node in order([root]):
            yield node.rule.name
