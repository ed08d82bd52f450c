"""Curves: worked numbers that any correct convolution reproduces."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from compare import assert_same
from known_answers.kinds import EXACT, Kind, differentiable, gradient

import tilewright as tw
from tilewright.lens.matrix import convolution_matrix

FIVE = [1.0, 2, 3, 4, 5]
STEP = [10.0, 11, 9, 10, 101, 99, 100, 101, 9, 10, 11, 10]


def row(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """(n,) as (batch, channels, n)."""
    return np.array(values, dtype=np.float64)[None, None]


def test_smoothing_by_a_third_of_each_neighbour(kind: Kind) -> None:
    y = tw.functional.conv1d(kind.plane([-1, 4, 11, 14, 21, 25, 30]), kind.plane([0.33, 0.33, 0.33]))
    kind.check_plane(
        y, [4.62, 9.57, 15.18, 19.80, 25.08], within=1e-4, reason="the answer is stated to two decimals"
    )


def test_edges_of_a_curve_peak_where_it_jumps(kind: Kind) -> None:
    y = tw.functional.conv1d(kind.plane(STEP), kind.plane([0.5, -0.5]))
    kind.check_plane(y, [-0.5, 1, -0.5, -45.5, 1, -0.5, -0.5, 46, -0.5, -0.5, 0.5])
    size = np.abs(np.asarray(y[0, 0]))
    assert sorted(np.argsort(size)[-2:].tolist()) == [3, 7]


@pytest.mark.parametrize(
    ("values", "kernel", "total"),
    [
        pytest.param([1, 2, 3, 4, 5], [1, 1, 1], 39, id="as it is"),
        pytest.param([1, 2, 3, 4, 6], [1, 1, 1], 41, id="last input 6"),
        pytest.param([1, 2, 3, 4, 5], [2, 1, 1], 49, id="kernel 2 1 1"),
    ],
)
def test_neighbours_added_up_with_padding_1(
    kind: Kind, values: list[float], kernel: list[float], total: float
) -> None:
    y = tw.functional.conv1d(kind.plane(values), kind.plane(kernel), padding=1)
    assert float(y.sum()) == total
    if total == 39:
        kind.check_plane(y, [3, 6, 9, 12, 9])


def test_gradients_of_the_sum_of_neighbours() -> None:
    x, w = differentiable(row(FIVE)), differentiable(row([1, 1, 1]))
    tw.functional.conv1d(x, w, padding=1).sum().backward()
    assert_same(gradient(x), row([2, 3, 3, 3, 2]), rtol=0, atol=0, reason=EXACT)
    assert_same(gradient(w), row([10, 15, 14]), rtol=0, atol=0, reason=EXACT)


def test_each_row_of_a_batch_is_convolved_on_its_own(kind: Kind) -> None:
    rows = np.stack([np.arange(7.0), np.arange(1.0, 8.0)])[:, None]
    y = tw.functional.conv1d(kind(rows), kind(row([1, 1, 1])), padding=1)
    kind.check(y, [[[1, 3, 6, 9, 12, 15, 11]], [[3, 6, 9, 12, 15, 18, 13]]])
    for place in (0, 1):
        alone = tw.functional.conv1d(kind(rows[place : place + 1]), kind(row([1, 1, 1])), padding=1)
        kind.check(alone, np.asarray(y)[place : place + 1])


def test_the_kernel_gradient_sums_over_the_batch() -> None:
    rows = np.stack([np.arange(7.0), np.arange(1.0, 8.0)])[:, None]
    parts = []
    for chosen in (rows[:1], rows[1:], rows):
        x, w = differentiable(chosen), differentiable(row([1, 1, 1]))
        tw.functional.conv1d(x, w, padding=1).sum().backward()
        parts.append(gradient(w))
        edges = row([2, 3, 3, 3, 3, 3, 2])
        assert_same(gradient(x), np.repeat(edges, len(chosen), 0), rtol=0, atol=0, reason=EXACT)
    assert_same(parts[0], row([15, 21, 21]), rtol=0, atol=0, reason=EXACT)
    assert_same(parts[1], row([21, 28, 27]), rtol=0, atol=0, reason=EXACT)
    assert_same(parts[2], parts[0] + parts[1], rtol=0, atol=0, reason=EXACT)


@pytest.mark.parametrize(("stride", "outputs"), [(1, 5), (2, 3)])
def test_seven_numbers_and_a_kernel_of_three(kind: Kind, stride: int, outputs: int) -> None:
    x, w = np.random.default_rng(7).normal(size=7), np.ones(3)
    y = tw.functional.conv1d(kind.plane(x), kind.plane(w), stride=stride)
    assert tuple(y.shape) == (1, 1, outputs)
    assert tw.ConvDims.of((1, 1, 7), (1, 1, 3), stride=stride).output == (outputs,)
    windows = [x[o * stride : o * stride + 3].sum() for o in range(outputs)]
    # Three roundings of float32 on sums of a few units: a float32 ulp there is 2.4e-7.
    kind.check_plane(y, windows, within=1e-6, reason="three float32 roundings")


class TestAsAMatrix:
    """A convolution multiplies by a banded matrix, the transposed one by the same matrix transposed."""

    KERNEL = (2.0, -3.0, 5.0)

    @pytest.mark.parametrize("n", [3, 5, 8])
    def test_row_i_holds_the_kernel_at_column_i(self, n: int) -> None:
        matrix = convolution_matrix(self.KERNEL, n)
        assert matrix.shape == (n - 2, n)
        for i in range(n - 2):
            expected = np.zeros(n)
            expected[i : i + 3] = self.KERNEL
            assert_same(matrix[i], expected, rtol=0, atol=0, reason="the matrix is built, not computed")

    def test_at_stride_2_the_kernel_moves_two_columns_a_row(self) -> None:
        matrix = convolution_matrix(self.KERNEL, 9, stride=2)
        assert matrix.shape == (4, 9)
        for i in range(4):
            expected = np.zeros(9)
            expected[2 * i : 2 * i + 3] = self.KERNEL
            assert_same(matrix[i], expected, rtol=0, atol=0, reason="the matrix is built, not computed")

    @pytest.mark.parametrize("stride", [1, 2])
    def test_multiplying_by_it_is_the_convolution(self, kind: Kind, stride: int) -> None:
        x = np.array(FIVE)
        matrix = convolution_matrix(self.KERNEL, 5, stride=stride)
        y = tw.functional.conv1d(kind.plane(x), kind.plane(self.KERNEL), stride=stride)
        kind.check_plane(y, matrix @ x)

    @pytest.mark.parametrize("stride", [1, 2])
    def test_multiplying_by_its_transpose_is_the_transposed_convolution(
        self, kind: Kind, stride: int
    ) -> None:
        matrix = convolution_matrix(self.KERNEL, 5, stride=stride)
        small = np.arange(1.0, len(matrix) + 1)
        y = tw.functional.conv_transpose1d(kind.plane(small), kind.plane(self.KERNEL), stride=stride)
        kind.check_plane(y, matrix.T @ small)

    def test_five_become_three_become_five(self, kind: Kind) -> None:
        w = kind.plane(self.KERNEL)
        middle = tw.functional.conv1d(kind.plane(FIVE), w)
        back = tw.functional.conv_transpose1d(middle, w)
        assert (middle.shape[-1], back.shape[-1]) == (3, 5)
        matrix = convolution_matrix(self.KERNEL, 5)
        kind.check_plane(back, matrix.T @ (matrix @ np.array(FIVE)))
