"""U-Net: a class for every pixel."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from tilewright.autograd.joining import cat
from tilewright.errors import ShapeError, describe
from tilewright.geometry.axes import as_flag
from tilewright.nn.activation import ReLU
from tilewright.nn.containers import ModuleList, Sequential
from tilewright.nn.conv import Conv2d, ConvTranspose2d
from tilewright.nn.models.build import Configured, at_most, channels_of, check_batch
from tilewright.nn.module import Module
from tilewright.nn.norm import BatchNorm2d
from tilewright.nn.pooling import MaxPool2d

# Eight halvings make one pixel of 256×256, and 256 times the base channels: no sensible network goes on.
_MOST_LEVELS = 8


def _two_convolutions(in_channels: int, out_channels: int, norm: bool) -> Sequential:
    layers = Sequential()
    for channels in (in_channels, out_channels):
        # A batch norm behind a convolution has a bias of its own.
        layers.append(Conv2d(channels, out_channels, 3, padding=1, bias=not norm, init="he"))
        if norm:
            layers.append(BatchNorm2d(out_channels))
        layers.append(ReLU())
    return layers


class UNet(Configured, Module):
    """U-Net with padded convolutions: down by pools, up by transposed convolutions, joined level by level.

    Source: Ronneberger, Fischer and Brox, "U-Net: Convolutional networks for biomedical image segmentation",
    MICCAI 2015. The paper's convolutions are not padded, so that its output is smaller than its input; here
    they are, as is usual now, which leaves the weights as they were. Counted by hand for one channel, two
    classes and 64 channels at the top, with (9·in + 1)·out values in a convolution and (4·in + 1)·out in a
    step up:

    ========= ======================================================================== ==========
    down      1→64→64, 64→128→128, 128→256→256, 256→512→512, 512→1024→1024             18,842,048
    up        1024→512 and 1024→512→512; 512→256 and 512→256→256; …; 128→64→64         12,188,480
    classes   64→2, 1×1                                                                130
    together                                                                           31,030,658
    ========= ======================================================================== ==========

    Args:
        in_channels: channels of the images.
        classes: how many there are; with 1, the logit of being inside.
        base: channels of the uppermost level; each level down has twice as many.
        levels: how often the image is halved, at most 8.
        norm: whether a batch norm follows each 3×3 convolution (the paper has none; training is steadier).

    Shapes: (batch, in_channels, height, width) → logits (batch, classes, height, width), for images of at
    least 2^levels pixels a side; sizes need not be even.

    Raises:
        ArgumentError: an argument outside its rule.

    >>> UNet(base=8, levels=2)(tw.zeros(1, 1, 21, 30)).shape
    Size([1, 2, 21, 30])
    """

    def __init__(
        self, in_channels: int = 1, classes: int = 2, base: int = 64, levels: int = 4, norm: bool = False
    ) -> None:
        super().__init__()
        norm = as_flag(norm, "norm", "unet")
        in_channels = channels_of(in_channels, "in_channels", "unet")
        classes = channels_of(classes, "classes", "unet")
        base = channels_of(base, "base", "unet")
        levels = at_most(_MOST_LEVELS, levels, "levels", "unet")
        widths = [base * 2**level for level in range(levels + 1)]
        self.down = ModuleList(
            _two_convolutions(before, width, norm)
            for before, width in zip([in_channels, *widths], widths, strict=False)
        )
        self.pool = MaxPool2d(2, 2)
        upwards = list(reversed(widths))
        steps = list(pairwise(upwards))
        self.up = ModuleList(
            ConvTranspose2d(deep, width, 2, stride=2, init="glorot") for deep, width in steps
        )
        self.join = ModuleList(_two_convolutions(deep, width, norm) for deep, width in steps)
        self.head = Conv2d(base, classes, 1)
        self._least = 2**levels
        self._configure(
            "unet",
            {
                "in_channels": in_channels,
                "classes": classes,
                "base": base,
                "levels": levels,
                "norm": norm,
            },
        )

    def forward(self, input: Any) -> Any:
        """Images → logits of each pixel.

        Raises:
            DtypeError, ShapeError: no batch of images, or too small ones.
        """
        check_batch(input, "batch, channels, height, width", "unet")
        if min(input.shape[2:]) < self._least:
            raise ShapeError(
                f"unet needs an image of at least {self._least}×{self._least}.", describe(input=input)
            )
        passed = []
        y = self.down[0](input)
        for layers in self.down[1:]:
            passed.append(y)
            y = layers(self.pool(y))
        for up, join in zip(self.up, self.join, strict=True):
            beside = passed.pop()
            # The size to reach says whether the halved one was odd.
            y = join(cat([beside, up(y, output_size=tuple(beside.shape[2:]))], 1))
        return self.head(y)


def unet(in_channels: int = 1, classes: int = 2, base: int = 64, levels: int = 4, norm: bool = False) -> UNet:
    """Build a :class:`UNet`, whose arguments these are: 31,030,658 parameters by default."""
    return UNet(in_channels, classes, base, levels, norm)
