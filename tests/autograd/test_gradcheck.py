"""The gradient check finds wrong gradients, and says where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright.autograd import GradcheckError, gradcheck, gradgradcheck
from tilewright.autograd.tape import RULES, Context, apply, rule


def drawn(*shape: int) -> tw.Tensor:
    return tw.tensor(np.random.default_rng(1).uniform(0.5, 1.5, shape), requires_grad=True)


@pytest.fixture
def wrong_rules() -> Iterator[None]:
    def one_element(context: Context, g: tw.Tensor) -> Any:
        wrong = np.full(g.shape, 2.0)
        wrong[1, 2] = 2.5
        return g * wrong

    rule("one_element_wrong", lambda context, x: x * 2, one_element)
    rule(
        "second_wrong",
        lambda context, x: x * x,
        # The right values, but detached: no second gradient.
        lambda context, g: g * context.input(0).detach() * 2.0,
    )
    rule("nan_wrong", lambda context, x: x * 2, lambda context, g: g * float("nan"))
    yield
    for name in ("one_element_wrong", "second_wrong", "nan_wrong"):
        del RULES[name]


def test_right_gradients_pass() -> None:
    assert gradcheck(lambda x, y: (x * y).tanh().sum(1), (drawn(2, 3), drawn(3)))
    assert gradgradcheck(lambda x, y: (x * y).tanh().sum(1), (drawn(2, 3), drawn(3)))
    assert gradcheck(lambda x: (x.exp(), x.argmax(), x.sum()), drawn(3))
    assert gradcheck(lambda x, k: x * k, (drawn(3), 3.0))
    assert gradcheck(lambda x: tw.zeros(2, dtype=tw.float64), drawn(3))
    assert gradgradcheck(lambda x: x * x * x, drawn(2), [tw.ones(2, dtype=tw.float64)])
    assert gradcheck(lambda x: x.sum(), tw.zeros(0, dtype=tw.float64, requires_grad=True))


@pytest.mark.usefixtures("wrong_rules")
def test_one_wrong_element_is_found() -> None:
    x = drawn(2, 3)
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda k, x: apply("one_element_wrong", x) + k, (drawn(1), x))
    text = str(caught.value)
    assert text.startswith("The gradient of output 0 at (1, 2) with respect to input 1 at (1, 2) must be its")
    assert "Received: 2.5, and 1 of 36 derivatives disagree." in text
    assert isinstance(caught.value, AssertionError)
    assert gradcheck(lambda x: apply("one_element_wrong", x), x, raise_exception=False) is False


@pytest.mark.usefixtures("wrong_rules")
def test_a_missing_second_gradient_is_found() -> None:
    assert gradcheck(lambda x: apply("second_wrong", x), drawn(3))
    with pytest.raises(GradcheckError, match="must be its difference quotient"):
        gradgradcheck(lambda x: apply("second_wrong", x), drawn(3))


@pytest.mark.usefixtures("wrong_rules")
def test_nan_is_found() -> None:
    with pytest.raises(GradcheckError, match="Received: nan"):
        gradcheck(lambda x: apply("nan_wrong", x), drawn(2))


def test_a_detached_output_is_found() -> None:
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: x.detach() * 2, drawn(2))


def test_refusals() -> None:
    with pytest.raises(tw.DtypeError, match="gradcheck needs an input that requires gradients"):
        gradcheck(lambda x: x, tw.zeros(2))
    with pytest.raises(tw.DtypeError, match=r"gradcheck compares in float64.*input 0"):
        gradcheck(lambda x: x, tw.zeros(2, requires_grad=True))
    with pytest.raises(tw.DtypeError, match="gradgradcheck compares in float64"):
        gradgradcheck(lambda x: x, tw.zeros(2, requires_grad=True))


def test_inputs_are_left_alone() -> None:
    x = drawn(3)
    before = x.detach().numpy().copy()
    gradcheck(lambda x: x * x, x)
    gradgradcheck(lambda x: x * x, x)
    assert x.grad is None and (x.detach().numpy() == before).all()
