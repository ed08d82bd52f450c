"""A folder of images by class: one folder per class, as ``photos/cat/1.jpg``."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tilewright.data.arrays import ArrayDataset, Dataset, Standardise, Subset, sample_number
from tilewright.data.checks import as_list, as_path, is_one_of
from tilewright.data.images import IMAGE_SUFFIXES, read_image
from tilewright.data.order import as_seed
from tilewright.data.sources import ImageSet, mean_and_std
from tilewright.data.splits import stratified_split
from tilewright.errors import ArgumentError, FileFormatError, ShapeError, TilewrightError, describe

Array = np.ndarray[Any, Any]

# What the held-out part is called in folders that have one.
_HELD_OUT = ("test", "val", "valid", "validation")
# Bad files that a warning names; all are in ``skipped``.
_MOST_NAMED = 3


class BadFile(NamedTuple):
    """A file that was left out, and why."""

    path: str
    reason: str


class ImageFolder(Dataset[tuple[Array, int]]):
    """Labelled images in folders, read when they are asked for; torchvision's names.

    Every folder in ``root`` is a class; its images are the files with a known suffix (``IMAGE_SUFFIXES``) in
    it and in the folders below it. Classes and files come sorted by name; names that begin with a dot are
    passed over. A sample is (image, label): float32 (channels, height, width) in 0..1, as
    :func:`~tilewright.data.read_image` gives it, and an integer.

    Args:
        root: the folder of the classes' folders.
        transform: turns an array of images (k, …) into what the network takes; called with one image as a
            batch of one. None: images come as they are.
        channels: 1 for grey, 3 for colour.
        size: (height, width) to resize to; None: as they are (a batch needs images of one size).
        bad_files: "raise" meets a damaged file with an error when it is asked for; "skip" reads every file
            once now, and leaves out those that can't be read.
        classes: the names of the classes in the order of their labels, each a folder in ``root``; None: all
            folders, sorted. (To give a second folder the labels of the first.)

    Attributes:
        classes: what each label means.
        class_to_idx: the label of each class.
        samples: (path, label) of each.
        labels: (samples,) int64; also as ``targets``.
        skipped: the files that were left out, each with the reason.

    Raises:
        ArgumentError: no such folder, no folders in it, a class without images, or an argument outside its
            rule.
        FileFormatError: (when a sample is asked for) the file is damaged; the message names it.
        MissingExtraError: (then, too) Pillow isn't installed.

    >>> photos = ImageFolder("photos", size=(32, 32))     # doctest: +SKIP
    >>> photos.classes, photos[0][0].shape                # doctest: +SKIP
    (('cat', 'dog'), (3, 32, 32))
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        transform: Callable[[Array], Array] | None = None,
        *,
        channels: int = 3,
        size: tuple[int, int] | None = None,
        bad_files: str = "raise",
        classes: Sequence[str] | None = None,
    ) -> None:
        if not is_one_of(bad_files, ("raise", "skip")):
            raise ArgumentError(
                "ImageFolder needs bad_files to be 'raise' or 'skip'.", describe(bad_files=bad_files)
            )
        if not is_one_of(channels, (1, 3)):
            raise ArgumentError(
                "ImageFolder needs channels to be 1 (grey) or 3 (colour).", describe(channels=channels)
            )
        self.root = root = as_path(root, "root", "ImageFolder")
        self.transform = transform
        self.channels = channels
        self.size = size
        self.classes = _find_classes(Path(root), classes)
        self.class_to_idx = {name: label for label, name in enumerate(self.classes)}
        found = [
            (path, label)
            for name, label in self.class_to_idx.items()
            for path in _images_of(Path(root) / name)
        ]
        self.skipped: list[BadFile] = []
        self.samples = found if bad_files == "raise" else self._readable(found)
        self.labels: Array = np.array([label for _, label in self.samples], dtype=np.int64)

    @property
    def targets(self) -> Array:
        """The labels, under torchvision's name."""
        return self.labels

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Array, int]:
        """Image and label of one sample; a negative number counts from the end."""
        path, label = self.samples[sample_number(index, len(self), "ImageFolder")]
        image = read_image(path, self.channels, self.size)
        return image if self.transform is None else self.transform(image[None])[0], label

    def without_transform(self) -> ImageFolder:
        """The same samples with images as they are read."""
        found = ImageFolder.__new__(ImageFolder)
        vars(found).update(vars(self), transform=None)
        return found

    def _readable(self, found: list[tuple[str, int]]) -> list[tuple[str, int]]:
        good = []
        for path, label in found:
            try:
                read_image(path, self.channels, self.size)
            except (FileFormatError, OSError) as error:
                reason = error.received or error.rule if isinstance(error, TilewrightError) else str(error)
                self.skipped.append(BadFile(path, reason))
            else:
                good.append((path, label))
        if self.skipped:
            named = "; ".join(f"{bad.path}: {bad.reason}" for bad in self.skipped[:_MOST_NAMED])
            more = "; …" if len(self.skipped) > _MOST_NAMED else ""
            warnings.warn(
                f"{len(self.skipped)} of {len(found)} image files can't be read and are left out: "
                f"{named}{more}",
                stacklevel=3,
            )
        left = {label for _, label in good}
        bare = [name for name, label in self.class_to_idx.items() if label not in left]
        if bare:
            raise ArgumentError(
                "ImageFolder needs at least one image that can be read in each class.",
                f"none in {', '.join(bare)}",
            )
        return good

    def __repr__(self) -> str:
        return f"ImageFolder({self.root!r}, classes={len(self.classes)}, samples={len(self)})"


def from_folder(
    root: str | os.PathLike[str],
    size: tuple[int, int],
    *,
    channels: int = 3,
    held_out: float = 0.2,
    seed: int = 0,
    bad_files: str = "raise",
) -> ImageSet:
    """The images of a folder as an :class:`~tilewright.data.ImageSet`, held in memory, ready for a Trainer.

    Where ``root`` holds the folders ``train`` and ``test`` (or ``val``, ``valid``, ``validation``), each with
    folders of classes, those are the two parts; otherwise ``root`` holds the folders of classes, and a share
    of each class is held out.

    Args:
        root: the folder.
        size: (height, width) that all images are resized to.
        channels: 1 for grey, 3 for colour.
        held_out: the share to hold out, above 0 and below 1.
        seed: which samples these are; 0 to 2**63 - 1.
        bad_files: "raise" or "skip", as in :class:`ImageFolder`.

    Raises:
        ArgumentError, FileFormatError, MissingExtraError: as :class:`ImageFolder`; or a part is empty, or all
            images are of one grey.

    >>> from_folder("photos", (32, 32), channels=1)     # doctest: +SKIP
    ImageSet('photos', train=800, test=200, classes=2, image_shape=(1, 32, 32), mean=0.4713, std=0.2522)
    """
    if isinstance(held_out, bool) or not isinstance(held_out, (int, float)) or not 0 < held_out < 1:
        raise ArgumentError(
            "from_folder needs held_out to be a number above 0 and below 1.", describe(held_out=held_out)
        )
    if size is None:
        raise ArgumentError("from_folder needs the size that all images are resized to.", describe(size=size))
    seed = as_seed(seed, "seed", "from_folder")
    top = Path(as_path(root, "root", "from_folder"))
    beside = next((top / name for name in _HELD_OUT if (top / name).is_dir()), None)
    if (top / "train").is_dir() and beside is not None:
        train = ImageFolder(top / "train", channels=channels, size=size, bad_files=bad_files)
        test = ImageFolder(beside, channels=channels, size=size, bad_files=bad_files, classes=train.classes)
        parts: list[Any] = [train, test]
    else:
        train = ImageFolder(top, channels=channels, size=size, bad_files=bad_files)
        parts = stratified_split(train, [1 - held_out, held_out], seed)
    if not all(map(len, parts)):
        raise ArgumentError(
            "from_folder needs enough images to hold some out.",
            f"{len(parts[0])} to learn from and {len(parts[1])} held out",
        )
    (images, labels), (test_images, test_labels) = (_in_memory(part) for part in parts)
    mean, std = mean_and_std(images, 255)
    if std == 0:
        raise ArgumentError(
            "from_folder needs images that aren't all one grey.", f"level {images.flat[0]} in every pixel"
        )
    transform = Standardise(mean, std)
    return ImageSet(
        top.resolve().name,
        ArrayDataset(images, labels, transform),
        ArrayDataset(test_images, test_labels, transform),
        train.classes,
        mean,
        std,
        (images.shape[1], images.shape[2], images.shape[3]),
    )


def _in_memory(part: ImageFolder | Subset[tuple[Array, int]]) -> tuple[Array, Array]:
    """All images, uint8 (samples, channels, height, width), and their labels."""
    images: Array | None = None
    labels = np.empty(len(part), np.int64)
    for place in range(len(part)):
        image, labels[place] = part[place]
        if images is None:
            images = np.empty((len(part), *image.shape), np.uint8)
        elif image.shape != images.shape[1:]:
            raise ShapeError("from_folder needs images of one size.", describe(image=image))
        # Pixels of 8 bits come back exactly; those between two levels, after resizing, are rounded.
        np.rint(image * np.float32(255), out=images[place], casting="unsafe")
    assert images is not None
    return images, labels


def _find_classes(root: Path, wanted: Sequence[str] | None) -> tuple[str, ...]:
    if not root.is_dir():
        raise ArgumentError("ImageFolder needs a folder that exists.", f"root={str(root)!r}, which is none")
    if wanted is not None:
        names = (
            (wanted,)
            if isinstance(wanted, str)
            else tuple(as_list(wanted, "classes", "names", "ImageFolder"))
        )
        absent = [name for name in names if not isinstance(name, str) or not (root / name).is_dir()]
        if absent or isinstance(wanted, str) or len(set(names)) != len(names) or not names:
            raise ArgumentError(
                f"ImageFolder needs classes to be names of folders in {str(root)!r}, each once.",
                describe(classes=wanted),
            )
        return names
    try:
        found = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and entry.name[0] != ".")
    except OSError as error:
        raise ArgumentError(
            "ImageFolder needs a folder that may be read.", f"root={str(root)!r}: {error.strerror}"
        ) from error
    if not found:
        raise ArgumentError(
            "ImageFolder needs a folder for each class, with images in it.",
            f"root={str(root)!r}, which holds no folders",
            "For images without classes there is find_images.",
        )
    return tuple(found)


def _images_of(folder: Path) -> list[str]:
    found: list[str] = []

    def refuse(error: OSError) -> None:
        raise ArgumentError(
            "ImageFolder needs folders that may be read.", f"{error.filename!r}: {error.strerror}"
        ) from error

    # Links to folders are not followed below a class: they may lead in a circle.
    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            os.path.join(place, name)
            for name in files
            if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not name.startswith(".")
        ]
    if not found:
        raise ArgumentError(
            f"ImageFolder needs images ({', '.join(IMAGE_SUFFIXES)}) in each class.",
            f"{str(folder)!r}, which holds none",
        )
    return sorted(found)
