"""``tilewright summary``: a network's layers, their sizes and what they cost."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from tilewright.cli.options import Shape
from tilewright.cli.text import ShowsExamples, print_json
from tilewright.errors import ArgumentError


@click.command(
    cls=ShowsExamples,
    short_help="A network's layers, their sizes and what they cost.",
    examples=(
        ("tilewright summary lenet5", ""),
        ("tilewright summary resnet50", "for the images it was drawn for, 3×224×224"),
        ("tilewright summary digitnet --input 3,32,32", "for colour images"),
        ("tilewright summary runs/digits-digitnet --json", ""),
    ),
)
@click.argument("model")
@click.option("--input", "shape", type=Shape(), help="Shape of one input, such as 1,28,28.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def summary(model: str, shape: tuple[int, ...] | None, as_json: bool) -> None:
    """Show the layers of MODEL: output shapes, parameters, FLOPs and receptive fields.

    MODEL is a ready network (lenet5, resnet18, unet, …: any other word lists them), a run folder, or a
    model.safetensors file. A folder that has a ready network's name is written with its path: ./lenet5.
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
    from tilewright.nn.init import skipped

    shape = shape or models.INPUTS[name]
    # Sizes and costs don't depend on the weights, of which large networks have a hundred million.
    with skipped():
        return models.for_sample(name, shape), shape
