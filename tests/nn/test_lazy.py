"""Layers that learn the size of their input from the input, or from the weights that they are given."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright import nn, optim
from tilewright.errors import ArgumentError, DtypeError, ShapeError, StateError, TilewrightError
from tilewright.nn.summary import summary

# (a lazy layer, the same layer made at once, shape of an input)
LAYERS = [
    ("nn.Conv(None, 4, (3, 2))", "nn.Conv(6, 4, (3, 2))", (2, 6, 5, 5)),
    ("nn.Conv1d(None, 4, 3, groups=2)", "nn.Conv1d(6, 4, 3, groups=2)", (2, 6, 5)),
    ("nn.Conv2d(None, 4, 3, bias=False)", "nn.Conv2d(6, 4, 3, bias=False)", (2, 6, 5, 5)),
    ("nn.Conv2d(None, 4, 3, init='he')", "nn.Conv2d(6, 4, 3, init='he')", (6, 5, 5)),
    ("nn.Conv3d(None, 4, 2)", "nn.Conv3d(6, 4, 2)", (2, 6, 3, 3, 3)),
    ("nn.ConvTranspose(None, 4, 3, rank=2)", "nn.ConvTranspose(6, 4, 3, rank=2)", (2, 6, 5, 5)),
    ("nn.ConvTranspose1d(None, 4, 3, groups=2)", "nn.ConvTranspose1d(6, 4, 3, groups=2)", (2, 6, 5)),
    ("nn.ConvTranspose2d(None, 4, 3, 2)", "nn.ConvTranspose2d(6, 4, 3, 2)", (2, 6, 5, 5)),
    ("nn.ConvTranspose3d(None, 4, 2)", "nn.ConvTranspose3d(6, 4, 2)", (2, 6, 2, 2, 2)),
    ("nn.Linear(None, 4)", "nn.Linear(6, 4)", (2, 3, 6)),
    ("nn.Linear(None, 4, bias=False, dtype='float64')", "nn.Linear(6, 4, bias=False, dtype='float64')", (6,)),
    ("nn.BatchNorm1d(None)", "nn.BatchNorm1d(6)", (4, 6)),
    ("nn.BatchNorm2d(None, bias=False)", "nn.BatchNorm2d(6, bias=False)", (2, 6, 3, 3)),
    ("nn.BatchNorm3d(None, affine=False)", "nn.BatchNorm3d(6, affine=False)", (2, 6, 2, 2, 2)),
    (
        "nn.BatchNorm2d(None, affine=False, track_running_stats=False)",
        "nn.BatchNorm2d(6, affine=False, track_running_stats=False)",
        (2, 6, 3, 3),
    ),
    ("nn.LazyConv1d(4, 3)", "nn.Conv1d(6, 4, 3)", (2, 6, 5)),
    ("nn.LazyConv2d(4, kernel_size=3, stride=2)", "nn.Conv2d(6, 4, 3, 2)", (2, 6, 5, 5)),
    ("nn.LazyConv3d(4, 2)", "nn.Conv3d(6, 4, 2)", (2, 6, 3, 3, 3)),
    ("nn.LazyConvTranspose1d(4, 3)", "nn.ConvTranspose1d(6, 4, 3)", (2, 6, 5)),
    ("nn.LazyConvTranspose2d(4, 3, 2, 1, 1)", "nn.ConvTranspose2d(6, 4, 3, 2, 1, 1)", (2, 6, 5, 5)),
    ("nn.LazyConvTranspose3d(4, 2)", "nn.ConvTranspose3d(6, 4, 2)", (2, 6, 2, 2, 2)),
    ("nn.LazyLinear(out_features=4)", "nn.Linear(6, 4)", (2, 6)),
    ("nn.LazyBatchNorm1d()", "nn.BatchNorm1d(6)", (4, 6, 3)),
    ("nn.LazyBatchNorm2d(momentum=None)", "nn.BatchNorm2d(6, momentum=None)", (2, 6, 3, 3)),
    ("nn.LazyBatchNorm3d(1e-3, 0.2)", "nn.BatchNorm3d(6, 1e-3, 0.2)", (2, 6, 2, 2, 2)),
    (
        "nn.LazyInstanceNorm1d()",
        "nn.InstanceNorm1d(6, affine=True, track_running_stats=True)",
        (2, 6, 4),
    ),
    ("nn.LazyInstanceNorm2d(affine=False)", "nn.InstanceNorm2d(6, track_running_stats=True)", (2, 6, 3, 3)),
    (
        "nn.LazyInstanceNorm3d(track_running_stats=False)",
        "nn.InstanceNorm3d(6, affine=True)",
        (2, 6, 2, 2, 2),
    ),
]
IDS = [lazy for lazy, _, _ in LAYERS]


def made(text: str) -> Any:
    return eval(text, {"nn": nn})


def input_for(layer: Any, shape: tuple[int, ...]) -> tw.Tensor:
    dtype = next((p.dtype for p in layer.parameters()), np.dtype(np.float32))
    return tw.tensor(np.random.default_rng(0).standard_normal(shape).astype(dtype))


def values(layer: nn.Module) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in layer.state_dict().items()}


@pytest.mark.parametrize(("lazy", "eager", "shape"), LAYERS, ids=IDS)
def test_after_one_call_a_lazy_layer_is_as_if_made_at_once(
    lazy: str, eager: str, shape: tuple[int, ...]
) -> None:
    tw.manual_seed(0)
    first = made(lazy)
    x = input_for(first, shape)
    y = first(x)
    tw.manual_seed(0)
    second = made(eager)
    z = second(x)
    assert type(first) is type(second)
    assert repr(first) == repr(second)
    assert y.detach().numpy().tobytes() == z.detach().numpy().tobytes()
    assert list(first.state_dict()) == list(second.state_dict())
    assert values(first) == values(second)
    assert [(n, type(p), p.requires_grad) for n, p in first.named_parameters()] == [
        (n, type(p), p.requires_grad) for n, p in second.named_parameters()
    ]
    assert "forward" not in first.__dict__
    assert first(x).shape == second(x).shape


@pytest.mark.parametrize(("lazy", "eager", "shape"), LAYERS, ids=IDS)
def test_weights_tell_the_size_too(lazy: str, eager: str, shape: tuple[int, ...]) -> None:
    given = made(eager)
    x = input_for(given, shape)
    given(x)
    layer = made(lazy)
    state = given.state_dict()
    assert layer.load_state_dict(state) == ([], [])
    if len(state) > (1 if "num_batches_tracked" in state else 0):
        assert type(layer) is type(given) and repr(layer) == repr(given)
    assert values(layer) == values(given)
    given.eval(), layer.eval()
    assert layer(x).detach().numpy().tobytes() == given(x).detach().numpy().tobytes()


def test_before_the_first_call() -> None:
    layer = nn.Conv2d(None, 4, 3)
    assert repr(layer) == "Conv2d(None, 4, kernel_size=(3, 3), stride=(1, 1))" and layer.in_channels == 0
    assert repr(nn.LazyConv2d(4, 3)) == "LazyConv2d(0, 4, kernel_size=(3, 3), stride=(1, 1))"
    assert [name for name, _ in layer.named_parameters()] == list(layer.state_dict()) == ["weight", "bias"]
    weight = layer.weight
    assert isinstance(weight, nn.UninitializedParameter) and repr(weight) == "<UninitializedParameter>"
    assert weight.dtype == np.float32 and weight.requires_grad and weight.is_leaf and weight.grad is None
    assert weight.detach() is weight and not hasattr(weight, "shape")
    norm = nn.LazyBatchNorm2d()
    assert isinstance(norm.running_mean, nn.UninitializedBuffer)
    assert list(norm.state_dict()) == [
        "weight",
        "bias",
        "running_mean",
        "running_var",
        "num_batches_tracked",
    ]
    layer(tw.zeros(1, 2, 5, 5))
    assert layer.weight is weight and type(weight) is nn.Parameter and weight.shape == (4, 2, 3, 3)
    norm(tw.zeros(1, 2, 5, 5))
    assert type(norm.running_mean) is tw.Tensor


READS: list[Callable[[Any], Any]] = [
    lambda w: w.shape,
    lambda w: w.numel(),
    lambda w: w + 1,
    lambda w: 1 - w,
    lambda w: w.sum(),
    lambda w: w[0],
    lambda w: len(w),
    lambda w: w.detach().numpy(),
    lambda w: np.asarray(w),
    lambda w: w.data,
    lambda w: w.clone(),
    lambda w: w.backward(),
    lambda w: nn.init.ones_(w),
    lambda w: nn.init.kaiming_normal_(w),
    lambda w: nn.functional.conv2d(tw.zeros(1, 1, 3, 3), w),
    lambda w: w.to("float64"),
]


@pytest.mark.parametrize("read", READS)
def test_what_has_no_values_yet_says_so(read: Callable[[Any], Any]) -> None:
    with pytest.raises(nn.UninitializedError) as error:
        read(nn.Conv2d(None, 4, 3).weight)
    assert str(error.value) == (
        "UninitializedParameter has no values before its shape is known. Call the model once on an input "
        "like those to come: its lazy layers then know."
    )
    assert isinstance(error.value, StateError)


def test_values_can_not_be_given_before_the_shape() -> None:
    weight = nn.Linear(None, 2).weight
    with pytest.raises(nn.UninitializedError) as error:
        weight.data = tw.zeros(2, 3)
    assert str(error.value) == (
        "UninitializedParameter takes no values before its shape is known. Received: data with shape (2, 3) "
        "and dtype float32. Call materialize(shape) first, or the model once on an input."
    )
    weight.materialize((2, 3))
    weight.data = tw.ones(2, 3)
    assert weight.sum().item() == 6


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_an_optimiser_waits_for_the_first_call(kind: Any) -> None:
    model = nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
    for params in (model.parameters(), [{"params": model.parameters()}]):
        with pytest.raises(StateError) as error:
            kind(params, lr=0.1)
        assert str(error.value) == (
            f"{kind.__name__} needs parameters whose shapes are known. Received: "
            "parameter=<UninitializedParameter>. Call the model once on an input like those to come, then "
            "make the optimiser."
        )
    x = tw.ones(4, 2, 2)
    model(x)
    optimizer = kind(model.parameters(), lr=0.1)
    model(x).sum().backward()
    before = values(model)
    optimizer.step()
    assert values(model) != before


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: nn.Conv2d(None, 4, 3)(tw.zeros(3, 3)),
            ShapeError,
            "Conv2d needs input of rank 4 (batch, channels, height, width) or 3 (channels, height, width). "
            "Received: input with shape (3, 3) and dtype float32. Add the missing axes: input[None, None].",
        ),
        (
            lambda: nn.Conv2d(None, 4, 3)([[1.0]]),
            DtypeError,
            "Conv2d needs input to be a NumPy array or a Tensor. Received: input of type list.",
        ),
        (
            lambda: nn.Conv2d(None, 4, 3)(tw.zeros(1, 0, 3, 3)),
            ShapeError,
            "Conv2d needs an input with at least one channel. Received: in_channels=0.",
        ),
        (
            lambda: nn.LazyConv1d(4, 3, groups=2)(tw.zeros(1, 3, 9)),
            ShapeError,
            "LazyConv1d needs the input's channels to be divisible by groups. "
            "Received: in_channels=3, groups=2.",
        ),
        (
            lambda: nn.Linear(None, 4)(tw.zeros(())),
            ShapeError,
            "Linear needs input of rank at least 1. Received: input with shape () and dtype float32.",
        ),
        (
            lambda: nn.LazyLinear(4)(None),
            DtypeError,
            "LazyLinear needs input to be a NumPy array or a Tensor. Received: input of type NoneType.",
        ),
        (
            lambda: nn.BatchNorm2d(None)(tw.zeros(2, 3)),
            ShapeError,
            "BatchNorm2d needs input of shape (batch, channels, height, width). "
            "Received: input with shape (2, 3) and dtype float32.",
        ),
        (
            lambda: nn.Conv2d(None, 3, 3, groups=2),
            ArgumentError,
            "Conv2d needs out_channels to be divisible by groups. Received: out_channels=3, groups=2.",
        ),
        (
            lambda: nn.UninitializedParameter(dtype="int64"),
            DtypeError,
            "UninitializedParameter needs a floating dtype, such as float32. Received: dtype='int64'.",
        ),
        (
            lambda: nn.UninitializedParameter().materialize(3),  # type: ignore[arg-type]
            ArgumentError,
            "UninitializedParameter.materialize needs a tuple of sizes. Received: shape=3.",
        ),
        (
            lambda: nn.UninitializedBuffer().materialize((2, -1)),
            ArgumentError,
            "UninitializedBuffer.materialize needs every size of shape to be at least 0. "
            "Received: every size of shape=-1.",
        ),
    ],
)
def test_refusals(call: Callable[[], Any], kind: type[TilewrightError], message: str) -> None:
    with pytest.raises(kind) as error:
        call()
    assert str(error.value).startswith(message)


def test_a_refused_input_leaves_the_layer_waiting() -> None:
    layer = nn.LazyConv2d(4, 3)
    with pytest.raises(ShapeError):
        layer(tw.zeros(3))
    assert isinstance(layer, nn.LazyConv2d)
    assert layer(tw.zeros(1, 5, 4, 4)).shape == (1, 4, 2, 2)
    norm = nn.LazyInstanceNorm1d()
    with pytest.raises(DtypeError, match="LazyInstanceNorm1d needs input of one of the dtypes"):
        norm(np.zeros((2, 3), "M8[s]"))
    assert isinstance(norm, nn.LazyInstanceNorm1d)
    assert norm(tw.zeros(1, 5, 4)).shape == (1, 5, 4)


def net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(None, 4, 3),
        nn.ReLU(),
        nn.LazyBatchNorm2d(),
        nn.LazyConvTranspose2d(2, 2),
        nn.Flatten(),
        nn.Linear(None, 3),
    )


def test_a_whole_model_is_converted_frozen_and_copied_before_its_first_call() -> None:
    model = net().to(tw.float64).requires_grad_(False)
    twin = copy.deepcopy(model)
    assert [type(m).__name__ for m in twin] == [type(m).__name__ for m in model]
    assert all(p is not q for p, q in zip(model.parameters(), twin.parameters(), strict=True))
    y = twin(tw.zeros(1, 2, 6, 6, dtype=tw.float64))
    assert y.dtype == np.float64 and not y.requires_grad
    assert {p.dtype for p in twin.parameters()} == {np.dtype(np.float64)}
    assert twin[2].running_mean.dtype == np.float64
    assert isinstance(model[0].weight, nn.UninitializedParameter)
    model(tw.zeros(1, 7, 6, 6, dtype=tw.float64))
    assert model[0].in_channels == 7 and twin[0].in_channels == 2
    model.zero_grad()
    with pytest.raises(DtypeError, match="Gradients exist for floating dtypes only"):
        broken = nn.UninitializedBuffer()
        broken.set_dtype(np.dtype(np.int64))
        broken.requires_grad_()


def test_a_lazy_convolution_before_an_activation_runs_alone_the_first_time() -> None:
    # Later the two run in one step, which needs a weight.
    model = net()
    x = tw.randn(2, 3, 6, 6)
    first = model.eval()(x)
    assert first.detach().numpy().tobytes() == model(x).detach().numpy().tobytes()


def test_hooks_see_the_layer_that_it_became() -> None:
    layer = nn.LazyLinear(2)
    seen: list[Any] = []
    layer.register_forward_pre_hook(lambda module, args: (args[0][:, :3],))
    layer.register_forward_hook(lambda module, args, output: seen.append((type(module), output.shape)))
    layer(tw.zeros(4, 5))
    assert seen == [(nn.Linear, (4, 2))] and layer.in_features == 3


def test_a_summary_makes_the_layers_and_draws_their_weights() -> None:
    model = net()
    table = summary(model, (2, 6, 6))
    assert table.parameters == sum(p.numel() for p in model.parameters()) == 76 + 8 + 34 + 153
    assert [layer.type for layer in table.layers] == [
        "Conv2d",
        "ReLU",
        "BatchNorm2d",
        "ConvTranspose2d",
        "Flatten",
        "Linear",
    ]
    # The stream of random numbers has moved on: a second model gets weights of its own.
    other = net()
    summary(other, (2, 6, 6))
    assert not np.array_equal(model[0].weight.detach().numpy(), other[0].weight.detach().numpy())


def test_a_state_dict_makes_a_whole_model() -> None:
    given = net()
    given(tw.randn(2, 3, 6, 6))
    model = net()
    assert model.load_state_dict(given.state_dict()) == ([], [])
    assert repr(model) == repr(given) and values(model) == values(given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s.update({"0.weight": np.zeros((4, 3, 5, 5))}),
            "Sequential.load_state_dict needs values for all its keys and no others, each of its own shape; "
            "nothing has been loaded. Received: values of another shape: '0.weight' with shape (4, 3, 5, 5) "
            "where (4, 3, 3, 3) is needed.",
        ),
        (
            lambda s: s.update({"0.weight": np.zeros((4, 3))}),
            "Sequential.load_state_dict needs values for all its keys and no others, each of its own shape; "
            "nothing has been loaded. Received: values of another shape: '0.weight' with shape (4, 3), which "
            "doesn't tell in_channels, '0.bias' with shape (4,), which doesn't tell in_channels.",
        ),
        (
            lambda s: s.update({"2.bias": np.zeros(5)}),
            "Sequential.load_state_dict needs values for all its keys and no others, each of its own shape; "
            "nothing has been loaded. Received: values of another shape: '2.bias' with shape (5,) where (4,) "
            "is needed.",
        ),
        (
            lambda s: s.pop("0.weight"),
            "Sequential.load_state_dict needs values for all its keys and no others, each of its own shape; "
            "nothing has been loaded. Received: values of another shape: '0.bias' with shape (4,), which "
            "doesn't tell in_channels; missing keys: '0.weight'.",
        ),
        (
            lambda s: s.update({"5.weight": np.zeros((3, 0))}),
            "Linear needs an input with at least one channel. Received: in_features=0.",
        ),
    ],
)
def test_weights_that_do_not_fit_change_nothing(change: Callable[[Any], Any], message: str) -> None:
    given = net()
    given(tw.randn(2, 3, 6, 6))
    state = dict(given.state_dict())
    change(state)
    model = net()
    with pytest.raises(TilewrightError) as error:
        model.load_state_dict(state)
    assert str(error.value) == message
    assert all(isinstance(p, nn.UninitializedParameter) for p in model.parameters())


def test_weights_of_some_layers_leave_the_others_waiting() -> None:
    given = net()
    given(tw.randn(2, 3, 6, 6))
    state = {name: value for name, value in given.state_dict().items() if name.startswith("0.")}
    model = net()
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert "5.weight" in missing and unexpected == []
    assert model[0].in_channels == 3 and isinstance(model[5].weight, nn.UninitializedParameter)
    model(tw.zeros(1, 3, 6, 6))
    assert values(model[0]) == values(given[0])


def test_lazy_states_are_not_saved() -> None:
    model = nn.LazyLinear(2)
    with pytest.raises(nn.UninitializedError, match="Call the model once on an input"):
        nn.Linear(3, 2).load_state_dict(model.state_dict())


def test_a_shared_layer_settles_once_and_a_weight_that_was_given_stays() -> None:
    shared = nn.LazyLinear(3)
    model = nn.Sequential(shared, nn.Tanh())
    model.add_module("again", shared)
    y = model(tw.zeros(2, 3))
    assert y.shape == (2, 3)
    loaded = nn.Sequential(nn.LazyLinear(3), nn.Tanh())
    loaded.add_module("again", loaded[0])
    assert loaded.load_state_dict(model.state_dict()) == ([], [])
    layer = nn.Linear(None, 2)
    layer.weight = nn.Parameter(tw.full((2, 3), 7.0))
    assert layer(tw.ones(1, 3)).shape == (1, 2)
    assert (layer.weight.detach().numpy() == 7).all() and layer.bias is not None and layer.bias.any().item()
    other = nn.Linear(None, 2)
    other.weight = nn.Parameter(tw.zeros(2, 3))
    with pytest.raises(ShapeError) as error:
        other(tw.ones(1, 4))
    assert str(error.value) == (
        "Linear needs weight of shape (2, 4) for in_features=4. Received: weight with shape (2, 3) and dtype "
        "float32."
    )


def test_an_empty_batch_tells_the_size_too() -> None:
    layer = nn.Conv2d(None, 4, 3, padding=1)
    assert layer(tw.zeros(0, 5, 8, 8)).shape == (0, 4, 8, 8) and layer.in_channels == 5
    dense = nn.Linear(None, 2)
    assert dense(np.zeros((0, 3), np.float32)).shape == (0, 2)
