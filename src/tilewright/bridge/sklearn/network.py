"""The network that an estimator makes when it isn't given one."""

from __future__ import annotations

import math
from typing import Any

from tilewright.geometry.axes import per_axis
from tilewright.nn import AvgPool, Conv, Flatten, Linear, MaxPool, Module, ReLU, Sequential
from tilewright.nn.arguments import one_of


def make_network(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    hidden_channels: tuple[int, ...],
    kernel_size: Any,
    pooling: Any,
    pool_size: Any,
    dense_width: int,
    op: str,
) -> Module:
    """Convolutions with ReLU, each halving the size or whatever ``pool_size`` says; two dense layers.

    Args:
        input_shape: (channels, *spatial).
        outputs: how many numbers the last layer gives.
        hidden_channels: the channels that each convolution gives; they keep the size ("same" padding).
        kernel_size: of each convolution, one integer or one per axis.
        pooling: how the size shrinks: by a "max" or "mean" pool behind the ReLU, or by the "stride" of the
            convolution itself.
        pool_size: by how much, one integer or one per axis; an axis that is shorter by now stays.
        dense_width: width of the first dense layer, with ReLU; 0 leaves it out.
        op: who asks, for the message of an error.

    Raises:
        ArgumentError: an argument outside its rule.

    >>> sizes = dict(hidden_channels=(16,), kernel_size=3, pooling="max", pool_size=2, dense_width=0)
    >>> make_network((1, 8, 8), 10, **sizes, op="fit")
    Sequential(
      (0): Conv(1, 16, kernel_size=(3, 3), stride=(1, 1), padding=same)
      (1): ReLU()
      (2): MaxPool(kernel_size=(2, 2), stride=(2, 2), padding=0, dilation=1, ceil_mode=False)
      (3): Flatten(start_dim=1, end_dim=-1)
      (4): Linear(in_features=256, out_features=10, bias=True)
    )
    """
    channels, *spatial = input_shape
    rank = len(spatial)
    kernel = per_axis(kernel_size, rank, "kernel_size", op, least=1)
    pool = per_axis(pool_size, rank, "pool_size", op, least=1)
    one_of(pooling, ("max", "mean", "stride"), "pooling", op)
    layers: list[Module] = []
    for features in hidden_channels:
        window = tuple(side if side <= size else 1 for side, size in zip(pool, spatial, strict=True))
        stride = window if pooling == "stride" else 1
        layers += [Conv(channels, features, kernel, stride, "same", init="he", rank=rank), ReLU()]
        # "same" padding makes ⌈size/stride⌉ of a size, a pool ⌊size/window⌋.
        spatial = [
            -(-size // side) if pooling == "stride" else size // side
            for size, side in zip(spatial, window, strict=True)
        ]
        if max(window) > 1 and pooling != "stride":
            layers.append(MaxPool(window) if pooling == "max" else AvgPool(window))
        channels = features
    layers.append(Flatten())
    width = channels * math.prod(spatial)
    if dense_width:
        layers += [Linear(width, dense_width, init="he"), ReLU()]
        width = dense_width
    layers.append(Linear(width, outputs, init="glorot"))
    return Sequential(*layers)
