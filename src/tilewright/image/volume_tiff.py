"""TIFF stacks, page by page: their headers checked before anything is read, and written anew."""

from __future__ import annotations

import contextlib
import math
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import (
    ArgumentError,
    DtypeError,
    FileFormatError,
    TilewrightError,
    describe,
    need_extra,
)
from tilewright.files import open_regular
from tilewright.image.spans import Range

Array = npt.NDArray[Any]

# No compression that TIFF files have makes numbers smaller by more than about this much.
_MOST_SHRINKING = 1500
# Offsets of the older format have 32 bits; tags come behind the samples.
_OLDER_BYTES = (1 << 32) - (1 << 25)
# None, inch, centimetre.
_UNITS = (1, 2, 3)
_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8")


def is_tiff(path: Path) -> bool:
    """Whether a file is a TIFF file by its name."""
    return path.suffix.lower() in _SUFFIXES


def is_stack(path: Path) -> bool:
    """Whether a file is a TIFF file of several pages; False if it can't be told."""
    if not is_tiff(path):
        return False
    try:
        with contextlib.closing(TiffSource(path, 1 << 62, "filter")):
            return True
    except (TilewrightError, OSError, MemoryError):
        return False


class TiffSource:
    """A stack that is read: (pages, rows, columns), and a fourth axis if a pixel has several samples.

    Args:
        path: the file.
        most: bytes that a page may have.
        op: the name for messages.

    Raises:
        ArgumentError: nothing is there.
        FileFormatError: it isn't a stack, is damaged, or states sizes that it hasn't; the message names it.
        MissingExtraError: tifffile isn't installed.
    """

    def __init__(self, path: Path, most: int, op: str) -> None:
        self.name = str(path)
        tifffile = _import_tifffile(f"Reading {self.name!r}, a TIFF stack,")
        with contextlib.ExitStack() as stack:
            self._file = stack.enter_context(open_regular(path, op))
            length = os.fstat(self._file.fileno()).st_size
            with _reading(self.name, "its header"):
                self._tiff: Any = stack.enter_context(tifffile.TiffFile(self._file))
                series = self._tiff.series[0]
                self._pages = series.pages
                first = series.keyframe
                sizes, self.dtype = tuple(int(n) for n in series.shape), series.dtype
                page = tuple(int(n) for n in first.shape)
                self._offset = series.dataoffset
                self._photometric = getattr(first.photometric, "name", "")
                compression = int(first.compression)
                resolution = first.tags.valueof(282), first.tags.valueof(283), first.tags.valueof(296)
            if self.dtype is None or self.dtype.kind not in "biuf" or self.dtype.itemsize > 8:
                raise FileFormatError(
                    f"TIFF file {self.name!r} needs samples that are bools, integers or floats.",
                    f"samples of dtype {self.dtype}",
                )
            if len(sizes) != len(page) + 1 or sizes[1:] != page or not 2 <= len(page) <= 3 or 0 in sizes:
                raise FileFormatError(
                    f"{op} needs TIFF file {self.name!r} to be a stack: several pages of one size.",
                    f"a series of shape {sizes} with pages of shape {page}",
                )
            self.shape = sizes
            size = math.prod(page) * self.dtype.itemsize
            stated = size * sizes[0]
            if stated > length * (_MOST_SHRINKING if self._offset is None else 1):
                raise FileFormatError(
                    f"TIFF file {self.name!r} needs to be long enough for its {sizes[0]:,} pages of "
                    f"{' × '.join(f'{n:,}' for n in page)} samples.",
                    f"{length:,} bytes",
                )
            if size > most:
                raise FileFormatError(
                    f"{op} needs TIFF file {self.name!r} to have pages that fit the memory it may use, "
                    f"{most:,} bytes.",
                    f"pages of {size:,} bytes",
                )
            self.grid = (1, *page)
            self.samples = len(page) == 3
            self.attributes = {
                "compressed": compression != 1,
                "photometric": self._photometric,
                "resolution": resolution,
            }
            self._close = stack.pop_all()

    def read(self, box: Sequence[Range]) -> Array:
        """The samples of a box.

        Raises:
            FileFormatError: a page is damaged or cut short; the message names the file and the page.
        """
        (low, high), *across = box
        where = tuple(slice(*pair) for pair in across)
        found = np.empty((high - low, *(b - a for a, b in across)), self.dtype.newbyteorder("="))
        for number in range(low, high):
            with _reading(self.name, f"page {number + 1}"):
                found[number - low] = self._page(number)[where]
        return found

    def close(self) -> None:
        """Closes the file."""
        self._close.close()

    def _page(self, number: int) -> Array:
        shape = self.shape[1:]
        if self._offset is not None:
            # One block of samples, as ImageJ writes them, of which there may be but one header.
            count = math.prod(shape)
            dtype = self.dtype.newbyteorder(self._tiff.byteorder)
            self._file.seek(self._offset + number * count * dtype.itemsize)
            raw = self._file.read(count * dtype.itemsize)
            return np.frombuffer(raw, dtype, count).reshape(shape)
        page = self._pages[number]
        if page is None or tuple(page.shape) != shape or page.dtype != self.dtype:
            raise FileFormatError(
                f"TIFF file {self.name!r} needs pages of one size and kind.",
                f"page {number + 1} is {'missing' if page is None else describe(page=page)}",
            )
        return np.asarray(page.asarray(maxworkers=1))


class TiffTarget:
    """A stack that is written beside its place, page by page, and moved there when it is complete.

    Args:
        path: its place.
        shape, dtype: of the volume.
        source: whose compression and resolution it takes over, if that is a TIFF stack.
        overwrite: whether a file that is there is replaced.
        op: the name for messages.
    """

    def __init__(
        self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], source: Any, overwrite: bool, op: str
    ) -> None:
        self._path = path
        tifffile = _import_tifffile(f"Writing {str(path)!r}, a TIFF stack,")
        if path.exists() and not (overwrite and path.is_file()):
            raise ArgumentError(
                f"{op} needs a target that isn't there yet, or a file to replace with overwrite=True.",
                describe(target=str(path), overwrite=overwrite),
            )
        if not path.parent.is_dir():
            raise ArgumentError(f"{op} needs the target's folder to exist.", describe(target=str(path)))
        if dtype.kind == "b":
            raise DtypeError(
                f"{op} can't write bools as a TIFF stack.",
                describe(dtype=dtype),
                "Pass dtype='uint8', for example.",
            )
        if len(shape) not in (3, 4) or 0 in shape or (len(shape) == 4 and shape[3] not in (3, 4)):
            raise ArgumentError(
                f"{op} writes TIFF stacks of (pages, rows, columns), and of 3 or 4 colours as a fourth axis.",
                describe(shape=shape),
                "Write a Zarr array instead.",
            )
        self.grid = (1, *shape[1:])
        known: dict[str, Any] = source.attributes if isinstance(source, TiffSource) else {}
        self._how: dict[str, Any] = {
            "photometric": "rgb" if len(shape) == 4 else "minisblack",
            "compression": "zlib" if known.get("compressed") else None,
            "metadata": None,
            "software": "",
        }
        resolution: Any = known.get("resolution", (None, None, None))
        across, along, unit = resolution
        if isinstance(across, tuple) and isinstance(along, tuple) and across[1] and along[1]:
            # Of a unit that isn't known, none is said.
            unit = int(unit) if unit in _UNITS else 1
            self._how |= {"resolution": (across[0] / across[1], along[0] / along[1]), "resolutionunit": unit}
        self._part = path.with_name(f".tilewright-{secrets.token_hex(8)}.part")
        try:
            bytes_in_all = math.prod(shape) * dtype.itemsize
            self._writer: Any = tifffile.TiffWriter(self._part, bigtiff=bytes_in_all > _OLDER_BYTES)
        except BaseException:
            self.drop()
            raise

    def write(self, start: Sequence[int], values: Array) -> None:
        """A block of whole pages; blocks come in order."""
        for page in values:
            self._writer.write(
                np.ascontiguousarray(page), contiguous=self._how["compression"] is None, **self._how
            )

    def finish(self) -> None:
        """Moves the file to its place."""
        self._writer.close()
        os.replace(self._part, self._path)

    def drop(self) -> None:
        """Removes what was written, if it wasn't finished."""
        with contextlib.suppress(Exception):
            self._writer.close()
        with contextlib.suppress(OSError):
            self._part.unlink()


def _import_tifffile(purpose: str) -> Any:
    try:
        import tifffile
    except ImportError as error:
        raise need_extra("tifffile", "volumes", purpose) from error
    return tifffile


@contextlib.contextmanager
def _reading(name: str, what: str) -> Iterator[None]:
    """Turn whatever damaged bytes lead to into an error that names the file."""
    try:
        yield
    except (MemoryError, TilewrightError):
        raise
    except Exception as error:
        raise FileFormatError(
            f"TIFF file {name!r} can't be read: {what} is damaged, cut short, or compressed in a way that "
            "isn't known.",
            f"{type(error).__name__}: {error}",
        ) from error
