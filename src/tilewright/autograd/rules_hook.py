"""The rule that lets somebody see the gradients of several values at once, and change them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tilewright.autograd.tape import Array, Context, apply_to_tensors, rule

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor

Gradients = tuple["Tensor | None", ...]
Watcher = Callable[[Gradients], Gradients]


def _watch(context: Context, *arrays: Array, watcher: Watcher) -> tuple[Array, ...]:
    return arrays


def _watch_backward(context: Context, *gradients: Tensor | None) -> Gradients:
    watcher: Watcher = context.attributes["watcher"]
    return watcher(gradients)


rule("watch", _watch, _watch_backward, keeps=(), keeps_output=False)


def watched(values: Sequence[Tensor], watcher: Watcher) -> tuple[Tensor, ...]:
    """The same values; when backward has the gradients of all of them, ``watcher(gradients)`` is called.

    Args:
        values: Tensors. They are returned as Tensors of the same memory, further down the tape.
        watcher: gets a tuple with one gradient per value, None where no gradient came, and returns such a
            tuple; backward goes on with that. It isn't called where no value requires gradients.
    """
    found: Any = apply_to_tensors("watch", *values, watcher=watcher)
    for before, after in zip(values, found, strict=True):
        # One memory, one count of the writes to it: what read it earlier notices a later write.
        after._version = before._version
    return tuple(found)
