"""``tilewright upsample``: pictures made larger."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tilewright.cli.pictures import picture_options, run, taken_options
from tilewright.cli.routes import works_of
from tilewright.cli.text import ShowsExamples
from tilewright.errors import ArgumentError

if TYPE_CHECKING:
    from tilewright.image.picture import Array, Picture

Enlarge = Callable[["Array", "int | None"], "Array"]
# By how many doublings a factor is reached.
_DOUBLINGS: dict[float, int] = {2: 1, 4: 2, 8: 3, 16: 4}
METHODS = ("nearest", "linear", "cubic")


@click.command(
    cls=ShowsExamples,
    short_help="Pictures made larger: nearest, linear, cubic, or as learnt.",
    examples=(
        ("tilewright upsample small.png large.png", "twice as wide and high, cubic"),
        ("tilewright upsample icons large --factor 4 --method nearest", "sharp squares"),
        ("tilewright upsample small.png large.png --model upsampler.safetensors", "by a trained network"),
    ),
)
@click.argument("words", metavar="IN... OUT", nargs=-1, required=True)
@click.option(
    "--factor",
    type=click.FloatRange(min=1),
    metavar="X",
    default=2.0,
    show_default=True,
    help="How many times as wide and as high.",
)
@click.option("--method", type=click.Choice(METHODS), help="How the gaps are filled.  [default: cubic]")
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="A network of 'tilewright train upsampler', instead of --method; the factor is 2, 4, 8 or 16.",
)
@picture_options
@click.pass_context
def upsample(
    ctx: click.Context,
    /,
    words: tuple[str, ...],
    factor: float,
    method: str | None,
    model: Path | None,
    **rest: Any,
) -> None:
    """Make the pictures IN... (files, patterns or folders) larger.

    nearest repeats pixels, linear is smooth, cubic is smooth and sharper. Depth, transparency, colour profile
    and orientation stay, and the resolution in dots per inch grows with the picture, whose print stays as
    large.
    """
    options = taken_options(rest)
    if model is not None and method is not None:
        raise click.UsageError("--method and --model are two ways to do the same: choose one of them.")
    if model is not None and factor not in _DOUBLINGS:
        raise click.UsageError("A --model doubles pictures: the --factor is 2, 4, 8 or 16.")
    enlarge = _plainly(method or "cubic", factor) if model is None else _learnt(model, _DOUBLINGS[factor])
    failures: list[dict[str, str]] = []
    works, _ = works_of(words, options.suffix, failures)

    def change(picture: Picture) -> Picture:
        return enlarged(picture, factor, enlarge, options.max_pixels)

    way = str(model) if model is not None else method or "cubic"
    said = f"{model.name if model is not None else way}, {factor:g} times"
    facts = {"command": "upsample", "method": way, "factor": factor}
    run(ctx, works, failures, change, options, words=said, facts=facts)


def _plainly(method: str, factor: float) -> Enlarge:
    def enlarge(pixels: Array, channel_axis: int | None) -> Array:
        from tilewright.image.resizing import upsample as upsample_image

        return upsample_image(pixels, factor, method, channel_axis=channel_axis)

    return enlarge


def _learnt(path: Path, times: int) -> Enlarge:
    """What doubles pictures so many times by the network of a file."""
    from tilewright.train.upsampler import enlarge as doubled
    from tilewright.train.upsampler import load_upsampler

    network, _ = load_upsampler(path)
    # It has all cores for itself; two pictures at a time would only hold more memory.
    one_at_a_time = threading.Lock()

    def enlarge(pixels: Array, channel_axis: int | None) -> Array:
        with one_at_a_time:
            for _ in range(times):
                pixels = doubled(network, pixels, channel_axis=channel_axis)
        return pixels

    return enlarge


def enlarged(picture: Picture, factor: float, enlarge: Enlarge, max_pixels: int | None) -> Picture:
    """A picture with more pixels, its transparency and resolution likewise.

    Raises:
        ArgumentError: it would have more pixels than can be read again.
    """
    from tilewright.image.files import MAX_PIXELS
    from tilewright.image.picture import MOST_DOTS
    from tilewright.image.transparency import visible_colours

    most = max_pixels or MAX_PIXELS
    if picture.width * factor * picture.height * factor > most:
        raise ArgumentError(
            f"An enlarged picture has at most {most:,} pixels.",
            f"{picture.width:,} × {picture.height:,} pixels, enlarged {factor:g} times",
            "Choose a smaller --factor, or allow more by --max-pixels.",
        )
    pixels = enlarge(visible_colours(picture), picture.channel_axis)
    alpha = None if picture.alpha is None else enlarge(picture.alpha, None)
    dots = picture.resolution
    if dots is not None:
        finer = (dots[0] * factor, dots[1] * factor)
        dots = finer if max(finer) < MOST_DOTS else None
    return picture.replace(pixels=pixels, alpha=alpha, resolution=dots)
