"""Rectangles around the connected parts of a mask, and SciPy's."""

from __future__ import annotations

import numpy as np
import pytest

from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.image.video import regions

SNAKE = np.array([[1, 0, 1, 1, 1], [1, 0, 1, 0, 1], [1, 1, 1, 0, 1], [0, 0, 0, 0, 1], [1, 0, 1, 1, 0]])


def test_rectangles_by_hand() -> None:
    found = regions(SNAKE, connectivity=1)
    assert len(found) == 3
    assert found.top.tolist() == [0, 4, 4]
    assert found.left.tolist() == [0, 0, 2]
    assert found.bottom.tolist() == [4, 5, 5]
    assert found.right.tolist() == [5, 1, 4]
    assert found.area.tolist() == [12, 1, 2]
    assert len(regions(SNAKE)) == 2  # corners join by default


@pytest.mark.parametrize("connectivity", [1, 2])
def test_like_scipy(connectivity: int) -> None:
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is what this is compared with")
    draw = np.random.default_rng(connectivity)
    structure = np.ones((3, 3)) if connectivity == 2 else None
    for _ in range(1000):
        height, width = draw.integers(0, 30, 2)
        mask = draw.random((height, width)) < draw.random()
        found = regions(mask, connectivity)
        if mask.size == 0:
            assert len(found) == 0
            continue
        numbers, many = ndimage.label(mask, structure)
        boxes = [
            (rows.start, rows.stop, columns.start, columns.stop)
            for rows, columns in ndimage.find_objects(numbers)
        ]
        edges = np.stack([found.top, found.bottom, found.left, found.right], axis=1)
        assert [tuple(box) for box in edges.tolist()] == boxes
        assert np.array_equal(found.area, np.bincount(numbers.ravel(), minlength=many + 1)[1:])


def test_a_long_spiral_is_one() -> None:
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is what this is compared with")
    down, across = np.mgrid[:200, :200] - 100
    turns = (np.hypot(down, across) / 6 - np.arctan2(down, across) / np.pi) % 2 < 1
    assert len(regions(turns, 1)) == ndimage.label(turns)[1]


def test_any_layout_and_dtype() -> None:
    expected = regions(SNAKE).area.tolist()
    wide = np.zeros((10, 10))
    wide[::2, ::2] = SNAKE
    fixed = SNAKE.copy()
    fixed.flags.writeable = False
    for mask in (SNAKE.astype(bool), SNAKE * 0.5, np.asfortranarray(SNAKE), wide[::2, ::2], fixed):
        assert regions(mask).area.tolist() == expected
    assert sorted(regions(SNAKE[::-1, ::-1]).area.tolist()) == sorted(expected)
    assert regions(np.full((2, 3), np.nan)).area.tolist() == [6]  # NaN isn't zero


def test_refusals() -> None:
    with pytest.raises(ShapeError) as shape:
        regions(np.zeros(3))
    assert str(shape.value) == (
        "regions needs mask of shape (height, width). Received: mask with shape (3,) and dtype float64."
    )
    with pytest.raises(DtypeError) as dtype:
        regions("mask")
    assert str(dtype.value) == (
        "regions needs mask to be of bools, integers, float16, float32, float64. "
        "Received: mask with shape () and dtype <U4."
    )
    with pytest.raises(ArgumentError) as argument:
        regions(SNAKE, 3)
    assert str(argument.value) == "regions needs connectivity to be 1 or 2. Received: connectivity=3."
    with pytest.raises(DtypeError) as kind:
        regions(SNAKE, "1")  # type: ignore[arg-type]
    assert str(kind.value) == "regions needs connectivity to be an integer. Received: connectivity='1'."
