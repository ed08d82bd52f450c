"""Depthwise kernels for NEON, of channels beside each other, run on an emulated processor."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from geometries import random_array
from kernel.test_neon_runs import COMPILER, EMULATOR, NEON, Case, in_layout, run_all

from tilewright import reference
from tilewright.geometry import ConvDims
from tilewright.kernel import jit, outline
from tilewright.kernel.tiles.convolve import Program
from tilewright.plan import choose

Array = np.ndarray[Any, Any]

pytestmark = [
    pytest.mark.skipif(not jit.available(), reason="nothing can be compiled here"),
    *(
        pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")
        for tool in (COMPILER, EMULATOR)
    ),
]

GEOMETRIES = tuple(
    ConvDims.of((2, channels, *spatial), (channels, 1, *kernel), groups=channels, **more)
    for channels, spatial, kernel, more in (
        (8, (9, 40), (3, 3), {"padding": 1}),
        (11, (9, 41), (3, 3), {"padding": 1, "stride": 2}),
        (4, (5, 7), (3, 5), {"padding": (1, 2), "dilation": (1, 2)}),
        (7, (12, 13), (2, 3), {"padding": ((0, 1), (2, 1)), "stride": (1, 3)}),
        (6, (30,), (4,), {"padding": ((3, 0),)}),
        (5, (3, 4, 6), (2, 2, 3), {"padding": 1, "stride": (1, 2, 2)}),
    )
)


def packed(w: Array, flipped: bool, dtype: str) -> Array:
    """Weights as the kernels read them: (vectors of channels, taps, lanes), the last channel repeated."""
    width = NEON.vector_bytes // np.dtype(dtype).itemsize
    channels = len(w)
    rows = w.reshape(channels, -1)[:, :: -1 if flipped else 1]
    all_there = rows[np.minimum(np.arange(-(-channels // width) * width), channels - 1)]
    return np.ascontiguousarray(all_there.reshape(-1, width, rows.shape[1]).swapaxes(1, 2))


def packing(program: Program) -> Program:
    """The same program, to pack weights."""
    words = program.words.copy()
    words[program.fields.place["packing"]] = 1
    assert program.shared is not None
    return dataclasses.replace(program, words=words, units=program.shared.units)


def cases(number: int, dims: ConvDims) -> list[Case]:
    """Both layouts and all operations of a geometry; types take turns."""
    dtype = ("float32", "float64")[number % 2]
    tolerance = {"float32": 1e-4, "float64": 1e-12}[dtype]
    found = []
    for layout in ("channels_first", "channels_last"):
        x, w, gy, bias = (
            random_array(shape, number + i, dtype)
            for i, shape in enumerate(
                (dims.input_shape, dims.weight_shape, dims.output_shape, dims.out_channels)
            )
        )
        y, gx = (in_layout(np.full(like.shape, np.nan, dtype), layout) for like in (gy, x))
        expected = {
            "forward": reference.conv.forward(dims, x, w, bias),
            "data_gradient": reference.conv.data_gradient(dims, gy, w),
            "weight_gradient": reference.conv.weight_gradient(dims, x, gy),
        }
        x, gy = in_layout(x, layout), in_layout(gy, layout)
        for operation, (read, to) in (("forward", (x, y)), ("data_gradient", (gy, gx))):
            plan = choose(operation, dims, dtype, "planes", layout, NEON)
            program = outline(plan, read.strides, to.strides)
            if program.about["side"] != "beside":
                continue
            about = f"{operation} of {dims} in {dtype}, {layout}"
            weights = packed(w, operation != "forward", dtype)
            places = {"x": read, "shared": weights, "bias": bias, "y": to}
            if operation != "forward":
                del places["bias"]
            found.append(Case(about, program, places, expected[operation].astype(float), tolerance))
            places = {"w": w, "shared": np.full_like(weights, np.nan)}
            found.append(Case(f"packing for {about}", packing(program), places, weights.astype(float), 0))
        plan = choose("weight_gradient", dims, dtype, "planes", layout, NEON)
        program = outline(plan, x.strides, gy.strides)
        if program.kernels["driver"][0].startswith("weights_beside"):
            shape = (int(program.about["shares"]), dims.taps, int(program.about["padded"]))
            places = {"x": x, "gy": gy, "shares": np.full(shape, np.nan, dtype)}
            about = f"weight_gradient of {dims} in {dtype}, {layout}"
            found.append(Case(about, program, places, expected["weight_gradient"].astype(float), tolerance))
    return found


def test_every_operation(tmp_path: Path) -> None:
    found = [case for number, dims in enumerate(GEOMETRIES) for case in cases(number, dims)]
    kinds = [sum(word in case.about for case in found) for word in ("forward", "data_", "weight_", "packing")]
    assert min(kinds) >= 8
    run_all(found, tmp_path)
