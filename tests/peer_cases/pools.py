"""Pools and unpools. What PyTorch has no arguments for is put together from its other functions."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

import tilewright.functional as F
from peer_cases.case import TF, Array, Case, Draw, Rng, chance, normal, pick, same_call, torch, whole
from tilewright.geometry import PoolDims

_LONGEST = {1: 12, 2: 7, 3: 5}


class _Windows:
    """One random geometry."""

    def __init__(self, rng: Rng, rank: int, *, dilated: bool) -> None:
        self.rng, self.rank = rng, rank
        self.kernel = self._each(1, 4 if rank < 3 else 3)
        self.stride = self._each(1, 4)
        self.dilation = self._each(1, 3) if dilated else (1,) * rank
        # PyTorch's bound for padding.
        self.padding = tuple(whole(rng, 0, k // 2) for k in self.kernel)
        self.ceil = chance(rng, 0.5)
        self.spatial = tuple(
            max(whole(rng, 1, _LONGEST[rank]), d * (k - 1) + 1)
            for d, k in zip(self.dilation, self.kernel, strict=True)
        )
        batch = () if chance(rng, 0.25) else (whole(rng, 1, 2),)
        self.shape = (*batch, whole(rng, 1, 3), *self.spatial)

    def _each(self, least: int, most: int) -> tuple[int, ...]:
        return tuple(whole(self.rng, least, most) for _ in range(self.rank))

    def values(self) -> Array:
        return normal(self.rng, self.shape)

    def name(self, function: str) -> str:
        """The name of the function of this rank."""
        return f"{function}{self.rank}d"

    def named_or_pairs(self) -> tuple[Any, tuple[tuple[int, int], ...]]:
        """A padding argument of which every window still sees a sample, and the pairs that it amounts to."""
        options = {"stride": self.stride, "dilation": self.dilation}
        padding: Any = pick(self.rng, ["same", "same_lower", "valid", "causal"])
        if chance(self.rng, 0.7):
            padding = tuple((whole(self.rng, 0, k - 1), whole(self.rng, 0, k - 1)) for k in self.kernel)
        dims = PoolDims.of((1, 1, *self.spatial), self.kernel, padding=padding, **options)
        return (padding, dims.padding) if dims.every_window_sees_input else ("valid", ((0, 0),) * self.rank)


def _max_pool(name: str, rng: Rng) -> Case:
    windows = _Windows(rng, int(name[8]), dilated=True)
    arguments: dict[str, Any] = {
        "stride": windows.stride,
        "padding": windows.padding,
        "dilation": windows.dilation,
        "ceil_mode": windows.ceil,
    }
    if not name.endswith("indices"):
        arguments["return_indices"] = chance(rng, 0.5)
    return same_call(name, [windows.values().round(1)], windows.kernel, **arguments)  # ties


def _avg_pool(name: str, rng: Rng) -> Case:
    windows = _Windows(rng, int(name[-2]), dilated=False)
    arguments: dict[str, Any] = {
        "stride": windows.stride,
        "padding": windows.padding,
        "ceil_mode": windows.ceil,
        "count_include_pad": chance(rng, 0.5),
    }
    if windows.rank > 1 and chance(rng, 0.5):  # PyTorch's avg_pool1d has no divisor
        arguments["divisor_override"] = whole(rng, 1, 8)
    return same_call(name, [windows.values()], windows.kernel, **arguments)


def _lp_pool(name: str, rng: Rng) -> Case:
    windows = _Windows(rng, int(name[-2]), dilated=False)
    p, x = pick(rng, [1.0, 2.0, 4.0, 3.0, 1.5, 2.5, 0.5, math.inf]), windows.values()
    if p not in (1.0, 2.0, 4.0, math.inf):
        # Other powers of negative numbers are NaN there; near 0 their slopes are too steep to compare.
        x = np.abs(x) + 0.1
    # PyTorch's lp_pool1d takes no tuples.
    one = windows.rank == 1
    kernel, stride = (value[0] if one else value for value in (windows.kernel, windows.stride))
    return same_call(name, [x], p, kernel, stride, windows.ceil)


def _adaptive(name: str, rng: Rng) -> Case:
    windows = _Windows(rng, int(name[name.index("pool") + 4]), dilated=False)
    size: Any = tuple(
        None if chance(rng, 1 / 6) and windows.rank > 1 else whole(rng, 1, 2 * n) for n in windows.spatial
    )
    if chance(rng, 0.2):
        size = whole(rng, 1, 5)
    x, arguments = windows.values(), {}
    if "max" in name:
        x = x.round(1)  # ties
        if not name.endswith("indices"):
            arguments["return_indices"] = chance(rng, 0.5)
    return same_call(name, [x], size, **arguments)


def _max_unpool(name: str, rng: Rng) -> Case | None:
    windows = _Windows(rng, int(name[-2]), dilated=False)
    usual = tuple(
        (n - 1) * s - 2 * p + k
        for n, s, p, k in zip(windows.spatial, windows.stride, windows.padding, windows.kernel, strict=True)
    )
    size = tuple(whole(rng, n - s + 1, n + s - 1) for n, s in zip(usual, windows.stride, strict=True))
    count, planes = math.prod(windows.spatial), windows.shape[: -windows.rank]
    # Each place is given once: PyTorch's gradient is that of another function where values share one.
    if min(size) < 1 or not count <= math.prod(size) <= 1000:
        return None
    places = np.stack([rng.permutation(math.prod(size))[:count] for _ in range(math.prod(planes))])
    rest = (places.reshape(windows.shape), windows.kernel, windows.stride, windows.padding, size)
    return same_call(name, [windows.values()], *rest, about=f"{windows.shape}, {rest[1:]}")


# --- what PyTorch has no arguments for ---------------------------------------------------------------------


def _pad(x: Any, pairs: tuple[tuple[int, int], ...], value: float) -> Any:
    return TF.pad(x, [side for pair in reversed(pairs) for side in pair], value=value)


def _window_sums(x: Any, windows: _Windows) -> Any:
    """Sums over dilated windows: a convolution of each channel with ones."""
    batched = x if x.ndim == windows.rank + 2 else x[None]
    channels = batched.shape[1]
    ones = torch.ones(channels, 1, *windows.kernel, dtype=x.dtype)
    conv = getattr(TF, windows.name("conv"))
    y = conv(batched, ones, stride=windows.stride, dilation=windows.dilation, groups=channels)
    return y if x.ndim == windows.rank + 2 else y[0]


def _two_sided_max(rng: Rng) -> Case:
    windows = _Windows(rng, whole(rng, 1, 3), dilated=True)
    padding, pairs = windows.named_or_pairs()
    arguments: dict[str, Any] = {"stride": windows.stride, "dilation": windows.dilation}
    name = windows.name("max_pool")
    return Case(
        lambda t: getattr(F, name)(t, windows.kernel, padding=padding, **arguments),
        lambda t: getattr(TF, name)(_pad(t, pairs, -math.inf), windows.kernel, **arguments),
        [windows.values()],
        f"{windows.shape}, {padding}, {arguments}",
    )


def _two_sided_average(rng: Rng) -> Case:
    windows = _Windows(rng, whole(rng, 1, 3), dilated=True)
    padding, pairs = windows.named_or_pairs()
    count, divisor = chance(rng, 0.5), whole(rng, 0, 6) or None
    x = windows.values()
    counted = _pad(torch.ones(x.shape, dtype=torch.float64), pairs, float(count))
    arguments: dict[str, Any] = {
        "stride": windows.stride,
        "padding": padding,
        "dilation": windows.dilation,
        "count_include_pad": count,
        "divisor_override": divisor,
    }
    return Case(
        lambda t: getattr(F, windows.name("avg_pool"))(t, windows.kernel, **arguments),
        lambda t: _window_sums(_pad(t, pairs, 0.0), windows) / (divisor or _window_sums(counted, windows)),
        [x],
        f"{windows.shape}, {arguments}",
    )


def _two_sided_norm(rng: Rng) -> Case:
    windows = _Windows(rng, whole(rng, 1, 3), dilated=True)
    padding, pairs = windows.named_or_pairs()
    # Samples of both signs: for other p than odd ones the powers are of |x|, and the root of a sum is real.
    p, x = pick(rng, [1.0, 2.0, 3.0, 1.5, 2.5]), windows.values()
    x = x + 0.1 * np.sign(x)

    def theirs(t: Any) -> Any:
        powers = t.abs() ** p * (t.sign() if p in (1.0, 3.0) else 1.0)
        total = _window_sums(_pad(powers, pairs, 0.0), windows)
        return total.sign() * total.abs() ** (1 / p)

    def ours(t: Any) -> Any:
        pool = getattr(F, windows.name("lp_pool"))
        return pool(t, p, windows.kernel, windows.stride, padding=padding, dilation=windows.dilation)

    return Case(ours, theirs, [x], f"{windows.shape}, p = {p}, {padding}, dilation {windows.dilation}")


def _ranks(draw: Any, name: str, tail: str = "") -> dict[str, Draw]:
    return {f"{name}{rank}d{tail}": partial(draw, f"{name}{rank}d{tail}") for rank in (1, 2, 3)}


DRAWS: dict[str, Draw] = {
    **_ranks(_max_pool, "max_pool"),
    **_ranks(_max_pool, "max_pool", "_with_indices"),
    **_ranks(_avg_pool, "avg_pool"),
    **_ranks(_lp_pool, "lp_pool"),
    **_ranks(_adaptive, "adaptive_avg_pool"),
    **_ranks(_adaptive, "adaptive_max_pool"),
    **_ranks(_adaptive, "adaptive_max_pool", "_with_indices"),
    **_ranks(_max_unpool, "max_unpool"),
    "max pool, padding of two sides": _two_sided_max,
    "dilated average pool, padding of two sides": _two_sided_average,
    "dilated norm pool, padding of two sides": _two_sided_norm,
}
