"""Which files the commands for pictures are about: what is named, found, and written where."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from tilewright.errors import ArgumentError, describe

Route = Literal["picture", "volume"]


@dataclass(frozen=True)
class Work:
    """One file to be made from another."""

    source: Path
    target: Path
    route: Route = "picture"


def route_of(path: Path) -> Route:
    """How a file is worked on: as one picture in memory, or as a volume that is streamed block by block.

    Zarr folders and TIFF files of several pages are volumes.
    """
    from tilewright.image.volumes import is_volume

    return "volume" if is_volume(path) else "picture"


def works_of(
    words: Sequence[str], suffix: str | None, failures: list[dict[str, str]], *, volumes: bool = False
) -> tuple[list[Work], bool]:
    """What ``IN... OUT`` mean, and whether OUT is a folder.

    A folder stands for the images directly in it, a pattern such as ``*.png`` for the files it matches. OUT
    is a folder when several files may go there (a folder, a pattern or more than one IN), when there is one
    of that name, or when its name has no ending; the files keep their names in it.

    Args:
        words: the arguments, OUT the last.
        suffix: the ending that the new files' names get instead of their own; None: their own.
        failures: what doesn't exist is added here, as ``file`` and ``error``.
        volumes: whether Zarr folders are taken, rather than the images in them.

    Raises:
        click.UsageError: fewer than two words.
        ArgumentError: OUT needs to be a folder, and isn't.
    """
    if len(words) < 2:
        raise click.UsageError("Name at least one picture, and what to write: IN... OUT.")
    out = Path(words[-1])
    several = len(words) > 2
    found: list[tuple[Path, Route]] = []
    for word in words[:-1]:
        path = Path(word)
        route = route_of(path) if volumes and (path.is_dir() or path.is_file()) else "picture"
        if path.is_dir() and route == "picture":
            several = True
            found += [(one, "picture") for one in _images_in(path, failures)]
        elif not path.exists() and any(sign in word for sign in "*?["):
            several = True
            matches = sorted(Path(one) for one in glob.glob(word) if Path(one).is_file())
            if not matches:
                failures.append({"file": word, "error": f"No file matches the pattern {word!r}."})
            found += [(one, "picture") for one in matches]
        else:
            found.append((path, route))
    # A Zarr array is a folder, but not one that files go into.
    is_array = volumes and out.suffix == ".zarr" and not several
    is_folder = several or (out.is_dir() and not is_array) or words[-1].endswith(os.sep) or not out.suffix
    if is_folder and out.exists() and not out.is_dir():
        raise ArgumentError(
            "Several pictures are written into a folder.", describe(out=str(out)), "Name a folder as OUT."
        )
    works = []
    for source, route in found:
        target = out / source.name if is_folder else out
        if suffix is not None and is_folder and route == "picture":
            target = target.with_suffix(suffix)
        works.append(Work(source, target, route))
    return works, is_folder


def _images_in(folder: Path, failures: list[dict[str, str]]) -> list[Path]:
    from tilewright.image.files import IMAGE_SUFFIXES

    images = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    if not images:
        rule = f"A folder needs to hold images ({', '.join(IMAGE_SUFFIXES)})."
        said = f"{rule} Received: {str(folder)!r}, which holds none."
        failures.append({"file": str(folder), "error": said})
    return images


def refusals(
    works: Sequence[Work], overwrite: bool, beside: Callable[[Path], Path] | None = None
) -> dict[int, str]:
    """By their place, the works that would write over something, and what to say of them.

    Args:
        works: all of them.
        overwrite: whether what is there already may be replaced.
        beside: what is written as well as each target.
    """
    taken: dict[str, Path] = {}
    refused: dict[int, str] = {}
    for place, work in enumerate(works):
        targets = [work.target, *([beside(work.target)] if beside is not None else [])]
        # Two names that differ in case only are one file on some systems.
        keys = [os.path.normcase(str(target.absolute())).casefold() for target in targets]
        found = _refusal(work, targets, keys, taken, overwrite)
        if found is not None:
            refused[place] = found
        else:
            taken.update(dict.fromkeys(keys, work.source))
    return refused


def _refusal(
    work: Work, targets: list[Path], keys: list[str], taken: dict[str, Path], overwrite: bool
) -> str | None:
    for target, key in zip(targets, keys, strict=True):
        if key in taken:
            return f"{str(work.source)!r} and {str(taken[key])!r} would both write to {str(target)!r}."
        if target.exists() and not overwrite:
            return f"{str(target)!r} is there already. Name another OUT, or replace it with --overwrite."
        if target.is_dir() and work.route == "picture":
            return f"{str(target)!r} is a folder, and can't be replaced by a picture."
    return None
