"""Rates, roofs, ratios and means, each worked out by hand."""

from __future__ import annotations

import math

import pytest
from bench.fakes import SMALL, result, row

from tilewright.bench.contestants import OURS
from tilewright.bench.results import FAILED, UNABLE, WRONG, geometric_mean, losses, summarise

LAST = f"{OURS} channels-last"
# x (2, 3, 6, 5), w (4, 3, 3, 3), y (2, 4, 3, 5), by hand.
X, W, Y = 180, 108, 120
FLOPS = 2 * Y * 27


def test_work_and_bytes_of_both_directions() -> None:
    assert (SMALL.output_shape, SMALL.flops) == ((2, 4, 3, 5), FLOPS)
    forward = row(result(OURS, 1e-3))
    assert (forward.flops, forward.bytes) == (FLOPS, 4 * (X + W + Y))
    backward = row(result(OURS, 1e-3), direction="backward", dtype="float64")
    # Reads gy, x and w, writes gx and gw.
    assert (backward.flops, backward.bytes) == (2 * FLOPS, 8 * (Y + 2 * X + 2 * W))
    assert forward.intensity == FLOPS / (4 * (X + W + Y))


def test_the_lower_roof_counts() -> None:
    intensity = FLOPS / (4 * (X + W + Y))  # 3.97
    low = row(result(OURS, 1e-6), fma=100e9, copy=20e9)
    assert low.memory_bound
    assert low.roof == 20e9 * intensity
    assert low.share(OURS) == pytest.approx(FLOPS / 1e-6 / (20e9 * intensity))
    high = row(result(OURS, 1e-6), fma=50e9, copy=20e9)
    assert not high.memory_bound
    assert high.share(OURS) == pytest.approx(FLOPS / 1e-6 / 50e9)
    unknown = row(result(OURS, 1e-6), fma=None, copy=None)
    assert (unknown.roof, unknown.share(OURS), unknown.memory_bound) == (None, None, False)


def test_the_best_peer_is_the_fastest_that_was_timed() -> None:
    found = row(
        result(OURS, 2.0),
        result(LAST, 0.5),
        result("PyTorch", 4.0),
        result("PyTorch channels-last", 3.0),
        result("ONNX Runtime", None, WRONG),
        result("JAX", None, UNABLE),
    )
    assert (found.best_peer, found.ratio) == ("PyTorch channels-last", 1.5)
    assert found.package_ratio("PyTorch") == 1.5
    assert found.package_ratio("JAX") is None
    assert found.against("PyTorch") == 2.0


def test_which_of_our_layouts_counts() -> None:
    both = (result(OURS, 2.0), result(LAST, 0.5))
    assert [row(*both, layout=layout).ours for layout in ("nchw", "nhwc", "best")] == [OURS, LAST, LAST]
    # Only a layout that doesn't apply is replaced by the other; a wrong answer isn't hidden.
    assert row(both[0], result(LAST, None, UNABLE), layout="nhwc").ours == OURS
    assert row(both[0], result(LAST, None, WRONG), layout="nhwc").ours == LAST
    assert row(both[0], result(LAST, None, WRONG), layout="nhwc").ratio is None
    assert row(result(OURS, None, WRONG), result(LAST, None, WRONG), layout="best").ours == OURS


@pytest.mark.parametrize(
    ("name", "status", "wrong"),
    [
        ("PyTorch", WRONG, True),
        ("PyTorch", FAILED, False),
        ("PyTorch", UNABLE, False),
        (LAST, WRONG, True),
        (LAST, FAILED, True),
        (LAST, UNABLE, False),
    ],
)
def test_what_makes_a_run_fail(name: str, status: str, wrong: bool) -> None:
    assert row(result(OURS, 1.0), result(name, None, status)).is_wrong is wrong


def test_the_geometric_mean() -> None:
    assert geometric_mean([]) is None
    assert geometric_mean([3.0]) == pytest.approx(3.0)
    # ⁴√(1 · 2 · 4 · 8) = ⁴√64
    assert geometric_mean([1.0, 2.0, 4.0, 8.0]) == pytest.approx(math.sqrt(8))
    # A thousand ratios whose product no float64 holds.
    assert geometric_mean([1e300] * 1000) == pytest.approx(1e300)


def test_a_summary_for_each_direction_and_number_of_threads() -> None:
    rows = [
        row(result(OURS, 1.0), result("PyTorch", 4.0), result("JAX", 0.5), threads=2),
        row(result(OURS, 1.0), result("PyTorch", 2.0), result("PyTorch channels-last", 1.0)),
        row(result(OURS, 1.0), result("PyTorch", 0.5), result("PyTorch channels-last", 4.0)),
        row(result(OURS, None, WRONG), result("PyTorch", 0.5)),
        row(result(OURS, 1.0), direction="backward"),
    ]
    one, two, back = summarise(rows)
    assert (one.direction, one.threads, one.rows, one.compared) == ("forward", 1, 3, 2)
    # Ratios 1 and 0.5, to the better of PyTorch's variants.
    assert one.mean == pytest.approx(math.sqrt(0.5))
    assert (one.lowest, one.losses) == (0.5, 1)
    assert one.by_package == {"PyTorch": pytest.approx(math.sqrt(0.5))}
    assert (two.threads, two.mean, two.losses) == (2, pytest.approx(0.5), 1)
    assert two.by_package == {"PyTorch": pytest.approx(4.0), "JAX": pytest.approx(0.5)}
    assert (back.direction, back.rows, back.compared, back.mean, back.lowest) == (
        "backward",
        1,
        0,
        None,
        None,
    )


def test_losses_are_all_rows_below_one_the_worst_first() -> None:
    rows = [
        row(result(OURS, 1.0), result("PyTorch", seconds), name=name)
        for name, seconds in (("a", 0.999), ("b", 1.0), ("c", 0.2), ("d", 1.001))
    ]
    assert [lost.name for lost in losses(rows)] == ["c", "a"]
