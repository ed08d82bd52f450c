"""Halves are computed without a float32 copy of what is read or written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from allocations import large_allocations
from samples_of_dtypes import HALVES, dtype_named, sample

from tilewright.geometry import ConvDims, PoolDims
from tilewright.kernel import buffers
from tilewright.op import carried
from tilewright.op.conv import conv_data_gradient, conv_forward, conv_weight_gradient
from tilewright.op.pool import avg_pool, avg_pool_gradient, max_pool, max_pool_gradient
from tilewright.plan import compiled

pytestmark = pytest.mark.skipif(not compiled.serves("float32"), reason="nothing can be compiled here")

_CONVOLUTIONS = [
    ConvDims.of((2, 16, 96, 96), (16, 1, 3, 3), padding=1, groups=16),
    ConvDims.of((2, 16, 96, 96), (24, 16, 3, 3), padding=1, stride=2),
    ConvDims.of((2, 16, 96, 96), (16, 16, 3, 3), padding=1),
    ConvDims.of((2, 16, 96, 96), (16, 16, 1, 1)),
]


class _Asked:
    """The most bytes of float32 that are asked of the pool at a time."""

    def __init__(self) -> None:
        self.most, self._empty = 0, buffers.empty

    def __call__(self, shape: Any, dtype: Any = np.float64) -> Any:
        found = self._empty(shape, dtype)
        if found.dtype == np.float32:
            self.most = max(self.most, found.nbytes)
        return found


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> _Asked:
    watching = _Asked()
    monkeypatch.setattr(buffers, "empty", watching)
    return watching


@pytest.mark.parametrize("name", HALVES)
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("dims", _CONVOLUTIONS, ids=str)
def test_convolutions(dims: ConvDims, layout: str, name: str, asked: _Asked) -> None:
    x, w, gy = (
        sample(shape, seed, name)
        for seed, shape in enumerate((dims.input_shape, dims.weight_shape, dims.output_shape))
    )
    if layout == "channels_last":
        x, gy = (np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1) for a in (x, gy))

    def all_of_it() -> None:
        conv_forward(dims, x, w)
        conv_data_gradient(dims, gy, w)
        conv_weight_gradient(dims, x, gy)

    all_of_it()  # programs are made
    asked.most = 0
    least = min(x.nbytes, gy.nbytes)
    # Beside results: what shares of a weight gradient take.
    found = large_allocations(all_of_it, least, ignore=("kernel/buffers.py",))
    assert not found, f"as large as an operand: {found}"
    assert asked.most < least


@pytest.mark.parametrize("name", HALVES)
def test_pools(name: str, asked: _Asked) -> None:
    dims = PoolDims.of((2, 16, 96, 96), (3, 3), stride=2, padding=1)
    x, gy = sample(dims.input_shape, 1, name), sample(dims.output_shape, 2, name)

    def all_of_it() -> None:
        _, places = max_pool(dims, x)
        assert places is not None
        max_pool_gradient(dims, gy, places)
        avg_pool(dims, x)
        avg_pool_gradient(dims, gy)

    all_of_it()
    asked.most = 0
    assert not large_allocations(all_of_it, x.nbytes, ignore=("kernel/buffers.py",))
    assert asked.most == 0


def test_nothing_is_carried_where_kernels_serve() -> None:
    for name in HALVES:
        x = np.zeros((1, 4, 5, 5), dtype_named(name))
        for dims in (ConvDims.of(x.shape, (4, 4, 3, 3)), ConvDims.of(x.shape, (4, 1, 3, 3), groups=4)):
            for operation in ("forward", "data_gradient", "weight_gradient"):
                assert carried.compiled_plan(operation, dims, x, None) is not None
        assert carried.compiled_plan("forward", dims, x, "numpy-windows") is None
