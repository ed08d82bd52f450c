"""A whole run: its rows, and what they were measured on and with."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tilewright._version import __version__
from tilewright.bench.contestants import Contestant, Unable
from tilewright.bench.harness import Settings
from tilewright.bench.results import FAILED, UNABLE, WRONG, Row, losses
from tilewright.bench.roofs import Roofs
from tilewright.plan import processor


@dataclass(frozen=True)
class Machine:
    """What the numbers are of.

    Attributes:
        processor: as :func:`tilewright.plan.processor.describe` gives it.
        system: the operating system.
        versions: of this library, Python, NumPy and every contestant's package.
        absent: packages that take no part, with the reason.
        roofs: what the machine reaches; None where nothing can be compiled.
        date: when the run began, in UTC.
    """

    processor: dict[str, Any]
    system: str
    versions: dict[str, str]
    absent: dict[str, str]
    roofs: Roofs | None
    date: str


@dataclass(frozen=True)
class Report:
    """A run, complete or stopped.

    Attributes:
        machine: where and with what.
        settings: what was asked for.
        rows: what was measured.
        planned: how many rows the whole run would have.
    """

    machine: Machine
    settings: Settings
    rows: tuple[Row, ...]
    planned: int

    @property
    def is_complete(self) -> bool:
        """Whether every row was measured."""
        return len(self.rows) == self.planned

    @property
    def is_right(self) -> bool:
        """Whether every answer was right."""
        return not any(row.is_wrong for row in self.rows)


def machine(contestants: Sequence[Contestant], roofs: Roofs | None) -> Machine:
    """The machine, and who takes part on it."""
    versions = {"tilewright": __version__, "Python": platform.python_version(), "NumPy": np.__version__}
    absent: dict[str, str] = {}
    for contestant in contestants:
        try:
            versions.setdefault(contestant.package, contestant.version())
        except Unable as reason:
            absent.setdefault(contestant.package, str(reason))
    return Machine(
        processor.describe(),
        f"{platform.system()} {platform.release()}",
        versions,
        absent,
        roofs,
        time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
    )


def wrong_answers(rows: Iterable[Row]) -> list[str]:
    """A sentence for each answer that was wrong, or that we couldn't give."""
    return [
        f"{place(row)}: {result.contestant}: {result.note}."
        for row in rows
        for result in row.results
        if result.status == WRONG or (result.status == FAILED and result.package == "tilewright")
    ]


def not_measured(rows: Iterable[Row]) -> list[str]:
    """Why contestants weren't timed, each reason once with the number of rows it is for."""
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        for result in row.results:
            if result.status == UNABLE or (result.status == FAILED and result.package != "tilewright"):
                key = (result.contestant, result.note)
                counts[key] = counts.get(key, 0) + 1
    return [
        f"{contestant}: {note} ({count} row{'s' if count > 1 else ''})."
        for (contestant, note), count in counts.items()
    ]


def loss_sentences(rows: Iterable[Row]) -> list[str]:
    """A sentence for each row in which a peer is faster, the worst first."""
    return [loss_sentence(row) for row in losses(rows)]


def loss_sentence(row: Row) -> str:
    """How far behind a row is, and the likeliest reason."""
    peer = row.best_peer or ""
    return f"{place(row)}: {ratio_text(row.ratio or 0.0)} {peer}: {_reason(row, peer)}."


def ratio_text(ratio: float) -> str:
    """A ratio with two decimals; one that only rounds to 1 has more, so that it hides no loss.

    >>> ratio_text(1.234), ratio_text(0.998)
    ('1.23×', '0.998×')
    """
    text = f"{ratio:.2f}"
    return f"{ratio:.3f}×" if ratio < 1 and text == "1.00" else f"{text}×"


def place(row: Row) -> str:
    """Which row, in words: ``vgg16/conv1_1, forward, 2 threads``."""
    return f"{row.name}, {row.direction}, {row.threads} thread{'s' if row.threads > 1 else ''}"


# A call shorter than this has a noticeable part of its time in checking, planning and waking threads.
_SHORT_CALL = 100e-6
# Fewer channels than the vectors of any instruction set have lanes.
_FEW_CHANNELS = 8
# Fewer outputs than this make rows that vectors of pixels don't fill.
_SHORT_ROW = 8
# Peers that do something else than multiply every tap with every sample.
_BY_VECTORS = ("OpenCV sepFilter2D", "SciPy correlate1d")
_BY_FOURIER = ("SciPy oaconvolve",)
# OpenCV's documentation: filter2D turns to Fourier transforms for kernels of 11×11 and more.
_FILTER, _TAPS_OF_FOURIER = "OpenCV filter2D", 11 * 11


def _reason(row: Row, peer: str) -> str:
    layer = row.layer
    numpy_families = sorted({name for name in row.families if name.startswith("numpy")})
    if numpy_families:
        return f"computed by {' and '.join(numpy_families)}, for want of a compiled family"
    if peer in _BY_VECTORS:
        return "the kernel is an outer product, and the peer filters along one axis after the other"
    if peer in _BY_FOURIER or (peer == _FILTER and layer.dims.taps >= _TAPS_OF_FOURIER):
        both = " as we do" if "fft" in row.families else ""
        return f"a kernel of {layer.dims.taps} taps, which the peer applies by fast Fourier transforms{both}"
    rate, ours, theirs = row.rate(row.ours), row.share(row.ours), row.share(peer)
    if rate is not None and row.flops / rate < _SHORT_CALL:
        return f"a call of {1e6 * row.flops / rate:.0f} µs, where getting to the kernel counts"
    known = "" if ours is None or theirs is None else f" at {100 * ours:.0f} % ({peer}: {100 * theirs:.0f} %)"
    if row.memory_bound:
        return (
            f"memory bound: {row.bytes / 2**20:.1f} MiB have to move, which is done{known} of the copy roof"
        )
    level = f",{known} of the multiply-add roof" if known else ""
    if layer.is_pool:
        return f"bound by {'comparisons' if layer.operation == 'max_pool' else 'additions'}{level}"
    if layer.is_depthwise:
        return f"depthwise: {layer.dims.taps} products for each output{level}"
    ins, outs = (shape[1] // layer.groups for shape in (layer.input_shape, layer.output_shape))
    if ins < _FEW_CHANNELS:
        return f"few input channels ({ins}){level}"
    if outs < _FEW_CHANNELS:
        return f"few output channels ({outs}), which fill no vector{level}"
    if layer.output_shape[-1] < _SHORT_ROW:
        return f"rows of {layer.output_shape[-1]} outputs{level}"
    return f"bound by multiply-adds{level}"
