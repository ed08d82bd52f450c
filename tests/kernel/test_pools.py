"""Each way in which pools are compiled, whichever would be chosen: on all instruction sets, with guard pages.

``test_every_family.py`` tries what is chosen; which of the ways that is depends on sizes and layouts.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import AWKWARD, awkward, pool_dims, random_array
from guarded import guarded
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tilewright import reference
from tilewright.geometry import PoolDims
from tilewright.kernel import jit, pool_planes, run, threads
from tilewright.kernel.addresses import address
from tilewright.kernel.pools import apart, direct, program
from tilewright.kernel.pools.problem import Problem
from tilewright.kernel.tiles.convolve import Program
from tilewright.op.pool import avg_pool, avg_pool_gradient, max_pool, max_pool_gradient, window_divisors
from tilewright.plan import choose, runnable
from tilewright.plan.compiled import SCRATCH_BYTES
from tilewright.plan.planes import pool_packs

pytestmark = pytest.mark.skipif(not jit.available(), reason="nothing can be compiled here")

Array = np.ndarray[Any, Any]
Make = Callable[..., Program]

_KIND = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
_SUMS = {
    "float32": {
        "rtol": 1e-5,
        "atol": 1e-5,
        "reason": "the same sum of some tens of samples in another order",
    },
    "float64": {"rtol": 1e-12, "atol": 1e-12, "reason": "the same sum in another order, float64"},
}
_COPIES = {"rtol": 0, "atol": 0, "reason": "samples are copied, positions exact"}


def run_exactly(function: int, units: int, args: int, scratch_bytes: int) -> None:
    """What ``threads.run`` does, with scratch of the very size, full of NaN at first; the last unit first."""
    assert scratch_bytes <= SCRATCH_BYTES
    scratch = guarded(np.full(max(scratch_bytes, 1), 0xFF, np.uint8))
    for unit in reversed(range(units)):
        _KIND(function)(unit, args, scratch.ctypes.data)


@contextmanager
def guards() -> Iterator[None]:
    """Programs made and run inside have pages that nobody may touch behind scratch and tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "run", run_exactly)
        for module in (apart, direct, program):
            words_of = module.words_of
            patch.setattr(
                module,
                "words_of",
                lambda fields, words, words_of=words_of: words_of(
                    fields, {key: guarded(w) if isinstance(w, np.ndarray) else w for key, w in words.items()}
                ),
            )
        pool_planes.forget()
        yield
        pool_planes.forget()


def ways(problem: Problem) -> list[Make]:
    """All that can compute a problem."""
    if direct.channels_serve(problem):
        return [direct.along_channels] + ([] if problem.kind == "max_gradient" else [program.program])
    found: list[Make] = [] if problem.kind == "max_gradient" else [program.program]
    if direct.lines_serve(problem):
        found.append(direct.along_lines)
    if apart.serves(problem):
        found.append(apart.program)
    if direct.phases_serve(problem):
        found.append(direct.along_phases)
    return found


def laid(array: Array, channels_last: bool, side: str = "end") -> Array:
    """The array between guard pages, with its channels innermost if asked."""
    if not channels_last:
        return guarded(array, side)
    return np.moveaxis(guarded(np.ascontiguousarray(np.moveaxis(array, 1, -1)), side), -1, 1)


def steps(array: Array) -> tuple[int, ...]:
    return tuple(stride // array.itemsize for stride in array.strides)


def tried(
    kind: str,
    dims: PoolDims,
    x: Array,
    y: Array,
    each: bool = False,
    indices: Array | None = None,
    divisors: Array | None = None,
) -> Iterator[None]:
    """Writes y in each way, on each instruction set."""
    problem = Problem(kind, dims, x.dtype.name, steps(x), steps(y), each)
    found = ways(problem)
    assert found or kind == "max_gradient"
    for make in found:
        for target in runnable():
            y[...] = 7e7
            if indices is not None and kind == "max_indices":
                indices[...] = -9
            made = make(problem, target)
            assert made.scratch_bytes <= SCRATCH_BYTES
            addresses = [0 if array is None else address(array) for array in (x, indices, divisors, y)]
            made.run(*addresses)
            yield


def check(dims: PoolDims, dtype: str, channels_last: bool) -> None:
    rng = np.random.default_rng(5)
    x = rng.standard_normal(dims.input_shape).round(1).astype(dtype)  # ties
    x[rng.random(x.shape) < 0.05] = np.nan
    x[rng.random(x.shape) < 0.2] = -np.inf
    x, y = laid(x, channels_last), laid(np.zeros(dims.output_shape, dtype), channels_last, "start")
    gy = laid(random_array(dims.output_shape, 6, dtype), channels_last, "start")
    gx = laid(np.zeros(dims.input_shape, dtype), channels_last)
    if dims.every_window_sees_input:
        largest, places = reference.pool.max_pool(dims, x)
        indices = laid(np.zeros(dims.output_shape, np.int64), channels_last)
        for _ in tried("max", dims, x, y):
            assert_same(y, largest, **_COPIES)
        for _ in tried("max_indices", dims, x, y, indices=indices):
            assert_same(y, largest, **_COPIES)
            assert_same(indices, places, **_COPIES)
        expected = reference.pool.max_pool_gradient(dims, gy, places)
        for _ in tried("max_gradient", dims, gy, gx, indices=laid(places, channels_last)):
            assert_same(gx, expected, rtol=0, atol=0, reason="the same sums in the same order")
    finite = laid(random_array(dims.input_shape, 7, dtype), channels_last)
    for count, divisor in ((True, None), (not dims.every_window_sees_input, None), (True, 3)):
        divisors = window_divisors(dims, np.dtype(dtype), count, divisor, "pool")
        each = divisor is None
        table = guarded(np.ascontiguousarray(divisors) if each else np.full(1, divisor, dtype))
        for _ in tried("mean", dims, finite, y, each=each, divisors=table):
            assert_same(y, reference.pool.avg_pool(dims, finite, count, divisor), **_SUMS[dtype])
        expected = reference.pool.avg_pool_gradient(dims, gy, count, divisor)
        for _ in tried("shares", dims, gy, gx, each=each, divisors=table):
            assert_same(gx, expected, **_SUMS[dtype])


@settings(max_examples=150)
@given(dims=pool_dims(), channels_last=st.booleans(), dtype=st.sampled_from(["float32", "float64"]))
@example(PoolDims.of((2, 37, 6, 7), 3, stride=2, padding=1), True, "float32")
@example(PoolDims.of((2, 3, 4, 121), (2, 3), stride=(1, 2), padding=(0, 1)), False, "float32")
@example(PoolDims.of((1, 2, 3, 120), 2), False, "float64")
@example(PoolDims.of((1, 1, 3, 1), (2, 1), stride=1), False, "float64")  # lines overlap, not columns
@example(PoolDims.of((1, 2, 3, 150), 3, stride=1, padding=1), False, "float32")
def test_every_way(dims: PoolDims, channels_last: bool, dtype: str) -> None:
    with guards():
        check(dims, dtype, channels_last)


@pytest.mark.parametrize(
    "dims",
    [
        PoolDims.of((2, 2, 300, 300), 3, stride=2, padding=1),
        PoolDims.of((1, 3, 129, 517), 2),
        PoolDims.of((2, 2, 260, 260), 3, stride=1, padding=1),
        PoolDims.of((1, 1, 70_001), 7, stride=3, padding=2),
        PoolDims.of((1, 2, 12, 60, 60), 2, stride=(2, 1, 2)),
        PoolDims.of((2, 3, 31, 33), (31, 33)),
        PoolDims.of((2, 3, 6, 31, 33), (2, 31, 33)),
        PoolDims.of((2, 3, 60, 150), (7, 40), stride=(7, 43)),
    ],
    ids=lambda dims: "x".join(map(str, dims.spatial)),
)
@pytest.mark.parametrize("channels_last", [False, True])
def test_several_blocks(dims: PoolDims, channels_last: bool) -> None:
    """Planes that no block holds whole, against NumPy's own."""
    x = laid(random_array(dims.input_shape, 1, np.float32), channels_last)
    gy = laid(random_array(dims.output_shape, 2, np.float32), channels_last)
    expected, places = max_pool(dims, x, family="numpy-pool")
    y, indices = laid(np.zeros(dims.output_shape, np.float32), channels_last), None
    for _ in tried("max", dims, x, y):
        assert_same(y, expected, **_COPIES)
    indices = laid(np.zeros(dims.output_shape, np.int64), channels_last)
    for _ in tried("max_indices", dims, x, y, indices=indices):
        assert_same(y, expected, **_COPIES)
        assert_same(indices, places, **_COPIES)
    gx = laid(np.zeros(dims.input_shape, np.float32), channels_last)
    divisors = guarded(np.full(1, dims.taps, np.float32))
    expected = avg_pool_gradient(dims, gy, divisor=dims.taps, family="numpy-pool")
    for _ in tried("shares", dims, gy, gx, divisors=divisors):
        assert_same(gx, expected, **_SUMS["float32"])
    expected = avg_pool(dims, x, divisor=dims.taps, family="numpy-pool")
    for _ in tried("mean", dims, x, y, divisors=divisors):
        assert_same(y, expected, **_SUMS["float32"])


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    "dims",
    [
        PoolDims.of((9, 24, 30, 30), 3, stride=2, padding=1),
        PoolDims.of((9, 24, 30, 31), 3, stride=1, padding=1),
        PoolDims.of((5, 6, 130, 130), 2),
    ],
    ids=["3x3/2", "3x3", "2x2/2"],
)
def test_bits_depend_on_neither_threads_nor_batch(dims: PoolDims, channels_last: bool) -> None:
    x = laid(random_array(dims.input_shape, 1, np.float32), channels_last)
    gy = laid(random_array(dims.output_shape, 2, np.float32), channels_last)

    def everything(dims: PoolDims, x: Array, gy: Array) -> list[Array]:
        y, indices = max_pool(dims, x)
        assert indices is not None
        return [
            y,
            indices,
            max_pool_gradient(dims, gy, indices),
            avg_pool(dims, x, count_include_pad=False),
            avg_pool_gradient(dims, gy),
            avg_pool_gradient(dims, gy, count_include_pad=False),
        ]

    before = threads.get_num_threads()
    try:
        threads.set_num_threads(1)
        whole = everything(dims, x, gy)
        for count in (2, 3, 7):
            threads.set_num_threads(count)
            for one, other in zip(everything(dims, x, gy), whole, strict=True):
                assert one.tobytes() == other.tobytes()
    finally:
        threads.set_num_threads(before)
    for first, last in ((0, 1), (1, 3), (3, dims.batch)):
        some = slice(first, last)
        part = everything(dims.with_batch(last - first), x[some], gy[some])
        for one, other in zip(part, whole, strict=True):
            assert one.tobytes() == other[some].tobytes()


def test_the_results_lie_as_the_input_does() -> None:
    dims = PoolDims.of((2, 5, 8, 9), 2)
    x = laid(random_array(dims.input_shape, 1), True)
    y, indices = max_pool(dims, x)
    assert indices is not None
    assert y.strides[1] == indices.strides[1] == 8
    # Whichever way indices and gradients lie.
    gy = random_array(dims.output_shape, 2)
    expected = reference.pool.max_pool_gradient(dims, gy, indices)
    for gradient in (gy, laid(gy, True)):
        for places in (np.ascontiguousarray(indices), indices, indices.astype(np.int32)):
            assert_same(max_pool_gradient(dims, gradient, places), expected, **_SUMS["float64"])


@pytest.mark.parametrize("index", [-100, 64, 1 << 40])
def test_an_index_that_is_none_touches_nothing(index: int) -> None:
    """Those that pooling gave, but written to since."""
    dims = PoolDims.of((1, 2, 8, 8), 2)
    indices = np.zeros(dims.output_shape, np.int64)
    indices[0, 1, 2, 3] = index
    gx = guarded(np.zeros(dims.input_shape))
    with pytest.raises(IndexError):
        run(choose("max_pool_gradient", dims, "float64"), np.ones(dims.output_shape), indices, gx)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_scratch_is_bounded(data: st.DataObject) -> None:
    """Geometries of any size that the family accepts; nothing is run."""

    def size(most: int) -> int:
        return round(math.exp(data.draw(st.floats(0, math.log(most)))))

    rank = data.draw(st.integers(1, 3))
    spatial = [size({1: 100_000, 2: 1500, 3: 80}[rank]) for _ in range(rank)]
    kernel = tuple(min(size(60), n) for n in spatial)
    dims = PoolDims.of(
        (size(64), size(2000), *spatial),
        kernel,
        stride=tuple(size(9) for _ in kernel),
        padding=tuple(data.draw(st.integers(0, k // 2)) for k in kernel),
    )
    for operation, kinds in (
        ("max_pool", ("max", "max_indices")),
        ("avg_pool", ("mean",)),
        ("avg_pool_gradient", ("shares",)),
    ):
        plan = choose(operation, dims, "float32")
        if plan.family != "planes-pool":
            continue
        x, y = (
            tuple(int(n) for n in 4 * np.cumprod((1, *shape[:0:-1]))[::-1])
            for shape in (dims.input_shape, dims.output_shape)
        )
        if operation == "avg_pool_gradient":
            x, y = y, x
        for kind in kinds:
            for each in (False, True):
                assert pool_planes.outline(plan, kind, x, y, each).scratch_bytes <= SCRATCH_BYTES


@pytest.mark.parametrize("kind", AWKWARD)
def test_windows_that_no_block_holds(kind: str) -> None:
    """Whole planes, in any memory layout."""
    dims = PoolDims.of((1, 2, 300, 301), (300, 301))
    x, gy = random_array(dims.input_shape, 1), random_array(dims.output_shape, 2)
    assert not pool_packs(dims, "float64", runnable()[0])
    assert choose("max_pool", dims, "float64").family == "planes-pool"
    given = awkward(x, kind)
    for one, other in zip(max_pool(dims, given), max_pool(dims, x, family="numpy-pool"), strict=True):
        assert_same(one, other, **_COPIES)
    assert_same(avg_pool(dims, given), avg_pool(dims, x, family="numpy-pool"), **_SUMS["float64"])
    expected = avg_pool_gradient(dims, gy, family="numpy-pool")
    assert_same(avg_pool_gradient(dims, awkward(gy, kind)), expected, **_SUMS["float64"])
    gx = awkward(np.full(dims.input_shape, np.nan), "fortran")
    divisors = np.broadcast_to(np.float64(dims.taps), dims.output)
    run(choose("avg_pool_gradient", dims, "float64"), gy, gx, divisors)
    assert_same(gx, expected, **_SUMS["float64"])


def test_what_is_declined() -> None:
    assert choose("max_pool", PoolDims.of((1, 1, 8, 8), 2), "int32").family == "numpy-pool"
    assert choose("max_pool", PoolDims.of((1,) * 11, 1), "float32").family == "numpy-pool"
    huge = PoolDims.of((1, 1, 3_000_000, 2), 1)
    assert choose("max_pool", huge, "float32").family == "numpy-pool"
    wide = PoolDims.of((1, 1, 2000, 2000), 1500, stride=1)
    assert choose("avg_pool", wide, "float32").family == "numpy-pool"
