"""Texts of tensors, against PyTorch's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import tilewright as tw

torch = pytest.importorskip("torch", reason="compares with PyTorch, which isn't installed")

SOURCE = np.random.default_rng(0)
ARRAYS = [
    np.array(3.0, np.float32),
    np.array(2.5, np.float32),
    np.array(-7),
    np.array(True),
    np.array([1.0, 2.0, 30.0], np.float32),
    np.array([1.0, 2.5, -30.0], np.float32),
    np.array([[1.0, 2.0], [3.0, 4.0]], np.float32),
    np.array([[True, False], [False, True]]),
    np.array([1, -20, 300]),
    np.array([1, 2], np.int8),
    np.array([[1, 2], [3, 4]], np.uint8),
    np.array([0.5], np.float64),
    np.array([1.5, 2.25], np.float16),
    np.array([1e-5, 1.0], np.float32),
    np.array([1e9, 2e9], np.float32),
    np.array([1e5, 2.0], np.float32),
    np.array([12345.678, 0.001], np.float32),
    np.array([0.00001], np.float32),
    np.array([np.nan, 1.0, np.inf, -np.inf], np.float32),
    np.array([np.nan, 1.5, -np.inf], np.float32),
    np.array([np.nan, np.inf], np.float32),
    np.array([np.nan, 1.0, 22.0], np.float32),
    np.zeros(3, np.float32),
    np.zeros((0,), np.float32),
    np.zeros((0, 3), np.float32),
    np.zeros((2, 0), np.float64),
    np.zeros(0, np.int64),
    np.arange(40, dtype=np.float32),
    np.arange(60),
    SOURCE.standard_normal((3, 4)).astype(np.float32),
    SOURCE.standard_normal((2, 3, 4)).astype(np.float32),
    SOURCE.standard_normal((2, 2, 2, 2)).astype(np.float32),
    SOURCE.standard_normal(30).astype(np.float32),
    SOURCE.standard_normal(2000).astype(np.float32),
    SOURCE.standard_normal((40, 50)).astype(np.float32),
    SOURCE.standard_normal((20, 20, 20)).astype(np.float64),
    np.arange(3000).reshape(3, 1000),
    np.arange(3000, dtype=np.float32).reshape(1000, 3),
    np.arange(2000, dtype=np.int32).reshape(5, 4, 100),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}-{a.shape}-{a.reshape(-1)[:2]}")
def test_as_pytorch_prints(array: np.ndarray) -> None:
    assert repr(tw.tensor(array)) == repr(torch.tensor(array)).replace("torch.", "")


def test_leaves_and_results() -> None:
    x = tw.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    assert repr(x) == "tensor([[1., 2.],\n        [3., 4.]], requires_grad=True)"
    assert repr(x + 1) == "tensor([[2., 3.],\n        [4., 5.]], grad_fn=<add>)"
    assert str(x.sum()) == "tensor(10., grad_fn=<sum>)"
    long = tw.tensor(np.arange(12.0), requires_grad=True)
    assert repr(long) == repr(torch.tensor(np.arange(12.0), requires_grad=True)).replace("torch.", "")


def test_formats() -> None:
    x = tw.tensor(2.0)
    assert f"{x:.3f}" == "2.000" and f"{x}" == "2.0" and f"{tw.tensor(7):4d}" == "   7"
    assert f"{tw.tensor([1.0])}" == "tensor([1.])"
    assert f"{tw.tensor(0.25, requires_grad=True)}" == f"{torch.tensor(0.25, requires_grad=True)}"


@pytest.fixture
def options() -> Iterator[None]:
    yield
    tw.set_printoptions(precision=4, threshold=1000, edgeitems=3, linewidth=80, sci_mode=False)
    from tilewright.autograd.printing import _Options

    _Options.sci_mode = None
    torch.set_printoptions(profile="default")


@pytest.mark.usefixtures("options")
def test_options() -> None:
    array = SOURCE.standard_normal((6, 7)).astype(np.float32)
    for choice in (
        {"precision": 2},
        {"threshold": 10, "edgeitems": 1},
        {"linewidth": 40},
        {"sci_mode": True},
    ):
        tw.set_printoptions(**choice)
        torch.set_printoptions(**choice)
        assert repr(tw.tensor(array)) == repr(torch.tensor(array)).replace("torch.", "")


def test_shape_and_node_texts() -> None:
    assert repr(tw.zeros(2, 3).shape) == "Size([2, 3])"
    assert repr(tw.zeros(1).device) == "device(type='cpu')" and str(tw.zeros(1).device) == "cpu"
    assert repr(tw.ones(1, requires_grad=True).exp().grad_fn) == "<exp>"
    assert tw.ones(1, requires_grad=True).exp().grad_fn.name() == "exp"
