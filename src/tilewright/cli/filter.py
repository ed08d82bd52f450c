"""``tilewright filter``: a linear filter over pictures, and over volumes in files."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tilewright.cli.pictures import Entry, Options, picture_options, run, taken_options, volume_progress
from tilewright.cli.routes import Work, works_of
from tilewright.cli.text import ShowsExamples, print_json
from tilewright.errors import ArgumentError, describe

if TYPE_CHECKING:
    from tilewright.image.picture import Picture

# Written out, since the modules that know them take a while to import; a test compares.
BORDERS = ("reflect", "mirror", "nearest", "wrap", "constant")
NEGATIVES = ("absolute", "grey", "clip")
# A filter whose taps add up to no more than this share of their absolute values answers around zero.
_NO_MEAN = 0.05


class Numbers(click.ParamType):  # type: ignore[type-arg]
    """``2``, or ``1,3``: a number, or one for the rows and one for the columns."""

    name = "N[,N…]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, or a tuple of them; whole ones as integers."""
        if not isinstance(value, str):
            return value
        found = []
        for part in value.split(","):
            try:
                number = float(part)
            except ValueError:
                self.fail(f"{value!r} is no number, nor numbers with commas between them.", param, ctx)
            found.append(int(number) if number.is_integer() and "." not in part else number)
        return found[0] if len(found) == 1 else tuple(found)


class Kernel(click.ParamType):  # type: ignore[type-arg]
    """``0 1 0; 1 -4 1; 0 1 0`` as rows of numbers."""

    name = "ROW;ROW…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A list of rows, all of one length."""
        if not isinstance(value, str):
            return value
        try:
            lines = value.replace(",", " ").strip("; ").split(";")
            rows = [[float(one) for one in line.split()] for line in lines]
        except ValueError:
            rows = []
        if not rows or not rows[0] or any(len(row) != len(rows[0]) for row in rows):
            self.fail(f"{value!r} isn't rows of numbers such as '0 1 0; 1 -4 1; 0 1 0'.", param, ctx)
        return rows


#: The parameters that filters have, by the name that the library calls them.
PARAMETERS: tuple[tuple[str, Any, str], ...] = (
    ("size", Numbers(), "Side of a box in pixels: 5, or 3,7 for rows and columns."),
    ("sigma", Numbers(), "Standard deviation of a Gaussian in pixels: 2, or 1,3."),
    ("truncate", float, "Where a Gaussian ends, in standard deviations."),
    ("order", Numbers(), "Of a binomial filter; of a Gaussian's derivative."),
    ("amount", float, "How much sharper."),
    ("low_sigma", Numbers(), "The narrower Gaussian of a difference of two."),
    ("high_sigma", Numbers(), "The wider one."),
    ("length", float, "Of a motion's blur, in pixels."),
    ("angle", float, "Of a motion or of a relief's light, in degrees."),
    ("strength", float, "Of a relief."),
    ("axis", int, "Along which a slope is measured: 0 from top to bottom, 1 from left to right."),
    ("diagonal", int, "0 or 1, of the Roberts cross."),
    ("normalize", None, "A slope's filter: answer with the change per pixel."),
    ("diagonals", None, "A Laplacian with the four corners."),
    ("frequency", float, "Of a Gabor filter, in waves for each pixel."),
    ("theta", float, "Its direction in radians."),
    ("bandwidth", float, "Its bandwidth in octaves."),
    ("sigma_x", float, "Its width along the wave."),
    ("sigma_y", float, "Its width across the wave."),
    ("n_stds", float, "Where it ends, in standard deviations."),
    ("offset", float, "Its phase in radians."),
    ("part", click.Choice(["real", "imag"]), "Its even part, or its odd one."),
)


def _parameters(command: Any) -> Any:
    for name, kind, text in reversed(PARAMETERS):
        flag = f"--{name.replace('_', '-')}"
        if kind is None:
            command = click.option(flag, name, is_flag=True, default=None, help=text)(command)
        else:
            metavar = "N" if kind in (int, float) else None
            command = click.option(flag, name, type=kind, metavar=metavar, help=text)(command)
    return command


@click.command(
    "filter",
    cls=ShowsExamples,
    short_help="A filter over pictures: blur, sharpen, edges, your own kernel.",
    examples=(
        ("tilewright filter gaussian photo.jpg soft.jpg --sigma 2", ""),
        ("tilewright filter sharpen photos sharp", "every image of a folder"),
        ("tilewright filter sobel photo.png edges.png --axis 1 --compare", "a figure of both, too"),
        ('tilewright filter --kernel "0 1 0; 1 -4 1; 0 1 0" photo.png out.png', "your own"),
        ("tilewright filter gaussian brain.zarr smooth.zarr --sigma 1.5", "larger than memory"),
        ("tilewright filter --list", "the names, and where the filters come from"),
    ),
)
@click.argument("words", metavar="NAME IN... OUT", nargs=-1)
@click.option("--kernel", type=Kernel(), help="Rows of numbers, instead of a NAME.")
@click.option("--flip", is_flag=True, help="Convolve: turn the kernel round first.")
@_parameters
@click.option(
    "--border",
    type=click.Choice(BORDERS),
    default="reflect",
    show_default=True,
    help="What stands beyond the edges.",
)
@click.option("--cval", type=float, default=0.0, show_default=True, help="Value of the constant border.")
@click.option("--gain", type=float, default=1.0, show_default=True, help="Multiply the answer.")
@click.option(
    "--negative",
    type=click.Choice(NEGATIVES),
    help="How answers below zero are shown: as if above it, around mid-grey, or as black.  [default: "
    "absolute of filters that answer around zero, else clip]",
)
@click.option(
    "--memory",
    type=click.IntRange(min=1),
    default=128,
    show_default=True,
    metavar="MIB",
    help="Of volumes: for the arrays of a block.",
)
@click.option("--list", "as_list", is_flag=True, help="List the filters, and where they come from.")
@picture_options
@click.pass_context
def filter(
    ctx: click.Context,
    /,
    words: tuple[str, ...],
    kernel: list[list[float]] | None,
    flip: bool,
    border: str,
    cval: float,
    gain: float,
    negative: str | None,
    memory: int,
    as_list: bool,
    **rest: Any,
) -> None:
    """Filter pictures by the filter of a NAME: IN... are files, patterns or folders.

    OUT is a file, or a folder for several, where they keep their names. Depth (8 or 16 bits), transparency,
    colour profile and orientation stay; the colours are filtered, not the transparency. Values are rounded,
    and clipped to what the file can hold. A picture that can't be read is reported, and the others are still
    done: exit code 1. Zarr folders and TIFF files of several pages are filtered along all their axes, block
    by block.
    """
    options = taken_options(rest)
    parameters = {name: value for name, value in rest.items() if value is not None}
    if as_list:
        _print_names(options.as_json)
        return
    name, words = (None, words) if kernel is not None else (words[0], words[1:]) if words else (None, ())
    if kernel is None and name is None:
        raise click.UsageError("Name a filter, the pictures, and what to write: NAME IN... OUT.")
    if kernel is not None and parameters:
        raise click.UsageError("The numbers of --kernel are all there is to it: leave out the parameters.")
    failures: list[dict[str, str]] = []
    chosen = _Chosen(name, kernel, parameters, flip, border, cval, gain, negative)
    chosen.of_rank(2)  # a wrong name or parameter is told before any file is looked at
    works, _ = works_of(words, options.suffix, failures, volumes=True)
    run(
        ctx,
        works,
        failures,
        chosen.change,
        options,
        words=chosen.words,
        facts={"command": "filter", "filter": chosen.words},
        stream=lambda work: chosen.stream(work, options, memory),
    )


class _Chosen:
    """A filter as the command line describes it."""

    def __init__(
        self,
        name: str | None,
        kernel: list[list[float]] | None,
        parameters: dict[str, Any],
        flip: bool,
        border: str,
        cval: float,
        gain: float,
        negative: str | None,
    ) -> None:
        self.name, self.kernel, self.parameters = name, kernel, parameters
        self.flip, self.border, self.cval, self.gain, self.negative = flip, border, cval, gain, negative
        settings = [f"{key} {_plain(value)}" for key, value in parameters.items()]
        self.words = ", ".join([name or "own kernel", *settings])

    def of_rank(self, rank: int) -> Any:
        """The filter, for so many axes.

        Raises:
            ArgumentError: an unknown name or parameter; one's own kernel for another rank than 2.
        """
        import numpy as np

        from tilewright.image.named import named

        if self.name is not None:
            return named(self.name, rank, **self.parameters)
        if rank != 2:
            raise ArgumentError("A kernel of rows is for pictures.", describe(axes=rank), "Use a NAME.")
        return np.asarray(self.kernel, np.float64)

    def change(self, picture: Picture) -> Picture:
        """The picture, filtered."""
        import numpy as np

        from tilewright.image.filtering import filter as filter_image
        from tilewright.image.transparency import visible_colours

        found = self.of_rank(2)
        taps = found if self.name is None else found.kernel
        around_zero = bool((taps < 0).any()) and abs(taps.sum()) <= _NO_MEAN * np.abs(taps).sum()
        is_float = picture.pixels.dtype.kind == "f"
        negative = self.negative or ("absolute" if around_zero and not is_float else "clip")
        plain = negative == "clip" and self.gain == 1.0
        answer = filter_image(
            visible_colours(picture),
            found,
            border=self.border,
            cval=self.cval,
            channel_axis=picture.channel_axis,
            # Whole numbers of 16 bits times taps need more figures than float32 has.
            dtype=None if plain else np.float64 if picture.depth == 16 else np.float32,
            flip=self.flip,
        )
        if not plain:
            answer = shown(answer * answer.dtype.type(self.gain), picture, negative)
        return picture.replace(pixels=answer)

    def stream(self, work: Work, options: Options, memory: int) -> Entry:
        """Filter a volume from file to file."""
        from tilewright.image.volumes import filter_volume

        if self.gain != 1.0 or self.negative not in (None, "clip"):
            raise ArgumentError(
                "A volume is filtered without --gain and --negative.",
                describe(gain=self.gain, negative=self.negative),
            )
        with volume_progress(work.source.name, options) as told:
            written = filter_volume(
                work.source,
                work.target,
                self.of_rank(_rank(work.source)),
                border=self.border,
                cval=self.cval,
                flip=self.flip,
                memory=memory << 20,
                overwrite=options.overwrite,
                progress=told,
            )
        return {
            "file": str(work.source),
            "written": written.path,
            "shape": list(written.shape),
            "dtype": written.dtype,
            "blocks": written.blocks,
        }


def _rank(volume: Path) -> int:
    """How many axes a volume in a file has, its colours not counted."""
    from tilewright.image.volume_tiff import is_tiff
    from tilewright.image.volume_zarr import ZarrSource
    from tilewright.image.volumes import MEMORY

    if is_tiff(volume):
        return 3
    with contextlib.closing(ZarrSource(volume, MEMORY, "filter")) as source:
        return len(source.shape)


def shown(answer: Any, picture: Picture, negative: str) -> Any:
    """An answer of floats as pixels of the picture's dtype."""
    import numpy as np

    if negative == "absolute":
        answer = np.abs(answer)
    elif negative == "grey":
        middle = (picture.top + 1) / 2 if picture.pixels.dtype.kind == "u" else 0.5
        answer = answer + answer.dtype.type(middle)
    if picture.pixels.dtype.kind == "f":
        return answer.astype(picture.pixels.dtype)
    return np.clip(np.rint(answer), 0, picture.top).astype(picture.pixels.dtype)


def _plain(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _print_names(as_json: bool) -> None:
    from tilewright.image.named import named, names, parameters_of

    found = [(name, parameters_of(name), named(name).source) for name in names()]
    if as_json:
        print_json(
            {
                "filters": [
                    {"name": name, "parameters": parameters, "source": source}
                    for name, parameters, source in found
                ]
            }
        )
        return
    width = max(len(name) for name in names())
    for name, parameters, source in found:
        click.echo(f"{click.style(f'{name:<{width}}', bold=True)}  {source}")
        if parameters:
            options = "  ".join(f"--{key.replace('_', '-')}" for key in parameters)
            click.echo(f"{'':<{width}}  {options}")
