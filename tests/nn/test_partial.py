"""Partial convolution layers: Conv's parameters, the function's numbers, masks handed on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
import tilewright.functional as F
from tilewright import nn
from tilewright.errors import ArgumentError, DtypeError

_EXACT = {"rtol": 0, "atol": 0, "reason": "the same computation"}


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_it_is_the_function_with_the_layers_weights(rank: int) -> None:
    tw.manual_seed(0)
    kind = getattr(nn, f"PartialConv{rank}d")
    layer = kind(4, 6, 3, 2, 1, groups=2, padding_mode="reflect", normalize="weights", fill=-1.0)
    x = tw.randn(2, 4, *(5,) * rank)
    x.data[0, 0] = float("nan")
    options: dict[str, Any] = {"normalize": "weights", "fill": -1.0, "padding_mode": "reflect"}
    expected = F.masked_conv(x, layer.weight, layer.bias, 2, 1, 1, 2, **options)
    assert_same(layer(x), expected, **_EXACT)
    any_rank = nn.PartialConv(4, 6, (3,) * rank, 2, 1, groups=2, padding_mode="reflect", normalize="weights")
    any_rank.load_state_dict(layer.state_dict())
    any_rank.fill = -1.0
    assert_same(any_rank(x), expected, **_EXACT)
    mask = np.random.default_rng(0).random((2, 1, *(5,) * rank)) < 0.5
    assert_same(
        layer(x, mask), F.masked_conv(x, layer.weight, layer.bias, 2, 1, 1, 2, mask=mask, **options), **_EXACT
    )


def test_state_dicts_are_those_of_a_convolution() -> None:
    layer, plain = nn.PartialConv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
    plain.load_state_dict(layer.state_dict())
    x = tw.randn(1, 3, 6, 6)
    inner = (..., slice(1, -1), slice(1, -1))
    assert_same(layer(x)[inner], plain(x)[inner], rtol=1e-5, atol=1e-6, reason="a pass for the bias, float32")


def test_holes_close_from_layer_to_layer() -> None:
    x = tw.ones(1, 1, 9)
    x[0, 0, 2:7] = float("nan")
    first = nn.PartialConv1d(1, 2, 3, padding=1, return_mask=True)
    second = nn.PartialConv1d(2, 1, 3, padding=1, return_mask=True)
    y, mask = first(x)
    assert mask.tolist() == [[[True] * 3 + [False] * 3 + [True] * 3]]
    # What held nothing is 0, not the bias.
    assert (y.numpy(force=True)[:, :, 3:6] == 0).all()
    z, mask = second(y, mask)
    assert mask.tolist() == [[[True] * 4 + [False] + [True] * 4]]
    z.sum().backward()
    for layer in (first, second):
        assert np.isfinite(layer.weight.grad.numpy()).all()


def test_it_learns_in_a_sequence_and_is_never_fused_away() -> None:
    tw.manual_seed(0)
    model = nn.Sequential(nn.PartialConv2d(None, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1))
    x = tw.ones(1, 2, 5, 5)
    x[0, :, 1, 1] = float("nan")
    y = model(x)
    assert model[0].in_channels == 2
    assert np.isfinite(y.numpy(force=True)).all()
    assert "5×5" in str(nn.summary(model, (2, 5, 5)))


def test_how_it_is_printed() -> None:
    layer = nn.PartialConv1d(3, 8, 3, padding=1, bias=False)
    assert repr(layer) == (
        "PartialConv1d(3, 8, kernel_size=(3,), stride=(1,), padding=(1,), bias=False, normalize='count')"
    )


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (
            {"normalize": "mean"},
            ArgumentError,
            "PartialConv2d needs normalize to be True, False or one of 'weights', 'count'. "
            "Received: normalize='mean'.",
        ),
        ({"normalize": None}, ArgumentError, "Received: normalize=None."),
        (
            {"normalize": np.ones(2)},
            ArgumentError,
            "or one of 'weights', 'count'. Received: normalize with shape (2,)",
        ),
        ({"fill": "0"}, ArgumentError, "PartialConv2d needs fill to be a finite number. Received: fill='0'."),
        ({"return_mask": "yes"}, DtypeError, "PartialConv2d needs return_mask to be True or False."),
    ],
)
def test_refusals(arguments: dict[str, Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        nn.PartialConv2d(3, 4, 3, **arguments)
    assert text in str(caught.value)
    for fill in (None, -2, float("nan")):
        nn.PartialConv2d(3, 4, 3, fill=fill)
