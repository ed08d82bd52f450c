"""Functions that a module calls before and after its forward, and the handle that takes them off again."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tilewright.errors import DtypeError, describe
from tilewright.nn.backward_hooks import Passage

# Also across modules no two hooks share a number, so that a handle can't remove a stranger's.
_numbers = itertools.count()


@dataclass(frozen=True)
class Hook:
    """A registered function, and what it wants.

    Attributes:
        function: the function.
        with_kwargs: whether it gets the keyword arguments of the call too.
        always: whether it is also called, with None for the output, when forward has raised an error.
    """

    function: Callable[..., Any]
    with_kwargs: bool = False
    always: bool = False


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
    hooks: dict[int, Hook],
    function: Callable[..., Any],
    op: str,
    *,
    prepend: bool,
    with_kwargs: bool = False,
    always: bool = False,
) -> RemovableHandle:
    """Put ``function`` at the end of ``hooks``, or at the start with ``prepend``.

    Raises:
        DtypeError: it can't be called.
    """
    if not callable(function):
        raise DtypeError(f"{op} needs a function.", describe(hook=function))
    number = next(_numbers)
    earlier = dict(hooks) if prepend else {}
    if prepend:
        hooks.clear()
    hooks[number] = Hook(function, with_kwargs, always)
    hooks.update(earlier)
    return RemovableHandle(hooks, number)


def call_with_hooks(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run ``module.forward`` between its hooks, as PyTorch does.

    A hook that runs before may return new arguments (a tuple, or one value; with keyword arguments a pair of
    tuple and dict); one that runs after may return a new output; None leaves things as they are.
    """
    done: set[int] = set()
    try:
        return _called(module, args, kwargs, done)
    except Exception:
        for number, hook in list(module._forward_hooks.items()):
            if hook.always and number not in done:
                # The error that is on its way says more than one that follows from it.
                with suppress(Exception):
                    _after(hook, module, args, kwargs, None)
        raise


def _called(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], done: set[int]) -> Any:
    # Copies, since a hook may remove itself.
    for hook in list(module._forward_pre_hooks.values()):
        if hook.with_kwargs:
            changed = hook.function(module, args, kwargs)
            if changed is not None:
                if not isinstance(changed, tuple) or len(changed) != 2:
                    raise DtypeError(
                        "A function of register_forward_pre_hook with with_kwargs returns None or a pair of "
                        "a tuple and a dict.",
                        describe(result=changed),
                    )
                args, kwargs = changed
        else:
            changed = hook.function(module, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
    passage = None
    if module._backward_hooks or module._backward_pre_hooks:
        passage = Passage(module, module._backward_pre_hooks.values(), module._backward_hooks.values())
        args = passage.enter(args)
    output = module.forward(*args, **kwargs)
    for number, hook in list(module._forward_hooks.items()):
        done.add(number)
        changed = _after(hook, module, args, kwargs, output)
        if changed is not None:
            output = changed
    return output if passage is None else passage.leave(output)


def _after(hook: Hook, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
    if hook.with_kwargs:
        return hook.function(module, args, kwargs, output)
    return hook.function(module, args, output)
