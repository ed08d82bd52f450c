"""ONNX's convolutions and pools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import tilewright.functional as F
from onnx_nodes.node import Array, Node

_NAMES = {"SAME_UPPER": "same", "SAME_LOWER": "same_lower", "VALID": "valid"}


def _pairs(node: Node, rank: int) -> tuple[tuple[int, int], ...]:
    """``pads``, which lists all the befores and then all the afters, as pairs."""
    pads = node.get("pads", [0] * 2 * rank)
    return tuple(zip(pads[:rank], pads[rank:], strict=True))


def _padding(node: Node, rank: int) -> Any:
    return _NAMES.get(node.get("auto_pad", "NOTSET")) or _pairs(node, rank)


def _listed(node: Node, name: str, rank: int) -> tuple[int, ...]:
    return tuple(node.get(name, [1] * rank))


def conv(node: Node) -> Array:
    x, w = node.inputs[:2]
    rank = x.ndim - 2
    return F.conv(
        x,
        w,
        node.input(2),
        stride=_listed(node, "strides", rank),
        padding=_padding(node, rank),
        dilation=_listed(node, "dilations", rank),
        groups=node.get("group", 1),
    )


def conv_transpose(node: Node) -> Array:
    x, w = node.inputs[:2]
    rank = x.ndim - 2
    stride, dilation = _listed(node, "strides", rank), _listed(node, "dilations", rank)
    more = list(node.get("output_padding", [0] * rank))
    padding = _padding(node, rank)
    size = node.get("output_shape")
    if size is not None:
        # The definition's formula for what is cut in all; less than nothing is put at the end.
        cut = [
            s * (n - 1) + m + (k - 1) * d + 1 - o
            for s, n, m, k, d, o in zip(stride, x.shape[2:], more, w.shape[2:], dilation, size, strict=True)
        ]
        more = [m + max(-c, 0) for m, c in zip(more, cut, strict=True)]
        halves = [(max(c, 0) // 2, max(c, 0) - max(c, 0) // 2) for c in cut]
        upper = node.get("auto_pad", "NOTSET") == "SAME_UPPER"
        padding = tuple(pair if upper else pair[::-1] for pair in halves)
    return F.conv_transpose(
        x,
        w,
        node.input(2),
        stride=stride,
        padding=padding,
        output_padding=tuple(more),
        groups=node.get("group", 1),
        dilation=dilation,
    )


def conv_integer(node: Node) -> Array:
    """Whole numbers less their zero points, the weight's one per output channel."""
    x, w = (value.astype(np.int32) for value in node.inputs[:2])
    if node.input(2) is not None:
        x = x - node.input(2).astype(np.int32)
    if node.input(3) is not None:
        w = w - node.input(3).astype(np.int32).reshape(-1, *(1,) * (w.ndim - 1))
    return conv(Node("Conv", node.attributes, (x, w), 1))


def causal_conv(node: Node) -> tuple[Array, Array]:
    """A depthwise convolution of a stream: what came before the input is an input, too."""
    x, w = node.inputs[:2]
    before = node.input(3)
    if before is None:
        y = F.conv1d(x, w, node.input(2), padding="causal", groups=x.shape[1])
        before = np.zeros((*x.shape[:2], w.shape[2] - 1), x.dtype)
        line = np.concatenate([before, x], axis=2)
    else:
        line = np.concatenate([before, x], axis=2)
        y = F.conv1d(line, w, node.input(2), groups=x.shape[1])
    if node.get("activation", "none") in ("silu", "swish"):
        y = F.silu(y)
    return y, line[:, :, line.shape[2] - (w.shape[2] - 1) :]


def _planes(shape: Sequence[int]) -> Array:
    """For each sample and channel where its plane begins in the whole array: ONNX counts from there."""
    size = int(np.prod(shape[2:]))
    return np.arange(int(np.prod(shape[:2])), dtype=np.int64).reshape(
        *shape[:2], *(1,) * (len(shape) - 2)
    ) * np.int64(size)


def max_pool(node: Node) -> Any:
    x = node.inputs[0]
    kernel = tuple(node.get("kernel_shape"))
    rank = len(kernel)
    values, places = F.max_pool(
        x,
        kernel,
        stride=_listed(node, "strides", rank),
        padding=_padding(node, rank),
        dilation=_listed(node, "dilations", rank),
        ceil_mode=bool(node.get("ceil_mode", 0)),
        return_indices=True,
    )
    if node.outputs == 1:
        return values
    if node.get("storage_order", 0):  # column by column
        spatial = x.shape[2:]
        places = np.ravel_multi_index(np.unravel_index(places, spatial), spatial, order="F")
    return values, places + _planes(x.shape)


def max_unpool(node: Node) -> Array:
    x, places = node.inputs[:2]
    kernel = tuple(node.get("kernel_shape"))
    rank = len(kernel)
    stride, pairs = _listed(node, "strides", rank), _pairs(node, rank)
    # Indices are those of the default size, whatever size is asked for.
    usual = tuple(
        (n - 1) * s + k - low - high
        for n, s, k, (low, high) in zip(x.shape[2:], stride, kernel, pairs, strict=True)
    )
    y = F.max_unpool(x, places - _planes((*x.shape[:2], *usual)), kernel, stride, pairs)
    if node.input(2) is None:
        return y
    wider = [(0, int(n) - m) for n, m in zip(node.inputs[2], y.shape, strict=True)]
    return F.pad(y, [side for pair in reversed(wider) for side in pair])


def average_pool(node: Node) -> Array:
    kernel = tuple(node.get("kernel_shape"))
    rank = len(kernel)
    return F.avg_pool(
        node.inputs[0],
        kernel,
        stride=_listed(node, "strides", rank),
        padding=_padding(node, rank),
        ceil_mode=bool(node.get("ceil_mode", 0)),
        count_include_pad=bool(node.get("count_include_pad", 0)),
        dilation=_listed(node, "dilations", rank),
    )


def lp_pool(node: Node) -> Array:
    kernel = tuple(node.get("kernel_shape"))
    rank = len(kernel)
    return F.lp_pool(
        np.abs(node.inputs[0]),  # its definition has |x|, and so for odd p, too
        node.get("p", 2),
        kernel,
        stride=_listed(node, "strides", rank),
        ceil_mode=bool(node.get("ceil_mode", 0)),
        padding=_padding(node, rank),
        dilation=_listed(node, "dilations", rank),
    )


def col2im(node: Node) -> Array:
    x, size, kernel = node.inputs
    rank = len(size)
    return F.fold(
        x,
        size.tolist(),
        kernel.tolist(),
        dilation=_listed(node, "dilations", rank),
        padding=_pairs(node, rank),
        stride=_listed(node, "strides", rank),
    )
