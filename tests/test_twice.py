"""The comparison with PyTorch fails on every kind of wrong answer, and passes a right one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from twice import check_twice

from tilewright.errors import TilewrightError

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")

X = np.array([0.5, -1.0, 2.0])


def _cube(x: Any) -> Any:
    return x * x * x


def test_the_same_passes() -> None:
    check_twice(_cube, _cube, [X])
    check_twice(lambda x: (x * 2, x + 1), lambda x: (x * 2, x + 1), [X])
    check_twice(lambda x: x + 1, lambda x: x + 1, [np.arange(3)])


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (lambda x: _cube(x) + 1e-6, "output: "),
        # The value is right, the slope isn't.
        (lambda x: _cube(x) + (x - x.detach()) * 1e-6, "input 0, gradient: "),
        # Value and slope are right, the curvature isn't.
        (lambda x: _cube(x) + (x - x.detach()) ** 2 * 1e-6, "input 0, second gradient: "),
    ],
)
def test_a_wrong_answer_fails(wrong: Any, what: str) -> None:
    with pytest.raises(AssertionError, match=what):
        check_twice(wrong, _cube, [X])


def test_no_gradient_fails() -> None:
    with pytest.raises(TilewrightError, match="requires_grad"):
        check_twice(lambda x: x.detach() ** 3, _cube, [X])


def test_a_curvature_is_not_asked_for_in_vain() -> None:
    check_twice(lambda x: _cube(x) + (x - x.detach()) ** 2, _cube, [X], second=False)


def test_further_outputs_count() -> None:
    with pytest.raises(AssertionError, match="another output: "):
        check_twice(lambda x: (x, x * 1.1), lambda x: (x, x), [X])
    with pytest.raises(AssertionError, match="instead of a tuple"):
        check_twice(lambda x: x, lambda x: (x, x), [X])
    with pytest.raises(ValueError, match="zip"):
        check_twice(lambda x: (x, x, x), lambda x: (x, x), [X])


def test_whole_numbers_are_compared() -> None:
    with pytest.raises(AssertionError, match="output: "):
        check_twice(lambda x: x + 2, lambda x: x + 1, [np.arange(3)])
