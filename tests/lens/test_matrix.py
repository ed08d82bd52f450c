"""A convolution as a matrix: the worked answers, the definition, and the picture of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lens.pictures import MARKED, Seen, count, read_png

from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.lens.matrix import convolution_matrix, draw_matrix


@pytest.mark.parametrize("n", [3, 4, 7, 12])
def test_kernel_of_three_gives_a_banded_matrix_whose_row_i_holds_the_kernel_at_column_i(n: int) -> None:
    matrix = convolution_matrix([5, 6, 7], n)
    assert matrix.shape == (n - 2, n)
    for row in range(n - 2):
        assert matrix[row].tolist() == [0] * row + [5, 6, 7] + [0] * (n - 3 - row)


def test_at_stride_two_the_kernel_moves_two_columns_a_row() -> None:
    assert convolution_matrix([5, 6, 7], 7, stride=2).tolist() == [
        [5, 6, 7, 0, 0, 0, 0],
        [0, 0, 5, 6, 7, 0, 0],
        [0, 0, 0, 0, 5, 6, 7],
    ]


def test_the_transposed_convolution_is_the_matrix_transposed() -> None:
    matrix = convolution_matrix([1, 2, 3], 5)
    assert matrix.shape == (3, 5)
    small = matrix @ np.array([1, 2, 3, 4, 5])
    assert small.tolist() == [14, 20, 26]
    back = matrix.T @ small
    # Each of 14, 20, 26 times 1 2 3, laid down one place further each time and added.
    assert back.tolist() == [14, 28 + 20, 42 + 40 + 26, 60 + 52, 78]


def test_a_4x4_image_and_a_2x2_kernel_give_a_block_banded_9x16_matrix() -> None:
    matrix = convolution_matrix([[0, 1], [2, 3]], (4, 4))
    assert matrix.shape == (9, 16)
    top, bottom, nothing = (convolution_matrix(row, 4) for row in ([0, 1], [2, 3], [0, 0]))
    blocks = [
        [top, bottom, nothing, nothing],
        [nothing, top, bottom, nothing],
        [nothing, nothing, top, bottom],
    ]
    assert np.array_equal(matrix, np.block(blocks))


def test_the_rastered_image_times_the_matrix_is_the_convolution() -> None:
    image = np.arange(9).reshape(3, 3)
    assert (convolution_matrix([[0, 1], [2, 3]], (3, 3)) @ image.ravel()).tolist() == [19, 25, 37, 43]


def test_same_padding_at_the_end() -> None:
    image = np.array([[4, 1, 7, 5], [4, 4, 2, 5], [7, 7, 2, 4], [1, 0, 2, 4]])
    matrix = convolution_matrix([[1, 0], [2, 1]], (4, 4), padding="same")
    answer = [[16, 11, 16, 15], [25, 20, 10, 13], [9, 9, 10, 12], [1, 0, 2, 4]]
    assert (matrix @ image.ravel()).reshape(4, 4).tolist() == answer


def test_a_padded_row_loses_the_taps_that_fall_outside() -> None:
    assert convolution_matrix([1, 2, 3], 4, padding=1).tolist() == [
        [2, 3, 0, 0],
        [1, 2, 3, 0],
        [0, 1, 2, 3],
        [0, 0, 1, 2],
    ]
    assert convolution_matrix([1, 2, 3], 4, padding=((2, 0),)).tolist() == [
        [3, 0, 0, 0],
        [2, 3, 0, 0],
        [1, 2, 3, 0],
        [0, 1, 2, 3],
    ]
    # Cropping one sample at the start: row 0 starts at column 1.
    assert convolution_matrix([1, 2], 4, padding=((-1, 0),)).tolist() == [[0, 1, 2, 0], [0, 0, 1, 2]]


def test_dilation_spreads_the_taps() -> None:
    assert convolution_matrix([1, 2], 5, dilation=3).tolist() == [[1, 0, 0, 2, 0], [0, 1, 0, 0, 2]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.int64])
def test_the_kernels_dtype_is_kept(dtype: type) -> None:
    assert convolution_matrix(np.ones(2, dtype), 3).dtype == dtype


def by_the_definition(
    kernel: npt.NDArray[Any],
    x: npt.NDArray[Any],
    stride: tuple[int, ...],
    pads: tuple[tuple[int, int], ...],
    dilation: tuple[int, ...],
) -> list[int]:
    """Every output in C order, one multiplication at a time."""
    spans = [
        range((n + sum(pad) - d * (k - 1) - 1) // s + 1)
        for n, k, s, pad, d in zip(x.shape, kernel.shape, stride, pads, dilation, strict=True)
    ]
    answer = []
    for output in itertools.product(*spans):
        total = 0
        for tap in np.ndindex(kernel.shape):
            place = tuple(
                o * s + t * d - pad[0]
                for o, s, t, d, pad in zip(output, stride, tap, dilation, pads, strict=True)
            )
            if all(0 <= p < n for p, n in zip(place, x.shape, strict=True)):
                total += int(kernel[tap]) * int(x[place])
        answer.append(total)
    return answer


@given(data=st.data(), rank=st.integers(1, 3), seed=st.integers(0, 2**32 - 1))
def test_any_geometry_is_its_definition(data: st.DataObject, rank: int, seed: int) -> None:
    random = np.random.default_rng(seed)

    def draw(low: int, high: int) -> tuple[int, ...]:
        return tuple(data.draw(st.integers(low, high)) for _ in range(rank))

    kernel_shape, stride, dilation = draw(1, 3), draw(1, 3), draw(1, 2)
    pads = tuple(zip(draw(0, 2), draw(0, 2), strict=True))
    # At least as large as the dilated kernel, so that there is an output.
    extra = draw(0, 2)
    shape = tuple(d * (k - 1) + 1 + e for k, d, e in zip(kernel_shape, dilation, extra, strict=True))
    kernel = random.integers(-9, 10, kernel_shape)
    x = random.integers(-9, 10, shape)
    matrix = convolution_matrix(kernel, shape, stride, pads, dilation)
    # Integers: both sides are exact.
    assert (matrix @ x.ravel()).tolist() == by_the_definition(kernel, x, stride, pads, dilation)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: convolution_matrix(np.ones((1, 1, 1, 1)), (1, 1, 1, 1)),
            ShapeError,
            "convolution_matrix needs kernel of rank 1, 2 or 3 with at least one tap. "
            "Received: kernel with shape (1, 1, 1, 1) and dtype float64.",
        ),
        (
            lambda: convolution_matrix(3.0, 4),
            ShapeError,
            "convolution_matrix needs kernel of rank 1, 2 or 3 with at least one tap. "
            "Received: kernel with shape () and dtype float64.",
        ),
        (
            lambda: convolution_matrix([], 4),
            ShapeError,
            "convolution_matrix needs kernel of rank 1, 2 or 3 with at least one tap. "
            "Received: kernel with shape (0,) and dtype float64.",
        ),
        (
            lambda: convolution_matrix(["a"], 4),
            DtypeError,
            "convolution_matrix needs kernel made of real numbers. "
            "Received: kernel with shape (1,) and dtype <U1.",
        ),
        (
            lambda: convolution_matrix([[1, 2], [3]], (4, 4)),
            ShapeError,
            "convolution_matrix needs kernel as one rectangular array. Received: kernel=[[1, 2], [3]]. "
            "Make its rows equally long.",
        ),
        (
            lambda: convolution_matrix([[1, 2]], 4),
            ShapeError,
            "convolution_matrix needs input_shape with one size for each of the kernel's 2 axes. "
            "Received: kernel with shape (1, 2) and dtype int64, input_shape=4.",
        ),
        (
            lambda: convolution_matrix([1, 2], 4, stride=0),
            ArgumentError,
            "convolution_matrix needs stride to be at least 1. Received: stride=0.",
        ),
        (
            lambda: convolution_matrix([1, 2], 0, padding=2),
            ShapeError,
            "convolution_matrix needs an input of at least one sample. Received: input_shape=(0,).",
        ),
        (
            lambda: convolution_matrix([1, 2, 3], 2),
            ShapeError,
            "convolution_matrix needs the window to fit into the padded input. "
            "Received: padded input of size (2,), window of size (3,).",
        ),
        (
            lambda: convolution_matrix([1], 10**12),
            ShapeError,
            "convolution_matrix builds at most 67,108,864 entries. "
            "Received: 1,000,000,000,000 outputs and 1,000,000,000,000 inputs. "
            "Take a smaller input: the pattern is the same.",
        ),
        (
            lambda: draw_matrix([1.0, 2.0], "unused.png"),
            ShapeError,
            "draw_matrix needs matrix of rank 2 (outputs, inputs). "
            "Received: matrix with shape (2,) and dtype float64.",
        ),
        (
            lambda: draw_matrix(np.ones((0, 3)), "unused.png"),
            ShapeError,
            "draw_matrix needs matrix with at least one value. "
            "Received: matrix with shape (0, 3) and dtype float64.",
        ),
        (
            lambda: draw_matrix([[1j]], "unused.png"),
            DtypeError,
            "draw_matrix needs matrix made of real numbers. "
            "Received: matrix with shape (1, 1) and dtype complex128.",
        ),
        (
            lambda: draw_matrix([[1]], "unused.png", blocks=(0, 1)),
            ArgumentError,
            "draw_matrix needs blocks of at least one row and one column. Received: blocks=(0, 1).",
        ),
    ],
)
def test_bad_input_is_refused(call: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value).startswith(message)


def test_the_picture_states_its_sizes_and_values(tmp_path: Path, seen: Seen) -> None:
    draw_matrix(convolution_matrix([1, -2.5], 4), tmp_path / "matrix.png", "Differences")
    words = seen.words()
    assert "Differences" in words
    assert "3 outputs × 4 inputs; 6 of 12 entries are not zero" in words
    assert (words.count("1"), words.count("−2.5")) == (3, 4)  # the fourth is the end of the scale


def test_a_thinned_matrix_keeps_its_band_and_its_nan(tmp_path: Path, seen: Seen) -> None:
    matrix = np.eye(1003)
    matrix[500, 20] = np.nan
    pixels = read_png(draw_matrix(matrix, tmp_path / "matrix.png"))
    assert "thinned for drawing" in seen.all_words()
    assert "magenta: not a finite number" in seen.all_words()
    # One cell of 335 to 8 inches of 144 pixels: about 3 pixels a side.
    assert 4 <= count(pixels, MARKED) <= 25
    deep_orange = count(pixels, (0x7A, 0x2B, 0x00))
    # The diagonal: 335 cells of about 12 pixels, some shared with the frame.
    assert 335 * 4 <= deep_orange <= 335 * 16 + 2000
