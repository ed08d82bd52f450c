"""Pools for NEON, run on an emulated processor beside the reference: each way in which they are compiled."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from geometries import random_array
from kernel.test_neon_runs import COMPILER, EMULATOR, NEON, Case, in_layout, run_all
from kernel.test_pools import steps, ways

from tilewright import reference
from tilewright.geometry import PoolDims
from tilewright.kernel import jit
from tilewright.kernel.pools.problem import Problem
from tilewright.op.pool import window_divisors

Array = np.ndarray[Any, Any]

pytestmark = [
    pytest.mark.skipif(not jit.available(), reason="nothing can be compiled here"),
    *(
        pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")
        for tool in (COMPILER, EMULATOR)
    ),
]

GEOMETRIES = (
    PoolDims.of((2, 3, 9, 21), 2),
    PoolDims.of((2, 5, 9, 23), 3, stride=2, padding=1, ceil_mode=True),
    PoolDims.of((1, 6, 8, 30), 3, stride=1, padding=1),
    PoolDims.of((2, 4, 11, 12), (3, 2), stride=(1, 3), dilation=(2, 1), padding=((1, 0), (0, 1))),
    PoolDims.of((1, 3, 5, 7, 9), 2, stride=(1, 2, 2), padding=1),
    PoolDims.of((3, 9, 17), 5, stride=5),
    PoolDims.of((2, 7, 6, 7), (6, 7)),
)


def cases(number: int, dims: PoolDims) -> list[Case]:
    """Every kind of work on a geometry in every way; types and layouts take turns."""
    dtype = ("float32", "float64")[number % 2]
    found = []
    for layout in ("channels_first", "channels_last"):
        x = random_array(dims.input_shape, number, dtype).round(1)
        x[random_array(dims.input_shape, number + 1) > 1] = -np.inf
        x[random_array(dims.input_shape, number + 2) > 2] = np.nan
        largest, places = reference.pool.max_pool(dims, x)
        gy = random_array(dims.output_shape, number + 3, dtype)
        finite = random_array(dims.input_shape, number + 4, dtype)
        divisors = np.ascontiguousarray(window_divisors(dims, np.dtype(dtype), False, None, "pool"))
        shared = reference.pool.avg_pool_gradient(dims, gy, False)
        given = reference.pool.max_pool_gradient(dims, gy, places)
        mean = reference.pool.avg_pool(dims, finite, False)
        y, gx = np.full(dims.output_shape, np.nan, dtype), np.full(dims.input_shape, np.nan, dtype)
        indices = np.full(dims.output_shape, -9)
        # What is written comes last.
        work: list[tuple[str, dict[str, Array], Array, float]] = [
            ("max", {"x": x, "y": y}, largest, 0),
            ("max_indices", {"x": x, "indices": indices, "y": y}, largest, 0),
            ("max_indices", {"x": x, "y": y, "indices": indices}, places, 0),
            ("max_gradient", {"x": gy, "indices": places, "y": gx}, given, 0),
            ("mean", {"x": finite, "divisors": divisors, "y": y}, mean, 1e-5),
            ("shares", {"x": gy, "divisors": divisors, "y": gx}, shared, 1e-5),
        ]
        for kind, arrays, expected, tolerance in work:
            laid = {
                key: array if key == "divisors" else in_layout(array, layout) for key, array in arrays.items()
            }
            problem = Problem(kind, dims, dtype, steps(laid["x"]), steps(laid["y"]), "divisors" in laid)
            for make in ways(problem):
                made = make(problem, NEON, load=False)
                # The harness knows of sides only what a weight gradient leaves to be done.
                made = dataclasses.replace(made, about={**made.about, "side": "by_pixels"})
                about = f"{kind} of {dims} in {dtype}, {layout}, by {made.kernels['driver'][0]}"
                found.append(Case(about, made, laid, expected.astype(np.float64), tolerance))
    return found


def test_pools(tmp_path: Path) -> None:
    run_all([one for number, dims in enumerate(GEOMETRIES) for one in cases(number, dims)], tmp_path)
