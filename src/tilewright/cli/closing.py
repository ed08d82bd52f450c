"""What ``tilewright train`` and ``tilewright resume`` say at the end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tilewright.cli.text import near, percent, print_json, program, quoted

if TYPE_CHECKING:
    from tilewright.train import Result, Trainer
    from tilewright.train.report import Reconstruction, Report


# Figures of a task that has no accuracy, or more to say than it.
_FIGURES = {
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R²",
    "mean_iou": "mean IoU",
    "mean_dice": "mean Dice",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "mean F1",
    "top_5_accuracy": "among the best five",
}
_SHARES = ("mean_iou", "mean_dice", "balanced_accuracy", "top_5_accuracy")


def finish(trainer: Trainer, result: Result, *, as_json: bool, quiet: bool) -> None:
    """Print the result, for people or for programs."""
    from tilewright.train.result import as_dict

    if as_json:
        print_json(as_dict(trainer.config, result))
    else:
        print_result(trainer, result, hints=not quiet)


def parting(error: KeyboardInterrupt, run: Path) -> str:
    """What Ctrl-C is answered with."""
    from tilewright.train import TrainingInterrupted

    go_on = f"Go on with: {program()} resume {quoted(run)}"
    if isinstance(error, TrainingInterrupted):
        return f"Stopped by Ctrl-C after step {error.step} of {error.total}, and saved. {go_on}"
    return f"Stopped by Ctrl-C. The last save is kept. {go_on}"


def print_result(trainer: Trainer, result: Result, *, hints: bool) -> None:
    """The result for people; with ``hints``, where the pictures are and what to try next."""
    report = result.report
    if report is None or trainer.run is None:
        return
    click.echo(_verdict(trainer.config.training.task, result, report))
    if hints and report.test.figures:
        click.echo(_figures(report.test.figures))
    if report.reconstruction is not None:
        click.echo(_comparison(report.reconstruction))
    for notice in report.notices:
        click.echo(f"note: {notice}", err=True)
    if not hints:
        return
    click.echo(f"Weights:  {trainer.run.model}")
    if report.pictures:
        names = ", ".join(path.name for path in report.pictures)
        click.echo(f"Pictures: {trainer.run.path}{os.sep} ({names})")
    click.echo("\nWorth trying next:")
    commands = next_commands(trainer, report)
    width = max(len(command) for command, _ in commands)
    for command, purpose in commands:
        click.echo(f"  {click.style(f'{command:<{width}}', bold=True)}  {purpose}")


def _figures(figures: dict[str, float]) -> str:
    parts = [
        f"{_FIGURES.get(name, name)} {percent(value) if name in _SHARES else f'{value:.4g}'}"
        for name, value in figures.items()
    ]
    words = ", ".join(parts)
    return f"{words[:1].upper()}{words[1:]}."


def _verdict(task: str, result: Result, report: Report) -> str:
    from tilewright.train.progress import duration

    test, best, last = report.test, result.best, result.last
    span = f"{result.steps:,} steps in {duration(result.seconds)} of training"
    if result.stopped_early:
        span += ", stopped early"
    if task == "segment":
        headline = f"Test mean IoU {percent(test.figures['mean_iou'])} of {test.images:,} held-out images"
        after = "" if last.score is None else f"; after the last step {percent(last.score)}"
        return f"{click.style(headline, bold=True)} (best weights, of step {best.step:,}{after}); {span}."
    if test.accuracy is None:
        after = f"after the last step {last.loss:.5f}"
        return f"Test loss {test.loss:.5f} (best weights, of step {best.step:,}; {after}); {span}."
    headline = (
        f"Test accuracy {percent(test.accuracy)}: {test.correct:,} of {test.images:,} held-out images right"
    )
    # The best of several looks at the same images flatters a little, so the last one stands beside it.
    after = "" if last.accuracy is None else f"; after the last step {percent(last.accuracy)}"
    return f"{click.style(headline, bold=True)} (best weights, of step {best.step:,}{after}); {span}."


def _comparison(found: Reconstruction) -> str:
    height, width = found.thumbnail_size
    rows = [
        ("the network", found.error),
        (f"a thumbnail of {height} × {width} values, enlarged", found.thumbnail_error),
        ("the mean image", found.mean_image_error),
    ]
    lines = [
        f"Compression {found.ratio:.4g} to 1: {found.image_values} values in {found.embedding_values} "
        f"(layer {found.embedding}). Mean squared error of a pixel:"
    ]
    return "\n".join([*lines, *(f"  {name:<42} {error:.5f}" for name, error in rows)])


def next_commands(trainer: Trainer, report: Report) -> list[tuple[str, str]]:
    """Three commands that work by copy and paste, and what each is for."""
    tool, run = program(), trainer.run
    folder = run.path if run is not None else Path("runs")
    recipe = trainer.config.recipe
    words = [str(recipe["dataset"])] if "dataset" in recipe else []
    if "data" in recipe:
        words.append(f"--data {quoted(near(Path(recipe['data'])))}")
    if "input" in recipe:
        words.append(f"--input {','.join(map(str, recipe['input']))}")
    source = " ".join(words)
    summary = (f"{tool} summary {quoted(folder)}", "the network's layers, and what they cost")
    if trainer.config.training.task == "classify":
        images = run.samples if run is not None and report.samples else Path("YOUR-IMAGES")
        other = "lenet5" if trainer.config.model.name == "digitnet" else "digitnet"
        return [
            (f"{tool} predict {quoted(folder)} {quoted(images)}", "name what is in pictures"),
            summary,
            (f"{tool} train {source} --model {other}", "the same images, another network"),
        ]
    if trainer.config.training.task != "reconstruct":
        longer = f"{tool} resume {quoted(folder)} --epochs {2 * trainer.epochs}"
        return [
            summary,
            (longer, "go on for twice as long"),
            (f"{tool} predict {quoted(folder)} YOUR-FILES", "what it says of images, tables or archives"),
        ]
    return [
        summary,
        (f"{tool} train {source} --model digitnet --task classify", "classify the same images"),
        (f"{tool} info", "what computes on this machine"),
    ]
