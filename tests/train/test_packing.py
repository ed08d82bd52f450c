"""Nested state to JSON and arrays, and back to the bit."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.autograd.create import tensor
from tilewright.errors import ArgumentError, DtypeError
from tilewright.train.packing import pack, unpack

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=True)
    | st.text(max_size=5)
    | st.builds(lambda n: np.arange(n, dtype=np.float32), st.integers(0, 3))
)
KEYS = st.text(max_size=4) | st.integers(-5, 5) | st.sampled_from(["$array", "$dict", "a.b"])
NESTED = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=12,
)


def same(left: Any, right: Any) -> bool:
    if isinstance(left, np.ndarray):
        return (
            isinstance(right, np.ndarray) and left.dtype == right.dtype and left.tobytes() == right.tobytes()
        )
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and list(left) == list(right)
            and all(same(left[k], right[k]) for k in left)
        )
    if isinstance(left, (list, tuple)):
        return type(left) is type(right) and len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and math.isnan(left):
        return isinstance(right, float) and math.isnan(right)
    # -0.0 == 0.0, so floats are compared with their sign.
    return type(left) is type(right) and left == right and str(left) == str(right)


@given(NESTED)
def test_what_is_packed_comes_back_the_same_through_json(value: Any) -> None:
    packed, tensors = pack("state", value)
    text = json.dumps(packed, allow_nan=False)
    assert same(unpack(json.loads(text), tensors), value)


def test_arrays_are_named_by_their_place() -> None:
    packed, tensors = pack("optimizer", {"state": {0: {"momentum": np.ones(2)}}, "lr": 0.1})
    assert list(tensors) == ["optimizer.state.0.momentum"]
    assert packed["lr"] == 0.1


def test_two_places_that_spell_one_name_are_kept_apart() -> None:
    value = {"a.b": np.zeros(1), "a": {"b": np.ones(1)}}
    packed, tensors = pack("s", value)
    assert len(tensors) == 2
    assert same(unpack(packed, tensors), value)


def test_tensors_and_numpy_scalars_become_arrays_and_numbers() -> None:
    packed, tensors = pack("s", [tensor([1.0, 2.0]), np.float32(3.5), np.int64(4), np.bool_(True)])
    assert [array.dtype.name for array in tensors.values()] == ["float32", "float32"]
    assert packed[2:] == [4, True]


@pytest.mark.parametrize("value", [object(), b"bytes", {1.5: 0}, {True: 0}, np.array(["text"]), {1, 2}])
def test_what_no_checkpoint_holds_is_refused(value: Any) -> None:
    with pytest.raises(DtypeError, match=r"^A checkpoint holds .*Received: .* at s\.key\.$"):
        pack("s", {"key": value})


@pytest.mark.parametrize(
    "value",
    [
        {"$array": "missing"},
        {"$array": 3},
        {"$array": "a", "more": 1},
        {"$float": "1.5"},
        {"$float": []},
        {"$tuple": {}},
        {"$dict": [[1, 2, 3]]},
        {"$dict": [[None, 2]]},
        {"$else": 1},
    ],
)
def test_marks_that_pack_does_not_write_are_refused(value: Any) -> None:
    with pytest.raises(
        ArgumentError, match=r"State needs its marks .* as they are written, and their tensors\."
    ):
        unpack(value, {"a": np.zeros(1)})


def test_endless_nesting_is_refused() -> None:
    value: Any = 0
    for _ in range(100):
        value = [value]
    with pytest.raises(
        ArgumentError, match=r"State nests at most 32 deep\. Received: state that nests deeper\."
    ):
        unpack(value, {})
