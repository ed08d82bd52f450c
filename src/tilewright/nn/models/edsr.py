"""EDSR: a small image to a large one."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewright.errors import ArgumentError, describe
from tilewright.nn.activation import ReLU
from tilewright.nn.arguments import as_number
from tilewright.nn.containers import Sequential
from tilewright.nn.conv import Conv2d
from tilewright.nn.models.build import Configured, at_most, channels_of
from tilewright.nn.module import Module
from tilewright.nn.rearranging import PixelShuffle
from tilewright.nn.shape import Identity
from tilewright.nn.state import overwrite

# Mean red, green and blue of the DIV2K images that the paper trains on, for values from 0 to 1.
_MEAN = (0.4488, 0.4371, 0.4040)
# How the image is enlarged: by which factors, one after the other.
_STEPS = {1: (), 2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}
_MOST_BLOCKS = 256


class ResidualBlock(Module):
    """x + factor · conv(relu(conv(x))), without the batch norms of earlier networks."""

    def __init__(self, features: int, factor: float) -> None:
        super().__init__()
        self.body = Sequential(
            Conv2d(features, features, 3, padding=1), ReLU(), Conv2d(features, features, 3, padding=1)
        )
        self.factor = factor

    def forward(self, input: Any) -> Any:
        """(batch, features, height, width) → the same shape."""
        y = self.body(input)
        return input + (y if self.factor == 1 else y * self.factor)


class MeanShift(Conv2d):
    """Adds a number to each of three channels: a 1×1 convolution that isn't trained."""

    def __init__(self, shift: tuple[float, ...]) -> None:
        super().__init__(len(shift), len(shift), 1)
        overwrite(self.weight, np.eye(len(shift), dtype=np.float32)[:, :, None, None])
        assert self.bias is not None
        overwrite(self.bias, np.array(shift, np.float32))
        self.requires_grad_(False)


class EDSR(Configured, Module):
    """EDSR's baseline: residual blocks at the small size, then a pixel shuffle to the large one.

    Source: Lim, Son, Kim, Nah and Lee, "Enhanced deep residual networks for single image super-resolution",
    CVPR workshops 2017, table 1 (baseline: 16 blocks of 64 features), and the authors' code, whose names for
    the parts these are. Counted by hand for a factor of 2, with (9·in + 1)·out values in a convolution:

    ============================ ========================== =========
    head                         3→64                           1,792
    blocks                       16 · 2 · 36,928            1,181,696
    behind the blocks            64→64                         36,928
    before the shuffle           64→256                       147,712
    tail                         64→3                           1,731
    learnt                                                  1,369,859
    shifts by the mean colour    2 · 12, not learnt                24
    ============================ ========================== =========

    Args:
        in_channels: channels of the images. Three are red, green and blue, from which the mean colour of the
            paper's images is taken off and to which it is added again; others are left as they are.
        scale: how many times larger the output is: 1, 2, 3, 4 or 8.
        features: channels inside.
        blocks: residual blocks, at most 256.
        residual_scale: factor of what a block adds (the paper's 0.1 for its large network of 256 features).
        value_range: the value of white: 1, or 255 for images in bytes as in the authors' code.

    Shapes: (batch, in_channels, height, width) → (batch, in_channels, scale·height, scale·width).

    Raises:
        ArgumentError: an argument outside its rule.

    >>> EDSR(features=8, blocks=2)(tw.zeros(1, 3, 12, 10)).shape
    Size([1, 3, 24, 20])
    """

    def __init__(
        self,
        in_channels: int = 3,
        scale: int = 2,
        features: int = 64,
        blocks: int = 16,
        residual_scale: float = 1.0,
        value_range: float = 1.0,
    ) -> None:
        super().__init__()
        in_channels = channels_of(in_channels, "in_channels", "edsr")
        features = channels_of(features, "features", "edsr")
        blocks = at_most(_MOST_BLOCKS, blocks, "blocks", "edsr")
        if isinstance(scale, bool) or not isinstance(scale, int) or scale not in _STEPS:
            raise ArgumentError(
                f"edsr needs scale to be one of {', '.join(map(str, _STEPS))}.", describe(scale=scale)
            )
        factor = as_number(residual_scale, "residual_scale", "edsr")
        white = as_number(value_range, "value_range", "edsr")
        has_colours = in_channels == len(_MEAN)
        mean = tuple(white * value for value in _MEAN)
        self.sub_mean = MeanShift(tuple(-value for value in mean)) if has_colours else Identity()
        self.add_mean = MeanShift(mean) if has_colours else Identity()
        self.head = Sequential(Conv2d(in_channels, features, 3, padding=1))
        self.body = Sequential(
            *(ResidualBlock(features, factor) for _ in range(blocks)),
            Conv2d(features, features, 3, padding=1),
        )
        upwards = Sequential()
        for step in _STEPS[scale]:
            upwards.append(Conv2d(features, features * step * step, 3, padding=1))
            upwards.append(PixelShuffle(step))
        self.tail = Sequential(upwards, Conv2d(features, in_channels, 3, padding=1))
        self._configure(
            "edsr",
            {
                "in_channels": in_channels,
                "scale": scale,
                "features": features,
                "blocks": blocks,
                "residual_scale": factor,
                "value_range": white,
            },
        )

    def forward(self, input: Any) -> Any:
        """Small images → large ones."""
        y = self.head(self.sub_mean(input))
        return self.add_mean(self.tail(self.body(y) + y))


def edsr(
    in_channels: int = 3,
    scale: int = 2,
    features: int = 64,
    blocks: int = 16,
    residual_scale: float = 1.0,
    value_range: float = 1.0,
) -> EDSR:
    """Build an :class:`EDSR`, whose arguments these are: 1,369,859 learnt parameters by default."""
    return EDSR(in_channels, scale, features, blocks, residual_scale, value_range)
