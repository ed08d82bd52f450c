"""The tape: what was computed from what.

An operation is a :class:`Rule`: a forward function on arrays and a backward function on Tensors. Rules
stand in one table, :data:`RULES`, under their name, and :func:`apply` is the one way to run them. Because
backward functions are themselves made of rules, a gradient can be differentiated again. Running gradients
back along the tape is the work of :mod:`tilewright.autograd.engine`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeGuard, TypeVar

import numpy as np
import numpy.typing as npt

from tilewright.errors import StateError

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

Array = npt.NDArray[Any]
P = ParamSpec("P")
R = TypeVar("R")
#: What goes in comes out: a Tensor for a Tensor, an array for an array.
X = TypeVar("X", "Tensor", "npt.NDArray[Any]")

Forward = Callable[..., Any]
Backward = Callable[..., "tuple[Tensor | None, ...] | Tensor | None"]
Keeps = Callable[[tuple[bool, ...]], tuple[int, ...]]
Chain = tuple[tuple[str, dict[str, Any]], ...]


class Rule:
    """One differentiable operation.

    Args:
        name: its key in :data:`RULES`.
        forward: ``forward(context, *arrays, **attributes)`` → an array, or a tuple of arrays. It may keep
            what backward needs with ``context.save(name=array)``.
        backward: ``backward(context, *output_gradients)`` → one Tensor (or None) per input of forward.
            An output that received no gradient gives None; with a single output it is never None.
        keeps: which inputs backward reads with ``context.input(i)``: their numbers, or a function from
            ``needs`` to their numbers. None keeps all; what isn't kept doesn't hold memory and may be
            written to later.
        keeps_output: whether backward reads ``context.output(i)``.
        view: the output shares the memory of input 0 where it can, and is a view of it in every respect.
    """

    __slots__ = ("backward", "forward", "keeps", "keeps_output", "name", "view")

    def __init__(
        self,
        name: str,
        forward: Forward,
        backward: Backward | None,
        keeps: tuple[int, ...] | Keeps | None = None,
        keeps_output: bool = True,
        view: bool = False,
    ) -> None:
        self.name = name
        self.forward = forward
        self.backward = backward
        self.keeps = keeps
        self.keeps_output = keeps_output
        self.view = view

    def __repr__(self) -> str:
        return f"Rule({self.name!r})"


#: Every operation by name.
RULES: dict[str, Rule] = {}


def rule(
    name: str,
    forward: Forward,
    backward: Backward | None = None,
    *,
    keeps: tuple[int, ...] | Keeps | None = None,
    keeps_output: bool = True,
    view: bool = False,
) -> Rule:
    """Put an operation into the table. Without ``backward`` its results never require gradients.

    The arguments are those of :class:`Rule`.
    """
    if name in RULES:
        raise StateError(f"The operation {name} already stands in the table of rules.")
    RULES[name] = Rule(name, forward, backward, keeps, keeps_output, view)
    return RULES[name]


class Taped:
    """What the tape knows of a Tensor; :class:`tilewright.Tensor` is the one class made of it.

    A view is refreshed before it is used, when the memory that it shares was written to since
    ``_seen``: its history is then that of its base, followed by the steps of ``_chain``.
    """

    __slots__ = (
        "__weakref__",
        "_base",
        "_chain",
        "_data",
        "_hooks",
        "_index",
        "_node",
        "_requires",
        "_seen",
        "_version",
        "grad",
    )
    _data: Array
    _node: Node | None
    _index: int
    _version: list[int]
    _base: Tensor | None
    _chain: Chain
    _seen: int
    _requires: bool
    _hooks: dict[int, Callable[[Tensor], Tensor | None]] | None
    grad: Tensor | None

    def _become(self, data: Array, node: Node | None, index: int) -> None:
        """Start as an owner of ``data`` that was made by output ``index`` of ``node``."""
        self._data = data
        self._node = node
        self._index = index
        self._version = [0]
        self._base = None
        self._chain = ()
        self._seen = 0
        self._requires = node is not None
        self._hooks = None
        self.grad = None

    def _refresh(self) -> None:
        """Take on the history of the base, if it was written to since this view was made."""
        base = self._base
        if base is None or self._seen == self._version[0]:
            return
        self._seen = self._version[0]
        if not base._requires:
            return
        before = set_recording(True)
        try:
            again: Tensor = replay(base, self._chain)
        finally:
            set_recording(before)
        self._node, self._index, self._requires = again._node, again._index, True


_class: list[type[Any]] = [Taped]


def register_tensor_class(found: type[Any]) -> None:
    """Say what class results are of (once, by the module that defines Tensor)."""
    _class[0] = found


def is_tensor(value: object) -> TypeGuard[Tensor]:
    """Whether ``value`` is a :class:`tilewright.Tensor`."""
    return isinstance(value, Taped)


def made(data: Array, node: Node | None = None, index: int = 0) -> Tensor:
    """A Tensor that holds ``data``, output ``index`` of ``node`` (None for a leaf)."""
    found: Any = _class[0]
    tensor: Tensor = found.__new__(found)
    tensor._become(data, node, index)
    return tensor


def alias(tensor: Tensor) -> Tensor:
    """The same values, history and version counter in an object that later writes don't rebase."""
    found = made(tensor._data, tensor._node, tensor._index)
    found._version = tensor._version
    return found


class Context:
    """What forward leaves for backward.

    Attributes:
        inputs: the Tensors that forward received (None where an input was no Tensor or isn't kept).
        others: the inputs that were numbers or arrays (None elsewhere).
        shapes: the shape of every input that was a Tensor, None elsewhere.
        needs: for each input, whether its gradient is wanted.
        attributes: the keyword arguments of the call.
        saved: what forward kept.
        outputs: the arrays that forward returned, if the rule keeps them.
    """

    __slots__ = (
        "attributes",
        "inputs",
        "needs",
        "node",
        "others",
        "output_versions",
        "outputs",
        "saved",
        "shapes",
        "versions",
    )

    def __init__(self, attributes: dict[str, Any]) -> None:
        self.attributes = attributes
        self.inputs: tuple[Tensor | None, ...] = ()
        self.others: tuple[Any, ...] = ()
        self.shapes: tuple[tuple[int, ...] | None, ...] = ()
        self.needs: tuple[bool, ...] = ()
        self.versions: tuple[int, ...] = ()
        self.saved: dict[str, Any] = {}
        self.outputs: tuple[Array, ...] = ()
        self.output_versions: tuple[tuple[list[int], int], ...] = ()
        self.node: Node | None = None

    def save(self, **values: Any) -> None:
        """Keep arrays or plain values under names, for backward to read from :attr:`saved`."""
        self.saved.update(values)

    def input(self, index: int) -> Tensor:
        """Input ``index`` as a Tensor connected to what made it.

        Raises:
            StateError: it was written to since, or it isn't a Tensor that the rule keeps.
        """
        found = self.inputs[index]
        if found is None:
            raise StateError(f"Input {index} of this operation is not a Tensor that its rule keeps.")
        if found._version[0] != self.versions[index]:
            raise _written_to("an input", self.node, found.shape, found._version[0], self.versions[index])
        return found

    def operand(self, index: int) -> Any:
        """Input ``index`` whether it came as a Tensor, as an array or as a number."""
        return self.input(index) if self.inputs[index] is not None else self.others[index]

    def output(self, index: int = 0) -> Tensor:
        """Output ``index`` as a Tensor connected to this node.

        Raises:
            StateError: it was written to since.
        """
        self.check_output(index)
        # Built anew, so that the tape holds no circle that only the garbage collector could free.
        found = made(self.outputs[index], self.node, index)
        found._version = self.output_versions[index][0]
        return found

    def check_output(self, index: int) -> None:
        """Raise StateError if output ``index`` was written to since."""
        version, before = self.output_versions[index]
        if version[0] != before:
            raise _written_to("an output", self.node, self.outputs[index].shape, version[0], before)


def _written_to(what: str, node: Node | None, shape: Sequence[int], version: int, before: int) -> StateError:
    name = "an operation" if node is None else node.rule.name
    return StateError(
        f"backward needs {what} of {name} that was changed in place after it was used.",
        f"a tensor of shape {tuple(shape)} at version {version}, used at {before}",
        "Work on a copy: x = x.clone().",
    )


class _Discard(Context):
    """The context of a call that no gradient will follow: keeps nothing."""

    __slots__ = ()

    def __init__(self, inputs: tuple[Any, ...], attributes: dict[str, Any]) -> None:
        self.attributes = attributes
        self.needs = (False,) * len(inputs)

    def save(self, **values: Any) -> None:
        return


class Node:
    """A step on the tape: a rule, its context and where its inputs came from.

    Attributes:
        edges: for each input, the (node, output number) that made it, the leaf Tensor itself, or None
            where no gradient goes.
        output_shapes: shape and dtype of each output.
    """

    __slots__ = ("__weakref__", "context", "edges", "hooks", "output_shapes", "retained", "rule")

    def __init__(
        self, found: Rule, context: Context, edges: tuple[Any, ...], outputs: Sequence[Array]
    ) -> None:
        self.rule = found
        self.context: Context | None = context
        self.edges = edges
        self.output_shapes = tuple((out.shape, out.dtype) for out in outputs)
        self.hooks: dict[int, dict[int, Callable[[Tensor], Tensor | None]]] | None = None
        self.retained: dict[int, Any] | None = None

    def __repr__(self) -> str:
        return f"<{self.rule.name}>"

    def name(self) -> str:
        """The name of the rule."""
        return self.rule.name

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
        # A rule that names what it keeps reads it through `input` and `output`, which check for themselves.
        if self.rule.keeps is None:
            for index, found in enumerate(context.inputs):
                if found is not None:
                    context.input(index)
            for index, out in enumerate(context.outputs):
                if any(value is out for value in context.saved.values()):
                    context.check_output(index)
        return context

    def free(self) -> None:
        """Let go of everything that backward needed."""
        self.context = None
        self.edges = ()


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


class Recording(contextlib.ContextDecorator):
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
        return Recording(on)

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with Recording(on):
            return function(*args, **kwargs)

    return wrapped


class set_grad_enabled(Recording):  # noqa: N801 - PyTorch's name, used like a function there
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
    input requires gradients, the step is recorded. NumPy's floating-point warnings are off inside: infinity
    and NaN are answers.

    Args:
        name: the operation.
        inputs: NumPy arrays, Tensors, numbers, or None for an optional input left out.
        attributes: everything that is not differentiable.
    """
    found = RULES[name]
    arrays = []
    any_tensor = requires = False
    for x in inputs:
        if isinstance(x, Taped):
            any_tensor = True
            if x._base is not None and x._seen != x._version[0]:
                x._refresh()
            if x._requires:
                requires = True
            arrays.append(x._data)
        else:
            arrays.append(x)
    if not (requires and _mode.recording and found.backward is not None):
        with np.errstate(all="ignore"):
            result = found.forward(_Discard(inputs, attributes), *arrays, **attributes)
        if isinstance(result, tuple):
            return tuple(made(out) for out in result) if any_tensor else result
        if type(result) is not np.ndarray:
            # NumPy gives numbers where a definition gives arrays of rank 0.
            result = np.asarray(result)
        if not any_tensor:
            return result
        tensor = made(result)
        if found.view:
            _look(found, inputs[0], tensor, attributes)
        return tensor
    context, edges = _open(found, inputs, attributes)
    with np.errstate(all="ignore"):
        result = found.forward(context, *arrays, **attributes)
    if isinstance(result, tuple):
        return tuple(_close(found, context, edges, result))
    if type(result) is not np.ndarray:
        result = np.asarray(result)
    tensor = _close(found, context, edges, (result,))[0]
    if found.view:
        _look(found, inputs[0], tensor, attributes)
        context.output_versions = ((tensor._version, tensor._version[0]),)
    return tensor


if TYPE_CHECKING:

    def run(name: str, first: X, /, *others: Any, **attributes: Any) -> X:
        """:func:`apply` for an operation with one output, of the kind of its first input."""

else:
    run = apply


def record(name: str, inputs: tuple[Any, ...], output: Array, **attributes: Any) -> Tensor:
    """Write down a step whose ``output`` has been computed already (by a write in place)."""
    found = RULES[name]
    context, edges = _open(found, inputs, attributes)
    return _close(found, context, edges, (output,))[0]


def _open(
    found: Rule, inputs: tuple[Any, ...], attributes: dict[str, Any]
) -> tuple[Context, tuple[Any, ...]]:
    """The context of a step that gradients will follow, and where its inputs came from."""
    context = Context(attributes)
    needs = context.needs = tuple([isinstance(x, Taped) and x._requires for x in inputs])
    keeps = found.keeps
    if callable(keeps):
        keeps = keeps(needs)
    edges: list[Any] = []
    kept: list[Tensor | None] = []
    others: list[Any] = []
    shapes: list[tuple[int, ...] | None] = []
    versions: list[int] = []
    for number, x in enumerate(inputs):
        if not isinstance(x, Taped):
            edges.append(None)
            kept.append(None)
            others.append(x)
            shapes.append(None)
            versions.append(0)
            continue
        node = x._node
        if not x._requires:
            edges.append(None)
        else:
            edges.append(x if node is None else (node, x._index))
        if keeps is None or number in keeps:
            # A later write in place gives the caller's object another history, so the tape keeps its own.
            kept.append(x if node is None else alias(x))  # type: ignore[arg-type]
        else:
            kept.append(None)
        others.append(None)
        shapes.append(x._data.shape)
        versions.append(x._version[0])
    context.inputs = tuple(kept)
    context.others = tuple(others)
    context.shapes = tuple(shapes)
    context.versions = tuple(versions)
    return context, tuple(edges)


def _close(found: Rule, context: Context, edges: tuple[Any, ...], outputs: tuple[Array, ...]) -> list[Tensor]:
    node = Node(found, context, edges, outputs)
    context.node = node
    # Integer outputs (indices) carry no gradient.
    tensors = [made(out, node if out.dtype.kind == "f" else None, i) for i, out in enumerate(outputs)]
    if found.keeps_output:
        context.outputs = outputs
        context.output_versions = tuple([(tensor._version, 0) for tensor in tensors])
    return tensors


def _look(found: Rule, source: Any, result: Tensor, attributes: dict[str, Any]) -> None:
    """Make ``result`` a view of ``source``, if it shares its memory."""
    if isinstance(source, Taped) and np.may_share_memory(source._data, result._data):
        result._version = source._version
        result._base = source if source._base is None else source._base  # type: ignore[assignment]
        result._chain = (*source._chain, (found.name, attributes))
        result._seen = source._version[0]


def replay(source: X, chain: Chain) -> X:
    """The steps of ``chain`` on another tensor or array of the same shape."""
    for name, attributes in chain:
        source = run(name, source, **attributes)
    return source


def order(roots: Sequence[Node]) -> list[Node]:
    """The nodes that lead to ``roots``, each after every node that uses it (roots first)."""
    ordered: list[Node] = []
    seen: set[int] = set()
    stack: list[tuple[Node, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        node, done = stack.pop()
        if done:
            ordered.append(node)
            continue
        if id(node) in seen:
            continue
        seen.add(id(node))
        stack.append((node, True))
        for edge in reversed(node.edges):
            if type(edge) is tuple and id(edge[0]) not in seen:
                stack.append((edge[0], False))
    ordered.reverse()
    return ordered


def each_step(root: Node | None) -> Iterator[str]:
    """Names of the steps that lead to ``root``, nearest first (for people and tests)."""
    if root is not None:
        for node in order([root]):
            yield node.rule.name
