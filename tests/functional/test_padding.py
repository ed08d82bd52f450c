"""Padding: values by hand, the definition by indices, gradients, PyTorch's behaviour, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same
from hypothesis import assume, given
from hypothesis import strategies as st
from operands import against_torch, check_kinds, check_layouts, normal, pytorch, shapes

import tilewright as tw
import tilewright.functional as F
from tilewright.autograd.gradcheck import gradcheck, gradgradcheck
from tilewright.errors import ArgumentError, DtypeError, ShapeError

_MODES = ["constant", "reflect", "replicate", "circular"]
_SEEDS = st.integers(0, 2**32 - 1)
_EXACT = {"rtol": 0, "atol": 0, "reason": "numbers are only moved"}


@pytest.mark.parametrize(
    ("pad", "mode", "value", "expected"),
    [
        ((2, 1), "constant", None, [0, 0, 1, 2, 3, 0]),
        ((0, 2), "constant", 7, [1, 2, 3, 7, 7]),
        ((-1, 0), "constant", 7, [2, 3]),
        ((-2, 2), "constant", 7, [3, 7, 7]),
        ((-4, 3), "constant", 7, [7, 7]),
        ((-3, 0), "constant", 7, []),
        ((2, 2), "reflect", None, [3, 2, 1, 2, 3, 2, 1]),
        ((0, 7), "reflect", None, [1, 2, 3, 2, 1, 2, 3, 2, 1, 2]),
        ((5, 0), "reflect", None, [2, 1, 2, 3, 2, 1, 2, 3]),
        ((-1, 2), "reflect", None, [2, 3, 2, 1]),
        ((2, 3), "replicate", None, [1, 1, 1, 2, 3, 3, 3, 3]),
        ((-2, 1), "replicate", None, [3, 3]),
        ((2, 1), "circular", None, [2, 3, 1, 2, 3, 1]),
        ((4, 5), "circular", None, [3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2]),
        ((-1, 2), "circular", None, [2, 3, 2, 3]),
        ((0, 0), "circular", None, [1, 2, 3]),
    ],
)
def test_one_axis_by_hand(pad: tuple[int, int], mode: str, value: Any, expected: list[int]) -> None:
    x = np.array([1, 2, 3])
    assert_same(F.pad(x, pad, mode, value), np.array(expected, np.int64), **_EXACT)


def test_one_element_reflects_onto_itself() -> None:
    assert_same(F.pad(np.array([5.0]), (2, 3), "reflect"), [5.0] * 6, **_EXACT)


def test_the_last_axis_comes_first() -> None:
    x = np.array([[1, 2], [3, 4]])
    assert_same(F.pad(x, (1, 0)), [[0, 1, 2], [0, 3, 4]], **_EXACT)
    assert_same(F.pad(x, [0, 0, 1, 0]), [[0, 0], [1, 2], [3, 4]], **_EXACT)
    y = F.pad(x, (0, 1, 1, 0), "circular")
    assert_same(y, [[3, 4, 3], [1, 2, 1], [3, 4, 3]], **_EXACT)
    assert_same(F.pad(x, ()), x, **_EXACT)
    assert not np.shares_memory(F.pad(x, ()), x)
    assert not np.shares_memory(F.pad(x, (0, 0), "reflect"), x)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float16", "float32", "float64"])
def test_dtypes(dtype: str) -> None:
    x = np.array([1, 0, 1]).astype(dtype)
    for mode in _MODES:
        y = F.pad(x, (1, 1), mode)
        assert y.dtype == x.dtype
        assert_same(y[1:-1], x, **_EXACT)
    assert F.pad(x, (0, 1), value=True)[-1] == 1


def test_halves_are_summed_in_single() -> None:
    x = tw.tensor(np.ones((1, 2), np.float16), requires_grad=True)
    for mode in ("reflect", "replicate", "circular"):
        F.pad(x, (4100, 4100), mode).backward(tw.tensor(np.ones((1, 8202), np.float16)))
        assert x.grad.dtype == np.float16
        # 4,101 copies of each; that is 4,100 in 11 bits, but counting in halves ends at 2,048.
        assert x.grad.tolist() == [[4100.0, 4100.0]]
        x.grad = None


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_gradients_of_any_batch_are_the_same_bits(mode: str) -> None:
    g = normal((3, 2, 47), 1, np.float32)

    def gradient(g: Any) -> Any:
        x = tw.tensor(np.zeros((*g.shape[:2], 4), np.float32), requires_grad=True)
        F.pad(x, (20, 23), mode).backward(tw.tensor(g))
        return x.grad.numpy()

    parts = [gradient(g[i : i + 1, c : c + 1]) for i in range(3) for c in range(2)]
    assert np.array_equal(gradient(g), np.concatenate(parts).reshape(3, 2, 4))


def test_infinity_as_value() -> None:
    assert_same(F.pad(np.zeros(1, np.float32), (0, 1), value=-np.inf), np.float32([0, -np.inf]), **_EXACT)
    y = F.pad(tw.zeros(1), (1, 0), value=tw.tensor(2.0))
    assert_same(y, np.float32([2, 0]), **_EXACT)
    assert_same(F.pad(np.zeros(1), (0, 1), value=np.nan), [0.0, np.nan], **_EXACT)
    # Rounded to the dtype, as every number is.
    assert_same(F.pad(np.zeros(1, np.float16), (0, 1), value=0.1), np.float16([0, 0.1]), **_EXACT)


@pytest.mark.parametrize("mode", _MODES)
def test_kinds_and_layouts(mode: str) -> None:
    for dtype in (np.float32, np.float64):
        check_kinds(lambda x: F.pad(x, (1, 2, -1, 2), mode), normal((2, 3, 4), 1, dtype))
    check_layouts(lambda x: F.pad(x, (1, 2, -1, 2), mode), normal((2, 3, 4), 1))
    last = np.moveaxis(normal((2, 4, 5, 3), 1), -1, 1)
    assert F.pad(last, (1, 1, 2, 0), mode).strides[1] == 8, "channels last stays channels last"


def _by_indices(x: Any, pairs: list[tuple[int, int]], mode: str) -> Any:
    """The definition, one index at a time."""
    for axis, (before, after) in enumerate(pairs):
        size = x.shape[axis]
        places = list(range(-before, size + after))
        if mode == "circular":
            first, left = max(-before, 0), size - max(-before, 0) - max(-after, 0)
            places = [(p - first) % left + first for p in places]
        elif mode == "replicate":
            places = [min(max(p, 0), size - 1) for p in places]
        else:
            for at, place in enumerate(places):
                while not 0 <= place < size:
                    # The mirror stands at the end that was passed; a single element is its own image.
                    place = (-place if place < 0 else 2 * (size - 1) - place) if size > 1 else 0
                places[at] = place
        x = np.take(x, np.array(places, np.int64), axis)
    return x


@given(
    shape=shapes(1, 5, 4),
    mode=st.sampled_from(["reflect", "replicate", "circular"]),
    seed=_SEEDS,
    data=st.data(),
)
def test_every_pad_is_its_definition_by_indices(
    shape: tuple[int, ...], mode: str, seed: int, data: Any
) -> None:
    x = normal(shape, seed)
    pairs = [data.draw(st.tuples(st.integers(-2, 9), st.integers(-2, 9))) for _ in shape]
    for size, (before, after) in zip(shape, pairs, strict=True):
        assume(size + before + after >= 0)
        assume(mode != "circular" or size - max(-before, 0) - max(-after, 0) > 0)
    expected = _by_indices(x, pairs, mode)
    flat = [side for pair in reversed(pairs) for side in pair]
    assert_same(F.pad(x, flat, mode), expected, **_EXACT)
    # Each input collects the gradient of every output that shows it.
    t = tw.tensor(x, requires_grad=True)
    upstream = normal(expected.shape, seed + 1)
    F.pad(t, flat, mode).backward(tw.tensor(upstream))
    shown = _by_indices(np.arange(x.size).reshape(shape), pairs, mode)
    collected = np.zeros(x.size)
    np.add.at(collected, shown.reshape(-1), upstream.reshape(-1))
    assert_same(t.grad, collected.reshape(shape), rtol=1e-12, atol=1e-12, reason="sums in another order")


@pytest.mark.parametrize("mode", _MODES)
@pytest.mark.parametrize("pad", [(1, 2), (-1, 4), (5, 0, -1, 2), (0, 0, 3, 3, 1, 1)])
def test_gradients_are_difference_quotients(pad: tuple[int, ...], mode: str) -> None:
    x = tw.tensor(normal((2, 3, 2), 1), requires_grad=True)
    assert gradcheck(lambda x: F.pad(x, pad, mode), [x])
    # Linear: a second derivative of 0 would prove little, that of a square proves more.
    assert gradgradcheck(lambda x: F.pad(x, pad, mode) ** 2, [x])


@given(
    rank=st.integers(1, 3),
    mode=st.sampled_from(_MODES),
    batched=st.booleans(),
    seed=_SEEDS,
    data=st.data(),
)
def test_like_torch(rank: int, mode: str, batched: bool, seed: int, data: Any) -> None:
    torch = pytorch()
    spatial = [data.draw(st.integers(2, 5)) for _ in range(rank)]
    shape = (*((2,) if batched else ()), 2, *spatial)
    # PyTorch's limits: reflect less than the axis, circular up to it, crops only where something is left.
    most = {"constant": [9] * rank, "replicate": [9] * rank, "circular": spatial}
    widest = most.get(mode, [size - 1 for size in spatial])
    pads = []
    for size, wide in zip(reversed(spatial), reversed(widest), strict=True):
        before = data.draw(st.integers(1 - size, wide))
        after = data.draw(st.integers(1 - size, wide))
        # Circular after a crop: only as wide as what is left.
        left = size + min(before, 0) + min(after, 0)
        assume(left > 0)
        assume(mode != "circular" or max(before, after) <= left)
        pads += [before, after]
    value = data.draw(st.sampled_from([None, 1.5])) if mode == "constant" else None
    against_torch(
        lambda x: F.pad(x, pads, mode, value),
        lambda x: torch.nn.functional.pad(x, pads, mode, value),
        [normal(shape, seed)],
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: F.pad(np.zeros(3), (1, 2, 3)),
            ArgumentError,
            "pad needs pairs of integers: before and after of each axis, the last axis first. Received: "
            "pad=(1, 2, 3).",
        ),
        (
            lambda: F.pad(np.zeros(3), 1),
            ArgumentError,
            "pad needs pairs of integers: before and after of each",
        ),
        (
            lambda: F.pad(np.zeros(3), (1, 1.5)),
            ArgumentError,
            "pad needs pad to be an integer. Received: pad=1.5.",
        ),
        (
            lambda: F.pad(np.zeros(3), (1, 1, 1, 1)),
            ShapeError,
            "pad needs at most one (before, after) pair for each axis of the input. Received: 2 pairs for "
            "input with shape (3,).",
        ),
        (
            lambda: F.pad(np.zeros(3), (1, 1), "mirror"),
            ArgumentError,
            "pad needs mode to be one of 'constant', 'reflect', 'replicate', 'circular'. Received: "
            "mode='mirror'.",
        ),
        (
            lambda: F.pad(np.zeros((2, 3)), (-2, -2)),
            ShapeError,
            "pad can't crop more than there is. Received: (-2, -2) for axis 1 of 3 elements.",
        ),
        (
            lambda: F.pad(np.zeros((2, 0)), (1, 0), "replicate"),
            ShapeError,
            "pad with mode 'replicate' needs an element to repeat on every padded axis. Received: (1, 0) "
            "for axis 1 of 0 elements.",
        ),
        (
            lambda: F.pad(np.zeros(3), (-3, 3), "circular"),
            ShapeError,
            "pad with mode 'circular' needs an element to repeat on every padded axis. Received: (-3, 3) "
            "for axis",
        ),
        (
            lambda: F.pad(np.zeros(3), (1, 1), "reflect", 2.0),
            ArgumentError,
            "pad takes value in mode 'constant' only. Received: mode='reflect', value=2.0.",
        ),
        (
            lambda: F.pad(np.zeros(3, int), (1, 1), value=0.5),
            ArgumentError,
            "pad needs value to be a number that the input's dtype int64 can hold. Received: value=0.5.",
        ),
        (
            lambda: F.pad(np.zeros(3, np.uint8), (1, 1), value=300),
            ArgumentError,
            "pad needs value to be a number that the input's dtype uint8 can hold. Received: value=300.",
        ),
        (
            lambda: F.pad(np.zeros(3), (1, 1), value="x"),
            ArgumentError,
            "pad needs value to be a number that the input's dtype float64 can hold. Received: value='x'.",
        ),
        (
            lambda: F.pad(np.zeros(3, np.float16), (1, 1), value=1e6),
            ArgumentError,
            "pad needs value to be a number that the input's dtype float16 can hold. Received: "
            "value=1000000.0.",
        ),
        (
            lambda: F.pad(np.zeros(3), (1, 1), value=10**400),
            ArgumentError,
            "pad needs value to be a number that",
        ),
        (lambda: F.pad(np.zeros(3), (1, 1), value=1j), ArgumentError, "pad needs value to be a number that"),
        (
            lambda: F.pad(np.zeros(3), (1, 1), value=np.ones(2)),
            ArgumentError,
            "pad needs value to be a number that",
        ),
        (
            lambda: F.pad(np.zeros(3), (1, 1), "reflect", np.zeros(2)),
            ArgumentError,
            "pad takes value in mode 'constant' only.",
        ),
        (
            lambda: F.pad(np.zeros(3), (1, 1), np.array(["reflect"] * 2)),
            ArgumentError,
            "pad needs mode to be one of 'constant',",
        ),
        (
            lambda: F.pad(np.zeros(3), (1, 1), ["reflect"]),
            ArgumentError,
            "pad needs mode to be one of 'constant',",
        ),
        (
            lambda: F.pad(np.zeros((2, 3)), (2**62, 0)),
            ShapeError,
            "pad needs a result that memory holds. Received: shape=(2, 4611686018427387907).",
        ),
        (
            lambda: F.pad(np.zeros((2, 3)), (2**62, 2**62), "circular"),
            ShapeError,
            "pad needs a result that memory holds. Received: shape=",
        ),
        (
            lambda: F.pad([1, 2], (1, 1)),
            DtypeError,
            "pad needs input to be a NumPy array or a Tensor. Received: input of type list.",
        ),
        (
            lambda: F.pad(np.zeros(2, np.clongdouble), (1, 1)),
            DtypeError,
            "pad needs input of one of the dtypes float32, float64, int8,",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(message)
