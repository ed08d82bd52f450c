"""Densely connected networks: DenseNet-121 for photographs, and a small one for images of 32×32."""

from __future__ import annotations

from typing import Any

from tilewright.autograd.joining import cat
from tilewright.errors import ShapeError, describe
from tilewright.nn.activation import ReLU
from tilewright.nn.arguments import one_of
from tilewright.nn.containers import Sequential
from tilewright.nn.conv import Conv2d
from tilewright.nn.linear import Linear
from tilewright.nn.models.build import (
    Configured,
    ImageSize,
    channels_of,
    check_batch,
    image_size_of,
    plain,
)
from tilewright.nn.module import Module
from tilewright.nn.norm import BatchNorm2d
from tilewright.nn.pooling import AvgPool2d, MaxPool2d

# A layer's 1×1 convolution gives this many times the growth ("B" of DenseNet-BC), and a transition leaves
# this part of the channels ("C").
_BOTTLENECK = 4
_COMPRESSION = 2
# What the stem and the pools of the transitions halve to nothing is smaller than this.
_LEAST = {"densenet121": 29, "densenet100": 4}


class DenseLayer(Module):
    """bn–relu–1×1 convolution–bn–relu–3×3 convolution, whose ``growth`` channels join those of its input."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.norm1 = BatchNorm2d(in_channels)
        self.relu1 = ReLU()
        self.conv1 = Conv2d(in_channels, _BOTTLENECK * growth, 1, bias=False, init="he")
        self.norm2 = BatchNorm2d(_BOTTLENECK * growth)
        self.relu2 = ReLU()
        self.conv2 = Conv2d(_BOTTLENECK * growth, growth, 3, padding=1, bias=False, init="he")

    def forward(self, input: Any) -> Any:
        """(batch, in_channels, height, width) → (batch, in_channels + growth, height, width)."""
        y = self.conv1(self.relu1(self.norm1(input)))
        return cat([input, self.conv2(self.relu2(self.norm2(y)))], 1)


class DenseNet(Configured, Module):
    """DenseNet-121, or DenseNet-BC with 100 layers and growth 12, with torchvision's names for the parts.

    Source: Huang, Liu, van der Maaten and Weinberger, "Densely connected convolutional networks", CVPR 2017.
    DenseNet-121 (table 1, growth 32) has 7,978,856 parameters for three channels and 1,000 classes, as
    torchvision publishes; DenseNet-BC (table 2: depth 100, growth 12, 0.8 million) has 769,162 for three
    channels and ten classes.

    Args:
        name: "densenet121" or "densenet100".
        in_channels: channels of the images.
        classes: how many there are.
        image_size: the size of the images to come, which changes nothing and is checked here: at least 29×29
            for "densenet121", which was drawn for 224×224, and 4×4 for the other, drawn for 32×32.

    Shapes: (batch, in_channels, height, width) → logits (batch, classes).

    Raises:
        ArgumentError: an argument outside its rule.

    >>> DenseNet("densenet100", classes=10, image_size=8)(tw.zeros(1, 3, 8, 8)).shape
    Size([1, 10])
    """

    def __init__(
        self, name: str, in_channels: int = 3, classes: int = 1000, image_size: ImageSize = 224
    ) -> None:
        super().__init__()
        one_of(name, tuple(_LEAST), "name", "DenseNet")
        in_channels = channels_of(in_channels, "in_channels", name)
        classes = channels_of(classes, "classes", name)
        size = image_size_of(image_size, name, least=_LEAST[name])
        large = name == "densenet121"
        growth = 32 if large else 12
        # Of the 100 layers 96 are in the blocks, in pairs; the rest are the first convolution, two
        # transitions and the dense layer.
        blocks = (6, 12, 24, 16) if large else (16, 16, 16)
        channels = 2 * growth
        self.features = Sequential()
        if large:
            self._add("conv0", Conv2d(in_channels, channels, 7, 2, 3, bias=False, init="he"))
            self._add("norm0", BatchNorm2d(channels))
            self._add("relu0", ReLU())
            self._add("pool0", MaxPool2d(3, 2, 1))
        else:
            self._add("conv0", Conv2d(in_channels, channels, 3, padding=1, bias=False, init="he"))
        for number, layers in enumerate(blocks, 1):
            block = Sequential()
            for place in range(1, layers + 1):
                block.add_module(f"denselayer{place}", DenseLayer(channels, growth))
                channels += growth
            self._add(f"denseblock{number}", block)
            if number < len(blocks):
                self._add(f"transition{number}", _transition(channels))
                channels //= _COMPRESSION
        # Torchvision's name, whatever the number of blocks before it.
        self._add("norm5", BatchNorm2d(channels))
        self.relu = ReLU()
        self.classifier = Linear(channels, classes)
        self._configure(name, {"in_channels": in_channels, "classes": classes, "image_size": plain(size)})

    def _add(self, name: str, part: Module) -> None:
        self.features.add_module(name, part)

    def forward(self, input: Any) -> Any:
        """Images → logits.

        Raises:
            DtypeError, ShapeError: no batch of images, or too small ones.
        """
        name = self.config["name"]
        check_batch(input, "batch, channels, height, width", name)
        if min(input.shape[2:]) < _LEAST[name]:
            raise ShapeError(
                f"{name} needs an image of at least {_LEAST[name]}×{_LEAST[name]}.", describe(input=input)
            )
        return self.classifier(self.relu(self.features(input)).mean((2, 3)))


def _transition(channels: int) -> Sequential:
    """Half the channels, and a quarter of the pixels."""
    return Sequential(
        {
            "norm": BatchNorm2d(channels),
            "relu": ReLU(),
            "conv": Conv2d(channels, channels // _COMPRESSION, 1, bias=False, init="he"),
            "pool": AvgPool2d(2, 2),
        }
    )


def densenet100(in_channels: int = 3, classes: int = 10, image_size: ImageSize = 32) -> DenseNet:
    """Build the small network for 32×32 (see :class:`DenseNet`): 769,162 parameters by default."""
    return DenseNet("densenet100", in_channels, classes, image_size)


def densenet121(in_channels: int = 3, classes: int = 1000, image_size: ImageSize = 224) -> DenseNet:
    """Build a DenseNet-121 (see :class:`DenseNet`): 7,978,856 parameters by default."""
    return DenseNet("densenet121", in_channels, classes, image_size)
