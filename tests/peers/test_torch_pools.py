"""Pools and unpools of every kind against PyTorch: outputs, gradients and double gradients in float64.

Cases are drawn from seeds, so each is the same in every run. What PyTorch has no arguments for (asymmetric
padding, `same` at any stride, dilated averages and norms) is put together from its other functions.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
import tilewright.functional as F
from tilewright.geometry import PoolDims

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")
import torch.nn.functional as TF  # noqa: E402 - after the skip

# Its threads cost more than these small arrays do.
torch.set_num_threads(1)

Array = np.ndarray[Any, Any]
Pool = Callable[[Any], Any]

# Of each of the nine kinds below.
CASES = 120
_EXACT = {"rtol": 0, "atol": 0, "reason": "samples are copied, positions are exact"}


def _same(ours: Any, theirs: Any, what: str) -> None:
    # Powers of a sample near 0, or of a small sum, multiply the rounding of what they are made of.
    assert_same(ours, theirs, rtol=1e-8, atol=1e-9, reason=f"{what}: the same sums in another order, float64")


def _compare(ours: Pool, theirs: Pool, x: Array, rng: np.random.Generator, what: str) -> None:
    """Outputs, gradients, and both gradients of the gradient."""

    def run(module: Any, pool: Pool, grad: Any) -> tuple[Any, Any, list[Any]]:
        source = module.tensor(x, requires_grad=True)
        y = pool(source)
        start = module.tensor(upstream(tuple(y.shape)), requires_grad=True)
        (first,) = grad(y, source, start, create_graph=True)
        second = grad((first * module.tensor(direction)).sum(), [source, start], allow_unused=True)
        zeros = (np.zeros(x.shape), np.zeros(tuple(y.shape)))
        # What doesn't depend on something has no gradient there, or one of zeros.
        return y, first, [z if g is None else g.detach().numpy() for g, z in zip(second, zeros, strict=True)]

    drawn: dict[tuple[int, ...], Array] = {}

    def upstream(shape: tuple[int, ...]) -> Array:
        return drawn.setdefault(shape, rng.standard_normal(shape))

    direction = rng.standard_normal(x.shape)
    mine, other = run(tw, ours, tw.autograd.grad), run(torch, theirs, torch.autograd.grad)
    _same(mine[0].detach(), other[0], f"{what}, output")
    _same(mine[1].detach(), other[1], f"{what}, gradient")
    for number, name in enumerate(("input", "upstream")):
        _same(mine[2][number], other[2][number], f"{what}, double gradient of the {name}")


class _Draw:
    """One random geometry: what a seed decides."""

    def __init__(self, seed: int, *, dilated: bool) -> None:
        rng = self.rng = np.random.default_rng(seed)
        rank = self.rank = int(rng.integers(1, 4))
        self.kernel = tuple(int(k) for k in rng.integers(1, 5 if rank < 3 else 4, rank))
        self.stride = tuple(int(s) for s in rng.integers(1, 5, rank))
        self.dilation = tuple(int(d) for d in rng.integers(1, 4, rank)) if dilated else (1,) * rank
        # PyTorch's bound for padding.
        self.padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in self.kernel)
        self.ceil = bool(rng.integers(2))
        longest = {1: 20, 2: 9, 3: 6}[rank]
        self.spatial = tuple(
            max(int(rng.integers(1, longest)), d * (k - 1) + 1)
            for d, k in zip(self.dilation, self.kernel, strict=True)
        )
        batch = () if rng.integers(4) == 0 else (int(rng.integers(1, 3)),)
        self.shape = (*batch, int(rng.integers(1, 4)), *self.spatial)

    def values(self) -> Array:
        """Normal samples, in one case of four laid out otherwise than in row order."""
        x = self.rng.standard_normal(self.shape)
        return np.asfortranarray(x) if self.rng.integers(4) == 0 else x

    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Padding of two sides, such that every window still sees a sample."""
        found = tuple((int(self.rng.integers(0, k)), int(self.rng.integers(0, k))) for k in self.kernel)
        dims = PoolDims.of(
            (1, 1, *self.spatial), self.kernel, stride=self.stride, padding=found, dilation=self.dilation
        )
        return found if dims.every_window_sees_input else ((0, 0),) * self.rank

    def name(self, function: str) -> str:
        """The name of the function of this rank."""
        return f"{function}{self.rank}d"


def _pad(x: Any, pairs: tuple[tuple[int, int], ...], value: float) -> Any:
    return TF.pad(x, [side for pair in reversed(pairs) for side in pair], value=value)


def _window_sums(x: Any, draw: _Draw) -> Any:
    """Sums over dilated windows: a convolution of each channel with ones."""
    batched = x if x.ndim == draw.rank + 2 else x[None]
    channels = batched.shape[1]
    ones = torch.ones(channels, 1, *draw.kernel, dtype=x.dtype)
    conv = getattr(TF, draw.name("conv"))
    y = conv(batched, ones, stride=draw.stride, dilation=draw.dilation, groups=channels)
    return y if x.ndim == draw.rank + 2 else y[0]


@pytest.mark.parametrize("seed", range(CASES))
def test_max_pool(seed: int) -> None:
    draw = _Draw(seed, dilated=True)
    x = draw.values().round(1)  # ties
    arguments: dict[str, Any] = {
        "stride": draw.stride,
        "padding": draw.padding,
        "dilation": draw.dilation,
        "ceil_mode": draw.ceil,
    }
    ours, theirs = getattr(F, draw.name("max_pool")), getattr(TF, draw.name("max_pool"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = theirs(torch.tensor(x), draw.kernel, return_indices=True, **arguments)
    for found, other in zip(ours(x, draw.kernel, return_indices=True, **arguments), expected, strict=True):
        assert_same(found, other, **_EXACT)
    _compare(
        lambda t: ours(t, draw.kernel, **arguments),
        lambda t: theirs(t, draw.kernel, **arguments),
        x,
        draw.rng,
        f"seed {seed}",
    )


@pytest.mark.parametrize("seed", range(CASES))
def test_avg_pool(seed: int) -> None:
    draw = _Draw(seed, dilated=False)
    arguments: dict[str, Any] = {
        "stride": draw.stride,
        "padding": draw.padding,
        "ceil_mode": draw.ceil,
        "count_include_pad": bool(draw.rng.integers(2)),
    }
    if draw.rank > 1 and draw.rng.integers(2):  # PyTorch's avg_pool1d has no divisor
        arguments["divisor_override"] = int(draw.rng.integers(1, 9))
    ours, theirs = getattr(F, draw.name("avg_pool")), getattr(TF, draw.name("avg_pool"))
    _compare(
        lambda t: ours(t, draw.kernel, **arguments),
        lambda t: theirs(t, draw.kernel, **arguments),
        draw.values(),
        draw.rng,
        f"seed {seed}",
    )


def _norm_case(draw: _Draw) -> tuple[float, Array]:
    """A p, and samples of which PyTorch knows all powers and roots."""
    p = float(draw.rng.choice([1.0, 2.0, 4.0, 3.0, 1.5, 2.5, 0.5]))
    x = draw.values()
    # Other powers of negative numbers are NaN there; near 0 their slopes are too steep to compare.
    return p, x if p in (1.0, 2.0, 4.0) else np.abs(x) + 0.1


@pytest.mark.parametrize("seed", range(CASES))
def test_lp_pool(seed: int) -> None:
    draw = _Draw(seed, dilated=False)
    p, x = _norm_case(draw)
    ours, theirs = getattr(F, draw.name("lp_pool")), getattr(TF, draw.name("lp_pool"))
    # PyTorch's lp_pool1d takes no tuples.
    kernel, stride = (draw.kernel[0], draw.stride[0]) if draw.rank == 1 else (draw.kernel, draw.stride)
    _compare(
        lambda t: ours(t, p, kernel, stride, draw.ceil),
        lambda t: theirs(t, p, kernel, stride, draw.ceil),
        x,
        draw.rng,
        f"seed {seed}, p = {p}",
    )


@pytest.mark.parametrize("seed", range(CASES))
def test_adaptive_avg_pool(seed: int) -> None:
    draw = _Draw(seed, dilated=False)
    size = _adaptive_size(draw)
    _compare(
        lambda t: getattr(F, draw.name("adaptive_avg_pool"))(t, size),
        lambda t: getattr(TF, draw.name("adaptive_avg_pool"))(t, _for_torch(draw, size)),
        draw.values(),
        draw.rng,
        f"seed {seed}, to {size}",
    )


@pytest.mark.parametrize("seed", range(CASES))
def test_adaptive_max_pool(seed: int) -> None:
    draw = _Draw(seed, dilated=False)
    size, x = _adaptive_size(draw), draw.values().round(1)  # ties
    ours, theirs = (getattr(module, draw.name("adaptive_max_pool")) for module in (F, TF))
    expected = theirs(torch.tensor(x), _for_torch(draw, size), return_indices=True)
    for found, other in zip(ours(x, size, return_indices=True), expected, strict=True):
        assert_same(found, other, **_EXACT)
    _compare(
        lambda t: ours(t, size),
        lambda t: theirs(t, _for_torch(draw, size)),
        x,
        draw.rng,
        f"seed {seed}, to {size}",
    )


def _adaptive_size(draw: _Draw) -> Any:
    """Fewer or more windows than samples, None among them."""
    if draw.rng.integers(5) == 0:
        return int(draw.rng.integers(1, 8))
    return tuple(
        None if draw.rng.integers(6) == 0 else int(draw.rng.integers(1, 2 * n + 1)) for n in draw.spatial
    )


def _for_torch(draw: _Draw, size: Any) -> Any:
    """The same without None, which PyTorch doesn't take in one dimension."""
    if isinstance(size, int):
        return size
    return tuple(n if entry is None else entry for entry, n in zip(size, draw.spatial, strict=True))


@pytest.mark.parametrize("seed", range(CASES))
def test_max_unpool(seed: int) -> None:
    draw = _Draw(seed, dilated=False)
    default = tuple(
        (n - 1) * s - 2 * p + k
        for n, s, p, k in zip(draw.spatial, draw.stride, draw.padding, draw.kernel, strict=True)
    )
    size = tuple(
        max(int(draw.rng.integers(usual - s + 1, usual + s)), 1)
        for usual, s in zip(default, draw.stride, strict=True)
    )
    count, planes = math.prod(draw.spatial), draw.shape[: -draw.rank]
    if any(abs(n - usual) >= s for n, usual, s in zip(size, default, draw.stride, strict=True)):
        size = default
    if min(size) < 1 or math.prod(size) < count:
        # Each place is given once: PyTorch's gradient is that of another function where values share one.
        size, draw.stride, draw.padding, draw.kernel = (
            draw.spatial,
            *(((value,) * draw.rank) for value in (1, 0, 1)),
        )
    places = np.stack([draw.rng.permutation(math.prod(size))[:count] for _ in range(math.prod(planes))])
    indices = places.reshape(draw.shape)
    ours, theirs = getattr(F, draw.name("max_unpool")), getattr(TF, draw.name("max_unpool"))
    arguments = (draw.kernel, draw.stride, draw.padding, size)
    _compare(
        lambda t: ours(t, indices, *arguments),
        lambda t: theirs(t, torch.tensor(indices), *arguments),
        draw.values(),
        draw.rng,
        f"seed {seed}, {arguments}",
    )


# --- what PyTorch has no arguments for ---------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(CASES))
def test_max_pool_with_two_sided_padding(seed: int) -> None:
    draw = _Draw(seed, dilated=True)
    padding, pairs = _named_or_pairs(draw)
    arguments = {"stride": draw.stride, "dilation": draw.dilation}
    _compare(
        lambda t: getattr(F, draw.name("max_pool"))(t, draw.kernel, padding=padding, **arguments),
        lambda t: getattr(TF, draw.name("max_pool"))(_pad(t, pairs, -math.inf), draw.kernel, **arguments),
        draw.values(),
        draw.rng,
        f"seed {seed}, padding {padding}",
    )


@pytest.mark.parametrize("seed", range(CASES))
def test_dilated_avg_pool_with_two_sided_padding(seed: int) -> None:
    draw = _Draw(seed, dilated=True)
    padding, pairs = _named_or_pairs(draw)
    count, divisor = bool(draw.rng.integers(2)), int(draw.rng.integers(0, 7)) or None
    x = draw.values()
    counted = _pad(torch.ones(x.shape, dtype=torch.float64), pairs, float(count))
    arguments: dict[str, Any] = {
        "stride": draw.stride,
        "padding": padding,
        "dilation": draw.dilation,
        "count_include_pad": count,
        "divisor_override": divisor,
    }
    _compare(
        lambda t: getattr(F, draw.name("avg_pool"))(t, draw.kernel, **arguments),
        lambda t: _window_sums(_pad(t, pairs, 0.0), draw) / (divisor or _window_sums(counted, draw)),
        x,
        draw.rng,
        f"seed {seed}, {arguments}",
    )


@pytest.mark.parametrize("seed", range(CASES))
def test_dilated_lp_pool_with_two_sided_padding(seed: int) -> None:
    draw = _Draw(seed, dilated=True)
    padding, pairs = _named_or_pairs(draw)
    # Samples of both signs: for other p than odd ones the powers are of |x|, and the root of a sum is real.
    p = float(draw.rng.choice([1.0, 2.0, 3.0, 1.5, 2.5]))
    x = draw.values()
    x = x + 0.1 * np.sign(x)

    def theirs(t: Any) -> Any:
        powers = t.abs() ** p * (t.sign() if p in (1.0, 3.0) else 1.0)
        total = _window_sums(_pad(powers, pairs, 0.0), draw)
        return total.sign() * total.abs() ** (1 / p)

    _compare(
        lambda t: getattr(F, draw.name("lp_pool"))(
            t, p, draw.kernel, draw.stride, padding=padding, dilation=draw.dilation
        ),
        theirs,
        x,
        draw.rng,
        f"seed {seed}, p = {p}, padding {padding}",
    )


def _named_or_pairs(draw: _Draw) -> tuple[Any, tuple[tuple[int, int], ...]]:
    """A padding argument, and the pairs that it amounts to."""
    if draw.rng.integers(3) == 0:
        name = str(draw.rng.choice(["same", "same_lower", "valid", "causal"]))
        dims = PoolDims.of(
            (1, 1, *draw.spatial), draw.kernel, stride=draw.stride, padding=name, dilation=draw.dilation
        )
        if dims.every_window_sees_input:
            return name, dims.padding
    pairs = draw.pairs()
    return pairs, pairs


# --- where the two differ on purpose -----------------------------------------------------------------------


def test_a_root_that_is_nan_in_pytorch_is_real_here_and_all_others_are_the_same() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 40))
    for p in (1, 3, 5, 1.5):
        theirs = TF.lp_pool1d(torch.tensor(x), p, 3, 2).numpy()
        ours = F.lp_pool1d(x, p, 3, 2)
        known = np.isfinite(theirs)
        assert known.all() == (p == 1)
        assert np.isfinite(ours).all()
        _same(ours[known], theirs[known], f"p = {p}")


@pytest.mark.parametrize("p", [1, 2, 3, 1.5])
def test_windows_of_zeros_have_gradients_of_zeros_in_both(p: float) -> None:
    ours = tw.zeros(1, 1, 6, dtype=tw.float64, requires_grad=True)
    theirs = torch.zeros(1, 1, 6, dtype=torch.float64, requires_grad=True)
    F.lp_pool1d(ours, p, 2).sum().backward()
    TF.lp_pool1d(theirs, p, 2).sum().backward()
    assert_same(ours.grad, theirs.grad, **_EXACT)
    assert not ours.grad.numpy().any()


def test_infinite_norms() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 9, 8))
    for p in (math.inf, -math.inf):
        _compare(
            lambda t, p=p: F.lp_pool2d(t, p, 3, 2, True),
            lambda t, p=p: TF.lp_pool2d(t, p, 3, 2, True),
            x,
            np.random.default_rng(1),
            f"p = {p}",
        )


def test_of_values_that_share_a_place_the_last_stands_there_and_only_ours_has_its_gradient() -> None:
    x, indices = np.array([[[1.0, 2.0, 3.0]]]), np.array([[[1, 4, 1]]])
    ours, theirs = tw.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = F.max_unpool1d(ours, indices, 2), TF.max_unpool1d(theirs, torch.tensor(indices), 2)
    assert_same(y, z, **_EXACT)
    y.sum().backward()
    z.sum().backward()
    assert ours.grad.tolist() == [[[0.0, 1.0, 1.0]]]
    assert theirs.grad.tolist() == [[[1.0, 1.0, 1.0]]]  # not what a change of the first value does
