"""What a finished run came to: its weights judged once more on the held-out images, and its pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.data import Dataset, ImageSet
from tilewright.errors import MissingExtraError, StateError
from tilewright.lens.masks import MOST_SAMPLES
from tilewright.nn import Module
from tilewright.train.arguments import task_of
from tilewright.train.baselines import mean_image, thumbnails
from tilewright.train.config import RunConfig
from tilewright.train.evaluate import Evaluation, evaluate
from tilewright.train.layers import layer_outputs, narrowest
from tilewright.train.pictures import Album, write_samples
from tilewright.train.run import RunFolder
from tilewright.train.tasks import NOT_LABELLED

Array = np.ndarray[Any, Any]

# Of the images that are kept: 256 MiB of float32, which holds MNIST's 10,000 several times over.
_MOST_VALUES = 2**26


@dataclass(frozen=True)
class Reconstruction:
    """An autoencoder beside two baselines; errors are mean squared, of pixels in 0..1.

    Attributes:
        error: the network's.
        mean_image_error: of answering with the mean training image always.
        thumbnail_error: of a thumbnail with as many values as the embedding, enlarged bilinearly.
        thumbnail_size: its (height, width).
        embedding: the layer that passes on the fewest numbers.
        embedding_values: how many those are.
        image_values: the numbers of an image.
    """

    error: float
    mean_image_error: float
    thumbnail_error: float
    thumbnail_size: tuple[int, int]
    embedding: str
    embedding_values: int
    image_values: int

    @property
    def ratio(self) -> float:
        """The compression: numbers of an image per number of the embedding."""
        return self.image_values / self.embedding_values


@dataclass(frozen=True, eq=False)
class Report:
    """What a finished run came to.

    Attributes:
        test: the best weights on the held-out images.
        reconstruction: for an autoencoder, how it stands beside the baselines.
        pictures: the pictures drawn.
        samples: test images written as PNG files.
        notices: sentences about what could not be made, and why.
    """

    test: Evaluation
    reconstruction: Reconstruction | None = None
    pictures: list[Path] = field(default_factory=list)
    samples: list[Path] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def make_report(
    run: RunFolder,
    model: Module,
    data: ImageSet | tuple[Dataset[Any], Dataset[Any]],
    config: RunConfig,
    *,
    pictures: bool = True,
) -> Report:
    """Judge a network on the held-out images, and draw the run's pictures.

    Args:
        run: where pictures and samples go.
        model: the network, with the weights to be judged.
        data: what the run was trained on.
        config: the run's configuration.
        pictures: whether to draw.

    Raises:
        OSError: the disk refuses.
    """
    train, test = (data.train, data.test) if isinstance(data, ImageSet) else data
    task = task_of(config)
    result = evaluate(model, test, task, keep=_how_many(test, task.name))
    if result.inputs is None or result.outputs is None:
        raise StateError("A report needs an evaluation that kept its images.")
    images = result.inputs
    seen = _to_pixels(images, config)
    album = Album(run)
    reconstruction = None
    if task.name == "reconstruct" and images.ndim == 4:
        layer = narrowest(layer_outputs(model, images[0]))
        rebuilt = result.outputs.astype(np.float64)
        mean = _to_pixels(mean_image(train), config)
        small = thumbnails(seen, layer.values)
        values = math.prod(images.shape[1:])
        reconstruction = Reconstruction(
            _error(rebuilt, seen),
            _error(mean, seen),
            _error(small.images, seen),
            small.size,
            f"{layer.name} {layer.kind}".strip(),
            layer.values,
            values,
        )
        if pictures:
            height, width = small.size
            baselines = {"mean image": mean, f"{height} × {width} thumbnail": small.images}
            album.reconstruction(seen, rebuilt, reconstruction.ratio, baselines)
    if pictures:
        album.curves(f"{config.model.name} on {config.data.name}", task.name)
        album.network(model, images[0], seen[0])
        if task.name == "classify":
            album.answers(result, seen, config.data.classes)
        elif task.name == "segment" and images.ndim == 4:
            ignored = config.training.ignore_index
            album.masks(result, seen, config.data.classes, NOT_LABELLED if ignored is None else ignored)
        elif task.name == "regress":
            album.predictions(result)
    samples: list[Path] = []
    if isinstance(data, ImageSet) and task.name == "classify" and _are_pictures(images):
        try:
            samples = write_samples(run, data)
        except MissingExtraError as error:
            album.notices.append(f"No sample images were written: {error}")
    return Report(result, reconstruction, album.drawn, samples, album.notices)


def _how_many(data: Dataset[Any], task: str) -> int:
    """How many held-out images are kept for drawing; all of them are judged, kept or not."""
    if task == "segment":
        return MOST_SAMPLES
    values = int(np.prod(np.shape(data[0][0])))
    return max(1, _MOST_VALUES // max(1, values))


def _are_pictures(images: Array) -> bool:
    """Whether these are grey or colour pictures, which image files can hold."""
    return images.ndim == 4 and images.shape[1] in (1, 3)


def _to_pixels(images: Array, config: RunConfig) -> Array:
    """Undo the standardisation: float64 in 0..1 where the images were such."""
    return images.astype(np.float64) * config.data.std + config.data.mean


def _error(rebuilt: Array, seen: Array) -> float:
    return float(np.mean((rebuilt - seen) ** 2))
