"""Opening files that may lie, and writing files that are never seen half-written."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from tilewright.errors import ArgumentError, DtypeError, FileFormatError, describe

# File systems have names of up to 255 bytes, and a neighbour's is 23 bytes longer than the file's own.
_LONGEST_NAME = 232


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
        OSError: the system refuses (no such folder, no room, no permission); it names ``path``.

    >>> with atomic_file("notes.bin") as file:          # doctest: +SKIP
    ...     _ = file.write(b"all or nothing")
    """
    target = Path(path)
    # Not tempfile.mkstemp: that gives mode 0600, which the finished file would keep; here the umask decides.
    # The neighbour's name tells whose it is, should a process be killed; unless it wouldn't fit then.
    owner = target.name if len(os.fsencode(target.name)) <= _LONGEST_NAME else "tilewright"
    neighbour = target.with_name(f".{owner}.{secrets.token_hex(8)}.part")
    try:
        with open(neighbour, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(neighbour, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            neighbour.unlink()
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(neighbour)):
            # The user asked for this name; the neighbour's would tell them nothing.
            raise OSError(error.errno, error.strerror, str(target)) from error
        raise


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Put ``content`` at ``path``, as :func:`atomic_file` does."""
    with atomic_file(path) as file:
        file.write(content)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
