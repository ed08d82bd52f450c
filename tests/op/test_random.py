"""The stream of random numbers: seeds, states, ranges."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
from tilewright.op.random import Generator, chosen, default_generator

EXACT = {"rtol": 0, "atol": 0, "reason": "the same stream"}


def test_the_same_seed_gives_the_same_numbers() -> None:
    tw.manual_seed(5)
    first = tw.randn(10), tw.rand(3), tw.randint(0, 9, (4,)), tw.randperm(6)
    assert tw.initial_seed() == 5
    tw.manual_seed(5)
    for one, two in zip(
        first, (tw.randn(10), tw.rand(3), tw.randint(0, 9, (4,)), tw.randperm(6)), strict=True
    ):
        assert_same(one, two, **EXACT)
    tw.manual_seed(6)
    assert not tw.equal(tw.randn(10), first[0])


def test_known_numbers() -> None:
    # Philox is defined for ever; these words hold on every machine.
    words = Generator(0).numpy.bit_generator.random_raw(2)
    assert_same(words, np.random.Philox(0).random_raw(2), **EXACT)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_a_state_goes_through_json_bit_for_bit(dtype: Any) -> None:
    generator = Generator(2**63 + 5)
    generator.uniform((3,), dtype)
    generator.integers(0, 5, (3,), np.int32)
    state = json.loads(json.dumps(generator.get_state()))
    expected = [generator.normal((7,), dtype), generator.uniform((5,), dtype), generator.permutation(9)]
    other = Generator(1).set_state(state)
    again = [other.normal((7,), dtype), other.uniform((5,), dtype), other.permutation(9)]
    for one, two in zip(expected, again, strict=True):
        assert_same(one, two, **EXACT)
    assert other.initial_seed() == 2**63 + 5


def test_the_default_state() -> None:
    state = tw.get_rng_state()
    first = tw.rand(4)
    tw.set_rng_state(state)
    assert_same(tw.rand(4), first, **EXACT)


STATE = Generator(3).get_state()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"counter": [0, 0, 0]}, "A generator's counter is a list of 4 ints. Received: found=\\[0, 0, 0\\]"),
        ({"counter": [0, 0, 0, -1]}, "counter holds ints of 64 bits"),
        ({"key": [0, 2**64]}, "key holds ints of 64 bits"),
        ({"key": [0, 1.5]}, "key holds ints of 64 bits"),
        ({"key": "ab"}, "key is a list of 2 ints"),
        ({"buffer_pos": 5}, "buffer_pos is an int from 0 to 4"),
        ({"has_uint32": True}, "has_uint32 is an int from 0 to 1"),
        ({"uinteger": -1}, "uinteger is an int from 0 to 4294967295"),
        ({"seed": "7"}, "A generator's seed is an int"),
        ({"more": 1}, "A generator's state has the entries buffer, buffer_pos"),
    ],
)
def test_a_damaged_state_is_refused(change: dict[str, Any], message: str) -> None:
    generator = Generator(1)
    before = generator.get_state()
    with pytest.raises(tw.ArgumentError, match=message):
        generator.set_state({**STATE, **change})
    assert generator.get_state() == before


def test_a_state_of_another_type_is_refused() -> None:
    with pytest.raises(tw.ArgumentError, match=r"A generator's state is a dict\. .* Pass what get_rng_state"):
        tw.set_rng_state(b"bytes")  # type: ignore[arg-type]


def test_seeds() -> None:
    assert Generator(-1).uniform((1,)) == Generator(2**64 - 1).uniform((1,))
    assert Generator(np.int64(3)).initial_seed() == 3
    assert Generator().initial_seed() != Generator().initial_seed()
    assert repr(Generator(7)) == "Generator(seed=7)"
    generator = Generator("cpu")
    assert generator.seed() == generator.initial_seed()
    for seed in (1.5, "a", True, None):
        with pytest.raises(tw.DtypeError, match="manual_seed needs an int"):
            tw.manual_seed(seed)  # type: ignore[arg-type]
    with pytest.raises(tw.ArgumentError, match="its device is 'cpu'"):
        Generator(device="cuda")
    with pytest.raises(tw.ArgumentError, match="its device is 'cpu'"):
        Generator("cuda")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_ranges_and_moments(dtype: Any) -> None:
    generator = Generator(0)
    u = generator.uniform((20000,), dtype)
    assert u.dtype == dtype and u.min() >= 0 and u.max() < 1 and abs(u.mean(dtype=np.float64) - 0.5) < 0.01
    v = generator.uniform((20000,), dtype, -3, -2)
    assert v.min() >= -3 and v.max() < -2
    n = generator.normal((20000,), dtype, 1.0, 2.0)
    assert (
        n.dtype == dtype
        and abs(n.mean(dtype=np.float64) - 1) < 0.05
        and abs(n.std(dtype=np.float64) - 2) < 0.05
    )


def test_integers() -> None:
    generator = Generator(0)
    for dtype in (np.int8, np.uint8, np.int64, np.float32):
        drawn = generator.integers(2, 5, (300,), dtype)
        assert drawn.dtype == dtype and set(drawn.tolist()) == {2, 3, 4}
    with pytest.raises(tw.ArgumentError, match="Random integers need low < high"):
        generator.integers(3, 3, (1,))


def test_keep() -> None:
    generator = Generator(0)
    assert generator.keep((1000,), 1.0).all() and not generator.keep((1000,), 0.0).any()
    assert 600 < generator.keep((1000,), 0.7).sum() < 800


def test_chosen() -> None:
    mine = Generator(1)
    assert chosen(mine) is mine and chosen(None) is default_generator
    with pytest.raises(tw.DtypeError, match=r"generator= needs a tilewright\.Generator"):
        chosen(np.random.default_rng(0))  # type: ignore[arg-type]
