"""Residual networks for photographs: ResNet-18, 34 and 50."""

from __future__ import annotations

from typing import Any

from tilewright.nn.activation import ReLU
from tilewright.nn.arguments import one_of
from tilewright.nn.containers import Sequential
from tilewright.nn.conv import Conv2d
from tilewright.nn.fusion import normalised
from tilewright.nn.linear import Linear
from tilewright.nn.models.build import Configured, channels_of, he_fan_out
from tilewright.nn.module import Module
from tilewright.nn.norm import BatchNorm2d
from tilewright.nn.pooling import MaxPool2d

# Channels of the four stages before the last convolution of a block, and blocks per stage.
_WIDTHS = (64, 128, 256, 512)
_BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}


def _conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> Conv2d:
    return Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False, init=he_fan_out)


class BasicBlock(Module):
    """Two convolutions of 3×3 and a way around them: relu(s(x) + bn(conv(relu(bn(conv(x)))))).

    s(x) is x, or where the block changes size or channels a 1×1 convolution of it.

    Args:
        in_channels: channels of x.
        width: channels of the block.
        stride: of the first convolution.
    """

    #: Channels that the block gives, per channel of its width.
    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = _conv(in_channels, width, 3, stride)
        self.bn1 = BatchNorm2d(width)
        self.relu = ReLU()
        self.conv2 = _conv(width, width, 3)
        self.bn2 = BatchNorm2d(width)
        self.downsample = _shortcut(in_channels, width, stride)

    def forward(self, input: Any) -> Any:
        """(batch, in_channels, height, width) → (batch, width, ⌈height/stride⌉, ⌈width/stride⌉)."""
        around = input if self.downsample is None else self.downsample(input)
        y = normalised(self.bn1, self.relu, self.conv1(input))
        return normalised(self.bn2, self.relu, self.conv2(y), around)


class Bottleneck(Module):
    """Convolutions of 1×1, 3×3 and 1×1, and a way around them; the last gives four times the width.

    The stride is that of the 3×3 convolution, where torchvision has it too ("ResNet v1.5").

    Args:
        in_channels: channels of the input.
        width: channels inside the block.
        stride: of the middle convolution.
    """

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        wide = width * self.expansion
        self.conv1 = _conv(in_channels, width, 1)
        self.bn1 = BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3, stride)
        self.bn2 = BatchNorm2d(width)
        self.conv3 = _conv(width, wide, 1)
        self.bn3 = BatchNorm2d(wide)
        self.relu = ReLU()
        self.downsample = _shortcut(in_channels, wide, stride)

    def forward(self, input: Any) -> Any:
        """(batch, in_channels, height, width) → (batch, 4·width, ⌈height/stride⌉, ⌈width/stride⌉)."""
        around = input if self.downsample is None else self.downsample(input)
        y = normalised(self.bn1, self.relu, self.conv1(input))
        y = normalised(self.bn2, self.relu, self.conv2(y))
        return normalised(self.bn3, self.relu, self.conv3(y), around)


def _shortcut(in_channels: int, out_channels: int, stride: int) -> Sequential | None:
    if stride == 1 and in_channels == out_channels:
        return None
    return Sequential(_conv(in_channels, out_channels, 1, stride), BatchNorm2d(out_channels))


class ResNet(Configured, Module):
    """ResNet-18, 34 or 50, with torchvision's names for its parts.

    Source: He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016, table 1. For
    three channels and 1,000 classes torchvision publishes 11,689,512, 21,797,672 and 25,557,032 parameters.

    Args:
        name: "resnet18", "resnet34" or "resnet50".
        in_channels: channels of the images, which may be of any size; the network was drawn for 224×224.
        classes: how many there are.

    Shapes: (batch, in_channels, height, width) → logits (batch, classes).

    Raises:
        ArgumentError: an argument outside its rule.

    >>> model = ResNet("resnet18", classes=10)
    >>> model(tw.zeros(1, 3, 64, 64)).shape
    Size([1, 10])
    """

    def __init__(self, name: str, in_channels: int = 3, classes: int = 1000) -> None:
        super().__init__()
        one_of(name, tuple(_BLOCKS), "name", "ResNet")
        in_channels = channels_of(in_channels, "in_channels", name)
        classes = channels_of(classes, "classes", name)
        block = Bottleneck if name == "resnet50" else BasicBlock
        self.conv1 = _conv(in_channels, _WIDTHS[0], 7, 2)
        self.bn1 = BatchNorm2d(_WIDTHS[0])
        self.relu = ReLU()
        self.maxpool = MaxPool2d(3, 2, 1)
        channels = _WIDTHS[0]
        for number, (width, blocks) in enumerate(zip(_WIDTHS, _BLOCKS[name], strict=True), 1):
            stage = Sequential()
            for place in range(blocks):
                stage.append(block(channels, width, stride=2 if number > 1 and place == 0 else 1))
                channels = width * block.expansion
            self.add_module(f"layer{number}", stage)
        self.fc = Linear(channels, classes)
        self._configure(name, {"in_channels": in_channels, "classes": classes})

    def features(self, input: Any) -> Any:
        """The last feature maps, (batch, 512 or 2048, ⌈height/32⌉, ⌈width/32⌉)."""
        y = self.maxpool(normalised(self.bn1, self.relu, self.conv1(input)))
        return self.layer4(self.layer3(self.layer2(self.layer1(y))))

    def forward(self, input: Any) -> Any:
        """Images → logits."""
        return self.fc(self.features(input).mean((2, 3)))


def resnet18(in_channels: int = 3, classes: int = 1000) -> ResNet:
    """Build a ResNet-18 (see :class:`ResNet`): 11,689,512 parameters for 3 channels and 1,000 classes."""
    return ResNet("resnet18", in_channels, classes)


def resnet34(in_channels: int = 3, classes: int = 1000) -> ResNet:
    """Build a ResNet-34 (see :class:`ResNet`): 21,797,672 parameters for 3 channels and 1,000 classes."""
    return ResNet("resnet34", in_channels, classes)


def resnet50(in_channels: int = 3, classes: int = 1000) -> ResNet:
    """Build a ResNet-50 (see :class:`ResNet`): 25,557,032 parameters for 3 channels and 1,000 classes."""
    return ResNet("resnet50", in_channels, classes)
