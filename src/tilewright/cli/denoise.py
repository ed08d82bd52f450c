"""``tilewright denoise``: pictures with less noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tilewright.cli.filter import BORDERS
from tilewright.cli.pictures import picture_options, run, taken_options
from tilewright.cli.routes import works_of
from tilewright.cli.text import ShowsExamples

if TYPE_CHECKING:
    from tilewright.image.picture import Picture

# By method: what it may be told, as the library calls it. Written out, since the library takes a while to
# import; a test compares.
METHODS: dict[str, tuple[str, ...]] = {
    "median": ("size",),
    "mean": ("size",),
    "gaussian": ("sigma",),
    "bilateral": ("win_size", "sigma_color", "sigma_spatial"),
    "nonlocal": ("patch_size", "patch_distance", "h", "sigma"),
}
_POSITIVE = click.FloatRange(min=0, min_open=True)
_SIDE = click.IntRange(min=1)


@click.command(
    cls=ShowsExamples,
    short_help="Pictures with less noise: median, bilateral, non-local means, …",
    examples=(
        ("tilewright denoise scan.png clean.png", "median of 3 × 3: salt and pepper"),
        ("tilewright denoise night.jpg calm.jpg --method nonlocal", "grain; the slowest"),
        ("tilewright denoise photos calm --method bilateral --sigma-color 0.1", "grain, and sharp edges"),
    ),
)
@click.argument("words", metavar="IN... OUT", nargs=-1, required=True)
@click.option(
    "--method",
    type=click.Choice(tuple(METHODS)),
    default="median",
    show_default=True,
    help="What suits the noise.",
)
@click.option("--size", type=_SIDE, metavar="N", help="median, mean: side of the window.  [default: 3]")
@click.option(
    "--sigma", type=_POSITIVE, metavar="X", help="gaussian: in pixels; nonlocal: of the noise, a share."
)
@click.option("--win-size", type=_SIDE, metavar="N", help="bilateral: side of the window, odd.")
@click.option(
    "--sigma-color",
    type=_POSITIVE,
    metavar="X",
    help="bilateral: how different values may be, a share of white.",
)
@click.option("--sigma-spatial", type=_POSITIVE, metavar="X", help="bilateral: how far away, in pixels.")
@click.option(
    "--patch-size", type=_SIDE, metavar="N", help="nonlocal: side of what is compared.  [default: 7]"
)
@click.option("--patch-distance", type=_SIDE, metavar="N", help="nonlocal: how far to look.  [default: 11]")
@click.option(
    "--h", type=_POSITIVE, metavar="X", help="nonlocal: how different patches may be, a share of white."
)
@click.option(
    "--border", type=click.Choice(BORDERS), default="reflect", show_default=True, help="Beyond the edges."
)
@click.option(
    "--cval", type=float, default=0.0, show_default=True, help="What the constant border is made of."
)
@picture_options
@click.pass_context
def denoise(
    ctx: click.Context, /, words: tuple[str, ...], method: str, border: str, cval: float, **rest: Any
) -> None:
    """Take noise out of the pictures IN... (files, patterns or folders).

    median suits salt and pepper, gaussian fine grain; bilateral and nonlocal keep edges sharp, and the latter
    patterns as well. Depth, transparency, colour profile and orientation stay.
    """
    options = taken_options(rest)
    parameters = {name: value for name, value in rest.items() if value is not None}
    for name in parameters:
        if name not in METHODS[method]:
            owners = [owner for owner, names in METHODS.items() if name in names]
            raise click.UsageError(f"--{name.replace('_', '-')} belongs to --method {' and '.join(owners)}.")
    failures: list[dict[str, str]] = []
    works, _ = works_of(words, options.suffix, failures)

    def change(picture: Picture) -> Picture:
        from tilewright.image.restoration import denoise as denoise_image
        from tilewright.image.transparency import visible_colours

        cleaned = denoise_image(
            visible_colours(picture),
            method,
            border=border,
            cval=cval,
            channel_axis=picture.channel_axis,
            **parameters,
        )
        return picture.replace(pixels=cleaned)

    said = ", ".join([method, *(f"{name.replace('_', ' ')} {value:g}" for name, value in parameters.items())])
    run(ctx, works, failures, change, options, words=said, facts={"command": "denoise", "method": said})
