"""The 20-layer residual network for images of 32×32."""

from __future__ import annotations

from typing import Any

from tilewright import functional as F
from tilewright.nn.activation import ReLU
from tilewright.nn.containers import Sequential
from tilewright.nn.conv import Conv2d
from tilewright.nn.fusion import normalised
from tilewright.nn.linear import Linear
from tilewright.nn.models.build import Configured, channels_of
from tilewright.nn.module import Module
from tilewright.nn.norm import BatchNorm2d

# Section 4.2 of the paper: 6n + 2 layers in three stages, with n = 3 blocks of two layers each.
_WIDTHS = (16, 32, 64)
_BLOCKS = 3


class PaddedBlock(Module):
    """Two convolutions of 3×3 and a way around them that has no weights ("option A" of the paper).

    Where the block halves the image and doubles the channels, the way around takes every other pixel and
    adds channels of zeros, half of them before and half behind.

    Args:
        in_channels: channels of the input.
        width: channels of the output: as many, or with ``stride`` 2 twice as many.
        stride: of the first convolution, 1 or 2.
    """

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = Conv2d(in_channels, width, 3, stride, 1, bias=False, init="he")
        self.bn1 = BatchNorm2d(width)
        self.relu = ReLU()
        self.conv2 = Conv2d(width, width, 3, 1, 1, bias=False, init="he")
        self.bn2 = BatchNorm2d(width)
        self.stride = stride
        self.added = width - in_channels

    def forward(self, input: Any) -> Any:
        """(batch, in_channels, height, width) → (batch, width, ⌈height/stride⌉, ⌈width/stride⌉)."""
        y = normalised(self.bn1, self.relu, self.conv1(input))
        y = self.conv2(y)
        around = input
        if self.added:
            before = self.added // 2
            around = F.pad(
                input[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.added - before)
            )
        return normalised(self.bn2, self.relu, y, around)


class SmallResNet(Configured, Module):
    """ResNet-20 for images of 32×32: a convolution, nine blocks in three stages, and the classes.

    Source: He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016, section 4.2,
    which gives 0.27 million parameters; counted for three channels and ten classes: 432 + 32 (first layer),
    14,016, 51,072 and 203,520 (stages), 650 (classes), 269,722 in all. Parts are named as in the widely used
    ``resnet20`` of Y. Idelbayev's "Proper ResNet implementation for CIFAR10", whose weights load unchanged.

    Args:
        in_channels: channels of the images, which may be of any size; the network was drawn for 32×32.
        classes: how many there are.

    Shapes: (batch, in_channels, height, width) → logits (batch, classes).

    Raises:
        ArgumentError: an argument outside its rule.

    >>> SmallResNet()(tw.zeros(2, 3, 32, 32)).shape
    Size([2, 10])
    """

    def __init__(self, in_channels: int = 3, classes: int = 10) -> None:
        super().__init__()
        in_channels = channels_of(in_channels, "in_channels", "resnet20")
        classes = channels_of(classes, "classes", "resnet20")
        self.conv1 = Conv2d(in_channels, _WIDTHS[0], 3, 1, 1, bias=False, init="he")
        self.bn1 = BatchNorm2d(_WIDTHS[0])
        self.relu = ReLU()
        channels = _WIDTHS[0]
        for number, width in enumerate(_WIDTHS, 1):
            stage = Sequential()
            for _ in range(_BLOCKS):
                stage.append(PaddedBlock(channels, width, stride=1 if channels == width else 2))
                channels = width
            self.add_module(f"layer{number}", stage)
        self.linear = Linear(channels, classes, init="he")
        self._configure("resnet20", {"in_channels": in_channels, "classes": classes})

    def forward(self, input: Any) -> Any:
        """Images → logits."""
        y = normalised(self.bn1, self.relu, self.conv1(input))
        return self.linear(self.layer3(self.layer2(self.layer1(y))).mean((2, 3)))


def resnet20(in_channels: int = 3, classes: int = 10) -> SmallResNet:
    """Build a :class:`SmallResNet`, whose arguments these are: 269,722 parameters by default."""
    return SmallResNet(in_channels, classes)
