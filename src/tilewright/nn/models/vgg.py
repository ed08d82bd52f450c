"""VGG networks: plain rows of 3×3 convolutions."""

from __future__ import annotations

from typing import Any

from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.geometry.axes import as_flag
from tilewright.nn.activation import ReLU
from tilewright.nn.arguments import as_number
from tilewright.nn.containers import Sequential
from tilewright.nn.conv import Conv2d
from tilewright.nn.dropout import Dropout
from tilewright.nn.linear import Linear
from tilewright.nn.models.build import (
    Configured,
    ImageSize,
    channels_of,
    check_batch,
    he_fan_out,
    image_size_of,
    normal_start,
    plain,
)
from tilewright.nn.module import Module
from tilewright.nn.norm import BatchNorm2d
from tilewright.nn.pooling import MaxPool2d
from tilewright.nn.pooling_adaptive import AdaptiveAvgPool2d

# Convolutions per stage, of which there are five, a pool behind each (configurations A and D of the paper).
_WIDTHS = (64, 128, 256, 512, 512)
_LAYERS = {11: (1, 1, 2, 2, 2), 16: (2, 2, 3, 3, 3)}
# What five pools leave of 224×224, and the two dense layers that follow.
_GRID = 7
_DENSE = 4096
# Five pools halve an image to nothing that is smaller than this.
_LEAST = 32


class VGG(Configured, Module):
    """VGG-11 or VGG-16, with or without batch norm, and torchvision's names for its parts.

    Source: Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition",
    ICLR 2015, table 1. For three channels and 1,000 classes torchvision publishes 132,863,336 parameters for
    11 layers and 138,357,544 for 16, and with batch norm 132,868,840 and 138,365,992. Feature maps of another
    size than 7×7 are averaged to it, so that images from 32×32 on work.

    Args:
        layers: 11 or 16.
        norm: whether a batch norm follows each convolution.
        in_channels: channels of the images.
        classes: how many there are.
        image_size: the size of the images to come, which changes nothing and is checked here.
        dropout: probability of a dense layer's value to be dropped in training.

    Shapes: (batch, in_channels, height, width) → logits (batch, classes).

    Raises:
        ArgumentError: an argument outside its rule.
    """

    def __init__(
        self,
        layers: int = 11,
        norm: bool = False,
        in_channels: int = 3,
        classes: int = 1000,
        image_size: ImageSize = 224,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if isinstance(layers, bool) or not isinstance(layers, int) or layers not in _LAYERS:
            raise ArgumentError("VGG needs layers to be 11 or 16.", describe(layers=layers))
        norm = as_flag(norm, "norm", "VGG")
        name = f"vgg{layers}_bn" if norm else f"vgg{layers}"
        in_channels = channels_of(in_channels, "in_channels", name)
        classes = channels_of(classes, "classes", name)
        size = image_size_of(image_size, name, least=_LEAST)
        dropout = as_number(dropout, "dropout", name, most=1)
        self.features = Sequential()
        channels = in_channels
        for width, count in zip(_WIDTHS, _LAYERS[layers], strict=True):
            for _ in range(count):
                self.features.append(Conv2d(channels, width, 3, padding=1, init=he_fan_out))
                if norm:
                    self.features.append(BatchNorm2d(width))
                self.features.append(ReLU())
                channels = width
            self.features.append(MaxPool2d(2, 2))
        self.avgpool = AdaptiveAvgPool2d(_GRID)
        start = normal_start(0.01)
        self.classifier = Sequential(
            Linear(channels * _GRID * _GRID, _DENSE, init=start),
            ReLU(),
            Dropout(dropout),
            Linear(_DENSE, _DENSE, init=start),
            ReLU(),
            Dropout(dropout),
            Linear(_DENSE, classes, init=start),
        )
        self._configure(
            name,
            {
                "in_channels": in_channels,
                "classes": classes,
                "image_size": plain(size),
                "dropout": dropout,
            },
        )

    def forward(self, input: Any) -> Any:
        """Images → logits.

        Raises:
            DtypeError, ShapeError: no batch of images, or too small ones.
        """
        name = self.config["name"]
        check_batch(input, "batch, channels, height, width", name)
        if min(input.shape[2:]) < _LEAST:
            raise ShapeError(f"{name} needs an image of at least {_LEAST}×{_LEAST}.", describe(input=input))
        return self.classifier(self.avgpool(self.features(input)).flatten(1))


def vgg11(
    in_channels: int = 3, classes: int = 1000, image_size: ImageSize = 224, dropout: float = 0.5
) -> VGG:
    """Build a VGG-11 (see :class:`VGG`): 132,863,336 parameters for 3 channels and 1,000 classes."""
    return VGG(11, False, in_channels, classes, image_size, dropout)


def vgg11_bn(
    in_channels: int = 3, classes: int = 1000, image_size: ImageSize = 224, dropout: float = 0.5
) -> VGG:
    """Build a VGG-11 with batch norm (see :class:`VGG`): 132,868,840 parameters."""
    return VGG(11, True, in_channels, classes, image_size, dropout)


def vgg16(
    in_channels: int = 3, classes: int = 1000, image_size: ImageSize = 224, dropout: float = 0.5
) -> VGG:
    """Build a VGG-16 (see :class:`VGG`): 138,357,544 parameters for 3 channels and 1,000 classes."""
    return VGG(16, False, in_channels, classes, image_size, dropout)


def vgg16_bn(
    in_channels: int = 3, classes: int = 1000, image_size: ImageSize = 224, dropout: float = 0.5
) -> VGG:
    """Build a VGG-16 with batch norm (see :class:`VGG`): 138,365,992 parameters."""
    return VGG(16, True, in_channels, classes, image_size, dropout)
