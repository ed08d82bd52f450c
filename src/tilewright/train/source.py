"""What a run learns from, named as the command names it: a data set, a folder, an archive or a table."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.data import (
    ArrayDataset,
    CsvDataset,
    ImageSet,
    Standardise,
    from_folder,
    load,
    read_npz,
    stratified_split,
)
from tilewright.data.order import permutation
from tilewright.data.sources import mean_and_std
from tilewright.data.table import read_columns
from tilewright.errors import ArgumentError, DtypeError, FileFormatError, ShapeError, describe

Array = np.ndarray[Any, Any]

# Names that arrays of an archive go by: of samples and of what is to be said of them, to learn from and held
# out.
_TWO_PARTS = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("train_images", "train_masks", "test_images", "test_masks"),
)
_ONE_PART = tuple(
    (x, y) for x in ("images", "x", "data") for y in ("labels", "masks", "targets", "y", "target")
)
# What samples without labels are called.
_SAMPLES = ("images", "x", "data", "x_test", "test_images")
# Names that the last column of a table goes by, wherever it stands.
_COLUMNS = ("label", "target", "class", "y")


def load_source(
    dataset: str | None,
    path: str | os.PathLike[str] | None,
    *,
    task: str | None = None,
    input_shape: tuple[int, ...] | None = None,
    target: str | None = None,
    held_out: float = 0.2,
    seed: int = 0,
) -> ImageSet:
    """The samples of a run.

    Args:
        dataset: a name of :data:`~tilewright.data.DATASET_NAMES`; None: what ``path`` holds.
        path: the folder of a named data set; or a folder of images by class, an ``.npz`` archive, or a
            ``.csv`` table.
        task: what the samples are for; of a table with ``regress``, targets are numbers.
        input_shape: of one sample: what images of a folder are resized to, and rows of a table become.
        target: of a table, the column to be said; None: the one called label, target, class or y, or the
            last.
        held_out: share of the samples to validate on, where they don't come in two parts.
        seed: which samples these are.

    Raises:
        ArgumentError: no such data set, file or column; or an argument that doesn't suit it.
        FileFormatError: a file is damaged, or isn't what its name says.
        MissingExtraError: a package that reads it isn't installed.
    """
    if dataset is not None:
        return load(dataset, path)
    if path is None:
        raise ArgumentError(
            "Training needs the name of a data set, or a path to one's own data.", describe(path=path)
        )
    if isinstance(held_out, bool) or not isinstance(held_out, (int, float)) or not 0 < held_out < 1:
        raise ArgumentError(
            "Training needs held_out to be a number above 0 and below 1.", describe(held_out=held_out)
        )
    place = Path(path)
    if place.is_dir():
        return _of_folder(place, input_shape, held_out, seed)
    if place.suffix.lower() == ".npz":
        return _of_archive(place, input_shape, held_out, seed)
    if place.suffix.lower() == ".csv":
        return _of_table(place, task, input_shape, target, held_out, seed)
    raise ArgumentError(
        "Data of one's own is a folder of images by class, an .npz archive or a .csv table.",
        f"path={str(place)!r}" + ("" if place.exists() else ", where nothing is"),
    )


def _of_folder(place: Path, shape: tuple[int, ...] | None, held_out: float, seed: int) -> ImageSet:
    if shape is None or len(shape) != 3 or shape[0] not in (1, 3):
        raise ArgumentError(
            "A folder of images needs the shape that they are brought to: (1 or 3, height, width).",
            describe(input=shape),
            "Name it, as in --input 3,32,32.",
        )
    return from_folder(place, (shape[1], shape[2]), channels=shape[0], held_out=held_out, seed=seed)


def _of_archive(place: Path, shape: tuple[int, ...] | None, held_out: float, seed: int) -> ImageSet:
    arrays = read_npz(place)
    name = repr(str(place))
    for names in _TWO_PARTS:
        if all(key in arrays for key in names):
            samples, labels, others, truths = (arrays[key] for key in names)
            break
    else:
        found = next((pair for pair in _ONE_PART if all(key in arrays for key in pair)), None)
        if found is None:
            raise FileFormatError(
                f"Archive {name} needs arrays called x_train, y_train, x_test and y_test, or images and "
                "labels (masks, targets).",
                f"arrays called {', '.join(sorted(arrays)) or 'nothing'}",
            )
        whole, every = arrays[found[0]], arrays[found[1]]
        first, second = _split(whole, every, held_out, seed, name)
        samples, labels, others, truths = whole[first], every[first], whole[second], every[second]
    parts = [_as_channels(part, shape, name) for part in (samples, others)]
    if parts[0].shape[1:] != parts[1].shape[1:]:
        raise FileFormatError(
            f"Archive {name} needs samples of one shape in both parts.",
            f"shapes {parts[0].shape[1:]} and {parts[1].shape[1:]}",
        )
    return _image_set(place.stem, parts, [labels, truths], (), name)


def _of_table(
    place: Path,
    task: str | None,
    shape: tuple[int, ...] | None,
    target: str | None,
    held_out: float,
    seed: int,
) -> ImageSet:
    if target is None:
        target = _target_of(_columns(place))
    kind = "number" if task == "regress" else "class"
    table = CsvDataset(place, target, target=kind)
    features = table.images.shape[1]
    if shape is None:
        side = math.isqrt(features)
        if side * side != features:
            raise ArgumentError(
                "A table needs the shape that a row's features become, unless they make a square picture.",
                f"{features} columns of features",
                "Name it, as in --input 1,28,28.",
            )
        shape = (1, side, side)
    if math.prod(shape) != features:
        raise ArgumentError(
            f"A table needs a shape of as many numbers as a row has features, {features}.",
            describe(input=shape),
        )
    rows = table.images.reshape(len(table), *shape)
    first, second = _split(rows, table.labels, held_out, seed, repr(str(place)))
    return _image_set(
        place.stem,
        [rows[first], rows[second]],
        [table.labels[first], table.labels[second]],
        table.classes,
        repr(str(place)),
    )


def _target_of(columns: list[str]) -> str:
    """The column that is to be said, where nobody says which."""
    return next((name for name in _COLUMNS if name in columns), columns[-1] if columns else "label")


def read_samples(path: str | os.PathLike[str], shape: tuple[int, ...], target: str | None = None) -> Array:
    """The samples of a ``.csv`` table or an ``.npz`` archive, for a network that has learnt from others.

    Args:
        path: the file.
        shape: of one sample.
        target: of a table, the column that may stand beside the features; None: as :func:`load_source`
            chooses it.

    Returns:
        (samples, \\*shape), of floating numbers or uint8.

    Raises:
        ArgumentError: there is no such file.
        FileFormatError: it is damaged, isn't what its name says, or has no such samples.
        ShapeError, DtypeError: its samples are of another shape, or no real numbers.
    """
    place = Path(path)
    name = repr(str(place))
    if place.suffix.lower() == ".csv":
        return _features(place, name, math.prod(shape), target).reshape(-1, *shape)
    arrays = read_npz(place)
    key = next((key for key in _SAMPLES if key in arrays), None)
    if key is None:
        raise FileFormatError(
            f"Archive {name} needs an array called {', '.join(_SAMPLES[:-1])} or {_SAMPLES[-1]}.",
            f"arrays called {', '.join(sorted(arrays)) or 'nothing'}",
        )
    if arrays[key].ndim == 0:
        raise ShapeError(f"{name} needs samples of the shape {shape}.", describe(samples=arrays[key]))
    return _as_channels(arrays[key], shape, name)


def _features(place: Path, name: str, count: int, target: str | None) -> Array:
    """The columns of features (rows, count), without the target's where that is one more."""
    columns = _columns(place)
    if len(columns) == count + 1:
        beside = target if target in columns else _target_of(columns)
        columns.remove(beside)
    elif len(columns) != count and columns:
        raise FileFormatError(
            f"Table {name} needs the {count} columns of features that the network learnt from, and at most "
            "the target's beside them.",
            f"{len(columns)} columns",
        )
    # A file without a first line of names is refused there.
    return read_columns(place, columns or None)


def _columns(place: Path) -> list[str]:
    """The names in a table's first line, as far as they can be read; the table itself is judged later."""
    try:
        with open(place, encoding="utf-8-sig", errors="replace") as file:
            # A first line without an end would be the whole of a file that is no table.
            return [name.strip().strip('"') for name in file.readline(2**20).rstrip("\r\n").split(",")]
    except OSError:
        return []


def _split(samples: Array, labels: Array, held_out: float, seed: int, name: str) -> tuple[Array, Array]:
    """Numbers of the samples to learn from, and of those to validate on; classes keep their shares."""
    if samples.ndim < 2 or labels.ndim < 1 or len(samples) != len(labels):
        raise FileFormatError(
            f"{name} needs as many labels as samples.", describe(samples=samples, labels=labels)
        )
    total = len(samples)
    if labels.ndim == 1 and labels.dtype.kind in "iub":
        parts = stratified_split(range(total), [1 - held_out, held_out], seed, labels)
        found = [part.indices for part in parts]
    else:
        order = permutation(total, seed, stream=0)
        count = round(total * held_out)
        found = [np.sort(order[count:]), np.sort(order[:count])]
    if not all(map(len, found)):
        raise ArgumentError(
            "Training needs enough samples to hold some out.",
            f"{len(found[0])} to learn from and {len(found[1])} held out",
        )
    return found[0], found[1]


def _as_channels(samples: Array, shape: tuple[int, ...] | None, name: str) -> Array:
    """Samples as (samples, channels, …): grey pictures get that axis, channels at the end move forward."""
    if samples.dtype.kind not in "fiu":
        raise DtypeError(f"{name} needs samples of real numbers.", describe(samples=samples))
    if shape is not None:
        if samples.size != len(samples) * math.prod(shape):
            raise ShapeError(f"{name} needs samples of the shape {shape}.", describe(samples=samples))
        if samples.shape[1:] != shape and samples.shape[1:] == (*shape[1:], shape[0]):
            # Channels at the end move forward; taken as they lie, colours would become places.
            found = np.ascontiguousarray(np.moveaxis(samples, -1, 1))
        else:
            found = samples if samples.shape[1:] == shape else samples.reshape(len(samples), *shape)
    elif samples.ndim == 3:
        found = samples[:, None]
    elif samples.ndim == 4 and samples.shape[-1] in (1, 3) and samples.shape[1] not in (1, 3):
        found = np.ascontiguousarray(np.moveaxis(samples, -1, 1))
    else:
        found = samples
    if found.ndim < 3:
        raise ShapeError(
            f"{name} needs samples with channels and at least one more axis.",
            describe(samples=samples),
            "Name their shape, as in --input 1,28,28.",
        )
    # Only uint8 stands for levels from 0 to 255; other integers are numbers.
    return found if found.dtype == np.uint8 or found.dtype.kind == "f" else found.astype(np.float32)


def _image_set(
    title: str, samples: list[Array], labels: list[Array], classes: tuple[str, ...], name: str
) -> ImageSet:
    for images, truths in zip(samples, labels, strict=True):
        if len(images) != len(truths) or len(images) == 0:
            raise FileFormatError(
                f"{name} needs as many labels as samples in each part, at least one.",
                describe(samples=images, labels=truths),
            )
    learnt = samples[0]
    if learnt.dtype == np.uint8:
        mean, std = mean_and_std(learnt, 255)
    else:
        mean, std = float(learnt.mean(dtype=np.float64)), float(learnt.std(dtype=np.float64))
    if not (math.isfinite(mean) and math.isfinite(std) and std > 0):
        raise FileFormatError(
            f"{name} needs samples of finite numbers that aren't all one.", f"mean={mean}, std={std}"
        )
    labels = [_as_labels(part, name) for part in labels]
    if not classes and labels[0].dtype.kind == "i":
        known = max(int(part.max(initial=0)) for part in labels)
        classes = tuple(map(str, range(known + 1)))
    transform = Standardise(mean, std)
    shape: Any = tuple(map(int, learnt.shape[1:]))
    train, test = (ArrayDataset(x, y, transform) for x, y in zip(samples, labels, strict=True))
    return ImageSet(title, train, test, classes, mean, std, shape)


def _as_labels(labels: Array, name: str) -> Array:
    if labels.dtype.kind not in "fiub":
        raise DtypeError(f"{name} needs labels that are real numbers.", describe(labels=labels))
    return labels.astype(np.float32) if labels.dtype.kind == "f" else labels.astype(np.int64)


def task_for(data: ImageSet) -> str:
    """What samples are usually for: numbers are to be said, masks drawn, and everything else named."""
    labels = data.test.labels
    if labels.dtype.kind == "f":
        return "regress"
    return "segment" if labels.ndim > 2 else "classify"
