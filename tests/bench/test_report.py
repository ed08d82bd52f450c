"""What a run says: its lists and its tables."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bench.fakes import SMALL, Clock, Fake, pooling, report, result, row, transposed

from tilewright._version import __version__
from tilewright.bench.contestants import OURS
from tilewright.bench.layers import Layer
from tilewright.bench.report import (
    loss_sentence,
    loss_sentences,
    machine,
    not_measured,
    wrong_answers,
)
from tilewright.bench.results import FAILED, UNABLE, WRONG, summarise
from tilewright.bench.tables import (
    COLUMNS,
    cells,
    digest,
    fitting,
    grouped,
    machine_lines,
    markdown,
    rate_cell,
    ratio_cell,
    summary_sentence,
)
from tilewright.geometry import ConvDims

LAST = f"{OURS} channels-last"
# 14.8 GFLOP, 8.9 MiB: far to the right of the ridge.
WIDE = ConvDims.of((1, 512, 56, 56), (512, 512, 3, 3), padding=1)


def channels(ins: int, outs: int, size: int = 56) -> ConvDims:
    return ConvDims.of((8, ins, size, size), (outs, ins, 3, 3), padding=1)


@pytest.mark.parametrize(
    ("dims", "ours", "families", "fma", "sentence"),
    [
        # 14.798 GFLOP at 0.2 s are 74 GFLOP/s, at 0.16 s 92.5; the level is at 100.
        (
            WIDE,
            0.2,
            ("direct",),
            100e9,
            "bound by multiply-adds, at 74 % (PyTorch: 92 %) of the multiply-add roof",
        ),
        (WIDE, 0.2, ("numpy-taps",), 100e9, "computed by numpy-taps, for want of a compiled family"),
        (WIDE, 0.2, ("direct",), None, "bound by multiply-adds"),
        (
            channels(3, 64),
            0.2,
            ("direct",),
            1e9,
            "few input channels (3), at 43 % (PyTorch: 54 %) of the multiply-add roof",
        ),
        (
            channels(64, 3),
            0.2,
            ("direct",),
            1e9,
            "few output channels (3), which fill no vector, at 43 % (PyTorch: 54 %) of the multiply-add roof",
        ),
        (
            channels(64, 64, 7),
            0.2,
            ("direct",),
            1e9,
            "rows of 7 outputs, at 14 % (PyTorch: 18 %) of the multiply-add roof",
        ),
        (SMALL, 5e-5, ("direct",), 1e9, "a call of 50 µs, where getting to the kernel counts"),
        # 6.21 MB at 20 GB/s take 0.31 ms.
        (
            ConvDims.of((60, 1, 28, 28), (32, 1, 5, 5), padding=2),
            1e-3,
            ("direct",),
            1e12,
            "memory bound: 5.9 MiB have to move, which is done at 31 % (PyTorch: 39 %) of the copy roof",
        ),
        # 18.9 MFLOP for 1.21 MB: 15.6 FLOP a byte.
        (
            ConvDims.of((1, 48, 56, 56), (48, 1, 8, 8), padding=4, groups=48),
            2e-3,
            ("planes",),
            1e11,
            "depthwise: 64 products for each output, at 10 % (PyTorch: 12 %) of the multiply-add roof",
        ),
        (
            transposed((8, 64, 56, 56), (64, 3, 3, 3), padding=1),
            0.2,
            ("tiles-pixels",),
            1e9,
            "few output channels (3), which fill no vector, at 43 % (PyTorch: 54 %) of the multiply-add roof",
        ),
        # 13 · 13 comparisons for two numbers that move: 21 a byte.
        (
            pooling("max_pool", (8, 64, 19, 19), 13, stride=1, padding=6),
            1e-3,
            ("planes",),
            1e11,
            "bound by comparisons, at 31 % (PyTorch: 39 %) of the multiply-add roof",
        ),
        (
            pooling("avg_pool", (8, 64, 19, 19), 13, stride=1, padding=6),
            1e-3,
            ("planes",),
            1e11,
            "bound by additions, at 31 % (PyTorch: 39 %) of the multiply-add roof",
        ),
        (
            pooling("max_pool", (8, 64, 112, 112), 2),
            5e-3,
            ("planes",),
            1e11,
            "memory bound: 30.6 MiB have to move, which is done at 32 % (PyTorch: 40 %) of the copy roof",
        ),
    ],
)
def test_a_loss_has_a_sentence_with_the_likeliest_reason(
    dims: Layer | ConvDims, ours: float, families: tuple[str, ...], fma: float | None, sentence: str
) -> None:
    lost = row(
        result(OURS, ours),
        result("PyTorch", 0.8 * ours),
        dims=dims,
        families=families,
        fma=fma,
        copy=None if fma is None else 20e9,
        threads=2,
    )
    assert loss_sentence(lost) == f"net/small, forward, 2 threads: 0.80× PyTorch: {sentence}."


@pytest.mark.parametrize(
    ("peer", "reason"),
    [
        (
            "OpenCV sepFilter2D",
            "the kernel is an outer product, and the peer filters along one axis after the other",
        ),
        (
            "SciPy correlate1d",
            "the kernel is an outer product, and the peer filters along one axis after the other",
        ),
        ("SciPy oaconvolve", "a kernel of 9 taps, which the peer applies by fast Fourier transforms"),
    ],
)
def test_a_peer_that_computes_something_else_is_the_reason(peer: str, reason: str) -> None:
    lost = row(result(OURS, 1.0), result(peer, 0.5))
    assert loss_sentence(lost) == f"net/small, forward, 1 thread: 0.50× {peer}: {reason}."


def test_opencv_turns_to_fourier_transforms_for_large_kernels() -> None:
    for size, reason in (
        (10, "few input channels (1), at 10 % (OpenCV filter2D: 20 %) of the multiply-add roof"),
        (11, "a kernel of 121 taps, which the peer applies by fast Fourier transforms"),
    ):
        dims = ConvDims.of((1, 1, 200, 200), (1, 1, size, size))
        seconds = dims.flops / 1e7
        lost = row(result(OURS, seconds), result("OpenCV filter2D", seconds / 2), dims=dims, fma=1e8)
        assert loss_sentence(lost) == f"net/small, forward, 1 thread: 0.50× OpenCV filter2D: {reason}."


def test_where_both_turn_to_fourier_transforms_the_reason_says_so() -> None:
    dims = ConvDims.of((1, 1, 200, 200), (1, 1, 31, 31))
    seconds = dims.flops / 1e7
    for families, both in ((("fft",), " as we do"), (("planes",), "")):
        lost = row(result(OURS, seconds), result("SciPy oaconvolve", seconds / 2), dims=dims, fma=1e8)
        lost = replace(lost, families=families)
        reason = f"a kernel of 961 taps, which the peer applies by fast Fourier transforms{both}"
        assert loss_sentence(lost) == f"net/small, forward, 1 thread: 0.50× SciPy oaconvolve: {reason}."


def test_losses_are_listed_the_worst_first() -> None:
    rows = [
        row(result(OURS, 1.0), result("PyTorch", seconds), name=name)
        for name, seconds in (("a", 0.9), ("b", 1.1), ("c", 0.5))
    ]
    assert [sentence.split(",")[0] for sentence in loss_sentences(rows)] == ["c", "a"]


def test_wrong_answers_and_absences_are_listed() -> None:
    rows = [
        row(
            result(OURS, None, WRONG, "y is off"),
            result(LAST, None, FAILED, "MemoryError"),
            result("PyTorch", None, FAILED, "RuntimeError: no"),
            result("JAX", None, UNABLE, "it isn't installed"),
        )
    ] * 2
    assert wrong_answers(rows[:1]) == [
        "net/small, forward, 1 thread: tilewright: y is off.",
        "net/small, forward, 1 thread: tilewright channels-last: MemoryError.",
    ]
    assert not_measured(rows) == ["PyTorch: RuntimeError: no (2 rows).", "JAX: it isn't installed (2 rows)."]


def test_the_machine_names_everybody_s_version_or_absence() -> None:
    clock = Clock()
    about = machine(
        [Fake("A", clock), Fake("A channels-last", clock, package="A"), Fake("B", clock, absent="gone")], None
    )
    assert about.versions["tilewright"] == __version__
    assert about.versions["A"] == "1.0"
    assert about.absent == {"B": "gone"}
    assert about.processor["cores"] >= 1


def test_cells_of_a_row() -> None:
    found = row(
        result(OURS, 0.2), result(LAST, 0.16), result("PyTorch", 0.4), dims=WIDE, name="net/wide", threads=2
    )
    assert dict(zip(COLUMNS, cells(found), strict=True)) == {
        "layer": "net/wide",
        "geometry": "512→512 3×3 at 56×56, pad 1",
        "batch": "1",
        "GFLOP/s": "74.0",
        "GB/s": "0.11",
        "of roof": "74 % fma",
        "other layout": "92.5",
        "best peer": "PyTorch",
        "its GFLOP/s": "37.0",
        "ratio": "2.00×",
    }
    # 1,632 bytes in a microsecond, under a roof of 20 GB/s.
    assert cells(row(result(OURS, 1e-6), fma=1e12))[4:6] == ["1.63", "8 % copy"]
    alone = row(result(OURS, None, WRONG), fma=None)
    assert cells(alone)[3:] == ["WRONG", "—", "—", "—", "—", "—", "—"]


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (None, "—"),
        (1.0, "1.00×"),
        (0.9999, "1.000×"),
        (0.996, "0.996×"),
        (0.994, "0.99×"),
        (12.3456, "12.35×"),
    ],
)
def test_a_ratio_that_rounds_to_one_shows_more_figures(ratio: float | None, text: str) -> None:
    assert ratio_cell(ratio) == text


def test_a_narrow_terminal_does_without_some_columns() -> None:
    body = [cells(row(result(OURS, 1.0), result("PyTorch", 1.0)))]
    whole = sum(max(len(a), len(b)) for a, b in zip(COLUMNS, body[0], strict=True)) + 2 * (len(COLUMNS) - 1)

    def kept(width: int) -> list[str]:
        return [COLUMNS[place] for place in fitting(body, width)]

    assert kept(whole) == list(COLUMNS)
    assert kept(whole - 1) == [name for name in COLUMNS if name != "geometry"]
    # However narrow it is, what the table is about stays.
    assert kept(10) == ["layer", "GFLOP/s", "of roof", "best peer", "ratio"]


def test_rates_have_three_figures() -> None:
    def said(flops_per_second: float) -> str:
        return rate_cell(row(result(OURS, SMALL.flops / flops_per_second)), OURS)

    assert [said(rate) for rate in (1.2345e9, 12.345e9, 123.45e9)] == ["1.23", "12.3", "123"]
    assert rate_cell(row(result(OURS, 1.0)), "nobody") == "—"


def test_the_header_says_on_what_and_with_what() -> None:
    assert machine_lines(report(row(result(OURS, 1.0)))) == [
        "Processor: A processor (x86_64; vectors: avx2, fma), 2 usable cores, Linux 6",
        "Versions: tilewright 0.1, PyTorch 2.13",
        "Roofs (multiply-adds in float32 by avx2 code; bytes read and written by a copy of 128 MiB): "
        "1 thread: 100 GFLOP/s, 20.0 GB/s; 2 threads: 200 GFLOP/s, 25.0 GB/s",
        "Absent: JAX: the package jax isn't installed",
        "Measured: 2026-01-02 03:04 UTC, 1 of 1 rows",
    ]


def test_summaries_in_words() -> None:
    rows = [
        row(result(OURS, 1.0), result("PyTorch", 2.0), result("JAX", 8.0), fma=1e9),
        row(result(OURS, 1.0), result("PyTorch", 0.5), result("JAX", 2.0), fma=1e9),
    ]
    (summary,) = summarise(rows)
    assert summary_sentence(summary) == (
        "Forward, 1 thread: 2 layers; geometric mean 1.00× the best peer (1.00× PyTorch, 4.00× JAX); lowest "
        "0.50×; 1 of 2 below 1."
    )
    (alone,) = summarise([row(result(OURS, 1.0), threads=2, fma=1e9)])
    assert summary_sentence(alone) == "Forward, 2 threads: 1 layer, none beside a peer."


def test_a_summary_says_what_memory_bounds_and_how_near_it_comes() -> None:
    # 1,632 bytes have to move at 20 GB/s; below 397 GFLOP/s · 0.2 the multiply-adds are the lower roof.
    rows = [
        row(result(OURS, seconds), result("PyTorch", 2 * seconds), fma=fma)
        for seconds, fma in ((1e-6, 1e12), (2e-7, 1e12), (4e-7, 1e12), (1e-6, 1e9))
    ]
    (summary,) = summarise(rows)
    assert summary.memory_bound == 3
    assert summary.share_of_copy == pytest.approx(1632 / 4e-7 / 20e9)
    assert summary_sentence(summary) == (
        "Forward, 1 thread: 4 layers; geometric mean 2.00× the best peer (2.00× PyTorch); lowest 2.00×; 0 of "
        "4 below 1. 3 bound by memory, at 20 % of the copy rate in the median."
    )
    (alone,) = summarise([row(result(OURS, 2e-7), fma=1e12)])
    assert summary_sentence(alone) == (
        "Forward, 1 thread: 1 layer, none beside a peer. 1 bound by memory, at 41 % of the copy rate in the "
        "median."
    )


def test_groups_come_forward_first_and_few_threads_first() -> None:
    rows = [
        row(result(OURS, 1.0), direction=direction, threads=threads)
        for direction in ("backward", "forward")
        for threads in (2, 1)
    ]
    assert [title for title, _ in grouped(rows)] == [
        "Forward, 1 thread",
        "Forward, 2 threads",
        "Backward, 1 thread",
        "Backward, 2 threads",
    ]


def test_markdown_has_a_table_for_each_group_and_the_lists() -> None:
    text = markdown(
        report(
            row(result(OURS, 1.0), result("PyTorch", 0.5)),
            row(result(OURS, None, WRONG, "y is off"), result("JAX", None, UNABLE, "no")),
            row(result(OURS, 1.0), result("PyTorch", 2.0), direction="backward"),
        )
    )
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == [
        "## Forward, 1 thread", "## Backward, 1 thread", "## Wrong answers", "## Losses", "## Not measured",
    ]  # fmt: skip
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert len(tables) == 2 + 2 + 2 + 1
    assert {line.count("|") for line in tables} == {len(COLUMNS) + 1}
    assert "Ours is tilewright." in text
    assert "Ours is the faster of our layouts." in markdown(report(row(result(OURS, 1.0), layout="best")))


def test_the_digest_has_a_line_per_layer() -> None:
    rows = [
        row(result(OURS, 1e-6), result("PyTorch", 2e-6), name=name, threads=threads)
        for name, threads in (("a", 1), ("a", 2), ("b", 1))
    ]
    lines = [line for line in digest(report(*rows)).splitlines() if line.startswith("|")]
    assert lines == [
        "| layer | geometry | batch | forward, 1 thread | forward, 2 threads |",
        "| --- | --- | ---: | ---: | ---: |",
        "| a | 3→4 3×3 at 6×5, stride 2×1, pad 1 | 2 | 6.48 (2.00×) | 6.48 (2.00×) |",
        "| b | 3→4 3×3 at 6×5, stride 2×1, pad 1 | 2 | 6.48 (2.00×) | — |",
    ]
