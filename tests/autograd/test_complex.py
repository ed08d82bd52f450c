"""Complex tensors: what they are, what they refuse, and gradients by finite differences of both parts."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from samples_of_dtypes import sample

import tilewright as tw
import tilewright.functional as F
from tilewright.autograd.gradcheck import gradcheck, gradgradcheck
from tilewright.autograd.rules import COMPLEX, RULES
from tilewright.autograd.rules_hook import watched
from tilewright.errors import DtypeError, ShapeError, StateError

_EXACT = {"rtol": 0, "atol": 0, "reason": "the same numbers"}


def _z(shape: tuple[int, ...], seed: int = 1) -> Any:
    return sample(shape, seed, "complex128")


# --- what they are ----------------------------------------------------------------------------------------


def test_made_from_python_numbers_and_arrays() -> None:
    assert tw.tensor(1 + 2j).dtype == tw.complex64 == tw.cfloat
    assert tw.tensor([1.0, 2j]).dtype == tw.complex64
    assert tw.tensor(np.array([1j])).dtype == tw.complex128 == tw.cdouble
    assert tw.tensor([1.0], dtype=complex).dtype == tw.complex128
    tw.set_default_dtype(tw.float64)
    try:
        assert tw.tensor(1j).dtype == tw.complex128
        assert (tw.ones(2) * 1j).dtype == tw.complex128
    finally:
        tw.set_default_dtype(tw.float32)
    assert tw.zeros(2, dtype=tw.complex64).tolist() == [0j, 0j]
    assert tw.complex(tw.tensor([1.0]), tw.tensor([2.0])).tolist() == [1 + 2j]
    assert tw.is_complex(tw.tensor(1j)) and tw.tensor(1j).is_complex() and not tw.is_complex(tw.ones(1))
    assert not tw.is_floating_point(tw.tensor(1j)) and not tw.tensor(1j).is_floating_point()
    assert complex(tw.tensor(1j)) == 1j
    assert tw.tensor(1j).item() == 1j
    assert copy.deepcopy(tw.tensor([1j])).tolist() == [1j]


def test_promotion() -> None:
    z = tw.tensor([1j])
    assert (z + 1).dtype == (z * 2.5).dtype == (z * 1j).dtype == (z + tw.ones(1).half()).dtype == tw.complex64
    assert (z + tw.ones(1, dtype=tw.float64)).dtype == tw.complex128
    assert (z + tw.ones(1, dtype=tw.int64)).dtype == tw.complex64
    assert (tw.ones(1, dtype=tw.float64) * 1j).dtype == tw.complex128
    assert (tw.ones(1, dtype=tw.int64) * 1j).dtype == tw.complex64
    assert tw.promote_types(tw.complex64, tw.float64) == tw.complex128
    assert tw.promote_types(tw.float16, tw.complex64) == tw.complex64
    assert tw.result_type(1j, 2) == tw.complex64
    assert tw.result_type(tw.ones(1), 1j) == tw.complex64


def test_parts() -> None:
    z = tw.tensor([1 + 2j, 3 - 4j])
    assert z.real.tolist() == tw.real(z).tolist() == [1.0, 3.0]
    assert z.imag.tolist() == tw.imag(z).tolist() == [2.0, -4.0]
    assert z.conj().tolist() == tw.conj(z).tolist() == [1 - 2j, 3 + 4j]
    assert z.abs().tolist() == pytest.approx([5**0.5, 5.0])
    assert z.real.dtype == z.abs().dtype == tw.float32
    x = tw.ones(2)
    assert x.conj() is x and x.real is x
    assert_same(tw.conj(z.numpy()), z.conj(), **_EXACT)
    assert z.norm().item() == pytest.approx(30**0.5)


def test_printed() -> None:
    assert repr(tw.tensor([1 + 2j, 3.5 - 1j])) == "tensor([1.0000+2.j, 3.5000-1.j], dtype=complex64)"
    assert repr(tw.tensor(0.5j)) == "tensor(0.+0.5000j, dtype=complex64)"


def test_drawn() -> None:
    tw.manual_seed(0)
    z = tw.randn(20_000, dtype=tw.complex64)
    # PyTorch's convention: |z|² is 1 on average; four standard errors of 20,000 draws.
    assert abs((z.abs() ** 2).mean().item() - 1) < 0.03
    u = tw.rand(1000, dtype=tw.complex128)
    assert u.real.min().item() >= 0 and u.imag.max().item() < 1
    layer = tw.nn.Conv2d(3, 4, 3, dtype=tw.complex64)
    assert layer.weight.dtype == tw.complex64
    assert layer.weight.imag.abs().max().item() > 0
    assert layer(tw.randn(1, 3, 5, 5, dtype=tw.complex64)).dtype == tw.complex64


def test_a_complex_module_converts_and_loads() -> None:
    layer = tw.nn.Linear(2, 3).to(tw.complex64)
    assert layer.weight.dtype == tw.complex64
    # A real dtype is for what is real.
    assert layer.half().weight.dtype == tw.complex64
    with pytest.raises(DtypeError, match="needs 'weight' as float32, without loss of kind"):
        tw.nn.Linear(2, 3).load_state_dict(layer.state_dict())
    other = tw.nn.Linear(2, 3, dtype=tw.complex128)
    other.load_state_dict(layer.state_dict())
    assert_same(other.weight.detach(), layer.weight.detach().numpy().astype(complex), **_EXACT)


# --- what they refuse -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("relu", "sign", "max", "min", "amax", "amin", "argmax", "argmin", "sort", "argsort", "clamp"),
        *("topk", "lt", "le", "gt", "ge", "maximum", "minimum", "logsumexp"),
    ],
)
def test_there_is_no_order(name: str) -> None:
    z = tw.tensor([1j, 2.0])
    more = {"clamp": (0, 1), "topk": (1,), "logsumexp": (0,)}.get(name, ())
    if name in ("lt", "le", "gt", "ge", "maximum", "minimum"):
        more = (z,)
    for operand in (z, z.numpy()):
        function = getattr(tw, name) if hasattr(tw, name) else getattr(type(z), name)
        with pytest.raises(DtypeError, match=r"needs numbers that have an order, .* Use x\.real"):
            function(operand, *more)
    with pytest.raises(DtypeError, match="an order"):
        tw.tensor([1.0]).clamp(1j)


@pytest.mark.parametrize("name", ["floor", "trunc", "floor_divide", "remainder"])
def test_what_numpy_has_no_function_for(name: str) -> None:
    z = tw.tensor([1j])
    with pytest.raises(
        DtypeError, match=rf"{name} is not defined for complex64\. Received: input with shape"
    ):
        getattr(tw, name)(z, *((z,) if name in ("floor_divide", "remainder") else ()))


def test_real_numbers_are_not_made_silently() -> None:
    z = tw.tensor([1j], requires_grad=True)
    for call in (z.float, z.half, z.long, lambda: z.to(tw.float64)):
        with pytest.raises(DtypeError, match=r"by a choice: .* Use x\.real or x\.abs"):
            call()
    with pytest.raises(DtypeError, match="by a choice"):
        tw.tensor([1j], dtype=tw.float32)
    assert tw.tensor([0j, 1j]).bool().tolist() == [False, True]
    x = tw.zeros(2)
    for value in (z.detach(), 1j, [1j, 2j], np.array([1j])):
        with pytest.raises(DtypeError, match="can't write complex numbers to a tensor of float32"):
            x[:] = value
    with pytest.raises(DtypeError, match="add_ writes in place, and a tensor of float32 can't hold"):
        x.add_(z.detach())
    with pytest.raises(DtypeError, match="float needs numbers that have an order"):
        float(z)
    with pytest.raises(DtypeError, match="An index is a tensor with one integer"):
        [0][tw.tensor(1j)]
    with pytest.raises(DtypeError, match="imag needs complex numbers"):
        tw.imag(tw.ones(1))
    with pytest.raises(DtypeError, match="complex needs parts of float32 or of float64"):
        tw.complex(tw.ones(1), tw.ones(1, dtype=tw.float64))
    with pytest.raises(DtypeError, match="complex needs Tensors or NumPy arrays"):
        tw.complex(1.0, tw.ones(1))
    with pytest.raises(ShapeError, match="complex needs parts of one shape"):
        tw.complex(tw.ones(1), tw.ones(2))


def test_no_wrong_gradient() -> None:
    z = tw.tensor([1 + 1j], requires_grad=True)
    with pytest.raises(DtypeError, match=r"tanh has no gradient for complex numbers\. Received: result"):
        z.tanh()
    with tw.no_grad():
        assert z.tanh().item() == pytest.approx(np.tanh(1 + 1j))
    with pytest.raises(StateError, match="can only start by itself from a real number"):
        (z * 2).sum().backward()
    with pytest.raises(DtypeError, match="SGD optimises floating Tensors"):
        tw.optim.SGD([z], 0.1)
    with pytest.raises(DtypeError):
        F.softmax(z, 0)


# --- gradients --------------------------------------------------------------------------------------------

# Operation → a function of one complex tensor, or two. Together they go through every rule of COMPLEX.
_FUNCTIONS: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {
    "arithmetic": (lambda x, y: (x + y) * (x - y) / (y + 4) - x * 2.5 + (1 + 2j) * y, [(2, 3), (3,)]),
    "powers": (lambda x, y: (x + 3) ** 3 + (x + 3) ** (1.5 - 1j) + (x + 3) ** (y + 2), [(2, 2), (2, 2)]),
    "curves": (
        lambda x: (
            x.exp() + x.sin() * x.cos() + (x + 3).log() + (x + 3).sqrt() + (x + 3).reciprocal() + x.square()
        ),
        [(2, 2)],
    ),
    "signs": (lambda x: -x + (-x).conj() + tw.complex(x.imag, x.abs()), [(2, 2)]),
    "matmul": (lambda x, y: x @ y, [(2, 3, 4), (4, 2)]),
    "sums": (lambda x: x.sum(0) * x.mean() + x.cumsum(1)[0], [(3, 2)]),
    "shapes": (
        lambda x: tw.cat([x.flip(0).roll(1, 1), x.T.reshape(2, 3)], 1).repeat(1, 2).T.contiguous().clone(),
        [(2, 3)],
    ),
    "indices": (
        lambda x: x[:, 1:] * x[[0, 1, 1]][:2, :2] + x.gather(1, tw.tensor([[0, 2], [1, 1]])),
        [(2, 3)],
    ),
    "scatter": (
        lambda x: (
            x.scatter(0, tw.tensor([[0, 1, 0]]), x[:1] * 2)
            + x.scatter_add(0, tw.tensor([[1, 1, 0]]), x[1:] * 3)
        ),
        [(2, 3)],
    ),
    "writes": (lambda x: _written(x), [(2, 3)]),
    "where": (lambda x: x.where(x.real > 0, x * 2) + x.masked_fill(x.imag > 0, 1j), [(3, 3)]),
    "pixels": (lambda x: F.pixel_shuffle(x, 2).sum() + F.pixel_unshuffle(x, 2), [(1, 4, 2, 2)]),
    "watched": (lambda x: watched([x * 2], lambda gradients: gradients)[0] * x, [(2,)]),
    "pad": (lambda x: F.pad(x, (1, -1, 2, 0)) * F.pad(x, (0, 0, 1, 1), "reflect"), [(3, 4)]),
    "pools": (lambda x: F.avg_pool1d(x, 2, 1, 1) * F.adaptive_avg_pool1d(x, 6), [(1, 2, 5)]),
    "resampled": (lambda x: F.interpolate(x, size=5, mode="linear"), [(1, 2, 3)]),
    "windows": (lambda x: F.fold(F.unfold(x, 2) * 2, 3, 2), [(1, 2, 3, 3)]),
    "linear": (lambda x, w, b: F.linear(x, w, b), [(3, 4), (2, 4), (2,)]),
    "conv": (lambda x, w, b: F.conv2d(x, w, b, 2, 1, 1, 2), [(2, 2, 4, 3), (4, 1, 2, 3), (4,)]),
    "conv_transpose": (lambda x, w, b: F.conv_transpose1d(x, w, b, 2, 1), [(2, 2, 3), (2, 3, 3), (3,)]),
    "masked": (
        lambda x, w: F.masked_conv(x, w, padding=1, mask=np.array([1, 0, 0, 0, 1]), normalize="weights"),
        [(1, 2, 5), (2, 2, 3)],
    ),
}


def _written(x: Any) -> Any:
    y = x.clone()
    y[0] = x[1] * 2
    y[:, 1:].mul_(2j)
    y[1, [0, 2]] = 1j
    y[0, :1].fill_(3.0)
    return y + x


def _of_parts(function: Callable[..., Any], shapes: list[tuple[int, ...]]) -> tuple[Callable[..., Any], Any]:
    """A real function of the real and imaginary parts of the operands, and those."""
    parts = []
    for seed, shape in enumerate(shapes):
        z = _z(shape, seed)
        parts += [tw.tensor(z.real.copy(), requires_grad=True), tw.tensor(z.imag.copy(), requires_grad=True)]

    def of_parts(*given: Any) -> Any:
        y = function(*(tw.complex(a, b) for a, b in zip(given[::2], given[1::2], strict=True)))
        return (y.real, y.imag) if y.is_complex() else y

    return of_parts, parts


@pytest.mark.parametrize("name", _FUNCTIONS)
def test_gradients_by_finite_differences_of_the_parts(name: str) -> None:
    assert gradcheck(*_of_parts(*_FUNCTIONS[name]))


@pytest.mark.parametrize(
    "name", ["arithmetic", "matmul", "linear", "conv", "conv_transpose", "pad", "masked"]
)
def test_gradients_of_gradients(name: str) -> None:
    assert gradgradcheck(*_of_parts(*_FUNCTIONS[name]))


def test_the_gradient_is_the_direction_of_growth() -> None:
    # |z|² grows fastest along z itself, twice as fast as z is long; PyTorch's convention.
    z = tw.tensor([3 + 4j], requires_grad=True)
    (z.abs() ** 2).sum().backward()
    assert z.grad.tolist() == pytest.approx([6 + 8j])
    # L = Re(conj(w)·w·x) by a real operand among complex ones: a real gradient.
    x, w = tw.tensor([2.0], requires_grad=True), tw.tensor([1 + 1j], requires_grad=True)
    (w.conj() * w * x).real.sum().backward()
    assert x.grad.dtype == tw.float32 and x.grad.tolist() == [2.0]
    assert w.grad.tolist() == [4 + 4j]
    zero = tw.tensor([0j], requires_grad=True)
    zero.abs().sum().backward()
    assert zero.grad.tolist() == [0j]


def test_descent_along_the_gradient_learns_a_complex_kernel() -> None:
    rng = np.random.default_rng(0)
    x = tw.tensor(_z((4, 1, 20), 3))
    kernel = np.array([[[1 + 1j, -2j, 0.5]]])
    wanted = F.conv1d(x, tw.tensor(kernel))
    w = tw.tensor(rng.standard_normal(kernel.shape) + 0j, requires_grad=True)
    for _ in range(60):
        w.grad = None
        ((F.conv1d(x, w) - wanted).abs() ** 2).mean().backward()
        w.data = w.data - 0.2 * w.grad
    assert_same(w.detach(), kernel, rtol=0, atol=1e-3, reason="60 steps of descent")


def test_every_rule_that_takes_complex_numbers_is_gone_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name in COMPLEX that no function above reaches would be an unproved claim."""
    assert set(RULES) >= COMPLEX
    seen: set[str] = set()
    for name in COMPLEX:
        backward = RULES[name].backward
        assert backward is not None, f"{name} has no gradient"

        def noted(context: Any, *gradients: Any, name: str = name, backward: Any = backward) -> Any:
            seen.add(name)
            return backward(context, *gradients)

        monkeypatch.setattr(RULES[name], "backward", noted)
    for function, shapes in _FUNCTIONS.values():
        operands = [tw.tensor(_z(shape, seed), requires_grad=True) for seed, shape in enumerate(shapes)]
        y = function(*operands)
        first = tw.autograd.grad((y.abs() ** 2).sum(), operands, create_graph=True)
        total = sum((g.abs() ** 2).sum() for g in first if g.is_complex())
        if total.requires_grad:
            total.backward()
    assert sorted(COMPLEX - seen) == []
