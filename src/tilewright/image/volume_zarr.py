"""Zarr arrays (formats 2 and 3) in folders: headers checked before anything is read, and written anew."""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.errors import (
    ArgumentError,
    FileFormatError,
    MissingExtraError,
    TilewrightError,
    describe,
    need_extra,
)
from tilewright.image.spans import Range

Array = npt.NDArray[Any]

# Headers are a few kilobytes; those with very many attributes a few hundred.
_HEADER_BYTES = 16 << 20
# Codecs and filters that only compute with bytes and numbers. Zarr knows others; one of them unpickles.
_CODECS = frozenset(
    ("blosc", "zlib", "gzip", "bz2", "lzma", "lz4", "zstd", "delta", "shuffle", "bytes", "transpose",
     "crc32c", "sharding_indexed", "fixedscaleoffset", "quantize", "bitround", "astype", "packbits",
     "adler32", "crc32", "fletcher32")
)  # fmt: skip
_DTYPES = frozenset(
    ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
     "float64")
)  # fmt: skip
# Samples that an array may have, and NumPy can index.
_SAMPLES = 1 << 62
_HEADERS = ("zarr.json", ".zarray")


def is_zarr(path: Path) -> bool:
    """Whether a folder holds a Zarr array or group, or would by its name."""
    return path.suffix == ".zarr" or any((path / name).is_file() for name in (*_HEADERS, ".zgroup"))


class ZarrSource:
    """A Zarr array that is read.

    Args:
        path: its folder.
        most: bytes that a stored chunk may have.
        op: the name for messages.

    Raises:
        ArgumentError: nothing is there.
        FileFormatError: it isn't an array, or its header isn't in order; the message names the file.
        MissingExtraError: zarr isn't installed.
    """

    def __init__(self, path: Path, most: int, op: str) -> None:
        self.name, self._path = str(path), path
        zarr = import_zarr(f"Reading {self.name!r}, a Zarr array,")
        header = _Header(path, op)
        self.shape, self.dtype, self.format = header.shape, header.dtype, header.format
        # What is decoded as one, and what is written as one.
        self.grid, self.stored, self.sharded = header.inner, header.outer, header.sharded
        size = math.prod(self.grid) * self.dtype.itemsize
        if size > most:
            raise FileFormatError(
                f"{op} needs Zarr array {self.name!r} to have chunks that fit the memory it may use, "
                f"{most:,} bytes.",
                f"chunks of {self.grid}, {size:,} bytes each",
            )
        with reading(self.name, "its header"):
            self._array: Any = zarr.open_array(store=self.name, mode="r", zarr_format=self.format)
            same = tuple(self._array.shape) == self.shape and self._array.dtype == self.dtype
            self.attributes: dict[str, Any] = dict(self._array.attrs)
            self.names = getattr(self._array.metadata, "dimension_names", None)
        if not same:
            raise FileFormatError(f"Zarr array {self.name!r} needs a header that says one thing.")

    def read(self, box: Sequence[Range]) -> Array:
        """The samples of a box.

        Raises:
            FileFormatError: a chunk is damaged or cut short; the message names its file.
        """
        try:
            return np.asarray(self._array[tuple(slice(low, high) for low, high in box)])
        except (MemoryError, TilewrightError):
            raise
        except Exception as error:  # codecs raise whatever they like about damaged bytes
            key = self._damaged(box)
            raise FileFormatError(
                f"Chunk {key!r} of Zarr array {self.name!r} is damaged or cut short.",
                f"{type(error).__name__}: {error}",
            ) from error

    def close(self) -> None:
        """Nothing is open."""

    def _damaged(self, box: Sequence[Range]) -> str:
        """The first chunk of a box that can't be read."""
        firsts = [
            range(low // step, -(-high // step)) for (low, high), step in zip(box, self.stored, strict=True)
        ]
        for place in np.ndindex(*(len(some) for some in firsts)):
            chunk = tuple(some[number] for some, number in zip(firsts, place, strict=True))
            where = tuple(slice(c * step, (c + 1) * step) for c, step in zip(chunk, self.stored, strict=True))
            try:
                self._array[where]
            except Exception:
                return str(self._array.metadata.encode_chunk_key(chunk))
        return "of " + ", ".join(f"{low}:{high}" for low, high in box)


class ZarrTarget:
    """A Zarr array that is written in a folder beside its place, and moved there when it is complete.

    Args:
        path: its place.
        shape, dtype: of the volume.
        source: whose chunks, format and attributes it takes over, if that is a Zarr array.
        overwrite: whether an array that is there is replaced.
        op: the name for messages.
    """

    def __init__(
        self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], source: Any, overwrite: bool, op: str
    ) -> None:
        self._path = path
        zarr = import_zarr(f"Writing {str(path)!r}, a Zarr array,")
        if path.exists() and not (overwrite and path.is_dir() and is_array(path)):
            raise ArgumentError(
                f"{op} needs a target that isn't there yet, or a Zarr array to replace with overwrite=True.",
                describe(target=str(path), overwrite=overwrite),
            )
        if not path.parent.is_dir():
            raise ArgumentError(f"{op} needs the target's folder to exist.", describe(target=str(path)))
        self._part = path.with_name(f".tilewright-{secrets.token_hex(8)}.part")
        from_zarr = isinstance(source, ZarrSource)
        chunks = source.grid if from_zarr else _chunks_for(shape, dtype)
        shards = source.stored if from_zarr and source.sharded else None
        self.grid = tuple(shards or chunks)
        more: dict[str, Any] = {}
        if from_zarr and source.names is not None:
            more["dimension_names"] = source.names
        try:
            self._array: Any = zarr.create_array(
                store=str(self._part),
                shape=shape,
                dtype=dtype,
                chunks=tuple(chunks),
                shards=shards,
                zarr_format=source.format if from_zarr else 3,
                attributes=source.attributes if from_zarr else None,
                **more,
            )
        except BaseException:
            self.drop()
            raise

    def write(self, start: Sequence[int], values: Array) -> None:
        """A block of whole chunks."""
        self._array[tuple(slice(first, first + n) for first, n in zip(start, values.shape, strict=True))] = (
            values
        )

    def finish(self) -> None:
        """Moves the array to its place."""
        old = None
        if self._path.exists():
            old = self._path.with_name(f".tilewright-{secrets.token_hex(8)}.part")
            os.rename(self._path, old)
        os.rename(self._part, self._path)
        if old is not None:
            shutil.rmtree(old)

    def drop(self) -> None:
        """Removes what was written, if it wasn't finished."""
        shutil.rmtree(self._part, ignore_errors=True)


def import_zarr(purpose: str) -> Any:
    """The package zarr.

    Raises:
        MissingExtraError: it isn't installed, or older than 3.
    """
    try:
        import zarr
    except ImportError as error:
        raise need_extra("zarr (3 or newer)", "volumes", purpose) from error
    if not hasattr(zarr, "create_array"):
        raise MissingExtraError(
            f"{purpose} needs the package zarr in version 3 or newer.",
            describe(version=getattr(zarr, "__version__", "unknown")),
            "Install it with: pip install 'tilewright[volumes]'.",
        )
    return zarr


def is_array(path: Path) -> bool:
    """Whether a folder holds a Zarr array."""
    try:
        _Header(path, "filter")
    except TilewrightError:
        return False
    return True


@contextlib.contextmanager
def reading(name: str, what: str) -> Iterator[None]:
    """Turn whatever a package makes of a damaged file into an error that names the file."""
    try:
        yield
    except (MemoryError, TilewrightError):
        raise
    except Exception as error:
        raise FileFormatError(
            f"Zarr array {name!r} can't be read: {what} isn't in order.", f"{type(error).__name__}: {error}"
        ) from error


class _Header:
    """What an array says of itself: read and checked here, so that no other package believes it first."""

    def __init__(self, path: Path, op: str) -> None:
        self._name = str(path)
        self._json, found = self._read(path, op)
        self.format = 3 if found == "zarr.json" else 2
        if self.format == 3 and self._json.get("node_type") != "array":
            raise self._no_array(path, op)
        self.sharded = False
        self.shape = self._sizes("shape", self._json.get("shape"), least=0)
        if not self.shape or math.prod(self.shape) >= _SAMPLES:
            raise self._wrong("shape", "needs an axis, and fewer than 2**62 samples", self._json.get("shape"))
        if self.format == 3:
            self._third()
        else:
            self._second()
        if len(self.outer) != len(self.shape) or len(self.inner) != len(self.shape):
            raise self._wrong("chunks", "need a size for each axis", self.outer)

    def _third(self) -> None:
        grid = self._json.get("chunk_grid")
        inside = grid.get("configuration") if isinstance(grid, dict) else None
        if not isinstance(grid, dict) or grid.get("name") != "regular" or not isinstance(inside, dict):
            raise self._wrong("chunk_grid", "needs to be regular", grid)
        self.outer = self.inner = self._sizes("chunk_shape", inside.get("chunk_shape"), least=1)
        kind = self._json.get("data_type")
        if not isinstance(kind, str) or kind not in _DTYPES:
            raise self._wrong("data_type", f"needs to be one of {', '.join(sorted(_DTYPES))}", kind)
        self.dtype = np.dtype(kind)
        codecs = self._json.get("codecs")
        self._check_codecs(codecs, "name")
        for codec in codecs if isinstance(codecs, list) else []:
            if isinstance(codec, dict) and codec.get("name") == "sharding_indexed":
                inside = codec.get("configuration")
                inside = inside if isinstance(inside, dict) else {}
                self.sharded = True
                self.inner = self._sizes("chunk_shape", inside.get("chunk_shape"), least=1)
                self._check_codecs(inside.get("codecs"), "name")
                self._check_codecs(inside.get("index_codecs", []), "name")
        if self._json.get("storage_transformers"):
            raise self._wrong("storage_transformers", "need to be none", self._json["storage_transformers"])

    def _second(self) -> None:
        self.outer = self.inner = self._sizes("chunks", self._json.get("chunks"), least=1)
        kind = self._json.get("dtype")
        try:
            dtype = np.dtype(kind) if isinstance(kind, str) else None
        except Exception:  # whatever NumPy makes of it
            dtype = None
        if dtype is None or dtype.name not in _DTYPES:
            raise self._wrong("dtype", f"needs to be one of {', '.join(sorted(_DTYPES))}", kind)
        self.dtype = dtype
        compressor, filters = self._json.get("compressor"), self._json.get("filters")
        self._check_codecs([] if compressor is None else [compressor], "id")
        self._check_codecs([] if filters is None else filters, "id")

    def _check_codecs(self, codecs: Any, key: str) -> None:
        named = (
            [codec.get(key) if isinstance(codec, dict) else codec for codec in codecs]
            if isinstance(codecs, list)
            else [None]
        )
        for name in named:
            if not isinstance(name, str) or name.removeprefix("numcodecs.") not in _CODECS:
                raise self._wrong("codecs", "need to be ones that only compute with numbers", codecs)

    def _sizes(self, field: str, value: Any, *, least: int) -> tuple[int, ...]:
        if not isinstance(value, list) or not all(
            type(size) is int and least <= size < _SAMPLES for size in value
        ):
            raise self._wrong(field, f"needs to be a list of integers from {least} on", value)
        return tuple(value)

    def _wrong(self, field: str, rule: str, value: Any) -> FileFormatError:
        return FileFormatError(
            f"Zarr array {self._name!r} can't be filtered: field {field} of its header {rule}.",
            describe(**{field: value}),
        )

    def _read(self, path: Path, op: str) -> tuple[dict[str, Any], str]:
        if not path.exists():
            raise ArgumentError(f"{op} needs a file that exists.", f"path={self._name!r}, where nothing is")
        for name in _HEADERS:
            file = path / name
            if not file.is_file():
                continue
            try:
                with open(file, "rb") as opened:
                    raw = opened.read(_HEADER_BYTES + 1)
                found = json.loads(raw) if len(raw) <= _HEADER_BYTES else None
            except (OSError, ValueError, RecursionError) as error:
                raise FileFormatError(
                    f"{str(file)!r} needs to be the header of a Zarr array, in JSON.", str(error)
                ) from error
            if not isinstance(found, dict):
                raise FileFormatError(f"{str(file)!r} needs to be the header of a Zarr array, in JSON.")
            return found, name
        raise self._no_array(path, op)

    def _no_array(self, path: Path, op: str) -> FileFormatError:
        inside = sorted(
            str(file.parent.relative_to(path)) for name in _HEADERS for file in path.glob(f"*/{name}")
        )
        advice = (
            f"It holds {', '.join(inside[:5])}: name one, such as {str(path / inside[0])!r}."
            if inside
            else ""
        )
        return FileFormatError(
            f"{op} needs a Zarr array.", f"path={self._name!r}, which is not the folder of one", advice
        )


def _chunks_for(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, ...]:
    """Chunks for a volume that had none: about 8 MiB, nearly cubes."""
    sizes = [max(n, 1) for n in shape]
    while math.prod(sizes) * dtype.itemsize > 8 << 20:
        longest = max(range(len(sizes)), key=lambda axis: sizes[axis])
        sizes[longest] = -(-sizes[longest] // 2)
    return tuple(sizes)
