"""``tilewright summary``: a network's layers, their sizes and what they cost."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from tilewright.cli.text import ShowsExamples, print_json
from tilewright.errors import ArgumentError, describe


class Shape(click.ParamType):  # type: ignore[type-arg]
    """``1,28,28`` as a tuple of sizes."""

    name = "C,H,W"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The sizes, each a whole number from 1 on."""
        if isinstance(value, tuple):
            return value
        sizes = tuple(int(part) if part.strip().isdecimal() else 0 for part in str(value).split(","))
        if min(sizes) < 1:
            self.fail(f"{value!r} isn't a list of sizes such as 1,28,28.", param, ctx)
        return sizes


@click.command(
    cls=ShowsExamples,
    short_help="A network's layers, their sizes and what they cost.",
    examples=(
        ("tilewright summary lenet5", ""),
        ("tilewright summary digitnet --input 3,32,32", "for colour images"),
        ("tilewright summary runs/digits-digitnet --json", ""),
    ),
)
@click.argument("model")
@click.option("--input", "shape", type=Shape(), help="Shape of one input, such as 1,28,28.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def summary(model: str, shape: tuple[int, ...] | None, as_json: bool) -> None:
    """Show the layers of MODEL: output shapes, parameters, FLOPs and receptive fields.

    MODEL is a ready network (digitnet, lenet5, autoencoder), a run folder, or a model.safetensors file.
    A folder that has a ready network's name is written with its path: ./lenet5.
    """
    from tilewright.nn import summary as summarise

    network, own_shape = _find(model, shape)
    found = summarise(network, list(shape or own_shape))
    if as_json:
        print_json(asdict(found))
    else:
        click.echo(str(found))


def _find(named: str, shape: tuple[int, ...] | None) -> tuple[Any, tuple[int, ...]]:
    """The network of that name, and the input it is made for."""
    from tilewright.nn import models

    if named in models.NAMES:
        return _ready(named, shape)
    if not Path(named).exists():
        raise ArgumentError(
            f"summary needs a run, a model.safetensors file, or one of {', '.join(models.NAMES)}.",
            f"{named!r}, where nothing is",
        )
    from tilewright.train.predict import model_file
    from tilewright.train.rebuild import rebuild

    network, config = rebuild(model_file(named))
    return network, config.data.image_shape


def _ready(name: str, shape: tuple[int, ...] | None) -> tuple[Any, tuple[int, ...]]:
    from tilewright.nn import models

    # The images of MNIST, unless other ones are named.
    shape = shape or (1, 28, 28)
    if len(shape) != 3:
        raise ArgumentError(
            "A ready network takes images of (channels, height, width).", describe(input=shape)
        )
    channels, *size = shape
    return models.create(name, in_channels=channels, image_size=tuple(size)), shape
