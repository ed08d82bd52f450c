"""Using a trained classifier on pictures of one's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.autograd.create import as_tensor
from tilewright.autograd.tape import no_grad
from tilewright.data import prepare_like, read_image
from tilewright.errors import ArgumentError, FileFormatError, describe
from tilewright.nn import Module
from tilewright.train.config import RunConfig
from tilewright.train.evaluate import softmax
from tilewright.train.rebuild import rebuild
from tilewright.train.run import RunFolder

Array = np.ndarray[Any, Any]


class Predictor:
    """A trained classifier with all that it must know about its images.

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
            ArgumentError: there is no such file, or the network isn't a classifier of pictures.
            FileFormatError: the file is damaged, or isn't a model that Tilewright saved.
        """
        file = model_file(path)
        model, config = rebuild(file)
        if config.training.task != "classify":
            raise ArgumentError(
                "Predicting needs a network that was trained to classify.",
                f"{str(file)!r}, trained to {config.training.task}",
            )
        if len(config.data.image_shape) != 3 or config.data.image_shape[0] not in (1, 3):
            raise ArgumentError(
                "Predicting needs a network for grey or colour pictures, (1 or 3, height, width).",
                describe(image_shape=config.data.image_shape),
            )
        return cls(model, config)

    def of_file(self, path: str | os.PathLike[str], *, invert: str = "auto") -> list[tuple[str, float]]:
        """Classes and their probabilities for an image file, the likeliest first.

        The picture is resized to what the network was trained on, inverted where ``invert`` says so (see
        :func:`tilewright.data.prepare_like`), and standardised with the training images' numbers.

        Raises:
            ArgumentError: there is no such file.
            FileFormatError: it isn't an image, or is damaged.
            MissingExtraError: Pillow isn't installed.
        """
        channels, height, width = self.config.data.image_shape
        pixels = read_image(path, channels, (height, width))
        image = prepare_like(pixels, self.config.data.mean, self.config.data.std, invert)
        likely = self.probabilities(image[None])[0]
        names = self.config.data.classes or tuple(map(str, range(len(likely))))
        if len(names) != len(likely):
            raise FileFormatError(
                "A classifier's file needs a name for each of its classes.",
                f"{len(names)} names for {len(likely)} classes",
            )
        order = np.argsort(-likely, kind="stable")
        return [(names[place], float(likely[place])) for place in order]

    def probabilities(self, images: Array) -> Array:
        """Probabilities (samples, classes) in float64 of standardised float32 images (samples, C, H, W)."""
        with no_grad():
            return softmax(self.model(as_tensor(images)).numpy())


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
