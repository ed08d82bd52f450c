"""What stands beyond the edges: by hand, and against NumPy's padding, wider than the image, too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
from tilewright.image.borders import source_index

# Four samples 1 2 3 4 with three more on each side, as SciPy's documentation draws them.
BY_HAND = {
    "reflect": [3, 2, 1, 1, 2, 3, 4, 4, 3, 2],
    "mirror": [4, 3, 2, 1, 2, 3, 4, 3, 2, 1],
    "nearest": [1, 1, 1, 1, 2, 3, 4, 4, 4, 4],
    "wrap": [2, 3, 4, 1, 2, 3, 4, 1, 2, 3],
    "constant": [7, 7, 7, 1, 2, 3, 4, 7, 7, 7],
}
ALIASES = {"grid-mirror": "reflect", "grid-wrap": "wrap", "grid-constant": "constant"}
NUMPY = {"reflect": "symmetric", "mirror": "reflect", "nearest": "edge", "wrap": "wrap"}


def test_by_hand() -> None:
    assert tw.image.border_names() == tuple(BY_HAND)
    assert tw.image.border_names(aliases=True) == (*BY_HAND, *ALIASES)
    for name, expected in BY_HAND.items():
        assert tw.image.pad_border(np.array([1, 2, 3, 4]), 3, name, 7).tolist() == expected
    for alias, name in ALIASES.items():
        assert tw.image.pad_border(np.array([1, 2, 3, 4]), 3, alias, 7).tolist() == BY_HAND[name]


@pytest.mark.parametrize("border", NUMPY)
def test_against_numpy(border: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        shape = rng.integers(1, 6, rng.integers(1, 4)).tolist()
        pads = [tuple(rng.integers(0, 12, 2).tolist()) for _ in shape]
        x = rng.integers(0, 100, shape)
        assert_same(
            tw.image.pad_border(x, pads, border),
            np.pad(x, pads, NUMPY[border]),
            rtol=0,
            atol=0,
            reason="copies",
        )


def test_the_constant_against_numpy() -> None:
    x = np.arange(6.0).reshape(2, 3)
    expected = np.pad(x, ((1, 2), (0, 3)), constant_values=-2.5)
    assert_same(
        tw.image.pad_border(x, ((1, 2), (0, 3)), "constant", -2.5), expected, rtol=0, atol=0, reason="copies"
    )


@pytest.mark.parametrize(
    ("dtype", "cval", "stored"),
    [
        ("uint8", 2.5, 2),
        ("uint8", 3.5, 4),
        ("uint8", -1, 0),
        ("uint8", 300, 255),
        ("uint8", float("nan"), 0),
        ("int16", float("-inf"), -32768),
        ("int64", 1e30, 2**63 - 1),
        ("bool", 0.5, False),
        ("bool", 1, True),
        ("float16", 1e6, np.inf),
    ],
)
def test_the_constant_is_rounded_and_clipped(dtype: str, cval: float, stored: Any) -> None:
    padded = tw.image.pad_border(np.zeros(1, dtype), 1, "constant", cval)
    assert padded.dtype == dtype
    assert padded[0] == padded[-1] == stored


def test_any_array() -> None:
    x = np.arange(24).reshape(4, 6)
    for view in (x[::-1, ::2], x.T, np.broadcast_to(np.arange(3), (2, 3)), np.asfortranarray(x), x[:1, :1]):
        view.setflags(write=False)
        assert (tw.image.pad_border(view, 5, "mirror") == np.pad(view, 5, "reflect")).all()
    z = x * (1 + 2j)
    assert (tw.image.pad_border(z, 1, "wrap") == np.pad(z, 1, "wrap")).all()
    assert tw.image.pad_border(np.zeros((0, 3)), ((2, 1), (0, 0)), "constant", 4).tolist() == [[4, 4, 4]] * 3
    assert tw.image.pad_border(np.zeros((0, 3)), ((0, 0), (1, 0))).shape == (0, 4)
    assert tw.image.pad_border(np.array(3.0), 2).shape == ()


def test_where_scipy_takes_a_sample_of_its_own() -> None:
    # Eight samples before the first of two: reflected, they begin with the first one again.
    assert source_index(2, 8, 0, "reflect").tolist() == [0, 1, 1, 0, 0, 1, 1, 0, 0, 1]
    x, w = np.array([3.0, 5.0]), np.array([1.0, 0, 0, 0, 0, 0, 0, 0, 0])
    assert tw.image.correlate(x, w, origin=4).tolist() == [3.0, 5.0]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: tw.image.pad_border(np.zeros(3), 1, "edge"),
            tw.ArgumentError,
            "pad_border needs border to be one of 'reflect', 'mirror', 'nearest', 'wrap', 'constant', "
            "'grid-mirror', 'grid-wrap', 'grid-constant'. Received: border='edge'.",
        ),
        (
            lambda: tw.image.pad_border(np.zeros(3), -1),
            tw.ArgumentError,
            "pad_border needs pads of 0 or more. Received: pads=((-1, -1),).",
        ),
        (
            lambda: tw.image.pad_border(np.zeros(3), 1.5),
            tw.DtypeError,
            "pad_border needs pads to be an integer, or integers or pairs. Received: pads=1.5.",
        ),
        (
            lambda: tw.image.pad_border(np.zeros((3, 3)), [(1, 2, 3), 1]),
            tw.DtypeError,
            "pad_border needs pads to be an integer, or integers or pairs. Received: pads=[(1, 2, 3), 1].",
        ),
        (
            lambda: tw.image.pad_border(np.zeros((3, 3)), [1]),
            tw.ShapeError,
            "pad_border needs pads to be an integer, or an integer or a (before, after) pair for each axis. "
            "Received: pads=[1] for an array of rank 2.",
        ),
        (
            lambda: tw.image.pad_border(np.zeros((0, 3)), 1),
            tw.ShapeError,
            "pad_border with border 'reflect' needs a sample to continue on every padded axis. "
            "Received: (1, 1) "
            "for axis 0 of an array with shape (0, 3).",
        ),
        (
            lambda: tw.image.pad_border(np.zeros(3), 1, "constant", "0"),
            tw.DtypeError,
            "pad_border needs cval to be a real number. Received: cval='0'.",
        ),
        (
            lambda: tw.image.pad_border(np.array(["a"]), 1),
            tw.DtypeError,
            "pad_border needs array to be of bools, integers, float16, float32, float64 or complex numbers. "
            "Received: array with shape (1,) and dtype <U1.",
        ),
        (
            lambda: tw.image.pad_border([[1, 2], [3]], 1),
            tw.DtypeError,
            "pad_border needs array to be an array of numbers. Received: array of type list.",
        ),
        (
            lambda: tw.image.pad_border(np.ma.array([1, 2], mask=[0, 1]), 1),
            tw.DtypeError,
            "pad_border needs array to be a plain NumPy array. Received: array of type MaskedArray. "
            "Convert it "
            "first: numpy.asarray(array).",
        ),
    ],
)
def test_refusals(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
