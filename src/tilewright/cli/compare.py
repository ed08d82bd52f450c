"""``tilewright compare``: runs side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tilewright.cli.text import ShowsExamples, print_json, quoted

if TYPE_CHECKING:
    from tilewright.train.comparison import Comparison

# Where the output isn't a terminal, which has a width of its own: no row is broken there.
_WIDTH_OF_A_FILE = 200


@click.command(
    cls=ShowsExamples,
    short_help="Training runs side by side: settings, results, curves.",
    examples=(
        ("tilewright compare runs/a runs/b", ""),
        ("tilewright compare runs/* --out comparison", "curves as a picture, and a page with everything"),
        ("tilewright compare runs/a runs/b --json", ""),
    ),
)
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for compare.png and compare.html.  [default: write nothing]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def compare(runs: tuple[Path, ...], out: Path | None, as_json: bool) -> None:
    """Lay RUNS (two run folders or more) side by side.

    The tables show the settings in which they differ, and what they came to; the best of each row is marked.
    A run that isn't finished takes part with what it has measured so far.
    """
    from tilewright.train.comparison import as_dict
    from tilewright.train.comparison import compare as lay_side_by_side
    from tilewright.train.comparison_page import write_files

    found = lay_side_by_side(runs)
    written = [] if out is None else write_files(found, out)
    if as_json:
        print_json({**as_dict(found), "files": written})
        return
    _print(found)
    if written:
        click.echo(f"Written: {', '.join(quoted(path) for path in written)}", err=True)


def _print(found: Comparison) -> None:
    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_A_FILE
    console.print("Results (* the best)" if found.best else "Results", style="bold")
    console.print(_table(found, found.figures, found.best))
    if found.settings:
        console.print("\nSettings that differ", style="bold")
        console.print(_table(found, found.settings, {}))
    else:
        console.print("\nAll settings are the same.", style="bold")
    unfinished = [run.name for run in found.runs if not run.is_finished]
    if unfinished:
        console.print(f"\nNot finished: {', '.join(unfinished)}.", markup=False, soft_wrap=True)


def _table(found: Comparison, rows: dict[str, Any], best: dict[str, tuple[int, ...]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    from tilewright.train.comparison_page import cell

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for run in found.runs:
        table.add_column(Text(run.name), justify="right", overflow="fold")
    for name, values in rows.items():
        # A star as well as the colour, which files and some eyes don't have.
        cells = [
            Text(cell(name, value) + " *", style="bold green")
            if place in best.get(name, ())
            else Text(cell(name, value) + ("  " if best else ""))
            for place, value in enumerate(values)
        ]
        table.add_row(Text(name), *cells)
    return table
