"""A small 3-D network for clips."""

from __future__ import annotations

from typing import Any

from tilewright.errors import ShapeError, describe
from tilewright.nn.activation import ReLU
from tilewright.nn.containers import Sequential
from tilewright.nn.conv import Conv3d
from tilewright.nn.linear import Linear
from tilewright.nn.models.build import Configured, channels_of, check_batch
from tilewright.nn.module import Module
from tilewright.nn.pooling import MaxPool3d

# The pools halve frames twice, and height and width three times.
_LEAST = (4, 8, 8)


class C3D(Configured, Module):
    """A small network after C3D: 3×3×3 convolutions, and pools that spare the frames at first.

    Source: Tran, Bourdev, Fergus, Torresani and Paluri, "Learning spatiotemporal features with 3D
    convolutional networks", ICCV 2015, which has eight convolutions and two dense layers of 4,096; here are
    four convolutions (b, 2b, 4b and 4b channels), their mean over time and space, and one dense layer.
    Counted by hand for three channels and b = 16, with (27·in + 1)·out values in a convolution: 1,312 +
    13,856 + 55,360 + 110,656, and 650 for ten classes: 181,834.

    Args:
        in_channels: channels of a frame.
        classes: how many there are.
        base: channels of the first convolution, b.

    Shapes: (batch, in_channels, frames, height, width) → logits (batch, classes), for clips of at least four
    frames of 8×8.

    Raises:
        ArgumentError: an argument outside its rule.

    >>> C3D(in_channels=1)(tw.zeros(2, 1, 8, 16, 16)).shape
    Size([2, 10])
    """

    def __init__(self, in_channels: int = 3, classes: int = 10, base: int = 16) -> None:
        super().__init__()
        in_channels = channels_of(in_channels, "in_channels", "c3d")
        classes = channels_of(classes, "classes", "c3d")
        base = channels_of(base, "base", "c3d")
        # "The first pooling layer has kernel size 1×2×2 … to not merge the temporal signal too early."
        pools: tuple[Any, ...] = (MaxPool3d((1, 2, 2)), MaxPool3d(2), MaxPool3d(2), None)
        self.features = Sequential()
        channels = in_channels
        for multiple, pool in zip((1, 2, 4, 4), pools, strict=True):
            self.features.append(Conv3d(channels, base * multiple, 3, padding=1, init="he"))
            self.features.append(ReLU())
            if pool is not None:
                self.features.append(pool)
            channels = base * multiple
        self.classifier = Linear(channels, classes)
        self._configure("c3d", {"in_channels": in_channels, "classes": classes, "base": base})

    def forward(self, input: Any) -> Any:
        """Clips → logits.

        Raises:
            DtypeError, ShapeError: no batch of clips, or too short or too small ones.
        """
        check_batch(input, "batch, channels, frames, height, width", "c3d")
        if any(n < least for n, least in zip(input.shape[2:], _LEAST, strict=True)):
            raise ShapeError("c3d needs clips of at least 4 frames of 8×8.", describe(input=input))
        return self.classifier(self.features(input).mean((2, 3, 4)))


def c3d(in_channels: int = 3, classes: int = 10, base: int = 16) -> C3D:
    """Build a :class:`C3D`, whose arguments these are: 181,834 parameters by default."""
    return C3D(in_channels, classes, base)
