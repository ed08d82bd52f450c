"""Random indices, and random programs of views and writes, against PyTorch."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw

torch = pytest.importorskip("torch", reason="compares with PyTorch, which isn't installed")

CLOSE = {"rtol": 1e-9, "atol": 1e-9, "reason": "float64: a dozen operations, each rounded once"}


def random_index(source: random.Random, shape: tuple[int, ...], advanced: bool) -> list[Any]:
    """Entries as plain data: ints, slices, None, ..., and ("array", list) for index arrays and masks."""
    entries: list[Any] = []
    at = 0
    length = source.choice([2, 3])
    while at < len(shape) and source.random() < 0.85:
        size, kind = shape[at], source.random()
        if kind < 0.25 and size:
            entries.append(source.randrange(-size, size))
        elif kind < 0.6 or not advanced or not size:
            start, stop = sorted(source.choices(range(size + 1), k=2))
            entries.append(slice(start, stop, source.choice([None, 1, 2])))
        elif kind < 0.85:
            entries.append(("array", [source.randrange(-size, size) for _ in range(length)]))
        else:
            mask = [False] * size
            for i in source.sample(range(size), min(length, size)):
                mask[i] = True
            if sum(mask) != length:
                entries.append(slice(None))
            else:
                entries.append(("array", mask))
        at += 1
        if source.random() < 0.15:
            entries.append(None)
    if source.random() < 0.3:
        entries.append(...)
    return entries


def index_for(t: Any, entries: list[Any]) -> tuple[Any, ...]:
    return tuple(t.tensor(e[1]) if isinstance(e, tuple) else e for e in entries)


def test_random_indices() -> None:
    source = random.Random(0)
    for number in range(600):
        shape = tuple(source.choice([1, 2, 3, 4, 5]) for _ in range(source.randrange(1, 5)))
        entries = random_index(source, shape, advanced=True)
        a = np.random.default_rng(number).standard_normal(shape)
        x, y = tw.tensor(a, requires_grad=True), torch.tensor(a, requires_grad=True)
        out, expected = x[index_for(tw, entries)], y[index_for(torch, entries)]
        assert_same(out, expected, rtol=0, atol=0, reason=f"picked, not computed: {entries}")
        (out * out).sum().backward()
        (expected * expected).sum().backward()
        assert_same(x.grad, y.grad, **CLOSE)
        # Written to: with duplicates the last one wins on neither side reliably, so numbers are equal.
        ours, theirs = x * 1, y * 1
        ours[index_for(tw, entries)] = 0.5
        theirs[index_for(torch, entries)] = 0.5
        assert_same(ours, theirs, rtol=0, atol=0, reason=f"written, not computed: {entries}")
        x.grad, y.grad = None, None
        (ours * ours).sum().backward()
        (theirs * theirs).sum().backward()
        assert_same(x.grad, y.grad, **CLOSE)


def random_view(source: random.Random, v: Any) -> tuple[str, list[Any]]:
    shape = tuple(v.shape)
    kinds = ["index", "unsqueeze", "squeeze", "flatten"]
    if len(shape) > 1:
        kinds += ["transpose", "permute"]
    kind = source.choice(kinds)
    if kind == "index":
        return kind, random_index(source, shape, advanced=False)
    if kind == "unsqueeze":
        return kind, [source.randrange(-len(shape) - 1, len(shape) + 1)]
    if kind == "transpose":
        return kind, [source.randrange(len(shape)), source.randrange(len(shape))]
    if kind == "permute":
        order = list(range(len(shape)))
        source.shuffle(order)
        return kind, order
    return kind, []


def viewed(t: Any, v: Any, kind: str, arguments: list[Any]) -> Any:
    if kind == "index":
        return v[index_for(t, arguments)]
    if kind == "flatten":
        # Only where memory allows: otherwise the two libraries may copy at different places.
        return v.reshape(-1) if v.is_contiguous() else v
    return getattr(v, kind)(*arguments)


def write(t: Any, v: Any, w: Any, kind: str, number: float) -> None:
    if kind == "add":
        v.add_(w.sum() * number)
    elif kind == "scale":
        v.mul_(number)
    elif kind == "fill":
        v.fill_(number)
    elif kind == "copy":
        v.copy_(w[0] * number)
    elif kind == "neg":
        v.neg_()
    elif kind == "set":
        v[...] = w[1]


@pytest.mark.parametrize("seed", range(60))
def test_random_programs_of_views_and_writes(seed: int) -> None:
    source = random.Random(seed)
    shape = tuple(source.choice([2, 3, 4]) for _ in range(source.choice([2, 3])))
    a, b = np.random.default_rng(seed).standard_normal(shape), np.array([0.7, -1.3])
    worlds = []
    for t in (tw, torch):
        x, w = t.tensor(a, requires_grad=True), t.tensor(b, requires_grad=True)
        worlds.append((t, x, w, [x * 1 if seed % 3 else t.tensor(a).clone()]))
    for _ in range(14):
        action, which = source.random(), source.randrange(len(worlds[0][3]))
        if action < 0.5:
            kind, arguments = random_view(source, worlds[0][3][which])
            for t, _, _, tensors in worlds:
                tensors.append(viewed(t, tensors[which], kind, arguments))
        else:
            kind = source.choice(["add", "scale", "fill", "copy", "neg", "set"])
            number = source.choice([0.5, 2.0, -1.5])
            for t, _, w, tensors in worlds:
                # PyTorch brings a view's history up to date when it is asked for, and writes only then.
                assert (tensors[which].grad_fn is None) == tensors[which].is_leaf
                write(t, tensors[which], w, kind, number)
    totals = []
    for _, x, w, tensors in worlds:
        total = (x * 0).sum() + (w * 0).sum()
        for i, tensor in enumerate(tensors):
            total = total + (tensor * tensor).sum() * (i + 1)
        totals.append((total, x, w))
    for one, two in zip(worlds[0][3], worlds[1][3], strict=True):
        assert_same(one, two, **CLOSE)
        # Writing to no elements joins histories in PyTorch alone.
        assert one.requires_grad == two.requires_grad or any(0 in t.shape for t in worlds[0][3])
    for total, _, _ in totals:
        total.backward()
    assert_same(totals[0][1].grad, totals[1][1].grad, **CLOSE)
    assert_same(totals[0][2].grad, totals[1][2].grad, **CLOSE)
