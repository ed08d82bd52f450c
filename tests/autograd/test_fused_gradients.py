"""A convolution and its activation as one step: gradients, their gradients, and what the tape keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import awkward, conv_dims, random_array
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tilewright as tw
from tilewright.autograd.gradcheck import gradcheck, gradgradcheck
from tilewright.autograd.rules_fused import WITH_GRADIENT
from tilewright.autograd.tape import RULES, apply, each_step
from tilewright.errors import StateError
from tilewright.geometry import ConvDims
from tilewright.op.fused import ACTIVATIONS

F = tw.functional

SLOPE = 0.25
DIMS = ConvDims.of((2, 3, 7, 6), (18, 3, 3, 3), padding=1, stride=(1, 2))


def attributes(activation: str, dims: ConvDims) -> dict[str, Any]:
    more = {"slope": SLOPE} if activation == "leaky_relu" else {}
    return {"dims": dims, "op": "conv", **more}


def fused(activation: str, dims: ConvDims, *operands: Any) -> Any:
    return apply(f"conv_{activation}", *operands, **attributes(activation, dims))


def in_two_steps(activation: str, dims: ConvDims, *operands: Any) -> Any:
    y = apply("conv", *operands, dims=dims, op="conv")
    return F.leaky_relu(y, SLOPE) if activation == "leaky_relu" else getattr(F, activation)(y)


def leaves(dims: ConvDims, dtype: Any = np.float64, channels_last: bool = False) -> tuple[Any, Any, Any]:
    x = random_array(dims.input_shape, 1, dtype)
    arrays = (
        awkward(x, "channels-last") if channels_last else x,
        # Small sums, so that the smooth curves are not flat there.
        random_array(dims.weight_shape, 2, dtype) * dtype(1 / np.sqrt(max(dims.reduction, 1))),
        random_array((dims.out_channels,), 3, dtype),
    )
    return tuple(tw.from_numpy(array).requires_grad_() for array in arrays)  # type: ignore[return-value]


def tolerance(activation: str, dtype: Any) -> dict[str, Any]:
    if activation in ("relu", "leaky_relu"):
        return {"rtol": 0, "atol": 0, "reason": "the same arrays go through the same steps"}
    eps = float(np.finfo(dtype).eps)
    return {
        "rtol": 64 * eps,
        "atol": 64 * eps,
        "reason": "activations a few roundings apart, summed over some hundred places",
    }


def test_every_activation_has_a_rule() -> None:
    assert {f"conv_{name}" for name in ACTIVATIONS if name != "none"} <= RULES.keys()
    with_gradient = {name for name in ACTIVATIONS[1:] if RULES[f"conv_{name}"].backward is not None}
    assert with_gradient == set(WITH_GRADIENT) == {"relu", "leaky_relu", "tanh", "sigmoid"}


@settings(max_examples=40)
@given(conv_dims(), st.sampled_from(WITH_GRADIENT))
def test_gradients_by_finite_differences(dims: ConvDims, activation: str) -> None:
    assume(np.prod(dims.input_shape) <= 300 and np.prod(dims.output_shape) <= 300)
    assert gradcheck(lambda x, w, b: fused(activation, dims, x, w, b), leaves(dims))


@settings(max_examples=16)
@given(conv_dims(ranks=(1, 2)), st.sampled_from(WITH_GRADIENT))
def test_gradients_of_gradients_by_finite_differences(dims: ConvDims, activation: str) -> None:
    assume(np.prod(dims.input_shape) <= 60 and np.prod(dims.output_shape) <= 60)
    assert gradgradcheck(lambda x, w, b: fused(activation, dims, x, w, b), leaves(dims))


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", WITH_GRADIENT)
def test_one_step_and_two(activation: str, dtype: Any, channels_last: bool) -> None:
    g = tw.from_numpy(random_array(DIMS.output_shape, 4, dtype))
    found = []
    for way in (fused, in_two_steps):
        operands = leaves(DIMS, dtype, channels_last)
        y = way(activation, DIMS, *operands)
        steps = list(each_step(y._node))
        y.backward(g)
        found.append((steps, y.detach(), *(x.grad for x in operands)))
    (ours, *mine), (theirs, *expected) = found
    assert ours == [f"conv_{activation}"] and theirs == [activation, "conv"]
    for a, b in zip(mine, expected, strict=True):
        assert_same(a, b, **tolerance(activation, dtype))


@pytest.mark.parametrize("activation", WITH_GRADIENT)
def test_second_and_third_derivatives_as_in_two_steps(activation: str) -> None:
    found = []
    for way in (fused, in_two_steps):
        operands = leaves(DIMS)
        y = way(activation, DIMS, *operands)
        first = tw.autograd.grad((y * y * y).sum(), operands, create_graph=True)
        second = tw.autograd.grad(sum((g * g).sum() for g in first), operands, create_graph=True)
        third = tw.autograd.grad(sum((g * g).sum() for g in second), operands)
        found.append([*first, *second, *third])
    for a, b in zip(*found, strict=True):
        largest = float(b.detach().abs().max())
        assert_same(
            a.detach(),
            b.detach(),
            rtol=1e-11,
            atol=1e-12 * largest,
            reason="float64: sums of sums over some hundred places, of numbers up to the largest",
        )


@pytest.mark.parametrize("activation", ["silu", "gelu"])
def test_without_a_gradient_nothing_is_recorded(activation: str) -> None:
    y = fused(activation, DIMS, *leaves(DIMS))
    assert not y.requires_grad
    expected = in_two_steps(activation, DIMS, *leaves(DIMS)).detach()
    assert_same(y, expected, rtol=1e-14, atol=1e-15, reason="float64, a few roundings apart")


def test_a_leaky_relus_output_may_be_written_to() -> None:
    """As behind a leaky ReLU on its own, which keeps its input and not its output."""
    found = []
    for way in (fused, in_two_steps):
        operands = leaves(DIMS)
        y = way("leaky_relu", DIMS, *operands)
        y += 1.0
        (y * y).sum().backward()
        found.append([x.grad for x in operands])
    for a, b in zip(*found, strict=True):
        assert_same(a, b, rtol=0, atol=0, reason="the same arrays go through the same steps")


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_the_others_say_that_theirs_was(activation: str) -> None:
    y = fused(activation, DIMS, *leaves(DIMS))
    y += 1.0
    with pytest.raises(StateError) as error:
        y.sum().backward()
    assert str(error.value) == (
        f"backward needs an output of conv_{activation} that was changed in place after it was used. "
        f"Received: a tensor of shape {DIMS.output_shape} at version 1, used at 0. "
        "Work on a copy: x = x.clone()."
    )


def test_gradients_are_only_computed_where_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from tilewright.autograd import rules_window

    def refuse(*arguments: Any, **named: Any) -> Any:
        raise AssertionError("a gradient was computed though nobody asked")

    x, w, b = leaves(DIMS)
    y = fused("relu", DIMS, x.detach(), w, b)
    # Nobody needs the weight again: it may be written to.
    with tw.no_grad():
        w *= 2.0
    monkeypatch.setattr(rules_window.conv_op, "conv_data_gradient", refuse)
    y.sum().backward()
    assert w.grad is not None and b.grad is not None


def test_signs_are_only_kept_for_a_backward(monkeypatch: pytest.MonkeyPatch) -> None:
    from tilewright.autograd import rules_fused

    def refuse(*arguments: Any) -> Any:
        raise AssertionError("a pass over the result for a backward that never comes")

    monkeypatch.setattr(rules_fused.fused_op, "positive", refuse)
    with tw.no_grad():
        y = fused("leaky_relu", DIMS, *leaves(DIMS))
    assert not y.requires_grad
    with pytest.raises(AssertionError, match="never comes"):
        fused("leaky_relu", DIMS, *leaves(DIMS))


def test_not_a_number_passes_its_gradient_on() -> None:
    dims = ConvDims.of((1, 1, 20), (16, 1, 1))
    values = np.linspace(-2.0, 2.0, 20).reshape(1, 1, 20)
    values[0, 0, 3] = np.nan
    for activation in WITH_GRADIENT:
        found = []
        for way in (fused, in_two_steps):
            x = tw.tensor(values, requires_grad=True)
            way(activation, dims, x, tw.ones(16, 1, 1, dtype=tw.float64), None).sum().backward()
            found.append(x.grad)
        assert_same(*found, rtol=1e-13, atol=1e-14, reason="float64, a few roundings apart")
