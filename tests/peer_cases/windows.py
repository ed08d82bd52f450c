"""Convolution, transposed convolution, unfold and fold."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np

import tilewright.functional as F
from peer_cases.case import TF, Array, Case, Draw, Rng, chance, normal, pick, same_call, torch, whole

# Rank → the longest axis and the largest kernel: a case has a few hundred samples.
_LONGEST = {1: 9, 2: 6, 3: 4}
_LARGEST = {1: 5, 2: 4, 3: 3}


def _leading(rng: Rng, channels: int) -> tuple[int, ...]:
    """Batch and channels: none in a batch, or no batch, every now and then."""
    if chance(rng, 0.2):
        return (channels,)
    return (0 if chance(rng, 0.05) else whole(rng, 1, 3), channels)


def _channels(rng: Rng) -> tuple[int, int, int]:
    """Groups, and the channels of each going in and coming out: seldom many of either."""
    if chance(rng, 0.1):
        return whole(rng, 4, 9), 1, whole(rng, 1, 2)
    if chance(rng, 0.1):
        return 1, whole(rng, 3, 18), whole(rng, 3, 18)
    return whole(rng, 1, 3), whole(rng, 1, 2), whole(rng, 1, 2)


def _one_or_each(rng: Rng, values: tuple[int, ...]) -> Any:
    """An argument as one integer where that says the same."""
    return values[0] if len(set(values)) == 1 and chance(rng, 0.5) else values


def _each(rng: Rng, rank: int, least: int, most: int) -> tuple[int, ...]:
    return tuple(whole(rng, least, most) for _ in range(rank))


def _conv(name: str, rng: Rng) -> Case | None:
    rank = int(name[-2])
    (groups, ins, outs), kernel = _channels(rng), _each(rng, rank, 1, _LARGEST[rank])
    stride, dilation = _each(rng, rank, 1, 3), _each(rng, rank, 1, 3)
    spatial = _each(rng, rank, 1, _LONGEST[rank])
    padding: Any = _each(rng, rank, 0, 3)
    if chance(rng, 0.25):
        padding = pick(rng, ["same", "valid"])
    if padding == "same":
        stride = (1,) * rank  # PyTorch refuses others
    else:
        sides = (0,) * rank if padding == "valid" else padding
        needed = [d * (k - 1) + 1 - 2 * p for d, k, p in zip(dilation, kernel, sides, strict=True)]
        spatial = tuple(max(n, least) for n, least in zip(spatial, needed, strict=True))
    inputs, outputs = groups * ins, groups * outs
    operands = [normal(rng, (*_leading(rng, inputs), *spatial))]
    operands.append(normal(rng, (outputs, inputs // groups, *kernel)))
    operands += [normal(rng, (outputs,))] * chance(rng, 0.6)
    case = same_call(
        name,
        operands,
        stride=_one_or_each(rng, stride),
        padding=padding if isinstance(padding, str) else _one_or_each(rng, padding),
        dilation=_one_or_each(rng, dilation),
        groups=groups,
    )
    return _quiet(case) if padding == "same" else case


def _quiet(case: Case) -> Case:
    """Without PyTorch's remark that a kernel of even size makes it pad twice."""

    def theirs(*tensors: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return case.theirs(*tensors)

    return Case(case.ours, theirs, case.operands, case.about)


def _conv_transpose(name: str, rng: Rng) -> Case | None:
    rank = int(name[-2])
    (groups, ins, outs), kernel = _channels(rng), _each(rng, rank, 1, _LARGEST[rank])
    stride, dilation = _each(rng, rank, 1, 3), _each(rng, rank, 1, 3)
    spatial, padding = _each(rng, rank, 1, _LONGEST[rank] - 1), _each(rng, rank, 0, 2)
    more = tuple(whole(rng, 0, max(s, d) - 1) for s, d in zip(stride, dilation, strict=True))
    large = [
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(spatial, stride, padding, dilation, kernel, more, strict=True)
    ]
    if min(large) < 1 or np.prod(large) > 600:
        return None  # PyTorch refuses an empty output; the others are slow
    inputs, outputs = groups * ins, outs
    operands = [normal(rng, (*_leading(rng, inputs), *spatial))]
    operands.append(normal(rng, (inputs, outputs, *kernel)))
    operands += [normal(rng, (outputs * groups,))] * chance(rng, 0.6)
    return same_call(
        name,
        operands,
        stride=_one_or_each(rng, stride),
        padding=_one_or_each(rng, padding),
        output_padding=_one_or_each(rng, more),
        groups=groups,
        dilation=_one_or_each(rng, dilation),
    )


def pads(rng: Rng, spatial: tuple[int, ...], mode: str) -> tuple[tuple[int, int], ...]:
    """(before, after) per axis in PyTorch's limits: less than the axis to reflect, up to it to go round."""
    pairs = []
    for n in spatial:
        widest = {"reflect": n - 1, "circular": n}.get(mode, 4)
        low, high = whole(rng, -1, widest), whole(rng, -1, widest)
        left = n + min(low, 0) + min(high, 0)
        if left < 1 or (mode == "circular" and max(low, high) > left):
            low = high = 0
        pairs.append((low, high))
    return tuple(pairs)


def flat(pairs: Any) -> list[int]:
    """As ``pad`` takes them: the last axis first."""
    return [side for pair in reversed(pairs) for side in pair]


def _windows(rng: Rng, spatial: tuple[int, ...], pairs: Any) -> tuple[Any, Any, Any] | None:
    """Kernel, stride and dilation that fit, or None."""
    rank = len(spatial)
    kernel, dilation, stride = (_each(rng, rank, 1, most) for most in (3, 2, 3))
    for n, k, d, (low, high) in zip(spatial, kernel, dilation, pairs, strict=True):
        if n + low + high < d * (k - 1) + 1:
            return None
    return kernel, stride, dilation


def _padding_mode(transposed: bool, rng: Rng) -> Case | None:
    """Padding of every mode, different at the two ends: PyTorch's ``pad`` before its convolution."""
    mode = pick(rng, ["zeros", "reflect", "replicate", "circular"])
    rank, groups = whole(rng, 1, 3), whole(rng, 1, 2)
    spatial = tuple(whole(rng, 2, _LONGEST[rank]) for _ in range(rank))
    pairs = pads(rng, spatial, mode)
    found = _windows(rng, spatial, pairs)
    if found is None:
        return None
    kernel, stride, dilation = found
    inputs, outputs = groups * whole(rng, 1, 2), groups * whole(rng, 1, 2)
    x, w = (whole(rng, 1, 2), inputs, *spatial), (outputs, inputs // groups, *kernel)
    arguments: dict[str, Any] = {"stride": stride, "dilation": dilation, "groups": groups}
    ours: dict[str, Any] = {**arguments, "padding": pairs, "padding_mode": mode}
    about = f"{x}, {w}, {ours}"

    def theirs(x: Any, w: Any, b: Any = None) -> Any:
        longer = TF.pad(x, flat(pairs), "constant" if mode == "zeros" else mode)
        return getattr(TF, f"conv{rank}d")(longer, w, b, **arguments)

    if not transposed:
        operands: list[Array] = [normal(rng, x), normal(rng, w), normal(rng, (outputs,))]
        return Case(lambda *t: getattr(F, f"conv{rank}d")(*t, **ours), theirs, operands, about)
    # What PyTorch's tape gives as the adjoint of the convolution it has.
    y = tuple(theirs(torch.zeros(x), torch.zeros(w)).shape)
    more = tuple(
        (n + low + high - d * (k - 1) - 1) % s
        for n, (low, high), d, k, s in zip(spatial, pairs, dilation, kernel, stride, strict=True)
    )

    def adjoint(y: Any, w: Any, b: Any) -> Any:
        start = torch.zeros(x, dtype=torch.float64, requires_grad=True)
        found = torch.autograd.grad(theirs(start, w), start, y, create_graph=True)[0]
        return found + b.reshape(-1, *(1,) * rank)

    def spread(*tensors: Any) -> Any:
        return getattr(F, f"conv_transpose{rank}d")(*tensors, output_padding=more, **ours)

    return Case(spread, adjoint, [normal(rng, y), normal(rng, w), normal(rng, (inputs,))], about)


def _unfold(name: str, rng: Rng) -> Case | None:
    spatial, sides = _each(rng, 2, 1, 6), _each(rng, 2, 0, 2)
    found = _windows(rng, spatial, [(side, side) for side in sides])
    if found is None:
        return None
    kernel, stride, dilation = (_one_or_each(rng, values) for values in found)
    shape = (*((2,) if chance(rng, 0.7) else ()), 2, *spatial)
    arguments = (kernel, dilation, _one_or_each(rng, sides), stride)
    if name == "unfold":
        return same_call(name, [normal(rng, shape)], *arguments)
    columns = tuple(TF.unfold(torch.zeros(shape), *arguments).shape)
    return same_call(name, [normal(rng, columns)], spatial, *arguments)


DRAWS: dict[str, Draw] = {
    **{f"conv{rank}d": partial(_conv, f"conv{rank}d") for rank in (1, 2, 3)},
    **{f"conv_transpose{rank}d": partial(_conv_transpose, f"conv_transpose{rank}d") for rank in (1, 2, 3)},
    "convolution, padding modes": partial(_padding_mode, False),
    "transposed convolution, padding modes": partial(_padding_mode, True),
    "unfold": partial(_unfold, "unfold"),
    "fold": partial(_unfold, "fold"),
}
