"""The options of ``tilewright train``, each written once: the command and its files read them from here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

# Written out, since the modules that know them take a while to import; a test compares.
DATASETS = ("digits", "mnist", "fashion_mnist")
MODELS = (
    "digitnet", "lenet5", "autoencoder", "resnet20", "resnet18", "resnet34", "resnet50", "densenet100",
    "densenet121", "mobilenet_v2", "vgg11", "vgg16", "vgg11_bn", "vgg16_bn", "unet", "tcn", "c3d",
)  # fmt: skip
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop")
SCHEDULES = ("none", "step", "exponential", "linear", "cosine", "one-cycle")
TASKS = ("classify", "reconstruct", "regress", "segment")
LOSSES = ("mse", "l1", "smooth_l1", "huber")
AUGMENTATIONS = ("flip", "flip-vertical", "shift", "crop", "rotate", "cutout", "brightness", "contrast")


class Shape(click.ParamType):  # type: ignore[type-arg]
    """``1,28,28`` as a tuple of sizes."""

    name = "C,H,W"
    needed = "sizes from 1 on, such as [1, 28, 28]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The sizes, each a whole number from 1 on."""
        if isinstance(value, (tuple, list)):
            sizes = tuple(size if type(size) is int else 0 for size in value)
        else:
            sizes = tuple(int(part) if part.strip().isdecimal() else 0 for part in str(value).split(","))
        if min(sizes, default=0) < 1:
            self.fail(f"{value!r} isn't a list of sizes such as 1,28,28.", param, ctx)
        return sizes


class Words(click.ParamType):  # type: ignore[type-arg]
    """``shift=2,flip,crop=28,4`` as a tuple of words; a number belongs to the word before it."""

    name = "WORDS"
    needed = 'a list of texts such as ["shift=2", "flip"]'

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The words; what they mean is judged where they are used."""
        if isinstance(value, (tuple, list)):
            if not value or not all(isinstance(word, str) and word for word in value):
                self.fail(f"{value!r} isn't a list of words.", param, ctx)
            return tuple(value)
        found: list[str] = []
        for part in (part.strip() for part in str(value).split(",")):
            if found and part[:1].isdigit():
                found[-1] += f",{part}"
            else:
                found.append(part)
        if not all(found):
            self.fail(f"{value!r} isn't a list of words such as shift=2,flip.", param, ctx)
        return tuple(found)


class Weights(click.ParamType):  # type: ignore[type-arg]
    """``balanced``, or ``1,2.5,1`` as a tuple of numbers."""

    name = "balanced|W,W,…"
    needed = "'balanced' or a list of numbers, one for each class"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The word, or the numbers."""
        if value == "balanced":
            return value
        parts = value if isinstance(value, (tuple, list)) else str(value).split(",")
        try:
            if any(isinstance(part, bool) for part in parts) or not parts:
                raise ValueError
            return tuple(float(part) for part in parts)
        except (TypeError, ValueError):
            self.fail(f"{value!r} is neither 'balanced' nor a list of numbers such as 1,2.5,1.", param, ctx)


_SHARE = click.FloatRange(0, 1, max_open=True)
_POSITIVE = click.FloatRange(min=0, min_open=True)
_COUNT, _COUNT_OR_NONE = click.IntRange(min=1), click.IntRange(min=0)
_PATH: Any = click.Path(path_type=Path)

#: What a run is made from, in the order of the help.
SETTINGS: tuple[Callable[[Any], Any], ...] = (
    click.argument("dataset", type=click.Choice(DATASETS), required=False),
    click.option(
        "--data",
        type=_PATH,
        help="Folder with the files of mnist or fashion_mnist.  [default: download them once]  Without a "
        "DATASET: a folder of images by class, an .npz archive, or a .csv table.",
    ),
    click.option(
        "--input", type=Shape(), help="Shape that images of a folder are brought to, and rows of a table."
    ),
    click.option(
        "--target", metavar="COLUMN", help="Of a table, the column to be said.  [default: the last]"
    ),
    click.option(
        "--held-out",
        metavar="X",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        help="Share of one's own data to validate on.  [default: 0.2]",
    ),
    click.option("--task", type=click.Choice(TASKS), help="What is learnt.  [default: what suits the data]"),
    click.option(
        "--model",
        metavar="NAME",
        type=click.Choice(MODELS),
        help=f"The network: {', '.join(MODELS)}.  [default: digitnet]",
    ),
    click.option("--model-options", type=Words(), help="Arguments of the network, such as base=16 of unet."),
    click.option("--epochs", metavar="N", type=_COUNT, help="Passes over the training images."),
    click.option("--batch-size", metavar="N", type=_COUNT, help="Images of a batch."),
    click.option(
        "--accumulate",
        metavar="N",
        type=_COUNT,
        help="Batches for one update of the weights.  [default: 1]",
    ),
    click.option("--optimizer", type=click.Choice(OPTIMIZERS), help="How weights are updated."),
    click.option("--lr", metavar="X", type=_POSITIVE, help="Learning rate."),
    click.option("--momentum", metavar="X", type=_SHARE, help="Momentum of sgd and rmsprop."),
    click.option(
        "--weight-decay",
        metavar="X",
        type=click.FloatRange(min=0),
        help="How much weights shrink by themselves.",
    ),
    click.option(
        "--schedule",
        "--lr-decay",
        type=click.Choice(SCHEDULES),
        help="How the learning rate goes on; none keeps it.",
    ),
    click.option("--warmup", metavar="N", type=_COUNT_OR_NONE, help="Steps in which the rate rises first."),
    click.option(
        "--schedule-every", metavar="N", type=_COUNT, help="Epochs between falls of step.  [default: 1]"
    ),
    click.option(
        "--schedule-factor",
        metavar="X",
        type=click.FloatRange(0, 1, min_open=True),
        help="What is left after a fall.  [default: 0.1 of step, 0.9 of exponential]",
    ),
    click.option(
        "--schedule-end",
        metavar="X",
        type=click.FloatRange(0, 1),
        help="Where linear and cosine end, as a share of the rate.  [default: 0]",
    ),
    click.option(
        "--clip-norm", metavar="X", type=_POSITIVE, help="Bound of the norm of all gradients together."
    ),
    click.option("--clip-value", metavar="X", type=_POSITIVE, help="Bound of every gradient."),
    click.option(
        "--ema",
        metavar="X",
        type=_SHARE,
        help="Judge and keep a moving average of the weights, such as 0.999.",
    ),
    click.option(
        "--patience", metavar="N", type=_COUNT, help="Stop after so many validations without progress."
    ),
    click.option(
        "--min-delta", metavar="X", type=click.FloatRange(min=0), help="The least that counts as progress."
    ),
    click.option(
        "--label-smoothing",
        metavar="X",
        type=_SHARE,
        help="Share of a label that is spread over all classes.",
    ),
    click.option(
        "--class-weight", type=Weights(), help="Weights of the classes; balanced: the rarer, the more."
    ),
    click.option(
        "--mixup", metavar="X", type=click.FloatRange(min=0), help="Mix images in pairs, such as 0.2."
    ),
    click.option(
        "--augment", type=Words(), help=f"Change images at random: {', '.join(AUGMENTATIONS)} (shift=2,flip)."
    ),
    click.option("--loss", type=click.Choice(LOSSES), help="Loss of regress.  [default: mse]"),
    click.option("--ignore-index", metavar="N", type=int, help="Class of pixels that segment leaves out."),
    click.option(
        "--seed",
        metavar="N",
        type=click.IntRange(0, 2**63 - 1),
        help="What all chance follows.  [default: 0]",
    ),
    click.option(
        "--validate-every",
        metavar="N",
        type=_COUNT,
        help="Validate and save every so many steps.  [default: 100]",
    ),
    click.option(
        "--log-every",
        metavar="N",
        type=_COUNT,
        help="A row of metrics.csv every so many steps.  [default: 20]",
    ),
    click.option(
        "--workers", metavar="N", type=_COUNT_OR_NONE, help="Threads that make batches ahead.  [default: 0]"
    ),
)


def settings(command: Callable[..., Any]) -> Any:
    """A decorator that gives a command all settings of a run."""
    for option in reversed(SETTINGS):
        command = option(command)
    return command
