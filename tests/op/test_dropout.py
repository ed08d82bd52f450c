"""Dropout on arrays: the same elements in any layout and dtype, on any threads, with and without kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
import tilewright.functional as F
from tilewright.kernel import threads
from tilewright.kernel.elementwise import draws
from tilewright.op.dropout import Kept, drop, dropped
from tilewright.op.random import Generator
from tilewright.plan import compiled

EXACT = {"rtol": 0, "atol": 0, "reason": "the same products"}
KEY = (123456789, (1 << 64) - 3)


def normal(shape: tuple[int, ...], dtype: Any = np.float32) -> Any:
    return np.random.default_rng(1).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (7,), (64,), (65,), (3, 5, 7), (40, 50, 30)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_definition(shape: tuple[int, ...], dtype: Any) -> None:
    x = np.asarray(normal(shape, dtype), dtype)
    p = 0.3
    y, kept = dropped(x, p, KEY)
    bits = draws.drawn(-(-x.size // 64), (round(0.7 * 65536), *KEY))
    mask = np.unpackbits(bits.view(np.uint8), bitorder="little")[: x.size].astype(bool).reshape(shape)
    assert_same(kept.mask(), mask, **EXACT)
    assert_same(y, np.asarray(x * np.where(mask, dtype(1 / (1 - p)), dtype(0)), dtype), **EXACT)
    # The same again, as the gradient goes back.
    g = np.asarray(x * 2, dtype)
    assert_same(drop(g, kept, p), np.asarray(g * np.where(mask, dtype(1 / (1 - p)), dtype(0))), **EXACT)
    assert_same(drop(g, kept, p), drop(g, kept.mask(), p), **EXACT)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_same_elements_without_kernels(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # More than NumPy draws at a time.
    x = normal((70_001,), dtype)
    y, kept = dropped(x, 0.2, KEY)
    monkeypatch.setattr(compiled, "serves", lambda dtype: False)
    alone, kept_alone = dropped(x, 0.2, KEY)
    assert_same(alone, y, **EXACT)
    assert_same(kept_alone.mask(), kept.mask(), **EXACT)
    assert_same(drop(x, kept, 0.2), y, **EXACT)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layout_and_threads_decide_nothing(dtype: Any) -> None:
    x = normal((20, 30, 40), dtype)
    before = threads.get_num_threads()
    expected, kept = dropped(x, 0.4, KEY)
    for other in (
        np.asfortranarray(x),
        np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1),
        x[::-1].copy()[::-1],
        np.repeat(x, 2, axis=2)[:, :, ::2],
    ):
        y, same = dropped(other, 0.4, KEY)
        assert_same(y, expected, **EXACT)
        assert_same(same.mask(), kept.mask(), **EXACT)
        assert_same(drop(other, kept, 0.4), expected, **EXACT)
        # As NumPy lays out the product with a mask.
        assert y.strides == (other * kept.mask()).strides
    try:
        for count in (1, 2, 3, 7):
            threads.set_num_threads(count)
            y, same = dropped(x, 0.4, KEY)
            assert_same(y, expected, **EXACT)
            assert_same(same.mask(), kept.mask(), **EXACT)
    finally:
        threads.set_num_threads(before)


def test_both_dtypes_keep_the_same_elements() -> None:
    _, one = dropped(normal((999,)), 0.5, KEY)
    _, two = dropped(normal((999,), np.float64), 0.5, KEY)
    assert_same(one.mask(), two.mask(), **EXACT)


@pytest.mark.parametrize("p", [1.0, 0.5, 1e-9])
def test_nan_and_infinity(p: float) -> None:
    x = np.array([np.nan, np.inf, -np.inf, -1.0] * 50)
    # Rules run without NumPy's warnings.
    with np.errstate(invalid="ignore"):
        y, kept = dropped(x, p, KEY)
        scale = 0.0 if p == 1.0 else 1 / (1 - p)
        expected = x * np.where(kept.mask(), scale, 0.0)
    assert_same(y, expected, **EXACT)
    assert np.isnan(y[kept.mask() == 0][:3]).any() or p == 1e-9


def test_a_bit_for_each_element() -> None:
    _, kept = dropped(normal((10_000,)), 0.5, KEY)
    assert isinstance(kept, Kept)
    assert kept.bits.nbytes == 8 * -(-10_000 // 64)


def test_the_generator_gives_two_words_and_goes_on() -> None:
    mine, other = Generator(3), Generator(3)
    first = mine.words(2)
    assert first == tuple(int(word) for word in other.numpy.bit_generator.random_raw(2))
    assert mine.words(0) == ()
    state = mine.get_state()
    second = mine.words(2)
    assert second != first
    assert Generator(9).set_state(state).words(2) == second


def test_a_seed_decides_for_ever() -> None:
    # These must not change from one version to the next, or from one machine to another.
    tw.manual_seed(0)
    y = F.dropout(np.ones(64, np.float32), 0.5)
    found = int(np.packbits(y != 0, bitorder="little").view("<u8")[0])
    key = Generator(0).words(2)
    assert found == int(draws.drawn(1, (32768, *key))[0])
    assert f"{found:016x}" == "0eb8067bb1900bcf"


def test_training_continues_bit_for_bit() -> None:
    def step(x: Any) -> Any:
        leaf = tw.tensor(x, requires_grad=True)
        y = F.dropout(leaf.tanh(), 0.3)
        (y * y).sum().backward()
        return leaf.grad.numpy()

    x = normal((50, 60))
    tw.manual_seed(4)
    step(x)
    state = tw.get_rng_state()
    expected = [step(x), step(x)]
    tw.manual_seed(5)
    tw.set_rng_state(state)
    for one in expected:
        assert_same(step(x), one, **EXACT)
    assert (expected[0] != expected[1]).any(), "another mask in each step"


def test_the_gradient_goes_through_the_same_mask_again_and_again() -> None:
    x = tw.tensor(normal((30, 40), np.float64), requires_grad=True)
    y = F.dropout(x, 0.25)
    kept = (y.detach().numpy() != 0) / 0.75
    (g,) = tw.autograd.grad((y * y).sum(), [x], create_graph=True)
    assert_same(g, 2 * x.detach().numpy() * kept * kept, rtol=1e-14, atol=0, reason="three products")
    (gg,) = tw.autograd.grad(g.sum(), [x])
    assert_same(gg, 2 * kept * kept, rtol=1e-14, atol=0, reason="three products")


def test_refusals() -> None:
    with pytest.raises(tw.DtypeError, match="dropout needs input of one of the dtypes float32, float64"):
        dropped(np.ones(3, np.int32), 0.5, KEY)
