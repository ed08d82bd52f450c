"""Convolutions run together with the activation behind them: when, when not, and that nobody can tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import awkward, random_array

import tilewright as tw
from tilewright import nn
from tilewright.autograd.gradcheck import gradcheck, gradgradcheck
from tilewright.autograd.tape import each_step
from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.functional import fused
from tilewright.op import conv as conv_op
from tilewright.train.layers import layer_outputs

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}
WITH_GRADIENT = ("relu", "leaky_relu", "tanh", "sigmoid")


def steps_of(y: Any) -> list[str]:
    """The operations that led to a result, last first."""
    return list(each_step(y._node))


def one_by_one(model: nn.Sequential, x: Any) -> Any:
    for layer in model:
        x = layer(x)
    return x


def tolerance(activation: str, dtype: Any) -> dict[str, Any]:
    if activation in ("relu", "leaky_relu"):
        return {"rtol": 0, "atol": 0, "reason": "the same bits, in one step as in two"}
    eps = float(np.finfo(dtype).eps)
    return {
        "rtol": 64 * eps,
        "atol": 64 * eps,
        "reason": "activations a few roundings apart; gradients sum some hundred of them",
    }


@pytest.fixture
def small() -> Any:
    """An input (2, 3, 8, 7)."""
    tw.manual_seed(0)
    return tw.randn(2, 3, 8, 7)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_results_and_gradients_are_those_of_the_layers(name: str, dtype: Any, channels_last: bool) -> None:
    tw.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 18, 3, padding=1, dtype=dtype), ACTIVATIONS[name]())
    values = random_array((2, 3, 8, 7), 1, dtype)
    values = awkward(values, "channels-last") if channels_last else values
    found = []
    for way in (model, lambda x: one_by_one(model, x)):
        x = tw.from_numpy(values).requires_grad_()
        model.zero_grad()
        y = way(x)
        (y * y).sum().backward()
        found.append([y.detach(), x.grad, model[0].weight.grad, model[0].bias.grad])
    for a, b in zip(*found, strict=True):
        assert_same(a, b, **tolerance(name, dtype))
    with tw.no_grad():
        y, expected = model(tw.from_numpy(values)), one_by_one(model, tw.from_numpy(values))
    assert_same(y, expected, **tolerance(name, dtype))
    assert y.stride() == expected.stride()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_one_step_is_really_taken(name: str, small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), ACTIVATIONS[name]())
    expected = [f"conv_{name}"] if name in WITH_GRADIENT else [name, "conv"]
    assert steps_of(model(small)) == expected
    assert steps_of(one_by_one(model, small)) == [name, "conv"]
    names = []
    apply = fused.apply
    monkeypatch.setattr(
        fused, "apply", lambda found, *given, **named: names.append(found) or apply(found, *given, **named)
    )
    with tw.no_grad():
        model(small)
    assert names == [f"conv_{name}"]
    model.requires_grad_(False)
    model(small)
    assert names == [f"conv_{name}"] * 2


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_where_numpy_computes(name: str, small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the compiled families the activation follows the convolution, within the same step."""
    choose = conv_op.choose
    families = []

    def numpy_only(
        operation: str, dims: Any, dtype: str, family: Any = None, *layout: str, exact: bool = False
    ) -> Any:
        plan = choose(operation, dims, dtype, "numpy-windows", *layout, exact=exact)
        families.append(plan.family)
        return plan

    monkeypatch.setattr(conv_op, "choose", numpy_only)
    model = nn.Sequential(nn.Conv2d(3, 18, 3, padding=1), ACTIVATIONS[name]())
    y = model(small)
    assert steps_of(y) == ([f"conv_{name}"] if name in WITH_GRADIENT else [name, "conv"])
    (y * y).sum().backward()
    gradient, model[0].weight.grad = model[0].weight.grad, None
    expected = one_by_one(model, small)
    (expected * expected).sum().backward()
    assert_same(y.detach(), expected.detach(), **tolerance(name, np.float32))
    assert_same(gradient, model[0].weight.grad, **tolerance(name, np.float32))
    with tw.no_grad():
        assert_same(model(small), expected.detach(), **tolerance(name, np.float32))
    assert set(families) == {"numpy-windows"}


def test_rows_of_layers(small: Any) -> None:
    def steps(*layers: nn.Module) -> list[str]:
        model = nn.Sequential(*layers)
        y = model(small)
        assert_same(
            y.detach(), one_by_one(model, small).detach(), rtol=0, atol=0, reason="ReLU: the same bits"
        )
        return [step for step in steps_of(y) if not step.startswith("conv_batch")]

    conv, again = (lambda: nn.Conv2d(3, 3, 3, padding=1)), nn.Conv2d(3, 3, 1)
    assert steps(conv(), nn.ReLU(), conv(), nn.ReLU()) == ["conv_relu", "conv_relu"]
    assert steps(nn.ReLU(), conv(), nn.ReLU(), nn.ReLU()) == ["relu", "conv_relu"]
    assert steps(conv(), conv(), nn.ReLU(), conv()) == ["conv", "conv_relu", "conv"]
    assert steps(again, nn.ReLU(), again, nn.ReLU(), again) == ["conv", "conv_relu", "conv_relu"]
    assert steps(conv(), nn.Identity(), nn.ReLU()) == ["relu", "conv"]
    assert steps(conv(), nn.ELU(alpha=1.0)) == ["elu", "conv"]
    assert steps(conv(), nn.ReLU6()) == ["hardtanh", "conv"]
    assert steps(conv(), nn.GELU(approximate="tanh")) == ["gelu_tanh", "conv"]
    assert steps(conv()) == ["conv"]


def test_slices_and_nesting(small: Any) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.ReLU())
    assert steps_of(model[:1](small)) == ["conv"]
    assert steps_of(model[:2](small)) == ["conv_relu"]
    assert steps_of(model[:3](small)) == ["conv", "conv_relu"]
    assert steps_of(model[1:3](model[0](small))) == ["conv", "relu", "conv"]
    whole = model(small).detach()
    nested = nn.Sequential(model[:2], nn.Sequential(nn.Sequential(model[2], model[3])))
    assert steps_of(nested(small)) == ["conv_relu", "conv_relu"]
    across = nn.Sequential(nn.Sequential(model[0]), model[1], nn.Sequential(model[2]), model[3])
    assert steps_of(across(small)) == ["relu", "conv", "relu", "conv"]
    for other in (nested, across):
        assert_same(other(small).detach(), whole, rtol=0, atol=0, reason="ReLU: the same bits")


def test_a_sequential_of_its_own_class() -> None:
    model = nn.models.digitnet()
    assert steps_of(model(tw.zeros(2, 1, 28, 28)))[-1] == "conv_tanh_dropout"
    assert steps_of(model.eval()(tw.zeros(2, 1, 28, 28)))[-1] == "conv_tanh"
    model = nn.models.lenet5()
    assert steps_of(model(tw.zeros(2, 1, 28, 28))).count("conv_tanh") == 3


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", [2, ((1, 2), (0, 1)), "same", "causal"])
def test_padding(padding: Any, mode: str, small: Any) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=padding, padding_mode=mode), nn.ReLU())
    y = model(small)
    assert steps_of(y)[0] == "conv_relu"
    assert_same(y.detach(), one_by_one(model, small).detach(), rtol=0, atol=0, reason="ReLU: the same bits")


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
@pytest.mark.parametrize("batched", [True, False])
def test_every_rank_with_and_without_batch(rank: int, batched: bool) -> None:
    kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d, 4: nn.Conv}[rank]
    kernel: Any = 2 if rank < 4 else (2, 1, 2, 1)
    tw.manual_seed(0)
    model = nn.Sequential(kind(4, 6, kernel, stride=2, groups=2, bias=False), nn.Tanh())
    x = tw.randn(*([3] if batched else []), 4, *range(4, 4 + rank))
    y = model(x)
    assert "conv_tanh" in steps_of(y)
    assert_same(y.detach(), one_by_one(model, x).detach(), **tolerance("tanh", np.float32))


def test_arrays_go_in_too(small: Any) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    y = model(small.numpy())
    assert steps_of(y) == ["conv_relu"]
    assert_same(y.detach(), model(small).detach(), rtol=0, atol=0, reason="the same call")


def test_hooks_see_every_layer(small: Any) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    conv, relu = model
    expected = conv(small).detach()
    seen: list[Any] = []
    with conv.register_forward_hook(lambda module, args, output: seen.append(output)):
        assert steps_of(model(small)) == ["relu", "conv"]
    assert steps_of(seen[0]) == ["conv"]
    with relu.register_forward_hook(lambda module, args, output: seen.append(args[0])):
        assert steps_of(model(small)) == ["relu", "conv"]
    for output in seen:
        assert_same(output.detach(), expected, rtol=0, atol=0, reason="the convolution's own output")
    assert (seen[0] < 0).any()
    before: list[Any] = []
    with conv.register_forward_pre_hook(lambda module, args: before.append(args[0])):
        assert steps_of(model(small)) == ["relu", "conv"]
    with relu.register_forward_pre_hook(lambda module, args: before.append(args[0])):
        assert steps_of(model(small)) == ["relu", "conv"]
    assert before[0] is small and bool((before[1] == expected).all())
    # With all hooks gone, and with hooks on the whole.
    assert steps_of(model(small)) == ["conv_relu"]
    with model.register_forward_hook(lambda module, args, output: output * 2.0):
        assert steps_of(model(small)) == ["mul", "conv_relu"]


def test_a_hook_that_comes_while_the_model_runs(small: Any) -> None:
    seen: list[Any] = []

    class Spy(nn.Module):
        def forward(self, input: Any) -> Any:
            model[1].register_forward_hook(lambda module, args, output: seen.append(output))
            return input

    model = nn.Sequential(Spy(), nn.Conv2d(3, 4, 3), nn.ReLU())
    model(small)
    assert steps_of(seen[0]) == ["conv"]


def test_what_looks_into_models_sees_every_layer() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.Tanh())
    image = random_array((1, 9, 9), 1, np.float32)
    outputs = layer_outputs(model, image)
    assert [layer.kind for layer in outputs] == ["Conv2d", "ReLU", "Conv2d", "Tanh"]
    x = tw.tensor(image[None])
    with tw.no_grad():
        for layer, module in zip(outputs, model, strict=True):
            x = module(x)
            assert_same(layer.output, x, rtol=0, atol=0, reason="each layer on its own")
    rows = [(row.type, row.output_shape) for row in nn.summary(model, (1, 9, 9)).layers]
    assert rows == [
        ("Conv2d", (1, 4, 7, 7)),
        ("ReLU", (1, 4, 7, 7)),
        ("Conv2d", (1, 2, 5, 5)),
        ("Tanh", (1, 2, 5, 5)),
    ]


def test_subclasses_run_alone(small: Any) -> None:
    class Doubled(nn.Conv2d):
        def forward(self, input: Any) -> Any:
            return super().forward(input) * 2.0

    class Named(nn.Conv2d):
        """Changes nothing, but might."""

    class Shifted(nn.ReLU):
        def forward(self, input: Any) -> Any:
            return super().forward(input) + 1.0

    assert steps_of(nn.Sequential(Doubled(3, 4, 3), nn.ReLU())(small)) == ["relu", "mul", "conv"]
    assert steps_of(nn.Sequential(Named(3, 4, 3), nn.ReLU())(small)) == ["relu", "conv"]
    assert steps_of(nn.Sequential(nn.Conv2d(3, 4, 3), Shifted())(small)) == ["add", "relu", "conv"]


def test_a_forward_put_in_its_place_is_called(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    conv = model[0]
    conv.forward = lambda input: nn.Conv2d.forward(conv, input) * 2.0
    assert steps_of(model(small)) == ["relu", "mul", "conv"]
    del conv.forward
    assert steps_of(model(small)) == ["conv_relu"]
    with monkeypatch.context() as patch:
        patch.setattr(nn.ReLU, "forward", lambda self, input: input * 3.0)
        assert steps_of(model(small)) == ["mul", "conv"]
    plain = nn.Conv2d.forward
    with monkeypatch.context() as patch:
        patch.setattr(nn.Conv2d, "forward", lambda self, input: plain(self, input) * 2.0)
        assert steps_of(model(small)) == ["relu", "mul", "conv"]
    assert steps_of(model(small)) == ["conv_relu"]


def test_changes_of_a_layer_count(small: Any) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LeakyReLU(0.5))
    model[1].negative_slope = 0.0
    assert bool((model(small) >= 0).all())
    model[1].negative_slope = -1.0
    y = model(small)
    assert steps_of(y) == ["leaky_relu", "conv"]
    assert_same(y.detach(), model[0](small).detach().abs(), rtol=0, atol=0, reason="slope −1: the magnitude")
    model[1].negative_slope = "steep"
    with pytest.raises(DtypeError) as error:
        model(small)
    assert str(error.value) == (
        "leaky_relu needs negative_slope to be a number. Received: negative_slope='steep'."
    )
    model[1] = nn.GELU()
    model[1].approximate = "tanh"
    assert steps_of(model(small)) == ["gelu_tanh", "conv"]


def test_messages_are_the_layers_own(small: Any) -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU())
    for input, kind in ((small, ShapeError), (small.double(), ShapeError), ("x", DtypeError)):
        with pytest.raises(kind) as error:
            model(input)
        with pytest.raises(kind) as expected:
            one_by_one(model, input)
        assert str(error.value) == str(expected.value)
        assert str(error.value).startswith("conv2d needs ")


def test_an_output_may_be_written_to_where_the_layers_alone_allow_it(small: Any) -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.LeakyReLU(0.1))
    gradients = []
    for way in (model, lambda x: one_by_one(model, x)):
        model.zero_grad()
        y = way(small)
        y += small
        (y * y).sum().backward()
        gradients.append(model[0].weight.grad)
    assert_same(*gradients, rtol=0, atol=0, reason="leaky ReLU: the same bits")


def test_training_gives_the_same_weights() -> None:
    x, target = tw.tensor(random_array((8, 1, 10, 10), 1, np.float32)), tw.tensor(np.arange(8) % 4)
    found = []
    for take in (lambda model, x: model(x), one_by_one):
        tw.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.LeakyReLU(), nn.Flatten(), nn.Linear(288, 4)
        )
        optimizer = tw.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(5):
            optimizer.zero_grad()
            tw.functional.cross_entropy(take(model, x), target).backward()
            optimizer.step()
        found.append(list(model.parameters()))
    for a, b in zip(*found, strict=True):
        assert_same(a.detach(), b.detach(), rtol=0, atol=0, reason="ReLU and leaky ReLU: the same bits")


# -- dropout behind the activation ---------------------------------------------------------------------

EXACT = {"rtol": 0, "atol": 0, "reason": "the same operations in the same order"}


def convolution_with(activation: str, p: float, dtype: Any = np.float32) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(2, 8, 3, padding=1, dtype=dtype), ACTIVATIONS[activation](), nn.Dropout(p))


@pytest.mark.parametrize("layout", ["in order", "channels-last"])
# Below and above the size from which gradients are compiled.
@pytest.mark.parametrize("size", [5, 40])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [0.3, 1.0])
@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_dropout_in_the_same_step(name: str, p: float, dtype: Any, size: int, layout: str) -> None:
    tw.manual_seed(1)
    model = convolution_with(name, p, dtype)
    values = random_array((3, 2, size, size), 1, dtype)
    values = awkward(values, layout) if layout == "channels-last" else values
    found, states = [], []
    for way in (model, lambda x: model[2](model[:2](x))):
        tw.manual_seed(2)
        x = tw.from_numpy(values).requires_grad_()
        model.zero_grad()
        y = way(x)
        # A loss whose gradient differs from place to place.
        (y * y * y).sum().backward()
        found.append([y.detach(), x.grad, model[0].weight.grad, model[0].bias.grad])
        states.append(tw.get_rng_state())
    for a, b in zip(*found, strict=True):
        assert_same(a, b, **EXACT)
    assert states[0] == states[1], "as much is drawn"
    assert steps_of(model(x)) == [f"conv_{name}_dropout"]
    with tw.no_grad():
        tw.manual_seed(2)
        assert_same(model(tw.from_numpy(values)), found[0][0], **EXACT)


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_dropout_in_the_same_step_can_be_differentiated_twice(name: str) -> None:
    tw.manual_seed(1)
    model = convolution_with(name, 0.4, np.float64)

    def seeded(x: Any, w: Any, b: Any) -> Any:
        tw.manual_seed(3)
        return fused.conv_activation(2, x, w, b, 1, 1, 1, 1, name, dropout=0.4)

    x = tw.from_numpy(random_array((2, 2, 4, 3), 1, np.float64)).requires_grad_()
    inputs = [x, model[0].weight, model[0].bias]
    assert steps_of(seeded(*inputs)) == [f"conv_{name}_dropout"]
    assert gradcheck(seeded, inputs)
    assert gradgradcheck(seeded, inputs)
    # Twice, of a loss that bends: gradients arrive at both outputs.
    assert gradgradcheck(lambda *given: seeded(*given) ** 3, inputs)


def test_dropout_runs_on_its_own_where_somebody_could_tell(small: Any) -> None:
    def last_step(model: nn.Sequential) -> str:
        return steps_of(model(small.requires_grad_()))[0]

    def fresh(activation: str = "tanh", dropout: Any = None) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(3, 4, 3), ACTIVATIONS[activation](), dropout or nn.Dropout(0.5))

    class Own(nn.Dropout):
        pass

    assert last_step(fresh()) == "conv_tanh_dropout"
    assert last_step(fresh("relu")) == last_step(fresh("silu")) == "dropout"
    assert last_step(fresh(dropout=Own(0.5))) == "dropout"
    assert last_step(fresh(dropout=nn.Dropout2d(0.5))) == "drop"
    hooked = fresh()
    seen = []
    hooked[2].register_forward_hook(lambda module, given, out: seen.append(tuple(out.shape)))
    assert last_step(hooked) == "dropout"
    assert seen == [(2, 4, 6, 5)]
    assert last_step(fresh().eval()) == last_step(fresh(dropout=nn.Dropout(0.0))) == "conv_tanh"
    changed = fresh()
    changed[2].p = 2.0
    with pytest.raises(ArgumentError, match="dropout needs p, the probability of a 0, from 0 to 1"):
        changed(small)


def test_one_sample_without_a_batch_is_dropped_alike() -> None:
    tw.manual_seed(1)
    model = convolution_with("tanh", 0.5)
    x = tw.from_numpy(random_array((2, 6, 7), 1, np.float32))
    tw.manual_seed(2)
    one = model(x)
    tw.manual_seed(2)
    assert_same(one, model(x[None])[0], **EXACT)
    assert one.shape == (8, 6, 7)


def test_what_dropout_gives_may_be_written_to() -> None:
    tw.manual_seed(1)
    model = convolution_with("tanh", 0.5)
    x = tw.from_numpy(random_array((2, 2, 6, 7), 1, np.float32))
    gradients = []
    for write in (False, True):
        tw.manual_seed(2)
        model.zero_grad()
        y = model(x)
        y = y.mul_(2.0) if write else y * 2.0
        y.sum().backward()
        gradients.append(model[0].weight.grad)
    assert_same(*gradients, **EXACT)
