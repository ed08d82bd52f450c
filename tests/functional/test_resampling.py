"""Interpolation: values by hand, a plain reference, adjoints, dtypes, Pillow, and refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from hypothesis import given
from hypothesis import strategies as st
from operands import check_kinds, check_layouts, normal

import tilewright as tw
import tilewright.functional as F
from tilewright.autograd.gradcheck import gradcheck, gradgradcheck
from tilewright.errors import DtypeError, ShapeError
from tilewright.geometry.resample import AxisSampling
from tilewright.op.resample import adjoint, operator

_KINDS = ["nearest", "nearest-exact", "linear", "cubic", "area"]
_EXACT = {"rtol": 0, "atol": 0, "reason": "weights that are exact in binary, or numbers only moved"}
_SUMS = {"rtol": 1e-11, "atol": 1e-11, "reason": "float64 sums of a few dozen products in two orders"}


# --- by hand -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "x", "expected"),
    [
        ({"scale_factor": 2}, [1, 5], [1, 1, 5, 5]),
        ({"size": 5}, [1, 2, 3], [1, 1, 2, 2, 3]),
        ({"size": 2}, [1, 2, 3], [1, 2]),
        ({"size": 2, "mode": "nearest-exact"}, [1, 2, 3], [1, 3]),
        ({"size": 1, "mode": "nearest-exact"}, [1, 2, 3], [2]),
        ({"scale_factor": 2, "mode": "linear"}, [1, 3], [1, 1.5, 2.5, 3]),
        ({"size": 5, "mode": "linear", "align_corners": True}, [1, 3, 7], [1, 2, 3, 5, 7]),
        ({"size": 1, "mode": "linear", "align_corners": True}, [1, 3, 7], [1]),
        ({"size": 2, "mode": "linear"}, [1, 3, 7, 9], [2, 8]),
        # Half way between two samples Keys' kernel weighs −3/32, 19/32, 19/32, −3/32.
        ({"size": 2, "mode": "cubic"}, [0, 32, 0, 0], [19, -3]),
        ({"size": 1, "mode": "cubic"}, [32, 0, 0, 0], [-3]),
        # The ends are repeated: the weights of the samples that aren't there go to the first.
        ({"size": 1, "mode": "cubic"}, [32, 0], [16]),
        ({"size": 2, "mode": "area"}, [1, 2, 4], [1.5, 3]),
        ({"size": 4, "mode": "area"}, [1, 2], [1, 1, 2, 2]),
        # Against aliasing a triangle of twice the width: ½ ⋅ (1 3 3 1)/4 cut off at the ends.
        ({"size": 2, "mode": "linear", "antialias": True}, [7, 0, 0, 0], [3, 0]),
        ({"size": 2, "mode": "linear", "antialias": True}, [0, 7, 7, 7], [4, 7]),
        ({"size": 4, "mode": "linear", "antialias": True}, [1, 3], [1, 1.5, 2.5, 3]),
    ],
)
def test_one_axis_by_hand(arguments: dict[str, Any], x: list[float], expected: list[float]) -> None:
    y = F.interpolate(np.array([[x]], np.float64), **arguments)
    assert_same(
        y, np.array([[expected]], np.float64), rtol=1e-15, atol=1e-15, reason="weights like 3/7 are rounded"
    )


def test_a_picture_by_hand() -> None:
    x = np.array([[[[0.0, 4.0], [8.0, 12.0]]]])
    y = F.interpolate(x, size=3, mode="bilinear", align_corners=True)
    assert_same(y[0, 0], [[0.0, 2.0, 4.0], [4.0, 6.0, 8.0], [8.0, 10.0, 12.0]], **_EXACT)
    assert_same(F.interpolate(x, size=(1, 2), mode="area")[0, 0], [[4.0, 8.0]], **_EXACT)
    assert_same(F.interpolate(x, scale_factor=(1, 2))[0, 0], [[0.0, 0, 4, 4], [8, 8, 12, 12]], **_EXACT)


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("rank", [1, 2, 3, 4])
def test_a_constant_stays_constant(kind: str, rank: int) -> None:
    x = np.full((1, 1, *range(2, 2 + rank)), 7.0)
    for size in (1, 3, 8):
        y = F.interpolate(x, size=size, mode=kind)
        assert_same(y, np.full((1, 1, *(size,) * rank), 7.0), rtol=1e-14, atol=0, reason="weights sum to 1")


def test_a_ramp_stays_a_ramp() -> None:
    ramp = np.arange(9.0)[None, None]
    y = F.interpolate(ramp, size=33, mode="linear", align_corners=True)
    rounded = {"rtol": 0, "atol": 1e-13, "reason": "a few roundings"}
    assert_same(y, np.linspace(0, 8, 33)[None, None], **rounded)
    # Of Keys' kernels only that with a = −½, which stands against aliasing, keeps ramps; inside, since at the
    # ends samples are repeated.
    y = F.interpolate(ramp, scale_factor=4, mode="cubic", antialias=True)
    expected = (np.arange(36)[None, None] + 0.5) / 4 - 0.5
    assert_same(y[..., 8:-8], expected[..., 8:-8], **rounded)
    y = F.interpolate(ramp, size=33, mode="cubic", align_corners=True)
    assert_same(y[..., 5], [[1.296875]], **rounded)


def test_the_same_size_is_the_same_input() -> None:
    x = normal((2, 3, 4, 5), 1)
    for kind in _KINDS:
        y = F.interpolate(x, size=(4, 5), mode=kind)
        assert_same(y, x, **_EXACT)
        assert not np.shares_memory(x, y)
        # 1.1 · 4 and 1.1 · 5 are 4 and 5 samples: such an axis is left as it is.
        assert_same(F.interpolate(x, scale_factor=1.1, mode=kind), x, **_EXACT)


# --- a plain reference -------------------------------------------------------------------------------------


def _weights(n: int, m: int, kind: str, aligned: bool, scale: float | None) -> np.ndarray[Any, Any]:
    """The matrix of one axis, entry by entry from the definition."""
    matrix = np.zeros((m, n))
    factor = m / n if scale is None or n == m else scale
    for o in range(m):
        if kind in ("nearest", "nearest-exact"):
            middle = 0.5 if kind == "nearest-exact" else 0.0
            # A rounding below a whole number must not count as the number below.
            matrix[o, min(math.floor((o + middle) / factor + 1e-9), n - 1)] = 1
        elif kind == "area":
            first, end = o * n // m, -(-(o + 1) * n // m)
            matrix[o, first:end] = 1 / (end - first)
        else:
            at = (o + 0.5) / factor - 0.5
            if aligned:
                at = o * (n - 1) / (m - 1) if m > 1 else 0.0
            for i in range(math.floor(at) - 1, math.floor(at) + 3):
                distance = abs(at - i)
                if kind == "linear":
                    weight = max(1 - distance, 0)
                elif distance <= 1:
                    weight = 1.25 * distance**3 - 2.25 * distance**2 + 1
                else:
                    weight = max(2 - distance, 0) and -0.75 * (
                        distance**3 - 5 * distance**2 + 8 * distance - 4
                    )
                matrix[o, min(max(i, 0), n - 1)] += weight
    return matrix


@st.composite
def _samplings(draw: st.DrawFn) -> dict[str, Any]:
    rank = draw(st.integers(1, 3))
    spatial = [draw(st.integers(1, 8)) for _ in range(rank)]
    kind = draw(st.sampled_from(_KINDS))
    found: dict[str, Any] = {"spatial": spatial, "mode": kind, "align_corners": None}
    if kind in ("linear", "cubic"):
        found["align_corners"] = draw(st.sampled_from([None, False, True]))
    if draw(st.booleans()):
        found["size"] = [draw(st.integers(1, 12)) for _ in range(rank)]
    else:
        factors = st.sampled_from([0.35, 0.5, 0.7, 1.0, 1.1, 4 / 3, 1.5, 2.0, 2.5])
        found["scale_factor"] = [max(draw(factors), 1.0 / n) for n in spatial]
        found["recompute_scale_factor"] = draw(st.booleans())
    return found


@given(case=_samplings(), seed=st.integers(0, 99))
def test_every_kind_is_its_definition(case: dict[str, Any], seed: int) -> None:
    spatial = case.pop("spatial")
    x = normal((2, 2, *spatial), seed)
    y = F.interpolate(x, **case)
    scales = [None] * len(spatial)
    if "scale_factor" in case and not case["recompute_scale_factor"] and case["mode"] != "area":
        scales = case["scale_factor"]
    expected = x
    for axis, (n, m, scale) in enumerate(zip(spatial, y.shape[2:], scales, strict=True), start=2):
        matrix = _weights(n, m, case["mode"], bool(case["align_corners"]), scale)
        expected = np.moveaxis(np.tensordot(matrix, expected, (1, axis)), 0, axis)
    assert_same(y, expected, **_SUMS)
    # ⟨Ax, g⟩ = ⟨x, Aᵀg⟩, and Aᵀ is what backward applies.
    t = tw.tensor(x, requires_grad=True)
    g = normal(y.shape, seed + 1)
    F.interpolate(t, **case).backward(tw.tensor(g))
    assert_same(np.sum(y * g, keepdims=True), np.sum(x * t.grad.numpy(), keepdims=True), **_SUMS)


@pytest.mark.parametrize("kind", ["linear", "cubic"])
@pytest.mark.parametrize("size", [(3, 4), (12, 3), (30, 40), (1, 1)])
def test_against_aliasing_as_pillow_does(kind: str, size: tuple[int, int]) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed: pip install pillow")
    x = normal((13, 17), 1, np.float32)
    how = image.Resampling.BILINEAR if kind == "linear" else image.Resampling.BICUBIC
    expected = np.asarray(image.fromarray(x).resize(size[::-1], how))
    y = F.interpolate(x[None, None], size=size, mode=kind, antialias=True)[0, 0]
    assert_same(
        y, expected, rtol=0, atol=2e-6, reason="float32 sums of up to 221 products; Pillow sums otherwise"
    )


# --- gradients ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("size", [(2, 6), (5, 1)])
def test_gradients_are_difference_quotients(kind: str, size: tuple[int, int]) -> None:
    x = tw.tensor(normal((1, 2, 3, 4), 1), requires_grad=True)
    assert gradcheck(lambda x: F.interpolate(x, size=size, mode=kind), [x])
    # Linear: a second derivative of 0 would prove little, that of a square proves more.
    assert gradgradcheck(lambda x: F.interpolate(x, size=size, mode=kind) ** 2, [x])
    if kind in ("linear", "cubic"):
        assert gradcheck(lambda x: F.interpolate(x, size=size, mode=kind, antialias=True), [x])
        assert gradgradcheck(lambda x: F.interpolate(x, size=size, mode=kind, align_corners=True) ** 2, [x])


@pytest.mark.parametrize("kind", _KINDS)
def test_the_adjoint_has_the_transposed_matrix(kind: str) -> None:
    for n, m in ((1, 5), (5, 1), (7, 3), (3, 7), (6, 6)):
        axis = AxisSampling(n, m, kind)
        assert_same(_dense(adjoint(axis), m), _dense(operator(axis), n).T, **_EXACT)


def _dense(found: Any, width: int) -> np.ndarray[Any, Any]:
    matrix = np.zeros((found.height, width))
    for layer in found.layers:
        rows, columns = np.arange(found.height)[layer.rows], np.arange(width)[layer.sources]
        matrix[rows, columns] += 1.0 if layer.weights is None else layer.weights
    return matrix


def test_samples_that_nothing_sees_have_no_gradient() -> None:
    x = tw.tensor([[[1.0, 2.0, 3.0]]], requires_grad=True)
    F.interpolate(x, size=1).sum().backward()
    assert x.grad.tolist() == [[[1.0, 0.0, 0.0]]]


# --- dtypes, layouts, edges --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", _KINDS)
def test_kinds_and_layouts(kind: str) -> None:
    for dtype in (np.float16, np.float32, np.float64):
        check_kinds(lambda x: F.interpolate(x, size=(5, 3), mode=kind), normal((2, 3, 4, 5), 1, dtype))
    check_layouts(lambda x: F.interpolate(x, size=(3, 9), mode=kind), normal((2, 3, 4, 5), 1))
    last = np.moveaxis(normal((2, 4, 5, 3), 1), -1, 1)
    y = F.interpolate(last, scale_factor=2, mode=kind)
    assert y.strides[1] == 8, "channels last stays channels last"


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int64", "uint32", "float16"])
@pytest.mark.parametrize("kind", ["nearest", "nearest-exact"])
def test_nearest_moves_any_dtype(kind: str, dtype: str) -> None:
    x = (normal((2, 3, 5, 4), 1) > 0).astype(dtype)
    y = F.interpolate(x, size=(7, 3), mode=kind)
    assert y.dtype == x.dtype
    expected = F.interpolate(x.astype(np.float64), size=(7, 3), mode=kind)
    assert_same(y.astype(np.float64), expected, **_EXACT)
    assert F.interpolate(tw.tensor(x), size=2, mode=kind).dtype == x.dtype


def test_half_precision_is_summed_in_single() -> None:
    # 2,048 halves of 1 have a mean of 1; summed in halves they would stop at 2,048/… of it.
    x = np.full((1, 1, 4096), 1.0009766, np.float16)
    y = F.interpolate(x, size=1, mode="area")
    assert_same(y, np.full((1, 1, 1), 1.0009766, np.float16), **_EXACT)
    t = tw.tensor(np.ones((1, 1, 1), np.float16), requires_grad=True)
    F.interpolate(t, size=4097).backward(tw.tensor(np.ones((1, 1, 4097), np.float16)))
    assert t.grad.dtype == np.float16
    # 4,097 rounds to 4,096 in float16; counting there ends at 2,048.
    assert t.grad.item() == 4096


def test_nan_and_infinity_stay_where_they_have_a_weight() -> None:
    x = np.array([[[0.0, np.nan, 2.0, np.inf]]])
    y = F.interpolate(x, size=7, mode="linear", align_corners=True)
    assert_same(y, [[[0.0, np.nan, np.nan, np.nan, 2.0, np.inf, np.inf]]], **_EXACT)
    assert_same(F.interpolate(x, size=2, mode="nearest"), [[[0.0, 2.0]]], **_EXACT)


@pytest.mark.parametrize("kind", _KINDS)
def test_empty_batches_and_channels(kind: str) -> None:
    assert F.interpolate(np.zeros((0, 3, 4)), size=2, mode=kind).shape == (0, 3, 2)
    assert F.interpolate(np.zeros((2, 0, 4, 4)), size=2, mode=kind).shape == (2, 0, 2, 2)
    t = tw.zeros(0, 3, 4, requires_grad=True)
    F.interpolate(t, size=9, mode=kind).sum().backward()
    assert t.grad.shape == (0, 3, 4)


def test_without_a_batch() -> None:
    x = normal((3, 4, 5), 1)
    for arguments in ({"size": (6, 7)}, {"scale_factor": (1.5, 2.0)}):
        assert_same(F.interpolate(x, **arguments), F.interpolate(x[None], **arguments)[0], **_EXACT)


@pytest.mark.parametrize("kind", _KINDS)
def test_every_batch_gives_the_same_bits(kind: str) -> None:
    # Large enough to be worked on in several blocks.
    x = normal((3, 4, 70, 150), 1, np.float32)
    whole = F.interpolate(x, size=(101, 90), mode=kind)
    apart = np.concatenate([F.interpolate(x[i : i + 1], size=(101, 90), mode=kind) for i in range(3)])
    assert np.array_equal(whole, apart)


# --- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: F.interpolate(np.zeros((2, 3)), size=2),
            ShapeError,
            "interpolate needs input (batch, channels, *spatial) with at least one spatial axis. Received: "
            "input with shape (2, 3) and dtype float64. For an input without batch, list the size per "
            "spatial axis.",
        ),
        (
            lambda: F.interpolate(np.zeros(()), size=()),
            ShapeError,
            "interpolate needs input (batch, channels",
        ),
        (
            lambda: F.interpolate([[1.0]], size=2),
            DtypeError,
            "interpolate needs input to be a NumPy array or a Tensor. Received: input of type list.",
        ),
        (
            lambda: F.interpolate(np.zeros((1, 1, 4), np.uint8), size=2, mode="linear"),
            DtypeError,
            "interpolate with mode 'nearest' or 'nearest-exact' moves samples of any dtype; other modes "
            "need floating ones. Received: input with shape (1, 1, 4) and dtype uint8. Convert it first, "
            "for example input.astype('float32').",
        ),
        (
            lambda: F.interpolate(tw.ones(1, 1, 4, dtype=tw.int64), size=2, mode="area"),
            DtypeError,
            "interpolate with mode 'nearest' or 'nearest-exact' moves",
        ),
        (
            lambda: F.interpolate(np.zeros((1, 1, 4), np.clongdouble), size=2),
            DtypeError,
            "interpolate needs input of one of the dtypes float32,",
        ),
        (
            lambda: F.interpolate(np.zeros((1, 1, 4)), size=2**62),
            ShapeError,
            "interpolate needs a result that memory holds. Received: shape=(1, 1, 4611686018427387904).",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(message)
