"""Every operation against PyTorch: values, dtypes, gradients and second gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw

torch = pytest.importorskip("torch", reason="compares with PyTorch, which isn't installed")

REASON = "float64: the two differ in the order of summation and in the last bit of exp, log and kin"
CLOSE = {"rtol": 1e-10, "atol": 1e-10, "reason": REASON}


class Case(NamedTuple):
    """One function, written once for both libraries, and the shapes of its float inputs."""

    name: str
    function: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    low: float = -2.0
    high: float = 2.0
    on_arrays: bool = False


def both(name: str, *shapes: tuple[int, ...], low: float = -2.0, high: float = 2.0, **options: Any) -> Case:
    """A function that has one name and one signature in both libraries."""
    return Case(name, lambda t, *x: getattr(t, name)(*x, **options), shapes, low, high, True)


def case(
    name: str, function: Callable[..., Any], *shapes: tuple[int, ...], low: float = -2.0, high: float = 2.0
) -> Case:
    return Case(name, function, shapes, low, high)


def index(t: Any, values: Any) -> Any:
    return t.tensor(values)


PAIRS = [((3, 4), (3, 4)), ((3, 4), (4,)), ((2, 1, 4), (3, 1)), ((), (2, 3)), ((2, 3), ()), ((0, 3), (1, 3))]

CASES = [
    *(both(name, *shapes) for name in ("add", "sub", "mul", "maximum", "minimum") for shapes in PAIRS),
    *(both("div", *shapes, low=0.5) for shapes in PAIRS),
    *(both("remainder", *shapes, low=0.5, high=3.0) for shapes in PAIRS[:3]),
    *(both("pow", *shapes, low=0.5) for shapes in PAIRS),
    *(
        case(f"pow {p}", lambda t, x, p=p: x**p, (3, 4), low=0.5)
        for p in (0, 1, 2, 3, 0.5, -1, -2, 2.5, -0.5)
    ),
    *(case(f"pow {p} of any sign", lambda t, x, p=p: x**p, (3, 4)) for p in (0, 1, 2, 3, -1, 4)),
    case("rpow", lambda t, x: 2.0**x, (3, 4)),
    case("scalars", lambda t, x: 2 - (3 * x + 1) / 4 - 1 / (x + 5), (3, 4)),
    case("alpha", lambda t, x, y: t.add(x, y, alpha=2) - t.sub(x, y, alpha=0.5), (3, 4), (4,)),
    case("same twice", lambda t, x: x * x + x / (x + 3) - x, (3,)),
    *(
        both(name, (3, 4))
        for name in (
            *("neg", "abs", "exp", "expm1", "square", "sin", "cos", "tanh", "sigmoid", "relu"),
            *("sign", "floor", "ceil", "round", "trunc", "sinh", "cosh"),
        )
    ),
    *(
        both(name, (3, 4), low=0.1)
        for name in ("log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal")
    ),
    *(both(name, (3, 4), low=-0.9, high=0.9) for name in ("asin", "acos", "atan", "tan")),
    case("clamp", lambda t, x: t.clamp(x, -0.5, 0.7), (3, 4)),
    case("clamp min", lambda t, x: x.clamp(min=0.1), (3, 4)),
    case("clamp max", lambda t, x: x.clamp(max=0.1), (3, 4)),
    case("clamp tensors", lambda t, x, a, b: t.clamp(x, a - 1, b + 1), (3, 4), (4,), (3, 1)),
    case("clamp crossed", lambda t, x, a, b: t.clamp(x, a, b), (5, 4), (4,), (5, 1)),
    case("where", lambda t, x, y: t.where(x > y, x, y * 2), (3, 4), (4,)),
    case("where number", lambda t, x: t.where(x > 0, x, 0.5), (3, 4)),
    case("masked_fill", lambda t, x: x.masked_fill(x > 0, -1.5), (3, 4)),
    # products
    both("matmul", (3, 4), (4, 5)),
    both("matmul", (4,), (4,)),
    both("matmul", (3, 4), (4,)),
    both("matmul", (4,), (4, 5)),
    both("matmul", (2, 3, 4), (4, 5)),
    both("matmul", (2, 3, 4), (2, 4, 5)),
    both("matmul", (3, 4), (2, 4, 5)),
    both("matmul", (2, 1, 3, 4), (5, 4, 2)),
    both("matmul", (4,), (2, 4, 5)),
    both("matmul", (2, 3, 4), (4,)),
    both("matmul", (130, 3), (3, 2)),
    both("matmul", (0, 3), (3, 2)),
    both("matmul", (2, 0), (0, 3)),
    both("mm", (3, 4), (4, 5)),
    both("bmm", (2, 3, 4), (2, 4, 5)),
    both("dot", (4,), (4,)),
    # reductions
    *(
        case(f"{name} {options}", lambda t, x, n=name, o=options: getattr(x, n)(**o), (2, 3, 4))
        for name in ("sum", "mean", "amax", "amin", "var", "std", "logsumexp", "norm")
        for options in (
            {"dim": 1},
            {"dim": -1, "keepdim": True},
            {"dim": (0, 2)},
            {"dim": (0, -1), "keepdim": True},
            {"dim": (0, 1, 2)},
        )
        # PyTorch takes the norm of a vector or a matrix only.
        if name != "norm" or options["dim"] != (0, 1, 2)
    ),
    *(both(name, (2, 3)) for name in ("sum", "mean", "var", "std", "prod", "max", "min", "norm")),
    *(both(name, ()) for name in ("sum", "mean", "prod", "max", "min")),
    case("prod dim", lambda t, x: x.prod(1), (2, 3, 4)),
    case("prod keepdim", lambda t, x: x.prod(-1, keepdim=True), (2, 3)),
    case(
        "prod with zeros", lambda t, x: (x * t.tensor([[0.0, 1, 2], [0, 0, 3]]).to(x.dtype)).prod(1), (2, 3)
    ),
    case("prod of all with a zero", lambda t, x: (x * t.tensor([0.0, 1, 2]).to(x.dtype)).prod(), (2, 3)),
    case("var correction", lambda t, x: x.var(1, correction=0), (2, 3)),
    case("var biased", lambda t, x: x.var(1, unbiased=False), (2, 3)),
    case("var of all", lambda t, x: x.var(unbiased=False), (2, 3)),
    *(
        case(f"norm {p}", lambda t, x, p=p: t.norm(x, p, 1), (3, 4))
        for p in (1, 2, 3, 0.5, float("inf"), float("-inf"), "fro")
    ),
    case("amax ties", lambda t, x: (x * 0).amax(1), (2, 3)),
    case("max ties", lambda t, x: (x * 0).max(), (2, 3)),
    case("max dim", lambda t, x: x.max(1).values, (3, 4)),
    case("min dim", lambda t, x: x.min(dim=0, keepdim=True)[0], (3, 4)),
    case("max other", lambda t, x, y: t.max(x, y), (3, 4), (4,)),
    case("softmax", lambda t, x: x.softmax(1), (3, 4)),
    case("log_softmax", lambda t, x: x.log_softmax(-1), (3, 4)),
    case("cumsum", lambda t, x: x.cumsum(1), (3, 4)),
    case("sort", lambda t, x: x.sort(1).values, (3, 4)),
    case("sort descending", lambda t, x: t.sort(x, 0, descending=True)[0], (3, 4)),
    case("topk", lambda t, x: x.topk(2, 1).values, (3, 4)),
    case("topk smallest", lambda t, x: x.topk(3, 0, largest=False)[0], (3, 4)),
    # shape
    case("reshape", lambda t, x: x.reshape(4, -1), (2, 3, 4)),
    case("reshape copy", lambda t, x: x.transpose(0, 1).reshape(4, 6), (2, 3, 4)),
    case("view", lambda t, x: x.view(-1), (2, 3, 4)),
    case("flatten", lambda t, x: x.flatten(1), (2, 3, 4)),
    case("flatten one", lambda t, x: t.flatten(x), ()),
    case("unflatten", lambda t, x: x.unflatten(1, (2, -1)), (2, 6)),
    case("squeeze", lambda t, x: x.squeeze(), (1, 3, 1)),
    case("squeeze dim", lambda t, x: x.squeeze(0).squeeze(0), (1, 3, 1)),
    case("unsqueeze", lambda t, x: x.unsqueeze(-1).unsqueeze(0), (2, 3)),
    case("permute", lambda t, x: x.permute(2, 0, -2), (2, 3, 4)),
    case("transpose", lambda t, x: x.transpose(0, -1), (2, 3, 4)),
    case("t", lambda t, x: x.t() + x.T, (2, 3)),
    case("mT", lambda t, x: x.mT, (2, 3, 4)),
    case("movedim", lambda t, x: t.movedim(x, (0, 1), (-1, 0)), (2, 3, 4)),
    case("expand", lambda t, x: x.expand(4, -1, 3), (2, 1)),
    case("expand_as", lambda t, x, y: x.expand_as(y), (1, 3), (2, 3)),
    case("broadcast_to", lambda t, x: t.broadcast_to(x, (2, 2, 3)), (2, 1)),
    case("repeat", lambda t, x: x.repeat(2, 1, 3), (2, 3)),
    case("tile", lambda t, x: t.tile(x, (2,)), (2, 3)),
    case("repeat_interleave", lambda t, x: x.repeat_interleave(2, 1), (2, 3)),
    case("flip", lambda t, x: t.flip(x, (0, 1)) + x.flip(0), (2, 3)),
    case("roll", lambda t, x: t.roll(x, 1, 0) + t.roll(x, (1, -2), (0, 1)) + t.roll(x, 2), (2, 3)),
    case("contiguous", lambda t, x: x.t().contiguous().view(-1), (2, 3)),
    case("clone", lambda t, x: x.clone(), (2, 3)),
    case("cat", lambda t, x, y: t.cat([x, y, x], 1), (2, 3), (2, 1)),
    case("stack", lambda t, x, y: t.stack([x, y], -1), (2, 3), (2, 3)),
    case("hstack", lambda t, x, y: t.hstack([x, y]), (3,), (2,)),
    case("vstack", lambda t, x, y: t.vstack([x, y]), (3,), (2, 3)),
    case("chunk", lambda t, x: x.chunk(3, 1)[0] * 2 + x.chunk(3, 1)[1], (2, 7)),
    case("split", lambda t, x: x.split([1, 2, 4], 1)[2] * x.split(4, 1)[0], (2, 7)),
    case("unbind", lambda t, x: x.unbind(1)[2] * x.unbind(1)[0], (2, 3)),
    case("narrow", lambda t, x: x.narrow(1, 1, 2), (2, 4)),
    case("select", lambda t, x: x.select(1, -1), (2, 4)),
    # indexing
    case("int", lambda t, x: x[1], (3, 4)),
    case("ints", lambda t, x: x[1, -1], (3, 4)),
    case("slice", lambda t, x: x[1:, ::2], (3, 5)),
    case("none and ellipsis", lambda t, x: x[None, ..., 1:3, None], (2, 3, 4)),
    case("mask", lambda t, x: x[x > 0], (3, 4)),
    case("row mask", lambda t, x: x[index(t, [True, False, True])], (3, 4)),
    case("list", lambda t, x: x[[0, 2, 0]], (3, 4)),
    case("array", lambda t, x: x[index(t, [[0, 2], [2, 2]])], (3, 4)),
    case("two arrays", lambda t, x: x[index(t, [0, 2]), index(t, [1, 1])], (3, 4)),
    case("int beside an array", lambda t, x: x[0, :, index(t, [1, 0, 1])], (2, 3, 4)),
    case("array beside an int", lambda t, x: x[index(t, [1, 0, 1]), :, 0], (2, 3, 4)),
    case("arrays apart", lambda t, x: x[index(t, [1, 0]), :, index(t, [2, 3])], (2, 3, 4)),
    case("slice and array", lambda t, x: x[1:, index(t, [0, 0, 3])], (3, 4)),
    case("mask and int", lambda t, x: x[index(t, [True, False]), 1], (2, 3)),
    case("tensor number", lambda t, x: x[index(t, 1)], (2, 3)),
    case("index_select", lambda t, x: t.index_select(x, 1, index(t, [2, 0, 0])), (2, 3)),
    case("gather", lambda t, x: t.gather(x, 1, index(t, [[0, 0, 2], [1, 2, 0]])), (2, 3)),
    case("gather smaller", lambda t, x: x.gather(0, index(t, [[1, 0]])), (2, 3)),
    case(
        "scatter_add",
        lambda t, x, y: x.scatter_add(0, index(t, [[0, 1, 0], [0, 0, 2]]), y),
        (3, 3),
        (2, 3),
    ),
    case("scatter_add part", lambda t, x, y: x.scatter_add(1, index(t, [[0, 1]]), y), (3, 3), (1, 2)),
    case("scatter", lambda t, x, y: x.scatter(1, index(t, [[0, 1], [2, 0]]), y), (3, 3), (2, 2)),
    case("scatter number", lambda t, x: x.scatter(1, index(t, [[0], [2]]), 1.5), (3, 3)),
    case("masked_select", lambda t, x: t.masked_select(x, x > 0), (3, 4)),
    case("tril", lambda t, x: t.tril(x) + t.triu(x, 1) * 2, (3, 4)),
    case("diagonal", lambda t, x: t.diagonal(x) * 2, (3, 4)),
    case("cast there and back", lambda t, x: x.to(t.float64).double() * 2, (3, 4)),
]


def drawn(case: Case) -> list[np.ndarray]:
    source = np.random.default_rng(sum(map(ord, case.name)))
    return [source.uniform(case.low, case.high, shape) for shape in case.shapes]


def weights(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(5).uniform(0.5, 1.5, shape)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.shapes}")
def test_values_and_gradients(case: Case) -> None:
    arrays = drawn(case)
    ours = [tw.tensor(x, requires_grad=True) for x in arrays]
    theirs = [torch.tensor(x, requires_grad=True) for x in arrays]
    out, expected = case.function(tw, *ours), case.function(torch, *theirs)
    assert_same(out, expected, **CLOSE)
    assert out.requires_grad == expected.requires_grad
    if not expected.requires_grad:
        return
    start = weights(out.shape)
    found = tw.autograd.grad(out, ours, tw.tensor(start), create_graph=True, allow_unused=True)
    wanted = torch.autograd.grad(
        expected, theirs, torch.tensor(start), create_graph=True, allow_unused=True, materialize_grads=False
    )
    for mine, other in zip(found, wanted, strict=True):
        assert (mine is None) == (other is None)
        if mine is not None:
            assert_same(mine, other, **CLOSE)
    again = sum_of(found, weights)
    again_expected = sum_of(wanted, weights)
    if not hasattr(again_expected, "requires_grad") or not again_expected.requires_grad:
        return
    second = tw.autograd.grad(again, ours, allow_unused=True) if again.requires_grad else [None] * len(ours)
    second_expected = torch.autograd.grad(again_expected, theirs, allow_unused=True)
    for mine, other, source in zip(second, second_expected, arrays, strict=True):
        # A second gradient that is 0 everywhere may be missing on either side.
        mine = tw.tensor(np.zeros_like(source)) if mine is None else mine
        other = torch.zeros(source.shape, dtype=torch.float64) if other is None else other
        assert_same(mine, other, **CLOSE)


def sum_of(gradients: Any, weights: Any) -> Any:
    total: Any = 0.0
    for gradient in gradients:
        if gradient is not None:
            scale = weights(tuple(gradient.shape))
            scale = torch.tensor(scale) if isinstance(gradient, torch.Tensor) else tw.tensor(scale)
            total = total + (gradient * gradient * scale).sum()
    return total


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.shapes}")
def test_float32_in_float32_out(case: Case) -> None:
    arrays = [x.astype(np.float32) for x in drawn(case)]
    ours = [tw.tensor(x, requires_grad=True) for x in arrays]
    out = case.function(tw, *ours)
    expected = case.function(torch, *[torch.tensor(x) for x in arrays])
    # 2e-5: 60 roundings of 2^-24, more than any of these takes, doubled by the cancellation in var and norm.
    assert_same(out, expected, rtol=2e-5, atol=2e-5, reason="float32 rounding of up to 24 terms")
    if out.requires_grad:
        out.sum().backward()
        assert all(x.grad is None or x.grad.dtype == np.float32 for x in ours)


ON_ARRAYS = [case for case in CASES if case.on_arrays]


@pytest.mark.parametrize("case", ON_ARRAYS, ids=lambda case: f"{case.name}-{case.shapes}")
def test_arrays_in_arrays_out(case: Case) -> None:
    arrays = drawn(case)
    found = case.function(tw, *arrays)
    expected = case.function(tw, *[tw.tensor(x) for x in arrays])
    assert type(found) is np.ndarray
    assert_same(found, expected, rtol=0, atol=0, reason="the same forward")


def test_gradients_where_the_source_is_larger_than_the_index() -> None:
    # PyTorch refuses these in backward.
    x, y = (tw.rand(*shape, dtype=tw.float64, requires_grad=True) for shape in ((3, 3), (2, 3)))
    one, two = tw.tensor([[0, 1]]), tw.tensor([[0, 1], [2, 0]])
    for function in (lambda x, y: x.scatter_add(1, one, y), lambda x, y: x.scatter(1, two, y)):
        assert tw.autograd.gradcheck(function, (x, y))
        assert tw.autograd.gradgradcheck(function, (x, y))


def test_norm_of_zeros_has_slope_zero() -> None:
    x = tw.zeros(2, 3, dtype=tw.float64, requires_grad=True)
    x.norm(dim=1).sum().backward()
    assert_same(x.grad, np.zeros((2, 3)), rtol=0, atol=0, reason="exactly 0 by definition")


def test_norm_zero_counts() -> None:
    x = tw.tensor([[0.0, 2.0, -1.0], [0.0, 0.0, 3.0]])
    assert_same(x.norm(0, 1), np.array([2, 1], np.float32), rtol=0, atol=0, reason="counts are exact")
