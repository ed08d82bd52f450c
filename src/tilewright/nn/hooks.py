"""Functions that a module calls before and after its forward, and the handle that takes them off again."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Also across modules no two hooks share a number, so that a handle can't remove a stranger's.
_numbers = itertools.count()


@dataclass(frozen=True)
class Hook:
    """A registered function, and whether it wants the keyword arguments of the call too."""

    function: Callable[..., Any]
    with_kwargs: bool


class RemovableHandle:
    """What registering a hook returns: :meth:`remove` takes it off, and so does the end of a ``with`` block.

    >>> layer, shapes = nn.Conv2d(1, 6, 5), []
    >>> with layer.register_forward_hook(lambda module, inputs, output: shapes.append(output.shape)):
    ...     _ = layer(tw.zeros(1, 1, 28, 28))
    >>> shapes
    [Size([1, 6, 24, 24])]
    """

    def __init__(self, hooks: dict[int, Hook], number: int) -> None:
        self._hooks = hooks
        self.id = number

    def remove(self) -> None:
        """Take the hook off; a second time does nothing."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *details: object) -> None:
        self.remove()


def add_hook(
    hooks: dict[int, Hook], function: Callable[..., Any], *, prepend: bool, with_kwargs: bool
) -> RemovableHandle:
    """Put ``function`` at the end of ``hooks``, or at the start with ``prepend``."""
    number = next(_numbers)
    earlier = dict(hooks) if prepend else {}
    if prepend:
        hooks.clear()
    hooks[number] = Hook(function, with_kwargs)
    hooks.update(earlier)
    return RemovableHandle(hooks, number)


def call_with_hooks(
    module: Any,
    before: dict[int, Hook],
    after: dict[int, Hook],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Run ``module.forward`` between its hooks, as PyTorch does.

    A hook that runs before may return new arguments (a tuple, or one value; with keyword arguments a pair of
    tuple and dict); one that runs after may return a new output; None leaves things as they are.
    """
    # Copies, since a hook may remove itself.
    for hook in list(before.values()):
        if hook.with_kwargs:
            changed = hook.function(module, args, kwargs)
            if changed is not None:
                args, kwargs = changed
        else:
            changed = hook.function(module, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
    output = module.forward(*args, **kwargs)
    for hook in list(after.values()):
        changed = (
            hook.function(module, args, kwargs, output)
            if hook.with_kwargs
            else hook.function(module, args, output)
        )
        if changed is not None:
            output = changed
    return output
