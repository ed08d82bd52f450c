"""The group of commands, and what every one of them does with an error."""

from __future__ import annotations

import errno
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from tilewright._version import __version__
from tilewright.cli.bench import bench
from tilewright.cli.cache import cache
from tilewright.cli.compare import compare
from tilewright.cli.denoise import denoise
from tilewright.cli.edges import edges
from tilewright.cli.explain import explain
from tilewright.cli.filter import filter
from tilewright.cli.info import info
from tilewright.cli.motion import motion
from tilewright.cli.predict import predict
from tilewright.cli.resume import resume
from tilewright.cli.summary import summary
from tilewright.cli.text import ShowsExamples
from tilewright.cli.train import train
from tilewright.cli.upsample import upsample
from tilewright.errors import TilewrightError

BAD = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells say it


class Commands(ShowsExamples, click.Group):
    """A group whose commands answer an expected error with one line on standard error."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; TilewrightError, OSError, MemoryError and Ctrl-C become exit codes."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            # Training's own message says what was saved; a bare Ctrl-C has none.
            _end(ctx, INTERRUPTED, str(error) or "Stopped by Ctrl-C.", label="")
        except TilewrightError as error:
            _end(ctx, BAD, str(error))
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # the reader of our output went away; click ends quietly
            _end(ctx, BAD, _about(error))
        except MemoryError as error:
            _end(ctx, BAD, f"There is not enough memory. {error}".strip())


def _about(error: OSError) -> str:
    """``No space left on device: 'runs/demo/last.safetensors'`` rather than ``[Errno 28] …``."""
    if error.strerror is None:
        return str(error) or type(error).__name__
    return f"{error.strerror}: {error.filename!r}" if error.filename else error.strerror


def _end(ctx: click.Context, code: int, message: str, label: str = "error: ") -> NoReturn:
    if ctx.params.get("debug"):
        traceback.print_exc()
    click.echo(f"{click.style(label, fg='red', bold=True) if label else ''}{message}", err=True)
    ctx.exit(code)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    examples=(
        ("tilewright train digits", "train on 1,797 real digits, in under a minute"),
        ("tilewright compare runs/a runs/b", "two runs side by side"),
        ("tilewright predict runs/digits-digitnet seven.png", "name what is in a picture"),
        ("tilewright filter sharpen photos sharp", "sharpen every picture of a folder"),
        ("tilewright summary lenet5", "the layers, and what they cost"),
        ("tilewright info", "the processor, and what computes on it"),
    ),
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(__version__, prog_name="tilewright")
def app(debug: bool) -> None:
    """Train small convolutional networks on a CPU, use them, and filter pictures."""


for command in (
    train, resume, compare, predict, filter, edges, denoise, upsample, summary, info, explain, bench, cache,
    motion,
):  # fmt: skip
    app.add_command(command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    try:
        app.main(args=None if arguments is None else list(arguments), prog_name="tilewright")
    except SystemExit as end:
        if isinstance(end.code, int):
            return end.code
        return 0 if end.code is None else _say(end.code)
    return 0


def _say(message: object) -> int:
    print(message, file=sys.stderr)
    return 1
