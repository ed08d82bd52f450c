"""What an up-sampler learns from: patches of pictures, small and twice as large."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.data import read_image
from tilewright.errors import ArgumentError, TilewrightError, describe
from tilewright.image.resizing import resize

Array = np.ndarray[Any, Any]
Report = Callable[[str], None]

# Pairs of patches that are kept: of 32 × 32 and 64 × 64 bytes they take 100 MiB.
_MOST_PAIRS = 20_000
# Patches drawn of a picture, in pictures: where pictures are few, shifted patches are news as well.
_TIMES_OVER = 8
# Side of the middle of a held-out picture that is judged: more would take longer than the learning.
_JUDGED = 512


@dataclass(frozen=True, eq=False)
class Pairs:
    """Patches, as bytes: small (n, p, p) and large (n, 2p, 2p)."""

    small: Array
    large: Array

    def batch(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Some of them at random, turned and mirrored at random: float32 (count, 1, …), white 1."""
        chosen = rng.integers(len(self.small), size=count)
        turns = rng.integers(8, size=count)
        small = np.stack([_turned(self.small[i], t) for i, t in zip(chosen, turns, strict=True)])
        large = np.stack([_turned(self.large[i], t) for i, t in zip(chosen, turns, strict=True)])
        return _unit(small)[:, None], _unit(large)[:, None]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A picture to judge by, as bytes: small (channels, h, w) and large (channels, 2h, 2w)."""

    name: str
    small: Array
    large: Array


def split(pictures: Sequence[Path], share: float, seed: int) -> tuple[list[Path], list[Path]]:
    """The pictures to learn from, and the share of them (one at least) that is held out.

    Raises:
        ArgumentError: fewer than two pictures.
    """
    if len(pictures) < 2:
        raise ArgumentError(
            "An up-sampler needs two pictures or more, one of them to be judged by.",
            f"{len(pictures)} picture{'' if len(pictures) == 1 else 's'}",
            "Name pictures to be judged by with --validate.",
        )
    order = np.random.default_rng(seed).permutation(len(pictures))
    count = min(max(1, round(share * len(pictures))), len(pictures) - 1)
    held = set(order[:count].tolist())
    return (
        [path for i, path in enumerate(pictures) if i not in held],
        [path for i, path in enumerate(pictures) if i in held],
    )


def read_pairs(pictures: Sequence[Path], patch: int, seed: int, skipped: Report) -> Pairs:
    """Patches of all pictures; those that can't be read or are too small are reported and left out.

    Raises:
        ArgumentError: no picture is left.
    """
    rng = np.random.default_rng(seed)
    small: list[Array] = []
    large: list[Array] = []
    most = max(_MOST_PAIRS // len(pictures), 1)
    for path in pictures:
        try:
            picture = _read(path)
        except (TilewrightError, OSError) as error:
            skipped(str(error))
            continue
        half = _halved(picture)
        height, width = half.shape[1:]
        if min(height, width) < patch:
            skipped(f"{path}: {2 * width} × {2 * height} pixels are too few for patches of {2 * patch}.")
            continue
        area = len(picture) * height * width / patch**2
        for _ in range(min(most, max(int(_TIMES_OVER * area), 1))):
            channel = rng.integers(len(picture))
            top, left = rng.integers(height - patch + 1), rng.integers(width - patch + 1)
            rows, columns = slice(top, top + patch), slice(left, left + patch)
            small.append(half[channel, rows, columns].copy())
            rows, columns = slice(2 * top, 2 * (top + patch)), slice(2 * left, 2 * (left + patch))
            large.append(picture[channel, rows, columns].copy())
    if not small:
        raise ArgumentError(
            f"An up-sampler needs pictures of at least {2 * patch} × {2 * patch} pixels to learn from.",
            describe(pictures=len(pictures)),
            "Try smaller patches: --patch.",
        )
    return Pairs(np.stack(small), np.stack(large))


def read_held_out(pictures: Sequence[Path], skipped: Report) -> list[HeldOut]:
    """The middles of pictures, to be judged by.

    Raises:
        ArgumentError: none of them can be read.
    """
    found = []
    for path in pictures:
        try:
            picture = _read(path)
        except (TilewrightError, OSError) as error:
            skipped(str(error))
            continue
        height, width = picture.shape[1:]
        top, left = max(height - _JUDGED, 0) // 2, max(width - _JUDGED, 0) // 2
        middle = np.ascontiguousarray(picture[:, top : top + _JUDGED, left : left + _JUDGED])
        found.append(HeldOut(path.name, _halved(middle), middle))
    if not found:
        raise ArgumentError(
            "An up-sampler needs a picture to be judged by.", f"{len(pictures)} that can't be read"
        )
    return found


def psnr(found: Array, wanted: Array) -> float:
    """Peak signal-to-noise ratio of bytes, in decibels: 10·log₁₀(255² / mean squared error); at most 99."""
    error = float(np.mean(np.square(found.astype(np.float64) - wanted)))
    return min(10 * float(np.log10(255**2 / error)), 99.0) if error else 99.0


def _read(path: Path) -> Array:
    """(1 or 3, height, width) bytes, both sides even; a grey picture has one channel.

    Raises:
        ArgumentError: of fewer than 2 × 2 pixels.
    """
    pixels: Array = np.rint(read_image(path, channels=3) * 255).astype(np.uint8)
    height, width = (length // 2 * 2 for length in pixels.shape[1:])
    if min(height, width) < 2:
        raise ArgumentError(f"{path}: a picture needs at least 2 × 2 pixels.", describe(pixels=pixels))
    pixels = pixels[:, :height, :width]
    is_grey = bool((pixels[0] == pixels[1]).all() and (pixels[0] == pixels[2]).all())
    return pixels[:1] if is_grey else pixels


def _halved(picture: Array) -> Array:
    shape = (picture.shape[1] // 2, picture.shape[2] // 2)
    return resize(picture, shape, "cubic", channel_axis=0)


def _turned(patch: Array, turn: int) -> Array:
    """One of the eight ways in which a square lies on itself."""
    found: Array = np.rot90(patch.T if turn & 4 else patch, turn & 3)
    return found


def _unit(patches: Array) -> Array:
    found: Array = patches.astype(np.float32) / np.float32(255)
    return found
