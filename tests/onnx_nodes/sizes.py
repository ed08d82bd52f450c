"""ONNX's padding, resizing, and moving of samples between channels and places."""

from __future__ import annotations

from typing import Any

import numpy as np

import tilewright.functional as F
from onnx_nodes.node import Array, Node, NotOfferedError

_PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def pad(node: Node) -> Array:
    x, pads = node.inputs[:2]
    axes = range(x.ndim) if node.input(3) is None else [int(axis) % x.ndim for axis in node.inputs[3]]
    pairs = [(0, 0)] * x.ndim
    for number, axis in enumerate(axes):
        pairs[axis] = (int(pads[number]), int(pads[number + len(axes)]))
    value = None if node.input(2) is None else node.inputs[2].item()
    return F.pad(x, [side for pair in reversed(pairs) for side in pair], _PAD_MODES[node.get("mode")], value)


def center(node: Node) -> Array:
    """Cropped or padded at both ends to the size that is asked for: negative padding crops."""
    x, sizes = node.inputs
    pairs = [(0, 0)] * x.ndim
    for axis, size in zip(node.get("axes", range(x.ndim)), sizes, strict=True):
        cut = x.shape[axis] - int(size)
        low = abs(cut) // 2
        pairs[axis % x.ndim] = (-low, low - cut) if cut > 0 else (low, -cut - low)
    return F.pad(x, [side for pair in reversed(pairs) for side in pair])


#: By (mode, coordinate_transformation_mode, nearest_mode): what PyTorch and this library call it.
_RESIZE_MODES: dict[tuple[str, str, str | None], dict[str, Any]] = {
    ("nearest", "asymmetric", "floor"): {"mode": "nearest"},
    ("nearest", "half_pixel", "round_prefer_ceil"): {"mode": "nearest-exact"},
    ("nearest", "half_pixel", "round_prefer_floor"): {"mode": "nearest-exact"},
    ("linear", "half_pixel", None): {"mode": "linear"},
    ("linear", "align_corners", None): {"mode": "linear", "align_corners": True},
    ("cubic", "half_pixel", None): {"mode": "cubic"},
    ("cubic", "align_corners", None): {"mode": "cubic", "align_corners": True},
}


def resize(node: Node) -> Array:
    x, scales, sizes = node.inputs[0], node.input(2), node.input(3)
    mode, where = node.get("mode", "nearest"), node.get("coordinate_transformation_mode", "half_pixel")
    rounding = node.get("nearest_mode", "round_prefer_floor") if mode == "nearest" else None
    if (mode, where, rounding) not in _RESIZE_MODES:
        raise NotOfferedError(f"{mode} resizing with {where}" + (f" and {rounding}" if rounding else ""))
    options = dict(_RESIZE_MODES[mode, where, rounding])
    if mode == "cubic" and abs(node.get("cubic_coeff_a", -0.75) + 0.75) > 1e-6:
        raise NotOfferedError("another cubic than that of a = -0.75")
    if mode != "nearest":
        options["antialias"] = bool(node.get("antialias", 0))
    axes = [int(axis) % x.ndim for axis in node.get("axes", range(x.ndim))]
    factors = [1.0] * x.ndim
    for number, axis in enumerate(axes):
        factors[axis] = float(scales[number]) if sizes is None else int(sizes[number]) / x.shape[axis]
    policy = node.get("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        one = (min if policy == "not_larger" else max)(factors[axis] for axis in axes)
        factors = [one if axis in axes else 1.0 for axis in range(x.ndim)]
    lengths = [n * factor for n, factor in zip(x.shape, factors, strict=True)]
    whole = [round(length) for length in lengths]
    fits = np.allclose(lengths, whole, rtol=0, atol=1e-6)  # scales come as float32
    if not fits and policy != "stretch":
        raise NotOfferedError("a scale that is kept where it gives no whole number of samples")
    options["size" if fits else "scale_factor"] = (whole if fits else factors)[2:]
    if rounding != "round_prefer_floor":
        return F.interpolate(x, **options)
    # Ours takes the later of two samples that are equally near, as PyTorch does. Seen from the other end of
    # an axis, that is the earlier one.
    if fits:
        back = tuple(range(2, x.ndim))
        return np.flip(F.interpolate(np.flip(x, back), **options), back)
    for n, factor in zip(x.shape, factors, strict=True):
        places = (np.arange(int(n * factor)) + 0.5) / factor - 0.5
        if factor != 1.0 and np.isclose(places % 1.0, 0.5, rtol=0, atol=1e-6).any():
            raise NotOfferedError("the earlier of two nearest samples, at a size that is no whole number")
    return F.interpolate(x, **options)


def upsample(node: Node) -> Array:
    """Resize as it was before it had modes of coordinates."""
    attributes = {
        **node.attributes,
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    }
    return resize(Node("Resize", attributes, (node.inputs[0], None, node.inputs[1]), 1))


def depth_to_space(node: Node) -> Array:
    x, block = node.inputs[0], node.get("blocksize")
    if node.get("mode", "DCR") == "DCR":  # places before channels
        x = x.reshape(len(x), block * block, -1, *x.shape[2:]).swapaxes(1, 2).reshape(x.shape)
    return F.pixel_shuffle(x, block)


def space_to_depth(node: Node) -> Array:
    x, block = node.inputs[0], node.get("blocksize")
    y = F.pixel_unshuffle(x, block)
    if node.get("mode", "DCR") == "DCR":
        y = y.reshape(len(y), -1, block * block, *y.shape[2:]).swapaxes(1, 2).reshape(y.shape)
    return y
