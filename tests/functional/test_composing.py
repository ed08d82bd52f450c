"""Functions written for Tensors, offered for arrays."""

from __future__ import annotations

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
from tilewright.errors import DtypeError
from tilewright.functional.composing import check_floating, composed


def test_arrays_in_array_out() -> None:
    x = np.array(3.0)
    y = composed(lambda a, b: a * b / 0.0, x, np.array(2.0))
    assert type(y) is np.ndarray
    # Neither a NumPy number nor a warning, as x * 2 / 0.0 would give.
    assert_same(y, np.array(np.inf), rtol=0, atol=0, reason="6/0")


def test_a_tensor_in_a_tensor_out() -> None:
    t = tw.tensor([1.0, 2.0], requires_grad=True)
    y = composed(lambda a, b, c: a * b if c is None else a, t, np.array([3.0, 4.0], np.float32), None)
    y.sum().backward()
    assert_same(t.grad, np.array([3.0, 4.0], np.float32), rtol=0, atol=0, reason="exact")


def test_nothing_is_recorded_for_arrays() -> None:
    seen = []
    composed(lambda a: seen.append(tw.is_grad_enabled()) or a, np.ones(2))
    assert seen == [False]
    assert tw.is_grad_enabled()


def test_check_floating() -> None:
    check_floating("op", x=np.ones(2), y=tw.ones(2))
    with pytest.raises(DtypeError) as caught:
        check_floating("op", x=np.ones(2), y=np.ones(2, int))
    assert str(caught.value).startswith(
        "op needs y of one of the dtypes float32, float64, in native byte order. Received: y with shape (2,)"
    )
