"""What lets a layer wait for its first input to know how many channels it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy.typing as npt

from tilewright.errors import ShapeError, describe
from tilewright.nn.parameter import new_parameter
from tilewright.nn.state import overwrite
from tilewright.nn.uninitialized import UninitializedBuffer, UninitializedParameter

Shape = tuple[int, ...]


class LearnsSize:
    """The part of a layer that makes its parameters and buffers, now or at the first call.

    A layer says what they are like for a given size (number of input channels or features); the size comes
    from the constructor, from the first input, or from a state dict that is loaded before.
    """

    #: The class that a lazy alias, such as LazyConv2d, turns into once the size is known.
    cls_to_become: ClassVar[type[Any] | None] = None
    #: The attribute that holds the size; it is 0 until the size is known.
    size_name: ClassVar[str]

    # Every layer defines these three:
    #: ``(size)`` → the shapes of the parameters and buffers that wait, by name.
    _member_shapes: Callable[[int], dict[str, Shape]]
    #: ``(input)`` → its size; the rest of it is checked as far as that goes without knowing the size.
    _size_of_input: Callable[[Any], int]
    #: ``(name, shape)`` → the size that a member of that shape tells, or None if it tells none.
    _size_of_member: Callable[[str, Shape], int | None]

    _waiting: bool

    def _check_size(self, size: int) -> None:
        """Raise a ShapeError if the layer can't be made for this size."""
        if size < 1:
            this: Any = self
            raise ShapeError(
                f"{this._get_name()} needs an input with at least one channel.", f"{self.size_name}={size}"
            )

    def _make_members(
        self, size: int | None, device: Any, dtype: npt.DTypeLike | None, *, buffers: tuple[str, ...] = ()
    ) -> None:
        """Register the members: with values, or waiting for them where ``size`` is None."""
        this: Any = self
        op = this._get_name()
        setattr(self, self.size_name, size or 0)
        self._waiting = size is None
        for name, shape in self._member_shapes(size or 0).items():
            if name in buffers:
                member: Any = (
                    UninitializedBuffer(False, device, dtype)
                    if size is None
                    else new_parameter(shape, device, dtype, op).detach()
                )
                this.register_buffer(name, member)
            else:
                member = (
                    UninitializedParameter(True, device, dtype)
                    if size is None
                    else new_parameter(shape, device, dtype, op)
                )
                this.register_parameter(name, member)
        if self._waiting:
            # In the instance it goes before the class's; it is gone once the size is known.
            self.__dict__["forward"] = self._first_forward

    def _first_forward(self, input: Any, *args: Any, **kwargs: Any) -> Any:
        this: Any = self
        self._settle(self._size_of_input(input))
        return this.forward(input, *args, **kwargs)

    def _settle(self, size: int) -> None:
        """Make the members for a size and start them as the constructor would have.

        Raises:
            ShapeError: the layer can't be made for this size, or a member that was given meanwhile is of
                another one.
        """
        this: Any = self
        self._check_size(size)
        given = {}
        shapes = self._member_shapes(size)
        for name, shape in shapes.items():
            member = getattr(self, name)
            if isinstance(member, (UninitializedParameter, UninitializedBuffer)) or member is None:
                continue
            if tuple(member.shape) != shape:
                raise ShapeError(
                    f"{this._get_name()} needs {name} of shape {shape} for {self.size_name}={size}.",
                    describe(**{name: member}),
                )
            given[name] = member._data.copy()
        for name, shape in shapes.items():
            member = getattr(self, name)
            if isinstance(member, (UninitializedParameter, UninitializedBuffer)):
                member.materialize(shape)
        setattr(self, self.size_name, size)
        self._waiting = False
        del self.__dict__["forward"]
        if self.cls_to_become is not None:
            self.__class__ = self.cls_to_become
        if len(given) < len(shapes):
            this.reset_parameters()
            for name, values in given.items():
                overwrite(getattr(self, name), values)

    def _shown_size(self, size: int) -> int | None:
        """The size for ``repr``: what was written, None or, for a lazy alias, PyTorch's 0."""
        return None if self._waiting and self.cls_to_become is None else size

    def size_in(self, shapes: Mapping[str, Shape]) -> int | None:
        """The size that members of these shapes tell, for a layer that waits; None if they tell none."""
        for name, shape in shapes.items():
            size = self._size_of_member(name, shape)
            if size is not None:
                return size
        return None


class LazyAlias:
    """What PyTorch's lazy classes share: the first argument, the input's size, is left out."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(None, *args, **kwargs)  # type: ignore[call-arg]  # the layer's own constructor
