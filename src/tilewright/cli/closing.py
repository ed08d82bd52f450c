"""What ``tilewright train`` says at the end."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tilewright.cli.text import near, percent, program, quoted

if TYPE_CHECKING:
    from tilewright.train import Result, Trainer
    from tilewright.train.report import Reconstruction, Report


def print_result(trainer: Trainer, result: Result, *, hints: bool) -> None:
    """The result for people; with ``hints``, where the pictures are and what to try next."""
    report = result.report
    if report is None or trainer.run is None:
        return
    click.echo(_verdict(result, report))
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


def _verdict(result: Result, report: Report) -> str:
    from tilewright.train.progress import duration

    test, best, last = report.test, result.best, result.last
    span = f"{result.steps:,} steps in {duration(result.seconds)} of training"
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
    dataset = trainer.config.data.name
    data = trainer.config.data.folder
    source = f" --data {quoted(near(Path(data)))}" if data else ""
    summary = (f"{tool} summary {quoted(folder)}", "the network's layers, and what they cost")
    if trainer.config.training.task == "classify":
        images = run.samples if run is not None and report.samples else Path("YOUR-IMAGES")
        other = "lenet5" if trainer.config.model.name == "digitnet" else "digitnet"
        return [
            (f"{tool} predict {quoted(folder)} {quoted(images)}", "name what is in pictures"),
            summary,
            (f"{tool} train {dataset}{source} --model {other}", "the same images, another network"),
        ]
    return [
        summary,
        (f"{tool} train {dataset}{source} --model digitnet", "classify the same images"),
        (f"{tool} info", "what computes on this machine"),
    ]


def result_as_dict(trainer: Trainer, result: Result) -> dict[str, Any]:
    """The result for programs."""
    report, config = result.report, trainer.config
    found: dict[str, Any] = {
        "run": result.run_dir,
        "model": config.model.name,
        "dataset": config.data.name,
        "task": config.training.task,
        "epochs": config.training.epochs,
        "steps": result.steps,
        "seconds": round(result.seconds, 3),
        "best": asdict(result.best),
        "last": asdict(result.last),
    }
    if report is not None:
        test = report.test
        found["test"] = {
            "loss": test.loss,
            "accuracy": test.accuracy,
            "correct": test.correct,
            "images": test.images,
        }
        if report.reconstruction is not None:
            found["reconstruction"] = {**asdict(report.reconstruction), "ratio": report.reconstruction.ratio}
        found["pictures"] = [str(path) for path in report.pictures]
        found["samples"] = [str(path) for path in report.samples]
        found["notices"] = report.notices
    return found
