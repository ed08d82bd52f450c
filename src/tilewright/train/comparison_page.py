"""A comparison of runs as files: the curves as a picture, and a page that holds it and the tables."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tilewright.errors import ArgumentError, describe
from tilewright.lens.curves import ACCURACY
from tilewright.lens.runs import draw_runs
from tilewright.train.checkpoint import write_whole
from tilewright.train.comparison import Comparison
from tilewright.train.pictures import MEASURES

PICTURE, PAGE = "compare.png", "compare.html"
# Shares of 1 are read as percentages.
_SHARES = ("accuracy", "F1", "IoU", "Dice")

_STYLE = """
:root { color-scheme: light dark; --ink: #1f2a37; --muted: #5b6777; --line: #e6eaef; --best: #e3f4ec; --paper:
#fff } @media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaef; --muted: #9aa7b6; --line: #33404f; --best: #17463a; --paper: #16202b }
}
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: var(--ink); background: var(--paper);
  font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
img { max-width: 100%; background: #fff; border-radius: 6px }
div { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .8rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap }
th:first-child { text-align: left; font-weight: 500 } thead th { color: var(--muted) }
td.best { background: var(--best); font-weight: 600 } p { color: var(--muted) }
"""


def write_files(found: Comparison, folder: Path) -> list[Path]:
    """Draw the curves and write the page into a folder, which is made where it is missing.

    Returns:
        The two files.

    Raises:
        ArgumentError: the folder is a file, or no run has a finite validation yet.
        MissingExtraError: Matplotlib isn't installed.
        OSError: the disk refuses.
    """
    if folder.exists() and not folder.is_dir():
        raise ArgumentError("A comparison is written into a folder.", describe(out=str(folder)))
    folder.mkdir(parents=True, exist_ok=True)
    tasks = {run.config.training.task for run in found.runs}
    score = MEASURES.get(tasks.pop(), ACCURACY) if len(tasks) == 1 else ACCURACY
    rows = {run.name: [row.values() for row in run.rows] for run in found.runs if run.rows}
    picture = draw_runs(rows, folder / PICTURE, f"{len(found.runs)} runs", score)
    page = folder / PAGE
    write_whole(page, _page(found, picture.read_bytes()).encode())
    return [picture, page]


def cell(name: str, value: Any) -> str:
    """A setting or figure as a table shows it; an en dash where there is none."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(cell("", item) for item in value) or "none"
    if not isinstance(value, (int, float)):
        return str(value)
    if any(word in name for word in _SHARES):
        return f"{100 * value:.2f} %"
    return f"{value:.6g}"


def _page(found: Comparison, picture: bytes) -> str:
    names = [run.name for run in found.runs]
    unfinished = [run.name for run in found.runs if not run.is_finished]
    note = f"<p>Not finished: {html.escape(', '.join(unfinished))}.</p>" if unfinished else ""
    shown = base64.b64encode(picture).decode()
    settings = _table(names, found.settings, {}) if found.settings else "<p>None.</p>"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{len(names)} training runs</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{len(names)} training runs</h1>
{note}
<h2>Curves</h2>
<img src="data:image/png;base64,{shown}" alt="Losses and scores of the runs over their steps">
<h2>Results</h2>
{_table(names, found.figures, found.best)}
<h2>Settings that differ</h2>
{settings}
</body>
</html>
"""


def _table(names: list[str], rows: Mapping[str, tuple[Any, ...]], best: Mapping[str, tuple[int, ...]]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    lines = []
    for key, values in rows.items():
        marks = [' class="best"' if place in best.get(key, ()) else "" for place in range(len(values))]
        cells = (html.escape(cell(key, value)) for value in values)
        row = "".join(f"<td{mark}>{text}</td>" for mark, text in zip(marks, cells, strict=True))
        lines.append(f"<tr><th>{html.escape(key)}</th>{row}</tr>")
    body = "\n".join(lines)
    return f"<div><table>\n<thead><tr><th></th>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>"
