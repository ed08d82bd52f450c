"""Summaries: shapes, parameters, FLOPs and receptive fields by hand; and that nothing is left changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright import nn
from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.nn import functional as F


def fields(model: nn.Module, shape: tuple[int, ...]) -> list[tuple[int, ...] | None]:
    return [layer.receptive_field for layer in nn.summary(model, shape).layers]


def test_a_small_network_by_hand() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6 * 14 * 14, 10)
    )
    found = nn.summary(model, (1, 28, 28), batch_size=3)
    assert found.model == "Sequential" and found.input_shape == (3, 1, 28, 28)
    rows = [(x.name, x.type, x.output_shape, x.parameters, x.flops, x.receptive_field) for x in found.layers]
    assert rows == [
        ("0", "Conv2d", (3, 6, 28, 28), 156, 2 * 3 * 6 * 28 * 28 * 25, (5, 5)),
        ("1", "ReLU", (3, 6, 28, 28), 0, 0, (5, 5)),
        ("2", "MaxPool2d", (3, 6, 14, 14), 0, 3 * 6 * 14 * 14 * 4, (6, 6)),
        ("3", "Flatten", (3, 1176), 0, 0, (6, 6)),
        ("4", "Linear", (3, 10), 11770, 2 * 3 * 1176 * 10, (28, 28)),
    ]
    assert found.parameters == found.trainable == 11926
    assert found.flops == sum(row[4] for row in rows)
    model[0].requires_grad_(False)
    assert nn.summary(model, (1, 28, 28)).trainable == 11770


def test_the_table_is_aligned() -> None:
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 26 * 26, 10))
    assert str(nn.summary(model, (1, 28, 28))).split("\n") == [
        "Sequential on input 1×1×28×28",
        "-" * 66,
        "Layer  Type     Output shape  Parameters    FLOPs  Receptive field",
        "-" * 66,
        "0      Conv2d   1×8×26×26             80   97,344              3×3",
        "1      ReLU     1×8×26×26              0        0              3×3",
        "2      Flatten  1×5408                 0        0              3×3",
        "3      Linear   1×10              54,090  108,160            28×28",
        "-" * 66,
        "Parameters: 54,170 (54,170 trainable)",
        "FLOPs: 205,504 for a batch of 1",
    ]


def test_fields_through_strides_dilations_pads_and_transposed_layers() -> None:
    model = nn.Sequential(
        nn.Conv1d(1, 1, 3, stride=2),  # 3, then every further tap adds 2
        nn.Conv1d(1, 1, 3, dilation=2),  # 3 + 4·2
        nn.ZeroPad1d(2),
        nn.Identity(),
        nn.AvgPool1d(2, stride=1),  # one more tap
        nn.ConvTranspose1d(1, 1, 2, stride=2),  # each output sees one input
        nn.Conv1d(1, 1, 2),  # two neighbours may come from two inputs
    )
    assert fields(model, (1, 32)) == [(3,), (11,), (11,), (11,), (13,), (13,), (15,)]


def test_axes_have_fields_of_their_own() -> None:
    model = nn.Sequential(nn.Conv2d(1, 1, (1, 7)), nn.Conv2d(1, 1, (7, 1)), nn.Softmax(dim=1))
    assert fields(model, (1, 9, 9)) == [(1, 7), (7, 7), (7, 7)]


def test_dense_layers_and_softmax_see_what_they_mix() -> None:
    # A valid pool of 2 leaves the last of 7 columns out; the dense layer can't see it.
    model = nn.Sequential(
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(9, 4), nn.Softmax(dim=1), nn.Unflatten(1, (1, 2, 2))
    )
    assert fields(model, (1, 7, 7)) == [(2, 2), (2, 2), (6, 6), (6, 6), (6, 6)]
    # Without flattening it mixes the last axis only, and softmax the one it is told.
    assert fields(nn.Sequential(nn.Conv2d(1, 1, 3), nn.Linear(5, 2)), (1, 7, 7)) == [(3, 3), (3, 7)]
    assert fields(nn.Sequential(nn.Softmax(dim=2), nn.LogSoftmax(dim=-1)), (1, 4, 5)) == [(4, 1), (4, 5)]
    assert fields(nn.Sequential(nn.Linear(4, 2)), (4,)) == [None]


def test_an_autoencoder_is_known_from_end_to_end() -> None:
    found = nn.summary(nn.models.autoencoder(), (1, 28, 28))
    by_name = {layer.name: layer.receptive_field for layer in found.layers}
    assert by_name["encoder.0"] == (3, 3) and by_name["encoder.2"] == (7, 7)
    # A code has no place in the image, so that it and all that is made of it see what it sees: the image.
    assert by_name["encoder.4"] == (28, 28)
    assert {by_name[f"decoder.{number}"] for number in range(6)} == {(28, 28)}


class Shapes(nn.Module):
    def __init__(self, change: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.fc = nn.Linear(2 * 4 * 4, 3)
        self.change = change

    def forward(self, x: Any) -> Any:
        return self.fc(self.change(self.conv(x)))


@pytest.mark.parametrize(
    "change",
    [
        lambda y: y.flatten(1),
        lambda y: y.view(-1, 32),
        lambda y: y.reshape(y.shape[0], -1),
        lambda y: tw.flatten(y, 1),
    ],
)
def test_a_change_of_shape_between_layers_is_followed(change: Any) -> None:
    assert fields(Shapes(change), (1, 6, 6)) == [(3, 3), (6, 6)]


@pytest.mark.parametrize(
    "change",
    [
        lambda y: F.relu(y).flatten(1),
        lambda y: (y + y).flatten(1),
        lambda y: y.permute(0, 2, 3, 1).flatten(1),
        lambda y: y.mul_(2).flatten(1),
    ],
)
def test_what_can_not_be_known_is_none(change: Any) -> None:
    found = nn.summary(Shapes(change), (1, 6, 6))
    assert [layer.receptive_field for layer in found.layers] == [(3, 3), None]
    assert str(found).split("\n")[5].endswith("-")


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv2d(1, 2, 3, padding=1)
        self.right = nn.Conv2d(1, 2, 5, padding=2)
        self.after = nn.ReLU()

    def forward(self, x: Any) -> Any:
        return self.after(self.left(x) + self.right(x))


def test_each_branch_is_known_and_their_sum_is_not() -> None:
    assert fields(Branches(), (1, 8, 8)) == [(3, 3), (5, 5), None]


class Odd(nn.Module):
    """A layer of a class that the summary doesn't know, with a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(tw.ones(1))
        self.inner = nn.ReLU()

    def forward(self, x: Any) -> Any:
        return self.inner(x) * self.gain


class OddPointwise(Odd):
    pointwise = True


def test_layers_of_unknown_classes() -> None:
    found = nn.summary(nn.Sequential(nn.Conv1d(1, 1, 3), Odd(), nn.ReLU()), (1, 9))
    assert [(x.name, x.parameters, x.receptive_field) for x in found.layers] == [
        ("0", 4, (3,)),
        ("1.inner", 0, (3,)),
        ("1", 1, None),
        ("2", 0, None),
    ]
    assert fields(nn.Sequential(nn.Conv1d(1, 1, 3), OddPointwise(), nn.Conv1d(1, 1, 3)), (1, 9))[-1] == (5,)


def test_a_layer_called_twice_counts_its_parameters_once() -> None:
    layer = nn.Conv1d(1, 1, 3, padding=1)
    found = nn.summary(nn.Sequential(layer, nn.ReLU(inplace=True), layer), (1, 9))
    assert [(x.parameters, x.receptive_field) for x in found.layers] == [(4, (3,)), (0, (3,)), (0, (5,))]
    assert found.parameters == 4


def test_a_single_layer_is_a_model() -> None:
    found = nn.summary(nn.MaxPool1d(2, return_indices=True), (3, 8))
    assert found.layers[0].output_shape == (1, 3, 4) and found.layers[0].name == ""
    assert "(model)" in str(found)
    assert nn.summary(nn.Sequential(), (3, 8)).layers[0].receptive_field == (1,)


def test_nothing_is_left_changed() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(), nn.Sequential(nn.ReLU()))
    model[3].eval()
    calls: list[int] = []
    model[0].register_forward_hook(lambda *_: calls.append(1))
    modes = [module.training for module in model.modules()]
    state = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    stream = tw.get_rng_state()
    nn.summary(model, (1, 5, 5))
    assert [module.training for module in model.modules()] == modes
    assert [len(module._forward_hooks) for module in model.modules()] == [0, 1, 0, 0, 0, 0]
    assert calls == [1] and tw.get_rng_state() == stream
    for name, value in model.state_dict().items():
        assert np.array_equal(value.numpy(), state[name])
    with pytest.raises(ShapeError):
        nn.summary(model, (3, 5, 5))
    assert [module.training for module in model.modules()] == modes
    assert [len(module._forward_hooks) for module in model.modules()] == [0, 1, 0, 0, 0, 0]


class AlwaysDrops(nn.Module):
    def forward(self, x: Any) -> Any:
        return F.dropout(x)  # as a function it draws in evaluation too


def test_random_numbers_drawn_by_the_model_are_given_back() -> None:
    stream = tw.get_rng_state()
    nn.summary(AlwaysDrops(), (4,))
    assert tw.get_rng_state() == stream


def test_the_dtype_is_the_models_or_the_one_given() -> None:
    seen: list[Any] = []
    model = nn.Sequential(nn.Linear(2, 2))
    model.register_forward_pre_hook(lambda module, args: seen.append(args[0].dtype))
    nn.summary(model.double(), (2,))
    nn.summary(nn.Sequential(model.float(), nn.ReLU()), (2,), dtype="float32")
    assert seen == [np.float64, np.float32]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: nn.summary("model", (1,)), DtypeError, "summary needs a Module. Received: model='model'."),
        (
            lambda: nn.summary(nn.ReLU(), 28),
            ArgumentError,
            "summary needs the shape of one sample. Received: input_shape=28.",
        ),
        (
            lambda: nn.summary(nn.ReLU(), (1, 0)),
            ArgumentError,
            "summary needs every size of input_shape to be at least 1.",
        ),
        (
            lambda: nn.summary(nn.ReLU(), (1,), batch_size=0),
            ArgumentError,
            "summary needs batch_size to be at least 1. Received: batch_size=0.",
        ),
        (
            lambda: nn.summary(nn.ReLU(), (3,), batch_size=2**61),
            ShapeError,
            "summary needs an input that memory holds. Received: input_shape=(3,), batch_size=23058430092136",
        ),
        (
            lambda: nn.summary(nn.ReLU(), (1,), dtype="int32"),
            DtypeError,
            "summary needs a floating dtype, such as float32. Received: dtype='int32'.",
        ),
    ],
)
def test_refusals(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as error:
        call()
    assert str(error.value).startswith(message)
