"""``tilewright bench``: our convolutions and pools beside other libraries', under the machine's roofs."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tilewright.cli.text import ShowsExamples, print_json, quoted

if TYPE_CHECKING:
    from tilewright.bench.cases import Case
    from tilewright.bench.report import Report
    from tilewright.bench.results import Row
    from tilewright.bench.roofs import Roofs

# Written out, since the modules that know them take a while to import; a test compares.
PEERS = ("pytorch", "onnxruntime", "opencv", "scipy", "jax", "openvino")
KINDS = ("depthwise", "grouped", "few-channels", "1d", "3d", "transposed", "dilated", "pools")
DIRECTIONS = ("forward", "backward")
LAYOUTS = ("nchw", "nhwc", "best")
DTYPES = ("float32", "float64")

# Where the output isn't a terminal, which has a width of its own: no row is broken there.
_WIDTH_OF_A_FILE = 170


class Names(click.ParamType):  # type: ignore[type-arg]
    """``a,b,c`` as a tuple of names; with ``known``, of these alone."""

    name = "NAMES"

    def __init__(self, known: tuple[str, ...] = ()) -> None:
        self.known = known

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The names, each once."""
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(part.strip() for part in str(value).split(",") if part.strip()))
        if not names:
            self.fail(f"{value!r} names nothing.", param, ctx)
        for name in names:
            if self.known and name not in self.known:
                self.fail(f"{name!r} is not one of {', '.join(self.known)}.", param, ctx)
        return names


class Counts(click.ParamType):  # type: ignore[type-arg]
    """``1,2`` as a tuple of numbers from 1 on."""

    name = "COUNTS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The counts, each once."""
        if isinstance(value, tuple):
            return value
        counts = tuple(int(part) if part.strip().isdecimal() else 0 for part in str(value).split(","))
        if min(counts) < 1:
            self.fail(f"{value!r} isn't a list of numbers such as 1,2.", param, ctx)
        return tuple(dict.fromkeys(counts))


@click.command(
    cls=ShowsExamples,
    short_help="Our convolutions and pools beside other libraries', under the machine's roofs.",
    examples=(
        ("tilewright bench --quick", "seven layers, in a minute or so"),
        ("tilewright bench --out runs/bench", "all dense layers; table, CSV, JSON and a picture"),
        ("tilewright bench --shapes windows", "depthwise, grouped, 1-D, 3-D, transposed, dilated, pools …"),
        ("tilewright bench --shapes vgg --direction forward --threads 1", ""),
        ("tilewright bench --match 1x1 --peers pytorch --json", ""),
        ("tilewright bench --shapes all --list", "what there is to measure"),
    ),
)
@click.option(
    "--shapes",
    type=Names(),
    help="Layers: dense, key (those that promises are made about), windows (what dense leaves out) or one "
    f"of {', '.join(KINDS)}, all; names of shapes files, networks or layers; paths of shapes files.  "
    "[default: dense; with --quick: key]",
)
@click.option(
    "--match",
    default="",
    metavar="TEXT",
    help="Only layers with this in their name or geometry, such as 3x3.",
)
@click.option(
    "--threads", type=Counts(), help="Numbers of threads.  [default: 1,2, as far as there are cores]"
)
@click.option(
    "--direction",
    type=Names(DIRECTIONS),
    default=DIRECTIONS,
    help="forward, backward (all gradients), or both.  [default: forward,backward]",
)
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    default="nchw",
    help="Which of our layouts the ratios are of; both are measured.  [default: nchw]",
)
@click.option(
    "--dtype", type=click.Choice(DTYPES), default="float32", help="Element type.  [default: float32]"
)
@click.option(
    "--peers",
    type=Names((*PEERS, "none")),
    default=PEERS,
    help=f"Whom to measure beside us: {', '.join(PEERS)}, or none.  [default: all that are installed]",
)
@click.option("--quick", is_flag=True, help="Fewer layers and fewer rounds.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for table.md, results.csv, results.json and roofline.png.  [default: write nothing]",
)
@click.option("--list", "only_list", is_flag=True, help="List the layers and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.pass_context
def bench(
    ctx: click.Context,
    shapes: tuple[str, ...] | None,
    match: str,
    threads: tuple[int, ...] | None,
    direction: tuple[str, ...],
    layout: str,
    dtype: str,
    peers: tuple[str, ...],
    quick: bool,
    out: Path | None,
    only_list: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure layers of real networks: ours, and PyTorch's, ONNX Runtime's, JAX's and OpenVINO's.

    Filters of pictures are OpenCV's and SciPy's as well.

    Every answer is checked first; then all are timed in turn, in one process, on the same number of threads,
    and the medians compared. A wrong answer is marked and makes the exit code 1. Ctrl-C stops, and keeps
    what was measured. For numbers to trust, nothing else should run on the machine.
    """
    from tilewright.bench.cases import select
    from tilewright.bench.contestants import LAYOUTS as OUR_LAYOUTS
    from tilewright.bench.contestants import Contestant, Ours
    from tilewright.bench.files import as_dict, ready, write
    from tilewright.bench.harness import Settings, run
    from tilewright.bench.peers import named
    from tilewright.bench.report import Report, machine
    from tilewright.bench.timing import QUICK, Effort

    if "none" in peers and len(peers) > 1:
        raise click.UsageError("--peers is none, or names of peers, not both.")
    cases = select(shapes or (("key",) if quick else ("dense",)), match)
    if only_list:
        _list(cases, as_json)
        return
    settings = Settings(threads or _thread_counts(), direction, dtype, layout, QUICK if quick else Effort())
    folder = None if out is None else ready(out)
    contestants: list[Contestant] = [Ours(own) for own in OUR_LAYOUTS]
    contestants += named(tuple(name for name in peers if name != "none"))
    roofs = _roofs(settings.dtype, settings.thread_counts)
    about = machine(contestants, roofs)
    planned = len(cases) * len(settings.directions) * len(settings.thread_counts)
    rows: list[Row] = []
    stopped = False
    try:
        with _progress(planned, show=not quiet) as progress:
            for row in run(cases, contestants, settings, roofs):
                rows.append(row)
                progress.done(row)
    except KeyboardInterrupt:
        stopped = True
    report = Report(about, settings, tuple(rows), planned)
    written = write(report, folder) if folder is not None else []
    if as_json:
        print_json(as_dict(report))
    else:
        _print(report)
    if written and not quiet:
        click.echo(f"Written: {', '.join(quoted(path) for path in written)}", err=True)
    if stopped:
        kept = "" if folder is None else f", which are in {quoted(folder)}"
        raise KeyboardInterrupt(f"Stopped by Ctrl-C after {len(rows)} of {planned} rows{kept}.")
    if not report.is_right:
        ctx.exit(1)


def _thread_counts() -> tuple[int, ...]:
    from tilewright.plan.processor import usable_cores

    return (1, 2) if usable_cores() > 1 else (1,)


def _roofs(dtype: str, counts: tuple[int, ...]) -> Roofs | None:
    from tilewright.bench.roofs import measure
    from tilewright.kernel.jit import Missing

    try:
        return measure(dtype, counts)
    except Missing as error:
        click.echo(
            f"note: the machine's roofs aren't measured: llvmlite can't be imported ({error}).", err=True
        )
        return None


def _list(cases: list[Case], as_json: bool) -> None:
    if as_json:
        found = [{"layer": c.name, "batch": c.layer.batch, "geometry": str(c.layer)} for c in cases]
        print_json(found)
        return
    width = max(len(case.name) for case in cases)
    for case in cases:
        click.echo(f"{case.name:<{width}}  {case.layer.batch:>5} × {case.layer}")


def _print(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table

    from tilewright.bench import tables
    from tilewright.bench.report import loss_sentences, not_measured, wrong_answers
    from tilewright.bench.results import summarise

    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_A_FILE
    for line in tables.machine_lines(report):
        console.print(line, markup=False, soft_wrap=True)
    for title, rows in tables.grouped(report.rows):
        body = [tables.cells(row) for row in rows]
        places = tables.fitting(body, console.width)
        table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        for name in (tables.COLUMNS[place] for place in places):
            words = name in ("layer", "geometry", "best peer")
            table.add_column(name, justify="left" if words else "right", no_wrap=True)
        for row, found in zip(rows, body, strict=True):
            table.add_row(*(found[place] for place in places), style=_style(row))
        console.print()
        console.print(table)
    console.print()
    for summary in summarise(report.rows):
        console.print(tables.summary_sentence(summary), style="bold", markup=False, soft_wrap=True)
    for title, sentences in (
        ("Wrong answers", wrong_answers(report.rows)),
        ("Losses", loss_sentences(report.rows)),
        ("Not measured", not_measured(report.rows)),
    ):
        if sentences:
            console.print(f"\n{title}", style="bold red" if title == "Wrong answers" else "bold")
            for sentence in sentences:
                console.print(f"  {sentence}", markup=False, soft_wrap=True)


def _style(row: Row) -> str | None:
    if row.is_wrong:
        return "bold red"
    return "yellow" if row.ratio is not None and row.ratio < 1 else None


class _Lines:
    """A line per row on standard error; with ``show`` off, nothing."""

    def __init__(self, total: int, show: bool) -> None:
        self._total, self._show, self._count = total, show, 0

    def done(self, row: Row) -> None:
        """A row was measured."""
        self._count += 1
        if self._show:
            click.echo(f"[{self._count}/{self._total}] {_said(row)}", err=True)


class _Bar:
    """A bar with the time left, and the last row beside it."""

    def __init__(self, progress: Any, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("measuring", total=total, last="")

    def done(self, row: Row) -> None:
        """A row was measured."""
        self._progress.update(self._task, advance=1, last=_said(row), refresh=True)


def _progress(total: int, *, show: bool) -> AbstractContextManager[_Lines | _Bar]:
    from rich.console import Console

    console = Console(stderr=True)
    if not show or not console.is_terminal or console.is_dumb_terminal:
        return nullcontext(_Lines(total, show))
    return _LiveBar(console, total)


class _LiveBar(AbstractContextManager[_Bar]):
    """The bar, from the first row to the last."""

    def __init__(self, console: Any, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._total = total
        self._progress = Progress(
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[last]}", markup=False),
            console=console,
            # Ten redraws a second would be work on a core that is being measured.
            auto_refresh=False,
        )

    def __enter__(self) -> _Bar:
        self._progress.start()
        return _Bar(self._progress, self._total)

    def __exit__(self, *reason: object) -> None:
        self._progress.stop()


def _said(row: Row) -> str:
    from tilewright.bench.report import place
    from tilewright.bench.tables import rate_cell, ratio_cell

    return f"{place(row)}: {rate_cell(row, row.ours)} GFLOP/s, {ratio_cell(row.ratio)} {row.best_peer or ''}"
