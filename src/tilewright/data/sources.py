"""Data sets by name: scikit-learn's digits, MNIST and Fashion-MNIST, ready for training."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.data.arrays import ArrayDataset, Dataset, Standardise
from tilewright.data.augment import Augmentation, Augmented
from tilewright.data.checks import as_path, is_one_of
from tilewright.data.idx import read_idx
from tilewright.data.order import as_seed, permutation
from tilewright.data.published import FASHION_MNIST, MNIST, Published, fetch
from tilewright.errors import ArgumentError, FileFormatError, describe, need_extra

Array = np.ndarray[Any, Any]

DATASET_NAMES = ("digits", "mnist", "fashion_mnist")

_DIGIT_NAMES = tuple("0123456789")
_FASHION_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_IDX_IMAGE_SIZE = (28, 28)
# Every fifth sample is held out, so there are five ways to hold out.
_FOLDS = 5
# scikit-learn's digits count the inked pixels of 4×4 blocks: 0 to 16.
_DIGITS_TOP = 16


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images in two parts, with what a network must know about them.

    Attributes:
        name: the name that :func:`load` takes.
        train: the images to learn from; item: float32 (1, H, W) standardised, int64 label. An
            :class:`ArrayDataset`, or after :meth:`augmented` one whose images change.
        test: the images held out, standardised with the training images' numbers.
        classes: what each label means; labels index it.
        mean: mean of the training pixels in 0..1.
        std: standard deviation of the training pixels in 0..1 (of the population: divided by n).
        image_shape: (channels, height, width) of one image.
        columns: of a table, the names of the columns that a sample is made of, in their order.
    """

    name: str
    train: Dataset[tuple[Array, Any]]
    test: ArrayDataset
    classes: tuple[str, ...]
    mean: float
    std: float
    image_shape: tuple[int, int, int]
    columns: tuple[str, ...] = ()

    def augmented(self, augment: Augmentation, seed: int = 0) -> ImageSet:
        """The same images, those to learn from changed at random before they are standardised.

        Args:
            augment: the change (see :mod:`tilewright.data.augment`).
            seed: what it follows, 0 to 2**63 - 1.

        Raises:
            DtypeError, ArgumentError: as :class:`~tilewright.data.Augmented`.

        >>> from tilewright.data.augment import RandomShift
        >>> len(digits().augmented(RandomShift(1)).train)
        1437
        """
        return replace(self, train=Augmented(self.train, augment, seed=seed))

    def __repr__(self) -> str:
        return (
            f"ImageSet({self.name!r}, train={len(self.train)}, test={len(self.test)}, "
            f"classes={len(self.classes)}, image_shape={self.image_shape}, "
            f"mean={self.mean:.4f}, std={self.std:.4f})"
        )


def load(name: str, folder: str | os.PathLike[str] | None = None) -> ImageSet:
    """One of the data sets by name: ``digits``, ``mnist`` or ``fashion_mnist``.

    Args:
        name: which one.
        folder: where the IDX files of ``mnist`` and ``fashion_mnist`` are; None downloads them once.

    Raises:
        ArgumentError: no data set has that name, or ``digits`` was given a folder.
        Others: as :func:`digits`, :func:`mnist` and :func:`fashion_mnist`.

    >>> load("digits").image_shape
    (1, 8, 8)
    """
    if not is_one_of(name, DATASET_NAMES):
        raise ArgumentError(
            f"load needs the name of a data set: {', '.join(DATASET_NAMES)}.", describe(name=name)
        )
    if name == "digits":
        if folder is not None:
            raise ArgumentError(
                "The data set 'digits' comes with scikit-learn and is read from no folder.",
                describe(folder=folder),
                "Leave the folder out, or name the data set that the folder holds: mnist or fashion_mnist.",
            )
        return digits()
    return mnist(folder) if name == "mnist" else fashion_mnist(folder)


def digits(fold: int = 0, seed: int = 0) -> ImageSet:
    """scikit-learn's 1,797 handwritten digits of 8×8 pixels, a fifth of them held out.

    Each class is put in a seeded order, the classes are laid end to end, and every fifth sample is held
    out: so each class gives a fifth of its samples to within one. Both parts keep the original order.
    The images are float32 in 0..1 (the sixteenths of the source, exactly).

    Args:
        fold: which fifth is held out, 0 to 4; the five held-out parts are disjoint and make up the whole.
        seed: what the order follows.

    Raises:
        ArgumentError: ``fold`` or ``seed`` outside its range.
        MissingExtraError: scikit-learn isn't installed.

    Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
    Repository (1998), its test set.

    >>> digits()
    ImageSet('digits', train=1437, test=360, classes=10, image_shape=(1, 8, 8), mean=0.3053, std=0.3759)
    """
    if not is_one_of(fold, tuple(range(_FOLDS))):
        raise ArgumentError(f"digits needs fold to be 0 to {_FOLDS - 1}.", describe(fold=fold))
    seed = as_seed(seed, "seed", "digits")
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise need_extra("scikit-learn", "data", "The data set 'digits'") from error
    bunch = load_digits()
    levels = bunch.images.astype(np.uint8)
    labels = bunch.target.astype(np.int64)
    held_out = _held_out(labels, fold, seed)
    mean, std = mean_and_std(levels[~held_out], _DIGITS_TOP)
    images = np.divide(levels, np.float32(_DIGITS_TOP), dtype=np.float32)[:, None]
    transform = Standardise(mean, std)
    return ImageSet(
        "digits",
        ArrayDataset(images[~held_out], labels[~held_out], transform),
        ArrayDataset(images[held_out], labels[held_out], transform),
        _DIGIT_NAMES,
        mean,
        std,
        (1, 8, 8),
    )


def mnist(folder: str | os.PathLike[str] | None = None) -> ImageSet:
    """MNIST: 60,000 + 10,000 handwritten digits of 28×28 pixels, light on dark.

    Args:
        folder: holds the four IDX files, compressed or not. None: they are downloaded once, checked
            against published checksums and kept under ``$TILEWRIGHT_CACHE`` or the user's cache folder.

    Raises:
        ArgumentError: the folder, or one of the four files in it, doesn't exist.
        FileFormatError: a file is damaged, or isn't 28×28 images or labels below 10 in equal numbers.
        DownloadError: no mirror gave a file with the right checksum.
        MissingExtraError: a download is needed and pooch isn't installed.

    Source: Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten digits".

    >>> mnist("data/mnist").image_shape     # doctest: +SKIP
    (1, 28, 28)
    """
    return _from_idx(MNIST, _DIGIT_NAMES, folder)


def fashion_mnist(folder: str | os.PathLike[str] | None = None) -> ImageSet:
    """Fashion-MNIST: 60,000 + 10,000 pictures of clothing, 28×28 pixels, light on dark.

    Arguments and errors are those of :func:`mnist`.

    Source: H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking
    machine learning algorithms" (2017).

    >>> fashion_mnist("data/fashion_mnist").classes[1]     # doctest: +SKIP
    'Trouser'
    """
    return _from_idx(FASHION_MNIST, _FASHION_NAMES, folder)


def _from_idx(source: Published, classes: tuple[str, ...], folder: str | os.PathLike[str] | None) -> ImageSet:
    if folder is None:
        paths = fetch(source)
    else:
        paths = _find_four(source, Path(as_path(folder, "folder", source.name)))
    train_images, train_labels = _read_pair(paths[0], paths[1], len(classes))
    test_images, test_labels = _read_pair(paths[2], paths[3], len(classes))
    mean, std = mean_and_std(train_images, 255)
    if std == 0:
        raise FileFormatError(
            f"{os.fspath(paths[0])!r} needs to hold images that aren't all one grey.",
            f"{train_images.flat[0]} in every pixel",
        )
    transform = Standardise(mean, std)
    return ImageSet(
        source.name,
        ArrayDataset(train_images[:, None], train_labels, transform),
        ArrayDataset(test_images[:, None], test_labels, transform),
        classes,
        mean,
        std,
        (1, *_IDX_IMAGE_SIZE),
    )


def _find_four(source: Published, folder: Path) -> list[Path]:
    names = [file.plain_name for file in source.files]
    expected = f"{', '.join(names[:-1])} and {names[-1]}, each with or without .gz"
    if not folder.is_dir():
        raise ArgumentError(
            f"{source.name} needs a folder that holds {expected}.",
            f"folder={str(folder)!r}, which isn't a folder",
        )
    found: list[Path] = []
    missing: list[str] = []
    for name in names:
        present = [path for path in (folder / f"{name}.gz", folder / name) if path.exists()]
        found += present[:1]
        missing += [] if present else [name]
    if missing:
        raise ArgumentError(
            f"{source.name} needs a folder that holds {expected}.",
            f"folder={str(folder)!r}, which lacks {', '.join(missing)}",
        )
    return found


def _read_pair(images_path: Path, labels_path: Path, classes: int) -> tuple[Array, Array]:
    images, labels = read_idx(images_path), read_idx(labels_path)
    images_name, labels_name = repr(os.fspath(images_path)), repr(os.fspath(labels_path))
    if images.dtype != np.uint8 or images.shape[1:] != _IDX_IMAGE_SIZE or len(images) == 0:
        raise FileFormatError(
            f"{images_name} needs to hold uint8 images of shape (samples, 28, 28).", describe(images=images)
        )
    if labels.dtype != np.uint8 or labels.ndim != 1:
        raise FileFormatError(
            f"{labels_name} needs to hold uint8 labels of shape (samples,).", describe(labels=labels)
        )
    if len(images) != len(labels):
        raise FileFormatError(
            f"{images_name} and {labels_name} need to hold equally many samples.",
            f"{len(images)} images and {len(labels)} labels",
        )
    if labels.max() >= classes:
        place = int(labels.argmax())
        raise FileFormatError(
            f"{labels_name} needs labels below {classes}.",
            f"{labels[place]} as label {place}, counted from 0",
        )
    return images, labels.astype(np.int64)


def _held_out(labels: Array, fold: int, seed: int) -> Array:
    """A mask of every fifth sample of an order that lays the shuffled classes end to end."""
    by_class = []
    for label in range(int(labels.max()) + 1):
        members = np.flatnonzero(labels == label)
        by_class.append(members[permutation(len(members), seed, stream=label)])
    mask = np.zeros(len(labels), dtype=bool)
    mask[np.concatenate(by_class)[fold::_FOLDS]] = True
    return mask


def mean_and_std(levels: Array, top: int) -> tuple[float, float]:
    """Mean and population deviation of grey levels / ``top``, from exact integer sums.

    The same numbers on every machine, which a float sum over 47 million pixels doesn't promise.
    """
    counts = np.zeros(256, dtype=np.int64)
    # A thousand images at a time: bincount makes an 8-byte copy of what it counts.
    for start in range(0, len(levels), 1000):
        counts += np.bincount(levels[start : start + 1000].ravel(), minlength=256)
    total = int(counts.sum())
    first = sum(level * int(count) for level, count in enumerate(counts))
    second = sum(level * level * int(count) for level, count in enumerate(counts))
    variance = (total * second - first * first) / (total * total)
    return float(first / total / top), float(variance**0.5 / top)
