"""The shape that shapes broadcast to: NumPy's rule, for arrays of any rank."""

from __future__ import annotations

import numpy as np
import pytest

from tilewright.op.arrays import broadcast_shape


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([()], ()),
        ([(2, 3), (2, 3)], (2, 3)),
        ([(2, 1), (3,)], (2, 3)),
        ([(1,), (0,)], (0,)),
        ([(0,), (1,), ()], (0,)),
        ([(4, 1, 1), (3, 1), (2,)], (4, 3, 2)),
        ([(1,) * 40, (5,)], (*(1,) * 39, 5)),
    ],
)
def test_known_shapes(shapes: list[tuple[int, ...]], expected: tuple[int, ...]) -> None:
    assert broadcast_shape(*shapes) == expected


def test_as_numpy_has_it() -> None:
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(500):
        # Mostly 1 and 2, so that about half of them fit.
        shapes = [tuple(rng.choice([1, 1, 2, 2, 0, 3], rng.integers(4))) for _ in range(rng.integers(1, 4))]
        try:
            expected = np.broadcast_shapes(*shapes)
        except ValueError:
            refused += 1
            with pytest.raises(ValueError, match="shapes that don't broadcast"):
                broadcast_shape(*shapes)
        else:
            assert broadcast_shape(*shapes) == expected
    assert 100 < refused < 400
