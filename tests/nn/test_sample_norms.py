"""Norms, activations and losses as layers: what tells them from PyTorch's, and what they refuse."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from operands import normal

import tilewright as tw
from tilewright import nn
from tilewright.errors import ArgumentError, DtypeError, ShapeError

_EXACT = {"rtol": 0, "atol": 0, "reason": "exact"}


def test_norms_take_arrays() -> None:
    x = normal((2, 4, 5, 3), 1, np.float32)
    for layer in (
        nn.GroupNorm(2, 4, affine=False),
        nn.LayerNorm(3, elementwise_affine=False),
        nn.RMSNorm(3, elementwise_affine=False),
        nn.InstanceNorm2d(4),
        nn.LocalResponseNorm(2),
        nn.Hardswish(),
        nn.Mish(),
        nn.GLU(1),
        nn.Softmax2d(),
    ):
        y = layer(x)
        assert type(y) is np.ndarray
        assert_same(layer(tw.tensor(x)), y, rtol=0, atol=0, reason="the same computation")


def test_instance_norm_in_training_and_evaluation() -> None:
    x = tw.tensor(normal((4, 3, 8), 1, np.float32) * 2 + 5)
    layer = nn.InstanceNorm1d(3, momentum=1.0, track_running_stats=True)
    y = layer(x)
    means = x.numpy().mean(axis=2)
    assert_same(layer.running_mean, means.mean(axis=0), rtol=1e-5, atol=0, reason="float32 means")
    assert_same(
        y.numpy().mean(axis=2), np.zeros((4, 3), np.float32), rtol=0, atol=1e-6, reason="float32 means"
    )
    layer.eval()
    y = layer(x)
    deviation = np.sqrt(layer.running_var.numpy() + np.float32(1e-5))
    expected = (x.numpy() - layer.running_mean.numpy()[:, None]) / deviation[:, None]
    assert_same(y, expected, rtol=1e-5, atol=1e-6, reason="a few roundings")
    # Without running statistics evaluation does as training does.
    plain = nn.InstanceNorm1d(3)
    assert_same(plain.eval()(x), plain.train()(x), **_EXACT)
    layer.reset_running_stats()
    assert_same(layer.running_var, np.ones(3, np.float32), **_EXACT)


def test_instance_norm_learns_its_size_from_the_first_input() -> None:
    for shape in ((2, 5, 4, 3), (5, 4, 3)):
        layer = nn.InstanceNorm2d(None, affine=True)
        assert layer(tw.zeros(*shape)).shape == shape
        assert layer.num_features == 5
        assert layer.weight.shape == (5,)


def test_learnt_numbers_survive_a_file(tmp_path: Path) -> None:
    def model() -> nn.Sequential:
        return nn.Sequential(
            nn.GroupNorm(2, 4),
            nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
            nn.PReLU(4),
            nn.LayerNorm((3, 2)),
            nn.RMSNorm(2),
        )

    first, second = model(), model()
    for parameter in first.parameters():
        parameter.data = tw.tensor(normal(tuple(parameter.shape), parameter.numel(), np.float32))
    x = tw.tensor(normal((2, 4, 3, 2), 1, np.float32))
    first(x)
    state = {name: value.numpy().copy() for name, value in first.state_dict().items()}
    assert second.load_state_dict(state) == ([], [])
    assert_same(second.eval()(x), first.eval()(x), **_EXACT)


def test_reset_parameters() -> None:
    for layer in (nn.GroupNorm(2, 4), nn.LayerNorm(4), nn.RMSNorm(4), nn.PReLU(4, 0.5)):
        before = {name: value.numpy().copy() for name, value in layer.state_dict().items()}
        for parameter in layer.parameters():
            parameter.data = tw.tensor(normal((4,), 1, np.float32))
        layer.reset_parameters()
        for name, value in layer.state_dict().items():
            assert_same(value, before[name], **_EXACT)


def test_dtypes() -> None:
    for layer in (
        nn.GroupNorm(2, 4, dtype=np.float64),
        nn.LayerNorm(4, dtype=np.float64),
        nn.RMSNorm(4, dtype="float64"),
        nn.InstanceNorm1d(4, affine=True, dtype=np.float64),
        nn.PReLU(4, dtype=np.float64),
    ):
        assert layer.weight.dtype == np.float64


def test_rrelu_draws_in_training_only() -> None:
    layer, x = nn.RReLU(0.25, 0.75), np.full(1000, -1.0)
    drawn = -layer(x)
    assert 0.25 <= float(drawn.min()) < float(drawn.max()) <= 0.75
    assert_same(layer.eval()(x), np.full(1000, -0.5), **_EXACT)


def test_receptive_fields() -> None:
    def fields(*layers: nn.Module) -> list[Any]:
        found = nn.summary(nn.Sequential(nn.Conv2d(1, 4, 3), *layers), (1, 9, 8)).layers
        return [layer.receptive_field for layer in found[1:]]

    one = (3, 3)
    pointwise = [nn.PReLU(4), nn.Hardswish(), nn.Mish(), nn.RReLU(), nn.Softmax2d(), nn.LocalResponseNorm(3)]
    assert fields(*pointwise) == [one] * len(pointwise)
    # What is normalised over places has seen all of them.
    assert fields(nn.GroupNorm(2, 4)) == [(9, 8)]
    assert fields(nn.InstanceNorm2d(4)) == [(9, 8)]
    assert fields(nn.InstanceNorm2d(4, track_running_stats=True)) == [one]
    assert fields(nn.LayerNorm(6)) == [(3, 8)]
    assert fields(nn.LayerNorm((7, 6)), nn.ReLU()) == [(9, 8), (9, 8)]
    assert fields(nn.LayerNorm((4, 7, 6))) == [(9, 8)]
    assert fields(nn.RMSNorm(6)) == [(3, 8)]
    assert fields(nn.GLU(1)) == [one]
    assert fields(nn.GLU()) == [None]
    flat = nn.summary(nn.Sequential(nn.Flatten(), nn.LayerNorm(6)), (2, 3)).layers
    assert [layer.receptive_field for layer in flat] == [(1,), (3,)]


def test_losses_by_hand() -> None:
    logits = tw.tensor([[math.log(3.0), 0.0]])
    right = nn.FocalLoss(gamma=1.0)(logits, tw.tensor([0]))
    assert_same(right, np.asarray(-0.25 * math.log(0.75), np.float32), rtol=1e-6, atol=0, reason="float32")
    weighted = nn.FocalLoss(tw.tensor([2.0, 1.0]), 1.0, reduction="sum")(logits, tw.tensor([0]))
    assert_same(weighted, np.asarray(right.numpy() * np.float32(2)), rtol=1e-6, atol=0, reason="float32")
    nothing = nn.FocalLoss(ignore_index=0, reduction="none")(logits, tw.tensor([0]))
    assert_same(nothing, np.zeros(1, np.float32), **_EXACT)
    binary = nn.SigmoidFocalLoss(None, 1.0)(tw.tensor([math.log(3.0)]), tw.tensor([1.0]))
    assert_same(binary, right.numpy(), rtol=1e-6, atol=0, reason="float32")
    p = tw.tensor([[[1.0, 0.5, 0.0]]])
    t = tw.tensor([[[1, 0, 0]]])
    dice = nn.DiceLoss(smooth=0.0)(p, t)
    assert_same(dice, np.asarray(1 - 2 / 2.25, np.float32), rtol=1e-6, atol=0, reason="float32")
    dice = nn.DiceLoss(per_class=True, squared=False, smooth=0.0, reduction="none")(p, t)
    assert_same(dice, np.asarray([[1 - 2 / 2.5]], np.float32), rtol=1e-6, atol=0, reason="float32")
    assert list(nn.FocalLoss(tw.ones(2)).state_dict()) == ["weight"]


_X = np.zeros((2, 4, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: nn.GroupNorm(3, 4),
            ArgumentError,
            "GroupNorm needs num_channels to be a multiple of num_groups. Received: num_groups=3, "
            "num_channels=4.",
        ),
        (
            lambda: nn.GroupNorm(0, 4),
            ArgumentError,
            "GroupNorm needs num_groups to be at least 1. Received: num_groups=0.",
        ),
        (
            lambda: nn.GroupNorm(2, 6)(_X),
            ShapeError,
            "GroupNorm needs input of shape (batch, channels, ...) with 6 channels. Received: input with "
            "shape",
        ),
        (
            lambda: nn.GroupNorm(2, 6)("x"),
            ShapeError,
            "GroupNorm needs input of shape (batch, channels, ...) with 6 channels. Received: input='x'.",
        ),
        (
            lambda: nn.GroupNorm(2, 4, eps=-1),
            ArgumentError,
            "GroupNorm needs eps to be a finite number, at least 0. Received: eps=-1.",
        ),
        (
            lambda: nn.GroupNorm(2, 4, dtype=int),
            DtypeError,
            "GroupNorm needs a floating dtype, such as float32. Received: dtype=<class 'int'>.",
        ),
        (
            lambda: nn.LayerNorm(()),
            ArgumentError,
            "LayerNorm needs normalized_shape to be an integer or several. Received: normalized_shape=().",
        ),
        (
            lambda: nn.LayerNorm(2.5),
            ArgumentError,
            "LayerNorm needs every size of normalized_shape to be an integer. Received: every size",
        ),
        (
            lambda: nn.LayerNorm(4)(_X),
            ShapeError,
            "layer_norm needs input whose last axes have the sizes normalized_shape, at least one of them. "
            "Received",
        ),
        (
            lambda: nn.RMSNorm(3, eps="a"),
            ArgumentError,
            "RMSNorm needs eps to be a finite number, at least 0. Received: eps='a'.",
        ),
        (
            lambda: nn.InstanceNorm2d(4)(_X[0]),
            ShapeError,
            "InstanceNorm2d needs input of shape (batch, channels, height, width) or (channels, height, "
            "width). "
            "Received: input with shape (4, 3) and dtype float32.",
        ),
        (
            lambda: nn.InstanceNorm1d(3)(_X),
            ShapeError,
            "InstanceNorm1d needs input of shape (batch, channels, length) or (channels, length) with 3 "
            "channels. "
            "Received: input with shape (2, 4, 3)",
        ),
        (
            lambda: nn.InstanceNorm1d(3)(None),
            ShapeError,
            "InstanceNorm1d needs input of shape (batch, channels, length) or (channels, length). Received: "
            "input=None.",
        ),
        (
            lambda: nn.LocalResponseNorm(0),
            ArgumentError,
            "LocalResponseNorm needs size to be at least 1. Received: size=0.",
        ),
        (
            lambda: nn.PReLU(0),
            ArgumentError,
            "PReLU needs num_parameters to be at least 1. Received: num_parameters=0.",
        ),
        (
            lambda: nn.PReLU(3)(_X),
            ShapeError,
            "prelu needs weight with one slope or one per channel, of shape (1,) or (4,). Received: weight",
        ),
        (
            lambda: nn.RReLU(0.5, 0.25),
            ArgumentError,
            "RReLU needs lower ≤ upper. Received: lower=0.5, upper=0.25.",
        ),
        (lambda: nn.CELU(0.0), ArgumentError, "CELU needs alpha other than 0. Received: alpha=0.0."),
        (
            lambda: nn.Softshrink(-1),
            ArgumentError,
            "Softshrink needs lambd to be a finite number, at least 0. Received: lambd=-1.",
        ),
        (
            lambda: nn.Softmax2d()(_X[0]),
            ShapeError,
            "Softmax2d needs input of shape ([batch,] channels, height, width). Received: input with shape "
            "(4, 3)",
        ),
        (
            lambda: nn.KLDivLoss(reduction="batch"),
            ArgumentError,
            "KLDivLoss needs reduction to be one of 'none', 'mean', 'sum', 'batchmean'. Received: "
            "reduction='batch'.",
        ),
        (
            lambda: nn.KLDivLoss(True),
            ArgumentError,
            "KLDivLoss is told by reduction alone how to combine the losses of a batch. Received: "
            "size_average",
        ),
        (
            lambda: nn.GaussianNLLLoss(eps=0),
            ArgumentError,
            "GaussianNLLLoss needs eps above 0. Received: eps=0.",
        ),
        (
            lambda: nn.MultiMarginLoss(3),
            ArgumentError,
            "MultiMarginLoss needs p to be 1 or 2. Received: p=3.",
        ),
        (
            lambda: nn.TripletMarginLoss(0),
            ArgumentError,
            "TripletMarginLoss needs margin above 0. Received: margin=0.",
        ),
        (
            lambda: nn.HingeEmbeddingLoss("1"),
            ArgumentError,
            "HingeEmbeddingLoss needs margin to be a finite number. Received: margin='1'.",
        ),
        (
            lambda: nn.FocalLoss(gamma=-1),
            ArgumentError,
            "FocalLoss needs gamma to be a finite number, at least 0. Received: gamma=-1.",
        ),
        (
            lambda: nn.SigmoidFocalLoss(1.5),
            ArgumentError,
            "SigmoidFocalLoss needs alpha to be a finite number, at least 0 and at most 1. Received: "
            "alpha=1.5.",
        ),
        (
            lambda: nn.DiceLoss(smooth=-1),
            ArgumentError,
            "DiceLoss needs smooth to be a finite number, at least 0. Received: smooth=-1.",
        ),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(message)
