"""``tilewright train``: from images to a trained network in a run folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tilewright.cli.closing import print_result, result_as_dict
from tilewright.cli.text import ShowsExamples, print_json, program, quoted

if TYPE_CHECKING:
    from tilewright.data import ImageSet
    from tilewright.train import Trainer
    from tilewright.train.config import RunConfig

# Written out, since the modules that know them take a while to import; a test compares.
DATASETS = ("digits", "mnist", "fashion_mnist")
MODELS = ("digitnet", "lenet5", "autoencoder")
OPTIMIZERS = ("sgd", "adam")
LR_DECAYS = ("none", "linear")


@dataclass(frozen=True)
class Wish:
    """What the user asked for; None where the choice is left to us."""

    dataset: str
    folder: Path | None
    model: str | None
    epochs: int | None
    batch_size: int | None
    lr: float | None
    optimizer: str | None
    momentum: float | None
    seed: int | None
    validate_every: int | None
    lr_decay: str | None


@click.command(
    cls=ShowsExamples,
    short_help="Train a network on digits, mnist or fashion_mnist.",
    examples=(
        ("tilewright train digits", ""),
        ("tilewright train mnist --data ~/data/mnist --model lenet5", ""),
        ("tilewright train fashion_mnist --model autoencoder --out runs/clothes", ""),
        ("tilewright train digits --resume --epochs 40", "ten epochs more"),
    ),
)
@click.argument("dataset", type=click.Choice(DATASETS))
@click.option(
    "--data",
    "folder",
    type=click.Path(path_type=Path),
    help="Folder with the IDX files of mnist or fashion_mnist.  [default: download them once]",
)
@click.option("--model", type=click.Choice(MODELS), help="The network.  [default: digitnet]")
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training images.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Images per step.")
@click.option("--lr", type=click.FloatRange(min=0, min_open=True), help="Learning rate.")
@click.option(
    "--lr-decay",
    type=click.Choice(LR_DECAYS),
    help="Keep the learning rate, or let it fall in a straight line to zero at the last step.",
)
@click.option("--optimizer", type=click.Choice(OPTIMIZERS), help="How weights are updated.")
@click.option("--momentum", type=click.FloatRange(0, 1, max_open=True), help="Momentum of sgd.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="What all chance follows.  [default: 0]")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder.  [default: runs/DATASET-MODEL]")
@click.option(
    "--validate-every",
    type=click.IntRange(min=1),
    help="Validate and save every so many batches.  [default: 100]",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier run in the run folder.")
@click.option("--resume", is_flag=True, help="Go on with the run in the run folder, bit for bit.")
@click.option("--no-pictures", is_flag=True, help="Draw no pictures at the end.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress and no hints, only the result.")
def train(
    dataset: str,
    folder: Path | None,
    model: str | None,
    epochs: int | None,
    batch_size: int | None,
    lr: float | None,
    lr_decay: str | None,
    optimizer: str | None,
    momentum: float | None,
    seed: int | None,
    out: Path | None,
    validate_every: int | None,
    overwrite: bool,
    resume: bool,
    no_pictures: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train a network on DATASET (digits, mnist or fashion_mnist).

    What isn't given follows settings that suit the network and the data set. The run folder receives the
    best weights, the configuration, all numbers and several pictures. Ctrl-C saves and stops; --resume
    goes on as if nothing had happened.
    """
    if overwrite and resume:
        raise click.UsageError("--overwrite starts anew and --resume goes on: choose one of them.")
    wish = Wish(
        dataset, folder, model, epochs, batch_size, lr, optimizer, momentum, seed, validate_every, lr_decay
    )
    out = out or Path("runs") / f"{dataset}-{model or MODELS[0]}"
    trainer, data = _prepare(wish, out, resume, show=not quiet, pictures=not no_pictures)
    if not quiet:
        click.echo(_opening(trainer, data, out, resume), err=True)
    try:
        result = trainer.fit(resume=resume, overwrite=overwrite)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(_parting(error, dataset, out)) from error
    if as_json:
        print_json(result_as_dict(trainer, result))
    else:
        print_result(trainer, result, hints=not quiet)


def _prepare(wish: Wish, out: Path, resume: bool, *, show: bool, pictures: bool) -> tuple[Trainer, ImageSet]:
    """The trainer for what the user wants, filled up with the run's or the preset's settings."""
    from tilewright.data import load
    from tilewright.op.random import manual_seed
    from tilewright.train import Trainer
    from tilewright.train.presets import make_model, make_optimizer, preset_for
    from tilewright.train.run import RunFolder

    if resume:
        wish = _as_before(wish, RunFolder(out).resumable_config())
    name = wish.model or MODELS[0]
    preset = preset_for(name, wish.dataset)
    optimizer = wish.optimizer or preset.optimizer
    if optimizer == "adam" and wish.momentum:
        raise click.UsageError("--momentum belongs to --optimizer sgd; adam has its own.")
    is_preset = optimizer == preset.optimizer
    if not is_preset and wish.lr is None:
        raise click.UsageError(
            f"--optimizer {optimizer} needs --lr: {name} comes with one for {preset.optimizer}."
        )
    lr = preset.lr if wish.lr is None else wish.lr
    # 0.9 is what sgd is nearly always used with.
    momentum = wish.momentum if wish.momentum is not None else (preset.momentum if is_preset else 0.9)
    seed = wish.seed or 0
    data = load(wish.dataset, wish.folder)
    manual_seed(seed)
    network = make_model(name, data)
    trainer = Trainer(
        network,
        data,
        optimizer=make_optimizer(optimizer, network, lr, momentum, preset.weight_decay),
        task=preset.task,
        batch_size=wish.batch_size or preset.batch_size,
        epochs=wish.epochs or preset.epochs,
        # A rate of one's own is kept as it is, unless one asks for more.
        lr_decay=wish.lr_decay or (preset.lr_decay if wish.lr is None else "none"),
        seed=seed,
        run_dir=out,
        validate_every=wish.validate_every or 100,
        progress=show,
        pictures=pictures,
        data_folder=wish.folder,
    )
    return trainer, data


def _as_before(wish: Wish, before: RunConfig) -> Wish:
    """The wish with the earlier run's settings where the user gives none; the trainer compares the rest."""
    if before.data.name != wish.dataset:
        raise click.UsageError(f"This run learns from {before.data.name}, not from {wish.dataset}.")
    numbers = before.optimizer.options
    kept: dict[str, Any] = {
        "folder": None if before.data.folder is None else Path(before.data.folder),
        "model": before.model.name,
        "epochs": before.training.epochs,
        "batch_size": before.training.batch_size,
        "lr": numbers.get("lr"),
        "optimizer": before.optimizer.name.lower(),
        "momentum": numbers.get("momentum"),
        "seed": before.training.seed,
        "validate_every": before.training.validate_every,
        "lr_decay": before.training.lr_decay,
    }
    return replace(wish, **{key: value for key, value in kept.items() if getattr(wish, key) is None})


def _opening(trainer: Trainer, data: ImageSet, out: Path, resume: bool) -> str:
    weights = sum(parameter.numel() for parameter in trainer.model.parameters())
    verb = "Going on training" if resume else "Training"
    return (
        f"{verb} {trainer.config.model.name} ({weights:,} weights) on {data.name}: "
        f"{len(data.train):,} images to learn from, {len(data.test):,} held out. Run folder: {out}"
    )


def _parting(error: KeyboardInterrupt, dataset: str, out: Path) -> str:
    from tilewright.train import TrainingInterrupted

    go_on = f"Go on with: {program()} train {dataset} --out {quoted(out)} --resume"
    if isinstance(error, TrainingInterrupted):
        return f"Stopped by Ctrl-C after step {error.step} of {error.total}, and saved. {go_on}"
    return f"Stopped by Ctrl-C. The last save is kept. {go_on}"
