"""What a run shows: a bar on a terminal, lines elsewhere; and how Ctrl-C is taken."""

from __future__ import annotations

import builtins
import io
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console
from train.nets import tiny_images, tiny_net

from tilewright.train import Trainer, progress
from tilewright.train.interrupt import Interrupts
from tilewright.train.progress import Live, Plain, Silent, duration


@pytest.fixture(autouse=True)
def usual_interrupts() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal. Tests put it in stderr's place themselves: pytest undoes what a fixture puts there."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    return Terminal()


def test_a_terminal_gets_a_live_bar(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)
    Trainer(tiny_net(), tiny_images(), batch_size=10, epochs=2, validate_every=4).fit()
    shown = terminal.getvalue()
    for words in ("epoch 2", "loss", "accuracy", "images/s", "100 %", "left"):
        assert words in shown, words
    assert shown.count("validation loss") == 4  # at steps 4, 5, 8 and 10
    assert "\x1b[?25h" in shown  # the cursor is back


def test_the_bar_says_that_it_is_stopping() -> None:
    made = Terminal()
    live = Live(Console(file=made, force_terminal=True, width=120))
    with live:
        live.update(1, 1, 0.5, None, 10.0)  # before the start there is nothing to move
        live.stopping()
        live.begin(10, 4)
        live.update(5, 1, 0.25, None, 1234.0)
        live.stopping()
    shown = made.getvalue()
    assert "stopping" in shown
    assert "1,234 images/s" in shown
    assert "50 %" in shown


@pytest.mark.parametrize("why", ["no terminal", "dumb terminal", "no rich", "not asked"])
def test_elsewhere_lines_or_nothing(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO() if why == "no terminal" else terminal)
    assert type(progress.choose(True)) is (Plain if why == "no terminal" else Live)
    if why == "dumb terminal":
        monkeypatch.setenv("TERM", "dumb")
    if why == "no rich":
        usual = builtins.__import__

        def find(name: str, *args: Any, **kwargs: Any) -> Any:
            if name.startswith("rich"):
                raise ImportError(name)
            return usual(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", find)
    kind = Silent if why == "not asked" else Plain
    assert type(progress.choose(why != "not asked")) is kind


def test_plain_lines_come_when_nothing_was_said_for_a_while(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = 0.0
    monkeypatch.setattr("tilewright.train.progress.time.monotonic", lambda: clock)
    plain = Plain()
    plain.begin(total=100, done=20)
    for step in range(21, 61):
        clock += 1.0
        plain.update(step, 1, 0.5, 0.75, 1000.0)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "step 35 of 100  epoch 1  loss 0.5000  accuracy 75.00 %  1,000 images/s  65 s left",
        "step 50 of 100  epoch 1  loss 0.5000  accuracy 75.00 %  1,000 images/s  50 s left",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (8.26, "8.3 s"),
        (75.4, "75 s"),
        (754, "13 min"),
        (5990, "1 h 40 min"),
        (11100, "3 h 05 min"),
    ],
)
def test_time_spans(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_first_ctrl_c_is_a_wish_and_the_second_is_not() -> None:
    said: list[str] = []
    with Interrupts() as interrupts:
        interrupts.on_first = lambda: said.append("stopping")
        assert not interrupts.asked
        signal.raise_signal(signal.SIGINT)
        assert interrupts.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert said == ["stopping"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_ignored_ctrl_c_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
        assert not interrupts.asked
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_training_works_outside_the_main_thread() -> None:
    found: list[int] = []

    def work() -> None:
        found.append(Trainer(tiny_net(), tiny_images(), batch_size=10, progress=False).fit().steps)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [5]
