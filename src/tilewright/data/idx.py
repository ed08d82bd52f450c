"""IDX files, the format of MNIST: a few header bytes, then one array in big-endian order.

====== ============================================================
byte   holds
====== ============================================================
0, 1   zero
2      the element type: 08 uint8, 09 int8, 0B int16, 0C int32, 0D float32, 0E float64
3      the rank, here 1 to 8
4 …    one big-endian unsigned 32-bit size per axis, then the elements, last axis fastest
====== ============================================================

Source: the description of the format on the MNIST page (LeCun, Cortes, Burges).

A header is only believed once the file's own length bears it out, so no header decides an allocation.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from tilewright.data.checks import as_bytes, as_path
from tilewright.errors import DtypeError, FileFormatError, ShapeError, describe
from tilewright.files import atomic_file, open_regular

_DTYPE_OF_CODE: dict[int, np.dtype[Any]] = {
    0x08: np.dtype("u1"),
    0x09: np.dtype("i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
_CODE_OF_DTYPE = {dtype.newbyteorder("="): code for code, dtype in _DTYPE_OF_CODE.items()}
_DTYPE_NAMES = "uint8, int8, int16, int32, float32 or float64"
_CODE_NAMES = "08 (uint8), 09 (int8), 0B (int16), 0C (int32), 0D (float32) or 0E (float64)"

MAX_RANK = 8
# gzip states an uncompressed length in 32 bits: past this, a gzip file can't even state its own.
DEFAULT_MAX_BYTES = 2**32
# zlib's technical notes: deflate never expands to more than 1032 bytes per compressed byte.
_DEFLATE_MAX_RATIO = 1032
# Large enough that the Python loop costs nothing beside the reading, small enough to be no burden.
_CHUNK_BYTES = 1 << 20


def read_idx(path: str | os.PathLike[str], *, max_bytes: int = DEFAULT_MAX_BYTES) -> np.ndarray[Any, Any]:
    """Read an IDX file, plain or gzip-compressed (told apart by content, not by name).

    Args:
        path: the file.
        max_bytes: refuse an array of more bytes than this (a small compressed file can unfold into a
            very large one).

    Returns:
        A new, writeable array in the machine's byte order; its shape and dtype are the header's.

    Raises:
        ArgumentError: there is no such file, or ``max_bytes`` is no number of bytes.
        DtypeError: ``path`` is no path.
        FileFormatError: the file isn't IDX, is cut short, has bytes left over, fails its checksum, or is
            larger than ``max_bytes``; the message names the file and the byte or field.

    >>> read_idx("t10k-labels-idx1-ubyte.gz").shape     # doctest: +SKIP
    (10000,)
    """
    name, max_bytes = as_path(path, "path", "read_idx"), as_bytes(max_bytes, "read_idx")
    with open_regular(name, "read_idx") as file:
        length = os.fstat(file.fileno()).st_size
        is_gzip = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not is_gzip:
            return _read_array(_Source(file, name, "byte", length, True), max_bytes)
        with gzip.GzipFile(fileobj=file, mode="rb") as stream:
            ceiling = length * _DEFLATE_MAX_RATIO
            return _read_array(_Source(stream, name, "decompressed byte", ceiling, False), max_bytes)


def write_idx(path: str | os.PathLike[str], array: Any) -> None:
    """Write an array as an IDX file, compressed with gzip when the name ends in ``.gz``.

    The file appears whole or not at all, and equal arrays give equal bytes.

    Args:
        path: the file to write.
        array: rank 1 to 8; uint8, int8, int16, int32, float32 or float64.

    Raises:
        DtypeError: the format has no code for the array's dtype, or ``path`` is no path.
        ShapeError: the rank isn't 1 to 8, or an axis is 2**32 long or longer.

    >>> write_idx("labels-idx1-ubyte", np.array([3, 1, 4], np.uint8))     # doctest: +SKIP
    """
    name = as_path(path, "path", "write_idx")
    try:
        values = np.asarray(array)
    except ValueError:  # a ragged list
        raise DtypeError(f"write_idx needs an array of {_DTYPE_NAMES}.", describe(array=array)) from None
    code = _CODE_OF_DTYPE.get(values.dtype.newbyteorder("="))
    if code is None:
        raise DtypeError(f"write_idx needs an array of {_DTYPE_NAMES}.", describe(array=values))
    if not 1 <= values.ndim <= MAX_RANK:
        raise ShapeError(f"write_idx needs an array of rank 1 to {MAX_RANK}.", describe(array=values))
    if max(values.shape) >= 2**32:
        raise ShapeError("write_idx needs every axis shorter than 2**32.", describe(array=values))
    header = struct.pack(f">2xBB{values.ndim}I", code, values.ndim, *values.shape)
    body = np.ascontiguousarray(values, dtype=_DTYPE_OF_CODE[code])
    with atomic_file(name) as file:
        if name.endswith(".gz"):
            # No name and no time in the gzip header: equal arrays give equal files.
            with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as stream:
                stream.write(header)
                stream.write(body.data.cast("B") if body.size else b"")
        else:
            file.write(header)
            file.write(body.data.cast("B") if body.size else b"")


class _Header(NamedTuple):
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    header_bytes: int
    body_bytes: int

    def __str__(self) -> str:
        return f"shape {self.shape} of {self.dtype.newbyteorder('=')}"


class _Source:
    """Bytes in order from a plain or compressed file, with every failure turned into a FileFormatError."""

    def __init__(
        self, stream: BinaryIO | gzip.GzipFile, name: str, unit: str, ceiling: int, ceiling_is_exact: bool
    ) -> None:
        self.stream = stream
        self.name = name
        self.unit = unit  # what a position counts, for messages
        self.ceiling = ceiling  # no more bytes than this can come
        self.ceiling_is_exact = ceiling_is_exact
        self.position = 0

    def read(self, count: int) -> bytes:
        """Up to ``count`` bytes; fewer only at the end."""
        try:
            data = self.stream.read(count)
        except EOFError as error:
            raise FileFormatError(
                f"IDX file {self.name!r} is cut short: its gzip stream stops before its end marker.",
                f"a stream that stops after {self.unit} {self.position}",
            ) from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise FileFormatError(
                f"IDX file {self.name!r} is damaged: its gzip stream can't be decompressed "
                "or fails its checksum.",
                f"{error}, after {self.unit} {self.position}",
            ) from error
        except OSError as error:
            raise FileFormatError(
                f"IDX file {self.name!r} can't be read.", f"{error}, at {self.unit} {self.position}"
            ) from error
        self.position += len(data)
        return data

    def read_field(self, count: int, field: str) -> bytes:
        """Exactly ``count`` bytes of the header."""
        start = self.position
        data = self.read(count)
        if len(data) < count:
            raise FileFormatError(
                f"IDX file {self.name!r} is cut short: "
                f"its {field} takes {self.unit}s {start} to {start + count - 1}.",
                f"a file that ends after {self.position} bytes",
            )
        return data


def _read_array(source: _Source, max_bytes: int) -> np.ndarray[Any, Any]:
    header = _read_header(source)
    total = header.header_bytes + header.body_bytes
    if source.ceiling_is_exact:
        _check_length(source, header, source.ceiling)
    elif total > source.ceiling:
        raise FileFormatError(
            f"IDX file {source.name!r} states a size that so short a gzip file can't hold.",
            f"sizes for {header}: {total} bytes, where at most {source.ceiling} can come",
        )
    if header.body_bytes > max_bytes:
        raise FileFormatError(
            f"IDX file {source.name!r} is larger than the {max_bytes} bytes that read_idx allows.",
            f"sizes for {header}: {header.body_bytes} bytes",
            "Pass max_bytes=... to allow more.",
        )
    body = _read_body(source, header)
    array = np.frombuffer(body, dtype=header.dtype).reshape(header.shape)
    return array.astype(header.dtype.newbyteorder("="), copy=False)


def _read_header(source: _Source) -> _Header:
    zero_a, zero_b, code, rank = source.read_field(4, "magic number")
    if zero_a or zero_b:
        raise FileFormatError(
            f"IDX file {source.name!r} needs two zero bytes at its start; this is some other kind of file.",
            f"{zero_a:02X} {zero_b:02X} at {source.unit}s 0 and 1",
        )
    if code not in _DTYPE_OF_CODE:
        raise FileFormatError(
            f"IDX file {source.name!r} needs one of these element types at {source.unit} 2: {_CODE_NAMES}.",
            f"{code:02X}",
        )
    if not 1 <= rank <= MAX_RANK:
        raise FileFormatError(
            f"IDX file {source.name!r} needs a rank of 1 to {MAX_RANK} at {source.unit} 3.", f"{rank}"
        )
    shape = struct.unpack(f">{rank}I", source.read_field(4 * rank, "list of sizes"))
    dtype = _DTYPE_OF_CODE[code]
    # NumPy refuses a shape whose non-zero sizes multiply past its index range, even when another size is 0.
    if math.prod(size for size in shape if size) * dtype.itemsize > np.iinfo(np.intp).max:
        raise FileFormatError(
            f"IDX file {source.name!r} states sizes (from {source.unit} 4) that no array can have.",
            f"{shape}",
        )
    return _Header(dtype, shape, 4 + 4 * rank, math.prod(shape) * dtype.itemsize)


def _read_body(source: _Source, header: _Header) -> bytearray:
    """The elements, and proof that nothing follows: at most one byte beyond them is ever read."""
    body = bytearray()
    wanted = header.body_bytes + 1
    while len(body) < wanted:
        chunk = source.read(min(_CHUNK_BYTES, wanted - len(body)))
        if not chunk:
            break
        body += chunk
    _check_length(source, header, header.header_bytes + len(body))
    return body


def _check_length(source: _Source, header: _Header, length: int) -> None:
    total = header.header_bytes + header.body_bytes
    if length < total:
        raise FileFormatError(
            f"IDX file {source.name!r} is cut short: {header} takes {total} bytes.",
            f"a file that ends after {length} bytes",
        )
    if length > total:
        raise FileFormatError(
            f"IDX file {source.name!r} has bytes left over: {header} ends before {source.unit} {total}.",
            f"more at {source.unit} {total}",
        )
