"""Compiled kernels on disk: machine code that was made once is loaded afterwards, if it is surely ours.

What is read here is run, so a file counts only if it is a regular file that belongs to this user, that nobody
else may write to, and that holds exactly what was written under its key. Anything else is as good as
missing: the kernel is compiled again and the file replaced.

One file per kernel, all numbers little-endian:

    8 bytes    magic
    32 bytes   key: SHA-256 of the IR and of everything else that the code depends on
    8 bytes    length of the code
    32 bytes   SHA-256 of the code
    …          the code: an object file, as LLVM makes it

Nothing here raises because of the disk: where the folder can't be used, kernels are compiled and not kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import struct
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tilewright.errors import StateError, describe
from tilewright.settings import settings

MAGIC = b"TWKERNEL"
# To be raised when the file changes, or the way code is made from IR.
FORMAT = 1
SUFFIX = ".kernel"
_UNFINISHED = ".tmp"

# A kernel's object takes 2 to 15 KB, and a network needs about 25 of them: this keeps the kernels of some
# two hundred networks, and is still small beside what a user's cache folder holds anyway.
LIMIT_BYTES = 64 * 2**20
# What stays when the limit is passed; the rest is dropped, so that not every kernel after it drops another.
_KEPT_SHARE = 0.75
# Writing a file takes milliseconds: one this old was left by a process that ended before it was done.
_ABANDONED_SECONDS = 3600.0

_HEADER = struct.Struct("<8s32sQ32s")
# A link is never followed, and a pipe that was put here is not waited for.
_READ = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)

# Bytes known to lie in a folder: found by looking once, then counted along.
_filled: dict[Path, int] = {}


@dataclass(frozen=True)
class Info:
    """The state of the folder.

    Attributes:
        folder: where it is; None where no place for it is known.
        state: whether it is used, as a few words.
        objects: how many kernels it holds.
        bytes: what they take.
        limit_bytes: what they may take.
    """

    folder: Path | None
    state: str
    objects: int
    bytes: int
    limit_bytes: int


def key_of(*parts: str) -> str:
    """The name of an object: a digest of everything it depends on, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in (str(FORMAT), *parts):
        content = part.encode()
        # With its length, so that no two lists of parts run together to the same bytes.
        digest.update(struct.pack("<Q", len(content)))
        digest.update(content)
    return digest.hexdigest()


def read(key: str) -> bytes | None:
    """The code that was written under the key, or None if there is none that may be trusted."""
    folder = _usable()
    if folder is None:
        return None
    try:
        # Every check is made on the opened file: what its name means may change in between.
        with open(os.open(folder / (key + SUFFIX), _READ), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or not _only_ours(status) or status.st_size > LIMIT_BYTES:
                return None
            code = _unpacked(key, file.read(status.st_size + 1))
    except OSError:
        return None
    if code is not None:
        # The time of its last use: by it the oldest are dropped.
        with contextlib.suppress(OSError):
            os.utime(folder / (key + SUFFIX))
    return code


def write(key: str, code: bytes) -> None:
    """Keep the code under the key, replacing what is there; does nothing where it can't be kept."""
    folder = _usable(make=True)
    if folder is None:
        return
    content = _HEADER.pack(MAGIC, bytes.fromhex(key), len(code), hashlib.sha256(code).digest()) + code
    try:
        # Made with access for this user only. It is not forced to the disk: should the power fail, its
        # digest tells, and waiting for the disk would cost as much as compiling.
        handle, unfinished = tempfile.mkstemp(_UNFINISHED, key[:16] + ".", folder)
    except OSError:
        return
    try:
        with open(handle, "wb") as file:
            file.write(content)
        os.replace(unfinished, folder / (key + SUFFIX))
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(unfinished)
        return
    if folder in _filled:
        _filled[folder] += len(content)
    if _filled.get(folder, LIMIT_BYTES + 1) > LIMIT_BYTES:
        _filled[folder] = _drop_oldest(folder)


def info() -> Info:
    """Where compiled kernels are kept, and how much of it there is."""
    place = folder()
    objects = _objects(place) if place is not None and not _fault(place) else []
    return Info(place, _state(place), len(objects), sum(size for _, size, _ in objects), LIMIT_BYTES)


def clear() -> tuple[int, int]:
    """Remove all kernels; how many there were, and their bytes. The folder stays.

    Raises:
        StateError: the folder is not this user's alone, so neither is what lies in it.
        OSError: a file can't be removed.
    """
    place = folder()
    if place is None or not place.exists():
        return 0, 0
    if _fault(place):
        raise StateError(
            "Kernels are removed only from a folder that is the user's own.",
            describe(folder=str(place)),
            f"It is not used: {_fault(place)}.",
        )
    count = freed = 0
    for path, size, _ in _objects(place):
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            path.unlink()
            count += 1
            freed += size
    _filled.pop(place, None)
    return count, freed


def folder() -> Path | None:
    """The folder of compiled kernels, whether or not it is there; None where no place for it is known."""
    named = settings().cache
    try:
        base = Path(named).expanduser() if named else _users_cache()
    except RuntimeError:  # no home folder is known
        return None
    return base.absolute() / "kernels"


def _users_cache() -> Path:
    """Where this platform keeps what programs can make again, for this user."""
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", "")
        return (Path(local) if local else Path.home() / "AppData/Local") / "tilewright/tilewright/Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/tilewright"
    named = os.environ.get("XDG_CACHE_HOME", "")
    # The specification has relative paths ignored.
    return (Path(named) if os.path.isabs(named) else Path.home() / ".cache") / "tilewright"


def _usable(*, make: bool = False) -> Path | None:
    """The folder, if it is to be used, is there and is this user's alone."""
    if _off():
        return None
    place = folder()
    if place is None:
        return None
    try:
        if make and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.mkdir(mode=0o700, exist_ok=True)
        return None if _fault(place) else place
    except OSError:
        return None


def _off() -> bool:
    return settings().kernels.lower() == "off"


def _state(place: Path | None) -> str:
    if _off():
        return "off (TILEWRIGHT_KERNEL_CACHE)"
    if place is None:
        return "not used: no home folder is known"
    if not os.path.lexists(place):
        return "empty: it is made with the first kernel"
    fault = _fault(place)
    if fault:
        return f"not used: {fault}"
    return "in use" if os.access(place, os.W_OK) else "read only"


def _fault(place: Path) -> str:
    """Why this folder is not used; empty if nothing is wrong with it."""
    try:
        status = os.lstat(place)
    except OSError as error:
        return (error.strerror or "it can't be read").lower()
    if not stat.S_ISDIR(status.st_mode):
        return "it is not a folder"
    return "" if _only_ours(status) else "it belongs to another user, or others may write to it"


def _only_ours(status: os.stat_result) -> bool:
    """Whether this user owns it and nobody else may write to it."""
    if not hasattr(os, "getuid"):
        return True  # on Windows a user's folders are private by their access lists
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _unpacked(key: str, content: bytes) -> bytes | None:
    """The code in a file's content, if it is whole and is what the key stands for."""
    if len(content) < _HEADER.size:
        return None
    magic, found, length, digest = _HEADER.unpack_from(content)
    code = content[_HEADER.size :]
    if magic != MAGIC or found != bytes.fromhex(key) or length != len(code):
        return None
    return code if hashlib.sha256(code).digest() == digest else None


def _objects(place: Path, suffix: str = SUFFIX) -> list[tuple[Path, int, float]]:
    """Path, bytes and time of last use of every object in the folder, the longest unused first."""
    found = []
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if entry.name.endswith(suffix):
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    found.append((Path(entry.path), status.st_size, status.st_mtime))
    return sorted(found, key=lambda one: one[2])


def _drop_oldest(place: Path) -> int:
    """Bring the folder below its limit, if it is above; the bytes that stay."""
    now = time.time()
    for path, _, changed in _objects(place, _UNFINISHED):
        if now - changed > _ABANDONED_SECONDS:
            with contextlib.suppress(OSError):
                path.unlink()
    objects = _objects(place)
    total = sum(size for _, size, _ in objects)
    if total <= LIMIT_BYTES:
        return total
    for path, size, _ in objects:
        if total <= _KEPT_SHARE * LIMIT_BYTES:
            break
        # A process that has loaded it goes on: the code lies in its memory.
        with contextlib.suppress(OSError):
            path.unlink()
            total -= size
    return total
