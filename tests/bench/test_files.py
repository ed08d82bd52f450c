"""The files of a run: what is in them, and what is refused before anything is measured."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
from bench.fakes import ROOFS, pooling, report, result, row, transposed

from tilewright.bench import files
from tilewright.bench.contestants import OURS
from tilewright.bench.files import BEGIN, CSV_COLUMNS, END, as_dict, csv_text, ready, write
from tilewright.bench.picture import draw_roofline
from tilewright.bench.results import UNABLE, WRONG
from tilewright.errors import ArgumentError, FileFormatError, MissingExtraError

ROWS = (
    row(result(OURS, 1e-3), result("PyTorch", 0.5e-3), result("JAX", None, UNABLE, "it isn't installed")),
    row(result(OURS, None, WRONG, "y is off"), result("PyTorch", 1e-3), direction="backward", threads=2),
)


def test_the_csv_has_a_line_per_contestant_and_all_columns() -> None:
    lines = list(csv.DictReader(csv_text(ROWS).splitlines()))
    assert len(lines) == 5
    assert all(tuple(line) == CSV_COLUMNS for line in lines)
    assert lines[0] == {
        "layer": "net/small",
        "operation": "conv",
        "direction": "forward",
        "threads": "1",
        "dtype": "float32",
        "batch": "2",
        "in_channels": "3",
        "out_channels": "4",
        "groups": "1",
        "spatial": "6×5",
        "kernel": "3×3",
        "stride": "2×1",
        "padding": "1:1×1:1",
        "dilation": "1×1",
        "flops": "6480",
        "bytes": "1632",
        "bound": "memory",
        "families": "direct",
        "fma_roof_gflops": "100",
        "copy_roof_gbytes": "20",
        "contestant": "tilewright",
        "version": "1.0",
        "status": "ok",
        "note": "",
        "median_ms": "1",
        "best_ms": "0.9",
        "spread": "0.05",
        "rounds": "5",
        "calls": "1",
        "gflops": "0.00648",
        # 6.48 MFLOP/s under a roof of 20 GB/s · 3.97 FLOP/B
        "gbytes": "0.001632",
        "share_of_roof": "8.16e-05",
        "share_of_copy": "8.16e-05",
    }
    assert [(line["contestant"], line["status"], line["note"], line["median_ms"]) for line in lines[2:4]] == [
        ("JAX", "unable", "it isn't installed", ""),
        ("tilewright", "wrong", "y is off", ""),
    ]


def test_the_csv_says_what_bounds_a_layer_of_any_operation() -> None:
    up = transposed((2, 3, 4, 5), (3, 2, 2, 2), stride=2)
    mean = pooling("avg_pool", (2, 6, 9, 8), (3, 2))
    rows = (
        row(result(OURS, 1e-3), dims=up, fma=1e9, copy=20e9),
        row(result(OURS, 1e-3), dims=mean, direction="backward", families=("planes",)),
        row(result(OURS, 1e-3), dims=mean, fma=None, copy=None),
    )
    first, second, third = csv.DictReader(csv_text(rows).splitlines())
    columns = (
        "operation", "batch", "in_channels", "out_channels", "groups", "spatial", "kernel", "stride", "bytes",
        "bound",
    )  # fmt: skip
    assert [first[column] for column in columns] == [
        "conv_transpose", "2", "3", "2", "1", "4×5", "2×2", "2×2", "1856", "multiply-adds",
    ]  # fmt: skip
    assert [second[column] for column in columns] == [
        "avg_pool", "2", "6", "6", "6", "9×8", "3×2", "3×2", "4032", "memory",
    ]  # fmt: skip
    assert (second["gbytes"], second["share_of_copy"]) == ("0.004032", "0.0002016")
    assert (third["bound"], third["share_of_copy"], third["gbytes"]) == ("", "", "0.004032")


def test_the_json_holds_everything_and_is_strict() -> None:
    found = json.loads(json.dumps(as_dict(report(*ROWS)), allow_nan=False))
    assert found["complete"] is True
    assert found["machine"]["roofs"]["fma"] == {"1": 100e9, "2": 200e9}
    assert found["settings"]["effort"]["rounds"] == 5
    assert [line["ratio"] for line in found["losses"]] == [0.5]
    assert found["losses"][0]["sentence"].startswith("net/small, forward, 1 thread: 0.50× PyTorch: ")
    assert found["wrong"] == ["net/small, backward, 2 threads: tilewright: y is off."]
    assert found["not_measured"] == ["JAX: it isn't installed (1 row)."]
    first, second = found["rows"]
    assert (first["best_peer"], first["ratio"], first["spatial"]) == ("PyTorch", 0.5, [6, 5])
    assert first["results"][0]["timing"]["median"] == 1e-3
    assert (first["operation"], first["bound"], first["memory_bound"]) == ("conv", "memory", True)
    assert first["results"][0]["gbytes"] == pytest.approx(1632 / 1e-3 / 1e9)
    assert first["results"][0]["share_of_copy"] == pytest.approx(1632 / 1e-3 / 20e9)
    assert (second["ratio"], second["results"][0]["timing"], second["results"][0]["gflops"]) == (
        None,
        None,
        None,
    )
    assert [summary["mean"] for summary in found["summaries"]] == [0.5, None]


def test_a_run_leaves_four_files_and_no_others(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    folder = ready(tmp_path / "deep" / "bench")
    written = write(report(*ROWS), folder)
    assert [path.name for path in written] == ["table.md", "results.csv", "results.json", "roofline.png"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in written)
    assert (folder / "table.md").read_text(encoding="utf-8").startswith("# Benchmark\n\n- Processor: ")
    assert (folder / "roofline.png").read_bytes().startswith(b"\x89PNG")
    # Again, over the old ones.
    assert write(report(ROWS[0]), folder) == written
    assert json.loads((folder / "results.json").read_text(encoding="utf-8"))["planned_rows"] == 1


def test_without_matplotlib_the_numbers_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> Path:
        raise MissingExtraError("Drawing a picture needs the package matplotlib, which is not installed.")

    monkeypatch.setattr(files, "draw_roofline", missing)
    assert [path.name for path in write(report(*ROWS), tmp_path)] == [
        "table.md",
        "results.csv",
        "results.json",
    ]


def test_a_run_without_rows_is_written_too(tmp_path: Path) -> None:
    assert [path.name for path in write(report(), tmp_path)] == ["table.md", "results.csv", "results.json"]


def test_a_readme_with_marks_receives_the_digest(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\n\nAfter.\n", encoding="utf-8")
    for _ in range(2):
        assert write(report(*ROWS), tmp_path)[-1] == readme
        text = readme.read_text(encoding="utf-8")
        assert text.startswith(f"# Before\n\n{BEGIN}\n\n- Processor: A processor")
        assert text.endswith(f"\n{END}\n\nAfter.\n")
        assert "old" not in text
        assert text.count("| net/small |") == 1


def test_the_page_about_the_benchmark_has_both_marks() -> None:
    text = (Path(__file__).resolve().parents[2] / "bench" / "README.md").read_text(encoding="utf-8")
    before, _, after = text.partition(BEGIN)
    assert before and after.count(END) == 1 and BEGIN not in after


def test_a_readme_without_marks_is_left_alone(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_bytes(b"# Mine\r\n")
    write(report(*ROWS), ready(tmp_path))
    assert readme.read_bytes() == b"# Mine\r\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BEGIN, "Received: begin=1, end=0. Mend the marks, or remove both."),
        (f"{END} {BEGIN}", "Received: begin=1, end=1."),
        (f"{BEGIN} {END} {END}", "Received: begin=1, end=2."),
    ],
)
def test_half_a_pair_of_marks_is_refused_before_the_run(tmp_path: Path, content: str, message: str) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(content, encoding="utf-8")
    with pytest.raises(FileFormatError) as refusal:
        ready(tmp_path)
    assert str(refusal.value).startswith(
        f"{str(readme)!r} needs the marks {BEGIN} and {END} once each, in this order. "
    )
    assert message in str(refusal.value)


def test_a_readme_that_is_no_text_is_refused(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_bytes(b"abc\xff")
    with pytest.raises(FileFormatError) as refusal:
        ready(tmp_path)
    assert str(refusal.value) == (
        f"{str(readme)!r} needs to be UTF-8 text. Received: a byte that is not, at offset 3."
    )
    readme.write_bytes(b" " * ((1 << 22) + 1))
    with pytest.raises(FileFormatError) as refusal:
        ready(tmp_path)
    assert str(refusal.value) == (
        f"{str(readme)!r} is too large for a README, which has at most 4194304 bytes. "
        "Received: bytes=4194305."
    )


def test_out_must_be_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "bench"
    file.write_text("")
    with pytest.raises(ArgumentError) as refusal:
        ready(file)
    assert str(refusal.value) == f"--out needs a folder. Received: out={str(file)!r}. Choose another name."


@pytest.mark.skipif(sys.platform == "win32", reason="Windows folders have no such permission")
def test_a_file_that_can_t_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(report(*ROWS), tmp_path)
    before = (tmp_path / "table.md").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        write(report(ROWS[0]), tmp_path)
    assert (tmp_path / "table.md").read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_the_picture_refuses_another_kind_of_file(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    with pytest.raises(ArgumentError, match=r"A picture is saved as a PNG file\."):
        draw_roofline(ROWS, ROOFS, tmp_path / "roofline.svg")


def test_the_picture_shows_everybody_who_was_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    from tilewright.lens.page import Page

    drawn = []
    monkeypatch.setattr(Page, "save", lambda page, path: drawn.append(page.figure) or path)
    draw_roofline(ROWS, ROOFS, tmp_path / "roofline.png")
    (figure,) = drawn
    panels = [axes for axes in figure.axes if axes.get_xscale() == "log"]
    assert [[text.get_text() for text in axes.texts] for axes in panels] == [
        ["1 thread\n1 of 1 bound by memory: 0 % of the\ncopy rate in the median"], ["2 threads"],
    ]  # fmt: skip
    # The roof, and a mark each for ours (forward only: the other one was wrong) and the peer.
    one, two = ([line.get_marker() for line in axes.lines] for axes in panels)
    assert one == ["None", "o", "o"]
    assert two == ["None", "^"]
    across, level = panels[0].lines[0].get_data()
    assert max(level) == pytest.approx(100.0)
    assert min(level) == pytest.approx(20.0 * min(across))
