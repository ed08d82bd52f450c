"""``tilewright predict``: what a trained network says of pictures, tables and archives."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tilewright.cli.text import ShowsExamples, percent, print_json
from tilewright.errors import ArgumentError, TilewrightError

if TYPE_CHECKING:
    from tilewright.train.predict import Predictor, Sample

Entry = dict[str, Any]


@click.command(
    cls=ShowsExamples,
    short_help="Classes, numbers or masks of pictures, tables and archives.",
    examples=(
        ("tilewright predict runs/digits-digitnet seven.png", ""),
        ("tilewright predict runs/digits-digitnet photos --top 1", "the images of a folder"),
        ("tilewright predict runs/digits-digitnet seven.png --invert yes --json", ""),
        ("tilewright predict runs/rooms-digitnet new.csv --csv", "a number for each row of a table"),
        ("tilewright predict runs/cells-unet photos --out masks", "a mask for each image"),
    ),
)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("images", metavar="FILES...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--top", default=3, show_default=True, type=click.IntRange(min=1), help="How many classes to show."
)
@click.option(
    "--invert",
    type=click.Choice(["auto", "yes", "no"]),
    help="Invert light and dark; auto: when the border is lighter than the centre.  [default: auto of "
    "classes, else no]",
)
@click.option(
    "--keep-size",
    is_flag=True,
    help="Take images as large as they are, with a network for any size, such as unet.  [default: resize "
    "them to what was learnt from]",
)
@click.option(
    "--out",
    default=Path("masks"),
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder for masks, NAME-mask.png.",
)
@click.option("--overwrite", is_flag=True, help="Replace masks that are there.")
@click.option("--csv", "as_csv", is_flag=True, help="Print a table of comma-separated values.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.pass_context
def predict(
    ctx: click.Context,
    run: Path,
    images: tuple[Path, ...],
    top: int,
    invert: str | None,
    keep_size: bool,
    out: Path,
    overwrite: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Say what is in FILES with the network of RUN: classes, numbers, or a mask of classes.

    FILES are images, folders of them, .csv tables or .npz archives. RUN is a run folder or a
    model.safetensors file. Masks are written as PNG files whose pixels are the numbers of the classes, as
    large as their images. A file that can't be read is reported on standard error, and the others are still
    done: exit code 1. When none can be read, the exit code is 2.
    """
    if as_csv and as_json:
        raise click.UsageError("--csv and --json are two forms of the same: choose one of them.")
    from tilewright.train.predict import Predictor

    predictor = Predictor.open(run)
    masks = _Masks(out, overwrite)
    invert = invert or ("auto" if predictor.task == "classify" else "no")
    entries: list[Entry] = []
    failures: list[dict[str, str]] = []
    for path in _files(images, failures):
        try:
            samples = predictor.samples(path, invert=invert, keep_size=keep_size)
            # A file counts as a whole or not at all.
            entries += list(_entries(predictor, path, samples, top, masks))
        except (TilewrightError, OSError) as error:
            failures.append({"file": str(path), "error": str(error)})
    if as_json:
        print_json({"run": str(run), "images": entries, "errors": failures})
    elif as_csv:
        click.echo(_table(predictor.task, entries), nl=False)
    else:
        _print(entries)
    for failure in failures:
        click.echo(f"{click.style('error: ', fg='red', bold=True)}{failure['error']}", err=True)
    if failures:
        ctx.exit(1 if entries else 2)


class _Masks:
    """The files that masks are written to, a different one for each mask."""

    def __init__(self, folder: Path, overwrite: bool) -> None:
        self.folder = folder
        self.overwrite = overwrite
        self.written: set[Path] = set()

    def write(self, source: Path, row: int | None, mask: Any, classes: int) -> str:
        """Write a mask, and say where."""
        from tilewright.train.mask_files import write_mask

        stem = source.stem if row is None else f"{source.stem}-{row}"
        path, number = self.folder / f"{stem}-mask.png", 1
        # Two folders may hold images of one name.
        while path in self.written:
            number += 1
            path = self.folder / f"{stem}-mask-{number}.png"
        write_mask(path, mask, classes, overwrite=self.overwrite)
        self.written.add(path)
        return str(path)


def _files(named: tuple[Path, ...], failures: list[dict[str, str]]) -> list[Path]:
    from tilewright.data import find_images

    found: list[Path] = []
    for path in named:
        try:
            found += find_images(path)
        except (ArgumentError, OSError) as error:
            failures.append({"file": str(path), "error": str(error)})
    return found


def _entries(
    predictor: Predictor, path: Path, samples: list[Sample], top: int, masks: _Masks
) -> Iterator[Entry]:
    for sample, said in zip(samples, predictor.outputs(samples), strict=True):
        entry: Entry = {"file": str(path)}
        if sample.row is not None:
            entry["row"] = sample.row
        if predictor.task == "classify":
            entry["answers"] = _pairs("probability", predictor.classes(said)[:top])
        elif predictor.task == "regress":
            # The shortest digits that tell a float32 from its neighbours.
            entry["values"] = [float(str(value)) for value in said.ravel()]
        else:
            mask = predictor.mask(said, sample.size)
            shares = predictor.shares(mask, len(said))
            entry["mask"] = masks.write(path, sample.row, mask, len(said))
            entry["shares"] = _pairs("share", shares[:top])
        yield entry


def _pairs(name: str, pairs: list[tuple[str, float]]) -> list[dict[str, Any]]:
    return [{"class": title, name: value} for title, value in pairs]


def _table(task: str, entries: list[Entry]) -> str:
    """A line for each class of a sample, or for each sample's numbers."""
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    if task == "regress":
        most = max((len(entry["values"]) for entry in entries), default=1)
        names = ["value"] if most == 1 else [f"value_{number}" for number in range(1, most + 1)]
        table.writerow(["file", "row", *names])
        table.writerows([entry["file"], entry.get("row", ""), *entry["values"]] for entry in entries)
        return written.getvalue()
    named, figure, column = (
        ("answers", "probability", []) if task == "classify" else ("shares", "share", ["mask"])
    )
    table.writerow(["file", "row", *column, "class", figure])
    for entry in entries:
        head = [entry["file"], entry.get("row", ""), *(entry[name] for name in column)]
        table.writerows([*head, answer["class"], answer[figure]] for answer in entry[named])
    return written.getvalue()


def _print(entries: list[Entry]) -> None:
    names = [f"{entry['file']}:{entry['row']}" if "row" in entry else entry["file"] for entry in entries]
    width = max(map(len, names), default=0)
    for name, entry in zip(names, entries, strict=True):
        click.echo(f"{name:<{width}}  {_line(entry)}".rstrip())


def _line(entry: Entry) -> str:
    if "values" in entry:
        return click.style("  ".join(f"{value:.6g}" for value in entry["values"]), bold=True)
    if "mask" in entry:
        shares = "   ".join(f"{part['class']} {percent(part['share'])}" for part in entry["shares"])
        return f"{click.style(entry['mask'], bold=True)}  {shares}"
    first, *others = entry["answers"]
    best = click.style(f"{first['class']}  {percent(first['probability']):>8}", bold=True)
    rest = "   ".join(f"{answer['class']} {percent(answer['probability'])}" for answer in others)
    return f"{best}   {rest}"
