"""``tilewright compare``: tables, JSON, a picture and a page."""

from __future__ import annotations

import html.parser
import shutil
from pathlib import Path

import pytest
from cli.commands import Command
from lens.pictures import read_png

TWO = ("--epochs", 1, "--quiet", "--no-pictures")


@pytest.fixture(scope="module")
def runs(tilewright: Command, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs with different rates; not to be changed."""
    folder = tmp_path_factory.mktemp("runs")
    first, second = folder / "slow", folder / "fast"
    for run, rate in ((first, 0.0003), (second, 0.03)):
        ended = tilewright("train", "digits", "--lr", rate, "--augment", "shift=1", *TWO, "--out", run)
        assert ended.code == 0, ended.err
    return first, second


def test_tables_of_what_differs_and_what_came_of_it(tilewright: Command, runs: tuple[Path, Path]) -> None:
    ended = tilewright("compare", *runs)
    assert (ended.code, ended.err) == (0, "")
    lines = {line.split("  ")[0]: line.split() for line in ended.out.splitlines() if line}
    assert lines["lr"] == ["lr", "0.0003", "0.03"]
    assert "augment" not in lines and "epochs" not in lines  # they are the same
    assert lines["test accuracy"][-1] == "*"  # the faster one knows more after one pass
    assert lines["steps"] == ["steps", "24", "24"]
    assert "Results (* the best)" in ended.out and "Settings that differ" in ended.out
    assert "Not finished" not in ended.out


def test_json_for_programs(tilewright: Command, runs: tuple[Path, Path]) -> None:
    found = tilewright("compare", *runs, "--json").json
    assert [run["name"] for run in found["runs"]] == ["slow", "fast"]
    assert found["settings"] == {"lr": [0.0003, 0.03]}
    slow, fast = found["figures"]["test accuracy"]
    assert fast > slow
    assert found["best"]["test accuracy"] == ["fast"]
    assert found["best"]["test loss"] == ["fast"]
    assert "seconds" in found["figures"] and "seconds" not in found["best"]
    assert found["files"] == []


class Page(html.parser.HTMLParser):
    """What a page says, and whether its elements close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.pictures: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.pictures.append(dict(attrs)["src"] or "")
        elif tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())


def test_the_picture_and_the_page(tilewright: Command, runs: tuple[Path, Path], tmp_path: Path) -> None:
    odd = tmp_path / "<b>&run"
    shutil.copytree(runs[0], odd)
    out = tmp_path / "new" / "comparison"
    ended = tilewright("compare", *runs, odd, "--out", out)
    assert ended.code == 0, ended.err
    assert "Written: " in ended.err
    assert sorted(path.name for path in out.iterdir()) == ["compare.html", "compare.png"]
    read_png(out / "compare.png")
    page = Page((out / "compare.html").read_text(encoding="utf-8"))
    assert page.open == []
    for words in ("3 training runs", "slow", "fast", "<b>&run", "lr", "0.0003", "test accuracy"):
        assert words in page.words, words
    # It stands on its own: the picture is in it, and nothing is loaded from elsewhere.
    assert [source.partition(",")[0] for source in page.pictures] == ["data:image/png;base64"]
    assert "http" not in (out / "compare.html").read_text(encoding="utf-8")
    # Again, over what is there.
    assert tilewright("compare", *runs, "--out", out).code == 0


def test_a_run_that_is_not_finished_takes_part(
    tilewright: Command, runs: tuple[Path, Path], tmp_path: Path
) -> None:
    cut = tmp_path / "cut"
    shutil.copytree(runs[0], cut)
    (cut / "report.json").unlink()
    ended = tilewright("compare", cut, runs[1])
    assert ended.code == 0
    assert "Not finished: cut." in ended.out
    found = tilewright("compare", cut, runs[1], "--json").json
    assert found["figures"]["test accuracy"][0] is None
    assert found["figures"]["best validation loss"][0] > 0


def test_runs_that_are_the_same(tilewright: Command, runs: tuple[Path, Path], tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    shutil.copytree(runs[0], twin)
    ended = tilewright("compare", runs[0], twin)
    assert ended.code == 0
    assert "All settings are the same." in ended.out
    assert "*" not in ended.out


def test_refusals(tilewright: Command, runs: tuple[Path, Path], tmp_path: Path) -> None:
    ended = tilewright("compare", runs[0])
    assert (ended.code, "Comparing needs at least two runs." in ended.only_error) == (2, True)
    ended = tilewright("compare", runs[0], runs[1], f"{runs[0]}/.")
    assert ended.code == 2
    assert "Comparing needs each run once." in ended.only_error
    (tmp_path / "file").touch()
    ended = tilewright("compare", *runs, "--out", tmp_path / "file")
    assert "A comparison is written into a folder." in ended.only_error
    for name, content, message in (
        ("report.json", b"{", "isn't a JSON file in UTF-8."),
        ("report.json", b"[]", "needs to be that of a run."),
        ("report.json", b'{"test": 3}', "needs to be that of a run."),
        ("metrics.csv", b"a,b\n", "needs these columns"),
        ("config.toml", b"x = 1", "needs to be a configuration of format 1"),
    ):
        broken = tmp_path / "broken"
        shutil.rmtree(broken, ignore_errors=True)
        shutil.copytree(runs[0], broken)
        (broken / name).write_bytes(content)
        ended = tilewright("compare", broken, runs[1])
        assert ended.code == 2
        assert message in ended.only_error and name in ended.only_error
