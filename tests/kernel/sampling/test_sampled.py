"""Sparse matrices along rows and columns: NumPy's bits, on every instruction set, between guard pages."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from guarded import guarded
from kernel.elementwise.arrays import (
    assert_same_bits,
    both_sides,
    every_dtype,
    every_target,
    mixed,
    poisoned,
    with_threads,
)

from tilewright.geometry.resample import AxisSampling
from tilewright.kernel.sampling.call import Work, sampled
from tilewright.kernel.sampling.tables import Matrix
from tilewright.op import sampled as along_axes
from tilewright.op.resample import resample, resample_gradient
from tilewright.plan import Target

pytest.importorskip("llvmlite", reason="compiles through LLVM")


@pytest.fixture(autouse=True)
def nothing_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", "off")


def matrix(height: int, width: int, kind: str) -> Matrix:
    """Outputs that are near their inputs or far from them, with some or no terms, or that only move."""
    rng = np.random.default_rng([height, width])
    counts = np.ones(height, np.int64) if kind == "moves" else rng.integers(0, 5, height)
    if kind == "near":
        counts = np.maximum(counts, 1)
    starts = np.concatenate([[0], np.cumsum(counts)])
    sources = rng.integers(0, width, starts[-1])
    if kind != "far":
        middle = np.repeat(np.arange(height) * width // height, counts)
        sources = np.clip(middle + rng.integers(-1, 3, starts[-1]), 0, width - 1)
    weights = np.ones(starts[-1]) if kind == "moves" else rng.standard_normal(starts[-1])
    return Matrix(width, starts, sources, weights)


def in_numpy(m: Matrix, x: Any, axis: int) -> Any:
    """Term by term, each product rounded before it is added."""
    x = np.moveaxis(x, axis, 0)
    y = np.zeros((m.height, *x.shape[1:]), x.dtype)
    with np.errstate(all="ignore"):
        for o in range(m.height):
            for term in range(m.starts[o], m.starts[o + 1]):
                part = x[m.sources[term]]
                if not m.moves:
                    part = part * m.weights[term].astype(x.dtype)
                first = term == m.starts[o] and m.covers
                y[o] = part if first else y[o] + part
    return np.moveaxis(y, 0, axis)


@every_target
@every_dtype
@both_sides
@pytest.mark.parametrize("kind", ["near", "far", "gaps", "moves"])
def test_the_bits_of_the_sums(target: Target, dtype: Any, side: str, kind: str) -> None:
    sizes = ((1, 1, 1), (7, 5, 1), (9, 33, 1), (6, 70, 3), (3, 4, 40), (5, 16, 8))
    for (rows, columns, inner), way in product(sizes, ("rows", "columns", "both", "columns first")):
        down = matrix(rows + 3, rows, kind) if way != "columns" else None
        across = matrix(2 * columns + 1, columns, kind) if way != "rows" else None
        x = guarded(mixed(2 * rows * columns * inner, dtype, 1).reshape(2, rows, columns, inner), side)
        work = Work(down, across, way == "both", rows, columns, inner)
        order = [(down, 1), (across, 2)]
        wanted = x
        for m, axis in order if way != "columns first" else order[::-1]:
            wanted = wanted if m is None else in_numpy(m, wanted, axis)
        before = x.copy()
        for out in poisoned(wanted, side):
            assert sampled(x, out, work, target=target)
            assert_same_bits(out, wanted)
        assert_same_bits(x, before)


def test_a_row_beyond_the_scratch_is_left_to_numpy() -> None:
    x = np.ones((1, 2, 1 << 20, 1))
    double = matrix(1 << 20, 1 << 20, "moves")
    assert not sampled(x, np.empty_like(x), Work(matrix(2, 2, "moves"), double, True, 2, 1 << 20, 1))


@pytest.mark.parametrize("kind", ["nearest", "linear", "cubic", "area"])
@pytest.mark.parametrize("last", [False, True])
def test_interpolation_for_any_number_of_threads_and_split(kind: str, last: bool) -> None:
    for sizes, outputs in (
        ((90, 130), (180, 261)),
        ((61, 40), (30, 77)),
        ((9, 20, 31), (18, 33, 17)),
        ((999,), (1500,)),
    ):
        axes = [AxisSampling(n, m, kind) for n, m in zip(sizes, outputs, strict=True)]
        x = np.random.default_rng(1).standard_normal((5, 6, *sizes)).astype(np.float32)
        if last:
            x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
        y = with_threads(1, lambda x=x, axes=axes: resample(x, axes))
        back = with_threads(1, lambda y=y, x=x, axes=axes: resample_gradient(y, x.shape, axes))
        for count in (2, 3, 7):
            assert with_threads(count, lambda x=x, axes=axes: resample(x, axes)).tobytes() == y.tobytes()
            again = with_threads(count, lambda y=y, x=x, axes=axes: resample_gradient(y, x.shape, axes))
            assert again.tobytes() == back.tobytes()
        for n in range(5):
            np.testing.assert_array_equal(resample(x[n : n + 1], axes), y[n : n + 1])
            one = resample_gradient(y[n : n + 1], (1, *x.shape[1:]), axes)
            np.testing.assert_array_equal(one, back[n : n + 1])


@pytest.mark.parametrize("kind", ["nearest", "nearest-exact", "linear", "cubic", "area"])
def test_interpolation_has_the_bits_that_numpy_gives(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    for number in range(60):
        rank = int(rng.integers(1, 4))
        most = 60 if rank < 3 else 9
        smooth = kind in ("linear", "cubic")
        axes = [
            AxisSampling(
                int(rng.integers(1, most)),
                int(rng.integers(1, most)),
                kind,
                smooth and rng.random() < 0.3,
                smooth and rng.random() < 0.3,
            )
            for _ in range(rank)
        ]
        dtypes = ("float16", "float32", "float64", "complex64")
        dtypes += ("int32", "uint8") if kind[0] == "n" else ()
        shape = (2, int(rng.choice([1, 3, 8, 17])), *(axis.size for axis in axes))
        x = (rng.standard_normal(shape) * 50).astype(dtypes[number % len(dtypes)])
        if x.dtype.kind == "f":
            x[rng.random(shape) < 0.02] = np.nan
            x[rng.random(shape) < 0.02] = np.inf
            x[rng.random(shape) < 0.02] = -0.0
        if number % 3 == 0:
            x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
        floating = x.dtype.kind in "fc"
        y = resample(x, axes)
        back = resample_gradient(y, shape, axes) if floating else y
        with monkeypatch.context() as patch, np.errstate(all="ignore"):
            patch.setattr(along_axes.compiled, "serves", lambda dtype: False)
            wanted = resample(x, axes)
            wanted_back = resample_gradient(y, shape, axes) if floating else wanted
        for one, other in ((y, wanted), (back, wanted_back)):
            np.testing.assert_array_equal(one, other)
            if x.dtype.kind == "f":
                numbers = ~np.isnan(one)
                np.testing.assert_array_equal(np.signbit(one[numbers]), np.signbit(other[numbers]))
