"""Using a trained network on data of one's own: classes, numbers, or a class for every pixel."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.autograd.create import as_tensor
from tilewright.autograd.tape import no_grad
from tilewright.data import ArrayDataset, Standardise, prepare_like, read_image
from tilewright.errors import ArgumentError, FileFormatError, ShapeError, describe
from tilewright.nn import Module
from tilewright.train.config import RunConfig
from tilewright.train.evaluate import batch_for, softmax
from tilewright.train.rebuild import rebuild
from tilewright.train.run import RunFolder
from tilewright.train.source import read_samples

Array = np.ndarray[Any, Any]

#: What a network must have been trained to do.
TASKS = ("classify", "regress", "segment")
# Files that hold several samples; every other one is taken for a picture.
_SEVERAL = (".csv", ".npz")


@dataclass(frozen=True, eq=False)
class Sample:
    """One sample of a file, as the network takes it.

    Attributes:
        values: float32, standardised; a picture's (channels, height, width).
        row: its number in a table or an archive, counted from 1; None: the file is one picture.
        size: (height, width) of the picture in its file; None: not a picture of a file.
    """

    values: Array
    row: int | None = None
    size: tuple[int, int] | None = None


class Predictor:
    """A trained network with all that it must know about its samples.

    Args:
        model: the network, with its weights.
        config: its run's configuration.

    >>> Predictor.open("runs/demo").of_file("seven.png")[0]  # doctest: +SKIP
    ('7', 0.9991)
    """

    def __init__(self, model: Module, config: RunConfig) -> None:
        self.model = model.eval()
        self.config = config

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Predictor:
        """From a run folder, or from a ``model.safetensors`` file.

        Raises:
            ArgumentError: there is no such file, or the network gives back its input.
            FileFormatError: the file is damaged, or isn't a model that Tilewright saved.
        """
        file = model_file(path)
        model, config = rebuild(file)
        if config.training.task not in TASKS:
            raise ArgumentError(
                "Predicting needs a network that was trained to classify, regress or segment.",
                f"{str(file)!r}, trained to {config.training.task}",
            )
        return cls(model, config)

    @property
    def task(self) -> str:
        """``classify``, ``regress`` or ``segment``."""
        return self.config.training.task

    def of_file(self, path: str | os.PathLike[str], *, invert: str = "auto") -> list[tuple[str, float]]:
        """Classes and their probabilities for an image file, the likeliest first.

        Raises:
            ArgumentError: there is no such file, or the network is no classifier.
            FileFormatError: it isn't an image, or is damaged.
            MissingExtraError: Pillow isn't installed.
        """
        self._expect("classify", "of_file")
        return self.classes(next(self.outputs([self.picture(path, invert=invert)])))

    def numbers_of_file(self, path: str | os.PathLike[str], *, invert: str = "no") -> Array:
        """The numbers (n,) that a network of the task ``regress`` says of an image file.

        Raises:
            ArgumentError: there is no such file, or the network was trained to do something else.
            FileFormatError: it isn't an image, or is damaged.
            MissingExtraError: Pillow isn't installed.
        """
        self._expect("regress", "numbers_of_file")
        return next(self.outputs([self.picture(path, invert=invert)])).ravel()

    def mask_of_file(
        self, path: str | os.PathLike[str], *, invert: str = "no", keep_size: bool = False
    ) -> Array:
        """The class of every pixel of an image file, (height, width) integers of the picture's own size.

        Args:
            path: the picture.
            invert: see :meth:`picture`.
            keep_size: see :meth:`picture`.

        Raises:
            ArgumentError: there is no such file, or the network was trained to do something else.
            FileFormatError: it isn't an image, or is damaged.
            ShapeError: the network doesn't take pictures of this size.
            MissingExtraError: Pillow isn't installed.
        """
        self._expect("segment", "mask_of_file")
        picture = self.picture(path, invert=invert, keep_size=keep_size)
        return self.mask(next(self.outputs([picture])), picture.size)

    def samples(
        self, path: str | os.PathLike[str], *, invert: str = "no", keep_size: bool = False
    ) -> list[Sample]:
        """What a file holds: the rows of a ``.csv`` table, the samples of an ``.npz`` archive, or a picture.

        The columns of a table stand in the order of the one that the network learnt from; the target's may
        be missing. An archive's array is called images, x, data, x_test or test_images.

        Raises:
            ArgumentError: there is no such file, or the network takes no pictures.
            FileFormatError: it is damaged, or isn't what its name says.
            ShapeError: its samples aren't of the shape that the network learnt from.
            MissingExtraError: Pillow isn't installed.
        """
        if Path(path).suffix.lower() not in _SEVERAL:
            return [self.picture(path, invert=invert, keep_size=keep_size)]
        data = self.config.data
        found = read_samples(path, tuple(data.image_shape), self.config.recipe.get("target"))
        ready = Standardise(data.mean, data.std)(found)
        return [Sample(values, row) for row, values in enumerate(ready, 1)]

    def picture(self, path: str | os.PathLike[str], *, invert: str = "no", keep_size: bool = False) -> Sample:
        """An image file as the network takes it: standardised with the training images' numbers.

        Args:
            path: the file.
            invert: whether light and dark are exchanged: ``no``, ``yes``, or ``auto`` (see
                :func:`tilewright.data.prepare_like`).
            keep_size: leave the picture as large as it is, for a network that takes any size; otherwise it is
                resized to what the network was trained on.

        Raises:
            ArgumentError: there is no such file, or the network takes no pictures.
            FileFormatError: it isn't an image, or is damaged.
            MissingExtraError: Pillow isn't installed.
        """
        shape = self.config.data.image_shape
        if len(shape) != 3 or shape[0] not in (1, 3):
            raise ArgumentError(
                "Predicting from image files needs a network for grey or colour pictures, (1 or 3, height, "
                "width).",
                describe(image_shape=shape),
                "Samples of other shapes come in an .npz archive or a .csv table.",
            )
        channels, height, width = shape
        pixels = read_image(path, channels)
        own = (pixels.shape[1], pixels.shape[2])
        if not keep_size and own != (height, width):
            pixels = read_image(path, channels, (height, width))
        values = prepare_like(pixels, self.config.data.mean, self.config.data.std, invert)
        return Sample(values, size=own)

    def outputs(self, samples: Sequence[Sample]) -> Iterator[Array]:
        """What the network says of each sample, one after another: logits, or numbers."""
        first = 0
        while first < len(samples):
            shape = samples[first].values.shape
            most = batch_for(ArrayDataset(samples[first].values[None], np.zeros(1)))
            batch = []
            for sample in samples[first : first + most]:
                if sample.values.shape != shape:
                    break
                batch.append(sample.values)
            first += len(batch)
            with no_grad():
                yield from self.model(as_tensor(np.stack(batch))).numpy()

    def classes(self, logits: Array) -> list[tuple[str, float]]:
        """Classes and their probabilities, the likeliest first, of one sample's logits (classes,).

        Raises:
            FileFormatError: the network has another number of classes than its file has names.
        """
        likely = softmax(logits[None])[0]
        names = self._names(len(likely), "A classifier's file")
        order = np.argsort(-likely, kind="stable")
        return [(names[place], float(likely[place])) for place in order]

    def mask(self, logits: Array, size: tuple[int, int] | None = None) -> Array:
        """The likeliest class of each pixel of one sample, as integers, of its logits (classes, height, width).

        Args:
            logits: what the network said.
            size: (height, width) of the mask; each of its pixels takes the nearest class that was said. None:
                as it was said.

        Raises:
            ShapeError: the logits aren't those of a picture.
        """
        if logits.ndim != 3:
            raise ShapeError("A mask needs logits (classes, height, width).", describe(logits=logits))
        said: Array = logits.argmax(axis=0)
        if size is None:
            return said
        rows, columns = (_nearest(ours, own) for ours, own in zip(size, said.shape, strict=True))
        return said[rows][:, columns]

    def shares(self, mask: Array, classes: int) -> list[tuple[str, float]]:
        """How much of a mask each class takes, the largest first."""
        names = self._names(classes, "A segmenting network's file")
        counts = np.bincount(mask.ravel(), minlength=classes)
        order = np.argsort(-counts, kind="stable")
        return [(names[place], float(counts[place] / max(1, mask.size))) for place in order]

    def _names(self, count: int, what: str) -> tuple[str, ...]:
        names = self.config.data.classes or tuple(map(str, range(count)))
        if len(names) != count:
            raise FileFormatError(
                f"{what} needs a name for each of its classes.",
                f"{len(names)} names for {count} classes",
            )
        return names

    def _expect(self, task: str, method: str) -> None:
        if self.task != task:
            raise ArgumentError(
                f"Predictor.{method} needs a network that was trained to {task}.", describe(task=self.task)
            )


def _nearest(ours: int, own: int) -> Array:
    """For each of ``ours`` places, the nearest of ``own`` places along the same length, in whole numbers."""
    return (2 * np.arange(ours) + 1) * own // (2 * ours)


def model_file(path: str | os.PathLike[str]) -> Path:
    """The file of weights that a path names: itself, or a run folder's ``model.safetensors``.

    Raises:
        ArgumentError: nothing is there, or a folder without such a file.
    """
    place = Path(path)
    if not place.is_dir():
        if not place.exists():
            raise ArgumentError(
                "A trained network is named by its run folder or its model.safetensors.",
                f"{str(place)!r}, where nothing is",
            )
        return place
    file = RunFolder(place).model
    if not file.exists():
        raise ArgumentError(
            "A run folder needs a model.safetensors, which the first validation writes.",
            f"{str(place)!r}, which has none",
        )
    return file
