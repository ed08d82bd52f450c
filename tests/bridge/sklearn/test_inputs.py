"""What a sample is to the network: shapes, and how numbers are brought to one size."""

from __future__ import annotations

import numpy as np
import pytest
from compare import assert_same

pytest.importorskip("sklearn", "1.6", reason="needs scikit-learn 1.6 or newer")

from tilewright.bridge.sklearn.inputs import Layout, find_layout, standard_of
from tilewright.errors import ArgumentError, ShapeError

F32 = {"rtol": 1e-6, "atol": 1e-6, "reason": "a few roundings of float32 (6e-8 each) of numbers near 1"}
F64 = {"rtol": 1e-12, "atol": 1e-12, "reason": "sums of a few hundred float64 numbers near 1"}


@pytest.mark.parametrize(
    ("sample_shape", "image_shape", "layout"),
    [
        ((64,), None, Layout((8, 8), 1)),
        ((784,), None, Layout((28, 28), 1)),
        # Squares of less than 8 are tables: iris has 4 columns.
        ((49,), None, Layout((49,), 1, is_table=True)),
        ((4,), None, Layout((4,), 1, is_table=True)),
        ((65,), None, Layout((65,), 1, is_table=True)),
        ((1,), None, Layout((1,), 1, is_table=True)),
        ((3, 5), None, Layout((3, 5), 1)),
        ((3, 5, 2), None, Layout((3, 5), 2)),
        ((2, 3, 5, 4), None, Layout((2, 3, 5), 4)),
        ((64,), (64,), Layout((64,), 1)),
        ((30,), (5, 6), Layout((5, 6), 1)),
        ((30,), [5, 2, 3], Layout((5, 2), 3)),
        ((30,), (np.int64(5), 1, 2, 3), Layout((5, 1, 2), 3)),
        ((5, 6), (5, 6, 1), Layout((5, 6), 1)),
        ((5, 6, 1), (5, 6), Layout((5, 6), 1)),
        ((7, 1), (7,), Layout((7,), 1)),
        ((2, 3, 5), (2, 3, 5, 1), Layout((2, 3, 5), 1)),
    ],
)
def test_layouts(sample_shape: tuple[int, ...], image_shape: object, layout: Layout) -> None:
    assert find_layout(sample_shape, image_shape, "fit") == layout
    assert layout.features == np.prod(sample_shape)


FORM = (
    "fit needs image_shape as (length,), (height, width), (height, width, channels) "
    "or (depth, height, width, channels). Received: image_shape="
)


@pytest.mark.parametrize(
    ("sample_shape", "image_shape", "kind", "said"),
    [
        ((64,), 64, ArgumentError, FORM + "64."),
        ((64,), (), ArgumentError, FORM + "()."),
        ((64,), "88", ArgumentError, FORM + "'88'."),
        ((1,), (1, 1, 1, 1, 1), ArgumentError, FORM + "(1, 1, 1, 1, 1)."),
        (
            (64,),
            (8, 0),
            ArgumentError,
            "fit needs image_shape[1] to be at least 1. Received: image_shape[1]=0.",
        ),
        (
            (64,),
            (8.0, 8),
            ArgumentError,
            "fit needs image_shape[0] to be an integer. Received: image_shape[0]=8.0.",
        ),
        (
            (64,),
            (8, 9),
            ShapeError,
            "fit needs samples of image_shape, or each flattened to 72 numbers. "
            "Received: image_shape=(8, 9), sample_shape=(64,).",
        ),
        # As many numbers, but laid out in another way.
        (
            (4, 16),
            (8, 8),
            ShapeError,
            "fit needs samples of image_shape, or each flattened to 64 numbers. "
            "Received: image_shape=(8, 8), sample_shape=(4, 16).",
        ),
        (
            (1, 2, 3, 4, 5),
            None,
            ShapeError,
            "fit needs X as (n, features), (n, height, width), (n, height, width, channels) or "
            "(n, depth, height, width, channels). Received: sample_shape=(1, 2, 3, 4, 5).",
        ),
    ],
)
def test_layouts_that_are_refused(
    sample_shape: tuple[int, ...], image_shape: object, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind) as caught:
        find_layout(sample_shape, image_shape, "fit")
    assert str(caught.value) == said


def test_a_table_is_standardised_column_by_column() -> None:
    rows = np.array([[0.0, 10.0], [2.0, 30.0]])
    standard = standard_of(rows, np.array([0, 1]), np.ones(2), find_layout((2,), None, "fit"))
    assert standard.mean.tolist() == [1.0, 20.0] and standard.scale.tolist() == [1.0, 10.0]
    assert standard(rows).tolist() == [[[-1.0, -1.0]], [[1.0, 1.0]]]
    assert standard(rows).dtype == np.float32


def test_images_are_standardised_channel_by_channel() -> None:
    images = np.random.default_rng(0).normal(size=(9, 4, 5, 3)) * (1, 20, 300) + (5, 0, -7)
    rows = images.reshape(9, -1)
    standard = standard_of(rows, np.arange(9), np.ones(9), Layout((4, 5), 3))
    assert_same(standard.mean, images.mean(axis=(0, 1, 2)), **F64)
    assert_same(standard.scale, images.std(axis=(0, 1, 2)), **F64)
    seen = standard(rows)
    assert seen.shape == (9, 3, 4, 5) and seen.flags.c_contiguous
    expected = (images - images.mean(axis=(0, 1, 2))) / images.std(axis=(0, 1, 2))
    assert_same(seen, np.moveaxis(expected, -1, 1).astype(np.float32), **F32)


def test_weights_count_as_repetitions_and_rows_left_out_do_not_count() -> None:
    rows = np.random.default_rng(1).normal(size=(5, 3))
    layout = find_layout((3,), None, "fit")
    weighted = standard_of(rows, np.array([4, 0, 2]), np.array([1.0, 3.0, 2.0]), layout)
    repeated = rows[[4, 0, 0, 0, 2, 2]]
    assert_same(weighted.mean, repeated.mean(axis=0), **F64)
    assert_same(weighted.scale, repeated.std(axis=0), **F64)


def test_many_blocks_give_what_one_would() -> None:
    # 300 images of 64×64: more than the 2**20 numbers of a block.
    rows = np.random.default_rng(2).integers(0, 256, (300, 4096), np.uint8)
    standard = standard_of(rows, np.arange(300), np.ones(300), Layout((64, 64), 1))
    assert_same(standard.mean, [rows.mean()], **F64)
    assert_same(standard.scale, [rows.std()], **F64)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9 + 0.1, -3e-20])
def test_a_constant_column_becomes_zeros_and_not_noise(value: float) -> None:
    rows = np.full((7, 1), value)
    standard = standard_of(rows, np.arange(7), np.full(7, 1 / 3), find_layout((1,), None, "fit"))
    assert standard.scale.tolist() == [1.0]
    # What the mean's rounding leaves of the largest of them: a millionth.
    assert np.abs(standard(rows)).max() <= 1e-6


def test_a_large_offset_does_not_drown_the_differences() -> None:
    rows = np.array([[1e9], [1e9 + 1], [1e9 + 2]])
    standard = standard_of(rows, np.arange(3), np.ones(3), find_layout((1,), None, "fit"))
    # In float32 the three would be one number. The deviation of −1, 0, 1 is √(2/3).
    assert_same(standard(rows)[:, 0, 0], np.array([-(1.5**0.5), 0, 1.5**0.5], np.float32), **F32)
