"""A learnt up-sampler: a small network that doubles pictures, and files that hold one.

    model, facts = load_upsampler("photos.safetensors")
    large = enlarge(model, small, channel_axis=2)

Training one is the business of :mod:`tilewright.train.upsampler_training`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tilewright import functional as F
from tilewright.autograd.create import as_tensor
from tilewright.autograd.tape import no_grad
from tilewright.errors import DtypeError, FileFormatError, ShapeError, TilewrightError, describe
from tilewright.image.correlating import store
from tilewright.image.gradients import checked
from tilewright.nn import Conv2d, Module, PixelShuffle, ReLU, Sequential
from tilewright.nn.init import skipped, zeros_
from tilewright.nn.models.build import at_most, channels_of
from tilewright.nn.models.edsr import ResidualBlock
from tilewright.nn.parameter import ParameterLimitError, limited
from tilewright.train import checkpoint
from tilewright.train.state import put_weights, weights_of

Array = np.ndarray[Any, Any]

KIND = "upsampler"
FORMAT = 1
SCALE = 2
_MOST_FEATURES, _MOST_BLOCKS = 512, 64
# Pixels of a tile of the small picture that goes through the network at once: 64 features of them in float32
# take 16 MiB, and there are a few such arrays at a time.
_TILE = 256


class Upsampler(Module):
    """Cubic interpolation, and what it misses: residual blocks at the small size, then a pixel shuffle.

    The network answers with the difference to the cubic picture, and before it has learnt anything that is 0.
    It sees one channel at a time, so that one network serves grey and coloured pictures. Its parts are those
    of Lim, Son, Kim, Nah and Lee, "Enhanced deep residual networks for single image super-resolution" (2017),
    the shuffle that of Shi and others, "Real-time single image and video super-resolution using an efficient
    sub-pixel convolutional neural network" (2016).

    Args:
        features: channels inside, at most 512.
        blocks: residual blocks of two 3×3 convolutions each, at most 64.

    Shapes: (batch, 1, height, width), black 0 and white 1 → (batch, 1, 2·height, 2·width).

    Raises:
        ArgumentError: an argument outside its rule.

    >>> import numpy as np
    >>> x = np.linspace(0, 1, 12, dtype=np.float32).reshape(1, 1, 3, 4)
    >>> y = Upsampler(8, 1)(as_tensor(x)).detach().numpy()
    >>> bool((y == F.interpolate(x, scale_factor=2, mode="bicubic")).all())
    True
    """

    def __init__(self, features: int = 32, blocks: int = 3) -> None:
        super().__init__()
        self.features = at_most(_MOST_FEATURES, channels_of(features, "features", KIND), "features", KIND)
        self.blocks = at_most(_MOST_BLOCKS, blocks, "blocks", KIND)
        self.head = Sequential(Conv2d(1, self.features, 3, padding=1), ReLU())
        self.body = Sequential(*(ResidualBlock(self.features, 1.0) for _ in range(self.blocks)))
        last = Conv2d(self.features, SCALE * SCALE, 3, padding=1)
        assert last.bias is not None
        zeros_(last.weight)
        zeros_(last.bias)
        self.tail = Sequential(last, PixelShuffle(SCALE))

    @property
    def reach(self) -> int:
        """How many pixels of the small picture around a pixel have a say in it."""
        return 2 * self.blocks + 2

    def forward(self, input: Any) -> Any:
        """Small pictures → large ones."""
        cubic = F.interpolate(input, scale_factor=SCALE, mode="bicubic")
        # Grey becomes 0, which is also what the convolutions see beyond the edges.
        return cubic + self.tail(self.body(self.head(input - 0.5)))


def enlarge(model: Module, image: Any, *, channel_axis: int | None = None) -> Array:
    """A picture of twice the height and width.

    Args:
        model: an :class:`Upsampler`.
        image: (height, width), or with channels; of uint8, uint16 or floats whose white is 1.
        channel_axis: the axis of the channels; None: there is none.

    Returns:
        An array of the image's dtype; integers are rounded, and clipped to their range. It is computed in
        float32, tile by tile.

    Raises:
        ShapeError: an image of another rank, or without pixels.
        DtypeError: of another dtype.
        ArgumentError: not an axis of the image.
    """
    op = "enlarge"
    image, rank, channel = checked(image, channel_axis, op)
    if rank != 2 or 0 in image.shape:
        raise ShapeError(
            f"{op} needs a picture (height, width), with channels or without.", describe(image=image)
        )
    if image.dtype not in (np.uint8, np.uint16) and image.dtype.kind != "f":
        raise DtypeError(f"{op} needs a picture of uint8, uint16 or floats.", describe(image=image))
    white = np.float32(np.iinfo(image.dtype).max if image.dtype.kind == "u" else 1)
    planes = image[None] if channel is None else np.moveaxis(image, channel, 0)
    height, width = planes.shape[1:]
    out = np.empty((len(planes), SCALE * height, SCALE * width), image.dtype)
    # Beyond the network's own reach cubic interpolation has one of two pixels.
    halo = max(int(getattr(model, "reach", 0)), 2)
    for plane, large in zip(planes, out, strict=True):
        for top in range(0, height, _TILE):
            for left in range(0, width, _TILE):
                store(_tile(model, plane, top, left, halo, white), large[_twice(top, left, height, width)])
    return out[0] if channel is None else np.ascontiguousarray(np.moveaxis(out, 0, channel))


def _twice(top: int, left: int, height: int, width: int) -> tuple[slice, slice]:
    rows = slice(SCALE * top, SCALE * min(top + _TILE, height))
    return rows, slice(SCALE * left, SCALE * min(left + _TILE, width))


def _tile(model: Module, plane: Array, top: int, left: int, halo: int, white: Any) -> Array:
    """One tile of the large picture, from a tile of the small one with all pixels that have a say in it."""
    height, width = plane.shape
    above, before = min(top, halo), min(left, halo)
    part = plane[top - above : top + _TILE + halo, left - before : left + _TILE + halo]
    with no_grad():
        large = model(as_tensor((part.astype(np.float32) / white)[None, None])).numpy()[0, 0]
    rows, columns = min(_TILE, height - top), min(_TILE, width - left)
    inner = large[SCALE * above : SCALE * (above + rows), SCALE * before : SCALE * (before + columns)]
    found: Array = inner * white
    return found


def save_upsampler(path: str | os.PathLike[str], model: Upsampler, facts: Mapping[str, Any]) -> None:
    """Write an up-sampler to a safetensors file, whole or not at all.

    Args:
        path: the file; its folder must exist.
        model: the network.
        facts: what it learnt from and how well it does, as JSON has it.

    Raises:
        DtypeError: facts that JSON can't hold.
        OSError: the system refuses.
    """
    state = {
        "kind": KIND,
        "format": FORMAT,
        "network": {"features": model.features, "blocks": model.blocks},
        "facts": dict(facts),
    }
    checkpoint.save(path, weights_of(model), state)


def load_upsampler(path: str | os.PathLike[str]) -> tuple[Upsampler, dict[str, Any]]:
    """The network of a file that ``tilewright train upsampler`` wrote, and what is known of it.

    Raises:
        ArgumentError: there is no such file.
        FileFormatError: it is damaged, holds something else, or its weights aren't those of the network that
            it names.

    >>> model, facts = load_upsampler("upsampler.safetensors")  # doctest: +SKIP
    """
    file = Path(path)
    found = checkpoint.load(file)
    state = found.state
    if state.get("kind") != KIND or state.get("format") != FORMAT:
        raise FileFormatError(
            f"Checkpoint {str(file)!r} needs to be an up-sampler, of format {FORMAT}.",
            describe(kind=state.get("kind"), format=state.get("format")),
            "'tilewright train upsampler FOLDER' makes one.",
        )
    network, facts = state.get("network"), state.get("facts")
    if not isinstance(network, dict) or not isinstance(facts, dict) or set(network) != {"features", "blocks"}:
        raise FileFormatError(
            f"Checkpoint {str(file)!r} needs to say what its network is, and the facts about it.",
            describe(network=network, facts=facts),
        )
    held = sum(array.size for array in found.tensors.values())
    try:
        with limited(2 * held + 2**16), skipped():
            model = Upsampler(**network)
    except (ParameterLimitError, TilewrightError, TypeError) as error:
        raise FileFormatError(
            f"Checkpoint {str(file)!r} names a network that can't be made of its weights.",
            f"{describe(network=network)} beside {held} weights",
        ) from error
    put_weights(model, found.tensors, file)
    return model.eval(), facts
