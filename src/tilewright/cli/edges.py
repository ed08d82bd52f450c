"""``tilewright edges``: the outlines in pictures, as lines or as steepness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tilewright.cli.pictures import picture_options, run, taken_options
from tilewright.cli.routes import works_of
from tilewright.cli.text import ShowsExamples

if TYPE_CHECKING:
    from tilewright.image.picture import Array, Picture

METHODS = ("canny", "gradient")
OPERATORS = ("sobel", "prewitt", "scharr", "roberts")
# How a grey is made of red, green and blue: ITU-R BT.601, as Pillow, OpenCV and most cameras do.
_WEIGHTS = (0.299, 0.587, 0.114)


@click.command(
    cls=ShowsExamples,
    short_help="Edges in pictures: Canny's lines, or how steep it is.",
    examples=(
        ("tilewright edges photo.jpg edges.png", "lines one pixel wide"),
        ("tilewright edges photo.jpg edges.png --sigma 2 --low 0.05 --high 0.15", ""),
        ("tilewright edges photos edges --suffix .png --compare", "every image of a folder"),
        ("tilewright edges photo.jpg steep.png --method gradient --operator scharr", ""),
    ),
)
@click.argument("words", metavar="IN... OUT", nargs=-1, required=True)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="canny",
    show_default=True,
    help="Canny's lines, or the gradient's magnitude.",
)
@click.option(
    "--sigma",
    type=click.FloatRange(min=0),
    metavar="X",
    help="Blur by so many pixels first: fewer and smoother lines.  [default: 1 of canny, 0 of gradient]",
)
@click.option(
    "--low", type=float, metavar="X", help="Canny: less steep than that is no edge.  [default: 0.1]"
)
@click.option(
    "--high", type=float, metavar="X", help="Canny: a line is somewhere that steep.  [default: 0.2]"
)
@click.option("--quantiles", is_flag=True, help="Canny: --low and --high are shares of the pixels.")
@click.option(
    "--operator", type=click.Choice(OPERATORS), help="Gradient: how slopes are measured.  [default: sobel]"
)
@click.option("--gain", type=float, metavar="X", help="Gradient: multiply it.  [default: 1]")
@click.option("--invert", is_flag=True, help="Dark edges on white.")
@picture_options
@click.pass_context
def edges(
    ctx: click.Context,
    /,
    words: tuple[str, ...],
    method: str,
    sigma: float | None,
    low: float | None,
    high: float | None,
    quantiles: bool,
    operator: str | None,
    gain: float | None,
    invert: bool,
    **rest: Any,
) -> None:
    """Find the edges in the pictures IN... (files, patterns or folders).

    The answer is a grey picture of the same size and depth: white where there is an edge, black elsewhere, or
    with --method gradient as light as it is steep, a step from black to white giving white. Colours are made
    grey first, except by the gradient, which takes the steepest of them. Transparency stays.
    """
    options = taken_options(rest)
    canny_only = {"--low": low, "--high": high, "--quantiles": quantiles or None}
    gradient_only = {"--operator": operator, "--gain": gain}
    wrong = gradient_only if method == "canny" else canny_only
    for name, value in wrong.items():
        if value is not None:
            raise click.UsageError(
                f"{name} belongs to --method {'gradient' if method == 'canny' else 'canny'}."
            )
    if quantiles and (low is None or high is None):
        raise click.UsageError("--quantiles needs --low and --high, the shares.")
    failures: list[dict[str, str]] = []
    works, _ = works_of(words, options.suffix, failures)

    def change(picture: Picture) -> Picture:
        if method == "canny":
            found = canny_lines(picture, 1.0 if sigma is None else sigma, low, high, quantiles)
        else:
            found = steepness(picture, sigma or 0.0, operator or "sobel", 1.0 if gain is None else gain)
        if invert:
            found = found.dtype.type(picture.top) - found
        # The profile of colours says nothing of a grey picture.
        return picture.replace(pixels=found, profile=None)

    name = "Canny" if method == "canny" else f"gradient, {operator or 'sobel'}"
    settings = [
        f"{key} {value:g}"
        for key, value in (("sigma", sigma), ("low", low), ("high", high))
        if value is not None
    ]
    said = ", ".join([name, *settings])
    run(ctx, works, failures, change, options, words=said, facts={"command": "edges", "method": said})


def canny_lines(
    picture: Picture, sigma: float, low: float | None, high: float | None, quantiles: bool
) -> Array:
    """Canny's edges as white on black, of the picture's dtype."""
    import numpy as np

    from tilewright.image.edges import canny

    grey = _grey(picture)
    # What the picture's borders cut off isn't an edge: they are mirrored rather than black.
    found = canny(grey, sigma, low, high, use_quantiles=quantiles, mode="nearest")
    return np.where(found, picture.top, 0).astype(picture.pixels.dtype)


def steepness(picture: Picture, sigma: float, operator: str, gain: float) -> Array:
    """The gradient's magnitude as (height, width) of the picture's dtype; of colours, the steepest."""
    import numpy as np

    from tilewright.image.filtering import filter as filter_image
    from tilewright.image.gradients import gradient_magnitude
    from tilewright.image.smoothing import gaussian
    from tilewright.image.transparency import visible_colours

    colours = visible_colours(picture)
    values = colours.astype(np.float64 if picture.depth == 16 else np.float32, copy=False)
    axis = picture.channel_axis
    if sigma > 0:
        values = filter_image(values, gaussian(sigma), channel_axis=axis)
    steep = gradient_magnitude(values, operator, normalize=True, channel_axis=axis)
    if axis is not None:
        steep = steep.max(axis=axis)
    # Between black and white, a slope measured over two pixels is half of the step.
    steep = steep * steep.dtype.type(gain if operator == "roberts" else 2 * gain)
    if picture.pixels.dtype.kind == "u":
        steep = np.clip(np.rint(steep), 0, picture.top)
    found: Array = steep.astype(picture.pixels.dtype)
    return found


def _grey(picture: Picture) -> Array:
    """One value for each pixel, as a share of white."""
    import numpy as np

    from tilewright.image.transparency import visible_colours

    values = visible_colours(picture).astype(np.float64) / picture.top
    return values if values.ndim == 2 else values @ np.asarray(_WEIGHTS)
