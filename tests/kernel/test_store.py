"""Storing a tile against its definition: both sides, every schedule, between unreadable pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from guarded import guarded
from kernel.built import DTYPES, JUNK, TARGETS, Loaded, bits, width_of

from tilewright.autograd import elementwise
from tilewright.kernel.tiles import store
from tilewright.op import activation as op
from tilewright.plan import Target, named

pytest.importorskip("llvmlite", reason="compiles through LLVM")

every_target = pytest.mark.parametrize("target", [named(name) for name in TARGETS], ids=str)
every_scalar = pytest.mark.parametrize("scalar", list(DTYPES))
every_side = pytest.mark.parametrize("side", store.SIDES)
every_schedule = pytest.mark.parametrize("schedule", store.SCHEDULES)

SLOPE = 0.2


@pytest.fixture(autouse=True)
def nothing_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", "off")


def storing(target: Target, scalar: str, side: str, schedule: str, activation: str, vectors: int) -> Loaded:
    name = store.name(scalar, side, schedule, activation, vectors)
    return Loaded(name, lambda t: store.emit(t, scalar, side, schedule, activation, vectors), target)


@dataclass
class Case:
    """A tile and where it goes: ``rows`` rows, of which the first ``used`` lanes count."""

    rows: int
    used: int
    vector_step: int
    row_step: int
    with_bias: bool

    @classmethod
    def drawn(cls, rng: Any, schedule: str, lanes: int) -> Case:
        rows, used = int(rng.integers(1, 40)), int(rng.integers(1, lanes + 1))
        if rng.random() < 0.3:
            used = lanes
        gap = int(rng.integers(0, 3))
        every = 2 if schedule.endswith("2") else 1
        if schedule.startswith("along"):
            steps = every, every * used + gap
        elif schedule.startswith("across"):
            steps = every * rows + gap, every
        else:
            steps = int(rng.choice([-1, 1])) * (3 * rows + gap), int(rng.choice([-3, 2, 3]))
        return cls(rows, used, *steps, bool(rng.random() < 0.7))

    def run(self, stored: Loaded, side: str, scalar: str, lanes: int, seed: int) -> tuple[Any, Any]:
        """What was stored, and the sums with bias: both as [row][lane]."""
        rng, dtype = np.random.default_rng(seed), DTYPES[scalar]
        sums = rng.standard_normal((self.rows, lanes)).astype(dtype)
        # Nothing may come of lanes behind the last that counts.
        sums[:, self.used :] = np.nan
        by_channels = side == "by_channels"
        outputs, pixels = (self.used, self.rows) if by_channels else (self.rows, self.used)
        bias = rng.standard_normal(outputs).astype(dtype)
        page = ("start", "end")[seed % 2]
        places = np.arange(self.rows)[:, None] * self.row_step + np.arange(self.used) * self.vector_step
        lowest = int(places.min())
        out = guarded(np.full(int(places.max()) - lowest + 1, JUNK, dtype), page)
        y_channel, y_pixel = (
            (self.vector_step, self.row_step) if by_channels else (self.row_step, self.vector_step)
        )
        stored(
            guarded(sums, page), out.ctypes.data - lowest * out.itemsize,
            guarded(bias, page) if self.with_bias else None, outputs, pixels, y_channel, y_pixel, SLOPE,
        )  # fmt: skip
        untouched = np.ones(out.size, bool)
        untouched[places - lowest] = False
        assert (out[untouched] == JUNK).all(), f"{self}: written beside the tile"
        expected = sums[:, : self.used]
        if self.with_bias:
            expected = expected + (bias if by_channels else bias[:, None])
        return out[places - lowest], expected


@every_target
@every_scalar
@every_side
@every_schedule
@pytest.mark.parametrize("vectors", [1, 3])
def test_every_schedule_stores_the_sums_and_the_bias(
    target: Target, scalar: str, side: str, schedule: str, vectors: int
) -> None:
    stored = storing(target, scalar, side, schedule, "none", vectors)
    lanes = vectors * width_of(target, scalar)
    rng = np.random.default_rng(vectors)
    for seed in range(20):
        case = Case.drawn(rng, schedule, lanes)
        found, expected = case.run(stored, side, scalar, lanes, seed)
        np.testing.assert_array_equal(bits(found), bits(expected), err_msg=str(case))


@every_target
@every_scalar
@every_side
@pytest.mark.parametrize("schedule", ["along", "across", "any"])
def test_relus_have_the_bits_of_the_functions_on_arrays(
    target: Target, scalar: str, side: str, schedule: str
) -> None:
    lanes = 2 * width_of(target, scalar)
    rng = np.random.default_rng(0)
    for activation in ("relu", "leaky_relu"):
        stored = storing(target, scalar, side, schedule, activation, 2)
        for seed in range(4):
            case = Case.drawn(rng, schedule, lanes)
            found, sums = case.run(stored, side, scalar, lanes, seed)
            expected = elementwise.relu(sums) if activation == "relu" else op.leaky_relu(sums, SLOPE)
            np.testing.assert_array_equal(bits(found), bits(expected), err_msg=str(case))


@every_target
@every_scalar
@every_side
@every_schedule
def test_smooth_activations_come_after_the_bias(
    target: Target, scalar: str, side: str, schedule: str
) -> None:
    lanes = width_of(target, scalar)
    stored = storing(target, scalar, side, schedule, "silu", 1)
    rng = np.random.default_rng(0)
    for seed in range(4):
        case = Case.drawn(rng, schedule, lanes)
        found, sums = case.run(stored, side, scalar, lanes, seed)
        assert_same(
            found,
            op.silu(sums),
            rtol=8 * float(np.finfo(DTYPES[scalar]).eps),
            atol=0,
            reason="both are right to 4 units in the last place",
        )


@every_target
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "gelu"])
def test_every_other_activation(target: Target, activation: str) -> None:
    lanes = width_of(target, "double")
    stored = storing(target, "double", "by_channels", "along", activation, 1)
    expected = {"tanh": np.tanh, "sigmoid": op.sigmoid, "gelu": op.gelu}[activation]
    case = Case(30, lanes, 1, lanes, True)
    found, sums = case.run(stored, "by_channels", "double", lanes, 0)
    assert_same(
        found, expected(sums), rtol=4e-15, atol=0, reason="16 units in the last place for op.gelu's tail"
    )
