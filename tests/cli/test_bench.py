"""``tilewright bench``, with a layer that takes microseconds and peers that are made up."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench.fakes import ROOFS, SHORT, Clock, Fake
from cli.commands import Command

from tilewright.bench import cases, contestants, files, harness, peers, roofs, timing
from tilewright.bench.answers import TOLERANCE
from tilewright.cli import bench as command
from tilewright.kernel.jit import Missing

Enter = Callable[..., None]


class _Roof:
    amount = 1000

    def __call__(self) -> None:
        return


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    file = tmp_path / "tiny.txt"
    file.write_text("net/a conv x=2,3,6,5 w=4,3,3,3 p=1\nnet/b conv x=2,4,6,6 w=4,4,1,1\n", encoding="utf-8")
    return file


@pytest.fixture
def windows(tmp_path: Path) -> Path:
    """One of each other operation, and a filter."""
    file = tmp_path / "windows.txt"
    file.write_text(
        "net/up conv_transpose x=2,3,4,5 w=3,2,4,4 s=2 p=1\n"
        "net/max max_pool x=2,3,9,8 k=3,3 s=2 p=1\n"
        "net/mean avg_pool x=2,3,8,8 k=2,2\n"
        "net/filter conv x=1,3,9,8 w=3,1,3,3 p=1 g=3 f=same\n",
        encoding="utf-8",
    )
    return file


@pytest.fixture(autouse=True)
def enter(monkeypatch: pytest.MonkeyPatch) -> Enter:
    """No measuring of the machine, hardly any of the contestants; and these peers, whatever is asked for."""
    monkeypatch.setattr(timing, "QUICK", SHORT)
    monkeypatch.setattr(roofs, "measure", lambda dtype, counts: ROOFS)
    monkeypatch.setattr(roofs, "multiply_adds", lambda dtype, count: _Roof())

    def these(*fakes: Any) -> None:
        monkeypatch.setattr(peers, "named", lambda names: list(fakes) if names else [])

    these(Fake("Quick", Clock()))
    return these


def small(shapes: Path, *more: object) -> tuple[object, ...]:
    return ("bench", "--shapes", shapes, "--quick", "--threads", 1, *more)


def test_tables_summaries_and_losses(tilewright: Command, shapes: Path) -> None:
    # Its answers lie ready, so it is faster than anybody who computes.
    ended = tilewright(*small(shapes))
    assert ended.code == 0, ended.err
    for heading in ("Forward, 1 thread", "Backward, 1 thread", "Losses"):
        assert heading in ended.out
    assert "WRONG" not in ended.out
    assert re.search(r"^net/a +3→4 3×3 at 6×5, pad 1 +\d+ .* Quick .*×$", ended.out, re.MULTILINE)
    assert "Forward, 1 thread: 2 layers; geometric mean 0." in ended.out
    lost = re.findall(r"^  net/[ab], (?:for|back)ward, 1 thread: 0\.\d+× Quick: ", ended.out, re.MULTILINE)
    assert len(lost) == 4
    lines = ended.err.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("[1/4] net/a, forward, 1 thread: ")


def test_every_operation_is_measured(tilewright: Command, windows: Path, tmp_path: Path) -> None:
    ended = tilewright(*small(windows, "--out", tmp_path / "out"))
    assert ended.code == 0, ended.err
    for words in (
        "transposed 3→2 4×4 at 4×5, stride 2, pad 1",
        "max 3×3 at 9×8, 3 channels, stride 2, pad 1",
        "avg 2×2 at 8×8, 3 channels, stride 2",
        "3→3 3×3 at 9×8, pad 1, 3 groups, one kernel",
    ):
        assert ended.out.count(f" {words} ") == 2, words
    text = (tmp_path / "out" / "results.csv").read_text(encoding="utf-8")
    lines = list(csv.DictReader(text.splitlines()))
    assert {line["operation"] for line in lines} == {"conv", "conv_transpose", "max_pool", "avg_pool"}
    assert {line["status"] for line in lines} == {"ok"}
    assert all(float(line["share_of_copy"]) > 0 for line in lines)


def test_a_wrong_answer_is_marked_and_ends_with_1(tilewright: Command, shapes: Path, enter: Enter) -> None:
    enter(Fake("Sloppy", Clock(), spoil=lambda answers: tuple(-answer for answer in answers)))
    ended = tilewright(*small(shapes, "--direction", "forward"))
    assert ended.code == 1
    assert "Wrong answers" in ended.out
    assert "net/a, forward, 1 thread: Sloppy: y differs from the definition by " in ended.out


def test_our_own_wrong_answer_is_marked_in_the_table(
    tilewright: Command, shapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = contestants.conv_forward
    monkeypatch.setattr(contestants, "conv_forward", lambda dims, x, w: right(dims, x, w) * 1.01)
    ended = tilewright(*small(shapes, "--direction", "forward"))
    assert ended.code == 1
    assert len(re.findall(r"^net/[ab] .* WRONG ", ended.out, re.MULTILINE)) == 2
    assert "Losses" not in ended.out


def test_the_files(tilewright: Command, shapes: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    out = tmp_path / "deep" / "out"
    ended = tilewright(*small(shapes, "--out", out))
    assert ended.code == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "results.csv", "results.json", "roofline.png", "table.md",
    ]  # fmt: skip
    assert "Written: " in ended.err.splitlines()[-1]
    lines = list(csv.DictReader((out / "results.csv").read_text(encoding="utf-8").splitlines()))
    assert {line["contestant"] for line in lines} == {"tilewright", "tilewright channels-last", "Quick"}
    assert len(lines) == 2 * 2 * 3
    assert json.loads((out / "results.json").read_text(encoding="utf-8"))["complete"] is True


def test_ctrl_c_keeps_what_was_measured(
    tilewright: Command, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = harness.run

    def stopped(*arguments: Any, **more: Any) -> Any:
        for count, row in enumerate(whole(*arguments, **more)):
            if count == 3:
                raise KeyboardInterrupt
            yield row

    monkeypatch.setattr(harness, "run", stopped)
    ended = tilewright(*small(shapes, "--out", tmp_path / "out"))
    assert ended.code == 130
    assert ended.err.splitlines()[-1] == (
        f"Stopped by Ctrl-C after 3 of 4 rows, which are in {tmp_path / 'out'}."
    )
    found = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert (len(found["rows"]), found["planned_rows"], found["complete"]) == (3, 4, False)
    assert "3 of 4 rows" in ended.out
    ended = tilewright(*small(shapes, "--quiet"))
    assert (ended.code, ended.err) == (130, "Stopped by Ctrl-C after 3 of 4 rows.\n")


def test_json_is_the_same_as_the_file(tilewright: Command, shapes: Path, tmp_path: Path) -> None:
    ended = tilewright(*small(shapes, "--json", "--quiet", "--out", tmp_path / "out"))
    assert (ended.code, ended.err) == (0, "")
    assert ended.json == json.loads((tmp_path / "out" / files.JSON).read_text(encoding="utf-8"))
    assert [row["layer"] for row in ended.json["rows"]] == ["net/a", "net/a", "net/b", "net/b"]
    assert ended.json["settings"]["effort"]["rounds"] == 3


def test_missing_peers_give_their_reasons(tilewright: Command, shapes: Path, enter: Enter) -> None:
    enter(
        Fake("Away", Clock(), absent="the package away isn't installed"),
        Fake("Forward only", Clock(), reason="it has no gradients"),
    )
    ended = tilewright(*small(shapes))
    assert ended.code == 0
    assert "Absent: Away: the package away isn't installed" in ended.out
    assert "  Away: the package away isn't installed (4 rows)." in ended.out
    assert "  Forward only: it has no gradients (4 rows)." in ended.out
    assert "Forward, 1 thread: 2 layers, none beside a peer." in ended.out


def test_without_llvmlite_there_are_no_roofs_and_a_note(
    tilewright: Command, shapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise Missing("No module named 'llvmlite'")

    monkeypatch.setattr(roofs, "measure", missing)
    ended = tilewright(*small(shapes, "--quiet", "--peers", "none"))
    assert ended.code == 0
    assert ended.err == (
        "note: the machine's roofs aren't measured: llvmlite can't be imported (No module named 'llvmlite')."
        "\n"
    )
    assert "Roofs" not in ended.out


def test_the_list(tilewright: Command) -> None:
    ended = tilewright("bench", "--shapes", "vgg", "--match", "conv1_1", "--list")
    assert (ended.code, ended.out) == (0, "vgg16/conv1_1      8 × 3→64 3×3 at 224×224, pad 1\n")
    found = tilewright("bench", "--quick", "--list", "--json").json
    assert {"layer": "digitnet/conv", "batch": 60, "geometry": "1→32 5×5 at 28×28, pad 2"} in found
    assert len(found) == 7
    assert len(tilewright("bench", "--list", "--json").json) >= 60


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--threads", "0"), "'0' isn't a list of numbers such as 1,2."),
        (("--threads", "1,two"), "'1,two' isn't a list of numbers such as 1,2."),
        (("--direction", "sideways"), "'sideways' is not one of forward, backward."),
        (
            ("--peers", "caffe"),
            "'caffe' is not one of pytorch, onnxruntime, opencv, scipy, jax, openvino, none.",
        ),
        (("--peers", "none,jax"), "--peers is none, or names of peers, not both."),
        (("--peers", ","), "',' names nothing."),
        (("--layout", "nhcw"), "Invalid value for '--layout'"),
        (("--shapes", "squeezenet"), "--shapes must be dense, key, windows, depthwise,"),
        (("--shapes", "nowhere.txt"), "read_shapes needs a shapes file or a folder of them."),
    ],
)
def test_bad_usage_ends_with_2(tilewright: Command, arguments: tuple[str, ...], message: str) -> None:
    ended = tilewright("bench", *arguments)
    assert ended.code == 2
    assert message in ended.err
    assert ended.out == ""


def test_a_folder_that_can_t_be_written_is_refused_before_the_run(
    tilewright: Command, shapes: Path, enter: Enter
) -> None:
    peer = Fake("Quick", Clock())
    enter(peer)
    ended = tilewright(*small(shapes, "--out", shapes))
    assert ended.code == 2
    assert ended.only_error == (
        f"error: --out needs a folder. Received: out={str(shapes)!r}. Choose another name."
    )
    assert peer.calls == 0


def test_the_names_written_out_are_those_of_the_library() -> None:
    assert command.PEERS == peers.NAMES
    assert command.DIRECTIONS == contestants.DIRECTIONS
    assert tuple(cases.KINDS) == command.KINDS
    assert (*contestants.LAYOUTS, "best") == command.LAYOUTS
    assert tuple(TOLERANCE) == command.DTYPES


def test_one_core_is_measured_with_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, counts in ((1, (1,)), (2, (1, 2)), (64, (1, 2))):
        monkeypatch.setattr("tilewright.plan.processor.usable_cores", lambda cores=cores: cores)
        assert command._thread_counts() == counts
