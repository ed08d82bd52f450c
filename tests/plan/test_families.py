"""The ordered list of families: what is chosen, and why the others were not."""

from __future__ import annotations

import pytest
from geometries import conv_dims, pool_dims
from hypothesis import given

from tilewright.errors import ArgumentError
from tilewright.geometry import ConvDims, PoolDims
from tilewright.plan import FAMILIES, SCRATCH_BYTES, choose, explain, families, processor
from tilewright.plan.plan import tile_within

_POINTWISE = ConvDims.of((2, 64, 7, 7), (32, 64, 1, 1))
_DEPTHWISE = ConvDims.of((2, 24, 14, 14), (24, 1, 3, 3), padding=1, groups=24)
_DENSE = ConvDims.of((2, 64, 56, 56), (64, 64, 3, 3), padding=1)
_POOL = PoolDims.of((2, 64, 56, 56), 2)


@pytest.mark.parametrize(
    ("dims", "operation", "family"),
    [
        (_POINTWISE, "forward", "numpy-pointwise"),
        (_DEPTHWISE, "data_gradient", "numpy-taps"),
        (_DENSE, "weight_gradient", "numpy-windows"),
        (_POOL, "max_pool", "numpy-pool"),
    ],
)
def test_the_first_that_accepts_is_chosen(dims: ConvDims | PoolDims, operation: str, family: str) -> None:
    plan = choose(operation, dims, "float32")
    assert plan.family == family
    assert str(plan).startswith(f"{operation} by {family}: float32, output tile ")


def test_the_reference_stands_last_and_is_asked_by_name() -> None:
    assert FAMILIES[-1].name == "reference"
    assert [name for name, _ in families()][-1] == "reference"
    assert choose("forward", _DENSE, "float32", "reference").family == "reference"


def test_explain_says_why() -> None:
    text = str(explain("forward", _DENSE, "float32"))
    assert "numpy-pointwise  declines: it needs one tap and stride 1" in text
    assert "numpy-taps       declines: it needs several groups of one input channel" in text
    assert "numpy-windows    accepts: chosen" in text
    assert "reference" not in text


@given(conv_dims())
def test_scratch_is_bounded_by_a_constant(dims: ConvDims) -> None:
    for operation in ("forward", "data_gradient", "weight_gradient"):
        plan = choose(operation, dims.with_batch(10**6), "float64")
        assert plan.scratch_bytes <= SCRATCH_BYTES


@given(pool_dims())
def test_scratch_of_pools_is_bounded(dims: PoolDims) -> None:
    assert choose("max_pool", dims.with_batch(10**6), "float64").scratch_bytes <= 2 * SCRATCH_BYTES


def test_tiles_of_a_huge_picture_stay_small() -> None:
    dims = ConvDims.of((1, 64, 2048, 2048), (64, 64, 3, 3), padding=1)
    plan = choose("forward", dims, "float32")
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
    with pytest.raises(ArgumentError, match=r"a family among numpy-pointwise, .* Received: family='cudnn'"):
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
