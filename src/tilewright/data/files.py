"""Opening files that may lie, and writing files that are never seen half-written."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tilewright.errors import ArgumentError, FileFormatError


@contextlib.contextmanager
def open_regular(path: str | os.PathLike[str], reader: str) -> Iterator[BinaryIO]:
    """Open an ordinary file for reading bytes.

    Folders, pipes and devices are refused before they are opened: a pipe would wait for a writer that
    may never come, and a device has no length to check a header against.

    Args:
        path: the file.
        reader: the public function that wants it, for the message.

    Raises:
        ArgumentError: nothing is there.
        FileFormatError: it isn't an ordinary file, or the system doesn't let it be read.

    >>> with open_regular(__file__, "read_idx") as file:
    ...     len(file.read(3))
    3
    """
    name = os.fspath(path)
    try:
        mode = os.stat(name).st_mode
    except FileNotFoundError as error:
        raise ArgumentError(
            f"{reader} needs a file that exists.", f"path={name!r}, where nothing is"
        ) from error
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{reader} can't reach the file {name!r}.", _reason(error)) from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "neither a file nor a folder"
        raise FileFormatError(f"{reader} needs an ordinary file.", f"path={name!r}, which is {kind}")
    try:
        file = open(name, "rb")  # noqa: SIM115 (closed below; only the opening belongs under this except)
    except OSError as error:
        raise FileFormatError(f"{reader} can't open the file {name!r}.", _reason(error)) from error
    with file:
        yield file


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Write a file so that its name shows either the old bytes or all of the new ones.

    The bytes go to a fresh neighbour in the same folder, reach the disk, and only then take the name. A
    block that raises leaves the old file as it was and removes the neighbour.

    Args:
        path: the name to write; its folder must exist.

    Raises:
        OSError: the system refuses (no such folder, no room, no permission).

    >>> with atomic_file("notes.bin") as file:          # doctest: +SKIP
    ...     _ = file.write(b"all or nothing")
    """
    target = Path(path)
    # Not tempfile.mkstemp: that gives mode 0600, which the finished file would keep; here the umask decides.
    neighbour = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
    descriptor = os.open(neighbour, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(neighbour, target)
    except BaseException:
        neighbour.unlink(missing_ok=True)
        raise


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
