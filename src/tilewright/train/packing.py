"""Nested Python state as arrays and JSON, and back again, exactly.

Optimisers and generators hold their state in nested dictionaries, lists and numbers, with arrays at the
leaves. :func:`pack` takes the arrays out, each under a name that spells its place, and writes the rest in
values that JSON has. What JSON lacks is written as an object with one key that starts with ``$``:

==================  =====================================================
``$array``          the name of a tensor that stands beside the JSON
``$dict``           key-value pairs, where a key isn't a string (or starts with ``$``)
``$tuple``          a tuple's items
``$float``          ``nan``, ``inf`` or ``-inf``
==================  =====================================================

Finite floats need nothing of the kind: JSON's decimal text of a float64 reads back to the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, DtypeError, describe

Array = np.ndarray[Any, Any]

# Real states nest three or four deep; a file that nests deeper was made to exhaust the stack.
_DEEPEST = 32


def pack(name: str, value: Any) -> tuple[Any, dict[str, Array]]:
    """Take the arrays out of a nested value.

    Args:
        name: what the tensors' names begin with.
        value: dicts, lists, tuples, arrays, Tensors, strings, numbers, truths and None, nested.

    Returns:
        The value in JSON's terms, and the arrays by name.

    Raises:
        DtypeError: something in it is of another type.

    >>> pack("state", {"step": 3, 7: np.zeros(2)})[0]
    {'$dict': [['step', 3], [7, {'$array': 'state.7'}]]}
    """
    tensors: dict[str, Array] = {}
    return _pack(name, value, tensors), tensors


def _pack(name: str, value: Any, tensors: dict[str, Array]) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and not isinstance(value, np.floating):
        return float(value) if math.isfinite(value) else {"$float": str(float(value))}
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, Mapping):
        return _pack_mapping(name, value, tensors)
    if isinstance(value, (list, tuple)):
        items = [_pack(f"{name}.{place}", item, tensors) for place, item in enumerate(value)]
        return {"$tuple": items} if isinstance(value, tuple) else items
    array = _as_array(value)
    if array is None or array.dtype.kind not in "biuf":
        raise DtypeError(
            "A checkpoint holds arrays of numbers, dictionaries, lists, tuples, strings, numbers and None.",
            f"{type(value).__name__} at {name}",
        )
    # Two different places can spell one name ({"a.b": …} and {"a": {"b": …}}): the later gets a mark.
    while name in tensors:
        name += "'"
    tensors[name] = array
    return {"$array": name}


def _pack_mapping(name: str, value: Mapping[Any, Any], tensors: dict[str, Array]) -> Any:
    pairs = []
    for key, item in value.items():
        if isinstance(key, bool) or not isinstance(key, (str, int)):
            raise DtypeError(
                "A checkpoint holds dictionaries whose keys are strings or integers.",
                f"{describe(key=key)} at {name}",
            )
        pairs.append([key, _pack(f"{name}.{key}", item, tensors)])
    if all(isinstance(key, str) and not key.startswith("$") for key, _ in pairs):
        return dict(pairs)
    return {"$dict": pairs}


def _as_array(value: Any) -> Array | None:
    if isinstance(value, Tensor):
        return np.asarray(value.detach().numpy())
    # NumPy's float scalars as arrays without axes: as JSON numbers they would come back as float64.
    if isinstance(value, (np.ndarray, np.floating)):
        return np.asarray(value)
    return None


def unpack(value: Any, tensors: Mapping[str, Array]) -> Any:
    """The nested value that :func:`pack` took apart.

    Raises:
        ArgumentError: the value isn't what pack makes, or a tensor that it names is missing.

    >>> unpack({"$dict": [[7, {"$array": "a"}]]}, {"a": np.zeros(2)})
    {7: array([0., 0.])}
    """
    return _unpack(value, tensors, 0)


def _unpack(value: Any, tensors: Mapping[str, Array], depth: int) -> Any:
    if depth > _DEEPEST:
        raise ArgumentError(f"State nests at most {_DEEPEST} deep.", "state that nests deeper")
    if isinstance(value, list):
        return [_unpack(item, tensors, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    mark = next((key for key in value if key.startswith("$")), None)
    if mark is None:
        return {key: _unpack(item, tensors, depth + 1) for key, item in value.items()}
    content = value[mark]
    if len(value) == 1:
        if mark == "$array" and isinstance(content, str) and content in tensors:
            return tensors[content]
        if mark == "$float" and content in ("nan", "inf", "-inf"):
            return float(content)
        if mark == "$tuple" and isinstance(content, list):
            return tuple(_unpack(item, tensors, depth + 1) for item in content)
        if mark == "$dict" and isinstance(content, list) and all(_is_pair(pair) for pair in content):
            return {key: _unpack(item, tensors, depth + 1) for key, item in content}
    raise ArgumentError(
        "State needs its marks ($array, $dict, $tuple, $float) as they are written, and their tensors.",
        describe(**{mark: content}),
    )


def _is_pair(pair: Any) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and isinstance(pair[0], (str, int))
        and not isinstance(pair[0], bool)
    )
