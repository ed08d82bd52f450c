"""The two ways of compressing without learning, against values worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from train.nets import tiny_images

from tilewright.errors import ArgumentError
from tilewright.train.baselines import _shrink_and_enlarge, mean_image, thumbnails


def test_the_mean_image_is_the_mean_of_what_the_network_sees() -> None:
    data = tiny_images().train
    images = np.stack([data[place][0] for place in range(len(data))])
    # Both sum 50 numbers below 4 in float64: a few roundings of 1e-16 apart.
    np.testing.assert_allclose(mean_image(data), images.mean(axis=0, dtype=np.float64), rtol=0, atol=1e-13)


def test_four_pixels_through_two() -> None:
    # Means of pairs, at places 0.5 and 2.5 of the old pixels; between them the line, beyond them the ends.
    made = _shrink_and_enlarge(4, 2) @ np.array([0.0, 2.0, 6.0, 8.0])
    assert made.tolist() == [1.0, 2.5, 5.5, 7.0]


def test_an_axis_that_does_not_divide_averages_over_parts_of_pixels() -> None:
    # Three pixels to two: the middle one belongs half to each.
    made = _shrink_and_enlarge(3, 2) @ np.array([3.0, 6.0, 0.0])
    # Means (3 + 6/2)/1.5 = 4 and (6/2 + 0)/1.5 = 2; enlarged at -1/6 → 0, 1/2 and 7/6 → 1.
    np.testing.assert_allclose(made, [4.0, 3.0, 2.0], rtol=0, atol=1e-15)  # a few roundings


def test_a_thumbnail_of_full_size_is_the_image() -> None:
    images = np.random.default_rng(0).random((2, 1, 5, 7))
    made = thumbnails(images, 35)
    assert made.size == (5, 7)
    # The matrices are identities but for a few roundings.
    np.testing.assert_allclose(made.images, images, rtol=0, atol=1e-14)


def test_of_all_shapes_the_best_is_taken() -> None:
    # Rows of one value each: six values spent on the rows lose nothing.
    images = np.repeat(np.arange(6.0)[:, None], 6, axis=1)[None, None]
    made = thumbnails(images, 6)
    assert made.size == (6, 1)
    np.testing.assert_allclose(made.images, images, rtol=0, atol=1e-14)  # a few roundings


def test_a_constant_image_survives_any_thumbnail() -> None:
    images = np.full((1, 2, 9, 4), 0.25)
    for values in (2, 3, 10, 40, 1000):
        # Rows of the matrices add up to 1 but for a few roundings.
        np.testing.assert_allclose(thumbnails(images, values).images, images, rtol=0, atol=1e-15)


def test_refusals() -> None:
    with pytest.raises(
        ArgumentError, match=r"at least one value for each channel\. Received: values=2, channels=3\."
    ):
        thumbnails(np.zeros((1, 3, 4, 4)), 2)
    with pytest.raises(ArgumentError, match="Thumbnails need images of finite numbers"):
        thumbnails(np.full((1, 1, 4, 4), np.nan), 4)
