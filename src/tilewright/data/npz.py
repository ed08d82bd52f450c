"""``.npz`` archives, NumPy's own, read without trusting what they say of themselves.

An archive is a ZIP file of ``.npy`` members, each a header (dtype, order, shape) and the numbers. Nothing in
it is unpickled, and a header is only believed once the member is long enough for it, so no header decides an
allocation.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

from tilewright.data.arrays import ArrayDataset
from tilewright.data.checks import as_bytes, as_list, as_name, as_path
from tilewright.errors import ArgumentError, FileFormatError, describe
from tilewright.files import open_regular

Array = np.ndarray[Any, Any]

# As for IDX files: more than the arrays of any set that fits a computer's memory comfortably.
DEFAULT_MAX_BYTES = 2**32
# zlib's technical notes: deflate never expands to more than 1032 bytes per compressed byte.
_DEFLATE_MAX_RATIO = 1032
_CHUNK_BYTES = 1 << 20
# What numpy.savez and numpy.savez_compressed write.
_METHODS = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: _DEFLATE_MAX_RATIO}
_KINDS = "biufc"


def read_npz(
    path: str | os.PathLike[str],
    names: Iterable[str] | None = None,
    *,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> dict[str, Array]:
    """Read arrays of an ``.npz`` file.

    Args:
        path: the file, as ``numpy.savez`` and ``numpy.savez_compressed`` write it.
        names: which arrays; None: all.
        max_bytes: refuse arrays of more bytes than this together (a small compressed file can unfold into
            very large ones).

    Returns:
        New, writeable arrays in the machine's byte order, by name.

    Raises:
        ArgumentError: there is no such file, it has no array of a name asked for, or ``max_bytes`` is no
            number of bytes.
        DtypeError: ``path`` is no path, or a name no text.
        FileFormatError: it isn't such an archive, is damaged or cut short, an array isn't of numbers or
            truths, states a size that its member hasn't, or they are larger than ``max_bytes``; the message
            names the file and the array.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "set.npz")
    >>> np.savez(path, x=np.zeros((3, 2)), y=np.arange(3))
    >>> {name: array.shape for name, array in read_npz(path).items()}
    {'x': (3, 2), 'y': (3,)}
    """
    name, max_bytes = as_path(path, "path", "read_npz"), as_bytes(max_bytes, "read_npz")
    asked = None if names is None else _names(names)
    with open_regular(name, "read_npz") as file:
        length = os.fstat(file.fileno()).st_size
        try:
            archive = zipfile.ZipFile(file)
        # So are damaged directories of archives (BadZipFile, struct.error, NotImplementedError, …).
        except Exception as error:
            raise FileFormatError(
                f"Archive {name!r} needs to be a ZIP file, as numpy.savez writes.", str(error)
            ) from error
        with archive:
            members = _members(archive, name)
            wanted = list(members) if asked is None else _wanted(asked, members, name)
            found, left = {}, max_bytes
            for key in wanted:
                found[key] = _read(archive, members[key], f"array {key!r} of {name!r}", length, left)
                left -= found[key].nbytes
    return found


class NpzDataset(ArrayDataset):
    """Images and labels out of an ``.npz`` file.

    Args:
        path: the file.
        images: the name of the array of images, (samples, …).
        labels: the name of the array of labels, (samples, …).
        transform: as in :class:`ArrayDataset`.
        max_bytes: see :func:`read_npz`.

    Raises:
        ArgumentError, DtypeError, FileFormatError: as :func:`read_npz`.
        ShapeError: the two differ in length, or one has no sample axis.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "set.npz")
    >>> np.savez(path, x_train=np.zeros((3, 1, 8, 8)), y_train=np.arange(3))
    >>> len(NpzDataset(path, "x_train", "y_train"))
    3
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        images: str = "images",
        labels: str = "labels",
        transform: Callable[[Array], Array] | None = None,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        as_name(images, "images", "NpzDataset")
        as_name(labels, "labels", "NpzDataset")
        found = read_npz(path, [images, labels], max_bytes=max_bytes)
        super().__init__(found[images], found[labels], transform)


def _members(archive: zipfile.ZipFile, name: str) -> dict[str, zipfile.ZipInfo]:
    """The members by the names that numpy.load gives them."""
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        key = member.filename.removesuffix(".npy")
        if key in found:
            raise FileFormatError(f"Archive {name!r} needs names that differ.", f"two arrays named {key!r}")
        found[key] = member
    return found


def _names(names: Any) -> list[str]:
    listed = [names] if isinstance(names, str) else as_list(names, "names", "names", "read_npz")
    return [as_name(key, "names", "read_npz") for key in listed]


def _wanted(wanted: list[str], members: dict[str, zipfile.ZipInfo], name: str) -> list[str]:
    absent = next((key for key in wanted if key not in members), None)
    if absent is not None:
        shown = ", ".join(list(members)[:20]) + (", …" if len(members) > 20 else "")
        raise ArgumentError(f"Archive {name!r} needs an array named {absent!r}.", f"arrays {shown or 'none'}")
    return list(dict.fromkeys(wanted))


class _Header(NamedTuple):
    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, what: str, length: int, max_bytes: int) -> Array:
    ratio = _METHODS.get(member.compress_type)
    if ratio is None or member.flag_bits & 1:
        raise FileFormatError(
            f"The {what} needs to be stored or deflated, as numpy.savez writes, and not encrypted.",
            f"compression method {member.compress_type}" + (", encrypted" if member.flag_bits & 1 else ""),
        )
    # What the archive says of the member is believed as far as the file's own length goes.
    if member.compress_size > length or member.file_size > member.compress_size * ratio + ratio:
        raise FileFormatError(
            f"The {what} states a size that so short a file can't hold.",
            f"{member.file_size} bytes out of {member.compress_size} in a file of {length}",
        )
    try:
        with archive.open(member) as stream:
            header = _read_header(stream, what)
            start = stream.tell()
            if start + header.nbytes != member.file_size:
                raise FileFormatError(
                    f"The {what} needs to be as long as its header says: {header.nbytes} bytes from byte "
                    f"{start} on.",
                    f"{member.file_size - start} bytes, for shape {header.shape} of {header.dtype}",
                )
            if header.nbytes > max_bytes:
                raise FileFormatError(
                    f"The {what} is larger than the {max_bytes} bytes that are left of max_bytes.",
                    f"shape {header.shape} of {header.dtype}: {header.nbytes} bytes",
                    "Pass max_bytes=... to allow more.",
                )
            body = bytearray()
            while chunk := stream.read(_CHUNK_BYTES):
                body += chunk
    except FileFormatError:
        raise
    # Damaged members are met with errors of many kinds (BadZipFile, zlib.error, EOFError, ValueError, …).
    except Exception as error:
        raise FileFormatError(
            f"The {what} is damaged or cut short.", f"{type(error).__name__}: {error}"
        ) from error
    if len(body) != header.nbytes:
        raise FileFormatError(f"The {what} is cut short.", f"{len(body)} of {header.nbytes} bytes")
    flat = np.frombuffer(body, dtype=header.dtype)
    array = flat.reshape(header.shape, order="F" if header.is_fortran else "C")
    return array.astype(header.dtype.newbyteorder("="), copy=False)


def _read_header(stream: Any, what: str) -> _Header:
    try:
        version = npy.read_magic(stream)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
        if read is None:
            raise FileFormatError(
                f"The {what} needs to be of the .npy format 1.0 or 2.0, as arrays of numbers are.",
                f"version {version[0]}.{version[1]}",
            )
        shape, is_fortran, dtype = read(stream)
    except FileFormatError:
        raise
    # NumPy meets damaged headers with errors of many kinds (ValueError, SyntaxError, TypeError, …).
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        raise FileFormatError(
            f"The {what} needs the header of a .npy file.", f"{type(error).__name__}: {text}"
        ) from error
    header = _Header(tuple(shape), bool(is_fortran), dtype)
    if dtype.kind not in _KINDS or dtype.hasobject:
        raise FileFormatError(f"The {what} needs to hold numbers or truths.", describe(dtype=str(dtype)))
    if min(header.shape, default=0) < 0 or (
        math.prod(size for size in header.shape if size) * dtype.itemsize > np.iinfo(np.intp).max
    ):
        raise FileFormatError(f"The {what} states sizes that no array can have.", f"shape {header.shape}")
    return header
