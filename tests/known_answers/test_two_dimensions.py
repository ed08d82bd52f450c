"""Pictures: worked numbers that any correct convolution or pool reproduces."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from compare import assert_same
from known_answers.kinds import EXACT, Kind, differentiable, gradient
from scipy.signal import convolve2d

import tilewright as tw
from tilewright.geometry.receptive import receptive_field, windows_of
from tilewright.lens.matrix import convolution_matrix

Array = npt.NDArray[np.float64]
F = tw.functional

# 6 × 8 of ones, columns 2 to 5 zero: a dark band with one edge at its left and one at its right.
BAND = np.ones((6, 8))
BAND[:, 2:6] = 0


def test_nine_pixels_and_a_kernel_of_four(kind: Kind) -> None:
    y = F.conv2d(kind.plane(np.arange(9).reshape(3, 3)), kind.plane([[0, 1], [2, 3]]))
    kind.check_plane(y, [[19, 25], [37, 43]])


def test_a_further_kernel_of_four_sees_all_nine_pixels() -> None:
    chain = [
        window
        for sizes in ((1, 1, 3, 3), (1, 1, 2, 2))
        for window in windows_of(tw.ConvDims.of(sizes, (1, 1, 2, 2)))[:1]
    ]
    assert receptive_field(chain).size == 3
    x = differentiable(np.arange(9.0).reshape(1, 1, 3, 3))
    kernel = tw.ones(1, 1, 2, 2, dtype=tw.float64)
    y = F.conv2d(F.conv2d(x, kernel), kernel)
    assert tuple(y.shape) == (1, 1, 1, 1)
    y.sum().backward()
    # In how many ways each input reaches the one output: none is left out.
    assert_same(
        gradient(x)[0, 0], np.array([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]), rtol=0, atol=0, reason=EXACT
    )


def test_vertical_edges_of_a_band(kind: Kind) -> None:
    expected = np.zeros((6, 7))
    expected[:, 1], expected[:, 5] = 1, -1
    kind.check_plane(F.conv2d(kind.plane(BAND), kind.plane([[1, -1]])), expected)


def test_the_same_kernel_finds_nothing_in_the_transposed_band(kind: Kind) -> None:
    kind.check_plane(F.conv2d(kind.plane(BAND.T), kind.plane([[1, -1]])), np.zeros((8, 5)))


def test_same_padding_puts_the_odd_row_and_column_at_the_end(kind: Kind) -> None:
    x = kind.plane([[4, 1, 7, 5], [4, 4, 2, 5], [7, 7, 2, 4], [1, 0, 2, 4]])
    y = F.conv2d(x, kind.plane([[1, 0], [2, 1]]), padding="same")
    kind.check_plane(y, [[16, 11, 16, 15], [25, 20, 10, 13], [9, 9, 10, 12], [1, 0, 2, 4]])


@pytest.mark.parametrize(
    ("stride", "expected"),
    [
        (2, [[5, 10, 6, 12], [15, 20, 18, 24], [7, 14, 8, 16], [21, 28, 24, 32]]),
        (1, [[5, 16, 12], [22, 60, 40], [21, 52, 32]]),
    ],
)
def test_transposed_convolution_of_four_pixels(kind: Kind, stride: int, expected: list[list[int]]) -> None:
    x, w = kind.plane([[5, 6], [7, 8]]), kind.plane([[1, 2], [3, 4]])
    kind.check_plane(F.conv_transpose2d(x, w, stride=stride), expected)
    kind.check_plane(tw.conv_transpose(x, w, stride=stride), expected)


@pytest.mark.parametrize(
    ("pool", "expected"),
    [(tw.max_pool, [[19, 44], [31, 57]]), (tw.avg_pool, [[9.25, 35], [21.5, 47]])],
    ids=["max", "mean"],
)
def test_pools_of_two_by_two(kind: Kind, pool: object, expected: list[list[float]]) -> None:
    x = kind.plane([[0, 12, 26, 39], [6, 19, 31, 44], [12, 25, 38, 50], [18, 31, 43, 57]])
    kind.check_plane(pool(x, 2, stride=2), expected)  # type: ignore[operator]


def test_max_pool_with_padding_and_a_stride_per_axis(kind: Kind) -> None:
    y = F.max_pool2d(kind(np.arange(32).reshape(1, 2, 4, 4)), 3, stride=(2, 1), padding=1)
    kind.check(y, [[[[5, 6, 7, 7], [13, 14, 15, 15]], [[21, 22, 23, 23], [29, 30, 31, 31]]]])


@pytest.mark.parametrize(("kernel", "padding"), [((3, 3), 1), ((5, 3), (2, 1))])
def test_paddings_that_keep_eight_by_eight(kind: Kind, kernel: tuple[int, int], padding: object) -> None:
    y = F.conv2d(kind.plane(np.ones((8, 8))), kind.plane(np.ones(kernel)), padding=padding)
    assert tuple(y.shape) == (1, 1, 8, 8)


def test_output_size_is_floor_of_n_plus_p_minus_k_plus_s_over_s() -> None:
    for n, p, k, s in itertools.product(range(1, 9), range(5), range(1, 6), range(1, 5)):
        if n + p < k:
            continue
        m = n + 1  # the other axis differs, so that a mix-up of the two shows
        x, w = np.zeros((1, 1, n, m)), np.zeros((1, 1, k, k))
        halves = [(p // 2, p - p // 2)] * 2
        expected = ((n + p - k + s) // s, (m + p - k + s) // s)
        assert F.conv2d(x, w, stride=s, padding=halves).shape[2:] == expected, (n, p, k, s)


def test_total_padding_of_k_minus_1_gives_ceil_of_n_over_s() -> None:
    for n, k, s in itertools.product(range(1, 12), range(1, 6), range(1, 5)):
        x, w = np.zeros((1, 1, n, 5)), np.zeros((1, 1, k, 1))
        halves = [((k - 1) // 2, (k - 1) - (k - 1) // 2), (0, 0)]
        rows = F.conv2d(x, w, stride=(s, 1), padding=halves).shape[2]
        assert rows == -(-n // s) == F.conv2d(x, w, stride=(s, 1), padding="same").shape[2], (n, k, s)


def test_two_channels_to_three_keep_three_by_five() -> None:
    layer = tw.nn.Conv2d(2, 3, (3, 5), padding=(1, 2))
    assert tuple(layer.weight.shape) == (3, 2, 3, 5)
    assert layer.bias is not None and tuple(layer.bias.shape) == (3,)
    assert tuple(layer(tw.zeros(4, 2, 3, 5)).shape) == (4, 3, 3, 5)
    arrays = F.conv2d(np.zeros((4, 2, 3, 5)), np.zeros((3, 2, 3, 5)), np.zeros(3), padding=(1, 2))
    assert arrays.shape == (4, 3, 3, 5)


def test_the_matrix_of_a_four_by_four_picture_and_a_two_by_two_kernel(kind: Kind) -> None:
    kernel, image = np.array([[1.0, 2], [3, 4]]), np.arange(16.0).reshape(4, 4)
    matrix = convolution_matrix(kernel, (4, 4))
    assert matrix.shape == (9, 16)
    # Blocks of 3 × 4: the kernel's first row on the diagonal, its second beside it, and zero elsewhere.
    rows = [convolution_matrix(taps, 4) for taps in kernel]
    for down, across in itertools.product(range(3), range(4)):
        block = matrix[3 * down : 3 * down + 3, 4 * across : 4 * across + 4]
        expected = rows[across - down] if across - down in (0, 1) else np.zeros((3, 4))
        assert_same(block, expected, rtol=0, atol=0, reason="the matrix is built, not computed")
    y = F.conv2d(kind.plane(image), kind.plane(kernel))
    kind.check_plane(y, (matrix @ image.ravel()).reshape(3, 3))
    back = F.conv_transpose2d(y, kind.plane(kernel))
    kind.check_plane(back, (matrix.T @ matrix @ image.ravel()).reshape(4, 4))


class TestLearningAKernel:
    """Gradient descent on the summed squared error finds the kernel (1, −1) that made the edges.

    Along (1, 1) and (1, −1) the error shrinks by its own factor in each step. Without a bias, at a rate of
    3e-2: 1 − 60·0.03 = −0.8 and 1 − 12·0.03 = 0.64. Twenty steps from a layer's own start (within 1/√2 of
    zero) then leave at most 0.8²⁰/√2 = 0.008 in each weight, and a loss of at most 30·0.8⁴⁰ = 0.004.
    """

    @staticmethod
    def learn(layer: tw.nn.Module, rate: float, steps: int) -> float:
        x = tw.from_numpy(BAND.astype(np.float32)[None, None])
        wanted = F.conv2d(x, tw.tensor([[[[1.0, -1.0]]]]))
        optimizer = tw.optim.SGD(layer.parameters(), lr=rate)
        for _ in range(steps):
            optimizer.zero_grad()
            ((layer(x) - wanted) ** 2).sum().backward()
            optimizer.step()
        with tw.no_grad():
            return float(((layer(x) - wanted) ** 2).sum().item())

    @pytest.mark.parametrize("seed", range(6))
    def test_without_a_bias_from_any_start(self, seed: int) -> None:
        tw.manual_seed(seed)
        layer = tw.nn.Conv2d(1, 1, (1, 2), bias=False)
        assert self.learn(layer, rate=3e-2, steps=20) < 0.01
        found = layer.weight.detach().numpy().ravel()
        assert np.abs(found - [1, -1]).max() < 0.01, found

    @pytest.mark.parametrize("seed", range(6))
    def test_with_a_bias(self, seed: int) -> None:
        # Along (1, −1) a step leaves 0.88 of the error, thirty steps 0.0216. So to come within 0.03 the
        # start must lie within 1.39 of the answer (in each weight's share): here it is within 1.35.
        tw.manual_seed(seed)
        layer = tw.nn.Conv2d(1, 1, (1, 2))
        tw.nn.init.uniform_(layer.weight, -0.35, 0.35)
        assert layer.bias is not None
        self.learn(layer, rate=1e-2, steps=30)
        found = layer.weight.detach().numpy().ravel()
        assert np.abs(found - [1, -1]).max() < 0.03, found
        assert abs(float(layer.bias.item())) < 0.01


@pytest.mark.parametrize("mode", ["valid", "same", "full"])
@pytest.mark.parametrize("kernel", [(3, 3), (2, 4), (1, 5)])
def test_a_kernel_flipped_on_both_axes_is_convolution(kind: Kind, mode: str, kernel: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    x, w = rng.integers(-9, 10, (9, 8)).astype(float), rng.integers(-9, 10, kernel).astype(float)
    if mode == "same":
        # SciPy keeps the centre of the full result, so an even kernel's odd pad stands at the start.
        padding: object = [(size // 2, (size - 1) // 2) for size in kernel]
    else:
        padding = mode
    expected = convolve2d(x, w, mode=mode)
    kind.check_plane(tw.convolve(kind.plane(x), kind.plane(w), padding=padding), expected)
    kind.check_plane(tw.conv(kind.plane(x), kind.plane(w[::-1, ::-1]), padding=padding), expected)


def test_a_one_by_one_convolution_is_a_dense_layer_over_channels_at_every_pixel(kind: Kind) -> None:
    rng = np.random.default_rng(4)
    x, w = rng.integers(-9, 10, (2, 5, 6, 7)), rng.integers(-9, 10, (4, 5, 1, 1))
    b = rng.integers(-9, 10, 4)
    expected = np.einsum("nchw,kc->nkhw", x, w[:, :, 0, 0]) + b[:, None, None]
    kind.check(F.conv2d(kind(x), kind(w), kind(b)), expected)
    pixels = kind(x.transpose(0, 2, 3, 1).reshape(-1, 5))
    dense = F.linear(pixels, kind(w[:, :, 0, 0]), kind(b))
    kind.check(dense, expected.transpose(0, 2, 3, 1).reshape(-1, 4))


def test_eight_hundred_weights_make_as_many_features_as_a_dense_layer_has_weights() -> None:
    convolution = tw.nn.Conv2d(1, 32, 5, padding="same", bias=False)
    dense = tw.nn.Linear(28 * 28, 32, bias=False)
    image = tw.zeros(1, 1, 28, 28)
    assert convolution.weight.numel() == 800
    assert convolution(image).numel() == 32 * 28 * 28 == 25_088 == dense.weight.numel()
    assert dense(image.flatten(1)).numel() == 32


@pytest.mark.parametrize("settings", [{}, {"stride": 2}, {"padding": "same"}])
def test_what_a_convolution_and_a_dense_layer_cost_in_weights(settings: dict[str, object]) -> None:
    c_i, c_o, size, kernel = 3, 4, (6, 7), (3, 2)
    convolution = tw.nn.Conv2d(c_i, c_o, kernel, bias=False, **settings)
    y = convolution(tw.zeros(1, c_i, *size))
    dense = tw.nn.Linear(c_i * size[0] * size[1], y.numel(), bias=False)
    assert convolution.weight.numel() == c_i * c_o * kernel[0] * kernel[1]
    assert dense.weight.numel() == c_i * c_o * size[0] * size[1] * y.shape[2] * y.shape[3]


class TestFiltersForPictures:
    """The kernels of the picture examples, on pictures made here, where the answer is known."""

    def test_a_uniform_kernel_smooths_salt_and_pepper_noise(self) -> None:
        rng = np.random.default_rng(5)
        down, across = np.mgrid[0:64, 0:64]
        clean = 0.5 + 0.25 * np.sin(down / 9) * np.cos(across / 11)
        noisy = clean.copy()
        places = rng.random(clean.shape)
        noisy[places < 0.05], noisy[places > 0.95] = 0.0, 1.0
        smooth = tw.conv(noisy[None, None], np.full((1, 1, 3, 3), 1 / 9), padding="same")[0, 0]
        inner = (slice(1, -1), slice(1, -1))  # beyond the edge there is only black
        before = np.mean((noisy - clean)[inner] ** 2)
        after = np.mean((smooth - clean)[inner] ** 2)
        # Nine independent errors average to a ninth of the variance; the picture itself is nearly level.
        assert after < before / 6, (before, after)

    def test_signed_kernels_answer_to_edges_of_their_own_direction_alone(self, kind: Kind) -> None:
        upright = [[-0.25, 0.25], [-0.25, 0.25]]
        step = np.repeat([[0.0, 0, 0, 1, 1, 1]], 5, axis=0)
        edge = np.zeros((4, 5))
        edge[:, 2] = 0.5
        for picture, kernel, expected in (
            (step, upright, edge),
            (step, np.transpose(upright), np.zeros((4, 5))),
            (step.T, np.transpose(upright), edge.T),
            (step.T, upright, np.zeros((5, 4))),
            (-step, upright, -edge),
        ):
            kind.check_plane(F.conv2d(kind.plane(picture), kind.plane(kernel)), expected)

    def test_the_laplacian_is_zero_on_a_slope_and_the_curvature_of_a_bowl(self, kind: Kind) -> None:
        kernel = kind.plane([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
        down, across = np.mgrid[0:7, 0:9].astype(float)
        kind.check_plane(F.conv2d(kind.plane(3 * down - 2 * across + 5), kernel), np.zeros((5, 7)))
        kind.check_plane(F.conv2d(kind.plane(down**2 + across**2), kernel), np.full((5, 7), 4.0))


def test_a_board_of_nineteen_by_nineteen_with_seventeen_planes(kind: Kind) -> None:
    rng = np.random.default_rng(19)
    board = rng.integers(0, 2, (17, 19, 19))
    weight, bias = rng.integers(-3, 4, (8, 17, 3, 3)), rng.integers(-3, 4, 8)
    padded = np.pad(board, ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    expected = np.einsum("cyxij,kcij->kyx", windows, weight) + bias[:, None, None]
    kind.check(F.conv2d(kind(board), kind(weight), kind(bias), padding="same"), expected)
    kind.check(F.conv2d(kind(board[None]), kind(weight), kind(bias), padding="same"), expected[None])
