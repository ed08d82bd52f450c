"""Pools of any rank, padding, dropout, batch norm, losses: what PyTorch hasn't got, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright import nn
from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.nn.arguments import as_number


def test_functions_are_found_where_pytorch_code_looks_for_them() -> None:
    import tilewright.nn.functional as F

    assert nn.functional is F
    for name in tw.functional.__all__:
        assert getattr(F, name) is getattr(tw.functional, name)
    assert F.__all__ == tw.functional.__all__


def test_pools_of_any_rank() -> None:
    x = tw.randn(2, 3, 4, 4, 2, 2)
    assert nn.MaxPool((2, 2, 1, 2))(x).shape == (2, 3, 2, 2, 2, 1)
    assert nn.AvgPool(2)(x).shape == (2, 3, 2, 2, 1, 1)
    plane = tw.randn(2, 3, 5, 6)
    assert nn.MaxPool(2)(plane).equal(nn.MaxPool2d(2)(plane))
    assert repr(nn.MaxPool((2, 1))) == (
        "MaxPool(kernel_size=(2, 1), stride=(2, 1), padding=0, dilation=1, ceil_mode=False)"
    )
    assert nn.MaxPool2d(3, padding="same", stride=2)(plane).shape == (2, 3, 3, 3)
    assert nn.AvgPool2d(2, padding=((0, 1), (1, 0)))(plane).shape == (2, 3, 3, 3)
    assert nn.AvgPool1d(2).dims((1, 1, 8)).output == (4,)


def test_max_pool_gives_indices() -> None:
    x = tw.tensor([[[1.0, 3.0, 2.0, 5.0]]])
    values, places = nn.MaxPool1d(2, return_indices=True)(x)
    assert values.tolist() == [[[3.0, 5.0]]] and places.tolist() == [[[1, 3]]]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: nn.MaxPool2d(0), "MaxPool2d needs kernel_size to be at least 1. Received: kernel_size=0."),
        (lambda: nn.MaxPool2d((2, 2, 2)), "MaxPool2d needs kernel_size to be an integer or 2 of them"),
        (lambda: nn.MaxPool(2.5), "MaxPool needs kernel_size to be an integer. Received: kernel_size=2.5."),
        (lambda: nn.AvgPool1d(2, stride=0), "AvgPool1d needs stride to be at least 1. Received: stride=0."),
        (
            lambda: nn.MaxPool3d(2, dilation=0),
            "MaxPool3d needs dilation to be at least 1. Received: dilation=0.",
        ),
        (lambda: nn.AvgPool2d(2, padding=-1), "AvgPool2d needs padding of at least 0. Received: padding=-1."),
        (lambda: nn.AvgPool2d(2, padding="some"), "AvgPool2d knows the padding names"),
        (
            lambda: nn.AvgPool2d(2, divisor_override=0),
            "AvgPool2d needs divisor_override to be at least 1. Received: divisor_override=0.",
        ),
        (
            lambda: nn.ZeroPad2d((1, 2)),
            "ZeroPad2d needs padding to be an integer or 4 of them: before and after of each axis, the last "
            "axis first. Received: padding=(1, 2).",
        ),
        (
            lambda: nn.ReflectionPad1d(1.5),
            "ReflectionPad1d needs padding to be an integer. Received: padding=1.5.",
        ),
        (
            lambda: nn.ConstantPad1d(1, float("nan")),
            "ConstantPad1d needs value to be a number. Received: value=nan.",
        ),
        (
            lambda: nn.Dropout(1.5),
            "Dropout needs p to be a finite number, at least 0 and at most 1. Received: p=1.5.",
        ),
        (lambda: nn.Dropout2d("half"), "Dropout2d needs p to be a finite number"),
        (lambda: nn.Dropout(float("nan")), "Dropout needs p to be a finite number"),
        (
            lambda: nn.GELU("tan"),
            "GELU needs approximate to be one of 'none', 'tanh'. Received: approximate='tan'.",
        ),
        (lambda: nn.Hardtanh(1, 1), "Hardtanh needs min_val below max_val. Received: min_val=1, max_val=1."),
        (lambda: nn.Softplus(0), "Softplus needs beta other than 0. Received: beta=0."),
        (
            lambda: nn.Unflatten(1, 6),
            "Unflatten needs unflattened_size to be a tuple of sizes. Received: unflattened_size=6.",
        ),
        (
            lambda: nn.Unflatten(1, (-1, -1)),
            "Unflatten can work out one size only, so at most one may be -1. Received: "
            "unflattened_size=(-1, -1).",
        ),
        (lambda: nn.Unflatten(1, (2.0,)), "Unflatten needs every size of unflattened_size to be an integer"),
        (lambda: nn.Flatten("all"), "Flatten needs start_dim to be an integer. Received: start_dim='all'."),
        (
            lambda: nn.BatchNorm2d(0),
            "BatchNorm2d needs num_features to be at least 1. Received: num_features=0.",
        ),
        (lambda: nn.BatchNorm1d(3, eps=-1), "BatchNorm1d needs eps to be a finite number, at least 0."),
        (
            lambda: nn.BatchNorm1d(3, momentum=2),
            "BatchNorm1d needs momentum to be a finite number, at least 0 and",
        ),
        (
            lambda: nn.MSELoss(reduction="average"),
            "MSELoss needs reduction to be one of 'none', 'mean', 'sum'. Received: reduction='average'.",
        ),
        (
            lambda: nn.L1Loss(False),
            "L1Loss is told by reduction alone how to combine the losses of a batch. Received: "
            "size_average=False, reduce=None. Pass reduction='mean', 'sum' or 'none'.",
        ),
        (lambda: nn.HuberLoss(delta=0), "HuberLoss needs delta above 0. Received: delta=0."),
        (lambda: nn.SmoothL1Loss(beta=-1), "SmoothL1Loss needs beta to be a finite number, at least 0."),
        (
            lambda: nn.CrossEntropyLoss(label_smoothing=2),
            "CrossEntropyLoss needs label_smoothing to be a finite number, at least 0 and at most 1. "
            "Received: label_smoothing=2.",
        ),
        (lambda: nn.NLLLoss(ignore_index=1.0), "NLLLoss needs ignore_index to be an integer."),
    ],
)
def test_refuses_bad_arguments(build: Any, message: str) -> None:
    with pytest.raises(ArgumentError) as error:
        build()
    assert str(error.value).startswith(message)


def test_a_loss_weight_is_a_tensor() -> None:
    with pytest.raises(DtypeError, match=r"^CrossEntropyLoss needs buffer 'weight' to be a Tensor or None."):
        nn.CrossEntropyLoss([1.0, 2.0])  # type: ignore[arg-type]


def test_constant_padding_may_be_infinite() -> None:
    y = nn.ConstantPad1d((1, 0), -float("inf"))(tw.zeros(1, 1, 2))
    assert y.tolist() == [[[-float("inf"), 0.0, 0.0]]]


def test_dropout_drops_in_training_only_and_by_channels() -> None:
    tw.manual_seed(0)
    x = tw.ones(64, 32, 4, 4)
    values = nn.Dropout(0.25)(x).numpy()
    assert set(np.unique(values)) == {np.float32(0), np.float32(1) / np.float32(0.75)}
    # Five standard deviations of a mean of 32,768 draws of probability 1/4.
    assert abs((values == 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / values.size)
    for layer, shape in (
        (nn.Dropout1d(), (64, 32, 9)),
        (nn.Dropout2d(), (64, 32, 3, 3)),
        (nn.Dropout3d(), (64, 32, 2, 2, 2)),
    ):
        planes = layer(tw.ones(*shape)).numpy().reshape(64 * 32, -1)
        assert (planes == planes[:, :1]).all()
        # Five standard deviations of a mean of 2,048 draws of probability 1/2.
        assert abs((planes[:, 0] == 0).mean() - 0.5) < 5 * 0.5 / np.sqrt(2048)
        assert np.array_equal(layer.eval()(tw.ones(*shape)).numpy(), np.ones(shape, np.float32))
    assert nn.Dropout(0.0)(x).equal(x)
    assert not nn.Dropout(1.0)(x).numpy().any()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            nn.BatchNorm1d(3),
            (2, 3, 4, 4),
            "BatchNorm1d needs input of shape (batch, channels) or (batch, channels, length) with 3 "
            "channels. Received: input with shape (2, 3, 4, 4) and dtype float32.",
        ),
        (
            nn.BatchNorm2d(3),
            (2, 4, 4, 4),
            "BatchNorm2d needs input of shape (batch, channels, height, width) with 3",
        ),
        (
            nn.BatchNorm3d(3),
            (3,),
            "BatchNorm3d needs input of shape (batch, channels, depth, height, width) with 3",
        ),
    ],
)
def test_batch_norm_refuses_other_shapes(layer: nn.Module, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ShapeError) as error:
        layer(tw.zeros(*shape))
    assert str(error.value).startswith(message)


def test_batch_norm_forgets() -> None:
    layer = nn.BatchNorm1d(2)
    layer(tw.randn(8, 2) + 3)
    assert layer.num_batches_tracked.item() == 1 and layer.running_mean.sum().item() > 0
    layer.reset_parameters()
    assert layer.num_batches_tracked.item() == 0
    assert layer.running_mean.tolist() == [0, 0] and layer.running_var.tolist() == [1, 1]


def test_numbers_are_checked_and_kept_as_they_print() -> None:
    assert as_number(3, "x", "f") == 3 and isinstance(as_number(3, "x", "f"), int)
    assert type(as_number(np.float32(0.5), "x", "f")) is float
    assert as_number(-1.0, "x", "f", least=-2) == -1.0
    with pytest.raises(
        ArgumentError, match=r"^f needs x to be a finite number, at least 0 and below 1. Received: x=1.$"
    ):
        as_number(1, "x", "f", below=1)
    with pytest.raises(ArgumentError, match=r"^f needs x to be a finite number. Received: x=inf.$"):
        as_number(float("inf"), "x", "f", least=-float("inf"))
    for value in (True, None, "1", 1j, [1.0]):
        with pytest.raises(ArgumentError):
            as_number(value, "x", "f")
