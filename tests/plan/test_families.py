"""The ordered list of families: what is chosen, and why the others were not."""

from __future__ import annotations

import sys

import pytest
from geometries import conv_dims, pool_dims
from hypothesis import given

from tilewright.errors import ArgumentError
from tilewright.geometry import ConvDims, PoolDims
from tilewright.plan import (
    FAMILIES,
    SCRATCH_BYTES,
    choose,
    compiled,
    explain,
    families,
    forget,
    host,
    processor,
)
from tilewright.plan.plan import tile_within

_POINTWISE = ConvDims.of((2, 64, 7, 7), (32, 64, 1, 1))
_DEPTHWISE = ConvDims.of((2, 24, 14, 14), (24, 1, 3, 3), padding=1, groups=24)
_DENSE = ConvDims.of((2, 64, 56, 56), (64, 64, 3, 3), padding=1)
_STRIDED = ConvDims.of((2, 64, 56, 56), (64, 64, 3, 3), stride=2, padding=1)
_POOL = PoolDims.of((2, 64, 56, 56), 2)


@pytest.mark.parametrize(
    ("dims", "operation", "family"),
    [
        (_POINTWISE, "forward", "tiles-pointwise"),
        (_POINTWISE, "weight_gradient", "tiles-pointwise"),
        (_DEPTHWISE, "data_gradient", "planes"),
        (_DENSE, "forward", "tiles-winograd"),
        (_STRIDED, "forward", "tiles-channels"),
        (_DENSE, "weight_gradient", "tiles-winograd"),
        (_STRIDED, "weight_gradient", "tiles-weights"),
        (_POOL, "max_pool", "planes-pool"),
    ],
)
def test_the_first_that_accepts_is_chosen(dims: ConvDims | PoolDims, operation: str, family: str) -> None:
    plan = choose(operation, dims, "float32")
    assert plan.family == family
    assert str(plan).startswith(f"{operation} by {family}: float32, ")
    assert (f"in {host().name} registers" in str(plan)) == family.startswith(("tiles", "planes"))


@pytest.mark.parametrize(
    ("dims", "operation", "family"),
    [
        (_POINTWISE, "forward", "numpy-pointwise"),
        (_DEPTHWISE, "data_gradient", "numpy-taps"),
        (_DENSE, "weight_gradient", "numpy-windows"),
        (_POOL, "max_pool", "numpy-pool"),
    ],
)
def test_integers_are_left_to_numpy(dims: ConvDims | PoolDims, operation: str, family: str) -> None:
    assert choose(operation, dims, "int32").family == family


def test_without_a_compiler_numpy_serves_and_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_state", {"off": ""})
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)
    forget()
    with pytest.warns(RuntimeWarning, match="compiled kernels can't be used: llvmlite can't be imported"):
        assert choose("forward", _DENSE, "float32").family == "numpy-windows"
    assert choose("weight_gradient", _DENSE, "float32").family == "numpy-windows"  # without another notice
    forget()


def test_channels_last_has_tiles_of_its_own() -> None:
    dims = ConvDims.of((8, 3, 224, 224), (64, 3, 7, 7), stride=2, padding=3)
    assert choose("forward", dims, "float32", None, "channels_last").side in ("by_channels", "by_pixels")


@given(conv_dims())
def test_a_named_family_is_not_asked_whether_another_is_better(dims: ConvDims) -> None:
    assert choose("forward", dims, "float32", "tiles-pixels").side == "by_pixels"
    assert choose("forward", dims, "float32", "tiles-channels").side == "by_channels"


def test_the_reference_stands_last_and_is_asked_by_name() -> None:
    assert FAMILIES[-1].name == "reference"
    assert [name for name, _ in families()][-1] == "reference"
    assert choose("forward", _DENSE, "float32", "reference").family == "reference"


def test_explain_says_why() -> None:
    text = str(explain("forward", _STRIDED, "float32"))
    assert (
        "tiles-winograd   declines: it needs stride 1 and 3 to 5 taps side by side, or 7 along one axis"
        in text
    )
    assert "tiles-pointwise  declines: it needs one tap, stride 1 and no padding" in text
    assert "tiles-pixels     declines: vectors along the output channels waste less here" in text
    assert "tiles-channels   accepts: chosen" in text
    text = str(explain("forward", _DENSE, "int64"))
    assert "tiles-channels   declines: it computes float32 and float64 only" in text
    assert "tiles-weights    declines: it computes float32 and float64 only" in text
    assert "numpy-pointwise  declines: it needs one tap and stride 1" in text
    assert "numpy-taps       declines: it needs several groups of one input channel" in text
    assert "numpy-windows    accepts: chosen" in text
    assert "reference" not in text


@given(conv_dims())
def test_scratch_is_bounded_by_a_constant(dims: ConvDims) -> None:
    for operation in ("forward", "data_gradient", "weight_gradient"):
        plan = choose(operation, dims.with_batch(10**6), "float64")
        assert plan.scratch_bytes <= compiled.SCRATCH_BYTES
        plan = choose(operation, dims.with_batch(10**6), "float64", "numpy-windows")
        assert plan.scratch_bytes <= SCRATCH_BYTES


@given(pool_dims())
def test_scratch_of_pools_is_bounded(dims: PoolDims) -> None:
    many = dims.with_batch(10**6)
    assert choose("max_pool", many, "float64").scratch_bytes <= compiled.SCRATCH_BYTES
    assert choose("max_pool", many, "float64", "numpy-pool").scratch_bytes <= 2 * SCRATCH_BYTES


def test_tiles_of_a_huge_picture_stay_small() -> None:
    dims = ConvDims.of((1, 64, 2048, 2048), (64, 64, 3, 3), padding=1)
    plan = choose("forward", dims, "float32", "numpy-windows")
    assert plan.scratch_bytes <= SCRATCH_BYTES
    assert plan.tile[0] == 1


def test_a_tile_depends_on_the_geometry_and_never_on_the_batch() -> None:
    for batch in (1, 7, 300):
        assert (
            choose("forward", _DENSE.with_batch(batch), "float32").tile
            == choose("forward", _DENSE, "float32").tile
        )


def test_tile_within_fills_inner_axes_first() -> None:
    assert tile_within((10, 20, 30), 8, budget=8 * 30 * 5) == (1, 5, 30)
    assert tile_within((10, 20, 30), 10**9, budget=1) == (1, 1, 1)


def test_refusals() -> None:
    with pytest.raises(ArgumentError, match=r"an operation among forward, .* Received: operation='backward'"):
        choose("backward", _DENSE, "float32")
    with pytest.raises(
        ArgumentError, match=r"a family among fft, planes, tiles-pointwise, .* Received: family='cudnn'"
    ):
        choose("forward", _DENSE, "float32", "cudnn")
    with pytest.raises(
        ArgumentError, match=r"does not accept this: it needs one tap and stride 1. Received:"
    ):
        choose("forward", _DENSE, "float32", "numpy-pointwise")


def test_the_processor_is_described() -> None:
    found = processor.describe()
    assert found["cores"] >= 1
    assert found["name"]
    assert isinstance(found["features"], list)
