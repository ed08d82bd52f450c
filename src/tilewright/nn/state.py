"""Loading a state dict: everything is checked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, DtypeError, describe

Array = npt.NDArray[Any]


class LoadResult(NamedTuple):
    """The keys of a module that a state dict lacked, and those that the module has no place for."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def load_into(owner: str, places: Mapping[str, Tensor], given: Mapping[str, Any], strict: bool) -> LoadResult:
    """Copy ``given`` values into the Tensors ``places`` of the same names.

    Args:
        owner: the module's name, for messages.
        places: the module's own parameters and buffers.
        given: Tensors or anything NumPy reads as an array.
        strict: whether both must hold the same keys.

    Raises:
        ArgumentError: a shape differs, or with ``strict`` a key is missing or unexpected.
        DtypeError: a value is no array of numbers, or would lose its kind.
    """
    if not isinstance(given, Mapping):
        raise DtypeError(
            f"{owner}.load_state_dict needs a mapping from names to arrays.", describe(state_dict=given)
        )
    missing = [name for name in places if name not in given]
    unexpected = [str(name) for name in given if name not in places]
    arrays = {name: _as_array(owner, name, given[name]) for name in places if name in given}
    misshapen = [
        f"{name!r} with shape {array.shape} where {tuple(places[name].shape)} is needed"
        for name, array in arrays.items()
        if array.shape != tuple(places[name].shape)
    ]
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
        if not np.can_cast(array.dtype, places[name].dtype, "same_kind"):
            raise DtypeError(
                f"{owner}.load_state_dict needs {name!r} as {places[name].dtype}, without loss of kind; "
                "nothing has been loaded.",
                describe(**{name: array}),
            )
    for name, array in arrays.items():
        overwrite(places[name], array)
    return LoadResult(missing, unexpected)


def overwrite(tensor: Tensor, values: Array) -> None:
    """Copy ``values`` into the memory of ``tensor``, past the tape, which is told that it changed."""
    np.copyto(tensor._data, values, casting="same_kind")
    tensor._version[0] += 1


def _as_array(owner: str, name: str, value: Any) -> Array:
    array = value._data if isinstance(value, Tensor) else np.asarray(value)
    if array.dtype.kind not in "fiubc":
        raise DtypeError(
            f"{owner}.load_state_dict needs {name!r} to be an array of numbers; nothing has been loaded.",
            describe(**{name: value}),
        )
    return array


def _listed(title: str, names: Sequence[str]) -> list[str]:
    return [f"{title}: {', '.join(repr(name) for name in names)}"] if names else []
