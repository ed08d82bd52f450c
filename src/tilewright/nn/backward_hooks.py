"""Functions that see, and may change, the gradients at the two ends of a module as backward passes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tilewright.autograd.rules_hook import watched
from tilewright.autograd.tape import is_grad_enabled
from tilewright.autograd.tensor import Tensor
from tilewright.errors import DtypeError, describe
from tilewright.op.kinds import DIFFERENTIABLE

Gradients = tuple[Any, ...]


class Passage:
    """One call of a module whose backward is watched: what came in, what went out, and what is known yet.

    Args:
        module: whose call it is.
        before: hooks called with the gradients of the outputs, before the module's own backward.
        after: hooks called with the gradients of the inputs and of the outputs, behind it.
    """

    def __init__(self, module: Any, before: Iterable[Any], after: Iterable[Any]) -> None:
        self._module = module
        self._before = [hook.function for hook in before]
        self._after = [hook.function for hook in after]
        self._at_inputs = _Slots(())
        self._at_outputs = _Slots(())
        # Set when backward comes to the outputs, and taken back when it comes to the inputs.
        self._output_gradients: Gradients | None = None
        self._watches_inputs = False

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The positional arguments, watched where a gradient will come to them."""
        self._at_inputs = _Slots(args)
        self._watches_inputs = (
            bool(self._after) and is_grad_enabled() and any(x.requires_grad for x in self._at_inputs.tensors)
        )
        if not self._watches_inputs:
            return args
        return self._at_inputs.with_tensors(watched(self._at_inputs.tensors, self._inputs_reached))

    def leave(self, output: Any) -> Any:
        """The output, a Tensor or a tuple or list of values, watched where a gradient will come to it."""
        several = isinstance(output, (tuple, list))
        self._at_outputs = _Slots(tuple(output) if several else (output,))
        if not any(x.requires_grad for x in self._at_outputs.tensors):
            return output
        found = self._at_outputs.with_tensors(watched(self._at_outputs.tensors, self._outputs_reached))
        if not several:
            return found[0]
        # A named tuple takes its values one by one.
        return type(output)(*found) if hasattr(output, "_fields") else type(output)(found)

    def _outputs_reached(self, gradients: Gradients) -> Gradients:
        known = self._at_outputs.with_gradients(gradients)
        for hook in self._before:
            known = _changed(hook(self._module, known), known, "register_full_backward_pre_hook")
        self._output_gradients = known
        if self._after and not self._watches_inputs:
            # No gradient will come to the inputs, so this is the last moment.
            nothing = self._at_inputs.with_gradients([None] * len(self._at_inputs.tensors))
            for hook in self._after:
                _changed(hook(self._module, nothing, known), nothing, "register_full_backward_hook")
        return self._at_outputs.picked(known)

    def _inputs_reached(self, gradients: Gradients) -> Gradients:
        if self._output_gradients is None:
            # A gradient of a gradient came here from inside the module, which it didn't pass.
            return gradients
        known = self._at_inputs.with_gradients(gradients)
        for hook in self._after:
            changed = hook(self._module, known, self._output_gradients)
            known = _changed(changed, known, "register_full_backward_hook")
        self._output_gradients = None
        return self._at_inputs.picked(known)


class _Slots:
    """Values, of which some are Tensors that take part in gradients."""

    def __init__(self, values: tuple[Any, ...]) -> None:
        self._values = values
        self._taking_part = [
            isinstance(value, Tensor) and value.dtype.kind in DIFFERENTIABLE for value in values
        ]
        self.tensors: list[Tensor] = list(self.picked(values))

    def picked(self, values: Gradients) -> Gradients:
        """Those of as many values that stand where the Tensors are."""
        return tuple(value for value, wanted in zip(values, self._taking_part, strict=True) if wanted)

    def with_tensors(self, found: Sequence[Tensor]) -> tuple[Any, ...]:
        """All values, with ``found`` in place of the Tensors."""
        rest = iter(found)
        return tuple(
            next(rest) if wanted else value
            for value, wanted in zip(self._values, self._taking_part, strict=True)
        )

    def with_gradients(self, found: Sequence[Tensor | None]) -> Gradients:
        """One gradient per value: ``found`` for the Tensors, None for the others."""
        rest = iter(found)
        return tuple(next(rest) if wanted else None for wanted in self._taking_part)


def _changed(result: Any, known: Gradients, op: str) -> Gradients:
    """What a hook returned, as as many gradients as there were; None leaves them as they are."""
    if result is None:
        return known
    found = result if isinstance(result, tuple) else (result,)
    if len(found) != len(known) or not all(x is None or isinstance(x, Tensor) for x in found):
        raise DtypeError(
            f"A function of {op} returns None or {len(known)} gradients, each a Tensor or None.",
            describe(result=result),
        )
    return found
