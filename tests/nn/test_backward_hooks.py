"""Hooks on the way back: what they see, what they change, and what they leave alone."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
from tilewright import nn
from tilewright.errors import DtypeError, StateError


class Double(nn.Module):
    def forward(self, x: Any) -> Any:
        return x * 2.0


def test_hooks_see_the_gradients_at_both_ends() -> None:
    layer, seen = Double(), []
    layer.register_full_backward_pre_hook(lambda module, out: seen.append(("before", module, out)))
    handle = layer.register_full_backward_hook(lambda module, into, out: seen.append((into, module, out)))
    x = tw.tensor([1.0, 2.0], requires_grad=True)
    (layer(x) * tw.tensor([3.0, 5.0])).sum().backward()
    (first, module, (out,)), ((into,), again, (out_again,)) = seen
    assert first == "before" and module is again is layer
    assert out.tolist() == out_again.tolist() == [3.0, 5.0] and into.tolist() == x.grad.tolist() == [
        6.0,
        10.0,
    ]
    handle.remove()
    seen.clear()
    layer(x).sum().backward()
    assert [entry[0] for entry in seen] == ["before"]


def test_hooks_change_the_gradients_in_their_order() -> None:
    layer = Double()
    layer.register_full_backward_pre_hook(lambda module, out: (out[0] * 10,))
    layer.register_full_backward_pre_hook(lambda module, out: out[0] + 1, prepend=True)
    layer.register_full_backward_hook(lambda module, into, out: (into[0] + 0.5,))
    layer.register_full_backward_hook(lambda module, into, out: None)
    x = tw.tensor([1.0], requires_grad=True)
    layer(x).sum().backward()
    # ((1 + 1) · 10) · 2 + 0.5
    assert x.grad.tolist() == [40.5]


def test_inputs_that_need_no_gradient_are_told_so() -> None:
    class Mix(nn.Module):
        def forward(self, a: Any, b: Any, number: float, c: Any = None) -> Any:
            return (a * number, b, "text", c)

    layer, seen = Mix(), []
    layer.register_full_backward_hook(lambda module, into, out: seen.append((into, out)))
    a, c = tw.tensor([1.0], requires_grad=True), tw.tensor([4.0], requires_grad=True)
    indices = tw.tensor([3])
    y, whole, text, last = layer(a, indices, 2.0, c=c)
    assert text == "text" and whole.tolist() == [3]
    (y + last * 7).sum().backward()
    ((into, out),) = seen
    # Positional arguments only; the whole numbers, the number and the text have no gradient.
    assert [None if g is None else g.tolist() for g in into] == [[2.0], None, None]
    assert [None if g is None else g.tolist() for g in out] == [[1.0], None, None, [7.0]]
    assert a.grad.tolist() == [2.0] and c.grad.tolist() == [7.0]


def test_an_output_that_is_not_used_has_no_gradient() -> None:
    class Two(nn.Module):
        def forward(self, x: Any) -> Any:
            return [x * 2, x * 3]

    layer, seen = Two(), []
    layer.register_full_backward_hook(lambda module, into, out: seen.append((into, out)))
    x = tw.tensor([1.0], requires_grad=True)
    outputs = layer(x)
    assert type(outputs) is list
    outputs[1].sum().backward()
    (((into,), (none, one)),) = seen
    assert none is None and one.tolist() == [1.0] and into.tolist() == [3.0]


def test_named_tuples_stay_what_they_are() -> None:
    class Pair(NamedTuple):
        left: Any
        right: Any

    class Split(nn.Module):
        def forward(self, x: Any) -> Pair:
            return Pair(x, x * 2)

    layer = Split()
    layer.register_full_backward_hook(lambda *_: None)
    y = layer(tw.ones(1, requires_grad=True))
    assert type(y) is Pair and y.right.tolist() == [2.0]


def test_a_first_layers_hook_runs_without_a_gradient_of_its_input() -> None:
    layer, seen = nn.Linear(3, 2), []
    layer.register_full_backward_hook(lambda module, into, out: seen.append((into, out[0].shape)))
    layer(tw.ones(4, 3)).sum().backward()
    assert seen == [((None,), (4, 2))]
    assert layer.weight.grad is not None


def test_nothing_happens_where_there_are_no_gradients() -> None:
    layer, seen = nn.Linear(3, 2), []
    layer.register_full_backward_hook(lambda *_: seen.append(1))
    with tw.no_grad():
        y = layer(tw.ones(4, 3))
    assert not y.requires_grad
    layer.requires_grad_(False)
    assert not layer(tw.ones(4, 3)).requires_grad and not seen
    x = tw.ones(4, 3, requires_grad=True)
    layer(x).sum().backward()
    assert seen == [1] and x.grad is not None


def test_gradients_asked_for_alone_pass_the_hook() -> None:
    layer = Double()
    layer.register_full_backward_hook(lambda module, into, out: (into[0] * 100,))
    x = tw.tensor([1.0], requires_grad=True)
    (found,) = tw.autograd.grad(layer(x).sum(), x)
    assert found is not None and found.tolist() == [200.0]


def test_gradients_of_gradients_pass_too() -> None:
    layer = nn.Tanh()
    layer.register_full_backward_hook(lambda module, into, out: (into[0] * 3,))
    value = np.array([0.3, -1.2])
    x = tw.tensor(value, requires_grad=True)
    (first,) = tw.autograd.grad(layer(x).sum(), x, create_graph=True)
    assert first is not None
    first.sum().backward()
    t = np.tanh(value)
    reason = "float64: a few products"
    assert_same(first, 3 * (1 - t**2), rtol=1e-12, atol=0, reason=reason)
    # The second gradient starts inside the module, so that its hook has no part in it.
    assert_same(x.grad, -6 * t * (1 - t**2), rtol=1e-12, atol=0, reason=reason)


def test_a_module_used_twice_is_passed_twice() -> None:
    layer, seen = Double(), []
    layer.register_full_backward_hook(lambda module, into, out: seen.append(out[0].item()))
    x = tw.tensor([1.0], requires_grad=True)
    layer(layer(x)).sum().backward()
    assert seen == [1.0, 2.0] and x.grad.tolist() == [4.0]
    y = layer(x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert seen == [1.0, 2.0, 1.0, 1.0]


def test_the_values_are_the_same_bits_and_share_memory() -> None:
    plain = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten())
    watched = copy.deepcopy(plain)
    for module in watched.modules():
        module.register_full_backward_hook(lambda *_: None)
    x = np.random.default_rng(0).standard_normal((2, 1, 5, 5)).astype(np.float32)
    results = []
    for model in (plain, watched):
        mine = tw.tensor(x, requires_grad=True)
        y = model(mine)
        (y * y).sum().backward()
        results.append([y.detach(), mine.grad, *(p.grad for p in model.parameters())])
    for one, two in zip(*results, strict=True):
        assert one.numpy().tobytes() == two.numpy().tobytes()


def test_a_write_to_a_watched_output_is_noticed() -> None:
    layer = nn.Tanh()
    layer.register_full_backward_hook(lambda *_: None)
    y = layer(tw.ones(2, requires_grad=True))
    y += 1.0
    with pytest.raises(StateError, match="changed in place"):
        y.sum().backward()


@pytest.mark.parametrize(
    ("register", "message"),
    [
        (
            lambda layer: layer.register_full_backward_hook(lambda module, into, out: (into[0], into[0])),
            "A function of register_full_backward_hook returns None or 1 gradients, each a Tensor or None. "
            "Received: result=(tensor(",
        ),
        (
            lambda layer: layer.register_full_backward_pre_hook(lambda module, out: 3.0),
            "A function of register_full_backward_pre_hook returns None or 1 gradients, each a Tensor or "
            "None. Received: result=3.0.",
        ),
    ],
)
def test_what_is_no_gradient_is_refused(register: Callable[[Any], Any], message: str) -> None:
    layer = Double()
    register(layer)
    with pytest.raises(DtypeError) as error:
        layer(tw.ones(2, requires_grad=True)).sum().backward()
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    "name",
    [
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
    ],
)
def test_a_hook_is_a_function(name: str) -> None:
    layer = nn.ReLU()
    with pytest.raises(DtypeError) as error:
        getattr(layer, name)(3)
    assert str(error.value) == f"{name} needs a function. Received: hook=3."
    assert layer(tw.ones(1)).item() == 1


def test_a_forward_hook_may_be_called_even_after_an_error() -> None:
    class Fails(nn.Module):
        def forward(self, x: Any) -> Any:
            raise ZeroDivisionError

    layer, seen = Fails(), []
    layer.register_forward_hook(lambda module, args, y: seen.append(("always", args, y)), always_call=True)
    layer.register_forward_hook(lambda module, args, y: seen.append("only after success"))
    layer.register_forward_hook(lambda module, args, kwargs, y: 1 / 0, always_call=True, with_kwargs=True)
    with pytest.raises(ZeroDivisionError) as error:
        layer(7)
    assert seen == [("always", (7,), None)]
    assert error.traceback[-1].name == "forward"
    # Hooks that have been called already are not called again when a later one fails.
    working, calls = nn.Identity(), []
    working.register_forward_hook(lambda *_: calls.append(1), always_call=True)
    working.register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        working(1)
    assert calls == [1]


def test_a_pre_hook_with_keywords_returns_a_pair() -> None:
    layer = nn.Identity()
    layer.register_forward_pre_hook(lambda module, args, kwargs: args, with_kwargs=True)
    with pytest.raises(DtypeError) as error:
        layer(1)
    assert str(error.value) == (
        "A function of register_forward_pre_hook with with_kwargs returns None or a pair of a tuple and a "
        "dict. Received: result=(1,)."
    )


def test_a_convolution_with_a_backward_hook_is_not_joined_with_its_activation() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    seen: list[Any] = []
    model[0].register_full_backward_hook(lambda module, into, out: seen.append(out[0].shape))
    model[1].register_full_backward_pre_hook(lambda module, out: seen.append("activation"))
    model(tw.ones(1, 1, 5, 5)).sum().backward()
    assert seen == ["activation", (1, 2, 3, 3)]
