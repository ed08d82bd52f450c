"""The small digit network: one convolution, one dense layer."""

from __future__ import annotations

from tilewright.nn.activation import Tanh
from tilewright.nn.arguments import as_number
from tilewright.nn.containers import Sequential
from tilewright.nn.conv import Conv2d
from tilewright.nn.dropout import Dropout
from tilewright.nn.linear import Linear
from tilewright.nn.models.build import Configured, ImageSize, channels_of, image_size_of, plain
from tilewright.nn.shape import Flatten

# 32 kernels of 5×5: on MNIST, 800 weights that make 25,088 features.
_FEATURES = 32
_KERNEL = 5


class DigitNet(Configured, Sequential):
    """A convolution to 32 channels, 5×5 with same padding; tanh; dropout; a dense layer to the classes.

    Both layers start by Glorot's uniform rule, with zero biases. The output is logits (batch, classes).

    Args:
        in_channels: channels of the images.
        image_size: one integer for square images, or (height, width).
        classes: how many there are.
        keep: probability of a feature to be kept in training (dropout's p is 1 − keep).

    Raises:
        ArgumentError: an argument outside its rule.

    >>> DigitNet()(tw.zeros(60, 1, 28, 28)).shape
    Size([60, 10])
    """

    def __init__(
        self, in_channels: int = 1, image_size: ImageSize = 28, classes: int = 10, keep: float = 0.8
    ) -> None:
        super().__init__()
        in_channels = channels_of(in_channels, "in_channels", "digitnet")
        classes = channels_of(classes, "classes", "digitnet")
        height, width = image_size_of(image_size, "digitnet", least=1)
        keep = as_number(keep, "keep", "digitnet", most=1)
        self.conv = Conv2d(in_channels, _FEATURES, _KERNEL, padding="same", init="glorot")
        self.tanh = Tanh()
        # Rounded, since 1 − 0.8 is a hair under 0.2, which prints badly.
        self.dropout = Dropout(round(1 - keep, 12))
        self.flatten = Flatten()
        self.dense = Linear(_FEATURES * height * width, classes, init="glorot")
        self._configure(
            "digitnet",
            {
                "in_channels": in_channels,
                "image_size": plain((height, width)),
                "classes": classes,
                "keep": keep,
            },
        )


def digitnet(
    in_channels: int = 1, image_size: ImageSize = 28, classes: int = 10, keep: float = 0.8
) -> DigitNet:
    """Build a :class:`DigitNet`, whose arguments these are."""
    return DigitNet(in_channels, image_size, classes, keep)
