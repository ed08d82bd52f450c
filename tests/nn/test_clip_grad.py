"""Gradients held within bounds: by hand, beside PyTorch, at the edges of the floats, and refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st

import tilewright as tw
from tilewright import nn
from tilewright.errors import ArgumentError, DtypeError, StateError, TilewrightError
from tilewright.nn.utils import clip_grad_norm_, clip_grad_value_, get_total_norm

INF = float("inf")


def holders(*gradients: Any) -> list[tw.Tensor]:
    """Parameters with these gradients; None leaves one without."""
    found = []
    for gradient in gradients:
        array = np.zeros(2, np.float32) if gradient is None else np.asarray(gradient)
        parameter = tw.tensor(np.zeros(array.shape, array.dtype), requires_grad=True)
        if gradient is not None:
            parameter.grad = tw.from_numpy(array)
        found.append(parameter)
    return found


def gradients(parameters: list[tw.Tensor]) -> list[Any]:
    return [None if p.grad is None else p.grad.numpy() for p in parameters]


class TestNorm:
    @pytest.mark.parametrize(
        ("order", "norm"), [(2, 13.0), (1, 19.0), (INF, 12.0), (3, (3**3 + 4**3 + 12**3) ** (1 / 3))]
    )
    def test_by_hand(self, order: float, norm: float) -> None:
        params = holders([3.0, 0.0], None, [[-4.0], [12.0]])
        total = clip_grad_norm_(params, 1.0, order)
        assert total.shape == () and total.dtype == tw.float64
        assert_same(total, np.float64(norm), rtol=1e-15, atol=0, reason="two roundings of float64")
        for found, start in zip(
            gradients(params), (np.array([3.0, 0.0]), None, np.array([[-4.0], [12.0]])), strict=True
        ):
            if start is not None:
                expected = start * (1 / (norm + 1e-6))
                assert_same(found, expected, rtol=1e-15, atol=0, reason="two roundings of float64")
        assert params[1].grad is None

    def test_what_is_small_enough_stays_to_the_bit(self) -> None:
        start = np.random.default_rng(0).standard_normal(7).astype(np.float32)
        params = holders(start.copy())
        clip_grad_norm_(params, 100.0)
        assert np.array_equal(gradients(params)[0], start)
        assert clip_grad_norm_(params[0], 100.0).item() == clip_grad_norm_(iter(params), 100.0).item()

    def test_without_gradients_the_norm_is_zero(self) -> None:
        for params in ([], holders(None), holders(np.zeros((0, 3), np.float32))):
            total = clip_grad_norm_(params, 1.0)
            assert total.item() == 0 and total.dtype == tw.float32

    def test_a_bound_of_zero(self) -> None:
        params = holders([1.0, -2.0])
        clip_grad_norm_(params, 0.0)
        assert not gradients(params)[0].any()

    def test_floats_at_their_edges(self) -> None:
        large = np.full(4, 1e30, np.float32)
        params = holders(large.copy())
        assert clip_grad_norm_(params, 1.0).item() == np.float32(2 * np.float64(np.float32(1e30)))
        assert_same(
            gradients(params)[0],
            np.full(4, 0.5, np.float32),
            rtol=1e-6,
            atol=0,
            reason="two roundings of float32",
        )
        for scale in (1e200, 1e-200, 1e300):
            for order in (1.0, 2.0, 3.0, 7.5, INF):
                total = get_total_norm(tw.tensor([scale, -scale], dtype=tw.float64), order).item()
                expected = scale * (1 if order == INF else 2 ** (1 / order))
                assert total == pytest.approx(expected, rel=1e-13)
        half = holders(np.full(100, 60000, np.float16))
        assert math.isinf(clip_grad_norm_(half, 10.0).item())  # 600,000 is no float16
        assert_same(
            gradients(half)[0],
            np.ones(100, np.float16),
            rtol=2e-3,
            atol=0,
            reason="two roundings of float16",
        )

    def test_a_norm_that_is_not_finite(self) -> None:
        for values, after in (
            ([1.0, math.nan], [math.nan, math.nan]),
            ([1.0, INF, -INF], [0.0, math.nan, math.nan]),
        ):
            for order in (1.0, 2.0, 2.5, INF):
                params = holders(np.float32(values))
                total = clip_grad_norm_(params, 1.0, order).item()
                assert math.isnan(total) if math.nan in values else total == INF
                assert_same(
                    gradients(params)[0], np.float32(after), rtol=0, atol=0, reason="the formula's values"
                )
                untouched = holders(np.float32(values))
                with pytest.raises(StateError) as error:
                    clip_grad_norm_(untouched, 1.0, order, error_if_nonfinite=True)
                assert str(error.value) == (
                    f"clip_grad_norm_ needs gradients whose norm is finite. Received: a norm of {total} "
                    "over 1 gradients. Pass error_if_nonfinite=False to scale them all the same."
                )
                assert_same(
                    gradients(untouched)[0], np.float32(values), rtol=0, atol=0, reason="nothing was changed"
                )

    def test_how_an_array_lies_changes_no_bit(self) -> None:
        base = np.random.default_rng(0).standard_normal((40, 60, 20)).astype(np.float32)
        expected = get_total_norm(tw.tensor(base)).item()
        for view in (np.asfortranarray(base), np.repeat(base, 2, 2)[..., ::2], base[::-1].copy()[::-1]):
            assert get_total_norm(tw.from_numpy(view)).item() == expected

    def test_gradients_that_a_program_set(self) -> None:
        shared = np.float32([3.0, 4.0])
        read_only = shared.copy()
        read_only.flags.writeable = False
        spread = np.broadcast_to(np.float32(2.0), (4,))
        for gradient, expected in ((read_only, [0.6, 0.8]), (spread, [0.5] * 4)):
            params = holders(gradient)
            clip_grad_norm_(params, 1.0)
            assert_same(
                gradients(params)[0], np.float32(expected), rtol=1e-6, atol=0, reason="a float32 rounding"
            )
        assert read_only.tolist() == [3.0, 4.0] and spread[0] == 2.0
        strided = np.zeros((2, 6), np.float32)
        strided[:, ::-2] = 1
        params = holders(strided[:, ::-2])
        clip_grad_norm_(params, 1.0)
        assert_same(
            strided[:, 1::2],
            np.full((2, 3), 1 / math.sqrt(6), np.float32),
            rtol=1e-6,
            atol=0,
            reason="two roundings of float32",
        )

    def test_a_training_step(self) -> None:
        model = nn.Linear(3, 2)
        (model(tw.ones(4, 3)) * 1000).square().sum().backward()
        before = clip_grad_norm_(model.parameters(), 0.5).item()
        after = get_total_norm([p.grad for p in model.parameters()]).item()
        assert before > 1 and after == pytest.approx(0.5, rel=1e-6)


class TestValue:
    def test_by_hand(self) -> None:
        params = holders(np.float32([3.0, -0.5, -INF, math.nan, -4.0]), None)
        assert clip_grad_value_(params, 1.5) is None
        expected = np.float32([1.5, -0.5, -1.5, math.nan, -1.5])
        assert_same(gradients(params)[0], expected, rtol=0, atol=0, reason="only comparisons")
        clip_grad_value_(params[0], 0)
        assert np.nanmax(np.abs(gradients(params)[0])) == 0

    def test_read_only(self) -> None:
        values = np.float32([3.0, -3.0])
        values.flags.writeable = False
        params = holders(values)
        clip_grad_value_(params, 1.0)
        assert gradients(params)[0].tolist() == [1.0, -1.0] and values.tolist() == [3.0, -3.0]


@settings(max_examples=60)
@given(
    shapes=st.lists(st.lists(st.integers(1, 5), max_size=3), min_size=1, max_size=4),
    order=st.sampled_from([0.5, 1.0, 2.0, 2.5, 4.0, INF]),
    bound=st.sampled_from([0.0, 0.1, 1.0, 1000.0]),
    double=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_beside_pytorch(shapes: list[list[int]], order: float, bound: float, double: bool, seed: int) -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch, to compare with")
    numbers = np.random.default_rng(seed)
    dtype = np.float64 if double else np.float32
    drawn = [np.asarray(3 * numbers.standard_normal(shape), dtype) for shape in shapes]
    ours = holders(*(array.copy() for array in drawn))
    theirs = []
    for array in drawn:
        parameter = torch.zeros(array.shape, dtype=torch.float64 if double else torch.float32)
        parameter.grad = torch.tensor(array)
        theirs.append(parameter)
    close = {
        "rtol": 1e-12 if double else 3e-5,
        "atol": 1e-30,
        "reason": "PyTorch sums in the gradients' dtype, and takes the norm of the norms",
    }
    mine = clip_grad_norm_(ours, bound, order)
    its = torch.nn.utils.clip_grad_norm_(theirs, bound, order)
    assert_same(mine, its, **close)
    for p, q in zip(ours, theirs, strict=True):
        assert_same(p.grad, q.grad, **close)
    clip_grad_value_(ours, 0.05)
    torch.nn.utils.clip_grad_value_(theirs, 0.05)
    for p, q in zip(ours, theirs, strict=True):
        assert_same(p.grad, q.grad, **close)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: clip_grad_norm_(3, 1.0),
            DtypeError,
            "clip_grad_norm_ needs an iterable of Tensors, or one. Received: parameters=3.",
        ),
        (
            lambda: clip_grad_norm_(np.zeros(2), 1.0),
            DtypeError,
            "clip_grad_norm_ needs an iterable of Tensors, or one. "
            "Received: parameters with shape (2,) and dtype float64.",
        ),
        (
            lambda: clip_grad_value_(["a"], 1.0),
            DtypeError,
            "clip_grad_value_ needs Tensors. Received: parameters='a'.",
        ),
        (
            lambda: get_total_norm([tw.ones(2, dtype=tw.int64)]),
            DtypeError,
            "get_total_norm needs floating numbers. Received: tensors with shape (2,) and dtype int64.",
        ),
        (
            lambda: clip_grad_norm_([], -1.0),
            ArgumentError,
            "clip_grad_norm_ needs max_norm to be a finite number, at least 0. Received: max_norm=-1.0.",
        ),
        (
            lambda: clip_grad_norm_([], 1.0, 0),
            ArgumentError,
            "clip_grad_norm_ needs norm_type to be above 0, or infinity. Received: norm_type=0.",
        ),
        (
            lambda: clip_grad_norm_([], 1.0, "inf"),
            ArgumentError,
            "clip_grad_norm_ needs norm_type to be a finite number, at least 0. Received: norm_type='inf'.",
        ),
        (
            lambda: clip_grad_value_([], None),
            ArgumentError,
            "clip_grad_value_ needs clip_value to be a finite number, at least 0. Received: clip_value=None.",
        ),
        (
            lambda: get_total_norm(tw.tensor([INF]), error_if_nonfinite=True),
            StateError,
            "get_total_norm needs numbers whose norm is finite. Received: a norm of inf.",
        ),
    ],
)
def test_refusals(call: Any, kind: type[TilewrightError], message: str) -> None:
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == message
