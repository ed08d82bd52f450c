"""Loading a state dict: everything is checked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, DtypeError, describe
from tilewright.op.kinds import FLOAT32, is_bfloat16

if TYPE_CHECKING:
    from tilewright.nn.lazy import LearnsSize

Array = npt.NDArray[Any]


class LoadResult(NamedTuple):
    """The keys of a module that a state dict lacked, and those that the module has no place for."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def load_into(
    owner: str,
    places: Mapping[str, Tensor],
    given: Mapping[str, Any],
    strict: bool,
    waiting: Mapping[str, LearnsSize],
) -> LoadResult:
    """Copy ``given`` values into the Tensors ``places`` of the same names.

    Args:
        owner: the module's name, for messages.
        places: the module's own parameters and buffers.
        given: Tensors or anything NumPy reads as an array.
        strict: whether both must hold the same keys.
        waiting: by their dotted names, the layers whose members wait for their size; it is read off the
            given values.

    Raises:
        ArgumentError: a shape differs, or with ``strict`` a key is missing or unexpected.
        ShapeError: a layer that waits for its size can't have the one that the values tell.
        DtypeError: a value is no array of numbers, or would lose its kind.
    """
    if not isinstance(given, Mapping):
        raise DtypeError(
            f"{owner}.load_state_dict needs a mapping from names to arrays.", describe(state_dict=given)
        )
    missing = [name for name in places if name not in given]
    unexpected = [str(name) for name in given if name not in places]
    arrays = {name: _as_array(owner, name, given[name]) for name in places if name in given}
    sizes, expected, misshapen = _sizes_of(waiting, {name: array.shape for name, array in arrays.items()})
    for name, array in arrays.items():
        needed = expected[name] if name in expected else tuple(places[name].shape)
        if needed is not None and array.shape != needed:
            misshapen.append(f"{name!r} with shape {array.shape} where {needed} is needed")
    faults = [f"values of another shape: {', '.join(misshapen)}"] if misshapen else []
    if strict:
        faults += _listed("missing keys", missing) + _listed("unexpected keys", unexpected)
    if faults:
        rule = "values for all its keys and no others, each of its own shape" if strict else "fitting shapes"
        raise ArgumentError(
            f"{owner}.load_state_dict needs {rule}; nothing has been loaded.",
            "; ".join(faults),
            "" if misshapen or not strict else "With strict=False the keys that both sides have are loaded.",
        )
    for name, array in arrays.items():
        wanted = places[name].dtype
        # NumPy would let a complex number become a bfloat16.
        if not np.can_cast(array.dtype, wanted, "same_kind") or (
            array.dtype.kind == "c" and wanted.kind != "c"
        ):
            raise DtypeError(
                f"{owner}.load_state_dict needs {name!r} as {places[name].dtype}, without loss of kind; "
                "nothing has been loaded.",
                describe(**{name: array}),
            )
    for layer, size in sizes:
        layer._settle(size)
    for name, array in arrays.items():
        overwrite(places[name], array)
    return LoadResult(missing, unexpected)


def _sizes_of(
    waiting: Mapping[str, LearnsSize], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[list[tuple[LearnsSize, int]], dict[str, tuple[int, ...] | None], list[str]]:
    """What the shapes of given values tell of the layers that wait for their size.

    Returns:
        The layers with their sizes; by key, the shapes that these sizes make (None where the size can't be
        told); and what is wrong with values that don't tell it.

    Raises:
        ShapeError: a layer can't be made for its size.
    """
    sizes: dict[int, tuple[LearnsSize, int]] = {}
    expected: dict[str, tuple[int, ...] | None] = {}
    faults = []
    for path, layer in waiting.items():
        start = f"{path}." if path else ""
        own = {name: shapes[start + name] for name in layer._member_shapes(0) if start + name in shapes}
        size = layer.size_in(own)
        if size is not None:
            layer._check_size(size)
            sizes[id(layer)] = (layer, size)
        for name in own:
            expected[start + name] = None if size is None else layer._member_shapes(size)[name]
            if size is None:
                faults.append(
                    f"{start + name!r} with shape {own[name]}, which doesn't tell {layer.size_name}"
                )
    return list(sizes.values()), expected, faults


def overwrite(tensor: Tensor, values: Array) -> None:
    """Copy ``values`` into the memory of ``tensor``, past the tape, which is told that it changed."""
    np.copyto(tensor._data, values, casting="same_kind")
    tensor._version[0] += 1


def _as_array(owner: str, name: str, value: Any) -> Array:
    array = value._data if isinstance(value, Tensor) else np.asarray(value)
    if is_bfloat16(array.dtype):
        # No value is lost, and NumPy knows what float32 fits into.
        return array.astype(FLOAT32)
    if array.dtype.kind not in "fiubc":
        raise DtypeError(
            f"{owner}.load_state_dict needs {name!r} to be an array of numbers; nothing has been loaded.",
            describe(**{name: value}),
        )
    return array


def _listed(title: str, names: Sequence[str]) -> list[str]:
    return [f"{title}: {', '.join(repr(name) for name in names)}"] if names else []
