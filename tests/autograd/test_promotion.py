"""Dtypes of results: every pair of tensors, numbers of rank 0 and Python numbers, against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw

torch = pytest.importorskip("torch", reason="compares with PyTorch, which isn't installed")

NAMES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
PYTHON = [True, 3, 2.5]
# One rounding in the narrowest dtype, float16: 2^-11.
ROUNDED = {"rtol": 1e-3, "atol": 1e-3, "reason": "float16 operations are rounded once on either side"}


def operands(t: Any) -> dict[str, Any]:
    found: dict[str, Any] = {repr(number): number for number in PYTHON}
    for name in NAMES:
        dtype = getattr(t, name if name != "bool" or t is torch else "bool_")
        found[name] = t.tensor([1, 2, 3], dtype=dtype)
        found[f"{name} of rank 0"] = t.tensor(2, dtype=dtype)
    return found


OURS, THEIRS = operands(tw), operands(torch)
OPERATIONS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "floor_divide": lambda a, b: a // b,
    "remainder": lambda a, b: a % b,
    "pow": lambda a, b: a**b,
    "eq": lambda a, b: a == b,
    "lt": lambda a, b: a < b,
    "and": lambda a, b: a & b,
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_pair(operation: str) -> None:
    function = OPERATIONS[operation]
    compared = 0
    for first in OURS:
        for second in OURS:
            if not (isinstance(THEIRS[first], torch.Tensor) or isinstance(THEIRS[second], torch.Tensor)):
                continue
            two_bools = all(name.startswith(("bool", "True")) for name in (first, second))
            try:
                expected = function(THEIRS[first], THEIRS[second])
            except (RuntimeError, TypeError):
                # PyTorch refuses more of what bools could do; both refuse two bools without meaning.
                if operation != "sub" or two_bools:
                    with pytest.raises(tw.TilewrightError):
                        function(OURS[first], OURS[second])
                continue
            if operation == "pow" and two_bools:
                continue  # PyTorch takes a tensor to the power of True, and refuses two tensors
            found = function(OURS[first], OURS[second])
            assert str(found.dtype) == str(expected.dtype).removeprefix("torch."), (first, operation, second)
            assert_same(found, expected, **ROUNDED)
            compared += 1
    assert compared > 150


def test_promote_types() -> None:
    for one in NAMES:
        for two in NAMES:
            expected = str(torch.promote_types(getattr(torch, one), getattr(torch, two)))
            assert f"torch.{tw.promote_types(one, two)}" == expected


def test_result_type() -> None:
    x, n = tw.ones(2, dtype=tw.int8), tw.tensor(1.0)
    assert tw.result_type(x, 1) == tw.int8
    assert tw.result_type(1.0, x) == tw.float32
    assert tw.result_type(x, n) == tw.float32
    assert tw.result_type(2, 1.5) == tw.float32
    assert tw.result_type(np.ones(2, np.float64), n) == tw.float64


@pytest.mark.parametrize("name", ["exp", "sqrt", "sigmoid", "sin", "log1p"])
@pytest.mark.parametrize("dtype", NAMES)
def test_functions_of_integers_are_floats(name: str, dtype: str) -> None:
    x = tw.tensor([0, 1, 1], dtype=dtype)
    y = torch.tensor([0, 1, 1], dtype=getattr(torch, dtype))
    assert_same(getattr(tw, name)(x), getattr(torch, name)(y), **ROUNDED)


@pytest.mark.parametrize(
    "name", ["sum", "prod", "cumsum", "amax", "abs", "neg", "square", "sign", "relu", "floor"]
)
@pytest.mark.parametrize("dtype", NAMES)
def test_dtypes_of_functions(name: str, dtype: str) -> None:
    values = [1, 0, 1]
    x, y = tw.tensor(values, dtype=dtype), torch.tensor(values, dtype=getattr(torch, dtype))
    options = {"dim": 0} if name == "cumsum" else {}
    try:
        expected = getattr(torch, name)(y, **options)
    except (RuntimeError, TypeError):
        # What PyTorch has not written for bools has an obvious answer, or is refused here too.
        return
    assert_same(getattr(tw, name)(x, **options), expected, **ROUNDED)


def test_numbers_wrap_around_as_in_memory() -> None:
    x, y = tw.tensor([250], dtype=tw.uint8), torch.tensor([250], dtype=torch.uint8)
    assert (x + 10).tolist() == (y + 10).tolist() == [4]
    assert (x + 300).tolist() == (y + 300).tolist()
    with pytest.raises(tw.ArgumentError, match="A number must fit into 64 bits"):
        x + 2**70


def test_the_default_dtype() -> None:
    try:
        tw.set_default_dtype(tw.float64)
        assert tw.get_default_dtype() == tw.float64
        assert tw.tensor([1.0]).dtype == tw.zeros(1).dtype == (tw.tensor([1]) / 2).dtype == tw.float64
        assert repr(tw.tensor([0.5])) == "tensor([0.5000])"
    finally:
        tw.set_default_dtype(tw.float32)
    with pytest.raises(tw.DtypeError, match="set_default_dtype needs a floating dtype"):
        tw.set_default_dtype(tw.int64)


@pytest.mark.parametrize(
    "dtype", ["clongdouble", "V2", "<U3", "datetime64[s]", "object", "longdouble", "nonsense", object()]
)
def test_dtypes_that_tensors_dont_have(dtype: Any) -> None:
    with pytest.raises(tw.DtypeError, match=r"Tensors hold bool|A dtype such as"):
        tw.zeros(2, dtype=dtype)


def test_gradients_come_back_in_the_dtype_of_their_tensor() -> None:
    x = tw.tensor([1.0, 2.0], requires_grad=True)
    y = tw.tensor([3.0, 4.0], dtype=tw.float64, requires_grad=True)
    h = tw.tensor([1.0, 1.0], dtype=tw.float16, requires_grad=True)
    (x * y * h + tw.tensor([1, 2])).sum().backward()
    assert x.grad.dtype == tw.float32 and y.grad.dtype == tw.float64 and h.grad.dtype == tw.float16
    assert x.grad.tolist() == [3, 4] and y.grad.tolist() == [1, 2] and h.grad.tolist() == [3, 8]


def test_numpy_operands() -> None:
    x, a = tw.tensor([1.0, 2.0], requires_grad=True), np.array([3.0, 4.0], np.float32)
    for found in (x * a, a * x):
        assert isinstance(found, tw.Tensor) and found.requires_grad and found.tolist() == [3, 8]
    assert isinstance(a - x, tw.Tensor) and (a - x).tolist() == [2, 2]
    assert (np.float64(2) * x).dtype == tw.float32
    assert isinstance(a < x, tw.Tensor)
    assert isinstance(np.eye(2, dtype=np.float32) @ x, tw.Tensor)
    assert isinstance(tw.add(a, x), tw.Tensor)
    a += tw.tensor([1.0, 1.0]).numpy()
    big_endian = np.array([1.0, 2.0], ">f4")
    assert (x + big_endian).dtype == tw.float32
