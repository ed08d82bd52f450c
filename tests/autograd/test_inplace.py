"""Writing in place: memory, versions, views and histories, run by both libraries and compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw

torch = pytest.importorskip("torch", reason="compares with PyTorch, which isn't installed")

CLOSE = {"rtol": 1e-12, "atol": 1e-12, "reason": "float64: a few operations, each rounded once"}
EXACT = {"rtol": 0, "atol": 0, "reason": "the same operations in the same order"}


# Each takes the library and two leaves of shape (3, 4) and (4,), and gives what is summed and differentiated.


def column_of_an_intermediate(t: Any, x: Any, w: Any) -> Any:
    y = x * 2
    y[:, 0] += w[:3]
    return y * y


def row_view_times(t: Any, x: Any, w: Any) -> Any:
    y = x.clone()
    v = y[0]
    v += w
    v *= 3.0
    return y * y + v


def column_of_zeros(t: Any, x: Any, w: Any) -> Any:
    y = t.zeros(3, 4, dtype=x.dtype)
    y[1] = w
    y[2] = x[0] * w
    return y * x


def view_of_a_view(t: Any, x: Any, w: Any) -> Any:
    y = (x * 1).reshape(2, 6)
    y[1][2:4].add_(w[:2])
    return y.t() * 2


def base_after_view(t: Any, x: Any, w: Any) -> Any:
    y = x * 1
    v = y[1]
    y.add_(w)
    y.neg_()
    return v * w


def sibling_views(t: Any, x: Any, w: Any) -> Any:
    y = x * 1
    a, b = y[0], y[:, 1]
    a.add_(w)
    b.mul_(0.5)
    return (a * w).sum() + (b * b).sum() + y.sum()


def transposed_view(t: Any, x: Any, w: Any) -> Any:
    y = x.t().contiguous()
    y.t().add_(w)
    y.t()[0].neg_()
    return y * y


def reshaped_view(t: Any, x: Any, w: Any) -> Any:
    y = x * 1
    y.view(-1)[2:6] = w
    return y * x


def flattened_and_unsqueezed(t: Any, x: Any, w: Any) -> Any:
    y = x * 1
    y.unsqueeze(0).squeeze().flatten()[::3].zero_()
    return y * y


def mask_written(t: Any, x: Any, w: Any) -> Any:
    y = x * 2
    y[x > 0] = 1.5
    return y * y


def mask_written_by_tensor(t: Any, x: Any, w: Any) -> Any:
    y = x * 2
    y[t.tensor([True, False, True])] = w * w
    return y * x


def index_written(t: Any, x: Any, w: Any) -> Any:
    y = x * 2
    y[t.tensor([0, 2]), 1:3] = w[:2]
    y[1, t.tensor([3, 0])] += w[2:]
    return y * y


def step_and_negative(t: Any, x: Any, w: Any) -> Any:
    y = x * 2
    y[-1, ::2] -= w[::2]
    y[..., -1] = 0
    return y * y


def filled(t: Any, x: Any, w: Any) -> Any:
    y = x * 2
    z = y * 3
    y.fill_(2.0)
    return y * z


def zeroed(t: Any, x: Any, w: Any) -> Any:
    y = x * 2
    y[0].zero_()
    return y * y + w


def copied(t: Any, x: Any, w: Any) -> Any:
    y = x * 2
    y.copy_(w)
    y[0].copy_(x[1])
    return y * y


def copied_into_a_leaf_without_gradient(t: Any, x: Any, w: Any) -> Any:
    y = t.empty(3, 4, dtype=x.dtype)
    y.copy_(x * w)
    return y * y


def clamped(t: Any, x: Any, w: Any) -> Any:
    y = x * 2
    y.clamp_(-1, 1)
    y.relu_()
    return y * w


def residual(t: Any, x: Any, w: Any) -> Any:
    y = x.sin()
    y += w
    y /= 3.0
    y -= x
    y.relu_()
    return y


def powers(t: Any, x: Any, w: Any) -> Any:
    y = x * 2
    y **= 2
    return y * 1


def functions(t: Any, x: Any, w: Any) -> Any:
    y = x.abs() + 1
    y = y.sqrt_() * 2
    y = y.neg_().exp_() * 2
    y = y.tanh_() * 2
    y = y.sigmoid_() * 2
    return y


def masked_and_scattered(t: Any, x: Any, w: Any) -> Any:
    y = x * 2
    y.masked_fill_(x < 0, 0.5)
    y.scatter_(1, t.tensor([[0], [1], [2]]), 7.0)
    y.scatter_add_(1, t.tensor([[3, 0]]), w[None, :2])
    return y * y


def chunk_by_chunk(t: Any, x: Any, w: Any) -> Any:
    y = t.zeros(3, 4, dtype=x.dtype)
    for i in range(3):
        y[i] = x[i] * w * (i + 1)
    for part in y[:, 2:], y[:, :2]:
        part += 1.0
    return y * y


def accumulated(t: Any, x: Any, w: Any) -> Any:
    total = t.zeros(4, dtype=x.dtype)
    for row in x:
        total += row * w
    return total * total


def written_twice(t: Any, x: Any, w: Any) -> Any:
    y = x * 1
    y[0] = w
    y[0, 1] = x[2, 2]
    return y * y


def channels_last(t: Any, x: Any, w: Any) -> Any:
    y = (x * 1).t()
    y[1] += 2.0
    v = y[:, 1]
    v.mul_(3.0)
    return y * y


def through_narrow_and_select(t: Any, x: Any, w: Any) -> Any:
    y = x * 1
    y.narrow(1, 1, 2).select(0, 1).add_(w[:2])
    y.select(1, 0).neg_()
    return y * y


def through_split(t: Any, x: Any, w: Any) -> Any:
    y = x * 1
    y[:, 1:3].permute(1, 0)[0].add_(w[:3])
    return y * y


PROGRAMS = [
    column_of_an_intermediate,
    row_view_times,
    column_of_zeros,
    view_of_a_view,
    base_after_view,
    sibling_views,
    transposed_view,
    reshaped_view,
    flattened_and_unsqueezed,
    mask_written,
    mask_written_by_tensor,
    index_written,
    step_and_negative,
    filled,
    zeroed,
    copied,
    copied_into_a_leaf_without_gradient,
    clamped,
    residual,
    powers,
    functions,
    masked_and_scattered,
    chunk_by_chunk,
    accumulated,
    written_twice,
    channels_last,
    through_narrow_and_select,
    through_split,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_program(program: Callable[..., Any]) -> None:
    source = np.random.default_rng(3)
    x, w = source.uniform(-2, 2, (3, 4)), source.uniform(0.5, 2, 4)
    ours = [tw.tensor(a, requires_grad=True) for a in (x, w)]
    theirs = [torch.tensor(a, requires_grad=True) for a in (x, w)]
    out, expected = program(tw, *ours), program(torch, *theirs)
    assert_same(out, expected, **CLOSE)
    found = tw.autograd.grad(out.sum(), ours, create_graph=True, allow_unused=True)
    wanted = torch.autograd.grad(expected.sum(), theirs, create_graph=True, allow_unused=True)
    for mine, other in zip(found, wanted, strict=True):
        assert (mine is None) == (other is None)
        if mine is not None:
            assert_same(mine, other, **CLOSE)
    again = sum((g * g).sum() for g in found if g is not None)
    again_expected = sum((g * g).sum() for g in wanted if g is not None)
    if again_expected.requires_grad:
        second = tw.autograd.grad(again, ours, allow_unused=True)
        second_expected = torch.autograd.grad(again_expected, theirs, allow_unused=True)
        for mine, other, array in zip(second, second_expected, (x, w), strict=True):
            mine = tw.tensor(np.zeros_like(array)) if mine is None else mine
            other = torch.zeros(array.shape, dtype=torch.float64) if other is None else other
            assert_same(mine, other, **CLOSE)


def test_the_factor_of_a_product_in_place_gets_its_gradient() -> None:
    # PyTorch refuses this in backward; here the overwritten factor is kept.
    x = tw.tensor([[1.0, 2.0], [3.0, 4.0]])
    w = tw.tensor([5.0, 6.0], requires_grad=True)
    v = x[0]
    v *= w
    x.sum().backward()
    assert_same(w.grad, np.array([1, 2], np.float32), **EXACT)
    y = tw.tensor([2.0, 3.0], requires_grad=True)
    z = y * 1
    z.div_(w)
    z.sum().backward()
    assert_same(w.grad, np.array([1 - 2 / 25, 2 - 3 / 36], np.float32), rtol=1e-6, atol=0, reason="float32")


def test_memory_stays_in_place() -> None:
    array = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    x = tw.from_numpy(array)
    before = x.data_ptr()
    x += 1
    x[0] = 9
    x.mul_(2).clamp_(0, 10)
    assert x.data_ptr() == before
    assert_same(array, np.array([[10, 10, 10], [8, 10, 10]], np.float32), **EXACT)


def test_versions_are_shared_between_views_and_detached() -> None:
    x = tw.zeros(2, 3)
    v, d, other = x[0], x.detach(), x.data
    v.add_(1)
    assert x._version == v._version == d._version == [1]
    assert other._version == [0]
    x.t()[0].zero_()
    d.fill_(3)
    assert v._version == [3]


def leaf() -> tw.Tensor:
    return tw.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)


@pytest.mark.parametrize(
    "write",
    [
        lambda x: x.add_(1),
        lambda x: x.mul_(2),
        lambda x: x.zero_(),
        lambda x: x.uniform_(),
        lambda x: x.__setitem__(0, 1.0),
        lambda x: x.__setitem__(tw.tensor([True, False]), 1.0),
        lambda x: x[0].add_(1),
        lambda x: x.t().fill_(1),
        lambda x: x.relu_(),
        lambda x: x.copy_(x.detach()),
    ],
)
def test_a_leaf_that_requires_gradients_is_not_written_to(write: Callable[[Any], Any]) -> None:
    x = leaf()
    with pytest.raises(tw.StateError, match=r"leaf tensor that requires gradients can't be changed in place"):
        write(x)
    assert_same(x, np.array([[1, 2], [3, 4]], np.float32), **EXACT)
    with tw.no_grad():
        write(x)
    assert x.is_leaf and x.requires_grad


def test_message_for_a_leaf() -> None:
    with pytest.raises(tw.StateError) as caught:
        leaf().add_(1)
    assert str(caught.value) == (
        "A leaf tensor that requires gradients can't be changed in place by add_. "
        "Received: tensor with shape (2, 2) and dtype float32. "
        "Write inside `with no_grad():`, or to x.data, or to a copy: x.clone()."
    )


def test_data_is_written_unseen() -> None:
    x = leaf()
    y = x * x
    x.data.mul_(2)
    y.sum().backward()
    # As in PyTorch: the tape isn't told, and backward reads what stands there now.
    assert_same(x.grad, np.array([[4, 8], [12, 16]], np.float32), **EXACT)


def test_setting_data() -> None:
    x = leaf()
    x.data = tw.zeros(3)
    assert x.shape == (3,) and x.requires_grad and x.is_leaf
    with pytest.raises(tw.DtypeError, match="data needs a Tensor"):
        x.data = np.zeros(3)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda x: x.exp(), "an output of exp"),
        (lambda x: x.tanh(), "an output of tanh"),
        (lambda x: x.relu(), "an output of relu"),
    ],
)
def test_an_overwritten_output_is_noticed(make: Callable[[Any], Any], name: str) -> None:
    x = leaf()
    y = make(x * 1)
    y.add_(1)
    with pytest.raises(tw.StateError, match=f"backward needs {name} that was changed in place"):
        y.sum().backward()


def test_an_overwritten_input_is_noticed() -> None:
    x = leaf()
    y = x * 1
    z = y * y
    y.add_(1)
    with pytest.raises(
        tw.StateError, match="backward needs an input of mul that was changed in place"
    ) as caught:
        z.sum().backward()
    assert "a tensor of shape (2, 2) at version 1, used at 0" in str(caught.value)


def test_an_input_that_isnt_read_may_be_overwritten() -> None:
    x = leaf()
    y = x * 2
    z = y + 1
    w = z * 3.0
    y.zero_()
    z.zero_()
    w.sum().backward()
    assert_same(x.grad, np.full((2, 2), 6, np.float32), **EXACT)


def test_dtypes_of_writes() -> None:
    x = tw.tensor([1, 2])
    with pytest.raises(
        tw.DtypeError, match="add_ writes in place, and a tensor of int64 can't hold its result"
    ):
        x.add_(0.5)
    with pytest.raises(tw.DtypeError, match="div_"):
        x /= 2
    x.add_(tw.tensor([1, 1], dtype=tw.int8))
    x.copy_(tw.tensor([1.9, -1.9]))
    assert x.tolist() == [1, -1]
    half = tw.ones(2, dtype=tw.float16)
    half.add_(tw.ones(2, dtype=tw.float64))
    assert half.dtype == tw.float16 and half.tolist() == [2, 2]
    x.fill_(2.7)
    assert x.tolist() == [2, 2]


def test_shapes_of_writes() -> None:
    x = tw.zeros(2, 3)
    with pytest.raises(tw.ShapeError, match=r"add_ writes in place, so its result must have .* \(2, 3\)"):
        x.add_(tw.zeros(4, 2, 3))
    with pytest.raises(tw.ShapeError, match="copy_ needs a value that broadcasts"):
        x.copy_(tw.zeros(2))
    with pytest.raises(tw.ShapeError, match="indexing needs a value that broadcasts"):
        x[0] = tw.zeros(2)
    with pytest.raises(tw.ShapeError, match="indexing needs a value that broadcasts"):
        x[tw.tensor([0, 1])] = tw.zeros(2)
    x[0] = tw.ones(1, 3)
    x[:, 1] = [5, 6]
    assert x.tolist() == [[1, 5, 1], [0, 6, 0]]


def test_memory_that_cant_be_written_to() -> None:
    with pytest.raises(tw.StateError, match="one place for each element"):
        tw.zeros(3, 1).expand(3, 2).add_(1)
    array = np.zeros(3, np.float32)
    array.flags.writeable = False
    with pytest.raises(tw.StateError, match="writeable=False"):
        tw.from_numpy(array).zero_()


def test_overlapping_memory() -> None:
    x, y = tw.arange(6.0), torch.arange(6.0)
    x[1:] = x[:-1]
    y[1:] = y[:-1].clone()
    assert_same(x, y, **EXACT)
    x.add_(x.flip(0))
    x[:3].copy_(x[3:])
    x.mul_(x[0])
    assert x.tolist() == [9, 9, 12, 9, 9, 12]


def test_optimiser_step_under_no_grad() -> None:
    x = leaf()
    for _ in range(3):
        (x * x).sum().backward()
        with tw.no_grad():
            x -= 0.25 * x.grad
            x.grad.zero_()
    assert_same(x, np.array([[1, 2], [3, 4]], np.float32) / 8, **EXACT)
    assert x.is_leaf and x.requires_grad


def test_write_of_nothing_recorded_keeps_history() -> None:
    x = leaf()
    y = x * 2
    with tw.no_grad():
        y[0] = 0
        y.add_(1)
    y.sum().backward()
    assert_same(x.grad, np.full((2, 2), 2, np.float32), **EXACT)


def test_a_view_of_a_constant_starts_to_require_gradients() -> None:
    base = tw.zeros(2, 2)
    other = base[1]
    base[0] = tw.ones(2, requires_grad=True) * 2
    assert base.requires_grad and other.requires_grad
    assert repr(other).startswith("tensor([0., 0.], grad_fn=<getitem>")


def test_rounding_down_makes_a_constant() -> None:
    x = leaf()
    y = x * 2
    y //= 3
    assert not y.requires_grad
    z = x * 2
    z %= 3
    z.sum().backward()
    assert_same(x.grad, np.full((2, 2), 2, np.float32), **EXACT)


def test_random_fills() -> None:
    generator = tw.Generator(3)
    x = tw.empty(1000).uniform_(-2, 3, generator=generator)
    assert x.min() >= -2 and x.max() < 3 and abs(x.mean() - 0.5) < 0.2
    y = tw.empty(1000).normal_(5, 0.1, generator=generator)
    assert abs(y.mean() - 5) < 0.02
    z = tw.empty(1000).bernoulli_(0.25, generator=generator)
    assert set(z.tolist()) == {0.0, 1.0} and 150 < z.sum() < 350
    with pytest.raises(tw.DtypeError, match="uniform_ needs a floating dtype"):
        tw.zeros(3, dtype=tw.int64).uniform_()
    assert tw.empty(3).uniform_(**{"from": 5, "to": 6}).min() >= 5
    with pytest.raises(tw.DtypeError, match="uniform_ takes from, to and generator by name"):
        tw.empty(3).uniform_(lo=1)


def test_views_in_other_memory_order_are_written_by_position() -> None:
    # A transposed base: reshaping its view is a copy in the gradient's memory, which lies in rows.
    x = tw.tensor(np.arange(12.0).reshape(3, 4).T, requires_grad=True)
    y = x * 1
    assert not y.is_contiguous()
    y.t().view(-1)[1:7:2] = 0.0
    y.sum().backward()
    expected = np.ones(12)
    expected[1:7:2] = 0
    assert_same(x.grad, expected.reshape(3, 4).T, **EXACT)
    assert tw.autograd.gradgradcheck(written_by_position, tw.rand(4, 3, dtype=tw.float64, requires_grad=True))


def written_by_position(x: tw.Tensor) -> tw.Tensor:
    y = x.t() * x.t()
    y.t().view(-1)[1:7:2] = 0.5
    return y * y


def test_chained_functions_in_place_keep_what_they_overwrite() -> None:
    # PyTorch refuses this in backward: each output is overwritten by the next.
    def chained(x: tw.Tensor) -> tw.Tensor:
        y = x.abs() + 1
        return y.sqrt_().exp_().log_().tanh_().sigmoid_().abs_().pow_(3)

    x = tw.rand(3, dtype=tw.float64, requires_grad=True)
    assert tw.autograd.gradcheck(chained, x) and tw.autograd.gradgradcheck(chained, x)


def test_tensors_without_elements_are_written_to() -> None:
    # NumPy gives them strides of 0, as it gives repeated elements.
    for shape in ((0, 3), (3, 0), (2, 0, 3)):
        x = tw.zeros(*shape)
        assert x.clamp_(min=1.0).add_(1.0).fill_(2.0).shape == x.shape
        x[...] = 3.0
