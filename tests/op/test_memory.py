"""Memory for results: exactly NumPy's layouts, whatever the operands', and the same numbers in blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tilewright.kernel import buffers
from tilewright.op import memory
from tilewright.op.activation import relu, relu_gradient
from tilewright.op.select import select

Array = np.ndarray[Any, Any]
F32 = np.dtype(np.float32)


def _some_layout(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Random numbers of ``shape`` that lie in memory in some order, with gaps, or backwards."""
    order = generator.permutation(len(shape))
    moved = generator.standard_normal([shape[axis] for axis in order], np.float32)
    array: Array = moved.transpose(np.argsort(order))
    kind = generator.integers(6)
    if kind <= 1:
        return np.ascontiguousarray(array)
    if kind == 2:
        return np.repeat(array, 2, axis=-1)[..., ::2]
    if kind == 3:
        return array[tuple(slice(None, None, generator.choice([1, -1])) for _ in shape)]
    return array


def _layout(array: Array) -> list[int]:
    """Strides of the axes that have any."""
    return [stride for stride, size in zip(array.strides, array.shape, strict=True) if size > 1]


def _operands(generator: np.random.Generator, count: int) -> list[Array]:
    """Arrays that broadcast to one shape, some of them to it only."""
    shape = tuple(int(size) for size in generator.choice([1, 2, 3, 5], generator.integers(1, 5)))
    found = []
    for _ in range(count):
        own = tuple(1 if generator.random() < 0.25 else size for size in shape)
        array = _some_layout(
            generator, own[generator.integers(len(own)) if generator.random() < 0.2 else 0 :]
        )
        found.append(np.broadcast_to(array, shape) if generator.random() < 0.15 else array)
    return found


@pytest.mark.parametrize("function", [np.exp, np.add, np.clip], ids=lambda f: f.__name__)
def test_results_lie_as_numpy_lays_them(function: Callable[..., Array]) -> None:
    generator = np.random.default_rng(7)
    given = 0
    for _ in range(1500):
        operands = _operands(generator, {np.exp: 1, np.add: 2, np.clip: 3}[function])
        expected = function(*operands)
        found = memory.room(F32, *operands, least=0)
        if found is not None:
            given += 1
            assert (found.shape, _layout(found)) == (expected.shape, _layout(expected))
        always = memory.result(F32, *operands)
        assert (always.shape, _layout(always)) == (expected.shape, _layout(expected))
        copied = memory.empty_like(operands[0])
        assert _layout(copied) == _layout(np.empty_like(operands[0]))
    # Most operands of a network lie well; the rest is NumPy's to lay out.
    assert given > 1000


def test_shapes_that_do_not_fit_are_left_to_numpy() -> None:
    assert memory.room(F32, np.ones((2, 3), F32), np.ones((4,), F32)) is None
    with pytest.raises(ValueError, match="could not be broadcast together"):
        memory.pooled(np.add)(np.ones((200, 300), F32), np.ones((4,), F32))


def test_small_results_are_numpys_own() -> None:
    x = np.ones((4, 5), F32)
    assert memory.room(F32, x, x) is None
    assert memory.pooled(np.add)(x, x).base is None
    assert memory.copy(x).base is None


_LARGE = (3, 8, 40, 50)


@pytest.mark.parametrize("layout", ["rows", "channels last"])
def test_large_results_are_pooled(layout: str) -> None:
    x = np.random.default_rng(0).standard_normal(_LARGE, np.float32)
    if layout == "channels last":
        x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    bias = np.arange(8, dtype=F32).reshape(8, 1, 1)
    before = buffers.statistics()
    pairs: list[tuple[Array, Array]] = [
        (memory.pooled(np.add)(x, x), x + x),
        (memory.pooled(np.multiply)(x, bias), x * bias),
        (memory.pooled(np.multiply)(np.float32(3), x), np.float32(3) * x),
        (memory.pooled(np.exp)(x), np.exp(x)),
        (memory.pooled(np.less, np.bool_)(x, x[:, ::-1]), x < x[:, ::-1]),
        (memory.copy(x), np.array(x)),
        (memory.zeros_like(x), np.zeros_like(x)),
    ]
    made = 0
    for found, expected in pairs:
        assert found.dtype == expected.dtype and _layout(found) == _layout(expected)
        assert np.array_equal(found, expected)
        made += found.nbytes >= buffers.LARGE and found.base is not None
    after = buffers.statistics()
    # One operand of the comparison runs backwards; beside channels last NumPy lays that out itself.
    assert after.fresh + after.reused - before.fresh - before.reused >= made - 1 >= 5
    in_order = memory.copy_in_c_order(x)
    assert in_order.flags.c_contiguous and np.array_equal(in_order, x)
    zeros = memory.zeros((40, 1000), np.int64)
    assert zeros.base is not None and zeros.dtype == np.int64 and not zeros.any()


def test_mixed_dtypes_promote_as_in_numpy() -> None:
    x = np.ones((200, 300), F32)
    whole = np.ones((200, 300), np.int64)
    for first, second in ((x, whole), (whole, whole), (whole, x), (x, np.float64(2))):
        found, expected = memory.pooled(np.add)(first, second), np.add(first, second)
        assert found.dtype == expected.dtype and np.array_equal(found, expected)


def _steps(out: Array, x: Array, y: Array, scale: Any, room: Array) -> None:
    np.multiply(x, scale, out=room)
    np.exp(y, out=out)
    np.add(room, out, out=out)


@pytest.mark.parametrize(
    "size", [1, 5, memory.BLOCK - 1, memory.BLOCK, memory.BLOCK + 1, 3 * memory.BLOCK + 7]
)
@pytest.mark.parametrize("layout", ["rows", "transposed", "gaps", "stretched", "one transposed"])
def test_blocks_change_nothing(size: int, layout: str) -> None:
    generator = np.random.default_rng(size)
    x, y = generator.standard_normal((2, 2, size), np.float32)
    if layout in ("transposed", "one transposed"):
        x = np.ascontiguousarray(x.T).T
    if layout == "transposed":
        y = np.ascontiguousarray(y.T).T
    elif layout == "gaps":
        y = np.repeat(y, 3, axis=1)[:, ::3]
    elif layout == "stretched":
        y = y[:1]
    kept = x.copy(), y.copy()
    found = memory.in_blocks(_steps, x, y, F32.type(3), rooms=1)
    expected = x * F32.type(3) + np.exp(y)
    assert found.dtype == F32 and np.array_equal(found, expected)
    assert _layout(found) == _layout(x + y)
    assert np.array_equal(x, kept[0]) and np.array_equal(y, kept[1])


@pytest.mark.parametrize("shape", [(), (0,), (3, 0)])
def test_blocks_of_nothing_and_of_one(shape: tuple[int, ...]) -> None:
    x = np.full(shape, 0.5, F32)
    found = memory.in_blocks(_steps, x, x, F32.type(2), rooms=1)
    assert found.shape == shape and np.array_equal(found, np.asarray(x * 2 + np.exp(x)))


# --- what is built on it ----------------------------------------------------------------------------------

_SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45, 3.0, -3.0]


def _special(shape: tuple[int, ...], dtype: Any, shift: int) -> Array:
    count = int(np.prod(shape))
    return np.resize(np.roll(np.array(_SPECIAL, dtype), shift), count + 5)[5:].reshape(shape)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (9,), (2, 3, 40, 50), (2, 3, 80, 151)])
def test_relu_and_its_gradient(shape: tuple[int, ...], dtype: Any) -> None:
    x = _special(shape, dtype, 0)
    y = relu(x)
    zero = np.zeros((), dtype)
    assert y.dtype == dtype and np.array_equal(y, np.maximum(x, zero), equal_nan=True)
    for shift in range(9):
        g = _special(shape, dtype, shift)
        found, expected = relu_gradient(g, y), np.where(y <= 0, zero, g)
        assert found.dtype == dtype and np.array_equal(found, expected, equal_nan=True)
        # No −0 where nothing passes, and the sign of g where it does.
        numbers = ~np.isnan(expected)
        assert np.array_equal(np.signbit(found)[numbers], np.signbit(expected)[numbers])


def test_relu_of_whole_numbers() -> None:
    x = np.arange(-20000, 20000, dtype=np.int32)
    assert relu(x).dtype == np.int32 and np.array_equal(relu(x), np.maximum(x, 0))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (9,), (3, 80, 151)])
def test_select_moves_bits(shape: tuple[int, ...], dtype: Any) -> None:
    one, other = _special(shape, dtype, 1), _special(shape, dtype, 5)
    condition = np.resize([True, False, False, True, True], shape)
    cases: list[tuple[Any, Any]] = [
        (one, other),
        (one, 0.0),
        (0.0, other),
        (one, -0.0),
        (2.5, other),
        (one, 7.0),
    ]
    for chosen, otherwise in cases:
        found = select(condition, chosen, otherwise, dtype)
        expected = np.where(condition, np.asarray(chosen, dtype), np.asarray(otherwise, dtype))
        assert found.dtype == dtype and found.tobytes() == expected.tobytes()
