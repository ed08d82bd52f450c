"""What a Tensor is: creation, conversion, Python's protocols, errors."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
from tilewright.autograd.checks import OutOfRangeError
from tilewright.geometry.axes import MOST_AXES

EXACT = {"rtol": 0, "atol": 0, "reason": "no arithmetic"}


# --- creation --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1, "int64"),
        (1.5, "float32"),
        (True, "bool"),
        ([1, 2.5], "float32"),
        ([True, 2], "int64"),
        ([], "float32"),
        ([[]], "float32"),
        (np.float64(1.5), "float64"),
        (np.float16(1.5), "float16"),
        ([np.float64(1.5)], "float32"),
        ([np.float32(1.5)], "float32"),
        (np.zeros(2), "float64"),
        ([np.zeros(2), np.ones(2)], "float64"),
        (np.zeros(2, ">f8"), "float64"),
        (range(3), "int64"),
        ((1, 2), "int64"),
    ],
)
def test_dtypes_of_data(data: Any, dtype: str) -> None:
    assert tw.tensor(data).dtype == dtype


def test_tensor_copies_and_from_numpy_shares() -> None:
    array = np.zeros(3, np.float32)
    copied, shared, also = tw.tensor(array), tw.from_numpy(array), tw.as_tensor(array)
    array[0] = 7
    assert copied[0] == 0 and shared[0] == 7 and also[0] == 7
    assert shared.numpy() is array or np.shares_memory(shared.numpy(), array)
    x = tw.zeros(2)
    assert tw.as_tensor(x) is x and tw.as_tensor(x, dtype=tw.float64).dtype == tw.float64
    assert tw.tensor([x, x + 1]).tolist() == [[0, 0], [1, 1]]
    assert tw.tensor([[tw.tensor(1), 2]]).tolist() == [[1, 2]]


def test_what_no_tensor_is_made_of() -> None:
    with pytest.raises(tw.ShapeError, match="nested lists of equal lengths"):
        tw.tensor([[1, 2], [3]])
    with pytest.raises(tw.DtypeError, match="A tensor needs bools, integers, floats or complex"):
        tw.tensor(["a"])
    with pytest.raises(tw.DtypeError, match="A tensor needs bools, integers, floats or complex"):
        tw.tensor(None)
    with pytest.raises(tw.DtypeError, match="from_numpy needs a NumPy array"):
        tw.from_numpy([1])
    with pytest.raises(tw.DtypeError, match="this machine's byte order"):
        tw.from_numpy(np.zeros(2, ">f4"))
    with pytest.raises(tw.DtypeError, match="Gradients exist for floating dtypes only"):
        tw.tensor([1], requires_grad=True)


def test_filled() -> None:
    assert tw.zeros(2, 3).shape == tw.zeros((2, 3)).shape == tw.zeros([2, 3]).shape == tw.ones(2, 3).shape
    assert_same(tw.ones(2, dtype=tw.int32), np.ones(2, np.int32), **EXACT)
    assert tw.zeros(()).shape == () and tw.zeros().shape == () and tw.empty(0, 3).shape == (0, 3)
    assert tw.full((2,), 3).dtype == tw.int64 and tw.full((2,), 3.0).dtype == tw.float32
    assert tw.full(2, True).tolist() == [True, True]
    x = tw.zeros(2, 3, dtype=tw.float64)
    for like in (tw.zeros_like, tw.ones_like, tw.empty_like, tw.rand_like, tw.randn_like):
        assert like(x).shape == (2, 3) and like(x).dtype == tw.float64
    assert tw.full_like(x, 4, dtype=tw.int8).tolist() == [[4] * 3] * 2
    assert_same(tw.eye(2, 3), np.eye(2, 3, dtype=np.float32), **EXACT)
    assert tw.zeros(2, requires_grad=True).requires_grad
    assert x.new_zeros(3).dtype == x.new_ones(3).dtype == x.new_tensor([1]).dtype == tw.float64
    assert x.new_full((2,), 5).tolist() == [5, 5] and x.new_empty(3, 1).shape == (3, 1)
    with pytest.raises(tw.ShapeError, match="zeros needs sizes of 0 or more"):
        tw.zeros(2, -1)
    with pytest.raises(tw.DtypeError, match="zeros needs each size as an int"):
        tw.zeros(2.5)
    with pytest.raises(tw.ShapeError, match="zeros needs a size that memory holds"):
        tw.zeros(2**62, 2**62)
    with pytest.raises(tw.ShapeError, match="full needs a single number"):
        tw.full((2,), [1, 2])


def test_ranges() -> None:
    assert_same(tw.arange(5), np.arange(5), **EXACT)
    assert_same(tw.arange(1, 4, 2), np.arange(1, 4, 2), **EXACT)
    assert_same(tw.arange(3, -2, -2), np.arange(3, -2, -2), **EXACT)
    assert_same(tw.arange(0, 1, 0.25), np.arange(0, 1, 0.25, np.float32), **EXACT)
    assert_same(tw.arange(3, dtype=tw.float64), np.arange(3.0), **EXACT)
    assert_same(tw.linspace(0, 1, 5), np.linspace(0, 1, 5, dtype=np.float32), **EXACT)
    assert tw.arange(2, 2).shape == (0,) and tw.linspace(0, 1, 0).shape == (0,)
    with pytest.raises(tw.ArgumentError, match="arange needs a step that leads from start to end"):
        tw.arange(0, 3, -1)
    with pytest.raises(tw.ArgumentError, match="arange needs a step"):
        tw.arange(0, 3, 0)
    with pytest.raises(tw.ArgumentError, match="linspace needs 0 steps or more"):
        tw.linspace(0, 1, -1)


def test_random() -> None:
    tw.manual_seed(0)
    assert tw.rand(2, 3).shape == tw.randn((2, 3)).shape == (2, 3)
    assert tw.rand(3, dtype=tw.float64).dtype == tw.float64
    drawn = tw.randint(2, 5, (100,))
    assert drawn.dtype == tw.int64 and set(drawn.tolist()) == {2, 3, 4}
    assert set(tw.randint(3, (100,)).tolist()) == {0, 1, 2} and tw.randint(3, size=(2,)).shape == (2,)
    assert sorted(tw.randperm(5).tolist()) == [0, 1, 2, 3, 4]
    assert tw.normal(5.0, 0.001, (3,)).round().tolist() == [5, 5, 5]
    means = tw.normal(tw.tensor([0.0, 100.0]), tw.tensor([0.001, 0.001]))
    assert means.round().abs().tolist() == [0, 100]
    assert tw.normal(tw.zeros(2), 1.0).shape == (2,)
    assert tw.bernoulli(tw.tensor([0.0, 1.0])).tolist() == [0, 1]
    assert tw.bernoulli(tw.zeros(4), 1.0).tolist() == [1] * 4
    assert set(tw.multinomial(tw.tensor([0.0, 1.0, 1.0]), 20, replacement=True).tolist()) == {1, 2}
    assert tw.multinomial(tw.ones(2, 3), 3).sort(1).values.tolist() == [[0, 1, 2]] * 2
    generator = tw.Generator(4)
    assert tw.equal(tw.rand(3, generator=generator), tw.rand(3, generator=tw.Generator(4)))
    with pytest.raises(tw.DtypeError, match="rand needs a floating dtype"):
        tw.rand(3, dtype=tw.int64)
    with pytest.raises(tw.ArgumentError, match="randint needs a size"):
        tw.randint(3)
    with pytest.raises(tw.ArgumentError, match="Random integers need low < high"):
        tw.randint(3, 3, (1,))
    with pytest.raises(tw.ArgumentError, match="normal needs a deviation of 0 or more"):
        tw.normal(0.0, -1.0, (2,))
    with pytest.raises(tw.ArgumentError, match="normal needs a size"):
        tw.normal(0.0, 1.0)
    with pytest.raises(tw.ShapeError, match=r"normal needs shapes that broadcast.*Received: \(2,\)"):
        tw.normal(tw.zeros(2), tw.ones(3))
    with pytest.raises(tw.ArgumentError, match="bernoulli needs probabilities from 0 to 1"):
        tw.bernoulli(tw.tensor([1.5]))
    with pytest.raises(tw.ArgumentError, match="multinomial needs weights of 0 or more"):
        tw.multinomial(tw.tensor([1.0, 0.0]), 2)
    with pytest.raises(tw.ShapeError, match="multinomial needs a vector or a matrix"):
        tw.multinomial(tw.ones(1, 1, 1), 1)


def test_the_constructor() -> None:
    assert_same(tw.Tensor([1, 2]), np.array([1, 2], np.float32), **EXACT)
    assert tw.Tensor(2, 3).shape == (2, 3) and tw.Tensor().shape == (0,)
    array = np.zeros(2, np.float64)
    assert tw.Tensor(array).dtype == tw.float32
    with pytest.raises(tw.ArgumentError, match="Tensor needs sizes, or one list or array"):
        tw.Tensor([1], [2])


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps", "nonsense"])
def test_other_devices(name: str) -> None:
    for call in (
        lambda: tw.zeros(2, device=name),
        lambda: tw.tensor([1.0], device=name),
        lambda: tw.zeros(2).to(device=name),
        lambda: tw.device(name),
    ):
        with pytest.raises(
            tw.ArgumentError, match="Tilewright computes on the processor: the device is 'cpu'"
        ):
            call()


def test_the_device() -> None:
    x = tw.zeros(2, device="cpu")
    assert x.device == "cpu" and x.device == tw.device("cpu") and x.device.type == "cpu"
    assert x.to("cpu") is x and x.to(tw.device("cpu")) is x and x.cpu() is x and not x.is_cuda
    assert tw.zeros(1, device=tw.device("cpu")).device == x.device and hash(x.device) == hash(
        tw.device("cpu")
    )
    with pytest.raises(tw.ArgumentError, match="the device is 'cpu'"):
        x.cuda()
    with pytest.raises(tw.ArgumentError, match="the device is 'cpu'"):
        x.to("cuda")


# --- conversion ------------------------------------------------------------------------------------------


def test_to() -> None:
    x = tw.tensor([1.5, 0.0])
    assert x.to(tw.float64).dtype == x.double().dtype == tw.float64
    assert x.to("cpu", tw.int64).tolist() == x.long().tolist() == [1, 0]
    assert x.to(tw.zeros(1, dtype=tw.int8)).dtype == tw.int8
    assert x.to(dtype=tw.float16).dtype == x.half().dtype == tw.float16
    assert x.to(tw.float32) is x and x.to(tw.float32, copy=True) is not x and x.float() is x
    assert x.bool().tolist() == [True, False] and x.int().dtype == tw.int32
    assert x.short().dtype == tw.int16 and x.byte().dtype == tw.uint8
    assert x.type() == "float32" and x.type(tw.float64).dtype == tw.float64
    assert x.type_as(tw.zeros(1, dtype=tw.int16)).dtype == tw.int16
    assert x.to("cpu", non_blocking=True) is x
    assert tw.tensor([300.0, float("nan")]).to(tw.int64)[0] == 300
    with pytest.raises(tw.ArgumentError, match="to takes dtype, device and copy"):
        x.to(nothing=1)
    with pytest.raises(tw.DtypeError, match="A dtype such as"):
        x.to("nothing")


def test_numpy_shares_memory() -> None:
    x = tw.zeros(3)
    x.numpy()[1] = 5
    assert x.tolist() == [0, 5, 0] and np.asarray(x) is x.numpy()
    assert np.array(x) is not x.numpy() and np.asarray(x, np.float64).dtype == np.float64
    assert np.array([x, x]).shape == (2, 3) and np.stack([x, x]).shape == (2, 3)
    with pytest.raises(tw.ArgumentError, match="Another dtype needs a copy"):
        x.__array__(np.float64, copy=False)


def test_numpy_of_what_requires_gradients() -> None:
    x = tw.zeros(3, requires_grad=True)
    for call in (x.numpy, lambda: np.asarray(x), lambda: np.array(x)):
        with pytest.raises(tw.StateError) as caught:
            call()
        assert str(caught.value) == (
            "numpy needs a tensor that doesn't require gradients. Received: tensor with shape (3,) and dtype "
            "float32. Use x.detach().numpy()."
        )
    assert x.detach().numpy() is x.numpy(force=True) and x.data.numpy().shape == (3,)


# --- Python's protocols ----------------------------------------------------------------------------------


def test_numbers() -> None:
    x = tw.tensor([2.5])
    assert float(x) == x.item() == 2.5 and int(x) == 2 and bool(x) and not bool(tw.tensor(0))
    assert [1, 2, 3][tw.tensor(1)] == 2 and list(range(5))[tw.tensor(1) : tw.tensor([3])] == [1, 2]
    assert type(x.item()) is float and type(tw.tensor(1).item()) is int
    for call, error, message in (
        (lambda: float(tw.zeros(2)), tw.ShapeError, "item needs a tensor with exactly one element"),
        (lambda: bool(tw.zeros(2)), tw.ShapeError, r"Use \.any\(\) or \.all\(\)\."),
        (lambda: bool(tw.zeros(0)), tw.ShapeError, "The truth of a tensor"),
        (lambda: [1][tw.tensor(0.0)], tw.DtypeError, "An index is a tensor with one integer"),
        (lambda: len(tw.tensor(1)), tw.DtypeError, "len needs a tensor of rank 1 or more"),
        (lambda: list(tw.tensor(1)), tw.DtypeError, "Iteration needs a tensor of rank 1 or more"),
    ):
        with pytest.raises(error, match=message):
            call()


def test_containers() -> None:
    x = tw.tensor([[1, 2], [3, 4]])
    assert len(x) == 2 and [row.tolist() for row in x] == [[1, 2], [3, 4]] and 3 in x and 9 not in x
    one, two = x
    assert one.tolist() == [1, 2] and two[1] == 4
    assert len({x, x, one}) == 2 and x in {x: 1}
    assert (x == None) is False and (x != None) is True and (x == "a") is False  # noqa: E711
    assert (x == [1, 2]) is False


def test_sizes() -> None:
    x = tw.zeros(2, 3, 4)
    assert x.shape == (2, 3, 4) == x.size() and x.size(-1) == 4 and x.shape[1:] == (3, 4)
    assert isinstance(x.shape[1:], tw.Size) and (x.shape + x.shape).numel() == 576 and x.shape.numel() == 24
    assert x.numel() == x.nelement() == tw.numel(x) == 24 and x.dim() == x.ndim == 3
    assert x.element_size() == x.itemsize == 4 and x.nbytes == 96
    assert x.stride() == (12, 4, 1) and x.stride(0) == 12 and x.is_contiguous() and not x.mT.is_contiguous()
    assert x.is_floating_point() and not tw.is_floating_point(x.long())
    batch, *rest = x.shape
    assert batch == 2 and rest == [3, 4]
    with pytest.raises(OutOfRangeError, match=r"size needs a dim from -3 to 2 for a tensor of rank 3.*dim=3"):
        x.size(3)
    with pytest.raises(IndexError):
        x.size(-4)
    with pytest.raises(tw.ShapeError, match="size needs a tensor with axes"):
        tw.tensor(1).size(0)


def test_copies() -> None:
    x = tw.tensor([1.0, 2.0], requires_grad=True)
    x.grad = tw.ones(2)
    twin = copy.deepcopy({"a": x, "b": x})
    assert twin["a"] is twin["b"] and twin["a"] is not x and twin["a"].requires_grad
    assert twin["a"].grad is not x.grad and twin["a"].grad.tolist() == [1, 1]
    twin["a"].data[0] = 9
    assert x.tolist() == [1, 2]
    with pytest.raises(tw.StateError, match="deepcopy needs a leaf tensor"):
        copy.deepcopy(x * 2)
    again = pickle.loads(pickle.dumps(x))
    assert again.tolist() == [1, 2] and again.requires_grad and type(again) is tw.Tensor
    assert not pickle.loads(pickle.dumps(x * 2)).requires_grad


def test_views_share_memory() -> None:
    x = tw.arange(6.0)
    views = [
        x.view(2, 3),
        x[1:],
        x.reshape(3, 2),
        x.unsqueeze(0),
        x.detach(),
        x.data,
        x.flatten(),
        x.narrow(0, 0, 6),
    ]
    x.fill_(7)
    assert all((view == 7).all() for view in views)
    copies = [x.clone(), x.flip(0), x[[0, 1]], x[x > 0], x + 0, x.repeat(2), x.view(2, 3).t().reshape(-1)]
    x.fill_(8)
    assert all((made == 7).all() for made in copies)
    assert x.contiguous() is x and x.view(2, 3).t().contiguous().is_contiguous()


# --- errors ----------------------------------------------------------------------------------------------

X = tw.zeros(2, 3)
DEEPEST = tw.zeros((1,) * MOST_AXES)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: X + tw.zeros(2),
            tw.ShapeError,
            r"add needs shapes that broadcast.*Received: \(2, 3\) and \(2,\)",
        ),
        (lambda: tw.zeros(4) == X, tw.ShapeError, "eq needs shapes that broadcast"),
        (lambda: tw.where(X > 0, tw.zeros(4), X), tw.ShapeError, "where needs shapes that broadcast"),
        (lambda: tw.where(X, X, X), tw.DtypeError, "where needs a condition of bools"),
        (lambda: X + "a", tw.DtypeError, "add needs Tensors, NumPy arrays or numbers. Received: operand='a'"),
        (lambda: X * [1, 2, 3], tw.DtypeError, "mul needs Tensors, NumPy arrays or numbers"),
        (lambda: tw.add(1, 2), tw.DtypeError, "add needs a Tensor or a NumPy array"),
        (lambda: -(X > 0), tw.DtypeError, "neg needs numbers, not bools"),
        (lambda: (X > 0) - (X > 0), tw.DtypeError, "sub needs numbers, not two bools"),
        (lambda: ~X, tw.DtypeError, "bitwise_not needs bools or integers"),
        (lambda: X & 1, tw.DtypeError, "bitwise_and needs bools or integers"),
        (
            lambda: tw.arange(3) // 0,
            tw.ArgumentError,
            "floor_divide needs integers to be divided by other than 0",
        ),
        (lambda: tw.arange(3) % tw.arange(3), tw.ArgumentError, "remainder needs integers to be divided"),
        (lambda: tw.arange(3) ** -1, tw.ArgumentError, "pow needs an exponent of 0 or more for integers"),
        (lambda: tw.div(X, X, rounding_mode="up"), tw.ArgumentError, "div needs rounding_mode"),
        (lambda: X.clamp(), tw.ArgumentError, "clamp needs min, max or both"),
        (lambda: X.clamp(tw.zeros(5)), tw.ShapeError, "clamp needs shapes that broadcast"),
        (lambda: X @ X, tw.ShapeError, "matmul needs the last size of input to equal the last but one"),
        (lambda: X @ tw.zeros(2), tw.ShapeError, "the only size of other"),
        (lambda: X @ 2, tw.DtypeError, "matmul needs Tensors or NumPy arrays"),
        (lambda: X @ tw.tensor(2.0), tw.ShapeError, "matmul needs operands of rank 1 or more"),
        (
            lambda: tw.zeros(2, 2, 3) @ tw.zeros(3, 3, 1),
            tw.ShapeError,
            "matmul needs leading axes that broadcast",
        ),
        (lambda: (X > 0) @ (X.t() > 0), tw.DtypeError, "matmul needs numbers, not bools"),
        (lambda: X.mm(tw.zeros(3)), tw.ShapeError, "mm needs two matrices of rank 2"),
        (lambda: X.bmm(X), tw.ShapeError, "bmm needs two batches of rank 3"),
        (lambda: X.dot(X), tw.ShapeError, "dot needs two vectors"),
        (lambda: X.long().mean(), tw.DtypeError, "mean needs a floating dtype.*Use x.float"),
        (
            lambda: X.sum(2),
            IndexError,
            r"sum needs a dim from -2 to 1 for a tensor of rank 2. Received: dim=2.",
        ),
        (lambda: X.sum((0, 0)), tw.ArgumentError, "sum needs each dim once"),
        (lambda: X.sum("a"), tw.DtypeError, "sum needs dim as an int"),
        (lambda: tw.zeros(0, 2).max(), tw.ShapeError, "amax needs at least one element"),
        (lambda: tw.zeros(0, 2).argmax(0), tw.ShapeError, "argmax needs at least one element"),
        (lambda: X.norm("inf"), tw.ArgumentError, "norm needs a number or 'fro' as p"),
        (lambda: X.topk(4), tw.ShapeError, "topk needs k from 0 to the 3 elements"),
        (lambda: X.reshape(4, 2), tw.ShapeError, "reshape needs a shape that holds the 6 elements"),
        (lambda: X.reshape(-1, -1), tw.ShapeError, r"at most one size may be -1. Received: shape=\(-1, -1\)"),
        (lambda: X.view(4), tw.ShapeError, "view needs a shape that holds the 6 elements"),
        (lambda: X.t().view(-1), tw.ShapeError, "the order of the elements in memory allows.*reshape"),
        (lambda: X.view(tw.int32), tw.DtypeError, "view needs sizes: it does not reinterpret memory"),
        (lambda: X.view(np.float64), tw.DtypeError, r"Use x\.to\(dtype\) to convert the values"),
        (lambda: X.flatten(1, 0), tw.ArgumentError, "flatten needs start_dim before end_dim"),
        (lambda: X.unflatten(1, (2, 2)), tw.ShapeError, "unflatten needs sizes whose product is the 3"),
        (lambda: X.permute(0, 0), tw.ShapeError, "permute needs each axis of its input once"),
        (lambda: X.permute(0), tw.ShapeError, "permute needs each axis"),
        (lambda: tw.zeros(1, 2, 3).t(), tw.ShapeError, "t needs a tensor of rank 2 or less"),
        (lambda: X.expand(2, 4), tw.ShapeError, "expand needs sizes that stretch only axes of size 1"),
        (lambda: X.expand(3), tw.ShapeError, "expand needs sizes"),
        (lambda: X.repeat(2), tw.ShapeError, "repeat needs a count of 0 or more for each axis"),
        (lambda: X.movedim((0, 1), 0), tw.ArgumentError, "movedim needs as many sources"),
        (lambda: X.roll((1, 2), 0), tw.ArgumentError, "roll needs as many shifts as dims"),
        (lambda: tw.cat([]), tw.ArgumentError, "cat needs at least one tensor"),
        (
            lambda: tw.cat([X, tw.zeros(3, 2)]),
            tw.ShapeError,
            "cat needs tensors whose sizes agree on every axis but 0",
        ),
        (lambda: tw.cat([X, [1]]), tw.DtypeError, "cat needs Tensors or NumPy arrays"),
        (lambda: tw.cat([tw.tensor(1)]), tw.ShapeError, "cat needs tensors of rank 1 or more.*Use stack"),
        (lambda: tw.stack([X, X.t()]), tw.ShapeError, "stack needs tensors of one shape"),
        *(
            (
                call,
                tw.ShapeError,
                f"{name} needs a result of at most {MOST_AXES} axes. "
                f"Received: a result of {MOST_AXES + 1} axes.",
            )
            for name, call in {
                "stack": lambda: tw.stack([DEEPEST, DEEPEST]),
                "unsqueeze": lambda: DEEPEST.unsqueeze(-1),
                "indexing": lambda: DEEPEST[..., None],
                "unflatten": lambda: DEEPEST.unflatten(0, (1, 1)),
                "reshape": lambda: X.reshape(*[1] * (MOST_AXES - 1), 2, 3),
                "expand": lambda: X.expand(*[1] * (MOST_AXES - 1), 2, 3),
                "tile": lambda: X.tile((1,) * (MOST_AXES + 1)),
                "zeros": lambda: tw.zeros((1,) * (MOST_AXES + 1)),
            }.items()
        ),
        (
            lambda: DEEPEST[tw.zeros(1, 1).long()],
            tw.ShapeError,
            f"Index tensors need shapes that broadcast, and a result of at most {MOST_AXES} axes. "
            r"Received: \(1, 1\).",
        ),
        (
            lambda: X.split([1, 3], 0),
            tw.ShapeError,
            "split needs sizes that add up to the 2 elements of axis 0",
        ),
        (lambda: X.split(0), tw.ArgumentError, "split needs a size of 1 or more"),
        (lambda: X.chunk(0), tw.ArgumentError, "chunk needs 1 piece or more"),
        (lambda: tw.tensor(1).unbind(), tw.ShapeError, "unbind needs a tensor of rank 1 or more"),
        (
            lambda: X[2],
            IndexError,
            r"Index 2 lies outside axis 0 with size 2. Received: a tensor of shape \(2, 3\)",
        ),
        (lambda: X[0, 0, 0], IndexError, "A tensor of rank 2 takes at most 2 indices"),
        (lambda: X[..., 0, ...], IndexError, r"at most one '\.\.\.'"),
        (lambda: X[[0, 2]], IndexError, "Indices of axis 0 lie from -2 to 1"),
        (lambda: X[tw.tensor([True])], IndexError, "A mask at axis 0 needs the sizes of the axes"),
        (lambda: X[0.5], tw.DtypeError, "An index is made of ints, slices, None"),
        (lambda: X["a"], tw.DtypeError, "An index is made of"),
        (lambda: X[0.5:], tw.DtypeError, "indexing needs the ends of a slice as an int"),
        (lambda: X[tw.tensor([1], dtype=tw.uint8)], tw.DtypeError, "could mean a mask or numbers"),
        (
            lambda: X[tw.tensor([0, 1]), tw.tensor([0, 1, 2])],
            tw.ShapeError,
            "Index tensors need shapes that broadcast",
        ),
        (lambda: X.index_select(1, tw.tensor([3])), IndexError, "index_select needs indices from 0 to 2"),
        (
            lambda: X.index_select(1, tw.tensor([0.5])),
            tw.DtypeError,
            "index_select needs an index of integers",
        ),
        (
            lambda: X.gather(0, tw.zeros(1, dtype=tw.int64)),
            tw.ShapeError,
            "gather needs an index of its input's rank",
        ),
        (
            lambda: X.gather(0, tw.zeros(1, 4, dtype=tw.int64)),
            tw.ShapeError,
            "no larger than the input off axis 0",
        ),
        (lambda: X.gather(0, tw.full((1, 1), 2)), IndexError, "gather needs indices from 0 to 1"),
        (
            lambda: X.scatter_add(0, tw.full((1, 2), 0), tw.zeros(1, 1)),
            tw.ShapeError,
            "nor than the source anywhere",
        ),
        (lambda: X.masked_fill(X, 0), tw.DtypeError, "masked_fill needs a mask of bools"),
        (
            lambda: X.masked_fill(tw.tensor([True, False]), 0),
            tw.ShapeError,
            "masked_fill needs shapes that broadcast",
        ),
        (lambda: X.narrow(0, 1, 2), tw.ShapeError, "narrow needs a stretch within the 2 elements"),
        (lambda: X.diagonal(0, 0, 0), tw.ShapeError, "diagonal needs two axes"),
        (lambda: tw.zeros(3).tril(), tw.ShapeError, "tril needs a tensor of rank 2 or more"),
        (lambda: X.long().requires_grad_(), tw.DtypeError, "Gradients exist for floating dtypes only"),
        (lambda: X.retain_grad(), tw.StateError, "retain_grad needs a tensor that requires gradients"),
        (
            lambda: X.register_hook(print),
            tw.StateError,
            "register_hook needs a tensor that requires gradients",
        ),
        (lambda: tw.expand, AttributeError, "expand"),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    if error is not AttributeError:
        assert isinstance(caught.value, tw.TilewrightError)


def test_as_many_axes_as_arrays_have() -> None:
    """NumPy's own function for the shape of a result knows 32 axes only."""
    most = tw.zeros(*[1] * (MOST_AXES - 1), 2)
    assert (most + most).shape == most.shape and most.add_(1).shape == most.shape
    assert tw.where(most > 0, most, most).shape == most.clamp(0, 1).shape == most.shape
    assert (most @ most.mT).shape == (1,) * MOST_AXES
    assert most[0, None].shape == most.shape


# --- values without gradients ----------------------------------------------------------------------------


def test_integer_results() -> None:
    torch = pytest.importorskip("torch", reason="compares with PyTorch, which isn't installed")
    a = np.random.default_rng(0).integers(-5, 5, (4, 5)).astype(np.float32)
    x, y = tw.tensor(a), torch.tensor(a)
    for call in (
        lambda v, t: v.argmax(1),
        lambda v, t: v.argmin(0, keepdim=True),
        lambda v, t: v.argmax(),
        lambda v, t: v.max(1).indices,
        lambda v, t: t.sort(v, dim=1, stable=True).indices,
        lambda v, t: t.sort(v, dim=0, descending=True, stable=True).indices,
        lambda v, t: t.argsort(v, dim=1, stable=True),
        lambda v, t: (v > 0).sum(0),
        lambda v, t: (v > 0).any(1),
        lambda v, t: (v > -5).all(),
        lambda v, t: v.nonzero(),
        lambda v, t: t.count_nonzero(v, 1),
        lambda v, t: v.isnan() | (v / 0).isinf() | v.isfinite(),
        lambda v, t: (v / 0).isnan(),
        lambda v, t: t.logical_and(v, v > 2) ^ t.logical_not(v),
        lambda v, t: t.logical_xor(v, v > 2) & t.logical_or(v, v == 0),
        lambda v, t: v.long() // 3 + v.long() % 3,
        lambda v, t: t.div(v, 3, rounding_mode="floor") + t.div(v, 3, rounding_mode="trunc"),
        lambda v, t: t.div(v.long(), 3, rounding_mode="trunc"),
        lambda v, t: t.round(v / 7, decimals=2),
        lambda v, t: v.long() ^ 3 | 8 & v.long(),
    ):
        found, expected = call(x, tw), call(y, torch)
        assert_same(found, expected, rtol=1e-6, atol=0, reason="integers, or one rounding of float32")
        assert not found.requires_grad
    ours, theirs = tw.where(x > 0), torch.where(y > 0)
    for one, two in zip(ours, theirs, strict=True):
        assert_same(one, two, **EXACT)
    for one, two in zip(x.nonzero(as_tuple=True), y.nonzero(as_tuple=True), strict=True):
        assert_same(one, two, **EXACT)


def test_nan_and_infinity() -> None:
    torch = pytest.importorskip("torch", reason="compares with PyTorch, which isn't installed")
    a = np.array([[np.nan, 1, np.inf], [-np.inf, 0, -1], [-np.inf, -np.inf, -np.inf]])
    x, y = tw.tensor(a), torch.tensor(a)
    for call in (
        lambda v, t: v.relu(),
        lambda v, t: v.clamp(-0.5, 0.5),
        lambda v, t: v.max(1).values,
        lambda v, t: v.max(1).indices,
        lambda v, t: v.min(0).values,
        lambda v, t: v.argmax(),
        lambda v, t: v.amax(0),
        lambda v, t: t.maximum(v, v.flip(0)),
        lambda v, t: v.logsumexp(1),
        lambda v, t: v.log_softmax(1),
        lambda v, t: v.sigmoid(),
        lambda v, t: v.tanh(),
        lambda v, t: v.exp() / v,
        lambda v, t: v.log(),
        lambda v, t: t.sort(v, 1).values,
        lambda v, t: t.sort(v, 1, descending=True).values,
        lambda v, t: v.std(0),
        lambda v, t: v.mean(),
    ):
        assert_same(call(x, tw), call(y, torch), rtol=1e-12, atol=0, reason="float64: one or two roundings")


def test_indices_of_other_kinds() -> None:
    x = tw.arange(24).view(2, 3, 4)
    a = np.arange(24).reshape(2, 3, 4)
    assert_same(x[np.int64(1), np.array([0, 2])], a[1][[0, 2]], **EXACT)
    assert_same(x[True], a[True], **EXACT)
    assert_same(x[tw.tensor(False)], a[False], **EXACT)
    assert_same(x[x > 100], a[a > 100], **EXACT)
    assert_same(x[[]], a[[]], **EXACT)
    assert_same(x[range(1)], a[[0]], **EXACT)
    assert_same(x[:, ::-1], a[:, ::-1], **EXACT)
    assert_same(x[[slice(0, 1), 2]], a[0:1, 2], **EXACT)
    assert_same(x[None, tw.tensor([[0, 1], [1, 0]])], a[None, [[0, 1], [1, 0]]].squeeze(0)[None], **EXACT)
    assert_same(x[-1, ..., -1], a[-1, ..., -1], **EXACT)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, w: x @ w,
        lambda x, w: x[:, None] @ w,
        lambda x, w: x @ w[:, 0],
        lambda x, w: x.exp(),
        lambda x, w: x.tanh() * x.sigmoid(),
        lambda x, w: (x.abs() + 1).log().sin(),
        lambda x, w: x.sum(1),
        lambda x, w: x.var(1),
        lambda x, w: x.softmax(1),
        lambda x, w: x.view(-1, 3, 67).mean((1, 2)),
        lambda x, w: x.view(-1, 3, 67).amax(1).cumsum(1),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sample_has_the_same_bits_in_any_batch(function: Any, dtype: str) -> None:
    source = np.random.default_rng(0)
    x = tw.tensor(source.standard_normal((150, 201)), dtype=dtype)
    w = tw.tensor(source.standard_normal((201, 7)), dtype=dtype)
    whole = function(x, w)
    for start, stop in ((0, 1), (3, 5), (60, 70), (149, 150), (1, 130)):
        assert_same(function(x[start:stop], w), whole[start:stop], rtol=0, atol=0, reason="the same bits")


def test_inputs_of_every_layout() -> None:
    source = np.random.default_rng(0).standard_normal((6, 8))
    read_only = source[::2, ::-2].copy()
    read_only.flags.writeable = False
    for array in (source[::2, ::-2], np.asfortranarray(source[::2, ::-2]), read_only):
        before = array.copy()
        x = tw.from_numpy(array).requires_grad_()
        ((x @ x.t()).exp() + x.sum()).mean().backward()
        y = tw.tensor(source[::2, ::-2].copy(), requires_grad=True)
        ((y @ y.t()).exp() + y.sum()).mean().backward()
        assert_same(x.grad, y.grad, rtol=1e-12, atol=0, reason="float64 sums in another order of memory")
        assert_same(array, before, **EXACT)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("rows", "inner", "columns"), [(64, 100, 500), (70, 33, 7), (5, 784, 10), (9, 300, 1)]
)
def test_a_rows_bits_do_not_depend_on_its_place(dtype: Any, rows: int, inner: int, columns: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, inner)).astype(dtype)
    y = tw.tensor(rng.standard_normal((inner, columns)).astype(dtype))
    order = rng.permutation(rows)
    whole = (tw.tensor(x) @ y).numpy()
    shuffled = (tw.tensor(x[order]) @ y).numpy()
    assert_same(shuffled, whole[order], rtol=0, atol=0, reason="the same bits")
