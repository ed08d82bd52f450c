"""Edge cases of pools: empty axes, windows at and beyond the edges, NaN and infinity, odd arguments."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import random_array

import tilewright as tw
import tilewright.functional as F
from tilewright.errors import ArgumentError, ShapeError

_EXACT = {"rtol": 0, "atol": 0, "reason": "samples are copied, or added up in the same order"}
_FEW = {"rtol": 1e-12, "atol": 1e-12, "reason": "a sum of a few numbers, float64"}
_INF, _NAN = math.inf, math.nan

_SLIDING: dict[str, Any] = {
    "max_pool2d": lambda x, *rest, **named: F.max_pool2d(x, *rest, **named),
    "avg_pool2d": lambda x, *rest, **named: F.avg_pool2d(x, *rest, **named),
    "lp_pool2d": lambda x, *rest, **named: F.lp_pool2d(x, 2, *rest, **named),
}
_FITTED: dict[str, Any] = {
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, 2),
    "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x, 2),
    "global_avg_pool": F.global_avg_pool,
    "global_max_pool": F.global_max_pool,
}


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4), (0, 4, 4)])
def test_an_empty_batch_and_no_channels_give_empty_results_and_gradients(shape: tuple[int, ...]) -> None:
    pools = {**{name: lambda x, f=f: f(x, 2) for name, f in _SLIDING.items()}, **_FITTED}
    for name, pool in pools.items():
        if name.startswith("global") and len(shape) == 3:
            continue
        y = pool(np.zeros(shape))
        assert y.shape == (*shape[:-2], *y.shape[-2:]), name
        t = tw.zeros(*shape, requires_grad=True)
        (first,) = tw.autograd.grad(pool(t).sum(), t, create_graph=True)
        assert tuple(first.shape) == shape, name
        (first.sum() + t.sum()).backward()
        assert tuple(t.grad.shape) == shape, name
    y, indices = F.max_pool2d(np.zeros(shape), 2, return_indices=True)
    assert F.max_unpool2d(y, indices, 2).shape == shape


@pytest.mark.parametrize("shape", [(1, 1, 0, 4), (1, 1, 4, 0), (0, 1, 0, 0)])
@pytest.mark.parametrize("padding", [0, 1, "same"])
def test_an_empty_spatial_axis_is_refused_as_in_pytorch(shape: tuple[int, ...], padding: Any) -> None:
    for name, pool in _SLIDING.items():
        with pytest.raises(ShapeError) as caught:
            pool(np.zeros(shape), 2, padding=padding)
        assert str(caught.value).startswith(
            f"{name} needs every spatial axis of input to hold at least one sample. Received: input with"
        )
    for name, pool in _FITTED.items():
        with pytest.raises(ShapeError, match=f"^{name} needs every spatial axis of input"):
            pool(np.zeros(shape))


def test_ceil_mode_drops_a_window_that_would_lie_in_the_padding() -> None:
    x = np.array([[1.0, 2.0, 3.0, 4.0]])
    # Windows would start at −1, 2 and 5; the last is all padding.
    assert F.max_pool1d(x, 2, 3, 1, ceil_mode=True).tolist() == [[1.0, 4.0]]
    assert F.avg_pool1d(x, 2, 3, 1, ceil_mode=True).tolist() == [[0.5, 3.5]]
    assert F.lp_pool1d(x, 2, 2, 3, padding=1, ceil_mode=True).tolist() == [[1.0, 5.0]]


def test_a_window_of_padding_alone() -> None:
    x = np.array([[1.0, 2.0]])
    with pytest.raises(ArgumentError) as caught:
        F.max_pool1d(x, 1, 1, 2)
    assert str(caught.value).startswith(
        "max_pool1d needs every window to hold at least one sample of the input. Received: input of size (2,)"
    )
    # Zeros that count have a mean, and a norm.
    assert F.avg_pool1d(x, 1, 1, 2).tolist() == [[0.0, 0.0, 1.0, 2.0, 0.0, 0.0]]
    assert F.lp_pool1d(x, 2, 1, 1, padding=2).tolist() == [[0.0, 0.0, 1.0, 2.0, 0.0, 0.0]]
    with pytest.raises(ArgumentError, match="at least one sample of the input"):
        F.avg_pool1d(x, 1, 1, 2, count_include_pad=False)
    assert F.avg_pool1d(x, 1, 1, 2, False, False, 4).tolist() == [[0.0, 0.0, 0.25, 0.5, 0.0, 0.0]]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("ceil", [False, True])
def test_single_samples_with_a_stride(n: int, ceil: bool) -> None:
    x = np.arange(1.0, n + 1)[None]
    for y in (
        F.max_pool1d(x, 1, 2, ceil_mode=ceil),
        F.avg_pool1d(x, 1, 2, ceil_mode=ceil),
        F.lp_pool1d(x, 2, 1, 2, ceil),
    ):
        assert_same(y, x[:, ::2], **_EXACT)


@pytest.mark.parametrize(("count", "divisor", "expected"), [
    (True, None, [[1.0, 3.0, 5.0], [3.0, 6.0, 5.0]]),
    (False, None, [[2.0, 3.0, 5.0], [6.0, 6.0, 5.0]]),
    (True, 2, [[1.0, 3.0, 2.5], [3.0, 6.0, 2.5]]),
    (False, 2, [[1.0, 3.0, 2.5], [3.0, 6.0, 2.5]]),
])  # fmt: skip
def test_what_a_mean_is_divided_by(count: bool, divisor: int | None, expected: Any) -> None:
    """Explicit padding counts if it is to, the overhang of ceil mode never does."""
    x = np.array([[2.0, 1.0, 5.0, 5.0], [6.0, 7.0, 5.0, 5.0]])
    # Windows of two at −1, 1 and 3, of which the last hangs over.
    y = F.avg_pool1d(x, 2, 2, ((1, 0),), True, count, divisor)
    assert_same(y, np.array(expected), **_EXACT)


def test_padding_of_two_sides_names_and_dilation() -> None:
    x = np.array([[1.0, 4.0, 2.0, 3.0, 9.0]])
    assert F.max_pool1d(x, 2, 1, ((0, 1),)).tolist() == [[4.0, 4.0, 3.0, 9.0, 9.0]]
    assert F.max_pool1d(x, 2, 1, ((1, 0),)).tolist() == [[1.0, 4.0, 4.0, 3.0, 9.0]]
    assert F.max_pool1d(x, 2, 1, "causal").tolist() == [[1.0, 4.0, 4.0, 3.0, 9.0]]
    assert F.max_pool1d(x, 2, 2, "same").tolist() == [[4.0, 3.0, 9.0]]
    assert F.max_pool1d(x, 2, 2, "same_lower").tolist() == [[1.0, 4.0, 9.0]]
    assert F.max_pool1d(x, 2, 1, "full").tolist() == [[1.0, 4.0, 4.0, 3.0, 9.0, 9.0]]
    assert F.avg_pool1d(x, 2, 1, dilation=3).tolist() == [[2.0, 6.5]]
    assert F.avg_pool1d(x, 2, 2, "same", count_include_pad=False).tolist() == [[2.5, 2.5, 9.0]]
    assert F.avg_pool1d(x, 2, 2, "same").tolist() == [[2.5, 2.5, 4.5]]


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("name", _SLIDING)
def test_same_gives_the_ceiling_of_size_over_stride(name: str, stride: int) -> None:
    for height, width in ((9, 6), (1, 5), (7, 1)):
        y = _SLIDING[name](np.ones((1, 1, height, width)), 3, stride, padding="same")
        assert y.shape == (1, 1, -(-height // stride), -(-width // stride))


@pytest.mark.parametrize("stride", [(1, 3), (3, 1), (5, 7)])
def test_axes_of_one_sample_with_odd_strides(stride: tuple[int, int]) -> None:
    x = random_array((2, 3, 1, 9), 1)
    for name, pool in _SLIDING.items():
        for ceil in (False, True):
            y = pool(x, (1, 3), stride, ceil_mode=ceil)
            alone = pool(np.moveaxis(x, 2, 3), (3, 1), stride[::-1], ceil_mode=ceil)
            assert y.shape[2] == 1, name
            assert_same(np.moveaxis(y, 2, 3), alone, **_FEW)


@pytest.mark.parametrize("place", range(9))
def test_nan_wins_wherever_it_stands_and_its_index_is_its_own(place: int) -> None:
    x = np.full((1, 1, 3, 3), _INF)
    x.reshape(-1)[place] = _NAN
    for y, indices in (
        F.max_pool2d(x, 3, return_indices=True),
        F.max_pool2d(x, 3, 4, 0, 1, True, True),
        F.adaptive_max_pool2d(x, 1, return_indices=True),
        F.global_max_pool(x, return_indices=True),
    ):
        assert math.isnan(y.item()) and indices.item() == place
    assert math.isnan(F.max_pool2d(x, 3).item())


def test_of_several_nans_the_first_is_found() -> None:
    x = np.array([[1.0, _NAN, _INF, _NAN]])
    assert F.max_pool1d(x, 4, return_indices=True)[1].tolist() == [[1]]
    assert F.adaptive_max_pool1d(x, 1, return_indices=True)[1].tolist() == [[1]]
    y, indices = F.max_pool1d(x, 2, 1, return_indices=True)
    assert np.isnan(y).all() and indices.tolist() == [[1, 1, 3]]


def test_windows_of_minus_infinity_have_a_valid_index() -> None:
    x = np.full((1, 1, 5, 5), -_INF)
    for y, indices in (
        F.max_pool2d(x, 3, 2, 1, return_indices=True),
        F.max_pool2d(x, 2, 3, 1, 1, True, True),
        F.adaptive_max_pool2d(x, 3, return_indices=True),
    ):
        assert np.isneginf(y).all()
        # Each position belongs to its own window, so that the gradient goes to a sample that was seen.
        assert indices.min() >= 0 and indices.max() < 25
        assert np.unique(indices).size == indices.size
    t = tw.tensor(x, requires_grad=True)
    F.max_pool2d(t, 3, 2, 1).sum().backward()
    assert t.grad.numpy().sum() == 9


def test_nan_and_infinity_spread_to_the_windows_that_hold_them() -> None:
    x = np.array([[1.0, 2.0, _INF, 4.0, _NAN, 6.0]])
    assert_same(F.avg_pool1d(x, 2), np.array([[1.5, _INF, _NAN]]), **_EXACT)
    assert_same(F.lp_pool1d(x, 2, 2), np.array([[math.sqrt(5), _INF, _NAN]]), **_FEW)
    assert_same(F.adaptive_avg_pool1d(x, 3), np.array([[1.5, _INF, _NAN]]), **_EXACT)
    assert_same(F.adaptive_avg_pool1d(x, 4), np.array([[1.5, _INF, _NAN, _NAN]]), **_EXACT)
    # Windows of several lengths: what is none of a window's never reaches it.
    assert_same(F.adaptive_avg_pool1d(x[:, :3], 2), np.array([[1.5, _INF]]), **_EXACT)


@pytest.mark.parametrize("p", [1, 2, 3, 4, 1.5, 0.5])
def test_a_norm_of_zeros_has_no_gradient_and_no_nan(p: float) -> None:
    t = tw.tensor(np.array([[0.0, 0.0, 0.0, 3.0]]), requires_grad=True)
    (first,) = tw.autograd.grad(F.lp_pool1d(t, p, 2).sum(), t, create_graph=True)
    expected = [[0.0, 0.0, 1.0 if p == 1 else 0.0, 1.0]]
    assert_same(first.detach(), np.array(expected), **_FEW)
    (first * first).sum().backward()
    # A sum's gradient does not depend on what is added up.
    assert t.grad is None if p == 1 else np.isfinite(t.grad.numpy()).all()


def test_negative_samples_have_real_norms() -> None:
    x = np.array([[-3.0, -4.0]])
    for p, y in ((1, -7.0), (2, 5.0), (3, -(91 ** (1 / 3))), (1.5, (27**0.5 + 8) ** (2 / 3))):
        assert_same(F.lp_pool1d(x, p, 2), np.array([[y]]), **_FEW)
        # A norm of the sizes, for any p.
        assert_same(F.lp_pool1d(tw.tensor(x).abs(), p, 2), np.array([[abs(y)]]), **_FEW)


def test_a_kernel_wider_than_what_is_padded_is_refused() -> None:
    for name, pool in _SLIDING.items():
        with pytest.raises(ShapeError, match=f"^{name} needs the window to fit into the padded input."):
            pool(np.zeros((1, 1, 4, 4)), 7, 1, padding=1)


@pytest.mark.parametrize(
    ("named", "text"),
    [
        ({"kernel_size": 0}, "kernel_size to be at least 1. Received: kernel_size=0."),
        ({"kernel_size": (2, 2, 2)}, "kernel_size to be an integer or 2 of them"),
        ({"kernel_size": 2.5}, "kernel_size to be an integer. Received: kernel_size=2.5."),
        ({"kernel_size": np.float64(2)}, "kernel_size to be an integer."),
        ({"kernel_size": "2"}, "kernel_size to be an integer. Received: kernel_size='2'."),
        ({"kernel_size": None}, "kernel_size to be an integer. Received: kernel_size=None."),
        ({"stride": 0}, "stride to be at least 1. Received: stride=0."),
        ({"stride": (1,)}, "stride to be an integer or 2 of them"),
        ({"stride": 1.0}, "stride to be an integer. Received: stride=1.0."),
        ({"padding": -1}, "padding of at least 0. Received: padding=-1."),
        ({"padding": ((0, 0), (0, -1))}, "padding of at least 0."),
        ({"padding": 0.5}, "padding to be an integer. Received: padding=0.5."),
        (
            {"padding": (1, 1, 1)},
            "padding to be an integer, 2 integers (one per spatial axis), 2 (before, after)",
        ),
        ({"padding": "some"}, "knows the padding names 'valid', 'same', 'same_lower', 'full', 'causal'."),
        ({"padding": None}, "padding to be an integer. Received: padding=None."),
        ({"dilation": 0}, "dilation to be at least 1. Received: dilation=0."),
        ({"dilation": 1.5}, "dilation to be an integer. Received: dilation=1.5."),
    ],
)
@pytest.mark.parametrize("name", _SLIDING)
def test_wrong_arguments_are_named(name: str, named: dict[str, Any], text: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        _SLIDING[name](np.zeros((1, 1, 6, 6)), **{"kernel_size": 2, **named})
    assert text in str(caught.value) and str(caught.value).startswith(f"{name} ")


@pytest.mark.parametrize(
    "wrong", [np.zeros((1, 1, 4, 4), bool), np.zeros((1, 1, 4, 4), np.clongdouble), [[1.0]], None, "x"]
)
@pytest.mark.parametrize("name", [*_SLIDING, *_FITTED])
def test_what_is_no_array_of_numbers_is_refused(name: str, wrong: Any) -> None:
    pool = _FITTED.get(name) or (lambda x: _SLIDING[name](x, 2))
    with pytest.raises(TypeError) as caught:
        pool(wrong)
    assert str(caught.value).startswith(f"{name} needs input")
    assert "Received: input " in str(caught.value)
