"""``tilewright predict``: name what is in pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tilewright.cli.text import ShowsExamples, percent, print_json
from tilewright.errors import ArgumentError, TilewrightError

if TYPE_CHECKING:
    from tilewright.train.predict import Predictor


@click.command(
    cls=ShowsExamples,
    short_help="Name what is in pictures.",
    examples=(
        ("tilewright predict runs/digits-digitnet seven.png", ""),
        ("tilewright predict runs/digits-digitnet photos --top 1", "the images of a folder"),
        ("tilewright predict runs/digits-digitnet seven.png --invert yes --json", ""),
    ),
)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--top", default=3, show_default=True, type=click.IntRange(min=1), help="How many classes to show."
)
@click.option(
    "--invert",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "yes", "no"]),
    help="Invert light and dark; auto: when the border is lighter than the centre.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.pass_context
def predict(
    ctx: click.Context, run: Path, images: tuple[Path, ...], top: int, invert: str, as_json: bool
) -> None:
    """Name what is in IMAGES (files, or folders of them) with the network of RUN.

    RUN is a run folder or a model.safetensors file. A file that can't be read is reported on standard
    error, and the others are still done: exit code 1. When none can be read, the exit code is 2.
    """
    from tilewright.train.predict import Predictor

    predictor = Predictor.open(run)
    answers: list[dict[str, Any]] = []
    failures: list[dict[str, str]] = []
    for path in _files(images, failures):
        try:
            answers.append({"file": str(path), "answers": _answers(predictor, path, top, invert)})
        except (TilewrightError, OSError) as error:
            failures.append({"file": str(path), "error": str(error)})
    if as_json:
        print_json({"run": str(run), "images": answers, "errors": failures})
    else:
        _print(answers)
    for failure in failures:
        click.echo(f"{click.style('error: ', fg='red', bold=True)}{failure['error']}", err=True)
    if failures:
        ctx.exit(1 if answers else 2)


def _files(named: tuple[Path, ...], failures: list[dict[str, str]]) -> list[Path]:
    from tilewright.data import find_images

    found: list[Path] = []
    for path in named:
        try:
            found += find_images(path)
        except (ArgumentError, OSError) as error:
            failures.append({"file": str(path), "error": str(error)})
    return found


def _answers(predictor: Predictor, path: Path, top: int, invert: str) -> list[dict[str, Any]]:
    return [
        {"class": name, "probability": probability}
        for name, probability in predictor.of_file(path, invert=invert)[:top]
    ]


def _print(answers: list[dict[str, Any]]) -> None:
    width = max((len(entry["file"]) for entry in answers), default=0)
    for entry in answers:
        first, *others = entry["answers"]
        best = click.style(f"{first['class']}  {percent(first['probability']):>8}", bold=True)
        rest = "   ".join(f"{answer['class']} {percent(answer['probability'])}" for answer in others)
        click.echo(f"{entry['file']:<{width}}  {best}   {rest}".rstrip())
