"""Augmentations by name, as a command line or a configuration file gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tilewright.data.augment.base import Augmentation, Compose
from tilewright.data.augment.looks import ColorJitter, Cutout
from tilewright.data.augment.moves import (
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
    RandomShift,
    RandomVerticalFlip,
)
from tilewright.data.checks import as_list
from tilewright.errors import ArgumentError, describe

Make = Callable[[list[float]], Augmentation]


def _integers(numbers: list[float]) -> list[int]:
    if any(number != int(number) for number in numbers):
        raise ValueError("a whole number of pixels")
    return [int(number) for number in numbers]


# How many numbers a word may have after its "=", and what it means.
_WORDS: dict[str, tuple[range, Make]] = {
    "flip": (range(0, 2), lambda n: RandomHorizontalFlip(*n)),
    "flip-vertical": (range(0, 2), lambda n: RandomVerticalFlip(*n)),
    "shift": (range(1, 2), lambda n: RandomShift(*_integers(n))),
    "crop": (range(1, 3), lambda n: RandomCrop(_integers(n)[0], _integers(n[1:] or [0])[0])),
    "rotate": (range(1, 2), lambda n: RandomRotation(*n)),
    "cutout": (range(1, 2), lambda n: Cutout(*_integers(n))),
    "brightness": (range(1, 2), lambda n: ColorJitter(brightness=n[0])),
    "contrast": (range(1, 2), lambda n: ColorJitter(contrast=n[0])),
}
AUGMENTATIONS = tuple(_WORDS)


def from_words(words: Iterable[str]) -> Compose:
    """Augmentations from words such as ``shift=2``, in their order.

    ====================  ==================================================================
    ``flip``              left and right, with probability 0.5, or ``flip=0.3``
    ``flip-vertical``     top and bottom
    ``shift=2``           by up to 2 pixels
    ``crop=28,4``         a part of 28×28 pixels, after padding by 4 (0 if not given)
    ``rotate=10``         by up to 10 degrees to either side
    ``cutout=8``          a hole of 8×8 pixels
    ``brightness=0.2``    by factors from 0.8 to 1.2
    ``contrast=0.2``      by factors from 0.8 to 1.2
    ====================  ==================================================================

    Args:
        words: as above.

    Raises:
        ArgumentError: a word that isn't one of these, or whose numbers don't fit.

    >>> from_words(["shift=2", "flip"])
    Compose([RandomShift((2, 2), fill=0), RandomHorizontalFlip(p=0.5)])
    """
    return Compose([_from_word(word) for word in as_list(words, "words", "words", "from_words")])


def _from_word(word: str) -> Augmentation:
    name, _, rest = str(word).partition("=")
    if name not in _WORDS:
        raise ArgumentError(
            f"An augmentation is one of {', '.join(AUGMENTATIONS)}.",
            describe(word=word),
            "With its numbers: shift=2, crop=28,4.",
        )
    counts, make = _WORDS[name]
    try:
        numbers = [float(part) for part in rest.split(",")] if rest else []
        if len(numbers) in counts:
            return make(numbers)
    except ArgumentError:
        raise
    except (ValueError, OverflowError):
        pass
    least, most = counts[0], counts[-1]
    needed = f"{least}" if least == most else f"{least} to {most}"
    raise ArgumentError(
        f"The augmentation {name!r} needs {needed} numbers after '=', pixels as whole ones.",
        describe(word=word),
    )
