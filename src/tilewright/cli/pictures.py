"""What the commands for pictures have in common: their options, all cores at work, and what is said of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tilewright.cli.routes import Work, refusals
from tilewright.cli.text import print_json, quoted
from tilewright.errors import TilewrightError

if TYPE_CHECKING:
    from tilewright.image.picture import Picture

Entry = dict[str, Any]
#: A picture to what becomes of it.
Change = Callable[["Picture"], "Picture"]

# More at a time would fill the memory with pictures rather than speed anything up.
_MOST_AT_A_TIME = 16


@dataclass(frozen=True)
class Options:
    """The options that all commands for pictures have."""

    suffix: str | None
    overwrite: bool
    compare: bool
    quality: int
    max_pixels: int | None
    jobs: int | None
    as_json: bool
    quiet: bool


def picture_options(command: Callable[..., Any]) -> Any:
    """A decorator that gives a command the options of :class:`Options`."""
    for option in reversed(
        (
            click.option(
                "--suffix",
                metavar=".png",
                help="Ending of the new files in a folder, and so their kind.  [default: as they come]",
            ),
            click.option("--overwrite", is_flag=True, help="Replace files that are there."),
            click.option(
                "--compare", is_flag=True, help="Draw before and after side by side, too: NAME-compare.png."
            ),
            click.option(
                "--quality",
                metavar="N",
                default=95,
                show_default=True,
                type=click.IntRange(1, 100),
                help="Of JPEG and WebP.",
            ),
            click.option(
                "--max-pixels",
                metavar="N",
                type=click.IntRange(min=1),
                help="Refuse pictures of more pixels.  [default: 134217728]",
            ),
            click.option(
                "--jobs",
                metavar="N",
                type=click.IntRange(min=1),
                help="Pictures worked on at a time.  [default: as many as there are cores]",
            ),
            click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text."),
            click.option("--quiet", is_flag=True, help="No progress bar, and no word when all went well."),
        )
    ):
        command = option(command)
    return command


def taken_options(values: dict[str, Any]) -> Options:
    """The common options, taken out of a command's arguments."""
    suffix = values.pop("suffix")
    if suffix is not None:
        suffix = suffix if suffix.startswith(".") else f".{suffix}"
    names = ("overwrite", "compare", "quality", "max_pixels", "jobs", "as_json", "quiet")
    return Options(suffix, **{name: values.pop(name) for name in names})


def run(
    ctx: click.Context,
    works: Sequence[Work],
    failures: list[dict[str, str]],
    change: Change,
    options: Options,
    *,
    words: str,
    facts: dict[str, Any],
    stream: Callable[[Work], Entry] | None = None,
) -> None:
    """Do all works that can be done, report the others, and end with the exit code.

    Args:
        ctx: of the command.
        works: what to do.
        failures: what has failed before this, as ``file`` and ``error``.
        change: what becomes of a picture.
        options: the common ones.
        words: what is done, for the comparison's headline, such as ``gaussian, sigma 2``.
        facts: what the JSON says beside the files.
        stream: what does a work whose route is ``volume``, one after the other, with all cores for each.
    """
    if options.compare:
        from tilewright.lens.style import from_matplotlib

        from_matplotlib()
    refused = refusals(works, options.overwrite, compare_path if options.compare else None)
    failures += [{"file": str(works[place].source), "error": error} for place, error in refused.items()]
    left = [work for place, work in enumerate(works) if place not in refused]
    entries: dict[int, Entry] = {}
    failed: dict[int, str] = {}

    def one(work: Work) -> Entry:
        if work.route == "volume" and stream is not None:
            return stream(work)
        return _do(work, change, options, words)

    stopped = False
    for place, ended in _all(left, one, options):
        if ended is None:
            stopped = True
        elif isinstance(ended, str):
            failed[place] = ended
        else:
            entries[place] = ended
    # As they were named, not as they happened to end.
    failures += [{"file": str(left[place].source), "error": failed[place]} for place in sorted(failed)]
    done = [entries[place] for place in sorted(entries)]
    if stopped:
        kept = f"; what is written is kept in {quoted(left[0].target.parent)}" if done else ""
        raise KeyboardInterrupt(f"Stopped by Ctrl-C after {len(done)} of {_count(len(left))}{kept}.")
    if options.as_json:
        print_json({**facts, "files": done, "errors": failures})
    elif not options.quiet:
        _tell(done)
    for failure in failures:
        click.echo(f"{click.style('error: ', fg='red', bold=True)}{failure['error']}", err=True)
    if failures:
        ctx.exit(1 if done else 2)


def _do(work: Work, change: Change, options: Options, words: str) -> Entry:
    from tilewright.image.encode import format_of
    from tilewright.image.files import MAX_PIXELS, read_image, write_image

    format_of(work.target)  # before the work: an ending that can't be written is soon told
    before = read_image(work.source, max_pixels=options.max_pixels or MAX_PIXELS)
    after = change(before)
    work.target.parent.mkdir(parents=True, exist_ok=True)
    write_image(work.target, after, quality=options.quality)
    entry: Entry = {
        "file": str(work.source),
        "written": str(work.target),
        "width": after.width,
        "height": after.height,
    }
    if before.frames > 1:
        entry["note"] = f"{str(work.source)!r} has {before.frames} frames or pages; the first is done."
    if options.compare:
        from tilewright.cli.side_by_side import draw

        entry["compare"] = str(draw(before, after, compare_path(work.target), work.source.name, words))
    return entry


def compare_path(target: Path) -> Path:
    """Where the comparison of a picture goes: beside it."""
    stem = target.stem if target.suffix.lower() == ".png" else target.name
    return target.with_name(f"{stem}-compare.png")


def _all(
    works: Sequence[Work], do: Callable[[Work], Entry], options: Options
) -> Iterator[tuple[int, Entry | str | None]]:
    """The entry of each work, or its error's words, by its place; (−1, None) when Ctrl-C has come."""
    if not works:
        return
    if any(work.route == "volume" for work in works):
        yield from _in_turn(works, do)
        return
    at_a_time = min(options.jobs or _cores(), _MOST_AT_A_TIME if options.jobs is None else options.jobs)
    with _progress(len(works), options) as step, ThreadPoolExecutor(min(at_a_time, len(works))) as pool:
        waiting: dict[Future[Entry], int] = {}
        try:
            for place, work in enumerate(works):
                waiting[pool.submit(do, work)] = place
            while waiting:
                # A wait without end can't be interrupted on every system.
                finished, _ = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in finished:
                    place = waiting.pop(future)
                    step()
                    yield place, _ended(future)
        except KeyboardInterrupt:
            # What has begun is finished: half a picture is of no use, and a second one is soon done.
            pool.shutdown(wait=True, cancel_futures=True)
            for future, place in waiting.items():
                if not future.cancelled():
                    yield place, _ended(future)
            yield -1, None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _in_turn(works: Sequence[Work], do: Callable[[Work], Entry]) -> Iterator[tuple[int, Entry | str | None]]:
    """As :func:`_all`, one after the other, where Ctrl-C stops at once: a volume may take hours."""
    for place, work in enumerate(works):
        future: Future[Entry] = Future()
        try:
            future.set_result(do(work))
        except KeyboardInterrupt:
            yield -1, None
            return
        except Exception as error:
            future.set_exception(error)
        yield place, _ended(future)


@contextmanager
def volume_progress(name: str, options: Options) -> Iterator[Callable[[int, int], None] | None]:
    """A bar for a volume on a terminal; yields what is told how many samples are done, and of how many."""
    if options.quiet or options.as_json or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _ended(future: Future[Entry]) -> Entry | str:
    try:
        return future.result()
    except TilewrightError as error:
        return str(error)
    except OSError as error:
        if error.filename and error.strerror:
            return f"{error.strerror}: {error.filename!r}"
        return str(error)
    except MemoryError as error:
        return f"There is not enough memory. {error}".strip()


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


@contextmanager
def _progress(total: int, options: Options) -> Iterator[Callable[[], None]]:
    """A bar on a terminal when there is more than one to wait for; yields what moves it on."""
    if total < 2 or options.quiet or options.as_json or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("pictures", total=total)
        yield lambda: bar.advance(task)


def _count(number: int) -> str:
    return f"{number:,} picture{'' if number == 1 else 's'}"


def _tell(done: Sequence[Entry]) -> None:
    for entry in done:
        if "note" in entry:
            click.echo(f"note: {entry['note']}", err=True)
    if len(done) == 1:
        names = [done[0]["written"], *([done[0]["compare"]] if "compare" in done[0] else [])]
        click.echo(f"Written: {', '.join(quoted(name) for name in names)}")
    elif done:
        folders = sorted({str(Path(entry["written"]).parent) for entry in done})
        more = ", each with its comparison" if "compare" in done[0] else ""
        click.echo(f"Written: {_count(len(done))} in {', '.join(map(quoted, folders))}{more}")
