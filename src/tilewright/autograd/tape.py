"""The tape: what was computed from what.

An operation is a :class:`Rule`: a forward function on arrays and a backward function on Tensors. Rules
stand in one table, :data:`RULES`, under their name, and :func:`apply` is the one way to run them. Because
backward functions are themselves made of rules, a gradient can be differentiated again. Running gradients
back along the tape is the work of :mod:`tilewright.autograd.engine`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from tilewright.autograd.context import Context, Discard, Node
from tilewright.autograd.mode import (
    _mode,
    enable_grad,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
    set_recording,
)
from tilewright.autograd.rules import COMPLEX, RULES, Rule, rule
from tilewright.autograd.taped import Array, Chain, Taped, alias, is_tensor, made
from tilewright.errors import DtypeError, TilewrightError, describe
from tilewright.op.kinds import DIFFERENTIABLE

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

# What rules are written with is found in one place.
__all__ = [
    "RULES",
    "Array",
    "Chain",
    "Context",
    "Node",
    "Rule",
    "Taped",
    "X",
    "apply",
    "each_step",
    "enable_grad",
    "is_grad_enabled",
    "is_tensor",
    "made",
    "no_grad",
    "order",
    "record",
    "replay",
    "rule",
    "run",
    "set_grad_enabled",
    "set_recording",
]

#: What goes in comes out: a Tensor for a Tensor, an array for an array.
X = TypeVar("X", "Tensor", "npt.NDArray[Any]")


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
        try:
            with np.errstate(all="ignore"):
                result = found.forward(Discard(inputs, attributes), *arrays, **attributes)
        except TypeError as error:
            raise _named(name, arrays, error) from None
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
    try:
        with np.errstate(all="ignore"):
            result = found.forward(context, *arrays, **attributes)
    except TypeError as error:
        raise _named(name, arrays, error) from None
    if isinstance(result, tuple):
        return tuple(_close(found, context, edges, result))
    if type(result) is not np.ndarray:
        result = np.asarray(result)
    tensor = _close(found, context, edges, (result,))[0]
    if found.view:
        _look(found, inputs[0], tensor, attributes)
        context.output_versions = ((tensor._version, tensor._version[0]),)
    return tensor


#: :func:`apply` where a Tensor is known to come in, so that a Tensor comes out.
apply_to_tensors: Callable[..., Tensor] = apply


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
            kept.append(x if node is None else alias(x))  # type: ignore[arg-type]  # Taped is Tensor
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
    context.holder = weakref.ref(node)
    # Integer outputs (indices) carry no gradient.
    tensors = [
        made(out, node if out.dtype.kind in DIFFERENTIABLE else None, i) for i, out in enumerate(outputs)
    ]
    if outputs[0].dtype.kind == "c" and found.name not in COMPLEX:
        raise DtypeError(
            f"{found.name} has no gradient for complex numbers.",
            describe(result=outputs[0]),
            "Compute on the parts, x.real and x.imag, or without gradients.",
        )
    if found.keeps_output:
        context.outputs = outputs
        context.output_versions = tuple([(tensor._version, 0) for tensor in tensors])
    return tensors


def _named(name: str, arrays: list[Any], error: TypeError) -> TypeError:
    """An error by NumPy about a dtype that it has no such function for, in our own words."""
    odd = [x for x in arrays if isinstance(x, np.ndarray) and x.dtype.kind not in "biuf"]
    if isinstance(error, TilewrightError) or not odd:
        return error
    return DtypeError(f"{name} is not defined for {odd[0].dtype}.", describe(input=odd[0]))


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
