"""Every family against the reference on random geometries, into poisoned outputs between guard pages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import AWKWARD, awkward, conv_dims, pool_dims, random_array
from guarded import guarded
from hypothesis import given, settings

from tilewright import reference
from tilewright.geometry import ConvDims, PoolDims
from tilewright.kernel import run
from tilewright.op.pool import window_divisors
from tilewright.plan import FAMILIES, Plan, choose, runnable

Array = np.ndarray[Any, Any]

# A sum of a few hundred products of standard normals, in float64, taken in another order.
_FLOAT64 = {"rtol": 1e-11, "atol": 1e-11, "reason": "the same sum in another order, float64"}
_MANY = settings(max_examples=2000)


def plans(operation: str, dims: ConvDims | PoolDims, dtype: str = "float64") -> list[Plan]:
    """The plan of every family but the reference that accepts; a compiled one for each instruction set."""
    found: list[Plan] = []
    for family in FAMILIES:
        answer = family.answer(operation, dims, dtype, "channels_first", True)
        if family.name == "reference" or not isinstance(answer, Plan):
            continue
        found += [replace(answer, target=t.name) for t in runnable()] if answer.target else [answer]
    return found


def poisoned(shape: tuple[int, ...], junk: float, side: str = "end") -> Array:
    """An output full of junk, right before (or after) an unreadable page."""
    return guarded(np.full(shape, junk), side)


@_MANY
@given(conv_dims())
def test_convolution(dims: ConvDims) -> None:
    x, w = guarded(random_array(dims.input_shape, 1)), guarded(random_array(dims.weight_shape, 2), "start")
    gy, bias = guarded(random_array(dims.output_shape, 3)), guarded(random_array((dims.out_channels,), 4))
    kept = [array.copy() for array in (x, w, gy, bias)]
    expected = (
        reference.conv.forward(dims, x, w, bias),
        reference.conv.data_gradient(dims, gy, w),
        reference.conv.weight_gradient(dims, x, gy),
    )
    for plan in plans("forward", dims):
        y = poisoned(dims.output_shape, np.nan)
        run(plan, x, w, bias, y)
        assert_same(y, expected[0], **_FLOAT64)
    for plan in plans("data_gradient", dims):
        gx = poisoned(dims.input_shape, -1e30, "start")
        run(plan, gy, w, gx)
        assert_same(gx, expected[1], **_FLOAT64)
    for plan in plans("weight_gradient", dims):
        gw = poisoned(dims.weight_shape, 7e30)
        run(plan, x, gy, gw)
        assert_same(gw, expected[2], **_FLOAT64)
    for array, before in zip((x, w, gy, bias), kept, strict=True):
        assert_same(array, before, rtol=0, atol=0, reason="inputs are never written to")


@_MANY
@given(pool_dims())
def test_pooling(dims: PoolDims) -> None:
    rng = np.random.default_rng(5)
    x = rng.standard_normal(dims.input_shape).round(1)  # ties
    x[rng.random(x.shape) < 0.05] = np.nan
    x[rng.random(x.shape) < 0.2] = -np.inf
    x = guarded(x)
    gy = guarded(random_array(dims.output_shape, 6))
    if dims.every_window_sees_input:
        largest, places = reference.pool.max_pool(dims, x)
        for plan in plans("max_pool", dims):
            y, indices = poisoned(dims.output_shape, 9e9), guarded(np.full(dims.output_shape, -9))
            run(plan, x, y, indices)
            assert_same(y, largest, rtol=0, atol=0, reason="samples are copied")
            assert_same(indices, places, rtol=0, atol=0, reason="positions are exact")
            without = poisoned(dims.output_shape, 8e9)
            run(plan, x, without, None)
            assert_same(without, largest, rtol=0, atol=0, reason="samples are copied")
        for plan in plans("max_pool_gradient", dims):
            gx = poisoned(dims.input_shape, np.nan, "start")
            run(plan, gy, places, gx)
            assert_same(gx, reference.pool.max_pool_gradient(dims, gy, places), **_FLOAT64)
    finite = guarded(random_array(dims.input_shape, 7))
    for count in (True, False) if dims.every_window_sees_input else (True,):
        divisors = window_divisors(dims, np.dtype("float64"), count, None, "pool")
        for plan in plans("avg_pool", dims):
            y = poisoned(dims.output_shape, np.nan)
            run(plan, finite, y, divisors)
            assert_same(y, reference.pool.avg_pool(dims, finite, count), **_FLOAT64)
        for plan in plans("avg_pool_gradient", dims):
            gx = poisoned(dims.input_shape, np.nan)
            run(plan, gy, gx, divisors)
            assert_same(gx, reference.pool.avg_pool_gradient(dims, gy, count), **_FLOAT64)


@pytest.mark.parametrize("kind", AWKWARD)
@given(dims=conv_dims(ranks=(1, 3)))
@settings(max_examples=60)
def test_awkward_layouts(kind: str, dims: ConvDims) -> None:
    x, w = random_array(dims.input_shape, 1), random_array(dims.weight_shape, 2)
    gy = random_array(dims.output_shape, 3)
    y = awkward(np.full(dims.output_shape, np.nan), "holes")
    for plan in plans("forward", dims):
        run(plan, awkward(x, kind), awkward(w, kind), None, y)
        assert_same(y, reference.conv.forward(dims, x, w), **_FLOAT64)
    for plan in plans("data_gradient", dims):
        gx = awkward(np.full(dims.input_shape, np.nan), "fortran")
        run(plan, awkward(gy, kind), awkward(w, kind), gx)
        assert_same(gx, reference.conv.data_gradient(dims, gy, w), **_FLOAT64)
    for plan in plans("weight_gradient", dims):
        gw = np.full(dims.weight_shape, np.nan)
        run(plan, awkward(x, kind), awkward(gy, kind), gw)
        assert_same(gw, reference.conv.weight_gradient(dims, x, gy), **_FLOAT64)


@given(dims=conv_dims(ranks=(1, 3)))
def test_a_samples_bits_do_not_depend_on_its_batch(dims: ConvDims) -> None:
    many = dims.with_batch(5)
    x = random_array(many.input_shape, 1, np.float32)
    w = random_array(many.weight_shape, 2, np.float32)
    y = np.empty(many.output_shape, np.float32)
    run(choose("forward", many, "float32"), x, w, None, y)
    for first, last in ((0, 1), (1, 3), (3, 5)):
        part = many.with_batch(last - first)
        alone = np.empty(part.output_shape, np.float32)
        run(choose("forward", part, "float32"), x[first:last], w, None, alone)
        assert alone.tobytes() == y[first:last].tobytes()


@pytest.mark.parametrize(
    "dims",
    [
        ConvDims.of((20, 32, 14, 14), (48, 32, 3, 3), padding=1),
        ConvDims.of((33, 64, 7, 7), (32, 64, 1, 1)),
        ConvDims.of((17, 1, 28, 28), (32, 1, 5, 5), padding=2),
        ConvDims.of((9, 24, 14, 14), (24, 1, 3, 3), padding=1, groups=24),
        ConvDims.of((6, 100, 1, 1), (10, 100, 1, 1)),
    ],
    ids=lambda dims: f"{dims.in_channels}to{dims.out_channels}",
)
def test_bits_in_any_batch_at_the_sizes_of_networks(dims: ConvDims) -> None:
    x = random_array(dims.input_shape, 1, np.float32)
    w = random_array(dims.weight_shape, 2, np.float32)
    y = np.empty(dims.output_shape, np.float32)
    run(choose("forward", dims, "float32"), x, w, None, y)
    gx = np.empty(dims.input_shape, np.float32)
    run(choose("data_gradient", dims, "float32"), y, w, gx)
    one = dims.with_batch(1)
    for n in range(dims.batch):
        alone = np.empty(one.output_shape, np.float32)
        run(choose("forward", one, "float32"), x[n : n + 1], w, None, alone)
        assert alone.tobytes() == y[n : n + 1].tobytes()
        back = np.empty(one.input_shape, np.float32)
        run(choose("data_gradient", one, "float32"), y[n : n + 1], w, back)
        assert back.tobytes() == gx[n : n + 1].tobytes()


def test_guard_pages_do_guard() -> None:
    """One element beyond a guarded array ends the process, so a kernel that reads it can't pass."""
    import subprocess
    import sys

    program = (
        "import ctypes, numpy, sys; sys.path.insert(0, 'tests')\n"
        "from guarded import guarded\n"
        "a = guarded(numpy.zeros(5)); ctypes.string_at(a.ctypes.data, a.nbytes)\n"
        "print('inside', flush=True); ctypes.string_at(a.ctypes.data, a.nbytes + 1)\n"
    )
    from pathlib import Path

    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=60, check=False
    )
    assert "inside" in done.stdout
    assert done.returncode < 0, "the process must die of the signal"
