"""The tape: what it records, keeps, frees and refuses; hooks, threads, second gradients."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
from tilewright.autograd.tape import RULES, Context, Rule, apply, each_step, rule

EXACT = {"rtol": 0, "atol": 0, "reason": "small whole numbers"}


def leaf(*values: float) -> tw.Tensor:
    return tw.tensor([float(value) for value in values], requires_grad=True)


# --- what is recorded ------------------------------------------------------------------------------------


def test_leaves_and_results() -> None:
    x = leaf(1, 2)
    y = x * 3
    assert x.is_leaf and x.grad_fn is None and not y.is_leaf and y.requires_grad
    assert list(each_step((y + 1).grad_fn)) == ["add", "mul"] and list(each_step(None)) == []
    assert tw.zeros(2).is_leaf and not (tw.zeros(2) + 1).requires_grad
    assert not (y > 1).requires_grad and not y.detach().requires_grad and y.detach().is_leaf
    assert not y.argmax().requires_grad and y.max(0).values.requires_grad


def test_no_grad_and_its_kin() -> None:
    x = leaf(1)
    with tw.no_grad():
        assert not (x * 2).requires_grad and not tw.is_grad_enabled()
        with tw.enable_grad():
            assert (x * 2).requires_grad
        assert not tw.is_grad_enabled()
    assert tw.is_grad_enabled()

    @tw.no_grad()
    def called(v: tw.Tensor) -> tw.Tensor:
        return v * 2

    @tw.no_grad
    def bare(v: tw.Tensor) -> tw.Tensor:
        return v * 2

    assert not called(x).requires_grad and not bare(x).requires_grad and bare.__name__ == "bare"
    with tw.autograd.inference_mode():
        assert not tw.is_grad_enabled()
        with tw.autograd.inference_mode(False):
            assert tw.is_grad_enabled()
    with tw.set_grad_enabled(False):
        assert not tw.is_grad_enabled()
    assert tw.is_grad_enabled()
    tw.set_grad_enabled(False)
    assert not tw.is_grad_enabled()
    tw.set_grad_enabled(True)
    assert tw.is_grad_enabled()
    with pytest.raises(ZeroDivisionError), tw.no_grad():
        1 / 0  # noqa: B018
    assert tw.is_grad_enabled()


def test_each_thread_has_its_own_switch() -> None:
    seen: list[bool] = []
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with tw.no_grad():
            inside.set()
            leave.wait(10)
            seen.append(tw.is_grad_enabled())

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(10)
    seen.append(tw.is_grad_enabled())
    leave.set()
    thread.join()
    assert seen == [True, False]


def test_setting_requires_grad() -> None:
    x = tw.zeros(2)
    x.requires_grad = True
    assert x.requires_grad and x.requires_grad_(False) is x and not x.requires_grad
    y = leaf(1) * 2
    with pytest.raises(tw.StateError, match="requires_grad can be set to False for leaf tensors only"):
        y.requires_grad = False
    assert y.detach_() is y and y.is_leaf and not y.requires_grad


# --- backward --------------------------------------------------------------------------------------------


def test_gradients_add_up() -> None:
    x = leaf(1, 2)
    for expected in ([2, 4], [4, 8]):
        (x * x).sum().backward()
        assert x.grad.tolist() == expected
    x.grad.zero_()
    (x + x + x * x).sum().backward()
    assert x.grad.tolist() == [4, 6] and not x.grad.requires_grad
    x.grad = None
    assert x.grad is None


def test_a_leaf_owns_its_gradient() -> None:
    x, y = leaf(1, 2), leaf(3, 4)
    start = tw.ones(2)
    (x + y).backward(start)
    x.grad.add_(5)
    assert y.grad.tolist() == [1, 1] and start.tolist() == [1, 1]
    z = leaf(1, 2)
    z.backward(start)
    z.grad.zero_()
    assert start.tolist() == [1, 1]
    # Two more parts are added in place, never to what someone else holds.
    w = leaf(1, 2)
    (w + (w + w)).backward(start)
    assert w.grad.tolist() == [3, 3] and start.tolist() == [1, 1]
    a = leaf(1, 2)
    a.sum().backward()
    a.grad.mul_(2)
    assert a.grad.tolist() == [2, 2] and a.grad.numpy().flags.writeable


def test_backward_refusals() -> None:
    x = leaf(1, 2)
    with pytest.raises(
        tw.StateError, match=r"backward can only start by itself from a single number.*\(2,\)"
    ):
        (x * 2).backward()
    with pytest.raises(tw.StateError, match="backward needs a tensor that was computed from one with"):
        tw.zeros(1).backward()
    with tw.no_grad():
        y = (x * 2).sum()
    with pytest.raises(tw.StateError, match="outside no_grad"):
        y.backward()
    with pytest.raises(tw.ShapeError, match="backward needs a gradient of the shape of the tensor"):
        (x * 2).backward(tw.ones(3))
    with pytest.raises(tw.DtypeError, match="backward needs its gradient as a Tensor or a list"):
        (x * 2).backward([1.0, 1.0])
    (x * 2).backward(np.ones(2))
    assert x.grad.tolist() == [2, 2] and x.grad.dtype == tw.float32


def test_backward_twice() -> None:
    x = leaf(1, 2)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4, 8]
    with pytest.raises(tw.StateError) as caught:
        y.backward()
    assert str(caught.value) == (
        "backward needs the values kept by sum, which an earlier backward has freed. "
        "Pass retain_graph=True to the first backward."
    )
    z = x * x
    z.sum().backward()
    with pytest.raises(tw.StateError, match="kept by mul, which an earlier backward has freed"):
        (z * 2).sum().backward()
    with pytest.raises(tw.StateError, match="kept by mul"):
        tw.autograd.grad((z * 2).sum(), x)


def test_several_outputs() -> None:
    x = leaf(1, 2)
    y, z = x * 2, x * x
    tw.autograd.backward([y.sum(), z], [None, tw.tensor([1.0, 10.0])])
    assert x.grad.tolist() == [4, 42]
    with pytest.raises(tw.ArgumentError, match="backward needs one gradient for each tensor"):
        tw.autograd.backward([x.sum()], [None, None])
    with pytest.raises(tw.DtypeError, match="backward needs its tensors as a Tensor or a list"):
        tw.autograd.backward([1.0])
    with pytest.raises(tw.DtypeError, match="grad needs its inputs as a Tensor or a list"):
        tw.autograd.grad(x.sum(), [None])


def test_grad() -> None:
    x, y = leaf(1, 2), leaf(3, 4)
    z = x * y
    found = tw.autograd.grad(z.sum() + z.sum(), [x, z, y])
    assert [g.tolist() for g in found] == [[6, 8], [2, 2], [2, 4]]
    assert x.grad is None and y.grad is None
    z = x * y
    (only,) = tw.autograd.grad(z, x, tw.tensor([1.0, 0.0]))
    assert only.tolist() == [3, 0]
    with pytest.raises(
        tw.StateError, match=r"grad needs inputs that the outputs depend on.*allow_unused=True"
    ):
        tw.autograd.grad((x * 2).sum(), [x, y])
    assert tw.autograd.grad((x * 2).sum(), [x, y], allow_unused=True)[1] is None
    with pytest.raises(tw.StateError, match="grad needs inputs with requires_grad=True"):
        tw.autograd.grad((x * 2).sum(), tw.zeros(2))
    with pytest.raises(tw.ArgumentError, match="grad needs one grad_output for each output"):
        tw.autograd.grad([x.sum()], [x], [None, None])
    assert tw.autograd.grad(x.sum(), x)[0].tolist() == [1, 1]
    (itself,) = tw.autograd.grad(x, x, tw.ones(2))
    assert itself.tolist() == [1, 1]


def test_grad_runs_only_what_leads_to_its_inputs(temporary_rule: list[str]) -> None:
    ran: list[int] = []

    def backward(context: Context, gradient: tw.Tensor) -> tuple[Any, Any]:
        ran.append(sum(context.needs))
        return (gradient if context.needs[0] else None), (gradient if context.needs[1] else None)

    rule("counted", lambda context, x, y: x + y, backward)
    temporary_rule.append("counted")
    x, y = leaf(1), leaf(2)
    left, right = apply("counted", x, x), apply("counted", y, y)
    out = apply("counted", left, right)
    tw.autograd.grad(out, x, retain_graph=True)
    assert ran == [1, 2]
    out.backward()
    assert ran == [1, 2, 2, 2, 2] and x.grad.tolist() == [2] and y.grad.tolist() == [2]


def test_a_long_chain() -> None:
    x = leaf(1)
    y = x
    for _ in range(50_000):
        y = y + 1
    y.backward()
    assert x.grad.tolist() == [1]
    z = x
    for _ in range(50_000):
        z = z * 1
    del z, y


def test_a_wide_meeting() -> None:
    x = leaf(1, 1)
    sum([x * i for i in range(10)]).sum().backward()
    assert x.grad.tolist() == [45, 45]


def test_diamond() -> None:
    x = leaf(2)
    a = x * x
    b, c = a * 3, a.exp() * 0
    (b + c + a).backward()
    assert x.grad.tolist() == [16]


def test_second_and_third_gradients() -> None:
    x = tw.tensor(2.0, requires_grad=True, dtype=tw.float64)
    y = x**4
    for expected in (32.0, 48.0, 48.0, 24.0):
        (y,) = tw.autograd.grad(y, x, create_graph=True)
        assert_same(y, np.array(expected), rtol=1e-12, atol=0, reason="float64 powers")


def test_gradient_of_a_gradient_penalty() -> None:
    x, w = leaf(1, 2), leaf(3, 4)
    out = (x * w).tanh().sum()
    out.backward(create_graph=True)
    assert x.grad.requires_grad
    x.grad.square().sum().backward()
    assert w.grad is not None and np.isfinite(w.grad.detach().numpy()).all()


# --- hooks and retained gradients ------------------------------------------------------------------------


def test_hooks() -> None:
    x = leaf(1, 2)
    y = x * 2
    seen: list[Any] = []
    one = y.register_hook(lambda g: seen.append(g.tolist()))
    two = y.register_hook(lambda g: g * 10)
    leaf_hook = x.register_hook(lambda g: g + 1)
    (y * 3 + y).sum().backward(retain_graph=True)
    assert seen == [[4, 4]] and x.grad.tolist() == [81, 81]
    x.grad = None
    one.remove(), two.remove(), leaf_hook.remove(), leaf_hook.remove()
    y.sum().backward()
    assert x.grad.tolist() == [2, 2] and len(seen) == 1


def test_hooks_see_the_whole_gradient_of_a_leaf_once() -> None:
    x = leaf(1)
    seen: list[float] = []
    x.register_hook(lambda g: seen.append(g.item()))
    (x * 2 + x * 3).backward()
    assert seen == [5]
    assert tw.autograd.grad(x * 7, x)[0].item() == 7 and seen == [5, 7]


def test_retain_grad() -> None:
    x = leaf(1, 2)
    y = x * 2
    assert not y.retains_grad
    y.retain_grad()
    x.retain_grad()
    assert y.retains_grad and not x.retains_grad
    (y * y).sum().backward()
    assert y.grad.tolist() == [4, 8] and x.grad.tolist() == [8, 16]


# --- memory ----------------------------------------------------------------------------------------------


def test_what_isnt_needed_isnt_kept() -> None:
    x = tw.zeros(5, requires_grad=True)
    gc.disable()
    try:
        a = x * 2.0
        b = a + 1
        c = b.exp()
        d = c.sum()
        watched = [weakref.ref(t._data) for t in (a, b, c)]
        del a, b, c
        # exp keeps its output, nothing else is read by any backward.
        assert [w() is None for w in watched] == [True, True, False]
        d.backward()
        assert watched[2]() is None
    finally:
        gc.enable()


def test_no_circles() -> None:
    gc.collect()
    gc.disable()
    try:
        x = tw.ones(4, requires_grad=True)
        y = x.exp() * 2
        y[0] = 2 * y[1]
        y.add_(y.exp())
        view = y[1:]
        view.mul_(2.0)
        kept = [weakref.ref(t) for t in (y, view)] + [weakref.ref(y.grad_fn)]
        y.sum().backward(retain_graph=True)
        z = y * y
        y.add_(z)
        kept += [weakref.ref(z), weakref.ref(z.grad_fn)]
        del y, z, view
        assert [w() for w in kept] == [None] * 5
    finally:
        gc.enable()


# --- rules -----------------------------------------------------------------------------------------------


@pytest.fixture
def temporary_rule() -> Iterator[list[str]]:
    names: list[str] = []
    yield names
    for name in names:
        del RULES[name]


def test_rules_have_one_name_each() -> None:
    with pytest.raises(tw.StateError, match="The operation add already stands in the table of rules"):
        rule("add", np.add)
    assert repr(RULES["add"]) == "Rule('add')" and isinstance(RULES["add"], Rule)


def test_a_rule_with_two_outputs(temporary_rule: list[str]) -> None:
    def backward(context: Context, first: Any, second: Any) -> Any:
        assert first is None or second is None or first.shape == second.shape
        return (first * 2 if first is not None else 0) + (second * 3 if second is not None else 0)

    rule("two", lambda context, x, *, k: (x * 2, x * k), backward, keeps=())
    temporary_rule.append("two")
    x = leaf(1, 2)
    a, b = apply("two", x, k=3)
    a.sum().backward(retain_graph=True)
    (a * b.detach()).sum().backward(retain_graph=True)
    b.sum().backward()
    assert x.grad.tolist() == [2 + 6 + 3, 2 + 12 + 3]
    assert type(apply("two", np.ones(2), k=1)[0]) is np.ndarray


def test_integer_outputs_carry_no_gradient(temporary_rule: list[str]) -> None:
    rule("ranked", lambda context, x: (x * 2, np.argsort(x)), lambda context, g, none: g * 2)
    temporary_rule.append("ranked")
    values, order = apply("ranked", leaf(2, 1))
    assert values.requires_grad and not order.requires_grad


def test_optional_inputs(temporary_rule: list[str]) -> None:
    def forward(context: Context, x: Any, bias: Any) -> Any:
        context.save(with_bias=bias is not None)
        return x if bias is None else x + bias

    def backward(context: Context, g: tw.Tensor) -> Any:
        assert context.saved["with_bias"] == context.needs[1]
        return g, (g if context.needs[1] else None)

    rule("biased", forward, backward)
    temporary_rule.append("biased")
    x = leaf(1, 2)
    apply("biased", x, None).sum().backward()
    b = leaf(3, 4)
    apply("biased", x, b).sum().backward()
    assert x.grad.tolist() == [2, 2] and b.grad.tolist() == [1, 1]


def test_what_a_rule_did_wrong_is_said(temporary_rule: list[str]) -> None:
    rule("wrong_shape", lambda context, x: x * 2, lambda context, g: g.sum())
    rule("wrong_count", lambda context, x, y: x + y, lambda context, g: g)
    rule("not_kept", lambda context, x: x * 2, lambda context, g: g * context.input(0), keeps=())
    temporary_rule += ["wrong_shape", "wrong_count", "not_kept"]
    x = leaf(1, 2)
    with pytest.raises(
        tw.StateError, match=r"The backward of wrong_shape gives input 0 a gradient of .* \(2,\)"
    ):
        apply("wrong_shape", x).sum().backward()
    with pytest.raises(
        tw.StateError, match="The backward of wrong_count gives one gradient for each of 2 inputs"
    ):
        apply("wrong_count", x, x).sum().backward()
    with pytest.raises(tw.StateError, match="Input 0 of this operation is not a Tensor that its rule keeps"):
        apply("not_kept", x).sum().backward()


def test_saved_arrays_of_a_careless_rule_are_watched(temporary_rule: list[str]) -> None:
    def forward(context: Context, x: Any) -> Any:
        y = np.exp(x)
        context.save(x=x, y=y)
        return y

    def backward(context: Context, g: tw.Tensor) -> Any:
        return g * context.saved["y"]

    rule("careless", forward, backward)
    temporary_rule.append("careless")
    x = leaf(1, 2)
    y = x * 1
    z = apply("careless", y)
    y.add_(1)
    with pytest.raises(tw.StateError, match="an input of careless that was changed in place"):
        z.sum().backward()
    y = x * 1
    z = apply("careless", y)
    z.add_(1)
    with pytest.raises(tw.StateError, match="an output of careless that was changed in place"):
        z.sum().backward()


def test_a_failed_backward_leaves_the_switch_as_it_was(temporary_rule: list[str]) -> None:
    def fail(context: Context, g: tw.Tensor) -> Any:
        raise ZeroDivisionError

    rule("fails", lambda context, x: x * 2, fail)
    temporary_rule.append("fails")
    with pytest.raises(ZeroDivisionError):
        apply("fails", leaf(1)).backward()
    assert tw.is_grad_enabled()
