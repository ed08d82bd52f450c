"""The assembly of the kernels of typical plans, for NEON, which this processor may lack, and for x86.

The micro-kernel must keep its sums in registers, multiply whole vectors and do nothing else; nothing calls
the C library; what moves data moves whole vectors.
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache

import pytest
from kernel import assembly

from tilewright.geometry import ConvDims
from tilewright.kernel import jit, outline
from tilewright.kernel.tiles import micro
from tilewright.kernel.tiles.activation import ACTIVATIONS
from tilewright.kernel.tiles.curves import CURVES
from tilewright.plan import Target, choose, named
from tilewright.plan.tiles import most_scalars

pytestmark = [
    pytest.mark.skipif(not jit.available(), reason="nothing can be compiled here"),
    pytest.mark.skipif(sys.platform != "linux", reason="assembly is written in another way for this system"),
]

TARGETS = ("neon", "avx512", "avx2", "baseline")
# A layer from the middle of a network, a stem, a few channels to many and back, 1×1, strided, upwards.
TYPICAL = (
    (ConvDims.of((8, 64, 56, 56), (64, 64, 3, 3), padding=1), "float32"),
    (ConvDims.of((8, 64, 56, 56), (64, 64, 3, 3), padding=1), "float64"),
    (ConvDims.of((8, 3, 224, 224), (64, 3, 7, 7), stride=2, padding=3), "float32"),
    (ConvDims.of((60, 1, 28, 28), (32, 1, 5, 5)), "float32"),
    (ConvDims.of((60, 1, 28, 28), (32, 1, 5, 5)), "float64"),
    (ConvDims.of((8, 256, 14, 14), (256, 256, 1, 1)), "float32"),
    (ConvDims.of((8, 64, 56, 56), (128, 64, 3, 3), stride=2, padding=1), "float32"),
    (ConvDims.of((1, 64, 48, 48), (3, 64, 3, 3), padding=1), "float32"),
)


@lru_cache(maxsize=len(TARGETS))
def kernels(target: Target) -> dict[str, tuple[str, list[str], str]]:
    """By name: role, instructions and assembly of every kernel of the typical plans."""
    found: dict[str, tuple[str, list[str], str]] = {}
    for dims, dtype in TYPICAL:
        for operation in ("forward", "data_gradient", "weight_gradient"):
            for layout in ("channels_first", "channels_last"):
                read, written = (
                    strides(dims.input_shape, layout, dtype),
                    strides(dims.output_shape, layout, dtype),
                )
                if operation == "data_gradient":
                    read, written = written, read
                plan = choose(operation, dims, dtype, None, layout, target)
                for role, (name, emit) in outline(plan, read, written).kernels.items():
                    if name not in found:
                        text = jit.text(name, emit, target)[1]
                        found[name] = role, assembly.instructions(text), text
    return found


def strides(shape: tuple[int, ...], layout: str, dtype: str) -> tuple[int, ...]:
    """Of an array of this shape, in bytes."""
    _, channels, height, width = shape
    size = 4 if dtype == "float32" else 8
    if layout == "channels_last":
        return channels * height * width * size, size, width * channels * size, channels * size
    return channels * height * width * size, height * width * size, width * size, size


def check_inner_loop(
    text: str, target: Target, vectors: int, scalars: int, *, apart: bool = False, soon: str = ""
) -> None:
    """One vector multiply-add for each sum, all in registers, and little beside them."""
    loop = assembly.innermost(text, target)
    sums = vectors * scalars
    assert len(assembly.multiply_adds(loop, target)) == sums
    assert assembly.on_stack(loop) == [], "sums that don't fit the registers"
    assert assembly.other_arithmetic(loop) == []
    assert assembly.direct_calls(loop) + assembly.indirect_calls(loop) == []
    # Beside them: the vectors and scalars are read, and a few instructions count and step on.
    beside = vectors + scalars + 8
    if apart:
        # Scalars that lie apart have addresses of their own, which step on.
        beside += scalars
    if soon:
        # A request, and its address, for each cache line of the side that is asked for ahead.
        width = target.vector_bytes // (4 if "float" in text else 8)
        numbers = scalars if soon == "scalars" else vectors * width
        beside += 2 * -(-numbers // (64 * width // target.vector_bytes))
    if not target.fused:
        # A product is a copy, a multiplication and an addition; and a factor is spread over its vector.
        beside += 2 * sums + scalars
    assert len(loop) <= sums + beside


@pytest.mark.parametrize("name", TARGETS)
def test_micro_kernels_keep_their_sums_in_registers(name: str) -> None:
    target = named(name)
    checked = 0
    for kernel, (role, _, text) in kernels(target).items():
        if role == "micro":
            size = re.fullmatch(r"micro(_apart)?(?:_(\w+)_soon)?_(?:float|double)_(\d+)x(\d+)", kernel)
            assert size
            apart, soon = bool(size[1]), size[2] or ""
            check_inner_loop(text, target, int(size[3]), int(size[4]), apart=apart, soon=soon)
            checked += 1
    assert checked >= 5


@pytest.mark.parametrize("scalar", ["float", "double"])
@pytest.mark.parametrize(
    ("name", "vectors"),
    [
        (name, vectors)
        for name in TARGETS
        for vectors in (1, 2, 3, 4, 6, 8)
        if most_scalars(named(name), vectors) > 0
    ],
)
def test_the_longest_tile_fits_the_registers(name: str, vectors: int, scalar: str) -> None:
    target = named(name)
    scalars = most_scalars(target, vectors)
    text = jit.text("micro", lambda t: micro.emit(t, scalar, vectors, scalars), target)[1]
    check_inner_loop(text, target, vectors, scalars)


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_calls_the_c_library(name: str) -> None:
    for kernel, (_, lines, _) in kernels(named(name)).items():
        assert assembly.direct_calls(lines) == [], kernel


@pytest.mark.parametrize("name", TARGETS)
def test_drivers_call_kernels_through_their_addresses(name: str) -> None:
    for kernel, (role, lines, _) in kernels(named(name)).items():
        calls = len(assembly.indirect_calls(lines))
        # At least packing of both operands, the micro-kernel, and storing or another way of packing;
        # Winograd's weight gradient stores by itself, and 1×1 layers may be read where they are.
        fewer = ("weight_gradient_winograd", "convolve_direct")
        least = 1 if kernel.startswith("weight_gradient_dot") else 3 if kernel.startswith(fewer) else 4
        assert calls >= least if role == "driver" else calls == 0, kernel


@pytest.mark.parametrize("name", TARGETS)
def test_packing_and_storing_move_whole_vectors(name: str) -> None:
    target = named(name)
    checked = set()
    for kernel, (role, lines, _) in kernels(target).items():
        if role in ("driver", "micro") or "_any_" in kernel or kernel.endswith("_any"):
            continue
        read, written = assembly.vector_moves(lines, target)
        # NEON and SSE2 have no masks: what is read or written behind one goes number by number.
        masked_reads = role == "pack_weights" or (
            kernel.startswith("pack_rows") and kernel.endswith("channels")
        )
        unmasked = target.name in ("neon", "baseline")
        # Taps are read 16 bytes at a time, and vectors put together of them.
        pieces = "_taps_" in kernel
        assert read or pieces or (unmasked and masked_reads), kernel
        assert written or (unmasked and role == "store"), kernel
        checked.update(re.findall("^(pack_rows|pack_weights|pack_turned|store)_", kernel))
    assert len(checked) == 4


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", TARGETS)
def test_activations_are_computed_in_vectors(name: str, activation: str) -> None:
    target = named(name)
    dims, dtype = TYPICAL[0]
    plan = choose("forward", dims, dtype, None, "channels_first", target)
    steps = strides(dims.input_shape, "channels_first", dtype)
    store, emit = outline(plan, steps, steps, activation).kernels["store"]
    assert f"_{activation}_" in store
    lines = assembly.instructions(jit.text(store, emit, target)[1])
    assert assembly.direct_calls(lines) == []
    assert assembly.other_arithmetic(lines) == []
    # Polynomials: a multiply-add for each power.
    assert len(assembly.multiply_adds(lines, target)) >= (6 if activation in CURVES else 0)
