"""The base of every layer and model: it finds its parameters, buffers and children by itself.

Names and behaviour are PyTorch's ``torch.nn.Module``, so that state dicts and ``repr`` agree with it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Self

from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, StateError, describe
from tilewright.nn.convert import convert_members, read_to_arguments
from tilewright.nn.hooks import Hook, RemovableHandle, add_hook, call_with_hooks
from tilewright.nn.lazy import LearnsSize
from tilewright.nn.members import MemberError, Members
from tilewright.nn.parameter import Parameter
from tilewright.nn.state import LoadResult, load_into


class Module(Members):
    """Base class of layers and models.

    A subclass calls ``super().__init__()`` first, assigns its layers and :class:`Parameter` values to
    attributes, and defines ``forward``.

    Attributes:
        training: whether layers such as dropout and batch norm behave as in training (see :meth:`train`).
        pointwise: of the class: whether in evaluation each output value depends, along the spatial axes, on
            the input at the same place only (as an activation's does).

    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.conv = nn.Conv2d(1, 6, 5)
    ...         self.fc = nn.Linear(6 * 24 * 24, 10)
    ...
    ...     def forward(self, x):
    ...         return self.fc(self.conv(x).relu().flatten(1))
    >>> Net()(tw.zeros(2, 1, 28, 28)).shape
    Size([2, 10])
    """

    pointwise: ClassVar[bool] = False

    training: bool
    _modules: dict[str, Module | None]  # type: ignore[assignment]  # every registered child is a Module
    _forward_hooks: dict[int, Hook]
    _forward_pre_hooks: dict[int, Hook]
    _backward_hooks: dict[int, Hook]
    _backward_pre_hooks: dict[int, Hook]

    def __init__(self) -> None:
        super().__init__()
        self.__dict__.update(
            training=True,
            _forward_hooks={},
            _forward_pre_hooks={},
            _backward_hooks={},
            _backward_pre_hooks={},
        )

    # Calling ------------------------------------------------------------------------------------------

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass defines it.

        Raises:
            StateError: it doesn't.
        """
        raise StateError(f"{self._get_name()} needs a method forward(self, ...) before it can be called.")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run :meth:`forward` between the hooks."""
        if not (
            self._forward_hooks or self._forward_pre_hooks or self._backward_hooks or self._backward_pre_hooks
        ):
            return self.forward(*args, **kwargs)
        return call_with_hooks(self, args, kwargs)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Have ``hook(module, args)`` called before forward; what it returns, if not None, becomes the input.

        With ``with_kwargs`` it is ``hook(module, args, kwargs)`` and may return a pair of both.
        """
        op = "register_forward_pre_hook"
        return add_hook(self._forward_pre_hooks, hook, op, prepend=prepend, with_kwargs=with_kwargs)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Have ``hook(module, args, output)`` called after forward; what it returns replaces the output.

        With ``with_kwargs`` it is ``hook(module, args, kwargs, output)``. None leaves the output as it is.
        With ``always_call`` it is also called, with None for the output, when forward raises an error.
        """
        op = "register_forward_hook"
        return add_hook(
            self._forward_hooks, hook, op, prepend=prepend, with_kwargs=with_kwargs, always=always_call
        )

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Have ``hook(module, grad_output)`` called when backward comes to the module.

        ``grad_output`` is a tuple with a gradient for each output, None for what is no floating Tensor. What
        the hook returns, if not None, goes back through the module in its place.
        """
        return add_hook(self._backward_pre_hooks, hook, "register_full_backward_pre_hook", prepend=prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Have ``hook(module, grad_input, grad_output)`` called when backward has passed the module.

        ``grad_input`` is a tuple with a gradient for each positional argument, None for what is no floating
        Tensor or needs no gradient. What the hook returns, if not None, goes on to what came before the
        module. Where no argument needs a gradient, the hook is called as soon as ``grad_output`` is known.

        >>> layer, norms = nn.Linear(3, 1), []
        >>> handle = layer.register_full_backward_hook(
        ...     lambda module, grad_input, grad_output: norms.append(grad_output[0].norm().item())
        ... )
        >>> layer(tw.ones(4, 3)).sum().backward()
        >>> norms
        [2.0]
        """
        return add_hook(self._backward_hooks, hook, "register_full_backward_hook", prepend=prepend)

    # Walking ------------------------------------------------------------------------------------------

    def named_modules(
        self, memo: set[int] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module under ``prefix``, then every module below it under its dotted name, each once."""
        memo = set() if memo is None else memo
        if remove_duplicate:
            if id(self) in memo:
                return
            memo.add(id(self))
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                yield from child.named_modules(memo, _join(prefix, name), remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and every module below it, each once."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below this one, each once."""
        seen: set[int] = set()
        for name, child in self._modules.items():
            if child is not None and id(child) not in seen:
                seen.add(id(child))
                yield name, child

    def children(self) -> Iterator[Module]:
        """The modules directly below this one, without their names."""
        for _, child in self.named_children():
            yield child

    def _named_members(
        self, place: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        owners: Iterable[tuple[str, Module]] = [(prefix, self)]
        if recurse:
            owners = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        for path, owner in owners:
            for name, member in owner.__dict__[place].items():
                if member is None or id(member) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(member))
                yield _join(path, name), member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Every parameter under its dotted name, in the order of registration, each once."""
        return self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Every parameter, as an optimiser takes them."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Every buffer under its dotted name, each once."""
        return self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Every buffer, without its name."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> Module:
        """The module of a dotted name, such as ``"encoder.0"``; the empty name is this module.

        Raises:
            MemberError: there is none.
        """
        found: Module = self
        for name in target.split(".") if target else ():
            child = found._modules.get(name)
            if child is None:
                raise MemberError(
                    f"{found._get_name()} has no child named {name!r}.", describe(target=target)
                )
            found = child
        return found

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of a dotted name, such as ``"encoder.0.weight"``; MemberError if there is none."""
        found: Parameter = self._get_member(target, "_parameters", "parameter")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """The buffer of a dotted name; MemberError if there is none."""
        found: Tensor = self._get_member(target, "_buffers", "buffer")
        return found

    def _get_member(self, target: str, place: str, kind: str) -> Any:
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        found = owner.__dict__[place].get(name)
        if found is None:
            raise MemberError(f"{owner._get_name()} has no {kind} named {name!r}.", describe(target=target))
        return found

    # State --------------------------------------------------------------------------------------------

    def state_dict(
        self,
        *,
        destination: OrderedDict[str, Tensor] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> OrderedDict[str, Tensor]:
        """Parameters and persistent buffers under their dotted names, keys and shapes as PyTorch's.

        The Tensors share memory with the module's; with ``keep_vars`` they are the module's own.
        """
        found: OrderedDict[str, Tensor] = OrderedDict() if destination is None else destination
        members: list[tuple[str, Tensor | None]] = [*self._parameters.items(), *self._buffers.items()]
        for name, member in members:
            if member is not None and name not in self._non_persistent_buffers_set:
                found[prefix + name] = member if keep_vars else member.detach()
        for name, child in self._modules.items():
            if child is not None:
                child.state_dict(destination=found, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        return found

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> LoadResult:
        """Copy Tensors or arrays into the parameters and buffers of the same names.

        A layer that doesn't know its input's size yet learns it from the values.

        Returns:
            The missing and the unexpected keys: both empty with ``strict``.

        Raises:
            ArgumentError: a shape differs, or with ``strict`` a key is missing or unexpected; the message
                lists all of them, and nothing has been changed.
            DtypeError: a value is no array of numbers, or would lose its kind (a float for an integer).
        """
        waiting = {
            name: module
            for name, module in self.named_modules(remove_duplicate=False)
            if isinstance(module, LearnsSize) and module._waiting
        }
        return load_into(self._get_name(), self.state_dict(keep_vars=True), state_dict, strict, waiting)

    # Modes and conversions ----------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Switch this module and all below it to training (or, with False, to evaluation)."""
        if not isinstance(mode, bool):
            raise ArgumentError("train needs mode to be True or False.", describe(mode=mode))
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switch to evaluation: dropout passes everything, batch norm uses its running statistics."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Say for every parameter whether it receives gradients: with False the module is frozen.

        An optimiser leaves frozen parameters as they are. Batch norm's running statistics are no parameters:
        in training they still follow the batches, and the batch's own are used. A part that is to stay
        wholly as it is goes into evaluation as well, after every ``model.train()``:

        >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 2))
        >>> body = model[:2].requires_grad_(False)
        >>> _ = model.train(), body.eval()
        """
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or with ``set_to_none=False`` fill them with zeros."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad = parameter.grad.detach()
                parameter.grad.zero_()

    def apply(self, fn: Callable[[Module], object]) -> Self:
        """Call ``fn`` on every module below this one, children before parents, and on this one last."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Convert floating members to a dtype: ``to(dtype)``, ``to("cpu", dtype)``, ``to(other_tensor)``.

        Arrays live in the computer's main memory, so the only device is ``"cpu"``.

        Raises:
            ArgumentError: another device.
            DtypeError: a dtype that is not floating.
        """
        dtype = read_to_arguments(self._get_name(), args, kwargs)
        if dtype is not None:
            convert_members(self.modules(), dtype)
        return self

    def half(self) -> Self:
        """Convert floating parameters and buffers to float16."""
        return self.to("float16")

    def bfloat16(self) -> Self:
        """Convert floating parameters and buffers to bfloat16, which the package ml_dtypes has."""
        return self.to("bfloat16")

    def float(self) -> Self:
        """Convert floating parameters and buffers to float32."""
        return self.to("float32")

    def double(self) -> Self:
        """Convert floating parameters and buffers to float64."""
        return self.to("float64")

    def cpu(self) -> Self:
        """The module itself: arrays already live in the computer's main memory."""
        return self

    def cuda(self, device: Any = None) -> Self:
        """Refused: the only device is the processor.

        Raises:
            ArgumentError: always.
        """
        return self.to(device="cuda")

    # Printing -----------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What stands in the brackets of ``repr`` before the children; subclasses override it."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        if len(lines) <= 1 and not self._modules:
            return f"{self._get_name()}({extra})"
        lines += [f"({name}): {indent(repr(child))}" for name, child in self._modules.items()]
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"


def indent(text: str) -> str:
    """``text`` with every line but the first moved right by two, as nested modules are printed."""
    return text.replace("\n", "\n  ")


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
