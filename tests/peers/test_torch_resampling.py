"""Padding, unfold and interpolation beside PyTorch's in other ranks and dtypes.

``test_torch_random`` compares them, and gradients, in float64.
"""

from __future__ import annotations

from typing import Any

import pytest
from compare import assert_same
from operands import normal

import tilewright as tw
import tilewright.functional as F

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")
import torch.nn.functional as TF  # noqa: E402 - after the skip

# Its threads cost more than these small arrays do.
torch.set_num_threads(1)


@pytest.mark.parametrize("rank", [1, 3])
def test_unfold_of_other_ranks(rank: int) -> None:
    """PyTorch's own has two axes; its Tensor.unfold slides over any, one after the other."""
    x = torch.tensor(normal((2, 3, *range(5, 5 + rank)), 1))
    windows = TF.pad(x, (1, 2) * rank)
    for axis in range(2, 2 + rank):
        windows = windows.unfold(axis, 3, 2)
    places = windows.shape[2 : 2 + rank].numel()
    # (batch, channels, *places, *taps) → (batch, channels · taps, places)
    expected = windows.reshape(2, 3, places, 3**rank).transpose(2, 3).reshape(2, 3 * 3**rank, places)
    found = F.unfold(tw.tensor(x.numpy()), (3,) * rank, padding=((1, 2),) * rank, stride=2)
    assert_same(found, expected, rtol=0, atol=0, reason="numbers are only moved")


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.float32])
def test_nearest_in_other_dtypes(dtype: Any) -> None:
    x = torch.arange(2 * 3 * 5 * 7).reshape(2, 3, 5, 7).to(dtype)
    for size in ((10, 14), (3, 4), (8, 3)):
        for mode in ("nearest", "nearest-exact"):
            expected = TF.interpolate(x, size=size, mode=mode)
            assert_same(
                F.interpolate(x.numpy(), size=size, mode=mode), expected, rtol=0, atol=0, reason="moved"
            )


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "area"])
def test_half_precision(mode: str) -> None:
    x = torch.tensor(normal((2, 3, 6, 5), 1)).half()
    expected = TF.interpolate(x.float(), size=(4, 9), mode=mode).half()
    found = F.interpolate(x.numpy(), size=(4, 9), mode=mode)
    assert_same(found, expected, rtol=1e-3, atol=1e-6, reason="one rounding to 11 bits, of sums in float32")


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int32, torch.int64, torch.float16])
@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_pad_in_other_dtypes(mode: str, dtype: Any) -> None:
    x = (torch.arange(2 * 3 * 4) % 7).reshape(2, 3, 4).to(dtype)
    for pads in ((1, 2), (-1, 3), (2, -1)):
        try:
            expected = TF.pad(x, pads, mode)
        except RuntimeError:  # PyTorch has no kernel for this dtype
            assert dtype in (torch.bool, torch.uint8, torch.int32, torch.int64, torch.float16)
            expected = TF.pad(x.float(), pads, mode).to(dtype)
        assert_same(F.pad(x.numpy(), pads, mode), expected, rtol=0, atol=0, reason="numbers are only moved")
