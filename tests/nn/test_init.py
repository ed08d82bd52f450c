"""Initialisers: fans, bounds, variances, and the start that layers have without being asked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright import nn
from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.nn import init
from tilewright.op.random import Generator


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    state = tw.get_rng_state()
    tw.manual_seed(1234)
    yield
    tw.set_rng_state(state)


def values(tensor: Any) -> np.ndarray[Any, Any]:
    return tensor.detach().numpy().astype(np.float64).reshape(-1)


def assert_moments(found: np.ndarray[Any, Any], mean: float, variance: float, *, normal: bool) -> None:
    """Mean and variance within six of their standard deviations, which no seed of ours is likely to leave."""
    n = found.size
    assert abs(found.mean() - mean) < 6 * math.sqrt(variance / n)
    # The variance of a sample variance is about (kurtosis − 1)·variance²/n: kurtosis 3 normal, 9/5 uniform.
    spread = 2.0 if normal else 0.8
    assert abs(found.var() - variance) < 6 * variance * math.sqrt(spread / n)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((4, 3), (3, 4)), ((6, 2, 5), (10, 30)), ((6, 1, 5, 5), (25, 150)), ((8, 4, 3, 3, 3, 3), (324, 648))],
)
def test_fans_of_any_rank(shape: tuple[int, ...], expected: tuple[int, int]) -> None:
    assert init.fans(tw.zeros(*shape)) == expected


def test_fans_need_two_axes() -> None:
    for fill in (init.xavier_uniform_, init.kaiming_normal_, init.orthogonal_, init.fans):
        with pytest.raises(ShapeError) as error:
            fill(tw.zeros(3))
        assert str(error.value) == (
            "A fan needs a weight with at least two axes (out, in, *kernel). "
            "Received: a weight with shape (3,)."
        )


# fan_in = 32·9 = 288, fan_out = 64·9 = 576; 18,432 values.
SHAPE, FAN_IN, FAN_OUT = (64, 32, 3, 3), 288, 576


@pytest.mark.parametrize(
    ("fill", "variance", "normal"),
    [
        (init.xavier_uniform_, 2 / (FAN_IN + FAN_OUT), False),
        (init.xavier_normal_, 2 / (FAN_IN + FAN_OUT), True),
        (lambda w: init.xavier_uniform_(w, gain=2.0), 8 / (FAN_IN + FAN_OUT), False),
        (init.kaiming_uniform_, 2 / FAN_IN, False),
        (init.kaiming_normal_, 2 / FAN_IN, True),
        (lambda w: init.kaiming_normal_(w, mode="fan_out"), 2 / FAN_OUT, True),
        (lambda w: init.kaiming_uniform_(w, a=math.sqrt(5)), 1 / (3 * FAN_IN), False),
        (lambda w: init.kaiming_normal_(w, nonlinearity="tanh"), 25 / 9 / FAN_IN, True),
        (init.lecun_uniform_, 1 / FAN_IN, False),
        (init.lecun_normal_, 1 / FAN_IN, True),
        (init.uniform_, 1 / 12, False),
        (init.normal_, 1.0, True),
    ],
)
def test_variances_are_the_papers(fill: Any, variance: float, normal: bool) -> None:
    weight = tw.zeros(*SHAPE)
    assert fill(weight) is weight
    mean = 0.5 if fill is init.uniform_ else 0.0
    found = values(weight)
    assert_moments(found, mean, variance, normal=normal)
    if not normal:
        bound = math.sqrt(3 * variance)
        assert np.abs(found - mean).max() <= bound * (1 + 1e-6)  # one rounding to float32
        # The largest of 18,432 uniform values: closer to the bound than one part in a thousand.
        assert np.abs(found - mean).max() > 0.999 * bound


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("glorot", 2 / (FAN_IN + FAN_OUT)),
        ("glorot_uniform", 2 / (FAN_IN + FAN_OUT)),
        ("glorot_normal", 2 / (FAN_IN + FAN_OUT)),
        ("xavier", 2 / (FAN_IN + FAN_OUT)),
        ("he", 2 / FAN_IN),
        ("he_uniform", 2 / FAN_IN),
        ("he_normal", 2 / FAN_IN),
        ("kaiming", 2 / FAN_IN),
        ("lecun", 1 / FAN_IN),
        ("lecun_uniform", 1 / FAN_IN),
        ("lecun_normal", 1 / FAN_IN),
    ],
)
def test_by_name(name: str, variance: float) -> None:
    weight = init.by_name(name, tw.zeros(*SHAPE))
    assert_moments(values(weight), 0.0, variance, normal=True)


def test_every_name_fills_and_takes_a_generator() -> None:
    for name in init.NAMES:
        one = init.by_name(name, tw.zeros(4, 3, 2), generator=Generator(5))
        two = init.by_name(name, tw.zeros(4, 3, 2), generator=Generator(5))
        assert one.equal(two) and values(one).any(), name


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ArgumentError) as error:
        init.by_name("glorott", tw.zeros(2, 2))
    assert str(error.value).startswith("by_name needs name to be one of 'glorot', 'glorot_uniform'")
    assert str(error.value).endswith("Received: name='glorott'.")
    with pytest.raises(ArgumentError, match="kaiming_uniform_ needs mode to be one of 'fan_in', 'fan_out'"):
        init.kaiming_uniform_(tw.zeros(2, 2), mode="in")
    with pytest.raises(
        ArgumentError, match="calculate_gain needs nonlinearity to be one of 'linear', 'conv1d'"
    ):
        init.calculate_gain("gelu")


def test_gains() -> None:
    assert (
        init.calculate_gain("linear") == init.calculate_gain("conv2d") == init.calculate_gain("sigmoid") == 1
    )
    assert init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("leaky_relu", 0.2) == math.sqrt(2 / 1.04)
    assert init.calculate_gain("leaky_relu") == math.sqrt(2 / 1.0001)
    assert init.calculate_gain("selu") == 0.75


def test_gains_agree_with_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch, to compare with")
    for name in init._NONLINEARITIES:
        assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name), name


@pytest.mark.parametrize(
    ("bounds", "mean", "std"),
    [
        ((-2, 2), 0.0, 1.0),
        ((-0.1, 0.2), 0.0, 1.0),
        ((3.0, 9.0), 0.0, 1.0),
        ((-9, -3), 0, 1),
        ((1.0, 1.5), 2.0, 0.5),
    ],
)
def test_truncated_normals(bounds: tuple[float, float], mean: float, std: float) -> None:
    low, high = bounds
    weight = init.trunc_normal_(tw.zeros(100, 400), mean, std, low, high)
    found = values(weight)
    assert found.min() >= low - 1e-6 and found.max() <= high + 1e-6
    # The moments by summing the curve itself between the bounds.
    grid = np.linspace(low, high, 200_001)
    curve = np.exp(-(((grid - mean) / std) ** 2) / 2)
    curve /= curve.sum()
    expected = float((grid * curve).sum())
    variance = float(((grid - expected) ** 2 * curve).sum())
    assert abs(found.mean() - expected) < 6 * math.sqrt(variance / found.size)
    # No truncated normal's fourth moment exceeds nine variances squared, an exponential curve's.
    assert abs(found.var() - variance) < 6 * variance * math.sqrt(8 / found.size)


def test_truncated_normals_need_sensible_bounds() -> None:
    with pytest.raises(ArgumentError) as error:
        init.trunc_normal_(tw.zeros(2), a=1, b=1)
    assert str(error.value) == ("trunc_normal_ needs std above 0 and a below b. Received: std=1.0, a=1, b=1.")
    with pytest.raises(ArgumentError):
        init.trunc_normal_(tw.zeros(2), std=0)


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (7, 3), (6, 2, 3, 3), (30, 2, 3)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    weight = init.orthogonal_(tw.zeros(*shape), gain=2.0).numpy().astype(np.float64).reshape(shape[0], -1)
    rows, columns = weight.shape
    product = weight @ weight.T if rows <= columns else weight.T @ weight
    # float32 rounds each of at most 60 products of a sum.
    assert np.abs(product - 4 * np.eye(min(rows, columns))).max() < 1e-5


def test_constants() -> None:
    weight = tw.zeros(2, 3)
    assert init.ones_(weight).tolist() == [[1.0] * 3] * 2
    assert init.constant_(weight, 0.5) is weight and weight.sum().item() == 3
    assert init.zeros_(weight).sum().item() == 0


def test_parameters_can_be_filled_while_the_tape_is_on() -> None:
    layer = nn.Linear(3, 3)
    init.constant_(layer.weight, 2.0)
    assert layer.weight.is_leaf and layer.weight.requires_grad and layer.weight.sum().item() == 18


def test_only_floating_tensors_are_filled() -> None:
    with pytest.raises(
        DtypeError, match=r"^An initialiser fills a floating Tensor. Received: tensor with shape \(2,\)"
    ):
        init.ones_(tw.zeros(2, dtype=tw.int64))


def test_float64_weights_are_drawn_in_float64() -> None:
    weight = init.normal_(tw.zeros(100, dtype=tw.float64))
    assert weight.dtype == np.float64
    assert (weight.numpy() != weight.numpy().astype(np.float32)).all()


@pytest.mark.parametrize(
    ("build", "fan_in"),
    [
        (lambda: nn.Linear(400, 120), 400),
        (lambda: nn.Conv2d(16, 64, 5), 400),
        (lambda: nn.Conv2d(16, 512, 5, groups=4), 100),
        (lambda: nn.Conv1d(40, 1000, 3), 120),
        (lambda: nn.Conv3d(3, 500, (2, 3, 5)), 90),
        # PyTorch takes the second axis for the inputs here too.
        (lambda: nn.ConvTranspose2d(64, 16, 5), 400),
    ],
)
def test_layers_start_as_in_pytorch(build: Any, fan_in: int) -> None:
    layer = build()
    bound = 1 / math.sqrt(fan_in)
    weight, bias = values(layer.weight), values(layer.bias)
    assert np.abs(weight).max() <= bound * (1 + 1e-6)  # one rounding to float32
    assert np.abs(weight).max() > 0.999 * bound  # of at least 24,000 values
    assert_moments(weight, 0.0, bound**2 / 3, normal=False)
    assert np.abs(bias).max() <= bound * (1 + 1e-6)
    # All of n uniform values are below 0.45 of the bound with probability 0.45ⁿ: at n = 16 that is 3e-6.
    assert np.abs(bias).max() > 0.45 * bound


def test_one_seed_gives_one_network() -> None:
    tw.manual_seed(3)
    one = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(5, 2))
    tw.manual_seed(3)
    two = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(5, 2))
    three = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(5, 2))
    for (_, p), (_, q), (_, r) in zip(
        one.named_parameters(), two.named_parameters(), three.named_parameters(), strict=True
    ):
        assert p.equal(q) and not p.equal(r)
