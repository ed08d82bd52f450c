"""Event files as TensorBoard reads them: curves and pictures, written without any package.

A file is a chain of records (TFRecord): the length in eight bytes, its checksum in four, the data, its
checksum. The data is an ``Event`` in Protocol Buffers' encoding: fields of a number and a kind, then a value.
Checksums are CRC-32C, turned and shifted so that one of a checksum isn't trivial.

Sources: ``tensorflow/core/lib/io/record_writer.h`` and ``tensorflow/core/util/event.proto`` (TensorFlow,
public); Castagnoli, Braeuer and Herrmann, "Optimization of cyclic redundancy-check codes", 1993.
"""

from __future__ import annotations

import errno
import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path

#: What the names of event files begin and end with, so that replacing a run spares those of others.
PREFIX, SUFFIX = "events.out.tfevents.", ".tilewright"
_VERSION = b"brain.Event:2"
# CRC-32C's polynomial 0x1EDC6F41 with its bits turned round, and what TensorFlow adds to a checksum.
_POLYNOMIAL = 0x82F63B78
_MASK_DELTA = 0xA282EAD8
_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5
_SESSION_START = 1


def _table() -> tuple[int, ...]:
    found = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        found.append(value)
    return tuple(found)


_CRC_OF_BYTE = _table()


def crc32c(data: bytes) -> int:
    """The CRC-32C of bytes.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC_OF_BYTE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


class EventFile:
    """Adds events to a new file of a folder, each on the disk as soon as it is there.

    Args:
        folder: where TensorBoard will look.
        resumed_at: the step that an earlier session's file is valid up to; what it has beyond is dropped by
            TensorBoard.

    Raises:
        OSError: the system refuses.

    >>> EventFile("runs/demo").scalars(100, {"loss/train": 0.5})  # doctest: +SKIP
    """

    def __init__(self, folder: str | os.PathLike[str], resumed_at: int | None = None) -> None:
        # Files are read in the order of their names: seconds with as many digits as TensorFlow writes.
        self.path = Path(folder) / f"{PREFIX}{int(time.time()):010}{SUFFIX}"
        self._write(0, _field(3, _BYTES, _VERSION))
        if resumed_at is not None:
            self._write(resumed_at + 1, _field(7, _BYTES, _field(1, _VARINT, _SESSION_START)))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add numbers by tag; what stands before a slash groups them."""
        summary = b"".join(
            _field(1, _BYTES, _field(1, _BYTES, tag.encode()) + _field(2, _FLOAT, value))
            for tag, value in values.items()
        )
        self._write(step, _field(5, _BYTES, summary))

    def picture(self, step: int, tag: str, png: bytes) -> None:
        """Add a PNG picture."""
        width, height = struct.unpack(">II", png[16:24])  # the first chunk of every PNG file
        image = _field(1, _VARINT, height) + _field(2, _VARINT, width) + _field(3, _VARINT, 3)
        image += _field(4, _BYTES, png)
        value = _field(1, _BYTES, tag.encode()) + _field(4, _BYTES, image)
        self._write(step, _field(5, _BYTES, _field(1, _BYTES, value)))

    def _write(self, step: int, content: bytes) -> None:
        event = _field(1, _DOUBLE, time.time()) + _field(2, _VARINT, step) + content
        length = struct.pack("<Q", len(event))
        record = length + _checksum(length) + event + _checksum(event)
        try:
            with open(self.path, "ab", buffering=0) as file:
                if file.write(record) != len(record):
                    raise OSError(errno.ENOSPC, "No room for a whole event")
        except OSError as error:
            raise OSError(error.errno, error.strerror or str(error), str(self.path)) from error


def _checksum(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF)


def _field(number: int, kind: int, value: float | bytes) -> bytes:
    """A field: its number and kind in one integer, then the value."""
    key = _varint(number << 3 | kind)
    if isinstance(value, bytes):
        return key + _varint(len(value)) + value
    if kind == _VARINT:
        return key + _varint(int(value))
    if kind == _DOUBLE:
        return key + struct.pack("<d", value)
    try:
        return key + struct.pack("<f", value)
    except OverflowError:  # a number beyond float32
        return key + struct.pack("<f", float("inf") if value > 0 else float("-inf"))


def _varint(value: int) -> bytes:
    """A whole number in groups of seven bits, the lowest first, all but the last marked."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
