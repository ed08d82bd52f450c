"""A step on the tape, and what its forward leaves for its backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType

from tilewright.autograd.rules import Rule
from tilewright.autograd.taped import Array, made
from tilewright.errors import StateError

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor


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
        "holder",
        "inputs",
        "needs",
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
        self.holder: ReferenceType[Node] | None = None

    @property
    def node(self) -> Node | None:
        """The step that this is the context of."""
        # A weak reference: a node holds its context, and a circle would wait for the garbage collector.
        return None if self.holder is None else self.holder()

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


class Discard(Context):
    """The context of a call that no gradient will follow: keeps nothing."""

    __slots__ = ()

    def __init__(self, inputs: tuple[Any, ...], attributes: dict[str, Any]) -> None:
        self.attributes = attributes
        self.needs = (False,) * len(inputs)

    def save(self, **values: Any) -> None:
        """Keep nothing."""
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
