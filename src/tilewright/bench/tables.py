"""The numbers as tables: cells for any kind of table, and Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tilewright.bench.contestants import OURS, our_name
from tilewright.bench.report import Report, loss_sentences, not_measured, ratio_text, wrong_answers
from tilewright.bench.results import OK, UNABLE, Row, Summary, sorted_groups, summarise

#: Columns of the full table; all but the first two hold numbers.
COLUMNS = (
    "layer",
    "geometry",
    "batch",
    "GFLOP/s",
    "GB/s",
    "of roof",
    "other layout",
    "best peer",
    "its GFLOP/s",
    "ratio",
)
#: What a narrow terminal does without, the first of them first.
DISPENSABLE = ("geometry", "other layout", "batch", "GB/s", "its GFLOP/s")
NOTHING = "—"


def cells(row: Row) -> list[str]:
    """A row's cells, in the order of :data:`COLUMNS`."""
    ours, peer = row.ours, row.best_peer
    other = next(
        (found.contestant for found in row.results if found.package == OURS and found.contestant != ours),
        ours,
    )
    return [
        row.name,
        str(row.layer),
        str(row.layer.batch),
        rate_cell(row, ours),
        _bandwidth(row, ours),
        _share(row),
        NOTHING if other == ours else rate_cell(row, other),
        peer or NOTHING,
        NOTHING if peer is None else rate_cell(row, peer),
        ratio_cell(row.ratio),
    ]


def fitting(body: Sequence[Sequence[str]], width: int) -> list[int]:
    """Places of the columns that fit into a line of so many letters, two between neighbours.

    The most dispensable ones go first; when even the rest is too wide, that is all there is to do.
    """
    widths = [max(len(line[place]) for line in (COLUMNS, *body)) for place in range(len(COLUMNS))]
    kept = list(range(len(COLUMNS)))
    for name in DISPENSABLE:
        if sum(widths[place] + 2 for place in kept) - 2 > width:
            kept.remove(COLUMNS.index(name))
    return kept


def rate_cell(row: Row, contestant: str) -> str:
    """A contestant's GFLOP/s, or ``WRONG``."""
    found = row.result(contestant)
    if found is None or found.status == UNABLE:
        return NOTHING
    if found.status != OK:
        return found.status.upper()
    return _three_figures((row.rate(contestant) or 0.0) / 1e9)


def ratio_cell(ratio: float | None) -> str:
    """``1.23×``, or a dash."""
    return NOTHING if ratio is None else ratio_text(ratio)


def grouped(rows: Iterable[Row]) -> list[tuple[str, list[Row]]]:
    """The rows by direction and number of threads, each group with its heading."""
    groups: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.direction, row.threads), []).append(row)
    return [(heading(direction, count), group) for (direction, count), group in sorted_groups(groups)]


def heading(direction: str, threads: int) -> str:
    """``Forward, 2 threads``."""
    return f"{direction.capitalize()}, {_count(threads, 'thread')}"


def machine_lines(report: Report) -> list[str]:
    """What the numbers are of, a fact a line."""
    machine = report.machine
    features = ", ".join(machine.processor["features"]) or "none known"
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    lines = [
        f"Processor: {machine.processor['name']} ({machine.processor['architecture']}; vectors: {features}), "
        f"{machine.processor['cores']} usable cores, {machine.system}",
        f"Versions: {versions}",
    ]
    if machine.roofs is not None:
        kind, roofs = report.settings.dtype, machine.roofs
        rates = "; ".join(
            f"{_count(count, 'thread')}: {fma / 1e9:.0f} GFLOP/s, {roofs.copy[count] / 1e9:.1f} GB/s"
            for count, fma in roofs.fma.items()
        )
        lines.append(
            f"Roofs (multiply-adds in {kind} by {roofs.target} code; bytes read and written by a copy of "
            f"{roofs.copied_bytes >> 20} MiB): {rates}"
        )
    lines += [f"Absent: {package}: {reason}" for package, reason in machine.absent.items()]
    lines.append(f"Measured: {machine.date} UTC, {len(report.rows)} of {report.planned} rows")
    return lines


def summary_sentence(summary: Summary) -> str:
    """One direction and number of threads in a sentence."""
    start = f"{heading(summary.direction, summary.threads)}: {_count(summary.rows, 'layer')}"
    bound = ""
    if summary.share_of_copy is not None:
        bound = (
            f" {summary.memory_bound} bound by memory, at {100 * summary.share_of_copy:.0f} % of the copy "
            "rate in the median."
        )
    if summary.mean is None:
        return f"{start}, none beside a peer.{bound}"
    packages = ", ".join(f"{ratio_cell(ratio)} {name}" for name, ratio in summary.by_package.items())
    return (
        f"{start}; geometric mean {ratio_cell(summary.mean)} the best peer ({packages}); lowest "
        f"{ratio_cell(summary.lowest)}; {summary.losses} of {summary.compared} below 1.{bound}"
    )


def markdown(report: Report) -> str:
    """Everything, as the file ``table.md``."""
    return "\n".join(
        [
            *_bullets(machine_lines(report)),
            "",
            *_summary_lines(report),
            *(line for title, rows in grouped(report.rows) for line in _section(title, rows)),
            *_lists(report),
        ]
    )


def digest(report: Report) -> str:
    """A row per layer with the ratios of all directions and threads: what a README shows."""
    groups = grouped(report.rows)
    found = {(title, row.name): row for title, rows in groups for row in rows}
    names = dict.fromkeys(row.name for row in report.rows)
    first = {name: next(row for row in report.rows if row.name == name) for name in names}
    body = [
        [name, str(first[name].layer), str(first[name].layer.batch)]
        + [_pair(found.get((title, name))) for title, _ in groups]
        for name in names
    ]
    return "\n".join(
        [
            *_bullets(machine_lines(report)),
            "",
            *_summary_lines(report),
            "GFLOP/s of ours, and their ratio to the best peer's:",
            "",
            *_table(["layer", "geometry", "batch", *(title.lower() for title, _ in groups)], body, words=2),
            "",
            *_lists(report),
        ]
    )


def _section(title: str, rows: Sequence[Row]) -> list[str]:
    variant = our_name(rows[0].layout) if rows[0].layout != "best" else "the faster of our layouts"
    lines = [f"## {title}", "", f"Ours is {variant}.", ""]
    return [*lines, *_table(COLUMNS, [cells(row) for row in rows], words=2), ""]


def _summary_lines(report: Report) -> list[str]:
    return [*_bullets(summary_sentence(summary) for summary in summarise(report.rows)), ""]


def _lists(report: Report) -> list[str]:
    lines = []
    for title, sentences in (
        ("Wrong answers", wrong_answers(report.rows)),
        ("Losses", loss_sentences(report.rows)),
        ("Not measured", not_measured(report.rows)),
    ):
        if sentences:
            lines += [f"## {title}", "", *_bullets(sentences), ""]
    return lines


def _table(columns: Sequence[str], body: Sequence[Sequence[str]], words: int) -> list[str]:
    """A Markdown table whose first columns are words and the others numbers."""
    rule = ["---"] * words + ["---:"] * (len(columns) - words)
    return [f"| {' | '.join(line)} |" for line in (columns, rule, *body)]


def _bullets(lines: Iterable[str]) -> list[str]:
    return [f"- {line}" for line in lines]


def _pair(row: Row | None) -> str:
    return NOTHING if row is None else f"{rate_cell(row, row.ours)} ({ratio_cell(row.ratio)})"


def _bandwidth(row: Row, contestant: str) -> str:
    bandwidth = row.bandwidth(contestant)
    return NOTHING if bandwidth is None else _three_figures(bandwidth / 1e9)


def _three_figures(number: float) -> str:
    """At least: 3.14, 31.4, 314."""
    return f"{number:.2f}" if number < 10 else f"{number:.1f}" if number < 100 else f"{number:.0f}"


def _share(row: Row) -> str:
    share = row.share(row.ours)
    if share is None:
        return NOTHING
    return f"{100 * share:.0f} % {'copy' if row.memory_bound else 'fma'}"


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
