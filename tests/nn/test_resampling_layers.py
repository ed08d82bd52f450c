"""Layers of unfold, fold, pixel shuffle and interpolation: what PyTorch hasn't got, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
from tilewright import nn
from tilewright.errors import ArgumentError
from tilewright.nn import functional as F

_EXACT = {"rtol": 0, "atol": 0, "reason": "the same computation"}


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
def test_every_rank(rank: int) -> None:
    ones, x = (1,) * rank, tw.randn(2, 3, *range(4, 4 + rank))
    unfold = nn.Unfold(tuple(2 * one for one in ones), padding=((1, 0),) * rank, stride=2)
    columns = unfold(x)
    assert_same(columns, F.unfold(x, (2,) * rank, padding=((1, 0),) * rank, stride=2), **_EXACT)
    fold = nn.Fold(tuple(x.shape[2:]), 2, padding=((1, 0),) * rank, stride=2)
    # Windows that don't overlap give back what they cover.
    covered = np.ones(x.shape, bool)
    for axis, n in enumerate(x.shape[2:], start=2):
        if n % 2 == 0:
            np.moveaxis(covered, axis, 0)[-1] = False
    assert_same(fold(columns), np.where(covered, x.numpy(), np.float32(0)), **_EXACT)
    shuffled = nn.PixelUnshuffle((1,) * rank)(nn.PixelShuffle((1,) * (rank - 1) + (3,))(x))
    assert shuffled.shape == (2, 1, *x.shape[2:-1], 3 * x.shape[-1])
    for mode in ("nearest", "linear", "cubic", "area"):
        up = nn.Upsample(scale_factor=1.5, mode=mode)(x)
        assert up.shape[2:] == tuple(int(1.5 * n) for n in x.shape[2:])


def test_gradients_pass_through() -> None:
    model = nn.Sequential(
        nn.Conv2d(2, 8, 3, padding="same", padding_mode="reflect"), nn.PixelShuffle(2), nn.Upsample(size=5)
    )
    model(tw.randn(1, 2, 4, 4)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert not list(nn.Upsample(size=3).state_dict())


def test_super_resolution_is_learnt() -> None:
    """A sub-pixel network learns to undo the averaging of waves better than cubic interpolation does."""
    tw.manual_seed(0)
    drawn = np.random.default_rng(0)
    y, x = np.mgrid[0:16, 0:16] / 16
    waves = [np.sin(2 * np.pi * (a * x + b * y + c)) for a, b, c in drawn.uniform(-3, 3, (64, 3))]
    fine = tw.tensor(np.array(waves, np.float32)[:, None])
    coarse = F.interpolate(fine, scale_factor=0.5, mode="area")
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, padding_mode="replicate"),
        nn.ReLU(),
        nn.Conv2d(16, 4, 3, padding=1, padding_mode="replicate"),
        nn.PixelShuffle(2),
    )
    optimiser = tw.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(150):
        optimiser.zero_grad()
        loss = F.mse_loss(model(coarse), fine)
        loss.backward()
        optimiser.step()
    cubic = F.mse_loss(F.interpolate(coarse, scale_factor=2, mode="bicubic"), fine)
    assert loss.item() < cubic.item()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: nn.Unfold(0), "Unfold needs kernel_size to be at least 1. Received: kernel_size=0."),
        (lambda: nn.Unfold(()), "Unfold needs at least one spatial axis. Received: arguments=((), 1, 0, 1)."),
        (
            lambda: nn.Unfold((2, 2), stride=(1,)),
            "Unfold needs stride to be an integer or 2 of them, one per spatial axis. Received: stride=(1,).",
        ),
        (lambda: nn.Unfold(2, padding="most"), "Unfold knows the padding names 'valid', 'same',"),
        (lambda: nn.Fold(-1, 2), "Fold needs output_size to be at least 0. Received: output_size=-1."),
        (lambda: nn.Fold("4", 2), "Fold needs output_size to be an integer. Received: output_size='4'."),
        (
            lambda: nn.PixelShuffle(1.5),
            "PixelShuffle needs upscale_factor to be an integer. Received: upscale_factor=1.5.",
        ),
        (
            lambda: nn.PixelUnshuffle(0),
            "PixelUnshuffle needs downscale_factor to be at least 1. Received: downscale_factor=0.",
        ),
        (
            lambda: nn.Upsample(),
            "Upsample needs either size or scale_factor. Received: size=None, scale_factor=None.",
        ),
        (
            lambda: nn.Upsample(2, 2),
            "Upsample needs either size or scale_factor. Received: size=2, scale_factor=2.",
        ),
        (lambda: nn.Upsample(scale_factor=2, mode="best"), "Upsample needs mode to be one of 'nearest',"),
        (
            lambda: nn.Upsample((2, 2), mode="trilinear"),
            "Upsample with mode 'trilinear' is for 3 spatial axes. Received: 2 spatial axes. For any number "
            "of them: mode='linear'.",
        ),
        (
            lambda: nn.Upsample(size=2, mode="nearest", align_corners=True),
            "Upsample takes align_corners with the linear and cubic modes only.",
        ),
        (
            lambda: nn.UpsamplingBilinear2d(scale_factor=-1),
            "UpsamplingBilinear2d needs scale_factor to be a finite number above 0. Received: "
            "scale_factor=-1.",
        ),
        (
            lambda: nn.UpsamplingNearest2d(size=0),
            "UpsamplingNearest2d needs size to be at least 1. Received: size=0.",
        ),
    ],
)
def test_refusals(build: Any, message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        build()
    assert str(caught.value).startswith(message)
