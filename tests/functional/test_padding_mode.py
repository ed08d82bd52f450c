"""``padding_mode`` of convolution and transposed convolution: by hand, by definition, adjoint, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from operands import check_kinds, check_layouts, normal

import tilewright as tw
import tilewright.functional as F
from tilewright.autograd.gradcheck import gradcheck, gradgradcheck
from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.functional.fused import conv_activation

_MODES = ["zeros", "reflect", "replicate", "circular"]
_CONTINUING = _MODES[1:]
_EXACT = {"rtol": 0, "atol": 0, "reason": "small whole numbers"}
_SUMS = {"rtol": 1e-11, "atol": 1e-11, "reason": "float64 sums of some hundred products in two orders"}


# --- by hand -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "padding", "expected"),
    [
        # 1 2 3 4 with one more on either side, summed by threes.
        ("zeros", 1, [3, 6, 9, 7]),
        ("reflect", 1, [5, 6, 9, 10]),
        ("replicate", 1, [4, 6, 9, 11]),
        ("circular", 1, [7, 6, 9, 8]),
        # Pairs, and a crop on one side: 2 3 4 and two more.
        ("circular", ((-1, 2),), [9, 9, 9]),
        ("reflect", ((-1, 2),), [9, 10, 9]),
        ("replicate", ((-1, 2),), [9, 11, 12]),
        # Wider than the input: 1 2 3 4 3 2 1 2 3 4 3 2, and 4 1 2 3 4 1 2 3 4 1 2 3 4.
        ("reflect", ((0, 8),), [6, 9, 10, 9, 6, 5, 6, 9, 10, 9]),
        ("circular", ((5, 4),), [7, 6, 9, 8, 7, 6, 9, 8, 7, 6, 9]),
    ],
)
def test_sums_by_threes(mode: str, padding: Any, expected: list[int]) -> None:
    x, ones = np.array([[[1, 2, 3, 4]]]), np.ones((1, 1, 3), np.int64)
    assert_same(F.conv1d(x, ones, padding=padding, padding_mode=mode), [[expected]], **_EXACT)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        # Kernel 1 10 100 at each sample of 1 2 3: 1 | 12 123 230 | 300, and what becomes of the ends.
        ("zeros", [12, 123, 230]),
        # The padding before is a copy of sample 1, that after of sample 1, too.
        ("reflect", [12, 123 + 1 + 300, 230]),
        ("replicate", [12 + 1, 123, 230 + 300]),
        ("circular", [12 + 300, 123, 230 + 1]),
    ],
)
def test_a_transposed_kernel_is_folded_back(mode: str, expected: list[int]) -> None:
    y, kernel = np.array([[[1, 2, 3]]]), np.array([[[1, 10, 100]]])
    assert_same(F.conv_transpose1d(y, kernel, padding=1, padding_mode=mode), [[expected]], **_EXACT)
    biased = F.conv_transpose1d(y, kernel, np.array([5]), padding=1, padding_mode=mode)
    # The bias is added once, however many samples were folded onto each other.
    assert_same(biased, [[[value + 5 for value in expected]]], **_EXACT)


def test_a_wide_padding_goes_round_more_than_once() -> None:
    # One sample on a circle of 2, kernel of 7 ones and padding 3: every tap lands on one of the two.
    y, ones = np.array([[[1, 0]]]), np.ones((1, 1, 7), np.int64)
    assert_same(F.conv_transpose1d(y, ones, padding=3, padding_mode="circular"), [[[3, 4]]], **_EXACT)
    assert_same(F.conv_transpose1d(y, ones, padding=3, padding_mode="reflect"), [[[3, 4]]], **_EXACT)
    assert_same(F.conv_transpose1d(y, ones, padding=3, padding_mode="replicate"), [[[4, 3]]], **_EXACT)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("zeros", [2, 0, 10, 20, 0]), ("circular", [2, 0, 10, 20, 1]), ("reflect", [2, 1, 10, 20, 0])],
)
def test_output_padding_wider_than_the_stride(mode: str, expected: list[int]) -> None:
    # The line is 1 2 0 10 20 and two samples that no kernel reaches; one on either side is padding.
    y, kernel = np.array([[[1, 2]]]), np.array([[[1, 10]]])
    found = F.conv_transpose1d(y, kernel, dilation=3, padding=1, output_padding=2, padding_mode=mode)
    assert_same(found, [[expected]], **_EXACT)


def test_negative_padding_lengthens_a_transposed_convolution() -> None:
    y, ones = np.array([[[1, 2]]]), np.ones((1, 1, 2), np.int64)
    for mode in _MODES:
        longer = F.conv_transpose1d(y, ones, padding=((-1, -2),), padding_mode=mode)
        assert_same(longer, [[[0, 1, 3, 2, 0, 0]]], **_EXACT)


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
def test_same_at_any_stride(stride: int, kernel: int) -> None:
    """TensorFlow's split: as little padding as gives ⌈n/stride⌉ outputs, the odd one at the end."""
    for n in range(1, 9):
        x, ones = np.arange(1, n + 1).reshape(1, 1, n), np.ones((1, 1, kernel), np.int64)
        outputs = -(-n // stride)
        total = max((outputs - 1) * stride + kernel - n, 0)
        for mode in _MODES:
            y = F.conv1d(x, ones, stride=stride, padding="same", padding_mode=mode)
            pairs = ((total // 2, total - total // 2),)
            expected = F.conv1d(x, ones, stride=stride, padding=pairs, padding_mode=mode)
            assert_same(y, expected, **_EXACT)
            assert y.shape == (1, 1, outputs)
            low = F.conv1d(x, ones, stride=stride, padding="same_lower", padding_mode=mode)
            assert low.shape == (1, 1, outputs)


# --- by definition -----------------------------------------------------------------------------------------


@st.composite
def _cases(draw: st.DrawFn, most: int = 3, longest: int = 6) -> dict[str, Any]:
    """Sizes and arguments of a convolution whose window fits, with padding that may be wide or crop."""
    rank = draw(st.integers(1, most))
    groups = draw(st.integers(1, 2))
    spatial, kernel, stride, dilation, padding = [], [], [], [], []
    for _ in range(rank):
        n, k, d = draw(st.integers(1, longest)), draw(st.integers(1, 3)), draw(st.integers(1, 2))
        low, high = draw(st.integers(-1, 8)), draw(st.integers(-1, 8))
        assume(n + min(low, 0) + min(high, 0) > 0)
        assume(n + low + high >= d * (k - 1) + 1)
        spatial.append(n)
        kernel.append(k)
        stride.append(draw(st.integers(1, 3)))
        dilation.append(d)
        padding.append((low, high))
    inputs, outputs = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    return {
        "x": (draw(st.integers(1, 2)), inputs, *spatial),
        "w": (outputs, inputs // groups, *kernel),
        "arguments": {
            "stride": tuple(stride),
            "padding": tuple(padding),
            "dilation": tuple(dilation),
            "groups": groups,
        },
    }


@given(case=_cases(), mode=st.sampled_from(_CONTINUING), seed=st.integers(0, 99))
def test_a_convolution_is_that_of_the_padded_input(case: dict[str, Any], mode: str, seed: int) -> None:
    x, w, b = normal(case["x"], seed), normal(case["w"], seed + 1), normal(case["w"][:1], seed + 2)
    arguments = dict(case["arguments"])
    found = F.conv(x, w, b, padding_mode=mode, **arguments)
    sides = [side for pair in reversed(arguments.pop("padding")) for side in pair]
    assert_same(found, F.conv(F.pad(x, sides, mode), w, b, **arguments), **_EXACT)
    assert_same(F.conv(x[0], w, b, padding_mode=mode, **case["arguments"]), found[0], **_SUMS)


@settings(max_examples=400)
@given(case=_cases(), mode=st.sampled_from(_MODES), seed=st.integers(0, 99))
def test_transposed_is_the_adjoint_in_every_mode(case: dict[str, Any], mode: str, seed: int) -> None:
    """⟨conv(x), y⟩ = ⟨x, conv_transpose(y)⟩, and either's gradient is the other."""
    arguments = case["arguments"]
    x = tw.tensor(normal(case["x"], seed), requires_grad=True)
    w = tw.tensor(normal(case["w"], seed + 1))
    forward = F.conv(x, w, padding_mode=mode, **arguments)
    y = tw.tensor(normal(forward.shape, seed + 2), requires_grad=True)
    # What the stride leaves over at the end of x is output_padding of the way back.
    axes = zip(case["x"][2:], case["w"][2:], *list(arguments.values())[:3], strict=True)
    more = tuple((n + sum(pads) - d * (k - 1) - 1) % s for n, k, s, pads, d in axes)
    back = F.conv_transpose(y, w, padding_mode=mode, output_padding=more, **arguments)
    assert back.shape == x.shape
    assert_same((forward * y).sum(), (x * back).sum(), **_SUMS)
    forward.backward(y.detach())
    assert_same(x.grad, back, **_SUMS)
    x.grad = None
    back.backward(x.detach())
    assert_same(y.grad, forward, **_SUMS)


@pytest.mark.parametrize("mode", _CONTINUING)
@pytest.mark.parametrize("padding", [1, ((2, 0), (-1, 3)), ((4, 5), (3, 0)), "same"])
def test_gradients_are_difference_quotients(padding: Any, mode: str) -> None:
    x = tw.tensor(normal((2, 2, 3, 4), 1), requires_grad=True)
    w = tw.tensor(normal((2, 2, 2, 3), 2), requires_grad=True)
    b = tw.tensor(normal((2,), 3), requires_grad=True)

    def forward(x: Any, w: Any, b: Any) -> Any:
        return F.conv2d(x, w, b, padding=padding, stride=(1, 2), padding_mode=mode)

    assert gradcheck(forward, [x, w, b])
    assert gradgradcheck(forward, [x, w, b])
    y = tw.tensor(normal((1, 2, 5, 3), 4), requires_grad=True)
    # Large enough that after cropping there is something to fold onto.

    def back(y: Any, w: Any, b: Any) -> Any:
        return F.conv_transpose2d(y, w, b, padding=padding, stride=(3, 4), padding_mode=mode)

    assert gradcheck(back, [y, w, b])
    assert gradgradcheck(back, [y, w, b])


# --- kinds, layouts, edges ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", _CONTINUING)
def test_kinds_and_layouts(mode: str) -> None:
    w, b = normal((3, 3, 2, 2), 2), normal((3,), 3)

    def forward(x: Any, w: Any, b: Any) -> Any:
        return F.conv2d(x, w, b, padding=2, padding_mode=mode)

    def back(x: Any, w: Any, b: Any) -> Any:
        return F.conv_transpose2d(x, w, b, stride=2, padding=1, padding_mode=mode)

    x = normal((2, 3, 4, 5), 1)
    for function in (forward, back):
        check_kinds(function, x, w, b)
        check_kinds(function, x.astype(np.float32), w.astype(np.float32), b.astype(np.float32))
        check_layouts(lambda x, function=function: function(x, w, b), x)


@pytest.mark.parametrize("mode", _CONTINUING)
@pytest.mark.parametrize(
    ("x", "w"),
    [((0, 2, 4), (3, 2, 3)), ((2, 0, 4), (3, 0, 3)), ((2, 2, 4), (0, 2, 3)), ((2, 2, 1), (3, 2, 3))],
)
def test_zero_batches_and_channels(mode: str, x: tuple[int, ...], w: tuple[int, ...]) -> None:
    # On one sample reflection, replication and going round are all the same.
    y = F.conv1d(np.ones(x), np.ones(w), padding=1, padding_mode=mode)
    assert y.shape == (x[0], w[0], x[2])
    assert (y == 3 * x[1]).all()
    back = F.conv_transpose1d(np.ones((x[0], w[0], x[2])), np.ones(w), padding=1, padding_mode=mode)
    assert back.shape == x
    assert back.sum() == 3 * x[1] * y.size


@pytest.mark.parametrize("mode", _CONTINUING)
def test_every_batch_gives_the_same_bits(mode: str) -> None:
    w = normal((3, 1, 9), 2, np.float32)
    x = normal((5, 1, 11), 1, np.float32)

    def forward(x: Any) -> Any:
        return F.conv1d(x, w, padding=20, padding_mode=mode)

    def back(x: Any) -> Any:
        wide = np.broadcast_to(x, (len(x), 3, 11))
        return F.conv_transpose1d(wide, np.tile(w, (1, 1, 6))[:, :, :50], padding=24, padding_mode=mode)

    for function in (forward, back):
        whole = function(x)
        apart = np.concatenate([function(x[i : i + 1]) for i in range(5)])
        assert np.array_equal(whole, apart)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh", "gelu"])
@pytest.mark.parametrize("mode", _CONTINUING)
def test_with_an_activation_behind_it(mode: str, activation: str) -> None:
    x, w, b = (normal(shape, 1, np.float32) for shape in ((2, 3, 6, 5), (4, 3, 3, 3), (4,)))
    found = conv_activation(2, x, w, b, 2, "same", 1, 1, activation, 0.1, padding_mode=mode)
    y = F.conv2d(x, w, b, 2, "same", padding_mode=mode)
    alone = F.leaky_relu(y, 0.1) if activation == "leaky_relu" else getattr(F, activation)(y)
    assert_same(found, alone, rtol=1e-5, atol=1e-6, reason="curves are rounded otherwise in one step")


def test_true_convolution_has_it_too() -> None:
    y = tw.convolve(np.array([[1, 2, 3]]), np.array([[[0, 1]]]), padding=((1, 0),), padding_mode="circular")
    assert_same(y, [[3, 1, 2]], **_EXACT)


# --- refusals ----------------------------------------------------------------------------------------------

_KNOWN = (
    "needs padding_mode to be one of 'zeros', 'reflect', 'replicate', 'circular'. Received: padding_mode="
)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda x, w: F.conv1d(x, w, padding_mode="mirror"),
            ArgumentError,
            f"conv1d {_KNOWN}'mirror'.",
        ),
        (lambda x, w: F.conv(x, w, padding_mode=None), ArgumentError, f"conv {_KNOWN}None."),
        (
            lambda x, w: F.conv(x, w, padding_mode=np.array(["zeros", "zeros"])),
            ArgumentError,
            "conv needs padding_mode to be one of",
        ),
        (
            lambda x, w: F.conv_transpose1d(x, w, padding_mode="wrap"),
            ArgumentError,
            f"conv_transpose1d {_KNOWN}'wrap'.",
        ),
        (
            lambda x, w: F.conv1d(x[..., :0], w, padding=2, padding_mode="reflect"),
            ShapeError,
            "conv1d with mode 'reflect' needs an element to repeat on every padded axis. Received: (2, 2) "
            "for axis 2 of 0 elements.",
        ),
        (
            lambda x, w: F.conv1d(x, w, padding=((-4, 6),), padding_mode="circular"),
            ShapeError,
            "conv1d with mode 'circular' needs an element to repeat on every padded axis. Received: (-4, 6) "
            "for axis 2 of 4 elements.",
        ),
        (
            lambda x, w: F.conv1d(x, w, padding=-1, padding_mode="replicate"),
            ShapeError,
            "conv1d needs the window to fit into the padded input. Received: padded input of size (2,), "
            "window of size (3,).",
        ),
        (
            lambda x, w: F.conv_transpose1d(x, w, padding=3, padding_mode="circular"),
            ShapeError,
            "conv_transpose1d with mode 'circular' needs an element to repeat on every padded axis. "
            "Received: (3, 3) for axis 2 of 0 elements.",
        ),
        (
            lambda x, w: F.conv_transpose1d(x, w, np.ones(3), padding=1, padding_mode="circular"),
            ShapeError,
            "conv_transpose1d needs bias of shape (1,). Received: bias with shape (3,) and dtype float64.",
        ),
        (
            lambda x, w: F.conv_transpose1d(x, w, np.ones(1, int), padding=1, padding_mode="circular"),
            DtypeError,
            "conv_transpose1d needs operands of one dtype. Received: input of float64, weight of float64, "
            "bias of int64.",
        ),
        (
            lambda x, w: F.conv1d(x, w, padding=2**62, padding_mode="circular"),
            ShapeError,
            "conv1d needs a result that memory holds. Received: shape=(1, 1, 9223372036854775812).",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call(np.zeros((1, 1, 4)), np.zeros((1, 1, 3)))
    assert str(caught.value).startswith(message)
