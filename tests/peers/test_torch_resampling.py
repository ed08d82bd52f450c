"""Padding, padding modes, unfold and fold, interpolation and pixel shuffle against PyTorch.

1,000 seeded random cases, each with its output, the gradients, and the gradients of the gradients, in
float64. Cases are drawn within what PyTorch takes; where it contradicts itself, they are left out, and the
reason stands beside.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from compare import assert_same
from operands import normal
from twice import cases, check_twice

import tilewright as tw
import tilewright.functional as F

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")
import torch.nn.functional as TF  # noqa: E402 - after the skip

# Its threads cost more than these small arrays do.
torch.set_num_threads(1)

#: How both libraries compute a case, and the shapes of its operands.
Case = tuple[Callable[..., Any], Callable[..., Any], list[tuple[int, ...]]]


def _pads(draw: random.Random, spatial: list[int], mode: str, crop: bool = True) -> list[tuple[int, int]]:
    """(before, after) per axis in PyTorch's limits: less than the axis to reflect, up to it to go round."""
    pairs = []
    for n in spatial:
        widest = {"reflect": n - 1, "circular": n}.get(mode, 4)
        low, high = draw.randint(-1 if crop else 0, widest), draw.randint(-1 if crop else 0, widest)
        left = n + min(low, 0) + min(high, 0)
        if left < 1 or (mode == "circular" and max(low, high) > left):
            low = high = 0
        pairs.append((low, high))
    return pairs


def _flat(pairs: Any) -> list[int]:
    """As PyTorch's ``pad`` takes them: the last axis first."""
    return [side for pair in reversed(pairs) for side in pair]


def _pad_case(draw: random.Random) -> Case:
    mode = draw.choice(["constant", "reflect", "replicate", "circular"])
    rank = draw.randint(1, 3)
    spatial = [draw.randint(2, 6) for _ in range(rank)]
    pads = _flat(_pads(draw, spatial, mode))
    value = draw.choice([None, 1.5]) if mode == "constant" else None
    shape = (2, 2, *spatial) if draw.random() < 0.5 or rank == 3 else (2, *spatial)
    return (
        lambda x: F.pad(x, pads, mode, value),
        lambda x: TF.pad(x, pads, mode, value),
        [shape],
    )


def _windows(draw: random.Random, spatial: list[int], pairs: Any) -> tuple[Any, Any, Any] | None:
    """Kernel, stride and dilation that fit, or None."""
    kernel = [draw.randint(1, 3) for _ in spatial]
    dilation = [draw.randint(1, 2) for _ in spatial]
    stride = [draw.randint(1, 3) for _ in spatial]
    for n, k, d, (low, high) in zip(spatial, kernel, dilation, pairs, strict=True):
        if n + low + high < d * (k - 1) + 1:
            return None
    return tuple(kernel), tuple(stride), tuple(dilation)


def _conv_case(draw: random.Random) -> Case | None:
    mode = draw.choice(["zeros", "reflect", "replicate", "circular"])
    rank, groups = draw.randint(1, 3), draw.randint(1, 2)
    spatial = [draw.randint(2, 6 if rank < 3 else 4) for _ in range(rank)]
    pairs = _pads(draw, spatial, mode)
    found = _windows(draw, spatial, pairs)
    if found is None:
        return None
    kernel, stride, dilation = found
    inputs, outputs = groups * draw.randint(1, 2), groups * draw.randint(1, 2)
    x, w = (draw.randint(1, 2), inputs, *spatial), (outputs, inputs // groups, *kernel)
    name, pad_mode = f"conv{rank}d", "constant" if mode == "zeros" else mode

    def theirs(x: Any, w: Any, b: Any = None) -> Any:
        longer = TF.pad(x, _flat(pairs), pad_mode)
        return getattr(TF, name)(longer, w, b, stride=stride, dilation=dilation, groups=groups)

    arguments = {
        "stride": stride,
        "padding": tuple(pairs),
        "dilation": dilation,
        "groups": groups,
        "padding_mode": mode,
    }
    if draw.random() < 0.5:
        return lambda x, w, b: getattr(F, name)(x, w, b, **arguments), theirs, [x, w, (outputs,)]
    # The other way: what PyTorch's tape gives as the adjoint of the convolution it has.
    y = tuple(theirs(torch.zeros(x), torch.zeros(w)).shape)
    more = tuple(
        (n + low + high - d * (k - 1) - 1) % s
        for n, (low, high), d, k, s in zip(spatial, pairs, dilation, kernel, stride, strict=True)
    )

    def adjoint(y: Any, w: Any, b: Any) -> Any:
        start = torch.zeros(x, dtype=torch.float64, requires_grad=True)
        found = torch.autograd.grad(theirs(start, w), start, y, create_graph=True)[0]
        return found + b.reshape(-1, *(1,) * rank)

    def ours(y: Any, w: Any, b: Any) -> Any:
        return getattr(F, f"conv_transpose{rank}d")(y, w, b, output_padding=more, **arguments)

    return ours, adjoint, [y, w, (inputs,)]


def _unfold_case(draw: random.Random) -> Case | None:
    spatial = [draw.randint(1, 6) for _ in range(2)]
    pads = (draw.randint(0, 2), draw.randint(0, 2))
    found = _windows(draw, spatial, [(side, side) for side in pads])
    if found is None:
        return None
    kernel, stride, dilation = found
    shape = (2, 2, *spatial) if draw.random() < 0.7 else (2, *spatial)
    if draw.random() < 0.5:
        return (
            lambda x: F.unfold(x, kernel, dilation, pads, stride),
            lambda x: TF.unfold(x, kernel, dilation, pads, stride),
            [shape],
        )
    columns = tuple(TF.unfold(torch.zeros(shape), kernel, dilation, pads, stride).shape)
    return (
        lambda x: F.fold(x, spatial, kernel, dilation, pads, stride),
        lambda x: TF.fold(x, spatial, kernel, dilation, pads, stride),
        [columns],
    )


_FACTORS = [0.3, 0.5, 0.7, 1.0, 1.1, 1.3, 1.5, 2.0, 2.5, 3.0, 2 / 3, 4 / 3, 5 / 3]


def _interpolate_case(draw: random.Random) -> Case | None:
    kind = draw.choice(["nearest", "nearest-exact", "linear", "cubic", "area"])
    rank = 2 if kind == "cubic" else draw.randint(1, 3)
    names = {"linear": ["linear", "bilinear", "trilinear"][rank - 1], "cubic": "bicubic"}
    mode = names.get(kind, kind)
    spatial = [draw.randint(1, 7) for _ in range(rank)]
    arguments: dict[str, Any] = {"mode": mode}
    if kind in names:
        arguments["align_corners"] = draw.choice([None, False, True])
        arguments["antialias"] = rank == 2 and draw.random() < 0.4
    if draw.random() < 0.5:
        arguments["size"] = sizes = [draw.randint(1, 10) for _ in range(rank)]
    else:
        arguments["scale_factor"] = factors = [
            draw.choice([f for f in _FACTORS if n * f >= 1]) for n in spatial
        ]
        sizes = [int(n * f) for n, f in zip(spatial, factors, strict=True)]
        if kind != "area":
            arguments["recompute_scale_factor"] = recompute = draw.choice([None, False, True])
            # Of an axis that keeps its size, or doubles, by a factor other than 1, or 2, PyTorch makes a copy
            # or takes samples anew, as the mode, the rank and the direction have it: its gradients aren't
            # adjoint to its outputs there.
            odd = any(m / n in (1, 2) and f != m / n for n, m, f in zip(spatial, sizes, factors, strict=True))
            if odd and not recompute:
                return None
    # Against aliasing PyTorch gives wrong numbers where an axis shrinks to one sample: between two passes it
    # takes what it has for channels last. Its gradient is right.
    if arguments.get("antialias") and 1 in sizes:
        return None
    return (
        lambda x: F.interpolate(x, **arguments),
        lambda x: TF.interpolate(x, **arguments),
        [(2, 2, *spatial)],
    )


def _shuffle_case(draw: random.Random) -> Case:
    factor, h, w = draw.randint(1, 3), draw.randint(1, 3), draw.randint(1, 3)
    lead = [2] * draw.randint(0, 2)
    if draw.random() < 0.5:
        shape = (*lead, 2 * factor * factor, h, w)
        return lambda x: F.pixel_shuffle(x, factor), lambda x: TF.pixel_shuffle(x, factor), [shape]
    shape = (*lead, 2, h * factor, w * factor)
    return lambda x: F.pixel_unshuffle(x, factor), lambda x: TF.pixel_unshuffle(x, factor), [shape]


@pytest.mark.parametrize(
    ("draw_case", "count"),
    [
        (_pad_case, 200),
        (_conv_case, 300),
        (_unfold_case, 150),
        (_interpolate_case, 300),
        (_shuffle_case, 50),
    ],
)
def test_random_cases(draw_case: Callable[[random.Random], Case | None], count: int) -> None:
    for seed in cases(count):
        draw = random.Random(seed)
        case = None
        while case is None:
            case = draw_case(draw)
        ours, theirs, shapes = case
        arrays = [normal(shape, seed + i) for i, shape in enumerate(shapes)]
        check_twice(ours, theirs, arrays, about=f", {draw_case.__name__} of seed {seed}")


@pytest.mark.parametrize("rank", [1, 3])
def test_unfold_of_other_ranks(rank: int) -> None:
    """PyTorch's own has two axes; its Tensor.unfold slides over any, one after the other."""
    x = torch.tensor(normal((2, 3, *range(5, 5 + rank)), 1))
    windows = TF.pad(x, (1, 2) * rank)
    for axis in range(2, 2 + rank):
        windows = windows.unfold(axis, 3, 2)
    places = windows.shape[2 : 2 + rank].numel()
    # (batch, channels, *places, *taps) → (batch, channels · taps, places)
    expected = windows.reshape(2, 3, places, 3**rank).transpose(2, 3).reshape(2, 3 * 3**rank, places)
    found = F.unfold(tw.tensor(x.numpy()), (3,) * rank, padding=((1, 2),) * rank, stride=2)
    assert_same(found, expected, rtol=0, atol=0, reason="numbers are only moved")


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.float32])
def test_nearest_in_other_dtypes(dtype: Any) -> None:
    x = torch.arange(2 * 3 * 5 * 7).reshape(2, 3, 5, 7).to(dtype)
    for size in ((10, 14), (3, 4), (8, 3)):
        for mode in ("nearest", "nearest-exact"):
            expected = TF.interpolate(x, size=size, mode=mode)
            assert_same(
                F.interpolate(x.numpy(), size=size, mode=mode), expected, rtol=0, atol=0, reason="moved"
            )


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "area"])
def test_half_precision(mode: str) -> None:
    x = torch.tensor(normal((2, 3, 6, 5), 1)).half()
    expected = TF.interpolate(x.float(), size=(4, 9), mode=mode).half()
    found = F.interpolate(x.numpy(), size=(4, 9), mode=mode)
    assert_same(found, expected, rtol=1e-3, atol=1e-6, reason="one rounding to 11 bits, of sums in float32")


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int32, torch.int64, torch.float16])
@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_pad_in_other_dtypes(mode: str, dtype: Any) -> None:
    x = (torch.arange(2 * 3 * 4) % 7).reshape(2, 3, 4).to(dtype)
    for pads in ((1, 2), (-1, 3), (2, -1)):
        try:
            expected = TF.pad(x, pads, mode)
        except RuntimeError:  # PyTorch has no kernel for this dtype
            assert dtype in (torch.bool, torch.uint8, torch.int32, torch.int64, torch.float16)
            expected = TF.pad(x.float(), pads, mode).to(dtype)
        assert_same(F.pad(x.numpy(), pads, mode), expected, rtol=0, atol=0, reason="numbers are only moved")
