"""Which arrays compiled passes serve, and that NumPy gives the same where they don't."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
import tilewright.functional as F
from tilewright import nn
from tilewright.kernel import jit
from tilewright.op import activation, fused, passes
from tilewright.plan import compiled

pytestmark = pytest.mark.skipif(not jit.available(), reason="nothing can be compiled here")

EXACT = {"rtol": 0, "atol": 0, "reason": "each operation is rounded on its own, as in NumPy"}


def a_few_units(dtype: Any) -> dict[str, Any]:
    """For activations that are within 5 units of the exact value, compiled and in NumPy."""
    eps = float(np.finfo(dtype).eps)
    return {"rtol": 10 * eps, "atol": 10 * eps, "reason": "two polynomials for the same function"}


def normal(shape: tuple[int, ...], seed: int, dtype: Any = np.float32) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


#: g and y from a pair of arrays of shape (6, 8, 30, 40), more than 32 KiB: as they are, and in other layouts.
LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "C order": lambda x: x,
    "Fortran order": np.asfortranarray,
    "channels last": lambda x: np.ascontiguousarray(np.moveaxis(x, 1, -1)).swapaxes(1, -1).swapaxes(2, 3),
    "every second": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "backwards": lambda x: x[::-1].copy()[::-1],
    "spread": lambda x: np.broadcast_to(x[:, :, :1], x.shape),
    "unaligned": lambda x: _unaligned(x),
    "read-only": lambda x: _read_only(x),
}


def _unaligned(x: Any) -> Any:
    bytes = np.zeros(x.nbytes + 1, np.uint8)
    found = bytes[1:].view(x.dtype).reshape(x.shape)
    found[...] = x
    return found


def _read_only(x: Any) -> Any:
    found = x.copy()
    found.flags.writeable = False
    return found


GRADIENTS = {
    "tanh": fused.tanh_gradient,
    "sigmoid": fused.sigmoid_gradient,
    "relu": activation.relu_gradient,
    "leaky_relu": lambda g, y: activation.leaky_relu_gradient(g, y, 0.01),
    "silu": activation.silu_gradient,
    "gelu": activation.gelu_gradient,
}
FORWARDS = {
    "relu": activation.relu,
    "leaky_relu": lambda x: activation.leaky_relu(x, 0.01),
    "sigmoid": activation.sigmoid,
    "silu": activation.silu,
    "gelu": activation.gelu,
}
#: First words of the names of compiled passes.
PASSES = {"moments", "scaled", "curve", "slopes", "sums", "sgd", "softmax"}
SMOOTH = {"sigmoid", "silu", "gelu"}


def without_kernels(monkeypatch: pytest.MonkeyPatch, function: Callable[[], Any]) -> Any:
    with monkeypatch.context() as patch:
        patch.setattr(compiled, "serves", lambda dtype: False)
        return function()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", list(LAYOUTS))
@pytest.mark.parametrize("name", list(GRADIENTS))
def test_gradients_in_any_layout(name: str, layout: str, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gradient = GRADIENTS[name]
    g, y = normal((6, 8, 30, 40), 1, dtype), normal((6, 8, 30, 40), 2, dtype)
    expected = without_kernels(monkeypatch, lambda: gradient(g, y))
    tolerance = a_few_units(dtype) if name in ("silu", "gelu") else EXACT
    for other in ("C order", layout):
        here, there = LAYOUTS[layout](g), LAYOUTS[other](y)
        before = here.copy(), there.copy()
        found = gradient(here, there)
        wanted = without_kernels(monkeypatch, lambda here=here, there=there: gradient(here, there))
        assert_same(found, wanted, **tolerance)
        assert found.strides == wanted.strides, "laid out as NumPy lays it out"
        assert found.flags.writeable and not np.shares_memory(found, here)
        assert_same(here, before[0], **EXACT)
        assert_same(there, before[1], **EXACT)
        if layout != "spread":
            assert_same(found, expected, **tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", list(LAYOUTS))
@pytest.mark.parametrize("name", list(FORWARDS))
def test_activations_in_any_layout(
    name: str, layout: str, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = LAYOUTS[layout](normal((6, 8, 30, 40), 3, dtype))
    function = FORWARDS[name]
    found, wanted = function(x), without_kernels(monkeypatch, lambda: function(x))
    assert_same(found, wanted, **(a_few_units(dtype) if name in SMOOTH else EXACT))
    assert found.strides == wanted.strides
    # The same bits as in C order, and as in an array of one element.
    assert_same(found, function(np.array(x, order="C")), **EXACT)
    assert_same(found[2:3, 3:4, 4:5, 5:6], function(np.array(x[2:3, 3:4, 4:5, 5:6])), **EXACT)


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0, 4), (5, 1, 7), (1, 1, 1, 1, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", list(FORWARDS))
def test_small_shapes(name: str, shape: tuple[int, ...], dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x, g = normal(shape, 4).astype(dtype), normal(shape, 5).astype(dtype)
    x, g = np.asarray(x, dtype), np.asarray(g, dtype)
    tolerance = a_few_units(dtype)
    for function in (lambda: FORWARDS[name](x), lambda: GRADIENTS[name](g, x)):
        found = function()
        assert isinstance(found, np.ndarray)
        assert_same(found, without_kernels(monkeypatch, function), **tolerance)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "silu", "leaky_relu"])
def test_other_dtypes_and_byte_orders_are_for_numpy(name: str) -> None:
    x = normal((9000,), 6)
    foreign = x.astype(x.dtype.newbyteorder())
    for other in (x.astype(np.float16), foreign, x.astype(np.int32)):
        assert passes.curved("sigmoid", other) is None
        assert passes.sloped("tanh", other, other) is None
        assert passes.channel_sums(other.reshape(10, 9, 100)) is None
    # float16 has always been taken by the gradients.
    half = GRADIENTS[name](x.astype(np.float16), x.astype(np.float16))
    assert half.dtype == np.float16
    # Half of float16's digits go in the steps of the formulas.
    full = GRADIENTS[name](x, x)
    assert_same(half.astype(np.float32), full, rtol=0.02, atol=0.02, reason="computed in float16")


def test_shapes_that_broadcast_are_for_numpy() -> None:
    g, y = normal((100, 200), 7), normal((200,), 8)
    assert passes.sloped("tanh", g, y) is None
    assert passes.curved("silu", g, y) is None
    assert_same(fused.tanh_gradient(g, y), g * (1 - y * y), **EXACT)
    assert_same(
        fused.tanh_gradient(g, y.astype(np.float64)), g * (1 - y.astype(np.float64) ** 2).astype(np.float32),
        rtol=1e-6, atol=1e-6, reason="a float64 factor, rounded once more",
    )  # fmt: skip


def test_numbers_of_numpys_are_no_arrays() -> None:
    one = np.float32(0.5)
    assert passes.curved("sigmoid", one) is None  # type: ignore[arg-type]
    assert float(activation.sigmoid(np.asarray(one))) == pytest.approx(0.62245935)


# -- sums ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name not in ("spread",)])
def test_channel_sums(layout: str, dtype: Any) -> None:
    x = LAYOUTS[layout](normal((6, 8, 30, 40), 9, dtype) + dtype(0.5))
    found = passes.channel_sums(x)
    if layout in ("C order", "channels last", "read-only"):
        assert found is not None
        assert found.flags.writeable
    else:
        assert found is None
        return
    exact = x.astype(np.longdouble).sum(axis=(0, 2, 3)).astype(dtype)
    eps = float(np.finfo(dtype).eps)
    # 7200 numbers of about 1/2, added as said in tests/kernel/elementwise/test_sums.py.
    assert_same(found, exact, rtol=4 * eps, atol=0, reason="the sum of few roundings")


def test_channel_sums_that_numpy_does() -> None:
    assert passes.channel_sums(normal((100, 1000), 1)) is None, "nothing behind the channels"
    assert passes.channel_sums(normal((2, 3, 4), 1)) is None, "small"
    assert passes.channel_sums(normal((2, 0, 4), 1)) is None
    last = np.moveaxis(normal((50, 50, 50, 2), 1), -1, 1)
    assert passes.channel_sums(last) is None, "two channels innermost"


def test_a_sum_too_large_is_infinite_without_a_warning() -> None:
    x = np.full((2, 3, 4000), 3e38, np.float32)
    x[:, 1] *= -1
    x[:, 2] = 0
    found = passes.channel_sums(x)
    assert_same(found, np.array([np.inf, -np.inf, 0], np.float32), **EXACT)


def test_a_residual_networks_step_needs_few_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each takes 10 to 30 ms to compile, once on a machine; convolutions have theirs counted in
    # tests/kernel/test_tiles.py.
    asked: set[str] = set()
    address = jit.address

    def counted(name: str, *more: Any) -> int:
        asked.add(name)
        return address(name, *more)

    monkeypatch.setattr(jit, "address", counted)
    model = nn.models.resnet20()
    optimizer = tw.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    logits = model(tw.tensor(normal((16, 3, 32, 32), 1)))
    F.cross_entropy(logits, np.arange(16) % 10).backward()
    optimizer.step()
    passes = {name for name in asked if name.split("_")[0] in PASSES}
    assert len(passes) <= 12, sorted(passes)
