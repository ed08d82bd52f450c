"""The weight gradient of dense layers without packing, as a program."""

from __future__ import annotations

from tilewright.kernel.tiles import micro, outer_driver
from tilewright.kernel.tiles.convolve import (
    SCALARS,
    Kernels,
    Problem,
    Program,
    Words,
    addresses_of,
    words_of,
)
from tilewright.kernel.tiles.direct import innermost, merged
from tilewright.kernel.tiles.sizes import up
from tilewright.kernel.tiles.weights import WeightProblem, WeightProgram
from tilewright.plan import tiles
from tilewright.plan.target import Target, host

# With more places, packing both operands is a small part, and their rows then lie better in caches.
_PLACES = 512
# The input is read anew for each tile of outputs, which costs with many of both.
_OUTPUTS, _FEW_PLACES = 256, 16
# Places in one chain of additions: rounding grows with its length.
_STRETCH = 256


def serves(problem: WeightProblem, target: Target | None = None) -> bool:
    """Whether a problem is a product of matrices with few rows, their channels innermost."""
    dims = problem.dims
    forward = Problem(dims, problem.dtype, problem.x_steps, problem.gy_steps, False)
    if not innermost(forward) or any(n != 1 for n in dims.stride):
        return False
    samples, axes, (places, _, _) = merged(forward)
    width = (target or host()).vector_bytes // (4 if problem.dtype == "float32" else 8)
    panel = tiles.STANDARD_VECTORS * width
    few = dims.out_channels // dims.groups <= _OUTPUTS or places <= _FEW_PLACES
    fits = places <= _PLACES and dims.in_channels // dims.groups >= panel
    return samples == 1 and not axes and few and fits


def program(problem: WeightProblem, target: Target | None = None, *, load: bool = True) -> WeightProgram:
    """The program for a problem that :func:`serves` accepts."""
    target = target or host()
    dims, scalar = problem.dims, SCALARS[problem.dtype]
    itemsize = 4 if scalar == "float" else 8
    outputs, channels = dims.out_channels // dims.groups, dims.in_channels // dims.groups
    _, _, (places, x_place, gy_place) = merged(
        Problem(dims, problem.dtype, problem.x_steps, problem.gy_steps, False)
    )
    vectors = tiles.STANDARD_VECTORS
    panel = vectors * (target.vector_bytes // itemsize)
    tile = min(tiles.most_scalars(target, vectors), outputs)
    # -- units: whole panels each, so that none is shared
    parts = 1 if dims.flops < 1 << 20 else min(channels // panel, -(-tiles.UNITS // dims.groups))
    channel_block = up(-(-channels // parts), panel)
    while 0 < channels % channel_block < panel and channel_block < channels:
        channel_block += panel
    channel_blocks = -(-channels // channel_block)
    kernels: Kernels = {
        "driver": (outer_driver.name(scalar), lambda t: outer_driver.emit(t, scalar)),
        "micro": (micro.name(scalar, vectors, tile), lambda t: micro.emit(t, scalar, vectors, tile)),
    }
    addresses = addresses_of(kernels, target, load)
    words: Words = {
        "channels": channels, "outputs": outputs, "x_group": channels, "gy_group": outputs,
        "x_place": x_place, "gy_place": gy_place, "places": places, "stretch": _STRETCH,
        "channel_block": channel_block, "channel_blocks": channel_blocks, "panel": panel, "tile": tile,
        "list_at": 0,
        **addresses,
    }  # fmt: skip
    values, kept = words_of(outer_driver.FIELDS, words)
    about: dict[str, int | str] = {
        "side": "by_channels", "vectors": vectors, "scalars": tile, "panel": panel, "folded": 0,
        "channels": channels, "channel_block": channel_block, "outputs": outputs,
        "output_block": outputs, "shares": 1, "exchanged": 0,
    }  # fmt: skip
    units = dims.groups * channel_blocks
    return WeightProgram(
        Program(addresses["driver"], values, units, 64, kept, kernels, outer_driver.FIELDS, about), 1
    )
