"""DCGAN: a generator of images from noise, and a discriminator that tells them from real ones."""

from __future__ import annotations

from typing import Any

from tilewright.errors import ShapeError, describe
from tilewright.nn.activation import LeakyReLU, ReLU, Sigmoid, Tanh
from tilewright.nn.containers import Sequential
from tilewright.nn.conv import Conv2d, ConvTranspose2d
from tilewright.nn.models.build import Configured, channels_of, normal_start
from tilewright.nn.module import Module
from tilewright.nn.norm import BatchNorm2d

# "All weights were initialized from a zero-centered Normal distribution with standard deviation 0.02."
_START = normal_start(0.02)
# Widths from the smallest feature maps (4×4) to the largest (32×32), in multiples of the last.
_MULTIPLES = (8, 4, 2, 1)


def _norm(channels: int) -> BatchNorm2d:
    layer = BatchNorm2d(channels)
    assert layer.weight is not None
    normal_start(0.02, mean=1.0)(layer.weight)
    return layer


class DCGANGenerator(Configured, Module):
    """Noise to images of 64×64: five transposed convolutions of 4×4, each doubling the size.

    Source: Radford, Metz and Chintala, "Unsupervised representation learning with deep convolutional
    generative adversarial networks", ICLR 2016, as PyTorch's DCGAN example writes it, whose names for the
    parts these are: 3,576,704 parameters for 100 numbers of noise, width 64 and three channels.

    Args:
        latent: numbers of noise.
        width: channels of the last feature maps; the first have eight times as many.
        out_channels: channels of the images.

    Shapes: (batch, latent, 1, 1) → (batch, out_channels, 64, 64), from −1 to 1.

    Raises:
        ArgumentError: an argument outside its rule.

    >>> DCGANGenerator(latent=16, width=4)(tw.randn(2, 16, 1, 1)).shape
    Size([2, 3, 64, 64])
    """

    def __init__(self, latent: int = 100, width: int = 64, out_channels: int = 3) -> None:
        super().__init__()
        latent = channels_of(latent, "latent", "dcgan_generator")
        width = channels_of(width, "width", "dcgan_generator")
        out_channels = channels_of(out_channels, "out_channels", "dcgan_generator")
        layers = Sequential()
        channels, stride, padding = latent, 1, 0
        for multiple in _MULTIPLES:
            wide = width * multiple
            layers.append(ConvTranspose2d(channels, wide, 4, stride, padding, bias=False, init=_START))
            layers.append(_norm(wide))
            layers.append(ReLU())
            channels, stride, padding = wide, 2, 1
        layers.append(ConvTranspose2d(channels, out_channels, 4, 2, 1, bias=False, init=_START))
        layers.append(Tanh())
        self.main = layers
        self._configure("dcgan_generator", {"latent": latent, "width": width, "out_channels": out_channels})

    def forward(self, input: Any) -> Any:
        """Noise → images."""
        return self.main(input)


class DCGANDiscriminator(Configured, Module):
    """Images of 64×64 to the probability that they are real: five convolutions of 4×4.

    The source is the generator's: 2,765,568 parameters for width 64 and three channels.

    Args:
        in_channels: channels of the images.
        width: channels of the first feature maps; the last have eight times as many.

    Shapes: (batch, in_channels, 64, 64) → (batch,).

    Raises:
        ArgumentError: an argument outside its rule.

    >>> DCGANDiscriminator(width=4)(tw.zeros(2, 3, 64, 64)).shape
    Size([2])
    """

    def __init__(self, in_channels: int = 3, width: int = 64) -> None:
        super().__init__()
        in_channels = channels_of(in_channels, "in_channels", "dcgan_discriminator")
        width = channels_of(width, "width", "dcgan_discriminator")
        layers = Sequential()
        channels = in_channels
        for multiple in reversed(_MULTIPLES):
            wide = width * multiple
            layers.append(Conv2d(channels, wide, 4, 2, 1, bias=False, init=_START))
            # "Directly applying batchnorm to all layers resulted in … instability", so the first has none.
            if channels != in_channels or multiple > 1:
                layers.append(_norm(wide))
            layers.append(LeakyReLU(0.2))
            channels = wide
        layers.append(Conv2d(channels, 1, 4, 1, 0, bias=False, init=_START))
        layers.append(Sigmoid())
        self.main = layers
        self._configure("dcgan_discriminator", {"in_channels": in_channels, "width": width})

    def forward(self, input: Any) -> Any:
        """Images → probabilities.

        Raises:
            ShapeError: the images are of another size.
        """
        found = self.main(input)
        if tuple(found.shape[-2:]) != (1, 1):
            raise ShapeError("dcgan_discriminator needs images of 64×64.", describe(input=input))
        return found.flatten()


def dcgan_generator(latent: int = 100, width: int = 64, out_channels: int = 3) -> DCGANGenerator:
    """Build a :class:`DCGANGenerator`, whose arguments these are: 3,576,704 parameters by default."""
    return DCGANGenerator(latent, width, out_channels)


def dcgan_discriminator(in_channels: int = 3, width: int = 64) -> DCGANDiscriminator:
    """Build a :class:`DCGANDiscriminator`, whose arguments these are: 2,765,568 parameters by default."""
    return DCGANDiscriminator(in_channels, width)
