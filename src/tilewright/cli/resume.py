"""``tilewright resume``: going on with a run."""

from __future__ import annotations

from pathlib import Path

import click

from tilewright.cli.closing import finish, parting
from tilewright.cli.text import ShowsExamples
from tilewright.cli.train import opening, recipe_of


@click.command(
    cls=ShowsExamples,
    short_help="Go on with a run, bit for bit.",
    examples=(
        ("tilewright resume runs/mnist-lenet5", "after Ctrl-C, a crash or a power cut"),
        ("tilewright resume runs/mnist-lenet5 --epochs 10", "longer than was planned"),
        ("tilewright resume runs/mnist-lenet5 --data /mnt/mnist", "the images have moved"),
    ),
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--epochs", type=click.IntRange(min=1), help="Passes in all, those done included.")
@click.option("--patience", type=click.IntRange(min=1), help="Validations without progress, in all.")
@click.option("--data", type=click.Path(path_type=Path), help="Where the data is now.")
@click.option("--workers", type=click.IntRange(min=0), help="Threads that make batches ahead.")
@click.option("--pictures/--no-pictures", default=True, help="Draw pictures at the end.  [default: do]")
@click.option("--tensorboard/--no-tensorboard", default=None, help="Write event files.  [default: as before]")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress and no hints, only the result.")
def resume(
    run: Path,
    epochs: int | None,
    patience: int | None,
    data: Path | None,
    workers: int | None,
    pictures: bool,
    tensorboard: bool | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Go on with RUN, the folder of a run that was stopped, from its last save.

    It ends with the same weights, to the bit, as if it had never been stopped. With more --epochs, a finished
    run goes on too; its schedule then follows the longer curve.
    """
    from tilewright.train import Recipe
    from tilewright.train.events import PREFIX, SUFFIX

    changed = {"epochs": epochs, "patience": patience, "data": data and str(data), "workers": workers}
    before = recipe_of(run)
    recipe = Recipe.from_table({**before, **{name: v for name, v in changed.items() if v is not None}})
    had_events = any(run.glob(f"{PREFIX}*{SUFFIX}"))
    trainer = recipe.trainer(
        run,
        progress=not quiet,
        pictures=pictures,
        tensorboard=had_events if tensorboard is None else tensorboard,
    )
    if not quiet:
        click.echo(opening(trainer, run, True), err=True)
    try:
        result = trainer.fit(resume=True)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(parting(error, run)) from error
    finish(trainer, result, as_json=as_json, quiet=quiet)
