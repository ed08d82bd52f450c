"""The pictures of a run folder: what is drawn, and from what. The drawing itself is done in ``lens``."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.data import ImageSet
from tilewright.errors import ArgumentError, MissingExtraError, TilewrightError, need_extra
from tilewright.lens.confusion import MOST_WITH_PERCENT, draw_confusion
from tilewright.lens.curves import ACCURACY, Measure, draw_curves
from tilewright.lens.features import draw_features
from tilewright.lens.kernels import draw_kernels
from tilewright.lens.masks import draw_masks
from tilewright.lens.mistakes import draw_mistakes
from tilewright.lens.predictions import draw_predictions
from tilewright.lens.reconstruction import draw_reconstruction
from tilewright.nn import Module
from tilewright.train.checkpoint import write_whole
from tilewright.train.evaluate import Evaluation, softmax
from tilewright.train.layers import feature_maps, first_kernels, layer_outputs
from tilewright.train.run import SAMPLE_PREFIX, RunFolder

Array = np.ndarray[Any, Any]

# Pixels of a sample's longer side, at most: four times MNIST's, fourteen times that of the small digits.
_SAMPLE_SIZE = 112
#: What curves show beside the loss, by task; of the others, the accuracy.
MEASURES = {
    "segment": Measure("mean IoU", "", "val_mean_iou", False, True),
    "regress": Measure("R²", "", "val_r2", False, False),
}


class Album:
    """Draws one picture after another into a run folder; what can't be drawn is noted, and the rest goes on.

    Args:
        run: the run folder.

    Attributes:
        drawn: the pictures that are there now.
        notices: sentences about those that are not; one alone when Matplotlib isn't installed.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.drawn: list[Path] = []
        self.notices: list[str] = []
        self._can_draw = True

    def add(self, name: str, draw: Callable[[Path], object]) -> None:
        """Draw the picture ``name`` with ``draw(path)``."""
        if not self._can_draw:
            return
        path = self.run.path / name
        try:
            draw(path)
        except MissingExtraError as error:
            # Training has gone well, and its numbers are saved: pictures are an extra.
            self._can_draw = False
            self.notices.append(f"No pictures were drawn: {error}")
        except TilewrightError as error:
            self.notices.append(f"{name} was not drawn: {error}")
        else:
            self.drawn.append(path)

    def curves(self, title: str, task: str) -> None:
        """Loss and accuracy (or what the task has instead) over the steps, from ``metrics.csv``."""
        rows = [row.values() for row in self.run.metrics.rows()]
        score = MEASURES.get(task, ACCURACY)
        self.add("curves.png", lambda path: draw_curves(rows, path, title, score))

    def network(self, model: Module, image: Array, picture: Array) -> None:
        """The first convolution's kernels, and what each layer makes of ``image`` (seen as ``picture``)."""
        kernels = first_kernels(model)
        if kernels is not None:
            name, weights = kernels
            self.add("kernels.png", lambda path: draw_kernels(weights, path, f"Kernels of {name}"))
        maps = feature_maps(layer_outputs(model, image))
        # A row of samples is drawn as a picture one pixel high.
        seen = picture[:, None, :] if picture.ndim == 2 else picture
        if maps and seen.ndim == 3:
            self.add("features.png", lambda path: draw_features(seen, maps, path))

    def answers(self, result: Evaluation, pictures: Array, classes: tuple[str, ...]) -> None:
        """The confusion matrix, and the wrong answers that the network was surest of."""
        if result.outputs is None or result.labels is None:
            raise ArgumentError("Drawing answers needs an evaluation that kept its outputs.")
        truth, likely = result.labels, softmax(result.outputs)
        names = _names(classes, likely.shape[1])
        answers = likely.argmax(axis=1)
        self.add("confusion.png", lambda path: draw_confusion(_counts(result), names, path))
        sure = likely.max(axis=1)
        self.add("mistakes.png", lambda path: draw_mistakes(pictures, truth, answers, sure, names, path))

    def masks(self, result: Evaluation, pictures: Array, classes: tuple[str, ...], ignored: int) -> None:
        """Pictures with their true and answered masks, and the confusion of the classes."""
        if result.outputs is None or result.labels is None:
            raise ArgumentError("Drawing masks needs an evaluation that kept its outputs.")
        truth, answers = result.labels, result.outputs.argmax(axis=1)
        names = _names(classes, result.outputs.shape[1])
        self.add(
            "masks.png", lambda path: draw_masks(pictures, truth, answers, names, path, ignore_index=ignored)
        )
        # Pixels run to so many digits that only few classes leave room for them.
        if len(names) <= MOST_WITH_PERCENT:
            self.add("confusion.png", lambda path: draw_confusion(_counts(result), names, path))

    def predictions(self, result: Evaluation) -> None:
        """Answers over targets, for numbers."""
        if result.outputs is None or result.labels is None:
            raise ArgumentError("Drawing predictions needs an evaluation that kept its outputs.")
        wanted, said = (array.reshape(len(array), -1) for array in (result.labels, result.outputs))
        self.add("predictions.png", lambda path: draw_predictions(wanted, said, path))

    def reconstruction(
        self, pictures: Array, rebuilt: Array, ratio: float, baselines: Mapping[str, Array]
    ) -> None:
        """Inputs, reconstructions, baselines and errors, one under another."""
        self.add(
            "reconstruction.png",
            lambda path: draw_reconstruction(pictures, rebuilt, path, ratio=ratio, baselines=baselines),
        )


def _names(classes: tuple[str, ...], count: int) -> tuple[str, ...]:
    """The classes' names, or their numbers where the network answers with another number of them."""
    return classes if len(classes) == count else tuple(str(number) for number in range(count))


def _counts(result: Evaluation) -> Array:
    if result.matrix is None:
        raise ArgumentError("Drawing a confusion matrix needs an evaluation of classes.")
    return result.matrix


def write_samples(run: RunFolder, data: ImageSet) -> list[Path]:
    """One test image of each class as a PNG file, for trying ``predict``.

    The first image of each class is taken, whether the network is right about it or not. Small images are
    enlarged by a whole factor, every pixel to a square, so that people can see them as well.

    Raises:
        MissingExtraError: Pillow isn't installed.
        OSError: the disk refuses.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise need_extra("pillow", "plot", "Writing sample images") from error
    written = []
    run.samples.mkdir(exist_ok=True)
    for label, name in enumerate(data.classes):
        places = np.flatnonzero(data.test.labels == label)
        if places.size == 0:
            continue
        levels = to_levels(data.test.images[places[0]])
        factor = max(1, _SAMPLE_SIZE // max(levels.shape[1:]))
        levels = levels.repeat(factor, axis=1).repeat(factor, axis=2)
        # Pillow wants (height, width) for grey and (height, width, channels) for colour.
        pixels = levels[0] if len(levels) == 1 else np.moveaxis(levels, 0, -1)
        content = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(content, format="PNG")
        # A class may be called "T-shirt/top", which is no file name.
        path = run.samples / f"{SAMPLE_PREFIX}{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-').lower()}.png"
        write_whole(path, content.getvalue())
        written.append(path)
    return written


def to_levels(pixels: Array) -> Array:
    """Pixels as they are stored (uint8, or floating in 0..1) as uint8."""
    if pixels.dtype == np.uint8:
        return pixels
    levels: Array = np.rint(np.clip(pixels, 0.0, 1.0) * 255).astype(np.uint8)
    return levels
