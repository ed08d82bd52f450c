"""``tilewright train``: from images to a trained network in a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tilewright.cli.closing import finish, parting
from tilewright.cli.options import MODELS, settings
from tilewright.cli.settings_file import as_path, read_settings
from tilewright.cli.text import ShowsExamples
from tilewright.cli.train_upsampler import upsampler
from tilewright.errors import ArgumentError, describe

if TYPE_CHECKING:
    from tilewright.train import Recipe, Trainer

# What is no setting of the run, but of how the command goes about it.
_HOW = ("out", "overwrite", "pictures", "tensorboard", "as_json", "quiet")


class Trains(ShowsExamples):
    """The command, which hands ``train upsampler …`` on to the one that learns from pictures alone."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """The context of this command, or of that one."""
        if args[:1] != [upsampler.name]:
            return super().make_context(info_name, args, parent, **extra)
        return upsampler.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)


@click.command(
    cls=Trains,
    short_help="Train a network on a data set, or on data of one's own.",
    examples=(
        ("tilewright train digits", ""),
        ("tilewright train mnist --data ~/data/mnist --model lenet5", ""),
        ("tilewright train fashion_mnist --model autoencoder --out runs/clothes", ""),
        ("tilewright train --data photos --input 3,32,32 --model resnet20 --augment shift=2,flip", ""),
        ("tilewright train --data rooms.csv --target price --task regress --lr 0.001", ""),
        ("tilewright train --config run.toml --epochs 5", "settings of a file, and one changed"),
        ("tilewright train --config runs/a/config.toml --seed 2 --out runs/b", "an earlier run's settings"),
        ("tilewright train upsampler photos", "learn to double pictures; it has a --help of its own"),
    ),
)
@settings
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="TOML file with any of these options as keys (batch_size = 32), or a run's config.toml. What the "
    "command line says counts more.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Run folder.  [default: runs/DATASET-MODEL]")
@click.option("--overwrite/--no-overwrite", default=None, help="Replace an earlier run in the run folder.")
@click.option(
    "--resume", is_flag=True, help="Go on with the run in the run folder, as 'tilewright resume' does."
)
@click.option("--pictures/--no-pictures", default=None, help="Draw pictures at the end.  [default: do]")
@click.option("--tensorboard/--no-tensorboard", default=None, help="Write event files for TensorBoard.")
@click.option("--json/--no-json", "as_json", default=None, help="Print the result as JSON.")
@click.option("--quiet/--no-quiet", default=None, help="Show no progress and no hints, only the result.")
@click.pass_context
def train(ctx: click.Context, /, config: Path | None, resume: bool, **options: Any) -> None:
    """Train a network on DATASET (digits, mnist or fashion_mnist), or on data of one's own.

    What isn't given follows settings that suit the network and the data set. The run folder receives the
    best weights, the configuration, all numbers and several pictures. Ctrl-C saves and stops;
    'tilewright resume' goes on as if nothing had happened, also after a crash.
    """
    given = {} if config is None else read_settings(config, ctx.command)
    given |= {name: value for name, value in options.items() if value is not None}
    how = {name: given.pop(name, None) for name in _HOW}
    if resume and how["overwrite"]:
        raise click.UsageError("--overwrite starts anew and --resume goes on: choose one of them.")
    if "dataset" not in given and "data" not in given:
        raise click.UsageError(
            "Missing argument 'DATASET'. Name a data set, or data of your own with --data."
        )
    wish = {name: str(value) if isinstance(value, Path) else value for name, value in given.items()}
    out = as_path(how["out"]) or Path("runs") / f"{_title(wish)}-{wish.get('model', MODELS[0])}"
    recipe = _recipe_before(out, wish) if resume else _new(wish)
    quiet = bool(how["quiet"])
    trainer = recipe.trainer(
        out,
        progress=not quiet,
        pictures=how["pictures"] is not False,
        tensorboard=bool(how["tensorboard"]),
    )
    if not quiet:
        click.echo(opening(trainer, out, resume), err=True)
    try:
        result = trainer.fit(resume=resume, overwrite=bool(how["overwrite"]))
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(parting(error, out)) from error
    finish(trainer, result, as_json=bool(how["as_json"]), quiet=quiet)


def _title(wish: dict[str, Any]) -> str:
    return str(wish["dataset"]) if "dataset" in wish else Path(wish["data"]).resolve().stem


def _new(wish: dict[str, Any]) -> Recipe:
    from tilewright.train import Recipe

    if wish.get("optimizer") not in (None, "sgd", "rmsprop") and wish.get("momentum"):
        raise click.UsageError(f"--momentum belongs to sgd and rmsprop; {wish['optimizer']} has its own.")
    return Recipe.from_table(wish)


def _recipe_before(out: Path, wish: dict[str, Any]) -> Recipe:
    """The earlier run's recipe with what is asked for now; the trainer compares what must not change."""
    before = recipe_of(out)
    if wish.get("dataset") != before.get("dataset"):
        known = before.get("dataset") or before.get("data")
        raise click.UsageError(f"This run learns from {known}, not from {_title(wish)}.")
    return _new({**before, **wish})


def recipe_of(run: Path) -> dict[str, Any]:
    """The settings that a run was made with by the command.

    Raises:
        ArgumentError: there is no such run, or it was made in Python.
        FileFormatError: its ``config.toml`` is damaged.
    """
    from tilewright.train.run import RunFolder

    found = RunFolder(run).resumable_config().recipe
    if not found:
        raise ArgumentError(
            "Resuming by the command needs a run that the command made.",
            describe(run=str(run)),
            "One made in Python is resumed there: trainer.fit(resume=True).",
        )
    return found


def opening(trainer: Trainer, out: Path, resume: bool) -> str:
    """What the command says before it begins."""
    data = trainer.config.data
    weights = sum(parameter.numel() for parameter in trainer.model.parameters())
    verb = "Going on training" if resume else "Training"
    batch = ""
    if trainer.accumulate > 1:
        batch = f" {trainer.accumulate * trainer.loader.batch_size} images an update."
    return (
        f"{verb} {trainer.config.model.name} ({weights:,} weights) on {data.name}: "
        f"{data.train_samples:,} images to learn from, {data.test_samples:,} held out.{batch} "
        f"Run folder: {out}"
    )
