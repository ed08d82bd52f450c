"""MobileNetV2: depthwise convolutions between narrow ends."""

from __future__ import annotations

from typing import Any

from tilewright.nn.activation import ReLU6
from tilewright.nn.arguments import as_number
from tilewright.nn.containers import Sequential
from tilewright.nn.conv import Conv2d
from tilewright.nn.dropout import Dropout
from tilewright.nn.linear import Linear
from tilewright.nn.models.build import (
    Configured,
    ImageSize,
    channels_of,
    halvings_that_suit,
    he_fan_out,
    image_size_of,
    normal_start,
    plain,
)
from tilewright.nn.module import Module
from tilewright.nn.norm import BatchNorm2d

# Table 2 of the paper: how much wider a block is inside, its channels, blocks per stage, the first's stride.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_FIRST, _LAST = 32, 1280
# The first layer and four of the stages.
_HALVINGS = 5


def _layer(in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> Sequential:
    return Sequential(
        Conv2d(
            in_channels,
            out_channels,
            kernel,
            stride,
            kernel // 2,
            groups=groups,
            bias=False,
            init=he_fan_out,
        ),
        BatchNorm2d(out_channels),
        ReLU6(),
    )


class InvertedResidual(Module):
    """A block that is wide inside: 1×1 up, 3×3 on each channel alone, 1×1 down without activation.

    Where stride and channels stay as they are, the input is added.

    Args:
        in_channels, out_channels: channels at both ends.
        stride: of the middle convolution.
        expansion: how many times wider the block is inside.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = in_channels * expansion
        self.conv = Sequential()
        if expansion != 1:
            self.conv.append(_layer(in_channels, wide, 1))
        self.conv.append(_layer(wide, wide, 3, stride, groups=wide))
        self.conv.append(Conv2d(wide, out_channels, 1, bias=False, init=he_fan_out))
        self.conv.append(BatchNorm2d(out_channels))
        self.adds = stride == 1 and in_channels == out_channels

    def forward(self, input: Any) -> Any:
        """(batch, in_channels, height, width) → (batch, out_channels, ⌈height/stride⌉, ⌈width/stride⌉)."""
        y = self.conv(input)
        return y + input if self.adds else y


class MobileNetV2(Configured, Module):
    """MobileNetV2 of width 1, with torchvision's names for its parts.

    Source: Sandler, Howard, Zhu, Zhmoginov and Chen, "MobileNetV2: Inverted residuals and linear
    bottlenecks", CVPR 2018, table 2. For three channels and 1,000 classes torchvision publishes 3,504,872
    parameters.

    Args:
        in_channels: channels of the images, which may be of any size; the network was drawn for 224×224.
        classes: how many there are.
        dropout: probability of a feature to be dropped in training.
        image_size: the size of the images to come. Images of up to 64 pixels would be halved to one or two
            before the last stages see them, so the first of the five halvings are left out for these, until
            three pixels a side remain: 32×32 and 28×28 keep three halvings (as the usual variants for
            CIFAR), 8×8 keeps one. The weights are as many, and of the same shapes, for all sizes.

    Shapes: (batch, in_channels, height, width) → logits (batch, classes).

    Raises:
        ArgumentError: an argument outside its rule.

    >>> MobileNetV2(classes=10)(tw.zeros(2, 3, 32, 32)).shape
    Size([2, 10])
    """

    def __init__(
        self,
        in_channels: int = 3,
        classes: int = 1000,
        dropout: float = 0.2,
        image_size: ImageSize = 224,
    ) -> None:
        super().__init__()
        in_channels = channels_of(in_channels, "in_channels", "mobilenet_v2")
        classes = channels_of(classes, "classes", "mobilenet_v2")
        dropout = as_number(dropout, "dropout", "mobilenet_v2", most=1)
        size = image_size_of(image_size, "mobilenet_v2", least=1)
        left_out = _HALVINGS - halvings_that_suit(size, _HALVINGS)
        self.features = Sequential(_layer(in_channels, _FIRST, 3, 1 if left_out else 2))
        left_out -= 1
        channels = _FIRST
        for expansion, width, blocks, published in _STAGES:
            stride = 1 if left_out > 0 else published
            left_out -= published == 2
            for place in range(blocks):
                self.features.append(
                    InvertedResidual(channels, width, stride if place == 0 else 1, expansion)
                )
                channels = width
        self.features.append(_layer(channels, _LAST, 1))
        self.classifier = Sequential(Dropout(dropout), Linear(_LAST, classes, init=normal_start(0.01)))
        self._configure(
            "mobilenet_v2",
            {
                "in_channels": in_channels,
                "classes": classes,
                "dropout": dropout,
                "image_size": plain(size),
            },
        )

    def forward(self, input: Any) -> Any:
        """Images → logits."""
        return self.classifier(self.features(input).mean((2, 3)))


def mobilenet_v2(
    in_channels: int = 3, classes: int = 1000, dropout: float = 0.2, image_size: ImageSize = 224
) -> MobileNetV2:
    """Build a :class:`MobileNetV2`, whose arguments these are: 3,504,872 parameters by default."""
    return MobileNetV2(in_channels, classes, dropout, image_size)
