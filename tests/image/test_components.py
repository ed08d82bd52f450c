"""Connected parts of masks: drawn by hand, SciPy's numbers, and shapes that are hard to hold together."""

from __future__ import annotations

import re

import numpy as np
import pytest
from compare import assert_same

from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.image.components import connected_to, label

SAME = "numbers of parts"


def drawn(*rows: str) -> np.ndarray:
    return np.array([[int(letter) if letter != "." else 0 for letter in row] for row in rows], np.int32)


def test_parts_are_numbered_in_reading_order() -> None:
    expected = drawn("1.2.2", "1.222", "....2", "33...")
    found, count = label(expected > 0)
    assert_same(found, expected, rtol=0, atol=0, reason=SAME)
    assert count == 3
    found, count = label(drawn("1.1", ".1.", "1.1") > 0, connectivity=2)
    assert (count, found.max()) == (1, 1)
    assert label(drawn("1.1", ".1.", "1.1") > 0)[1] == 5


def test_rows_end_where_they_end() -> None:
    # The last pixel of a row and the first of the next follow each other in memory only.
    assert label(drawn("..1", "1..") > 0, connectivity=2)[1] == 2
    assert label(drawn("..1", "1..", "..1") > 0, connectivity=2)[1] == 3


def test_a_spiral_and_a_comb_are_one_part() -> None:
    size = 41
    spiral = np.zeros((size, size), bool)
    row, column, down, right, steps = 0, 0, 0, 1, size - 1
    spiral[0, 0] = True
    while steps > 0:
        for _ in range(2 if steps < size - 1 else 3):
            for _ in range(steps):
                row, column = row + down, column + right
                spiral[row, column] = True
            down, right = right, -down
        steps -= 2
    assert label(spiral)[1] == 1
    comb = np.zeros((30, 61), bool)
    comb[:, ::2], comb[-1] = True, True
    assert label(comb)[1] == 1
    assert label(comb[:-1])[1] == 31
    seeds = np.zeros_like(comb)
    seeds[0, 60] = True
    assert connected_to(comb, seeds).sum() == comb.sum()


@pytest.mark.parametrize("connectivity", [1, 2])
def test_masks_of_noise_are_labelled_as_by_scipy(connectivity: int) -> None:
    ndimage = pytest.importorskip("scipy.ndimage", reason="compares with SciPy")
    rng = np.random.default_rng(connectivity)
    touching = ndimage.generate_binary_structure(2, connectivity)
    for _ in range(300):
        mask = rng.random(rng.integers(0, 25, 2)) < rng.uniform(0.1, 0.9)
        expected, count = ndimage.label(mask, touching)
        found, parts = label(mask, connectivity)
        assert_same(found, expected.astype(np.int32), rtol=0, atol=0, reason=SAME)
        assert parts == count
        seeds = rng.random(mask.shape) < 0.05
        kept = np.isin(expected, np.unique(expected[seeds & mask])) & mask
        assert np.array_equal(connected_to(mask, seeds, connectivity), kept)


def test_large_noise_at_the_threshold_of_percolation() -> None:
    ndimage = pytest.importorskip("scipy.ndimage", reason="compares with SciPy")
    mask = np.random.default_rng(0).random((700, 900)) < 0.59  # parts of all sizes, wound about each other
    expected, count = ndimage.label(mask)
    found, parts = label(mask[::-1][::-1])
    assert parts == count
    assert_same(found, expected.astype(np.int32), rtol=0, atol=0, reason=SAME)


def test_what_is_refused() -> None:
    message = "label needs mask of shape (height, width). Received: mask with shape (3,) and dtype bool."
    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        label(np.zeros(3, bool))
    message = (
        "connected_to needs a mask and seeds of one shape. Received: mask with shape (2, 2) and dtype bool, "
        "seeds with shape (2, 3) and dtype bool."
    )
    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        connected_to(np.zeros((2, 2), bool), np.zeros((2, 3), bool))
    message = "label needs connectivity to be 1 or 2. Received: connectivity=4."
    with pytest.raises(ArgumentError, match=f"^{re.escape(message)}$"):
        label(np.zeros((2, 2)), 4)
    message = "label needs connectivity to be an integer. Received: connectivity=None."
    with pytest.raises(DtypeError, match=f"^{re.escape(message)}$"):
        label(np.zeros((2, 2)), None)  # type: ignore[arg-type]
    with pytest.raises(DtypeError, match=r"^label needs mask to be of bools, .*Received: mask"):
        label("mask")
