"""A convolutional autoencoder: images to a few numbers and back."""

from __future__ import annotations

import math
from typing import Any

from tilewright.errors import ArgumentError, describe
from tilewright.geometry.axes import ceil_div
from tilewright.nn.activation import ReLU, Sigmoid
from tilewright.nn.arguments import one_of
from tilewright.nn.containers import Sequential
from tilewright.nn.conv import Conv2d, ConvTranspose2d
from tilewright.nn.models.build import Configured, ImageSize, channels_of, image_size_of, plain
from tilewright.nn.module import Module
from tilewright.nn.shape import Identity

_FEATURES = (16, 32)
# A code of 32 numbers keeps handwritten digits of 28×28 readable; smaller images get an eighth of their size.
_EMBEDDING = 32
_LEAST_RATIO = 8
# The least image that two halvings leave something of, with more than the edge in it.
_LEAST = 8


class Autoencoder(Configured, Module):
    """Strided convolutions down to ``embedding`` numbers, and transposed convolutions back to the image.

    Two convolutions of 3×3 and stride 2 halve the image twice (16, then 32 channels); a third covers all that
    remains. The decoder mirrors them, with output padding where a halved size was odd, so that the
    reconstruction has exactly the image's size.

    Args:
        in_channels: channels of the images.
        image_size: one integer for square images, or (height, width); at least 8.
        embedding: numbers that an image is squeezed into, fewer than it has values. If not given it is 32, or
            an eighth of the image's values where that is less: 32 for 28×28, 8 for 8×8.
        output: "sigmoid" for values from 0 to 1 (train with squared error, or binary cross-entropy), or
            "logits" for what stands before the sigmoid (train with binary cross-entropy with logits, or with
            squared error on images of any range).

    Raises:
        ArgumentError: an argument outside its rule.

    >>> model = Autoencoder(embedding=32)
    >>> code = model.encode(tw.zeros(8, 1, 28, 28))  # (8, 32)
    >>> model.decode(code).shape
    Size([8, 1, 28, 28])
    >>> model.compression_ratio
    24.5
    """

    def __init__(
        self,
        in_channels: int = 1,
        image_size: ImageSize = 28,
        embedding: int | None = None,
        output: str = "sigmoid",
    ) -> None:
        super().__init__()
        in_channels = channels_of(in_channels, "in_channels", "autoencoder")
        size = image_size_of(image_size, "autoencoder", least=_LEAST)
        values = in_channels * math.prod(size)
        if embedding is None:
            embedding = min(_EMBEDDING, values // _LEAST_RATIO)
        embedding = channels_of(embedding, "embedding", "autoencoder")
        if embedding >= values:
            raise ArgumentError(
                f"autoencoder needs an embedding smaller than the image, which has {values} values.",
                describe(embedding=embedding),
            )
        one_of(output, ("sigmoid", "logits"), "output", "autoencoder")
        half = tuple(ceil_div(side, 2) for side in size)
        quarter = tuple(ceil_div(side, 2) for side in half)
        few, many = _FEATURES
        self.encoder = Sequential(
            Conv2d(in_channels, few, 3, stride=2, padding=1, init="he"),
            ReLU(),
            Conv2d(few, many, 3, stride=2, padding=1, init="he"),
            ReLU(),
            Conv2d(many, embedding, quarter, init="glorot"),
        )
        self.decoder = Sequential(
            ConvTranspose2d(embedding, many, quarter, init="glorot"),
            ReLU(),
            ConvTranspose2d(many, few, 3, stride=2, padding=1, output_padding=_rest(half), init="glorot"),
            ReLU(),
            ConvTranspose2d(
                few, in_channels, 3, stride=2, padding=1, output_padding=_rest(size), init="glorot"
            ),
            Sigmoid() if output == "sigmoid" else Identity(),
        )
        self._configure(
            "autoencoder",
            {
                "in_channels": in_channels,
                "image_size": plain((size[0], size[1])),
                "embedding": embedding,
                "output": output,
            },
        )
        self.embedding = embedding
        self._values = values

    def encode(self, input: Any) -> Any:
        """Images (batch, channels, height, width) → codes (batch, embedding)."""
        return self.encoder(input).flatten(1)

    def decode(self, code: Any) -> Any:
        """Codes (batch, embedding) → images (batch, channels, height, width)."""
        return self.decoder(code.reshape(-1, self.embedding, 1, 1))

    def forward(self, input: Any) -> Any:
        """Images → their reconstructions, of the same shape."""
        return self.decode(self.encode(input))

    @property
    def compression_ratio(self) -> float:
        """Values of an image per number of its code."""
        return self._values / self.embedding


def _rest(size: tuple[int, ...]) -> tuple[int, ...]:
    """Output padding with which a 3-tap kernel at stride 2, padded by 1, doubles ⌈n/2⌉ back to n."""
    # It gives 2·⌈n/2⌉ − 1, which is n where n is odd.
    return tuple(1 - side % 2 for side in size)


def autoencoder(
    in_channels: int = 1, image_size: ImageSize = 28, embedding: int | None = None, output: str = "sigmoid"
) -> Autoencoder:
    """Build an :class:`Autoencoder`, whose arguments these are."""
    return Autoencoder(in_channels, image_size, embedding, output)
