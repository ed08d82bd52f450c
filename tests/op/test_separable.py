"""Kernels that are outer products of vectors: how they are found, and what their passes compute."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import AWKWARD, awkward, random_array
from hypothesis import given, settings
from hypothesis import strategies as st

import tilewright as tw
from tilewright import reference
from tilewright.geometry import ConvDims
from tilewright.kernel import buffers, jit, threads
from tilewright.op import calls, separable
from tilewright.op.conv import conv_data_gradient, conv_forward
from tilewright.plan import choose, precision
from tilewright.plan import separable as rule

pytestmark = pytest.mark.skipif(not jit.available(), reason="passes are compiled kernels")

Array = np.ndarray[Any, Any]


def outer(shape: tuple[int, ...], seed: int, dtype: Any = np.float64) -> Array:
    """Weights (channels, 1, *kernel) that are rounded outer products of random vectors."""
    rng = np.random.default_rng(seed)
    product = np.ones((shape[0], *(1,) * (len(shape) - 1)))
    for axis in range(2, len(shape)):
        size = [shape[0], *(shape[a] if a == axis else 1 for a in range(1, len(shape)))]
        product = product * rng.standard_normal(size)
    return product.astype(dtype)


def gaussian(taps: int, sigma: float) -> Array:
    line = np.exp(-0.5 * ((np.arange(taps) - taps // 2) / sigma) ** 2)
    return line / line.sum()


_SOBEL = np.outer([1.0, 2.0, 1.0], [1.0, 0.0, -1.0])
_FOUND = {
    "box": np.full((9, 9), 1 / 81),
    "gaussian": np.outer(gaussian(31, 4.0), gaussian(31, 4.0)),
    "narrow gaussian": np.outer(gaussian(31, 0.4), gaussian(31, 0.4)),
    "binomial": np.outer([1.0, 4.0, 6.0, 4.0, 1.0], [1.0, 4.0, 6.0, 4.0, 1.0]) / 256,
    "sobel": _SOBEL,
    "zeros": np.zeros((7, 5)),
    "one tap": np.pad([[2.0]], 3),
    "volume": np.multiply.outer(_SOBEL, [1.0, 2.0, 1.0]),
    "scaled": np.outer(gaussian(15, 2.0), gaussian(11, 3.0)) / 7 * 3,
    "of rank 2": _SOBEL + _SOBEL.T,
    "almost": np.outer(gaussian(9, 2.0), gaussian(9, 2.0)) * (1 + 1e-5 * np.eye(9)),
    "corner": np.pad([[1.0, 0.0], [0.0, 1.0]], 2),
    "nan": np.where(_SOBEL == 2, np.nan, _SOBEL),
    "infinite": np.where(_SOBEL == 2, np.inf, _SOBEL),
}
_NONE = {"of rank 2", "almost", "corner", "nan", "infinite"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", _FOUND)
def test_known_kernels(name: str, dtype: str) -> None:
    w = _FOUND[name][None, None].astype(dtype)
    found = separable.factors(w)
    assert (found is None) == (name in _NONE)
    if found is not None:
        eps = float(np.finfo(dtype).eps)
        rebuilt = np.ones((), np.float64)
        for vector in found:
            assert vector.dtype == w.dtype
            assert sum(n > 1 for n in vector.shape) <= 1
            rebuilt = rebuilt * vector
        assert_same(
            rebuilt,
            w.astype(np.float64),
            rtol=5 * w.ndim * eps,
            atol=1e-40,
            reason="4 eps, and a rounding of each vector; a few of float32's smallest numbers",
        )


@settings(max_examples=200)
@given(
    st.integers(2, 40), st.integers(2, 40), st.integers(0, 1 << 20), st.sampled_from(["float32", "float64"])
)
def test_rounded_products_are_found_and_changed_ones_not(
    rows: int, columns: int, seed: int, dtype: str
) -> None:
    w = outer((3, 1, rows, columns), seed, dtype)
    assert separable.factors(w) is not None
    scaled = (w * w.dtype.type(1 / 3)).astype(dtype)
    assert separable.factors(scaled) is not None
    # One weight of one channel, changed by 20 eps of itself.
    rng = np.random.default_rng(seed)
    place = (rng.integers(3), 0, rng.integers(rows), rng.integers(columns))
    w[place] *= 1 + 20 * np.finfo(dtype).eps
    found = separable.factors(w)
    if found is not None:
        # Only where it is the pivot's line that was changed, and the other line has a single tap beside it.
        assert min(rows, columns) == 2


# -- the passes ------------------------------------------------------------------------------------------

_CASES = {
    "picture": ConvDims.of((2, 1, 200, 300), (1, 1, 31, 31), padding="same"),
    "colours": ConvDims.of((2, 3, 150, 170), (3, 1, 21, 25), padding=(3, 12), groups=3),
    "multiplier": ConvDims.of((1, 2, 150, 130), (6, 1, 17, 19), groups=2),
    "dilated": ConvDims.of((1, 1, 200, 220), (1, 1, 15, 17), dilation=(2, 3), padding="same"),
    "cropped": ConvDims.of((1, 1, 220, 220), (1, 1, 21, 21), padding=((-9, 30), (25, -10))),
    "volume": ConvDims.of((1, 1, 40, 50, 60), (1, 1, 9, 7, 11), padding=3),
    "middle axis of one tap": ConvDims.of((1, 1, 30, 50, 90), (1, 1, 21, 1, 21), padding=(10, 2, 10)),
    "many channels": ConvDims.of((2, 64, 56, 56), (64, 1, 31, 31), padding="same", groups=64),
    "large": ConvDims.of((1, 1, 1080, 1920), (1, 1, 21, 21), padding="same"),
}


@pytest.mark.parametrize("name", _CASES)
def test_passes(name: str) -> None:
    dims = _CASES[name]
    assert rule.pays(dims, "float64")
    w = outer(dims.weight_shape, 2)
    x, bias = random_array(dims.input_shape, 1), random_array((dims.out_channels,), 3)
    y = np.full(dims.output_shape, np.nan)
    assert separable.forward(dims, x, w, bias, y)
    scale = float(np.sqrt((w**2).sum() / dims.out_channels))
    same = {"rtol": 1e-11, "atol": 1e-12 * scale, "reason": "the same sum in another order, float64"}
    assert_same(y, conv_forward(dims, x, w, bias, exact=True), **same)
    assert_same(conv_forward(dims, x, w, bias), y, rtol=0, atol=0, reason="it is the way that is taken")
    gy, gx = random_array(dims.output_shape, 4), np.full(dims.input_shape, np.nan)
    if separable.data_gradient(dims, gy, w, None, gx):
        assert_same(gx, conv_data_gradient(dims, gy, w, exact=True), **same)
        assert_same(conv_data_gradient(dims, gy, w), gx, rtol=0, atol=0, reason="it is the way that is taken")
    else:
        assert dims.out_channels > dims.groups


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_strips_of_any_size(data: st.DataObject) -> None:
    rank = data.draw(st.integers(2, 3))
    longest = {2: 20, 3: 9}[rank]
    kernel = [data.draw(st.integers(1, 5)) for _ in range(rank)]
    dilation = [data.draw(st.integers(1, 2)) for _ in range(rank)]
    spatial = [
        data.draw(st.integers(d * (k - 1) + 1, longest)) for k, d in zip(kernel, dilation, strict=True)
    ]
    groups, multiplier = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 2))
    pairs = tuple((data.draw(st.integers(-1, 4)), data.draw(st.integers(0, 4))) for _ in range(rank))
    try:
        dims = ConvDims.of(
            (2, groups, *spatial),
            (groups * multiplier, 1, *kernel),
            padding=pairs,
            dilation=tuple(dilation),
            groups=groups,
        )
    except ValueError:
        return
    if 0 in dims.output_shape or sum(k > 1 for k in kernel) < 2:
        return
    w = outer(dims.weight_shape, 2)
    x, bias = random_array(dims.input_shape, 1), random_array((dims.out_channels,), 3)
    y = np.full(dims.output_shape, np.nan)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(separable, "pays", lambda dims, dtype: True)
        patch.setattr(separable, "BETWEEN_BYTES", data.draw(st.sampled_from([1, 500, 4000, 1 << 20])))
        assert separable.forward(dims, x, w, bias, y)
    expected = reference.conv.forward(dims, x, w, bias)
    assert_same(y, expected, rtol=1e-11, atol=1e-11, reason="the same sum in another order, float64")


@pytest.mark.parametrize("kind", AWKWARD)
def test_awkward_layouts(kind: str) -> None:
    dims = _CASES["colours"]
    x, w = random_array(dims.input_shape, 1), outer(dims.weight_shape, 2)
    y = conv_forward(dims, awkward(x, kind), awkward(w, kind))
    same = {"rtol": 1e-11, "atol": 1e-10, "reason": "the same sum in another order, float64"}
    assert_same(y, conv_forward(dims, x, w, exact=True), **same)


@pytest.mark.parametrize("kernel", ["random", "gaussian", "box"])
@pytest.mark.parametrize("taps", [(15, 15), (31, 31), (9, 9, 9)])
def test_errors_are_within_three_times_those_of_a_product_of_matrices(
    taps: tuple[int, ...], kernel: str
) -> None:
    size = (300, 400) if len(taps) == 2 else (48, 48, 48)
    dims = ConvDims.of((1, 1, *size), (1, 1, *taps))
    assert rule.pays(dims, "float32")
    w = outer(dims.weight_shape, 5, np.float32)
    if kernel != "random":
        line = gaussian(taps[0], taps[0] / 6) if kernel == "gaussian" else np.full(taps[0], 1 / taps[0])
        product = np.ones(())
        for _ in taps:
            product = np.multiply.outer(product, line)
        w = product.astype(np.float32)[None, None]
    x = random_array(dims.input_shape, 1, np.float32)
    y = conv_forward(dims, x, w)
    exact = conv_forward(dims, x.astype(np.float64), w.astype(np.float64), exact=True)
    windows = np.lib.stride_tricks.sliding_window_view(x[0, 0], taps)[::7, ::7]
    product = windows.reshape(-1, math.prod(taps)) @ w.reshape(-1)
    wanted = exact[0, 0, ::7, ::7]
    theirs = float(np.sqrt(np.mean((product - wanted.reshape(-1)) ** 2)))
    ours = float(np.sqrt(np.mean((y[0, 0, ::7, ::7] - wanted) ** 2)))
    assert 0 < ours <= 3 * theirs


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_not_finite_is_the_definitions(value: float) -> None:
    dims = _CASES["colours"]
    x, w = random_array(dims.input_shape, 1, np.float32), outer(dims.weight_shape, 2, np.float32)
    w[:, :, 4] = 0  # with an infinity: NaN, in the definition as well
    whole = conv_forward(dims, x, w)
    x[0, 1, 70, 80] = value
    y, expected = conv_forward(dims, x, w), conv_forward(dims, x, w, exact=True)
    assert not np.isfinite(expected[0]).all() and np.isfinite(expected[0]).any()
    assert y[0].tobytes() == expected[0].tobytes()
    assert y[1].tobytes() == whole[1].tobytes()


def test_sums_that_overflow_between_the_passes_are_the_definitions() -> None:
    dims = ConvDims.of((1, 1, 200, 200), (1, 1, 31, 31))
    x = np.full(dims.input_shape, 3e37, np.float32)
    w = np.full(dims.weight_shape, 1e-3, np.float32)
    assert separable.factors(w) is not None
    y = conv_forward(dims, x, w)
    assert_same(y, np.full(y.shape, 3e37 * 0.961, np.float32), rtol=1e-5, atol=0, reason="961 roundings")


@pytest.mark.parametrize("name", ["large", "many channels", "volume", "multiplier"])
def test_what_lies_between_is_bounded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dims = _CASES[name]
    x, w = random_array(dims.input_shape, 1), outer(dims.weight_shape, 2)
    y = np.empty(dims.output_shape)
    asked, empty = [], buffers.empty

    def counted(shape: tuple[int, ...], dtype: Any) -> Array:
        asked.append(math.prod(shape) * np.dtype(dtype).itemsize)
        return empty(shape, dtype)

    monkeypatch.setattr(separable.buffers, "empty", counted)
    assert separable.forward(dims, x, w, None, y)
    assert asked and max(asked) <= rule.BETWEEN_BYTES


@pytest.mark.parametrize("name", ["picture", "colours", "volume", "many channels"])
def test_bits_depend_on_neither_threads_nor_batch(name: str) -> None:
    dims = _CASES[name].with_batch(3)
    x, w = random_array(dims.input_shape, 1, np.float32), outer(dims.weight_shape, 2, np.float32)
    before = threads.get_num_threads()
    try:
        found = []
        for count in (1, 2, 7):
            threads.set_num_threads(count)
            found.append(conv_forward(dims, x, w).tobytes())
        one = dims.with_batch(1)
        parts = b"".join(conv_forward(one, x[n : n + 1], w).tobytes() for n in range(3))
    finally:
        threads.set_num_threads(before)
    assert {*found, parts} == {found[0]}


# -- when --------------------------------------------------------------------------------------------------


def test_when_it_pays() -> None:
    def of(taps: int, **arguments: Any) -> bool:
        dims = ConvDims.of((1, 1, 1080, 1920), (1, 1, taps, taps), **arguments)
        assert rule.pays(dims, "float32") == rule.pays(dims.with_batch(50), "float32")
        return rule.pays(dims, "float32")

    assert [of(taps) for taps in (1, 3, 5, 15, 31, 101)] == [False, False, False, True, True, True]
    assert not of(31, stride=2)
    assert not rule.pays(ConvDims.of((1, 1, 1 << 20), (1, 1, 255)), "float32")
    assert not rule.pays(ConvDims.of((1, 1, 500, 900), (1, 1, 1, 255)), "float32")
    assert not rule.pays(ConvDims.of((1, 3, 500, 900), (1, 3, 31, 31)), "float32")
    assert not rule.pays(ConvDims.of((1, 1, 40, 40), (1, 1, 5, 5)), "float32")
    assert not rule.pays(_CASES["picture"], "int32")
    with precision("exact"):
        assert not of(31)


def test_exact_sums_are_the_definitions() -> None:
    dims = _CASES["picture"]
    x, w = random_array(dims.input_shape, 1, np.float32), outer(dims.weight_shape, 2, np.float32)
    with precision("exact"):
        y = conv_forward(dims, x, w)
    assert y.tobytes() == conv_forward(dims, x, w, exact=True).tobytes()
    assert y.tobytes() != conv_forward(dims, x, w).tobytes()


def test_weights_that_change_in_place_are_looked_at_anew() -> None:
    x, w = random_array((1, 1, 200, 300), 1), outer((1, 1, 31, 31), 2)
    dims = ConvDims.of(x.shape, w.shape, padding=15)
    same = {"rtol": 1e-11, "atol": 1e-9, "reason": "sums of 961 products in another order, float64"}
    calls._known.clear()
    for _ in range(3):
        assert_same(tw.conv(x, w, padding=15), conv_forward(dims, x, w, exact=True), **same)
        w[0, 0, 3, 4] += 1
        assert separable.factors(w) is None
        assert_same(tw.conv(x, w, padding=15), conv_forward(dims, x, w, exact=True), **same)
        w[...] = outer(w.shape, 7)


def test_a_call_met_before_is_answered_as_the_first() -> None:
    """Also where another kernel of the shape would be left to a family whose calls are remembered."""
    x, w = random_array((1, 1, 300, 400), 1), outer((1, 1, 15, 15), 2)
    dims = ConvDims.of(x.shape, w.shape, padding=7)
    assert rule.pays(dims, "float64") and choose("forward", dims, "float64").family == "planes"
    calls._known.clear()
    first, second = (tw.conv(x, w, padding=7).tobytes() for _ in range(2))
    assert first == second != conv_forward(dims, x, w, exact=True).tobytes()


def test_bias_and_activation() -> None:
    dims = _CASES["colours"]
    x, w = random_array(dims.input_shape, 1), outer(dims.weight_shape, 2)
    bias = random_array((3,), 3)
    y = conv_forward(dims, x, w, bias, activation="leaky_relu", slope=0.1)
    plain = conv_forward(dims, x, w, bias)
    assert_same(y, np.where(plain > 0, plain, 0.1 * plain), rtol=1e-15, atol=0, reason="one product")


def test_gradients_are_those_of_the_convolution() -> None:
    x = tw.tensor(random_array((1, 1, 150, 170), 1), requires_grad=True)
    w = tw.tensor(outer((1, 1, 21, 21), 2), requires_grad=True)
    y = tw.functional.conv2d(x, w, padding=10)
    gy = random_array(y.shape, 3)
    y.backward(tw.tensor(gy))
    found = x.grad.numpy(), w.grad.numpy()
    with precision("exact"):
        x.grad = w.grad = None
        tw.functional.conv2d(x, w, padding=10).backward(tw.tensor(gy))
    same = {"rtol": 1e-11, "atol": 1e-9, "reason": "sums in another order, float64"}
    assert_same(found[0], x.grad.numpy(), **same)
    assert_same(found[1], w.grad.numpy(), **same)


def test_explain_shows_the_passes() -> None:
    x, w = np.zeros((1, 1, 1080, 1920), np.float32), outer((1, 1, 31, 15), 2, np.float32)
    for operation in ("forward", "data_gradient"):
        explanation = tw.explain(x, w, padding=(15, 7), operation=operation)
        assert [plan.dims.kernel for plan in explanation.passes] == [(31, 1), (1, 15)]
        text = str(explanation)
        assert text.startswith("The kernel is an outer product, computed in passes along its axes:\n")
        assert "\n  31×1 taps forward by planes: float32" in text
        assert "\n  1×15 taps forward by planes: float32" in text
        assert "\nFor another kernel of this shape:\n" in text
    assert tw.explain(x, tw.tensor(w)).passes
    assert not tw.explain(x.shape, w.shape).passes
    assert not tw.explain(x, w, operation="weight_gradient").passes
    assert not tw.explain(x, w, stride=2).passes
    assert not tw.explain(x, w, stride=2, operation="data_gradient").passes
    w[0, 0, 3, 4] += 1
    assert not tw.explain(x, w).passes
