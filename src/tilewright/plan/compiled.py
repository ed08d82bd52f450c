"""What the compiled families say of a convolution: which of them takes it, in which tiles."""

from __future__ import annotations

import importlib
import math
import re
import warnings
from dataclasses import replace

import numpy as np

from tilewright.geometry import ConvDims, PoolDims
from tilewright.plan import tiles
from tilewright.plan.plan import Plan
from tilewright.plan.precision import mode as precision_mode
from tilewright.plan.target import Target, host, runnable
from tilewright.plan.winograd import MOST_PLACES_OF_WEIGHTS, schemes_for

#: The most scratch that a thread gets.
SCRATCH_BYTES = 4 << 20
# Of it, what the smallest possible blocks may take: packed weights of one panel and one channel, packed
# lines of one tile and one channel. The rest is room to block well.
_LEAST_BYTES = 1 << 20
# Places of the lead axes (all but the last two): their table has 8 bytes for each, and is made when a
# geometry is first met.
_LEAD_PLACES = 1 << 20

_DTYPES = ("float32", "float64")

_state = {"off": ""}
# Older releases can't read LLVM's opaque pointers.
_LLVMLITE = (0, 45)


def turn_off(reason: str) -> None:
    """From now on nothing is compiled in this process; says so once."""
    if not _state["off"]:
        _state["off"] = reason
        warnings.warn(
            f"Tilewright's compiled kernels can't be used: {reason}. "
            "The NumPy kernels serve instead, slower.",
            RuntimeWarning,
            stacklevel=2,
        )


def serves(dtype: str) -> bool:
    """Whether compiled families compute on this element type here."""
    return dtype in _DTYPES and not _unavailable()


def _unavailable() -> str:
    """Why nothing can be compiled here; empty if it can. Tried once."""
    if not _state["off"] and "tried" not in _state:
        _state["tried"] = "yes"
        try:
            llvmlite = importlib.import_module("llvmlite")
            importlib.import_module("llvmlite.binding")
        except (ImportError, OSError) as error:  # OSError: its library doesn't load on this system
            turn_off(f"llvmlite can't be imported ({error})")
            return _state["off"]
        version = tuple(int(part) for part in re.findall(r"\d+", llvmlite.__version__)[:2])
        if version < _LLVMLITE:
            turn_off(f"llvmlite {llvmlite.__version__} is older than 0.45")
        elif not runnable():
            turn_off("this kind of processor is not known")
    return _state["off"]


def pointwise(operation: str, dims: object, dtype: str, layout: str, target: Target | None) -> Plan | str:
    """1×1 convolution: rows as long as memory allows; vectors along whichever side wastes less."""
    reason = _declines(operation, dims, dtype, target)
    if reason:
        return reason
    assert isinstance(dims, ConvDims)
    if not is_pointwise(dims):
        return "it needs one tap, stride 1 and no padding"
    if operation == "weight_gradient":
        return _weights("tiles-pointwise", operation, dims, dtype, target)
    return _tiled("tiles-pointwise", operation, dims, dtype, layout, None, target)


def winograd(operation: str, dims: object, dtype: str, layout: str, target: Target | None) -> Plan | str:
    """Winograd's algorithm over the last two axes."""
    reason = _declines(operation, dims, dtype, target)
    if reason:
        return reason
    assert isinstance(dims, ConvDims)
    if dtype != "float32":
        return "it computes float32 only"
    steps = dims.stride[-2:] + dims.dilation[-2:] + dims.input_dilation[-2:]
    pair = schemes_for(dims.kernel)
    if pair is None or any(n != 1 for n in steps):
        return "it needs stride 1 and 3 to 5 taps side by side, or 7 along one axis"
    if math.prod(dims.kernel[:-2]) > tiles.WINOGRAD_LEAD_TAPS:
        return f"it needs at most {tiles.WINOGRAD_LEAD_TAPS} taps on the axes before the last two"
    target = target or host()
    width, vectors = target.vector_bytes // 4, tiles.STANDARD_VECTORS
    size = "×".join(str(scheme.outputs) for scheme in pair)
    if operation == "weight_gradient":
        if max(scheme.places for scheme in pair) > MOST_PLACES_OF_WEIGHTS:
            return "the weight gradient of so many taps would round too much"
        plan = _weights("tiles-winograd", operation, dims, dtype, target)
        words = (
            f"{vectors} vectors of {width} output channels by {plan.tile[0]} input channels, pieces of {size}"
        )
        return replace(plan, registers=words)
    plan = _tiled("tiles-winograd", operation, dims, dtype, layout, "by_channels", target)
    count = tiles.most_scalars(target, vectors)
    words = f"{vectors} vectors of {width} output channels by {count} pieces of {size}"
    return replace(plan, tile=(pair[0].outputs, pair[1].outputs)[-len(dims.kernel) :], registers=words)


def prefers_definition(operation: str, dims: object, dtype: str, layout: str, target: Target | None) -> str:
    """Why Winograd's algorithm is not used here although it could be; empty if it is."""
    assert isinstance(dims, ConvDims)
    if precision_mode() == "exact":
        return 'precision("exact") is set'
    form = dims.adjoint() if operation == "data_gradient" else dims
    if min(form.in_channels, form.out_channels) < tiles.WINOGRAD_CHANNELS * form.groups:
        return f"with fewer than {tiles.WINOGRAD_CHANNELS} channels transforming costs more than it saves"
    pair = schemes_for(dims.kernel)
    assert pair is not None
    if not tiles.winograd_pays(form, pair):
        return "transforming costs more than it saves here"
    return ""


def by_pixels(operation: str, dims: object, dtype: str, layout: str, target: Target | None) -> Plan | str:
    """Vectors along the pixels of a row."""
    reason = _declines(operation, dims, dtype, target)
    if reason:
        return reason
    if operation == "weight_gradient":
        return "it computes outputs and data gradients only"
    assert isinstance(dims, ConvDims)
    return _tiled("tiles-pixels", operation, dims, dtype, layout, "by_pixels", target)


def prefers_pixels(operation: str, dims: object, dtype: str, layout: str, target: Target | None) -> str:
    """Why vectors along the pixels are not the better choice here; empty if they are."""
    assert isinstance(dims, ConvDims)
    tile = _tile(target or host(), operation, dims, dtype, layout, None)
    return "" if tile.side == "by_pixels" else "vectors along the output channels waste less here"


def by_channels(operation: str, dims: object, dtype: str, layout: str, target: Target | None) -> Plan | str:
    """Vectors along the output channels."""
    reason = _declines(operation, dims, dtype, target)
    if reason:
        return reason
    if operation == "weight_gradient":
        return "it computes outputs and data gradients only"
    assert isinstance(dims, ConvDims)
    return _tiled("tiles-channels", operation, dims, dtype, layout, "by_channels", target)


def weights(operation: str, dims: object, dtype: str, layout: str, target: Target | None) -> Plan | str:
    """The weight gradient, vectors along the output channels."""
    reason = _declines(operation, dims, dtype, target)
    if reason:
        return reason
    if operation != "weight_gradient":
        return "it computes weight gradients only"
    assert isinstance(dims, ConvDims)
    return _weights("tiles-weights", operation, dims, dtype, target)


def is_pointwise(dims: ConvDims) -> bool:
    """Whether each output reads the one input at its own place."""
    steps = dims.stride + dims.input_dilation
    return dims.taps == 1 and all(n == 1 for n in steps) and all(pair == (0, 0) for pair in dims.padding)


def exchanges_sides(dims: ConvDims, width: int) -> bool:
    """Whether the weight gradient, as a product of matrices, is computed as its transpose."""
    return (
        is_pointwise(dims)
        and dims.groups == 1
        and tiles.exchanges(width, dims.out_channels, dims.in_channels)
    )


def declines(dims: object, dtype: str) -> str:
    """Why no compiled family computes this; empty if one may."""
    reason = _unavailable()
    if reason:
        return reason
    if not isinstance(dims, ConvDims):
        return "it computes convolutions only"
    return declines_dtype(dtype)


def declines_pool(dims: object, dtype: str) -> str:
    """Why no compiled family computes this pool; empty if one may."""
    if not isinstance(dims, PoolDims):
        return "it computes pools only"
    return _unavailable() or declines_dtype(dtype)


def declines_dtype(dtype: str) -> str:
    """Why no compiled family computes with this element type; empty if all do."""
    if dtype not in _DTYPES:
        return f"it computes {' and '.join(_DTYPES)} only"
    return ""


def _declines(operation: str, dims: object, dtype: str, target: Target | None) -> str:
    reason = declines(dims, dtype)
    if reason:
        return reason
    assert isinstance(dims, ConvDims)
    if operation == "weight_gradient" and any(n > 1 for n in dims.input_dilation):
        return "it needs an input without zeros between samples"
    if math.prod(dims.spatial[:-2]) > _LEAD_PLACES or math.prod(dims.output[:-2]) > _LEAD_PLACES:
        return f"it needs at most {_LEAD_PLACES} places on the axes before the last two"
    itemsize = np.dtype(dtype).itemsize
    target = target or host()
    panel = 4 * target.vector_bytes // itemsize
    if dims.taps * panel * itemsize > _LEAST_BYTES:
        return "its packed weights would not fit the scratch"
    reach = max(dims.reach[-1], (dims.reach[-1]) // dims.stride[-1]) + 64 * panel
    if math.prod(dims.kernel[:-1]) * reach * itemsize > _LEAST_BYTES:
        return "its packed lines would not fit the scratch"
    return ""


def _tile(
    target: Target, operation: str, dims: ConvDims, dtype: str, layout: str, side: str | None
) -> tiles.Tile:
    width = target.vector_bytes // np.dtype(dtype).itemsize
    form = dims if operation == "forward" else dims.adjoint()
    step = form.input_dilation[-1] // math.gcd(form.input_dilation[-1], form.stride[-1])
    row = -(-form.output[-1] // step)
    if is_pointwise(form):
        row = math.prod(form.output)
    memory = "channels" if layout == "channels_last" else {1: "columns", 2: "columns2"}.get(step, "any")
    outputs = form.out_channels // form.groups
    return tiles.tile_for(target, width, outputs, row, form.reduction // step, memory, side)


def _tiled(
    family: str,
    operation: str,
    dims: ConvDims,
    dtype: str,
    layout: str,
    side: str | None,
    target: Target | None,
) -> Plan:
    target = target or host()
    tile = _tile(target, operation, dims, dtype, layout, side)
    width = target.vector_bytes // np.dtype(dtype).itemsize
    along, across = "output channels", "pixels"
    if tile.side == "by_pixels":
        along, across = across, along
    plural = "s" if tile.vectors > 1 else ""
    words = f"{tile.vectors} vector{plural} of {width} {along} by {tile.scalars} {across}"
    return Plan(
        operation, family, dims, dtype, (tile.pixels(width),), 1, SCRATCH_BYTES, words, target.name, tile.side
    )


def _weights(family: str, operation: str, dims: ConvDims, dtype: str, target: Target | None) -> Plan:
    target = target or host()
    width = target.vector_bytes // np.dtype(dtype).itemsize
    outputs, channels = dims.out_channels // dims.groups, dims.in_channels // dims.groups
    along, across = "output channels", "input channels"
    if exchanges_sides(dims, width):
        along, across, outputs, channels = across, along, channels, outputs
    _, tile, vectors = tiles.weight_tile_for(target, width, outputs, channels)
    plural = "s" if vectors > 1 else ""
    words = f"{vectors} vector{plural} of {width} {along} by {tile} {across}"
    return Plan(operation, family, dims, dtype, (tile,), 1, SCRATCH_BYTES, words, target.name)
