"""Packed rows, columns and weights against their definitions, between unreadable pages.

Wherever a definition reads, there is a number of its own, so that none can stand for another; wherever it
doesn't, there is NaN, or nothing that could be read at all. Outputs hold junk before.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest
from guarded import guarded
from kernel.built import DTYPES, JUNK, TARGETS, Loaded, width_of

from tilewright.kernel import jit
from tilewright.kernel.tiles import pack_rows, pack_turned, pack_weights
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan import Target, named

pytest.importorskip("llvmlite", reason="compiles through LLVM")

every_target = pytest.mark.parametrize("target", [named(name) for name in TARGETS], ids=str)
every_scalar = pytest.mark.parametrize("scalar", list(DTYPES))

CASES = 40


@pytest.fixture(autouse=True)
def nothing_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", "off")
    # Tables are laid out in another way here than in the drivers: functions of the same names differ.
    monkeypatch.setattr(jit, "_loaded", {})


class Memory:
    """Numbers at the given places (which may be negative) between two unreadable pages, NaN between them."""

    def __init__(self, places: Any, scalar: str, side: str) -> None:
        self._lowest = int(np.min(places, initial=0)) if np.size(places) else 0
        size = int(np.max(places, initial=self._lowest - 1)) - self._lowest + 1 if np.size(places) else 0
        flat = np.full(size, np.nan, DTYPES[scalar])
        flat[np.asarray(places).ravel() - self._lowest] = 1 + np.arange(np.size(places))
        self._flat = guarded(flat, side)

    def __getitem__(self, place: int) -> float:
        return float(self._flat[place - self._lowest])

    @property
    def start(self) -> int:
        """The address of place 0, which may lie outside."""
        return int(self._flat.ctypes.data) - self._lowest * self._flat.itemsize


def junk(size: int, scalar: str, side: str) -> Any:
    return guarded(np.full(size, JUNK, DTYPES[scalar]), side)


def words_of(fields: Fields, **words: int) -> Any:
    return np.array([words[name] for name in fields.names])


# -- rows ----------------------------------------------------------------------------------------------

ROW_FIELDS = Fields(
    "every", "x_line", "x_column", "x_channel", "remainder_count", "remainders", "pitch", "length"
)


@dataclass
class Rows:
    """One call of a packing function: sizes, steps of x, stretches, and the block of positions."""

    channels: int
    lines: Any
    columns: int
    every: int
    x_channel: int
    x_line: int
    x_column: int
    stretches: list[tuple[int, int, int]]
    base: int
    length: int
    pitch: int

    @classmethod
    def drawn(cls, rng: Any, schedule: str, width: int) -> Rows:
        channels, columns = int(rng.integers(1, 2 * width + 3)), int(rng.integers(1, 4 * width))
        lines = np.sort(rng.choice(9, rng.integers(1, 5), replace=False))
        every = {"columns1": 1, "columns2": 2}.get(schedule) or int(rng.integers(1, 4))
        gap = int(rng.integers(0, 3))
        if schedule.startswith("columns"):
            x_column, x_line = 1, columns + gap
            x_channel = 9 * x_line + gap
        elif schedule == "channels":
            x_channel, x_column = 1, channels + gap
            x_line = columns * x_column + gap
        else:
            x_column = int(rng.choice([-2, 1, 3]))
            x_line = -(3 * columns + gap)
            x_channel = int(rng.choice([-1, 1])) * (9 * 3 * columns + 9 * gap)
        length = int(rng.integers(1, 4)) * width
        base = int(rng.choice([0, rng.integers(0, 3 * width)]))
        stretches = [cls._stretch(rng, columns, every, base + length) for _ in range(rng.integers(1, 4))]
        pitch = length * len(stretches) + int(rng.integers(0, 5))
        return cls(
            channels, lines, columns, every, x_channel, x_line, x_column, stretches, base, length, pitch
        )  # fmt: skip

    @staticmethod
    def _stretch(rng: Any, columns: int, every: int, longest: int) -> tuple[int, int, int]:
        """All positions whose column is inside; now and then fewer, none, or none but behind the block."""
        column = -every
        if rng.random() < 0.5:
            column = int(rng.integers(-2 * longest * every, columns + 1))
        first = max(-(column // every), 0)
        end = max((columns - 1 - column) // every + 1, first)
        if rng.random() < 0.3:
            first, end = sorted(rng.integers(first, end + 1, 2).tolist())
        return first, end, column

    def places(self) -> Any:
        """All that may be read of x."""
        read = [
            column + self.every * b
            for first, end, column in self.stretches
            for b in range(max(first, self.base), min(end, self.base + self.length))
        ]
        c, line, column = np.ix_(np.arange(self.channels), self.lines, np.unique(np.array(read, np.int64)))
        return c * self.x_channel + line * self.x_line + column * self.x_column

    def expected(self, x: Memory, size: int) -> Any:
        """The definition."""
        out = np.full(size, JUNK)
        for (number, line), c in product(enumerate(self.lines.tolist()), range(self.channels)):
            for part, (first, end, column) in enumerate(self.stretches):
                for b in range(self.length):
                    inside = first <= self.base + b < end
                    place = (number * self.channels + c) * self.pitch + part * self.length + b
                    read = column + self.every * (self.base + b)
                    at = c * self.x_channel + line * self.x_line + read * self.x_column
                    out[place] = x[at] if inside else 0
        return out


@every_target
@every_scalar
@pytest.mark.parametrize("schedule", pack_rows.SCHEDULES)
def test_rows(target: Target, scalar: str, schedule: str) -> None:
    def emit(target: Target) -> str:
        return pack_rows.emit(target, scalar, schedule, ROW_FIELDS)

    pack = Loaded(pack_rows.name(scalar, schedule), emit, target)
    rng = np.random.default_rng(len(schedule))
    for number in range(CASES):
        case = Rows.drawn(rng, schedule, width_of(target, scalar))
        side = ("start", "end")[number % 2]
        x = Memory(case.places(), scalar, side)
        table = guarded(np.array(case.stretches), side)
        words = words_of(
            ROW_FIELDS,
            every=case.every, x_line=case.x_line, x_column=case.x_column, x_channel=case.x_channel,
            remainder_count=len(case.stretches), remainders=table.ctypes.data, pitch=case.pitch,
            length=case.length,
        )  # fmt: skip
        used = case.length * len(case.stretches)
        size = (len(case.lines) * case.channels - 1) * case.pitch + used
        out = junk(size, scalar, side)
        lines = guarded(case.lines, side)
        pack(words, x.start, out, case.channels, lines, len(case.lines), case.base)
        np.testing.assert_array_equal(out, case.expected(x, size), err_msg=str(case))


# -- lines with channels innermost ---------------------------------------------------------------------


@dataclass
class Turned:
    """One call of a function that packs a line with its channels innermost."""

    channels: int
    pitch: int
    first: int
    end: int
    length: int
    channel_step: int
    column_step: int

    @classmethod
    def drawn(cls, rng: Any, schedule: str, width: int) -> Turned:
        channels, length = int(rng.integers(1, 3 * width)), int(rng.integers(1, 3 * width))
        first, end = sorted(rng.integers(0, length + 1, 2).tolist())
        if rng.random() < 0.4:
            first, end = 0, length
        elif rng.random() < 0.2:
            # Nothing of it: such stretches may start behind the block.
            first, end = length + 3, int(rng.integers(0, length + 1))
        # As many channels are stored as fill whole vectors.
        pitch = -(-channels // width) * width + int(rng.integers(0, 3))
        gap = int(rng.integers(0, 3))
        column_step = {"columns1": 1, "columns2": 2, "channels": channels + gap}.get(schedule, 0)
        channel_step = 1 if schedule == "channels" else column_step * length + gap
        if schedule == "any":
            column_step, channel_step = int(rng.choice([-2, 3, 1])), int(rng.choice([-1, 1])) * (3 * length)
        return cls(channels, pitch, first, end, length, channel_step, column_step)

    def places(self) -> Any:
        c, b = np.ix_(np.arange(self.channels), np.arange(self.first, self.end))
        return c * self.channel_step + b * self.column_step


@every_target
@every_scalar
@pytest.mark.parametrize("schedule", pack_turned.SCHEDULES)
def test_turned_lines(target: Target, scalar: str, schedule: str) -> None:
    width = width_of(target, scalar)
    name = pack_turned.name(scalar, schedule)
    pack = Loaded(name, lambda target: pack_turned.emit(target, scalar, schedule), target)
    rng = np.random.default_rng(len(schedule))
    for number in range(CASES):
        case = Turned.drawn(rng, schedule, width)
        side = ("start", "end")[number % 2]
        source = Memory(case.places(), scalar, side)
        whole = case.channels if schedule == "any" else -(-case.channels // width) * width
        out = junk((case.length - 1) * case.pitch + whole, scalar, side)
        pack(
            source.start, out, case.channels, case.pitch, case.first, case.end, case.length,
            case.channel_step, case.column_step,
        )  # fmt: skip
        for b in range(case.length):
            here = out[b * case.pitch :][: case.pitch]
            inside = case.first <= b < case.end
            for c in range(case.channels):
                at = c * case.channel_step + b * case.column_step
                assert here[c] == (source[at] if inside else 0), (case, b, c)
            assert np.isin(here[case.channels : whole], (0, JUNK)).all(), "zeros up to whole vectors"
            assert (here[whole:] == JUNK).all(), "and nothing behind them"


# -- weights -------------------------------------------------------------------------------------------

WEIGHT_FIELDS = Fields("w_tap", "taps", "w_channel", "w_output")


@dataclass
class Weights:
    """One call of a function that packs weights."""

    outputs: int
    channels: int
    taps: int
    w_output: int
    w_channel: int
    w_tap: int

    @classmethod
    def drawn(cls, rng: Any, schedule: str, lanes: int) -> Weights:
        outputs, channels, taps = int(rng.integers(1, lanes + 1)), *rng.integers(1, 12, 2).tolist()
        if rng.random() < 0.3:
            outputs = lanes
        if schedule == "taps":
            taps += 3  # as many as fit 16 bytes, at least
        gap = int(rng.integers(0, 20))
        if schedule == "flat":
            return cls(outputs, channels, taps, channels * taps + gap, taps, 1)
        if schedule == "lanes":
            return cls(outputs, channels, taps, 1, (outputs + gap) * taps, outputs + gap)
        # As the data gradient has it: taps backwards, outputs and channels exchanged.
        return cls(outputs, channels, taps, taps, (outputs + gap) * taps, -1)

    def place(self, tap: Any, channel: Any, lane: Any) -> Any:
        return lane * self.w_output + channel * self.w_channel + tap * self.w_tap


@every_target
@every_scalar
@pytest.mark.parametrize(
    ("schedule", "vectors"),
    [("flat", 1), ("flat", 2), ("flat", 3), ("lanes", 1), ("lanes", 4), ("taps", 1), ("taps", 2), ("any", 0)],
)
def test_weights(target: Target, scalar: str, schedule: str, vectors: int) -> None:
    # One by one, a panel may have any number of lanes.
    lanes = vectors * width_of(target, scalar) or 7

    def emit(target: Target) -> str:
        return pack_weights.emit(target, scalar, schedule, lanes, WEIGHT_FIELDS)

    pack = Loaded(pack_weights.name(scalar, schedule, lanes), emit, target)
    rng = np.random.default_rng(vectors)
    for number in range(CASES // 2):
        case = Weights.drawn(rng, schedule, lanes)
        side = ("start", "end")[number % 2]
        sizes = (case.taps, case.channels, case.outputs)
        source = Memory(case.place(*np.ix_(*map(np.arange, sizes))), scalar, side)
        words = words_of(
            WEIGHT_FIELDS,
            w_tap=case.w_tap, taps=case.taps, w_channel=case.w_channel, w_output=case.w_output,
        )  # fmt: skip
        out = junk(case.taps * case.channels * lanes, scalar, side)
        pack(words, source.start, out, case.outputs, case.channels)
        expected = np.zeros((case.taps, case.channels, lanes))
        for t, c, lane in product(*map(range, sizes)):
            expected[t, c, lane] = source[case.place(t, c, lane)]
        np.testing.assert_array_equal(out.reshape(expected.shape), expected, err_msg=str(case))
