"""Files of this package: opened only where they are ordinary files, and never seen half-written."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from tilewright.errors import ArgumentError, DtypeError, FileFormatError, describe


def as_path(value: Any, owner: str) -> Path:
    """A path, from a text or an ``os.PathLike`` of one.

    Raises:
        DtypeError: it is neither.
        ArgumentError: it is empty, or holds a character that no path has.
    """
    found = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(found, str):
        raise DtypeError(f"{owner} needs path to be a str or os.PathLike.", describe(path=value))
    if not found or "\0" in found:
        raise ArgumentError(f"{owner} needs path to be the path of a file.", describe(path=value))
    return Path(found)


@contextlib.contextmanager
def open_ordinary(path: Path, owner: str) -> Iterator[BinaryIO]:
    """Open an ordinary file for reading. A pipe, which may wait for ever, and a device are refused unopened.

    Raises:
        ArgumentError: nothing is there.
        FileFormatError: it isn't an ordinary file, or the system doesn't let it be read.
    """
    name = str(path)
    try:
        mode = os.stat(name).st_mode
    except FileNotFoundError as error:
        raise ArgumentError(
            f"{owner} needs a file that exists.", f"path={name!r}, where nothing is"
        ) from error
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{owner} can't reach the file {name!r}.", _reason(error)) from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "neither a file nor a folder"
        raise FileFormatError(f"{owner} needs an ordinary file.", f"path={name!r}, which is {kind}")
    try:
        file = open(name, "rb")  # noqa: SIM115 (closed below; only the opening belongs under this except)
    except OSError as error:
        raise FileFormatError(f"{owner} can't open the file {name!r}.", _reason(error)) from error
    with file:
        yield file


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Put ``content`` at ``path``, so that its name shows either the old bytes or all of the new ones.

    Raises:
        OSError: the system refuses (no such folder, no room, no permission); it names ``path``, and what was
            there is as it was.
    """
    # Not tempfile.mkstemp: that gives mode 0600, which the finished file would keep; here the umask decides.
    # The neighbour's name is short and fixed in length: with the target's in it, a long one wouldn't fit.
    neighbour = path.with_name(f".tilewright-{secrets.token_hex(8)}.part")
    try:
        with open(neighbour, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(neighbour, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            neighbour.unlink()
        if isinstance(error, OSError) and error.errno is not None:
            # The user asked for this name; the neighbour's would tell them nothing.
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
