"""Padding that continues the samples, filled in as planes are packed: as if the input had been padded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import random_array
from guarded import guarded
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tilewright import reference
from tilewright.geometry import ConvDims
from tilewright.geometry.padding import PADDING_MODES
from tilewright.kernel import conv_planes, run, threads
from tilewright.kernel.planes import program, weights_program
from tilewright.kernel.planes.continuing import continued
from tilewright.op import continued as op
from tilewright.op import conv as conv_op
from tilewright.op.pad import pad, pad_gradient, source_index
from tilewright.plan import Plan, choose, runnable

Array = np.ndarray[Any, Any]
MODES = PADDING_MODES[1:]
_FLOAT64 = {"rtol": 1e-11, "atol": 1e-11, "reason": "the same sum in another order, float64"}


@st.composite
def continued_dims(draw: st.DrawFn) -> ConvDims:
    """Windows over few channels with paddings that may be wider than the input, and a mode."""
    rank = draw(st.integers(1, 3))
    spatial, kernel, stride, dilation, padding = [], [], [], [], []
    for axis in range(rank):
        longest = 40 if axis == rank - 1 else 6
        n, k, d = draw(st.integers(1, longest)), draw(st.integers(1, 4)), draw(st.integers(1, 2))
        low, high = (draw(st.integers(0, 2) | st.integers(0, 11)) for _ in range(2))
        assume(n + low + high >= d * (k - 1) + 1)
        spatial.append(n)
        kernel.append(k)
        dilation.append(d)
        stride.append(draw(st.integers(1, 3)))
        padding.append((low, high))
    groups = draw(st.sampled_from([1, 1, 2, 8]))
    inputs, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    if groups == 8 and draw(st.booleans()):
        inputs = outputs = 1
    dims = ConvDims.of(
        (draw(st.integers(1, 2)), groups * inputs, *spatial),
        (groups * outputs, inputs, *kernel),
        stride=tuple(stride),
        padding=tuple(padding),
        dilation=tuple(dilation),
        groups=groups,
    )
    return replace(dims, padding_mode=draw(st.sampled_from(MODES)))


def plans(operation: str, dims: ConvDims, dtype: str = "float64") -> list[Plan]:
    plan = choose(operation, replace(dims, padding_mode=PADDING_MODES[0]), dtype, "planes")
    return [replace(plan, dims=dims, target=target.name) for target in runnable()]


def in_layout(array: Array, layout: str) -> Array:
    if layout == "channels_first":
        return array
    return np.moveaxis(guarded(np.ascontiguousarray(np.moveaxis(array, 1, -1))), -1, 1)


@given(st.integers(1, 5), st.integers(0, 20), st.integers(0, 20), st.sampled_from(MODES))
def test_the_samples_are_those_that_padding_would_copy(size: int, low: int, high: int, mode: str) -> None:
    found = continued(np.arange(-low, size + high), size, mode)
    assert found.tolist() == source_index(size, low, high, mode).tolist()


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("packed", [program.PACKED_BYTES, 4096])
@settings(max_examples=150)
@given(dims=continued_dims())
def test_forward_and_weight_gradient(packed: int, layout: str, dims: ConvDims) -> None:
    """Inputs end at unreadable pages, outputs are full of junk; in one block, and in many."""
    x, w = in_layout(guarded(random_array(dims.input_shape, 1)), layout), random_array(dims.weight_shape, 2)
    bias, gy = random_array((dims.out_channels,), 3), random_array(dims.output_shape, 4)
    inside, longer = op.padded(dims, x, "conv")
    expected = reference.conv.forward(inside, longer, w, bias)
    slopes = reference.conv.weight_gradient(inside, longer, gy)
    with pytest.MonkeyPatch.context() as patch:
        for module in (program, weights_program):
            patch.setattr(module, "PACKED_BYTES", packed)
        conv_planes.forget()
        for plan in plans("forward", dims):
            y = in_layout(guarded(np.full(dims.output_shape, np.nan)), layout)
            run(plan, x, guarded(w), guarded(bias), y)
            assert_same(y, expected, **_FLOAT64)
        for plan in plans("weight_gradient", dims):
            gw = guarded(np.full(dims.weight_shape, -1e30))
            run(plan, x, in_layout(guarded(gy), layout), gw)
            assert_same(gw, slopes, **_FLOAT64)
    conv_planes.forget()


@settings(max_examples=300)
@given(dims=continued_dims())
def test_data_gradient(dims: ConvDims) -> None:
    """What falls on the padding is added to the samples that it is a copy of."""
    gy, w = random_array(dims.output_shape, 1), random_array(dims.weight_shape, 2)
    laid = reference.conv.data_gradient(op.inside(dims), gy, w)
    expected = pad_gradient(laid, dims.input_shape, dims.padding, dims.padding_mode)
    assert_same(conv_op.conv_data_gradient(dims, guarded(gy), w), expected, **_FLOAT64)
    bias = random_array((dims.in_channels,), 3)
    shifted = expected + bias.reshape((-1,) + (1,) * dims.rank)
    assert_same(conv_op.conv_data_gradient(dims, gy, w, bias), shifted, **_FLOAT64)


@pytest.mark.parametrize("mode", MODES)
def test_the_bits_are_those_of_the_padded_input(mode: str) -> None:
    """Of any number of threads, and each sample's whatever the batch."""
    dims = ConvDims.of((3, 4, 40, 70), (4, 1, 5, 3), padding=((2, 3), (4, 1)), stride=(1, 2), groups=4)
    dims = replace(dims, padding_mode=mode)
    x = random_array(dims.input_shape, 1).astype(np.float32)
    w = random_array(dims.weight_shape, 2).astype(np.float32)
    gy = random_array(dims.output_shape, 3).astype(np.float32)
    y = conv_op.conv_forward(dims, x, w)
    assert np.array_equal(y, conv_op.conv_forward(op.inside(dims), pad(x, dims.padding, mode), w))
    gx, gw = conv_op.conv_data_gradient(dims, gy, w), conv_op.conv_weight_gradient(dims, x, gy)
    before = threads.get_num_threads()
    try:
        for count in (1, 2, 3):
            threads.set_num_threads(count)
            assert np.array_equal(y, conv_op.conv_forward(dims, x, w))
            assert np.array_equal(gx, conv_op.conv_data_gradient(dims, gy, w))
            assert np.array_equal(gw, conv_op.conv_weight_gradient(dims, x, gy))
    finally:
        threads.set_num_threads(before)
    for sample in range(3):
        one, alone = replace(dims, batch=1), slice(sample, sample + 1)
        assert np.array_equal(y[alone], conv_op.conv_forward(one, x[alone], w))
        assert np.array_equal(gx[alone], conv_op.conv_data_gradient(one, gy[alone], w))


@pytest.mark.parametrize("mode", MODES)
def test_what_is_not_finite_stays_where_the_definition_puts_it(mode: str) -> None:
    dims = replace(ConvDims.of((1, 1, 6, 9), (1, 1, 3, 3), padding=2), padding_mode=mode)
    x, w = random_array(dims.input_shape, 1), random_array(dims.weight_shape, 2)
    x[0, 0, 0, 8], x[0, 0, 3, 0] = np.nan, np.inf
    gy = random_array(dims.output_shape, 3)
    inside, longer = op.padded(dims, x, "conv")
    with np.errstate(all="ignore"):
        expected = reference.conv.forward(inside, longer, w)
        slopes = reference.conv.weight_gradient(inside, longer, gy)
    assert_same(conv_op.conv_forward(dims, x, w), expected, **_FLOAT64)
    assert_same(conv_op.conv_weight_gradient(dims, x, gy), slopes, **_FLOAT64)


def test_the_input_is_not_copied() -> None:
    """The family that packs such padding is chosen for a picture's filter, and the tape keeps the input."""
    dims = replace(ConvDims.of((1, 3, 64, 64), (3, 3, 5, 5), padding=2), padding_mode=MODES[0])
    plan = op.plan_for("forward", dims, np.zeros(dims.input_shape, np.float32))
    assert plan is not None
    assert plan.dims == dims
    assert op.plan_for("forward", replace(dims, padding=((-1, 2), (2, 2))), np.zeros(1)) is None
