"""The compiled families: every instruction set, dense geometries, small blocks, bits, errors of rounding."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import random_array
from guarded import guarded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel.tiled import FAMILIES, check, dense_dims, laid_out, plan_for, pointwise_dims

from tilewright import reference
from tilewright.errors import ArgumentError
from tilewright.geometry import ConvDims
from tilewright.geometry.shapes import read_shapes
from tilewright.kernel import conv_tiles, run, threads
from tilewright.kernel.tiles import weights
from tilewright.plan import Target, choose, precision, runnable, tiles

Array = np.ndarray[Any, Any]

_TARGETS = runnable()


@pytest.mark.parametrize("target", _TARGETS, ids=str)
@settings(max_examples=1000)
@given(
    dims=dense_dims(),
    dtype=st.sampled_from(["float32", "float64"]),
    last=st.tuples(st.booleans(), st.booleans()),
)
def test_dense_geometries(target: Target, dims: ConvDims, dtype: str, last: tuple[bool, bool]) -> None:
    check(dims, dtype, target, last)


# Taps of the last two axes, or of the only one.
_SCHEMES = [(3, 3), (3, 3), (5, 5), (4, 3), (1, 3), (3, 1), (1, 7), (7, 1), (5, 1), (3,), (7,)]


@st.composite
def square_dims(draw: st.DrawFn) -> ConvDims:
    """Few taps side by side, stride 1: what Winograd's algorithm takes; one axis, two, or a lead axis."""
    lead = draw(st.booleans())
    spatial, kernel, pads, stride, dilation = [], [], [], [], []
    if lead:
        kernel.append(draw(st.integers(1, 3)))
        dilation.append(draw(st.integers(1, 2)))
        stride.append(draw(st.integers(1, 2)))
        pads.append((draw(st.integers(-1, 2)), draw(st.integers(0, 2))))
        fewest = max(dilation[0] * (kernel[0] - 1) + 1 - sum(pads[0]), 1)
        spatial.append(draw(st.integers(fewest, fewest + 4)))
    taps = draw(st.sampled_from(_SCHEMES if not lead else _SCHEMES[:-2]))
    for count in taps:
        low, high = draw(st.integers(-1, 3)), draw(st.integers(-1, 3))
        kernel.append(count)
        pads.append((low, high))
        stride.append(1)
        dilation.append(1)
        spatial.append(draw(st.integers(max(count - low - high, 1), 40 if not lead else 12)))
    channels, outputs = draw(st.integers(1, 140 if not lead else 30)), draw(st.integers(1, 70))
    groups = draw(st.sampled_from([1, 1, 2]))
    return ConvDims.of(
        (draw(st.integers(1, 3)), groups * channels, *spatial),
        (groups * outputs, channels, *kernel),
        stride=tuple(stride),
        padding=tuple(pads),
        dilation=tuple(dilation),
        groups=groups,
    )


def check_winograd(dims: ConvDims, target: Target, last: tuple[bool, bool]) -> None:
    x = laid_out(random_array(dims.input_shape, 1).astype("f4"), last[0])
    gy = laid_out(random_array(dims.output_shape, 3).astype("f4"), last[0])
    w = guarded(random_array(dims.weight_shape, 2).astype("f4"), "start")
    bias = guarded(random_array((dims.out_channels,), 4).astype("f4"))
    wide = [array.astype("f8") for array in (x, w, bias, gy)]
    for operation, expected, operands in (
        ("forward", reference.conv.forward(dims, *wide[:3]), (x, w, bias)),
        ("data_gradient", reference.conv.data_gradient(dims, wide[3], wide[1]), (gy, w)),
        ("weight_gradient", reference.conv.weight_gradient(dims, wide[0], wide[3]), (x, gy)),
    ):
        if operation == "weight_gradient" and 7 in dims.kernel:
            continue  # its rounding would be too large
        out = laid_out(np.full(expected.shape, np.nan, "f4"), last[1] and operation != "weight_gradient")
        run(plan_for(operation, "tiles-winograd", dims, "float32", target), *operands, out)
        places = dims.batch * int(np.prod(dims.output))
        terms = max(dims.reduction, dims.taps * dims.out_channels // dims.groups, places)
        assert_same(
            out,
            expected.astype("f4"),
            rtol=1e-6,
            atol=1e-5 * (terms**0.5 + 8),
            reason="rounding of sums of n standard normal products, some hundred times 2⁻²⁴·√n at worst",
        )


@pytest.mark.parametrize("target", _TARGETS, ids=str)
@settings(max_examples=400)
@given(dims=square_dims(), last=st.tuples(st.booleans(), st.booleans()))
def test_winograd(target: Target, dims: ConvDims, last: tuple[bool, bool]) -> None:
    check_winograd(dims, target, last)


def windows_of(x: Array, kernel: tuple[int, int], padding: tuple[int, int]) -> Array:
    """A row for each output, a column for each channel and tap."""
    wide = np.pad(x, ((0, 0), (0, 0), *((n, n) for n in padding)))
    found = np.lib.stride_tricks.sliding_window_view(wide, kernel, axis=(2, 3))
    return found.transpose(0, 2, 3, 1, 4, 5).reshape(-1, x.shape[1] * kernel[0] * kernel[1])


def rows_of(y: Array) -> Array:
    """A row for each place, a column for each channel."""
    return y.transpose(0, 2, 3, 1).reshape(-1, y.shape[1])


@pytest.mark.parametrize("channels", [64, 256])
@pytest.mark.parametrize("kernel", [(3, 3), (5, 5), (1, 7), (1, 3), (4, 4)], ids=str)
def test_winograd_rounds_within_three_times_a_product(channels: int, kernel: tuple[int, int]) -> None:
    padding = ((kernel[0] - 1) // 2, (kernel[1] - 1) // 2)
    back = (kernel[0] - 1 - padding[0], kernel[1] - 1 - padding[1])
    dims = ConvDims.of((2, channels, 24, 24), (48, channels, *kernel), padding=padding)
    x, w = random_array(dims.input_shape, 1).astype("f4"), random_array(dims.weight_shape, 2).astype("f4")
    gy = random_array(dims.output_shape, 3).astype("f4")
    turned = w[:, :, ::-1, ::-1].transpose(0, 2, 3, 1).reshape(48, -1, channels)
    read = windows_of(gy, kernel, back).reshape(-1, 48, kernel[0] * kernel[1])
    for operation, operands, shape, a, b in (
        ("forward", (x, w, None), dims.output_shape, windows_of(x, kernel, padding), w.reshape(48, -1).T),
        (
            "data_gradient",
            (gy, w),
            dims.input_shape,
            read.reshape(len(read), -1),
            turned.reshape(-1, channels),
        ),
        ("weight_gradient", (x, gy), dims.weight_shape, rows_of(gy).T, windows_of(x, kernel, padding)),
    ):
        if operation == "weight_gradient" and 7 in kernel:
            with pytest.raises(ArgumentError, match="would round too much"):
                choose(operation, dims, "float32", "tiles-winograd")
            continue
        exact = a.astype("f8") @ b.astype("f8")
        # The rounding of the same sums as a float32 product of matrices.
        rounding = float(np.sqrt(np.mean((a @ b - exact) ** 2)))
        out = np.full(shape, np.nan, "f4")
        run(choose(operation, dims, "float32", "tiles-winograd"), *operands, out)
        got = out.reshape(len(out), -1) if operation == "weight_gradient" else rows_of(out)
        error = float(np.sqrt(np.mean((got - exact) ** 2)))
        assert error <= 3 * rounding, (operation, error / rounding)


def test_precision_decides_about_winograd() -> None:
    dims = ConvDims.of((1, 64, 28, 28), (64, 64, 3, 3), padding=1)
    assert choose("forward", dims, "float32").family == "tiles-winograd"
    with precision("exact"):
        assert choose("forward", dims, "float32").family == "tiles-channels"
        assert choose("data_gradient", dims, "float32").family == "tiles-channels"
    assert choose("data_gradient", dims, "float32").family == "tiles-winograd"
    assert choose("forward", dims, "float64").family == "tiles-channels"
    with pytest.raises(ArgumentError, match=r"a mode among fast, exact. Received: mode='loose'"):
        precision("loose")


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Budgets so small that small geometries too are cut into blocks of everything."""
    for module, name, value in [
        (tiles, "PACKED_BYTES", 6 << 10),
        (tiles, "HELD_BYTES", 4 << 10),
        (tiles, "WINDOW_LINES", 12),
        (tiles, "PIXELS", 8),
        (weights, "SUMS_BYTES", 8 << 10),
        (weights, "LINES_BYTES", 4 << 10),
        (weights, "COLUMNS", 3),
    ]:
        monkeypatch.setattr(module, name, value)
    conv_tiles.forget()
    yield
    conv_tiles.forget()


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("target", _TARGETS, ids=str)
def test_small_blocks(target: Target) -> None:
    @settings(max_examples=300)
    @given(dims=dense_dims(), last=st.tuples(st.booleans(), st.booleans()))
    def try_one(dims: ConvDims, last: tuple[bool, bool]) -> None:
        check(dims, "float32", target, last)

    try_one()


_SEVERAL_UNITS = [
    # Lines and rows exchanged; outputs that read nothing; few outputs as the scalars; phases of two lengths.
    ConvDims.of((3, 40, 17, 17), (48, 40, 1, 7), padding=(0, 3)),
    ConvDims.of((5, 48, 15, 14), (72, 48, 1, 1), stride=2),
    ConvDims.of((3, 40, 33, 31), (5, 40, 1, 1)),
    ConvDims.of((2, 36, 17, 17), (40, 36, 3, 3), stride=2),
    ConvDims.of((5, 40, 19, 23), (70, 40, 3, 3), padding=1),
    ConvDims.of((2, 33, 30, 31), (17, 33, 5, 3), stride=2, padding=2),
    ConvDims.of((3, 130, 27, 15), (40, 130, 3, 3), padding=1),
    ConvDims.of((3, 3, 64, 64), (24, 3, 7, 7), stride=2, padding=3),
    ConvDims.of((4, 96, 28, 28), (64, 96, 1, 1)),
    ConvDims.of((3, 520, 6, 6), (140, 520, 1, 1)),
    ConvDims.of((7, 2, 50), (6, 1, 9), groups=2, padding="causal"),
    ConvDims.of((2, 16, 9, 10, 11), (24, 16, 3, 3, 3), padding=1),
]


@pytest.mark.parametrize("target", _TARGETS, ids=str)
@pytest.mark.parametrize("last", [False, True], ids=["channels_first", "channels_last"])
@pytest.mark.parametrize("dims", _SEVERAL_UNITS, ids=str)
def test_several_units(target: Target, dims: ConvDims, last: bool) -> None:
    check(dims, "float32", target, (last, last))


@pytest.mark.parametrize("dims", _SEVERAL_UNITS, ids=str)
def test_bits_do_not_depend_on_the_number_of_threads(dims: ConvDims) -> None:
    x, w = (random_array(shape, 1).astype("f4") for shape in (dims.input_shape, dims.weight_shape))
    gy = random_array(dims.output_shape, 2).astype("f4")
    before = threads.get_num_threads()
    found: dict[str, list[Array]] = {"forward": [], "data_gradient": [], "weight_gradient": []}
    try:
        for count in (1, 2, 3, 7):
            threads.set_num_threads(count)
            for operation, given, shape in (
                ("forward", (x, w, None), dims.output_shape),
                ("data_gradient", (gy, w), dims.input_shape),
                ("weight_gradient", (x, gy), dims.weight_shape),
            ):
                out = np.full(shape, np.nan, "f4")
                run(choose(operation, dims, "float32"), *given, out)
                found[operation].append(out)
    finally:
        threads.set_num_threads(before)
    for results in found.values():
        for other in results[1:]:
            assert_same(other, results[0], rtol=0, atol=0, reason="threads share units, they don't make them")


@pytest.mark.parametrize("dims", _SEVERAL_UNITS, ids=str)
def test_bits_of_a_sample_do_not_depend_on_its_batch(dims: ConvDims) -> None:
    w = random_array(dims.weight_shape, 2).astype("f4")
    for operation, size, shape in (
        ("forward", dims.input_shape, dims.output_shape),
        ("data_gradient", dims.output_shape, dims.input_shape),
    ):
        x = random_array(size, 1).astype("f4")
        extra = (None,) if operation == "forward" else ()
        whole = np.empty(shape, "f4")
        run(choose(operation, dims, "float32"), x, w, *extra, whole)
        for n in range(dims.batch):
            alone = np.empty((1, *shape[1:]), "f4")
            run(choose(operation, dims.with_batch(1), "float32"), x[n : n + 1], w, *extra, alone)
            assert_same(alone[0], whole[n], rtol=0, atol=0, reason="a sample's sums have one order")


@pytest.mark.parametrize("reduction", [(64, 3), (256, 1), (512, 3)])
def test_float32_rounds_like_a_product_of_matrices(reduction: tuple[int, int]) -> None:
    channels, k = reduction
    dims = ConvDims.of((2, channels, 12, 12), (32, channels, k, k), padding=k // 2)
    x, w = random_array(dims.input_shape, 1).astype("f4"), random_array(dims.weight_shape, 2).astype("f4")
    exact = reference.conv.forward(dims, x.astype("f8"), w.astype("f8"))
    y = np.empty(dims.output_shape, "f4")
    run(choose("forward", dims, "float32"), x, w, None, y)
    rng = np.random.default_rng(3)
    a, b = (rng.standard_normal((256, dims.reduction)).astype("f4") for _ in range(2))
    product = a.astype("f8") @ b.astype("f8").T
    of_blas = float(np.sqrt(np.mean((a @ b.T - product) ** 2)) / product.std())
    of_ours = float(np.sqrt(np.mean((y - exact) ** 2)) / exact.std())
    assert of_ours <= 3 * of_blas, (of_ours, of_blas)


def test_not_a_number_stays_where_the_definition_puts_it() -> None:
    dims = ConvDims.of((1, 20, 12, 12), (18, 20, 3, 3), padding=1)
    x, w = random_array(dims.input_shape, 1), random_array(dims.weight_shape, 2)
    x[0, 3, 5, 6], x[0, 4, 0, 0] = np.nan, np.inf
    y = np.empty(dims.output_shape)
    for family in FAMILIES["forward"]:
        run(choose("forward", dims, "float64", family), x, w, None, y)
        expected = reference.conv.forward(dims, x, w)
        assert_same(y, expected, rtol=1e-11, atol=1e-11, reason="the same sum in another order, float64")


def kernels_of(operation: str, dims: ConvDims, layout: str = "channels_first") -> set[str]:
    """Names of the kernels that a network's layer needs, activations left unfused."""

    def strides(shape: tuple[int, ...]) -> tuple[int, ...]:
        array = np.empty(shape, "f4")
        return (
            array
            if layout == "channels_first"
            else np.moveaxis(np.empty((shape[0], *shape[2:], shape[1]), "f4"), -1, 1)
        ).strides

    plan = choose(operation, dims, "float32", None, layout)
    first, second = strides(dims.input_shape), strides(dims.output_shape)
    if operation == "data_gradient":
        first, second = second, first
    return {name for name, _ in conv_tiles.outline(plan, first, second).kernels.values()}


def test_a_network_needs_few_kernels() -> None:
    lines = read_shapes(Path(__file__).resolve().parents[2] / "shapes")
    layers = [line.dims() for line in lines if line.name.startswith("resnet18/") and not line.is_pool]
    assert len(layers) == 11
    used: set[str] = set()
    for operation in FAMILIES:
        for dims in layers:
            assert isinstance(dims, ConvDims)
            if operation == "data_gradient" and dims.in_channels == 3:
                continue  # nobody asks for the gradient of the picture
            used |= kernels_of(operation, dims.with_batch(8))
        # The dense layer at the end: its pixels are the samples, channels innermost.
        used |= kernels_of(operation, ConvDims.of((1, 512, 8), (1000, 512, 1)), "channels_last")
    assert len(used) <= 25, sorted(used)


@pytest.fixture
def guarded_scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Scratch of exactly the size that a program asks for, right before an unreadable page, full of junk."""

    def run_guarded(function: int, units: int, args: int, scratch_bytes: int) -> None:
        call = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(function)
        # Aligned as the worker threads' scratch is: what is left over at the end is less than a cache line.
        scratch = guarded(np.full(-(-scratch_bytes // 64) * 8, np.nan))
        for unit in range(units):
            call(unit, args, scratch.ctypes.data)

    monkeypatch.setattr(threads, "run", run_guarded)
    yield


@pytest.mark.usefixtures("guarded_scratch")
@pytest.mark.parametrize("target", _TARGETS, ids=str)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(dims=square_dims(), last=st.tuples(st.booleans(), st.booleans()))
def test_scratch_of_winograd_is_as_large_as_said(
    target: Target, dims: ConvDims, last: tuple[bool, bool]
) -> None:
    check_winograd(dims, target, last)


@pytest.mark.usefixtures("guarded_scratch")
@pytest.mark.parametrize("target", _TARGETS, ids=str)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    dims=dense_dims(),
    dtype=st.sampled_from(["float32", "float64"]),
    last=st.tuples(st.booleans(), st.booleans()),
)
def test_scratch_is_as_large_as_said(
    target: Target, dims: ConvDims, dtype: str, last: tuple[bool, bool]
) -> None:
    check(dims, dtype, target, last)


@st.composite
def whole_window_dims(draw: st.DrawFn) -> ConvDims:
    """Kernels as large as the input: products of matrices."""
    spatial = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)))
    channels, outputs = draw(st.integers(1, 40)), draw(st.integers(1, 70))
    return ConvDims.of((draw(st.integers(1, 40)), channels, *spatial), (outputs, channels, *spatial))


@pytest.mark.usefixtures("guarded_scratch")
@pytest.mark.parametrize("target", _TARGETS, ids=str)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    dims=st.one_of(pointwise_dims(), whole_window_dims()),
    dtype=st.sampled_from(["float32", "float64"]),
    last=st.sampled_from([(False, False), (True, True), (True, False)]),
)
def test_products(target: Target, dims: ConvDims, dtype: str, last: tuple[bool, bool]) -> None:
    check(dims, dtype, target, last)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("taps", [(4, 4), (3, 3), (1, 5)], ids=str)
def test_a_product_backwards_has_a_bias_for_each_channel(batch: int, taps: tuple[int, int]) -> None:
    # A transposed convolution of single numbers.
    dims = ConvDims.of((batch, 8, *taps), (5, 8, *taps))
    gy, w = random_array(dims.output_shape, 1).astype("f4"), random_array(dims.weight_shape, 2).astype("f4")
    bias = guarded(random_array((8,), 3).astype("f4"))
    gx = guarded(np.full(dims.input_shape, np.nan, "f4"))
    run(choose("data_gradient", dims, "float32"), gy, w, gx, bias)
    expected = reference.conv.data_gradient(dims, gy.astype("f8"), w.astype("f8")) + bias[:, None, None]
    assert_same(gx, expected.astype("f4"), rtol=1e-6, atol=1e-5, reason="rounding of sums of 5 products")


@pytest.mark.parametrize(("size", "channels"), [((5, 5), 16), ((1, 1), 40), ((8, 8), 40)], ids=str)
def test_a_sample_of_a_product_is_the_same_alone(size: tuple[int, int], channels: int) -> None:
    whole = ConvDims.of((6, channels, *size), (24, channels, *(size if size == (5, 5) else (1, 1))))
    x, w = random_array(whole.input_shape, 1).astype("f4"), random_array(whole.weight_shape, 2).astype("f4")
    for last in (False, True):
        given = laid_out(x, last)
        y = laid_out(np.full(whole.output_shape, np.nan, "f4"), last)
        run(choose("forward", whole, "float32"), given, w, None, y)
        for n in range(6):
            alone = laid_out(np.full((1, *whole.output_shape[1:]), np.nan, "f4"), last)
            run(choose("forward", whole.with_batch(1), "float32"), given[n : n + 1], w, None, alone)
            np.testing.assert_array_equal(alone[0], y[n])
