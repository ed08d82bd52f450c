"""A run's files: ``table.md``, ``results.csv``, ``results.json``, ``roofline.png``, and a README's table."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tilewright.bench.picture import draw_roofline
from tilewright.bench.report import Report, loss_sentence, not_measured, wrong_answers
from tilewright.bench.results import Row, losses, summarise
from tilewright.bench.tables import digest, markdown
from tilewright.errors import ArgumentError, FileFormatError, MissingExtraError, describe
from tilewright.files import atomic_file

TABLE, CSV, JSON, PICTURE = "table.md", "results.csv", "results.json", "roofline.png"
#: Between these two lines, each on its own, a README.md in the folder receives the run's digest.
BEGIN, END = "<!-- benchmark: begin -->", "<!-- benchmark: end -->"
# A README is a few pages; anything longer is another kind of file.
_LARGEST_README = 1 << 22

CSV_COLUMNS = (
    "layer",
    "operation",
    "direction",
    "threads",
    "dtype",
    "batch",
    "in_channels",
    "out_channels",
    "groups",
    "spatial",
    "kernel",
    "stride",
    "padding",
    "dilation",
    "flops",
    "bytes",
    "bound",
    "families",
    "fma_roof_gflops",
    "copy_roof_gbytes",
    "contestant",
    "version",
    "status",
    "note",
    "median_ms",
    "best_ms",
    "spread",
    "rounds",
    "calls",
    "gflops",
    "gbytes",
    "share_of_roof",
    "share_of_copy",
)


def ready(folder: str | os.PathLike[str]) -> Path:
    """Make the folder, and refuse before anything is measured what would fail when it is written.

    Raises:
        ArgumentError: something that isn't a folder has this name.
        FileFormatError: the folder's README.md has only one of the two marks, or isn't text.
        OSError: the system refuses.
    """
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise ArgumentError("--out needs a folder.", describe(out=str(target)), "Choose another name.")
    target.mkdir(parents=True, exist_ok=True)
    _split_readme(target / "README.md")
    return target


def write(report: Report, folder: str | os.PathLike[str]) -> list[Path]:
    """Write all files of a run, each whole or not at all; earlier ones are replaced.

    The picture is left out where Matplotlib is missing or there are no roofs.

    Raises:
        FileFormatError: as :func:`ready`.
        OSError: the system refuses.
    """
    target = Path(folder)
    written = [
        _write(target / TABLE, f"# Benchmark\n\n{markdown(report)}"),
        _write(target / CSV, csv_text(report.rows)),
        _write(
            target / JSON, json.dumps(as_dict(report), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        ),
    ]
    if report.machine.roofs is not None and report.rows:
        with contextlib.suppress(MissingExtraError):  # the numbers are all there without it
            written.append(draw_roofline(report.rows, report.machine.roofs, target / PICTURE))
    parts = _split_readme(target / "README.md")
    if parts is not None:
        before, after = parts
        written.append(_write(target / "README.md", f"{before}{BEGIN}\n\n{digest(report)}\n{END}{after}"))
    return written


def csv_text(rows: tuple[Row, ...]) -> str:
    """A line per contestant and row, with the columns :data:`CSV_COLUMNS`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        for line in _lines(row):
            writer.writerow(line)
    return text.getvalue()


def as_dict(report: Report) -> dict[str, Any]:
    """The run as plain data; numbers that aren't finite, or not there, are None."""
    machine = report.machine
    roofs = machine.roofs
    rows = [
        {
            **_task(row),
            "ours": row.ours,
            "best_peer": row.best_peer,
            "ratio": row.ratio,
            "memory_bound": row.memory_bound,
            "results": [
                {
                    **asdict(result),
                    "gflops": _giga(row.rate(result.contestant)),
                    "gbytes": _giga(row.bandwidth(result.contestant)),
                    "share_of_roof": row.share(result.contestant),
                    "share_of_copy": row.share_of_copy(result.contestant),
                }
                for result in row.results
            ],
        }
        for row in report.rows
    ]
    found: dict[str, Any] = {
        "machine": {
            "processor": machine.processor,
            "system": machine.system,
            "versions": machine.versions,
            "absent": machine.absent,
            "date": machine.date,
            "roofs": None if roofs is None else asdict(roofs),
        },
        "settings": asdict(report.settings),
        "planned_rows": report.planned,
        "complete": report.is_complete,
        "summaries": [asdict(summary) for summary in summarise(report.rows)],
        "losses": [
            {
                "layer": row.name,
                "direction": row.direction,
                "threads": row.threads,
                "ratio": row.ratio,
                "sentence": loss_sentence(row),
            }
            for row in losses(report.rows)
        ],
        "wrong": wrong_answers(report.rows),
        "not_measured": not_measured(report.rows),
        "rows": rows,
    }
    return {key: _strict(value) for key, value in found.items()}


def _task(row: Row) -> dict[str, Any]:
    layer = row.layer
    bound = None if row.roof is None else "memory" if row.memory_bound else "multiply-adds"
    return {
        "layer": row.name,
        "operation": layer.operation,
        "direction": row.direction,
        "threads": row.threads,
        "dtype": row.dtype,
        "batch": layer.batch,
        "in_channels": layer.input_shape[1],
        "out_channels": layer.output_shape[1],
        "groups": layer.groups,
        "spatial": layer.input_shape[2:],
        "kernel": layer.dims.kernel,
        "stride": layer.dims.stride,
        "padding": layer.dims.padding,
        "dilation": layer.dims.dilation,
        "flops": row.flops,
        "bytes": row.bytes,
        "bound": bound,
        "families": row.families,
        "fma_roof_gflops": None if row.fma_roof is None else row.fma_roof / 1e9,
        "copy_roof_gbytes": None if row.copy_roof is None else row.copy_roof / 1e9,
    }


def _lines(row: Row) -> list[dict[str, Any]]:
    task = {key: _cell(value) for key, value in _task(row).items()}
    lines = []
    for result in row.results:
        timing = result.timing
        line: dict[str, Any] = {
            "contestant": result.contestant,
            "version": result.version,
            "status": result.status,
            "note": result.note,
        }
        if timing is not None:
            line |= {
                "median_ms": _cell(timing.median * 1e3),
                "best_ms": _cell(timing.best * 1e3),
                "spread": _cell(timing.spread),
                "rounds": timing.rounds,
                "calls": timing.calls,
                "gflops": _cell(_giga(row.rate(result.contestant))),
                "gbytes": _cell(_giga(row.bandwidth(result.contestant))),
                "share_of_roof": _cell(row.share(result.contestant)),
                "share_of_copy": _cell(row.share_of_copy(result.contestant)),
            }
        lines.append(task | line)
    return lines


def _giga(amount: float | None) -> float | None:
    return None if amount is None else amount / 1e9


def _cell(value: Any) -> Any:
    """A value in one cell: 5 figures, sizes with ×, padding as before:after."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, tuple):
        return "×".join(":".join(map(str, part)) if isinstance(part, tuple) else str(part) for part in value)
    return value


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _split_readme(path: Path) -> tuple[str, str] | None:
    """What stands before and after the marks; None when there is no such file, or it has no marks."""
    if not path.is_file():
        return None
    if path.stat().st_size > _LARGEST_README:
        raise FileFormatError(
            f"{str(path)!r} is too large for a README, which has at most {_LARGEST_README} bytes.",
            describe(bytes=path.stat().st_size),
        )
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileFormatError(
            f"{str(path)!r} needs to be UTF-8 text.", f"a byte that is not, at offset {error.start}"
        ) from None
    counts = text.count(BEGIN), text.count(END)
    if counts == (0, 0):
        return None
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if counts != (1, 1) or not found:
        raise FileFormatError(
            f"{str(path)!r} needs the marks {BEGIN} and {END} once each, in this order.",
            describe(begin=counts[0], end=counts[1]),
            "Mend the marks, or remove both.",
        )
    return before, after


def _write(path: Path, text: str) -> Path:
    with atomic_file(path) as file:
        file.write(text.encode("utf-8"))
    return path
