"""The kernels for ARM's NEON, run: on an emulated processor, beside the reference.

Programs are made here, for a target that this processor may lack. Their kernels are linked with a small
program in C (``run_programs.c``), which reads tables and arrays from a file, runs all units, and writes what
came out. Nothing is left out: a kernel that reads or writes one element too far ends the emulation.
"""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import random_array

from tilewright import reference
from tilewright.geometry import ConvDims
from tilewright.kernel import jit, outline
from tilewright.kernel.tiles.convolve import Program
from tilewright.op.fused import ACTIVATIONS, activate
from tilewright.plan import choose, named

Array = np.ndarray[Any, Any]

COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
NEON = named("neon")
GEOMETRIES = 48
SLOPE = 0.25

pytestmark = [
    pytest.mark.skipif(not jit.available(), reason="nothing can be compiled here"),
    *(
        pytest.mark.skipif(
            shutil.which(tool) is None, reason=f"{tool} is not installed: apt install {package}"
        )
        for tool, package in (
            (COMPILER, "gcc-aarch64-linux-gnu libc6-dev-arm64-cross"),
            (EMULATOR, "qemu-user"),
        )
    ),
]


@dataclass
class Case:
    """A program, its arrays, and what it should give."""

    about: str
    program: Program
    places: dict[str, Array]  # by the name of the word that holds the address; the last is written
    expected: Array
    tolerance: float

    @property
    def written(self) -> Array:
        return list(self.places.values())[-1]

    def check(self, found: Array) -> None:
        """Compare; the weight gradient's shares are added up as the library does."""
        found = found.astype(np.float64)
        if self.program.about["side"] == "by_channels" and "padded" in self.program.about:
            channels = len(self.expected)
            found = found[:, :, :channels].swapaxes(1, 2).reshape(len(found), *self.expected.shape)
        if "shares" in self.program.about:
            found = np.add.reduce(found, axis=0)
        if self.program.about.get("exchanged"):
            found = found.swapaxes(0, 1).reshape(self.expected.shape)
        try:
            assert_same(found, self.expected, rtol=0, atol=self.tolerance, reason="rounding of a long sum")
        except AssertionError as error:
            raise AssertionError(f"{self.about}: {error}") from error


def geometries() -> list[ConvDims]:
    """Random geometries: all that tables have to describe, and channels that fill several panels or none."""
    generator = np.random.default_rng(20)

    def pick(*choices: int) -> int:
        return int(generator.choice(choices))

    found = []
    while len(found) < GEOMETRIES:
        rank = pick(1, 2, 2, 2, 3)
        groups = pick(1, 1, 1, 2, 3)
        channels, outputs = pick(1, 3, 4, 8, 17), pick(1, 2, 5, 8, 16, 33)
        pointwise = pick(0, 0, 0, 1)
        kernel = [1 if pointwise else pick(1, 2, 3, 5) for _ in range(rank)]
        dilation = [pick(1, 1, 2) for _ in range(rank)]
        reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        padding = [(0, 0) if pointwise else (pick(-1, 0, 1, 2), pick(0, 1, 3)) for _ in range(rank)]
        spatial = [
            pick(1, 2, 7, 12, 19) + max(r - sum(pads), 0) for r, pads in zip(reach, padding, strict=True)
        ]
        if math.prod(spatial) * channels * groups > 20_000:
            continue
        found.append(
            ConvDims.of(
                (pick(1, 2, 3), groups * channels, *spatial),
                (groups * outputs, channels, *kernel),
                stride=tuple(1 if pointwise else pick(1, 1, 2, 3) for _ in range(rank)),
                padding=tuple(padding),
                dilation=tuple(dilation),
                groups=groups,
            )
        )
    return found


def in_layout(array: Array, layout: str) -> Array:
    """The same values, with channels last in memory if that is the layout."""
    if layout == "channels_first":
        return np.ascontiguousarray(array)
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)


def in_memory(array: Array) -> Array:
    """The elements in their order in memory."""
    return array.ravel(order="K")


def case(number: int, dims: ConvDims, operation: str) -> Case:
    """One operation on a geometry; type, layout, bias and activation take turns."""
    dtype = ("float32", "float64")[number % 2]
    layout = ("channels_first", "channels_last")[number // 2 % 2]
    activation = ACTIVATIONS[number % len(ACTIVATIONS)] if operation == "forward" else "none"
    x, w, gy, bias = (
        random_array(shape, number + i, dtype)
        for i, shape in enumerate((dims.input_shape, dims.weight_shape, dims.output_shape, dims.out_channels))
    )
    # The definition in float64; and the sums of the products' magnitudes, which bound the rounding error of a
    # sum of ``count`` of them: Higham, "Accuracy and Stability of Numerical Algorithms", section 3.1.
    wide = [array.astype(np.float64) for array in (x, w, gy, bias)]
    size = [abs(array) for array in wide]
    x, gy = in_layout(x, layout), in_layout(gy, layout)
    plan = choose(operation, dims, dtype, None, layout, NEON)
    assert plan.target == "neon"
    if operation == "forward":
        y = in_layout(np.full(dims.output_shape, np.nan, dtype), layout)
        program = outline(plan, x.strides, y.strides, activation, SLOPE)
        places = {"x": x, "w": w, "bias": bias, "y": y}
        if number % 3 == 0:
            del places["bias"]
            wide[3] = size[3] = None
        expected = reference.conv.forward(dims, wide[0], wide[1], wide[3])
        expected = activate(expected, activation, SLOPE)
        most, count = reference.conv.forward(dims, size[0], size[1], size[3]), dims.reduction + 1
    elif operation == "data_gradient":
        gx = in_layout(np.full(dims.input_shape, np.nan, dtype), layout)
        program = outline(plan, gy.strides, gx.strides)
        places = {"x": gy, "w": w, "y": gx}
        expected = reference.conv.data_gradient(dims, wide[2], wide[1])
        most = reference.conv.data_gradient(dims, size[2], size[1])
        count = dims.out_channels // dims.groups * dims.taps
    else:
        program = outline(plan, x.strides, gy.strides)
        gw = np.full((int(program.about["shares"]), *dims.weight_shape), np.nan, dtype)
        if program.about["side"] == "by_channels" and "padded" in program.about:
            gw = np.full((len(gw), dims.taps, int(program.about["padded"])), np.nan, dtype)
        places = {"x": x, "gy": gy, "gw": gw}
        if program.about.get("exchanged"):
            turned = gw.reshape(len(gw), dims.out_channels, -1).swapaxes(1, 2)
            places = {"x": gy, "gy": x, "gw": turned.copy()}
        expected = reference.conv.weight_gradient(dims, wide[0], wide[2])
        most = reference.conv.weight_gradient(dims, size[0], size[2])
        count = dims.batch * math.prod(dims.output)
    # No activation is steeper than 1.13; its own error is a few units in the last place.
    rounding = float(np.finfo(dtype).eps) / 2
    tolerance = (1.2 * count + 16) * rounding * float(most.max(initial=1.0))
    name = f"{operation} of {dims} in {dtype}, {layout}, {activation}, by {plan.family}"
    return Case(name, program, places, expected, tolerance)


def written(case: Case, symbols: dict[str, int]) -> bytes:
    """A program as the harness reads it."""
    program = case.program
    fields = program.fields
    arrays = [in_memory(array) for array in case.places.values()] + [table.ravel() for table in program.kept]
    number_of = {table.ctypes.data: len(case.places) + i for i, table in enumerate(program.kept)}
    addresses = [(fields.place[word], 0, i) for i, word in enumerate(case.places)]
    for place, word in enumerate(fields.names):
        if word in program.kernels:
            addresses.append((place, 1, symbols[program.kernels[word][0]]))
        elif int(program.words[place]) in number_of:
            addresses.append((place, 0, number_of[int(program.words[place])]))
    assert len(addresses) == len(arrays) + len(program.kernels) - 1, "every table belongs to one word"
    parts = [
        numbers(symbols[program.kernels["driver"][0]], program.units, program.scratch_bytes),
        numbers(len(case.places) - 1),
        numbers(len(program.words), *program.words),
        numbers(len(addresses), *(part for address in addresses for part in address)),
        numbers(len(arrays)),
    ]
    parts += [part for array in arrays for part in (numbers(array.nbytes), array.tobytes())]
    return b"".join(parts)


def numbers(*values: int) -> bytes:
    return np.array(values, "<i8").tobytes()


def test_random_convolutions(tmp_path: Path) -> None:
    cases = [
        case(number, dims, operation)
        for number, dims in enumerate(geometries())
        for operation in ("forward", "data_gradient", "weight_gradient")
    ]
    run_all(cases, tmp_path)


def run_all(cases: Sequence[Case], tmp_path: Path) -> None:
    """Run programs on the emulated processor, and check what each gives."""
    kernels = dict(kernel for one in cases for kernel in one.program.kernels.values())
    objects = []
    for name, emit in kernels.items():
        objects.append(tmp_path / f"{name}.o")
        objects[-1].write_bytes(jit._compiled(name, emit(NEON), NEON))
    declarations = "".join(f"void {name}();\n" for name in kernels)
    (tmp_path / "functions.c").write_text(
        f"{declarations}void *const functions[] = {{{', '.join(kernels)}}};\n"
    )
    harness = Path(__file__).with_name("run_programs.c")
    program = tmp_path / "run_programs"
    command = [COMPILER, "-static", "-O1", "-w", "-o", program, harness, tmp_path / "functions.c", *objects]
    subprocess.run(command, check=True, timeout=120)
    symbols = {name: i for i, name in enumerate(kernels)}
    programs, results = tmp_path / "programs", tmp_path / "results"
    programs.write_bytes(numbers(len(cases)) + b"".join(written(one, symbols) for one in cases))
    subprocess.run([EMULATOR, program, programs, results], check=True, timeout=300)
    answers = results.read_bytes()
    for one in cases:
        place = one.written
        found = np.frombuffer(answers[: place.nbytes], place.dtype)
        answers = answers[place.nbytes :]
        one.check(np.ndarray(place.shape, place.dtype, found.copy(), strides=place.strides))
    assert answers == b""
