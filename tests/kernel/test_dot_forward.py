"""Products with few outputs and many channels: dot products of rows as they lie."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import random_array
from guarded import guarded
from kernel.elementwise.arrays import with_threads

from tilewright import reference
from tilewright.geometry import ConvDims
from tilewright.kernel import conv_tiles, run
from tilewright.kernel.tiles import dot_forward
from tilewright.plan import choose, runnable

pytest.importorskip("llvmlite", reason="compiles through LLVM")

Array = np.ndarray[Any, Any]


def rows_of(samples: int, channels: int, outputs: int) -> ConvDims:
    """A dense layer: samples are the pixels of a 1×1 convolution."""
    return ConvDims.of((1, channels, samples), (outputs, channels, 1))


def channels_last(array: Array, side: str) -> Array:
    """The same numbers, channels innermost, next to unreadable memory."""
    return np.moveaxis(guarded(np.ascontiguousarray(np.moveaxis(array, 1, -1)), side), -1, 1)


@pytest.mark.parametrize("weights_bytes", [0, 1 << 30])
@pytest.mark.parametrize("outputs", [1, 2, 7, 16])
def test_few_outputs(outputs: int, weights_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tile by tile of pixels, or stretch by stretch: the same bits, and as the definition says."""
    monkeypatch.setattr(dot_forward, "_WEIGHTS_BYTES", weights_bytes)
    conv_tiles.forget()
    for samples, channels, side in (
        (1, 256, "end"),
        (7, 700, "start"),
        (33, 1025, "end"),
        (70, 1536, "start"),
    ):
        dims = rows_of(samples, channels, outputs)
        x, w = random_array(dims.input_shape, 1), random_array(dims.weight_shape, 2)
        bias = random_array((outputs,), 3)
        expected = reference.conv.forward(dims, x, w, bias)
        x, w, bias = channels_last(x, side), guarded(w, side), guarded(bias, side)
        for target in runnable():
            plan = replace(choose("forward", dims, "float64", None, "channels_last"), target=target.name)
            for poison in (np.nan, 5.0):
                y = channels_last(np.full(dims.output_shape, poison), side)
                run(plan, x, w, bias, y)
                assert_same(y, expected, rtol=1e-11, atol=1e-11, reason="the same sum in another order")
            program = conv_tiles.program_for(plan, x.strides, y.strides)
            assert program.about["side"] == "by_places"
    conv_tiles.forget()


def test_the_order_of_the_loops_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    dims = rows_of(100, 2000, 9)
    x = channels_last(random_array(dims.input_shape, 1, np.float32), "end")
    w = random_array(dims.weight_shape, 2, np.float32)
    found = []
    for weights_bytes in (0, 1 << 30):
        monkeypatch.setattr(dot_forward, "_WEIGHTS_BYTES", weights_bytes)
        conv_tiles.forget()
        for threads in (1, 2, 3, 7):
            y = channels_last(np.full(dims.output_shape, np.nan, np.float32), "end")
            plan = choose("forward", dims, "float32", None, "channels_last")
            with_threads(threads, lambda plan=plan, y=y: run(plan, x, w, None, y))
            found.append(y)
    conv_tiles.forget()
    for other in found[1:]:
        assert_same(other, found[0], rtol=0, atol=0, reason="the same bits")


def test_what_is_not_finite_reaches_its_own_row_only() -> None:
    dims = rows_of(9, 300, 1)
    x, w = random_array(dims.input_shape, 1), random_array(dims.weight_shape, 2)
    x[0, 17, 4] = np.inf
    expected = reference.conv.forward(dims, x, w)
    y = channels_last(np.zeros(dims.output_shape), "end")
    run(choose("forward", dims, "float64", None, "channels_last"), channels_last(x, "end"), w, None, y)
    assert np.isinf(y[0, 0, 4]) and np.isfinite(np.delete(y, 4, axis=2)).all()
    assert_same(y, expected, rtol=1e-11, atol=1e-11, reason="the same sum in another order")
