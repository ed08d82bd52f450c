"""Receptive fields of the layers of a running model, followed from Tensor to Tensor.

What a value sees of the model's input is known per spatial axis, either as the chain of windows that led to
it, or, once a dense layer has mixed a whole axis, as the number of input samples that the mix holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tilewright.autograd.tensor import Tensor
from tilewright.geometry.receptive import Window, field_of, receptive_field, windows_of
from tilewright.nn.activation import LogSoftmax, Softmax
from tilewright.nn.activation_piecewise import GLU
from tilewright.nn.conv import Conv, ConvTranspose
from tilewright.nn.group_norm import GroupNorm, LayerNorm, RMSNorm
from tilewright.nn.instance_norm import _InstanceNorm
from tilewright.nn.linear import Linear
from tilewright.nn.module import Module
from tilewright.nn.padding import _Pad
from tilewright.nn.pooling import _Pool
from tilewright.nn.pooling_adaptive import _AdaptivePool, _GlobalPool
from tilewright.nn.shape import Flatten, Unflatten

Chain = tuple[Window, ...]


@dataclass(frozen=True)
class Seen:
    """What the values of one Tensor see of the model's input.

    Attributes:
        axes: per spatial axis of the input a chain of windows, or a number of samples seen by every value.
        flat: whether the spatial axes have been joined with the channels.
    """

    axes: tuple[Chain | int, ...]
    flat: bool = False

    def sizes(self) -> tuple[int, ...] | None:
        """The receptive field's size per axis; None where the input has no spatial axes."""
        if not self.axes:
            return None
        return tuple(axis if isinstance(axis, int) else receptive_field(axis).size for axis in self.axes)

    def mixed(self) -> bool:
        """Whether every value sees the same part of the input, so that its place tells nothing."""
        return all(isinstance(axis, int) for axis in self.axes)


class FieldTracker:
    """Knows for some Tensors of a running model what they see, and works it out for the outputs of layers.

    Args:
        input: the model's input (batch, channels, *spatial).
    """

    def __init__(self, input: Tensor) -> None:
        self._spatial = tuple(input.shape[2:])
        # The Tensors are held, so that neither an id nor an address is given to another one meanwhile.
        self._by_id: dict[int, tuple[Tensor, int, Seen]] = {}
        self._by_address: dict[int, tuple[Tensor, int, Seen]] = {}
        # What a flat Tensor's spatial sizes were, which a dense layer needs to know what it mixes.
        self._sizes: dict[int, tuple[int, ...]] = {}
        self._learn(input, Seen(((),) * len(self._spatial)), self._spatial)

    def follow(self, module: Module, args: tuple[Any, ...], output: Any) -> Seen | None:
        """What the output of a layer sees, if it can be known from its one input; it is remembered."""
        result = output[0] if isinstance(output, tuple) and output else output
        if not isinstance(result, Tensor) or len(args) != 1 or not isinstance(args[0], Tensor):
            return None
        known = self._find(args[0])
        if known is None:
            return None
        seen, sizes = known
        after = seen if result is args[0] else self._through(module, seen, sizes, args[0], result)
        if after is None:
            return None
        if not after.flat:
            sizes = tuple(result.shape[2:])
            # A value that is alone on its axis has no place there: what follows can see no more than it does.
            after = self._mix(after, sizes, [axis for axis, size in enumerate(sizes) if size == 1])
        self._learn(result, after, sizes)
        return after

    def _learn(self, tensor: Tensor, seen: Seen, sizes: tuple[int, ...]) -> None:
        entry = (tensor, tensor._version[0], seen)
        self._by_id[id(tensor)] = entry
        if tensor._data.flags.c_contiguous:
            self._by_address[tensor._data.ctypes.data] = entry
        self._sizes[id(tensor)] = sizes

    def _find(self, tensor: Tensor) -> tuple[Seen, tuple[int, ...]] | None:
        """What an input is known to see: a known Tensor, perhaps in another shape, unchanged since."""
        entry = self._by_id.get(id(tensor))
        if entry is not None:
            known, version, seen = entry
            return (seen, self._sizes[id(known)]) if tensor._version[0] == version else None
        if not tensor._data.flags.c_contiguous:
            return None
        entry = self._by_address.get(tensor._data.ctypes.data)
        if entry is None or entry[0]._data.size != tensor._data.size or entry[0]._version[0] != entry[1]:
            return None
        known, _, seen = entry
        return self._reshaped(seen, self._sizes[id(known)], known, tensor)

    def _reshaped(
        self, seen: Seen, sizes: tuple[int, ...], before: Tensor, after: Tensor
    ) -> tuple[Seen, tuple[int, ...]] | None:
        """The same values in another shape: as they were, joined, or of no place to lose."""
        if tuple(before.shape) == tuple(after.shape):
            return seen, sizes
        if after._data.ndim == 2 and after.shape[0] == before.shape[0]:
            return Seen(seen.axes, flat=True), sizes
        return (Seen(seen.axes), tuple(after.shape[2:])) if seen.mixed() else None

    def _through(
        self, module: Module, seen: Seen, sizes: tuple[int, ...], before: Tensor, after: Tensor
    ) -> Seen | None:
        """What the output of ``module`` sees, whose input sees ``seen``."""
        if module.pointwise:
            return seen
        windows = _windows(module, tuple(before.shape))
        if windows is not None and len(windows) == len(seen.axes) and not seen.flat:
            return Seen(
                tuple(
                    axis if isinstance(axis, int) else (*axis, window)
                    for axis, window in zip(seen.axes, windows, strict=True)
                )
            )
        normed = _normed_axes(module, before._data.ndim)
        if normed is not None:
            return self._mix(seen, sizes, range(len(sizes)) if seen.flat else normed)
        if isinstance(module, GLU):
            # Halves of the channels are multiplied place by place.
            return seen if isinstance(module.dim, int) and module.dim % before._data.ndim == 1 else None
        if isinstance(module, (Linear, Softmax, LogSoftmax)):
            dim = before._data.ndim - 1 if isinstance(module, Linear) else module.dim
            if dim is None or (dim := dim % before._data.ndim) == 0:
                return None
            # Axis 1 holds the channels, and all there is once they are joined with the places.
            return self._mix(seen, sizes, range(len(sizes)) if seen.flat else [dim - 2] if dim > 1 else [])
        if isinstance(module, (Flatten, Unflatten)):
            found = self._reshaped(seen, sizes, before, after)
            return found and found[0]
        return None

    def _mix(self, seen: Seen, sizes: tuple[int, ...], mixed: Iterable[int]) -> Seen:
        """After a layer that mixes the spatial axes ``mixed``, whose values then see what all of them saw."""
        axes = list(seen.axes)
        for axis in mixed:
            chain = axes[axis]
            if not isinstance(chain, int):
                first, last = field_of(chain, 0)[0], field_of(chain, sizes[axis] - 1)[1]
                axes[axis] = max(min(last, self._spatial[axis] - 1) - max(first, 0) + 1, 0)
        return Seen(tuple(axes), seen.flat)


def _normed_axes(module: Module, rank: int) -> Sequence[int] | None:
    """The spatial axes over which a layer normalises in evaluation, or None for another layer."""
    if isinstance(module, _InstanceNorm):
        return range(rank - 2) if module.running_mean is None else ()
    if isinstance(module, GroupNorm):
        return range(rank - 2)
    if isinstance(module, (LayerNorm, RMSNorm)):
        return range(max(rank - len(module.normalized_shape) - 2, 0), rank - 2)
    return None


def _windows(module: Module, input_shape: tuple[int, ...]) -> tuple[Window, ...] | None:
    """One window per spatial axis of a layer that slides one, or None for another layer."""
    if isinstance(module, (Conv, _Pool)):
        return windows_of(module.dims(input_shape))
    if isinstance(module, (_AdaptivePool, _GlobalPool)):
        # Windows of several sizes have no single stride.
        even = module.dims(input_shape).even()
        return None if even is None else windows_of(even)
    if isinstance(module, ConvTranspose):
        return windows_of(module.dims(input_shape), transposed=True)
    if isinstance(module, _Pad):
        # Output o is input o − before; the padding is listed from the last axis on.
        return tuple(Window(1, before=before) for before in reversed(module.padding[::2]))
    return None
