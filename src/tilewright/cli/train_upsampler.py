"""``tilewright train upsampler``: a network that doubles pictures, from a folder of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tilewright.cli.text import ShowsExamples, print_json

if TYPE_CHECKING:
    from tilewright.train.upsampler_training import UpsamplerResult

# Written out, since the module that knows them takes a while to import; a test compares.
PRESETS = ("quick", "standard", "thorough")
_COUNT: Any = click.IntRange(min=1)
_PATH: Any = click.Path(path_type=Path)
_INTERRUPTED = 130


@click.command(
    cls=ShowsExamples,
    short_help="Learn to double pictures from a folder of them.",
    examples=(
        ("tilewright train upsampler photos", ""),
        ("tilewright train upsampler photos --preset quick --out quick.safetensors", "in half a minute"),
        ("tilewright train upsampler photos --validate others --steps 5000", "judged by other pictures"),
        ("tilewright train upsampler photos --start upsampler.safetensors --overwrite", "learn on"),
    ),
)
@click.argument("folder", type=_PATH)
@click.option(
    "--out",
    type=_PATH,
    default=Path("upsampler.safetensors"),
    show_default=True,
    help="The file to write.",
)
@click.option("--overwrite", is_flag=True, help="Replace it if it is there.")
@click.option(
    "--preset",
    type=click.Choice(PRESETS),
    default="standard",
    show_default=True,
    help="Size of the network and length of the training.",
)
@click.option("--validate", type=_PATH, help="Pictures to judge by.  [default: some of FOLDER's]")
@click.option(
    "--held-out",
    metavar="X",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.1,
    show_default=True,
    help="The share of FOLDER's pictures to judge by, without --validate.",
)
@click.option("--start", type=_PATH, help="An up-sampler to begin with.")
@click.option("--steps", metavar="N", type=_COUNT, help="Updates of the weights.  [default: the preset's]")
@click.option("--batch-size", metavar="N", type=_COUNT, help="Patches of an update.")
@click.option("--patch", metavar="N", type=_COUNT, help="Side of a patch, in pixels of the small pictures.")
@click.option("--features", metavar="N", type=_COUNT, help="Channels of the network.")
@click.option("--blocks", metavar="N", type=_COUNT, help="Residual blocks of the network.")
@click.option(
    "--lr", metavar="X", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="Learning rate."
)
@click.option("--seed", metavar="N", type=click.IntRange(0, 2**63 - 1), help="What all chance follows.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress, only the result.")
@click.pass_context
def upsampler(
    ctx: click.Context,
    /,
    folder: Path,
    out: Path,
    overwrite: bool,
    preset: str,
    validate: Path | None,
    held_out: float,
    start: Path | None,
    as_json: bool,
    quiet: bool,
    **changes: Any,
) -> None:
    """Learn from the pictures of FOLDER to bring a picture to twice its size.

    The pictures are halved, and a small network learns to bring back what was lost. Some are held out:
    'PSNR' says how near, in decibels, the network comes to these, beside cubic interpolation. Ctrl-C ends
    the training, and keeps the best network so far.
    """
    from tilewright.train.upsampler_training import PRESETS as KNOWN
    from tilewright.train.upsampler_training import train_upsampler

    wanted = {name: value for name, value in changes.items() if value is not None}
    result = train_upsampler(
        folder,
        out,
        replace(KNOWN[preset], **wanted),
        validate=validate,
        held_out=held_out,
        start=start,
        overwrite=overwrite,
        progress=not quiet,
    )
    if as_json:
        print_json(result.as_dict())
    else:
        _print(result)
    if result.interrupted:
        ctx.exit(_INTERRUPTED)


def _print(result: UpsamplerResult) -> None:
    from tilewright.train.progress import duration

    if result.interrupted:
        click.echo(f"Stopped by Ctrl-C after step {result.steps}; the best network so far is kept.")
    headline = f"Held-out PSNR {result.learnt:.2f} dB, bicubic {result.bicubic:.2f} dB"
    click.echo(
        f"{click.style(headline, bold=True)}: {result.learnt - result.bicubic:+.2f} dB "
        f"(weights of step {result.best_step:,}; {result.steps:,} steps in {duration(result.seconds)})."
    )
    width = max(len(one.name) for one in result.held_out)
    for one in result.held_out:
        click.echo(f"  {one.name:<{width}}  bicubic {one.bicubic:5.2f}  learnt {one.learnt:5.2f}")
    click.echo(f"Written: {result.path}")
