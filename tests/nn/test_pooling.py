"""Pooling layers beside PyTorch's, what they have beyond, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
from tilewright import nn
from tilewright.errors import ArgumentError, ShapeError

_FLOAT32 = {"rtol": 1e-5, "atol": 1e-6, "reason": "float32 sums of a few samples, and a root"}

# (how both libraries build the layer, shape of its input)
LAYERS: list[tuple[str, tuple[int, ...]]] = [
    ("nn.LPPool1d(2, 3)", (2, 3, 10)),
    ("nn.LPPool1d(1.5, 3, stride=2, ceil_mode=True)", (2, 3, 10)),
    ("nn.LPPool2d(2, 3, stride=2)", (2, 3, 8, 7)),
    ("nn.LPPool2d(3, (2, 3), (1, 2), True)", (3, 8, 7)),
    ("nn.LPPool3d(4, 2)", (2, 3, 4, 5, 6)),
    ("nn.AdaptiveAvgPool1d(3)", (2, 3, 10)),
    ("nn.AdaptiveAvgPool2d(1)", (2, 3, 8, 7)),
    ("nn.AdaptiveAvgPool2d((None, 4))", (2, 3, 8, 7)),
    ("nn.AdaptiveAvgPool2d((5, 9))", (3, 8, 7)),
    ("nn.AdaptiveAvgPool3d((1, None, 2))", (2, 3, 4, 5, 6)),
    ("nn.AdaptiveMaxPool1d(3)", (2, 3, 10)),
    ("nn.AdaptiveMaxPool2d((3, None))", (2, 3, 8, 7)),
    ("nn.AdaptiveMaxPool3d(2)", (3, 4, 5, 6)),
]

PRINTED = [
    "nn.MaxUnpool1d(2)",
    "nn.MaxUnpool2d(3, stride=2, padding=1)",
    "nn.MaxUnpool2d((2, 3), (1, 2))",
    "nn.MaxUnpool3d((1, 2, 3))",
    "nn.AdaptiveMaxPool2d(2, return_indices=True)",
]


def both(text: str) -> tuple[Any, Any]:
    torch = pytest.importorskip("torch", reason="needs PyTorch, to compare with")
    return eval(text, {"nn": nn}), eval(text, {"nn": torch.nn})


@pytest.mark.parametrize("text", [*(text for text, _ in LAYERS), *PRINTED])
def test_prints_as_pytorch_does(text: str) -> None:
    ours, theirs = both(text)
    assert repr(ours) == repr(theirs)
    assert ours.state_dict() == {}


@pytest.mark.parametrize(("text", "shape"), LAYERS)
def test_computes_and_learns_what_pytorch_does(text: str, shape: tuple[int, ...]) -> None:
    ours, theirs = both(text)
    import torch

    x = np.random.default_rng(0).uniform(0.1, 2, shape).astype(np.float32)
    mine, its = tw.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = ours(mine), theirs(its)
    assert_same(y, z, **_FLOAT32)
    gradient = np.random.default_rng(1).standard_normal(tuple(y.shape)).astype(np.float32)
    y.backward(tw.tensor(gradient))
    z.backward(torch.tensor(gradient))
    assert_same(mine.grad, its.grad, **_FLOAT32)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_pool_and_unpool_by_layers_as_in_pytorch(rank: int) -> None:
    shape = (2, 3, *(7,) * rank)
    ours_pool, theirs_pool = both(f"nn.MaxPool{rank}d(2, return_indices=True)")
    ours, theirs = both(f"nn.MaxUnpool{rank}d(2)")
    import torch

    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    values, places = ours_pool(tw.tensor(x))
    expected = theirs(*theirs_pool(torch.tensor(x)), output_size=torch.Size(shape))
    # All of these mean one size. Without it there would be six samples, and an index beyond.
    for size in (tw.tensor(x).size(), shape, (7,) * rank, 7):
        assert_same(ours(values, places, size), expected, rtol=0, atol=0, reason="samples are copied")


def test_any_rank_and_arguments_beyond_pytorchs() -> None:
    x = tw.tensor(np.random.default_rng(0).standard_normal((2, 3, 4, 5, 4, 3)))
    assert nn.LPPool(2, (2, 2, 1, 2))(x).shape == (2, 3, 2, 2, 4, 1)
    assert nn.AdaptiveAvgPool((1, None, 2, 1))(x).shape == (2, 3, 1, 5, 2, 1)
    assert nn.AdaptiveMaxPool(2)(x).shape == (2, 3, 2, 2, 2, 2)
    assert nn.GlobalAvgPool()(x).shape == nn.GlobalMaxPool()(x).shape == (2, 3, 1, 1, 1, 1)
    values, places = nn.MaxPool(2, return_indices=True)(x)
    assert nn.MaxUnpool(2)(values, places, (4, 5, 4, 3)).shape == x.shape
    plane = x[:, :, :, :, 0, 0]
    for layer in (
        nn.LPPool2d(2, 3, 2, padding="same"),
        nn.AvgPool2d(3, 2, "same", dilation=1),
        nn.MaxPool2d(3, 2, "same"),
    ):
        assert layer(plane).shape == (2, 3, 2, 3)
    assert nn.AvgPool2d(2, 1, dilation=(3, 2))(plane).shape == (2, 3, 1, 3)
    assert nn.LPPool2d(2, 2, 1, padding=((0, 1), (1, 0)), dilation=2)(plane).shape == (2, 3, 3, 4)
    values, places = nn.MaxPool2d(2, 1, dilation=2, return_indices=True)(plane)
    assert nn.MaxUnpool2d(2, 1, dilation=2)(values, places).shape == plane.shape
    values, places = nn.GlobalMaxPool(return_indices=True)(plane)
    assert places.shape == (2, 3, 1, 1)
    assert nn.GlobalMaxPool(rank=2)(plane[0]).shape == (3, 1, 1)


def test_arguments_beyond_pytorchs_are_printed_where_they_are_unusual() -> None:
    assert repr(nn.AvgPool2d(2, dilation=3)) == "AvgPool2d(kernel_size=2, stride=2, padding=0, dilation=3)"
    assert repr(nn.AvgPool1d(2, dilation=3)).endswith("padding=(0,), dilation=3)")
    assert repr(nn.LPPool1d(2, 3, padding="same")).endswith("ceil_mode=False, padding=same)")
    assert repr(nn.MaxUnpool1d(2, dilation=3)).endswith("padding=(0,), dilation=3)")
    assert repr(nn.GlobalAvgPool()) == "GlobalAvgPool()"
    assert repr(nn.GlobalMaxPool(rank=2)) == "GlobalMaxPool(rank=2)"


def test_geometries() -> None:
    assert nn.LPPool2d(2, 3, padding="same", stride=2).dims((1, 1, 9, 8)).output == (5, 4)
    assert nn.LPPool2d(2, 3).dims((1, 1, 9, 8)).output == (3, 2)
    assert nn.AdaptiveAvgPool2d((None, 3)).dims((1, 1, 9, 8)).output == (9, 3)
    assert nn.GlobalAvgPool().dims((1, 1, 9, 8)).output == (1, 1)
    assert nn.AvgPool1d(2, dilation=4).dims((1, 1, 8)).output == (2,)


def test_a_summary_knows_what_they_see_and_cost() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.LPPool2d(2, 2),
        nn.AdaptiveAvgPool2d(2),
        nn.GlobalMaxPool(),
        nn.Flatten(),
        nn.Linear(4, 2),
    )
    rows = nn.summary(model, (3, 8, 8)).layers
    seen = {row.type: (row.receptive_field, row.flops) for row in rows}
    assert seen["LPPool2d"] == ((4, 4), 4 * 64)
    assert seen["AdaptiveAvgPool2d"] == ((6, 6), 4 * 16)
    # Ten with the padding, which is no part of the input.
    assert seen["GlobalMaxPool"] == ((8, 8), 4 * 4)
    uneven = nn.Sequential(nn.AdaptiveAvgPool2d(3))
    assert nn.summary(uneven, (3, 8, 8)).layers[0].receptive_field is None


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: nn.LPPool2d(2, 0), "LPPool2d needs kernel_size to be at least 1. Received: kernel_size=0."),
        (
            lambda: nn.LPPool2d(2, 2.5),
            "LPPool2d needs kernel_size to be an integer. Received: kernel_size=2.5.",
        ),
        (
            lambda: nn.LPPool2d(0, 2),
            "LPPool2d needs norm_type to be a number above 0, or an infinity of either",
        ),
        (lambda: nn.LPPool1d("2", 2), "LPPool1d needs norm_type to be a number above 0"),
        (
            lambda: nn.LPPool1d(2, 2, padding=-1),
            "LPPool1d needs padding of at least 0. Received: padding=-1.",
        ),
        (
            lambda: nn.AvgPool2d(2, dilation=0),
            "AvgPool2d needs dilation to be at least 1. Received: dilation=0.",
        ),
        (
            lambda: nn.AdaptiveAvgPool2d(1.5),
            "AdaptiveAvgPool2d needs output_size to be an integer. Received: output_size=1.5.",
        ),
        (
            lambda: nn.AdaptiveAvgPool2d((1, 2, 3)),
            "AdaptiveAvgPool2d needs output_size to be an integer, or 2",
        ),
        (lambda: nn.AdaptiveAvgPool2d(None), "AdaptiveAvgPool2d needs output_size to be an integer, or 2"),
        (lambda: nn.AdaptiveMaxPool1d(-1), "AdaptiveMaxPool1d needs output_size to be at least 0. Received:"),
        (
            lambda: nn.AdaptiveMaxPool(()),
            "AdaptiveMaxPool needs output_size with at least one axis. Received:",
        ),
        (lambda: nn.GlobalAvgPool(0), "GlobalAvgPool needs rank to be at least 1. Received: rank=0."),
        (
            lambda: nn.GlobalMaxPool(rank="2"),
            "GlobalMaxPool needs rank to be an integer. Received: rank='2'.",
        ),
        (
            lambda: nn.MaxUnpool2d(0),
            "MaxUnpool2d needs kernel_size to be at least 1. Received: kernel_size=0.",
        ),
        (lambda: nn.MaxUnpool2d(2, 1.5), "MaxUnpool2d needs stride to be an integer. Received: stride=1.5."),
        (lambda: nn.MaxUnpool2d((2, 2, 2)), "MaxUnpool2d needs kernel_size to be an integer or 2 of them"),
        (
            lambda: nn.MaxUnpool2d(2, padding=-1),
            "MaxUnpool2d needs padding of at least 0. Received: padding=",
        ),
        (lambda: nn.MaxUnpool2d(2, dilation=0), "MaxUnpool2d needs dilation to be at least 1. Received:"),
    ],
)
def test_refuses_bad_arguments(build: Any, message: str) -> None:
    with pytest.raises(ArgumentError) as error:
        build()
    assert str(error.value).startswith(message)


def test_refuses_input_of_another_rank() -> None:
    with pytest.raises(ShapeError, match=r"^lp_pool2d needs input of rank 4 .* Received: input with shape"):
        nn.LPPool2d(2, 2)(tw.zeros(4, 4))
    with pytest.raises(
        ShapeError, match=r"^adaptive_avg_pool2d needs input of rank 4 .* Received: input with"
    ):
        nn.AdaptiveAvgPool2d(2)(tw.zeros(1, 1, 4, 4, 4))
