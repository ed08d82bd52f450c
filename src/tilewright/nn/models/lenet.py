"""LeNet-5, with kernels that adapt to images of other sizes than its own."""

from __future__ import annotations

from tilewright.nn.activation import Tanh
from tilewright.nn.arguments import one_of
from tilewright.nn.containers import Sequential
from tilewright.nn.conv import Conv2d
from tilewright.nn.linear import Linear
from tilewright.nn.models.build import Configured, ImageSize, channels_of, image_size_of, plain
from tilewright.nn.pooling import AvgPool2d, MaxPool2d
from tilewright.nn.shape import Flatten

_KERNEL = 5
# What the network was drawn for: images of 28×28 in a frame of 32×32, which padding by 2 makes here.
_FRAME = 32
# The least image of which 3×3 kernels in the third layer leave something to pool.
_LEAST = 8


class LeNet5(Configured, Sequential):
    """LeNet-5: convolutions 1 → 6 → 16 → 120 with pools between, dense 84 and the classes, tanh.

    Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition",
    Proc. IEEE 86, 1998. As is usual now, every map of the third layer sees all six maps before it, pools take
    the maximum and have no weights, and the output is logits. For one channel and ten classes that makes
    61,706 parameters, for images of 28×28 and of 32×32.

    Sizes adapt per axis, so that images from 8×8 on work:

    - the first convolution pads by 2 where the image is smaller than 32, so that 28 and 32 both give 28;
    - the second one has a kernel of 5, or of 3 where 5 would leave fewer than two samples to pool;
    - the third one's kernel covers what remains (5 for images of 28 and 32, 1 for 8), so its output is 1×1.

    Args:
        in_channels: channels of the images.
        image_size: one integer for square images, or (height, width); at least 8.
        classes: how many there are.
        pool: "max", or "mean" as in the paper, which learns a little more slowly.

    Raises:
        ArgumentError: an argument outside its rule.

    >>> LeNet5()(tw.zeros(64, 1, 28, 28)).shape
    Size([64, 10])
    """

    def __init__(
        self, in_channels: int = 1, image_size: ImageSize = 28, classes: int = 10, pool: str = "max"
    ) -> None:
        super().__init__()
        pool_2x2 = MaxPool2d if one_of(pool, ("max", "mean"), "pool", "lenet5") == "max" else AvgPool2d
        in_channels = channels_of(in_channels, "in_channels", "lenet5")
        classes = channels_of(classes, "classes", "lenet5")
        size = image_size_of(image_size, "lenet5", least=_LEAST)
        padding = tuple(2 if side < _FRAME else 0 for side in size)
        pooled = tuple((side + 2 * pad - _KERNEL + 1) // 2 for side, pad in zip(size, padding, strict=True))
        kernel = tuple(_KERNEL if side > _KERNEL else 3 for side in pooled)
        remaining = tuple((side - taps + 1) // 2 for side, taps in zip(pooled, kernel, strict=True))
        self.c1 = Conv2d(in_channels, 6, _KERNEL, padding=padding, init="glorot")
        self.tanh1 = Tanh()
        self.s2 = pool_2x2(2)
        self.c3 = Conv2d(6, 16, kernel, init="glorot")
        self.tanh3 = Tanh()
        self.s4 = pool_2x2(2)
        self.c5 = Conv2d(16, 120, remaining, init="glorot")
        self.tanh5 = Tanh()
        self.flatten = Flatten()
        self.f6 = Linear(120, 84, init="glorot")
        self.tanh6 = Tanh()
        self.output = Linear(84, classes, init="glorot")
        self._configure(
            "lenet5",
            {"in_channels": in_channels, "image_size": plain(size), "classes": classes, "pool": pool},
        )


def lenet5(in_channels: int = 1, image_size: ImageSize = 28, classes: int = 10, pool: str = "max") -> LeNet5:
    """Build a :class:`LeNet5`, whose arguments these are."""
    return LeNet5(in_channels, image_size, classes, pool)
