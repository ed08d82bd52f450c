"""``tilewright motion``: what moves in a clip, drawn on it and listed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tilewright.cli.text import ShowsExamples, print_json
from tilewright.errors import ArgumentError, FileFormatError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tilewright.image.video import Box, MotionFrame, Video


@click.command(
    cls=ShowsExamples,
    short_help="Boxes around what moves in a clip.",
    examples=(
        ("tilewright motion street.mp4 boxes.mp4", "a copy with the boxes drawn"),
        ("tilewright motion street.mp4 out.gif --boxes boxes.csv", "and a table of them"),
        (
            "tilewright motion street.mp4 out.mp4 --show both --threshold 20",
            "with the map, for strong motion",
        ),
        ("tilewright motion street.mp4 out.mp4 --json | jq .boxes", "for programs"),
    ),
)
@click.argument("clip", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--boxes", type=click.Path(path_type=Path), help="A .csv or .json file for the table of boxes.")
@click.option(
    "--show",
    type=click.Choice(["boxes", "map", "both"]),
    default="boxes",
    show_default=True,
    help="What is drawn: boxes, or what is lighter (orange) and darker (blue) than the still scene.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(min=0, min_open=True),
    metavar="LEVELS",
    help="Grey levels (of 255) by which a moving thing differs from the scene.  [default: by the noise]",
)
@click.option(
    "--min-area",
    type=click.FloatRange(min=0),
    metavar="PIXELS",
    help="Pixels of the smallest thing.  [default: 0.05 % of the frame]",
)
@click.option(
    "--persist",
    type=click.IntRange(min=1, max=1000),
    default=3,
    show_default=True,
    help="Frames in which a thing has to be seen; 1 keeps things that don't get on, too.",
)
@click.option(
    "--window",
    type=click.IntRange(min=2, max=1000),
    metavar="FRAMES",
    help="Frames over which the still scene is looked for.  [default: those of 8 seconds]",
)
@click.option("--shadows", is_flag=True, help="Count cast shadows as part of things.")
@click.option("--start", type=click.IntRange(min=0), default=0, metavar="N", help="The first frame, from 0.")
@click.option("--stop", type=click.IntRange(min=1), metavar="N", help="The frame to stop before.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.pass_context
def motion(
    ctx: click.Context,
    clip: Path,
    out: Path,
    boxes: Path | None,
    show: str,
    threshold: float | None,
    min_area: float | None,
    persist: int,
    window: int | None,
    shadows: bool,
    start: int,
    stop: int | None,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Find what moves in CLIP, and write it to OUT with a box around each thing.

    The camera has to stand still; changes of its exposure, its shaking by a pixel and a GIF's palettes are
    seen through. OUT ends in .mp4, .mov, .mkv, .webm, .avi or .gif. A clip that is damaged half-way is done
    up to there, and so is one stopped by Ctrl-C: exit codes 1 and 130.
    """
    from tilewright.image.video import VideoWriter, find_motion, read_video, write_boxes
    from tilewright.image.video.boxes import as_row, check_table

    _check_targets(clip, out, boxes, overwrite)
    if boxes is not None:
        check_table(boxes, "--boxes")
    pick: dict[str, Any] = {"start": start, "stop": stop}
    video = read_video(clip, **pick)
    found = find_motion(
        clip, window=window, threshold=threshold, min_area=min_area, persist=persist, shadows=shadows, **pick
    )
    listed: list[Box] = []
    damage: FileFormatError | None = None
    began = time.monotonic()
    stopped = False
    writer = VideoWriter(out, video.fps)
    try:
        with writer, _bar(video, quiet) as advance:
            try:
                for pixels, moving in _drawn(video, found, show):
                    writer.write(pixels)
                    listed += moving.boxes
                    advance()
            except FileFormatError as error:
                if not writer.frames:
                    raise
                damage = error
    except KeyboardInterrupt:
        if not writer.frames:
            raise
        stopped = True
    if boxes is not None:
        write_boxes(boxes, listed, clip=str(clip), fps=video.fps, width=video.width, height=video.height)
    tracks = _tracks(listed)
    if as_json:
        print_json(
            {
                "clip": clip,
                "out": out,
                "table": boxes,
                "frames": writer.frames,
                "fps": video.fps,
                "width": video.width,
                "height": video.height,
                "tracks": tracks,
                "boxes": [as_row(box) for box in listed],
                "notes": writer.notes,
                "error": None if damage is None else str(damage),
            }
        )
    else:
        _say(tracks, writer.frames, time.monotonic() - began)
    if not as_json:
        written = ", ".join(str(path) for path in (out, boxes) if path is not None)
        click.echo(f"Written: {written}", err=True)
        for note in writer.notes:
            click.echo(f"note: {note}", err=True)
    if stopped:
        raise KeyboardInterrupt(f"Stopped by Ctrl-C after {writer.frames} frames, which are written.")
    if damage is not None:
        click.echo(f"{click.style('error: ', fg='red', bold=True)}{damage}", err=True)
        ctx.exit(1)


def _check_targets(clip: Path, out: Path, boxes: Path | None, overwrite: bool) -> None:
    for path in (out, boxes):
        if path is None:
            continue
        if path.exists() and clip.exists() and path.samefile(clip):
            raise ArgumentError("motion needs to write to another file than it reads.", f"{str(path)!r}")
        if path.exists() and not overwrite:
            raise ArgumentError(
                "motion writes no file over another.",
                f"{str(path)!r}, which exists",
                "Add --overwrite to replace it.",
            )
    if boxes is not None and boxes.absolute() == out.absolute():
        raise ArgumentError("motion needs two names for two files.", f"{str(out)!r} twice")


def _drawn(
    video: Video, found: Iterator[MotionFrame], show: str
) -> Iterator[tuple[npt.NDArray[np.uint8], MotionFrame]]:
    """Each frame with what moves drawn on it.

    The clip is read twice at the same time: what moves is known half a window late, and whole frames would
    take too much memory to wait for it.
    """
    from tilewright.image.video import draw_boxes, draw_map

    # What moves first: where the clip is damaged, it says so with the frames before done.
    with video:
        for moving, frame in zip(found, video.timed(), strict=False):
            pixels = frame.pixels
            if show != "boxes":
                pixels = draw_map(pixels, moving.map)
            if show != "map":
                pixels = draw_boxes(pixels, moving.boxes)
            yield pixels, moving


def _tracks(boxes: list[Box]) -> list[dict[str, Any]]:
    """What moved: for each thing its frames, times and largest size."""
    found: dict[int, list[Box]] = {}
    for box in boxes:
        found.setdefault(box.track, []).append(box)
    return [
        {
            "track": track,
            "first_frame": seen[0].frame,
            "last_frame": seen[-1].frame,
            "from": round(seen[0].time, 6),
            "to": round(seen[-1].time, 6),
            "boxes": len(seen),
            "width": max(box.width for box in seen),
            "height": max(box.height for box in seen),
        }
        for track, seen in sorted(found.items())
    ]


def _say(tracks: list[dict[str, Any]], frames: int, seconds: float) -> None:
    things = {0: "Nothing moves", 1: "1 thing moves"}.get(len(tracks), f"{len(tracks)} things move")
    click.echo(f"{things} in {frames} frames ({frames / max(seconds, 1e-9):.0f} frames a second).")
    for track in tracks:
        click.echo(
            f"  {track['track']}: frames {track['first_frame']} to {track['last_frame']} "
            f"({track['from']:.2f} to {track['to']:.2f} s), up to {track['width']} × {track['height']} pixels"
        )


@contextlib.contextmanager
def _bar(video: Video, quiet: bool) -> Iterator[Any]:
    """A bar on a terminal, nothing elsewhere; gives what to call after each frame."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if quiet or not console.is_terminal or console.is_dumb_terminal:
        yield lambda: None
        return
    stop = video.frames if video.stop is None else min(video.stop, video.frames or video.stop)
    total = None if stop is None else max(0, stop - video.start)
    with Progress(console=console) as progress:
        task = progress.add_task("motion", total=total)
        yield lambda: progress.advance(task)
