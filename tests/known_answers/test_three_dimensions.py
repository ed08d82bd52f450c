"""Films: a kernel over time and place that answers to motion alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from known_answers.kinds import Kind

import tilewright as tw

Array = npt.NDArray[np.float64]

SIZE = 320
RADIUS = 40
# Black, and a ball that is white: a power of two, so that sums of it are exact.
BALL = 1.0


def film(background: float = 0.0) -> Array:
    """Five frames of a ball that moves 12 pixels to the right and 5 down a frame, (5, 320, 320)."""
    down, across = np.mgrid[0:SIZE, 0:SIZE]
    frames = [np.hypot(down - (120 + 5 * time), across - (100 + 12 * time)) <= RADIUS for time in range(5)]
    return np.where(np.stack(frames), BALL, background)


def motion_kernel() -> Array:
    """(1, 1, 2, 3, 3): the mean of the frame after, less the mean of the frame before."""
    kernel = np.full((1, 1, 2, 3, 3), 1 / 9)
    kernel[:, :, 0] *= -1
    return kernel


def counts(frames: Array) -> Array:
    """How many of the nine pixels around each inner pixel belong to the ball, (5, 318, 318)."""
    windows = np.lib.stride_tricks.sliding_window_view(frames == BALL, (3, 3), axis=(1, 2))
    return windows.sum(axis=(-1, -2)).astype(float)


@pytest.mark.parametrize("background", [0.0, 0.25])
def test_a_moving_ball_shows_where_it_covers_and_uncovers_the_background(
    kind: Kind, background: float
) -> None:
    frames = film(background)
    x, w = kind.plane(frames), kind(motion_kernel())
    y = tw.functional.conv3d(x, w)
    assert tuple(x.shape) == (1, 1, 5, 320, 320)
    assert tuple(y.shape) == (1, 1, 4, 318, 318)
    inside = counts(frames)
    expected = (BALL - background) * np.diff(inside, axis=0) / 9
    # Eighteen products of 1/9, each rounded, and as many sums of at most 1.
    within = 36 * float(np.finfo(kind.dtype).eps)
    kind.check_plane(y, expected, within=within, reason="eighteen roundings of numbers up to 1")

    seen = np.asarray(y)[0, 0]
    still = (np.diff(inside, axis=0) == 0) & np.isin(inside[:-1], (0, 9))
    centre = [(119 + 5 * time, 99 + 12 * time) for time in range(4)]  # the border took one pixel
    for time, (row, column) in enumerate(centre):
        # In front of the ball it brightens, behind it darkens, inside it nothing happens.
        assert seen[time, row, column + RADIUS + 4] > 0.5 * (BALL - background)
        assert seen[time, row, column - RADIUS + 4] < -0.5 * (BALL - background)
        assert still[time, row - 10 : row + 15, column - 10 : column + 20].all()
    assert np.abs(seen[still]).max() <= within
    if background == 0.0:
        # Far from the ball every product is of a zero, and so is their sum, to the bit.
        assert not seen[:, :, 260:].any() and not seen[:, 240:].any()


def test_a_film_in_which_nothing_moves_gives_zero_everywhere(kind: Kind) -> None:
    frames = np.repeat(film()[:1], 5, axis=0)
    y = tw.conv(kind.plane(frames), kind(motion_kernel()))
    within = 36 * float(np.finfo(kind.dtype).eps)
    kind.check(
        y, np.zeros((1, 1, 4, 318, 318)), within=within, reason="eighteen roundings of numbers up to 1"
    )
    with_whole_numbers = tw.conv(kind.plane(frames), kind(np.sign(motion_kernel())))
    kind.check(with_whole_numbers, np.zeros((1, 1, 4, 318, 318)))


@pytest.mark.parametrize(("spatial", "kernel"), [((5, 320, 320), (2, 3, 3))])
def test_the_size_is_known_before_anything_is_computed(
    spatial: tuple[int, ...], kernel: tuple[int, ...]
) -> None:
    assert tw.ConvDims.of((1, 1, *spatial), (1, 1, *kernel)).output == (4, 318, 318)
