"""Every dtype through the public functions: kept, computed wider where it must be, or refused clearly."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from samples_of_dtypes import COMPLEX, EVERY, HALVES, INTEGERS, dtype_named, sample, tolerance, wide

import tilewright as tw
import tilewright.functional as F
from tilewright.errors import ArgumentError, DtypeError, MissingExtraError

_EXACT = {"rtol": 0, "atol": 0, "reason": "the same numbers, rounded once"}
_REAL = ("float32", "float64", *HALVES)
_FLOATING = (*_REAL, *COMPLEX)


def _x(name: str) -> Any:
    return sample((2, 4, 7, 6), 1, name)


# Name → the call, and the dtypes that it takes.
_CALLS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "conv2d": (lambda x: F.conv2d(x, x[:, :, :3, :3], x[0, :2, 0, 0], 2, 1), EVERY),
    "convolve": (lambda x: F.convolve(x, x[:, :, :2, :3], padding="full"), EVERY),
    "conv padded": (lambda x: F.conv(x, x[:, :, :3, :3], padding=2, padding_mode="reflect"), EVERY),
    "conv unbatched": (lambda x: F.conv1d(x[0, 0], x[1, :1, :, :3]), EVERY),
    "conv_transpose2d": (lambda x: F.conv_transpose2d(x, x[0, :, None, :3, :3], stride=2), EVERY),
    "conv_transpose padded": (
        lambda x: F.conv_transpose2d(x, x[0, :, None, :3, :3], None, 2, 1, padding_mode="circular"),
        EVERY,
    ),
    "linear": (lambda x: F.linear(x, x[0, 0], x[0, 0, :, 0]), EVERY),
    "unfold": (lambda x: F.unfold(x, 3, padding=1), (*EVERY, "bool")),
    "fold": (lambda x: F.fold(F.unfold(x, 3, stride=2), (7, 6), 3, stride=2), EVERY),
    "pad": (lambda x: F.pad(x, (1, -1, 2, 0), value=1), (*EVERY, "bool")),
    "pad reflect": (lambda x: F.pad(x, (1, 2), "reflect"), (*EVERY, "bool")),
    "interpolate": (lambda x: F.interpolate(x, scale_factor=1.5, mode="bilinear"), _FLOATING),
    "interpolate nearest": (lambda x: F.interpolate(x, size=(3, 11)), (*EVERY, "bool")),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 3, 2, 1), _FLOATING),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, (3, 4)), _FLOATING),
    "lp_pool2d": (lambda x: F.lp_pool2d(x, 2, 2), _REAL),
    "max_pool2d": (lambda x: F.max_pool2d(x, 3, 2, 1), (*_REAL, *INTEGERS)),
    "adaptive_max_pool2d": (lambda x: F.adaptive_max_pool2d(x, (3, 4)), (*_REAL, *INTEGERS)),
    "batch_norm": (lambda x: F.batch_norm(x, None, None, training=True), _REAL),
    "layer_norm": (lambda x: F.layer_norm(x, (6,), x[0, 0, 0]), _REAL),
    "group_norm": (lambda x: F.group_norm(x, 2), _REAL),
    "instance_norm": (lambda x: F.instance_norm(x), _REAL),
    "masked_conv": (lambda x: F.masked_conv(x, x[:, :, :3, :3], padding=1), EVERY),
    "masked_conv normalised": (
        lambda x: F.conv2d(x, x[:, :, :3, :3], mask=np.eye(7, 6), normalize="weights"),
        _FLOATING,
    ),
}
# Numbers of order 1, in the largest case summed over 4·9 of them.
_SIZE = 40.0


@pytest.mark.parametrize("name", [*EVERY, "bool"])
@pytest.mark.parametrize("call", _CALLS)
def test_the_dtype_stays_and_the_numbers_are_right(call: str, name: str) -> None:
    function, taken = _CALLS[call]
    x = _x(name) if name != "bool" else sample((2, 4, 7, 6), 1, "uint8") > 100
    if name not in taken:
        with pytest.raises(DtypeError, match=rf"Received: (input|weight).*{x.dtype}"):
            function(x)
        return
    if "max" in call and name == "uint64":
        x >>= 1  # so that int64 holds it
    before = x.copy()
    with np.errstate(all="ignore"):
        y = function(x)
        expected = function(x if name == "bool" else wide(x))
    assert type(y) is np.ndarray
    assert y.dtype == x.dtype
    assert_same(x, before, rtol=0, atol=0, reason="inputs are never written to")
    if name in HALVES and "norm" in call:
        # The smallest deviations are some hundredths; a norm divides what was rounded by them.
        close = {"rtol": 4e-3 if name == "float16" else 2e-2, "atol": 1e-3, "reason": "two roundings"}
        assert_same(wide(y), expected, **close)
    elif name in ("bool", *INTEGERS):
        assert_same(y, expected.astype(y.dtype), rtol=0, atol=0, reason="exact modulo the range")
    else:
        assert_same(wide(y), expected, **tolerance(name, _SIZE))
    t = function(tw.tensor(x))
    assert isinstance(t, tw.Tensor)
    assert_same(t, y, **_EXACT)


@pytest.mark.parametrize("name", HALVES)
@pytest.mark.parametrize("call", [call for call, (_, taken) in _CALLS.items() if "bfloat16" in taken])
def test_gradients_of_halves_are_those_of_float32_rounded(call: str, name: str) -> None:
    function, _ = _CALLS[call]
    x = _x(name)
    half, single = tw.tensor(x, requires_grad=True), tw.tensor(x.astype(np.float32), requires_grad=True)
    (y, z) = function(half), function(single)
    start = sample(tuple(y.shape), 2, name)
    y.backward(tw.tensor(start))
    z.backward(tw.tensor(start.astype(np.float32)))
    assert half.grad.dtype == x.dtype
    # Several parts of the gradient (of x as input, as weight and as bias) are each rounded, then added.
    step = 2.0**-10 if name == "float16" else 2.0**-7
    most = float(np.abs(single.grad.numpy()).max())
    close = {"rtol": 4 * step, "atol": 4 * step * most, "reason": "a rounding of each part"}
    assert_same(wide(half.grad.numpy()), wide(single.grad.numpy()), **close)


def _mixed() -> list[Any]:
    functions: dict[str, Callable[..., Any]] = {
        "conv2d": F.conv2d,
        "conv": tw.conv,
        "convolve": tw.convolve,
        "conv_transpose2d": F.conv_transpose2d,
        "linear": F.linear,
        "masked_conv": F.masked_conv,
    }
    pairs = [("float16", "float32"), ("float32", "bfloat16"), ("bfloat16", "float16")]
    pairs += [("float32", "complex64"), ("complex64", "complex128"), ("int8", "float32"), ("int8", "uint8")]
    return [
        pytest.param(function, name, *pair, id=f"{name}-{pair[0]}-{pair[1]}")
        for name, function in functions.items()
        for pair in pairs
    ]


@pytest.mark.parametrize(("function", "op", "one", "other"), _mixed())
def test_mixed_dtypes_are_refused_naming_both(function: Any, op: str, one: str, other: str) -> None:
    shape = (3, 3) if op == "linear" else (1, 1, 3, 3)
    x, w = sample(shape, 1, one), sample(shape, 2, other)
    wanted = f"{op} needs operands of one dtype. Received: input of {one}, weight of {other}."
    for call in (lambda: function(x, w), lambda: function(tw.tensor(x), tw.tensor(w))):
        with pytest.raises(DtypeError) as caught:
            call()
        assert str(caught.value).startswith(wanted)
    bias = sample((shape[0],), 3, other)
    with pytest.raises(DtypeError, match=f"input of {one}, weight of {one}, bias of {other}"):
        function(x, sample(shape, 2, one), bias)


def test_bools_are_refused() -> None:
    x = np.ones((1, 1, 3), bool)
    for call in (lambda: F.conv1d(x, x), lambda: F.conv_transpose1d(x, x), lambda: F.linear(x, x[0])):
        with pytest.raises(DtypeError, match=r"needs \w+ of one of the dtypes float32.*dtype bool"):
            call()


def test_a_maximum_of_complex_numbers_is_refused() -> None:
    z = sample((1, 1, 4), 1, "complex64")
    for function in (F.max_pool1d, F.adaptive_max_pool1d):
        for x in (z, tw.tensor(z)):
            with pytest.raises(
                DtypeError, match=r"needs input of one of the dtypes float16.*dtype complex64"
            ):
                function(x, 2)


def test_an_average_of_a_long_window_of_halves_is_exact_to_rounding() -> None:
    rng = np.random.default_rng(0)
    for name in HALVES:
        x = rng.random((1, 1, 20_000)).astype(dtype_named(name))
        exact = x.astype(np.float64).mean(keepdims=True)
        # Half a step of the significand, and what 20,000 additions in float32 lose (in the worst case 1e-3).
        close = {"rtol": 2.0**-11 if name == "float16" else 2.0**-8, "atol": 2e-5, "reason": "one rounding"}
        for y in (F.avg_pool1d(x, 20_000), F.adaptive_avg_pool1d(x, 1)):
            assert_same(wide(y), exact.reshape(1, 1, 1), **close)


def test_maxima_of_bfloat16() -> None:
    dtype = dtype_named("bfloat16")
    x = np.array([[[1, np.nan, 3, 2, -np.inf, -np.inf, 5, 5]]]).astype(dtype)
    y, where = F.max_pool1d(x, 2, return_indices=True)
    np.testing.assert_array_equal(y.astype(float), [[[np.nan, 3, -np.inf, 5]]])
    assert where.tolist() == [[[1, 2, 4, 6]]]
    t = tw.tensor(x[..., 2:4], requires_grad=True)
    F.max_pool1d(t, 2).sum().backward()
    assert t.grad.dtype == dtype
    assert t.grad.tolist() == [[[1.0, 0.0]]]
    # In pieces of the batch, too.
    many = sample((9, 3, 8, 8), 1, "bfloat16")
    assert_same(F.max_pool2d(many, 2)[4:5], F.max_pool2d(many[4:5], 2), **_EXACT)


def test_padding_with_a_number_that_the_dtype_holds() -> None:
    half = dtype_named("bfloat16")
    assert F.pad(np.ones(1, half), (1, 0), value=0.1).astype(float).tolist() == [0.10009765625, 1.0]
    assert F.pad(np.ones(1, half), (1, 0), value=half.type(2)).astype(float).tolist() == [2.0, 1.0]
    assert F.pad(np.ones(1, np.complex64), (0, 1), value=1j).tolist() == [1 + 0j, 1j]
    assert F.pad(np.ones(1, half), (0, 1), value=np.inf).astype(float).tolist() == [1.0, np.inf]
    for x, value in ((np.ones(1), 1j), (np.ones(1, half), 1e39), (np.ones(1, np.complex64), 1e39j)):
        with pytest.raises(
            ArgumentError, match=rf"that the input's dtype {x.dtype} can hold\. Received: value="
        ):
            F.pad(x, (1, 1), value=value)


def test_explained_as_it_is_computed() -> None:
    shapes = (1, 16, 20, 20), (16, 16, 3, 3)
    assert tw.explain(*shapes, dtype="float16").plan == tw.explain(*shapes).plan
    assert tw.explain(*shapes, dtype="int8").plan == tw.explain(*shapes, dtype="float64").plan
    assert tw.explain(*shapes, dtype="complex64").plan == tw.explain((1, 32, 20, 20), (32, 32, 3, 3)).plan


def test_bfloat16_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    calls = (
        lambda: tw.bfloat16,
        lambda: tw.zeros(2).bfloat16(),
        lambda: tw.zeros(2, dtype="bfloat16"),
        lambda: tw.nn.Linear(1, 1).bfloat16(),
    )
    for call in calls:
        with pytest.raises(MissingExtraError, match=r"needs the package ml_dtypes.*'tilewright\[bfloat16\]'"):
            call()
