"""Filters of volumes in files, block by block: Zarr arrays and TIFF stacks of any size in bounded memory."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tilewright.errors import ArgumentError, DtypeError, FileFormatError, describe
from tilewright.files import as_path
from tilewright.geometry.axes import as_flag, as_integer
from tilewright.image.borders import REFLECT
from tilewright.image.parted import Job, job_of
from tilewright.image.spans import Span, even_parts, spans_of
from tilewright.image.volume_blocks import Column, Source, Target, block_of
from tilewright.image.volume_tiff import TiffSource, TiffTarget, is_stack, is_tiff
from tilewright.image.volume_zarr import ZarrSource, ZarrTarget, import_zarr, is_zarr

#: Bytes for the arrays of a block: room for two chunks of 128³ numbers of 4 bytes and their halo. More reads
#: less twice; codecs and the packages beside them take some 300 MiB of their own.
MEMORY = 128 << 20
# Less stored bytes than a this-many-th of what a header states hold hardly anything but one number.
_MOST_SHRINKING = 1500
# Of the memory, what chunks that are being decoded at a time may take.
_DECODING = 4

#: Called with how many samples are done, and how many there are.
Progress = Callable[[int, int], None]


class Volume(NamedTuple):
    """What was written.

    Attributes:
        path: where.
        shape, dtype: of the volume.
        blocks: how many it was computed in.
    """

    path: str
    shape: tuple[int, ...]
    dtype: str
    blocks: int


def is_volume(path: str | os.PathLike[str]) -> bool:
    """Whether a path is one that :func:`filter_volume` reads: a Zarr folder, or a TIFF file of several pages.

    >>> is_volume("brain.zarr"), is_volume("photo.png")
    (True, False)
    """
    found = as_path(path, "is_volume")
    return is_zarr(found) or is_stack(found)


def filter_volume(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    kernel: Any,
    *,
    border: str = REFLECT,
    cval: float = 0.0,
    origin: Any = 0,
    channel_axis: int | None = None,
    dtype: Any = None,
    flip: bool = False,
    block: Any = None,
    memory: int = MEMORY,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Volume:
    """Filter a volume from file to file: :func:`tilewright.image.filter` for more than memory holds.

    The numbers are those of the whole volume, to the bit, whatever the blocks. The target appears under its
    name only when it is complete: whoever is stopped halfway leaves nothing behind.

    Args:
        source: the folder of a Zarr array (format 2 or 3), or a TIFF stack: (pages, rows, columns), with
            colours as a fourth axis if its pages have them.
        target: a folder whose name ends in ``.zarr``, or a TIFF file. A Zarr array gets chunks, shards,
            format and attributes of its source if that is one, a TIFF stack its resolution, and deflate if
            the source was compressed.
        kernel: as for :func:`tilewright.image.filter`; its rank is the volume's, without channels.
        border: what stands beyond the edges of the volume.
        cval: what the constant border is made of.
        origin: moves the kernel.
        channel_axis: the axis of the channels; None: there is none, but for the colours of a TIFF stack.
        dtype: of the result; the source's own if it is None.
        flip: True convolves.
        block: outputs of a block along each axis, an integer or one for each; rounded to whole chunks of the
            target. None: as large as memory allows.
        memory: bytes that the arrays of a block may take. (Python, its packages and the codecs' own buffers
            come on top.) A source whose chunks or pages are larger is refused.
        overwrite: replace a target that is there.
        progress: called after every block.

    Returns:
        What was written.

    Raises:
        ArgumentError: there is no source, the target is there already or can't be, or an argument outside
            its rule.
        DtypeError, ShapeError: as :func:`tilewright.image.filter`.
        FileFormatError: the source is damaged, cut short or not what it says; the message names the file.
        MissingExtraError: zarr or tifffile isn't installed.

    >>> import pathlib, tempfile, numpy as np, tilewright as tw, zarr
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> volume = zarr.create_array(folder / "in.zarr", shape=(40, 50, 60), chunks=(16,) * 3, dtype="float32")
    >>> volume[:] = np.random.default_rng(0).random(volume.shape, np.float32)
    >>> tw.image.filter_volume(folder / "in.zarr", folder / "out.zarr", tw.image.gaussian(1.0, rank=3)).shape
    (40, 50, 60)
    >>> smooth = zarr.open_array(folder / "out.zarr", mode="r")
    >>> bool((smooth[:] == tw.image.filter(volume[:], tw.image.gaussian(1.0, rank=3))).all())
    True
    """
    op = "filter_volume"
    here, there = as_path(source, op), as_path(target, op)
    memory = as_integer(memory, "memory", op, least=1)
    overwrite = as_flag(overwrite, "overwrite", op)
    if progress is not None and not callable(progress):
        raise DtypeError(
            f"{op} needs progress to be a function of two integers.", describe(progress=progress)
        )
    if not is_zarr(there) and not is_tiff(there):
        raise ArgumentError(
            f"{op} needs a target whose name ends in .zarr, .tif or .tiff.", describe(target=str(there))
        )
    _check_apart(here, there, op)
    opened: Source = TiffSource(here, memory, op) if is_tiff(here) else ZarrSource(here, memory, op)
    with contextlib.closing(opened):
        if isinstance(opened, TiffSource) and opened.samples and channel_axis is None:
            channel_axis = 3
        job = job_of(
            opened.shape,
            opened.dtype,
            kernel,
            border=border,
            cval=cval,
            origin=origin,
            channel_axis=channel_axis,
            dtype=dtype,
            flip=flip,
        )
        _check_room(opened, here, there, job, op)
        make = TiffTarget if is_tiff(there) else ZarrTarget
        made: Target = make(there, opened.shape, job.dtype, opened, overwrite, op)
        try:
            whole = range(1, len(opened.shape)) if is_tiff(here) or is_tiff(there) else ()
            sizes = block_of(opened, job, made.grid, block, memory, tuple(whole), op)
            with _decoding(opened, memory):
                blocks = _filtered(opened, made, job, sizes, progress)
            made.finish()
        finally:
            made.drop()
    return Volume(str(there), opened.shape, job.dtype.name, blocks)


def filter_zarr(source: Any, target: Any, kernel: Any, **options: Any) -> Volume:
    """:func:`filter_volume` from one Zarr array to another.

    Raises:
        ArgumentError: another kind of source or target; and as :func:`filter_volume`.
    """
    _check_kind("filter_zarr", "Zarr array", is_tiff, source, target)
    return filter_volume(source, target, kernel, **options)


def filter_tiff(source: Any, target: Any, kernel: Any, **options: Any) -> Volume:
    """:func:`filter_volume` from one TIFF stack to another.

    Raises:
        ArgumentError: another kind of source or target; and as :func:`filter_volume`.
    """
    _check_kind("filter_tiff", "TIFF file", lambda path: not is_tiff(path), source, target)
    return filter_volume(source, target, kernel, **options)


def _filtered(
    source: Source, target: Target, job: Job, sizes: tuple[int, ...], progress: Progress | None
) -> int:
    """Columns of blocks, one after the other; how many blocks there were."""
    spans = [
        spans_of(size, even_parts(size, step), before, after, job.border)
        for size, step, before, after in zip(source.shape, sizes, job.befores, job.afters, strict=True)
    ]
    total, done, blocks = math.prod(source.shape), 0, 0
    if not total:
        return 0
    for across in product(*spans[1:]):
        column = Column(source, [span.ranges for span in across])
        for span in spans[0]:
            values = _block(column, job, (span, *across))
            target.write([one.start for one in (span, *across)], values)
            done, blocks = done + values.size, blocks + 1
            if progress is not None:
                progress(done, total)
    return blocks


def _block(column: Column, job: Job, spans: tuple[Span, ...]) -> np.ndarray[Any, Any]:
    return job.part(column.read(spans[0].ranges), spans)


@contextlib.contextmanager
def _decoding(source: Source, memory: int) -> Any:
    """Zarr decodes several chunks at a time: as many as memory has room for."""
    if not isinstance(source, ZarrSource):
        yield
        return
    zarr = import_zarr("Reading a Zarr array")
    chunk = max(math.prod(source.stored) * source.dtype.itemsize, 1)
    most = min(int(zarr.config.get("async.concurrency") or 1), max(memory // _DECODING // chunk, 1))
    with zarr.config.set({"async.concurrency": most}):
        yield


def _check_apart(here: Path, there: Path, op: str) -> None:
    """Refuse a target within its source, or around it."""
    one, other = here.resolve(), there.resolve()
    if one in other.parents or other in one.parents:
        raise ArgumentError(
            f"{op} needs a target that is neither within its source nor around it.",
            describe(source=str(here), target=str(there)),
        )


def _check_room(source: Source, here: Path, there: Path, job: Job, op: str) -> None:
    """Refuse a volume that its file can hardly hold and that no disk here has room for."""
    stated = math.prod(source.shape) * max(source.dtype.itemsize, job.dtype.itemsize)
    try:
        free = shutil.disk_usage(there.parent).free
    except OSError:
        return
    if stated <= free:
        return
    stored, most = 0, stated // _MOST_SHRINKING
    for folder, _, files in os.walk(here) if here.is_dir() else [(str(here.parent), [], [here.name])]:
        for file in files:
            with contextlib.suppress(OSError):
                stored += os.path.getsize(os.path.join(folder, file))
        if stored > most:
            return
    raise FileFormatError(
        f"{op} can't believe the header of {source.name!r}: it states {stated:,} bytes, more than the "
        "target's disk has room for.",
        f"{stored:,} bytes stored",
    )


def _check_kind(op: str, kind: str, wrong: Callable[[Path], bool], source: Any, target: Any) -> None:
    for name, path in (("source", source), ("target", target)):
        if wrong(as_path(path, op)):
            raise ArgumentError(
                f"{op} needs {name} to be a {kind}.",
                describe(**{name: str(path)}),
                "filter_volume takes both kinds.",
            )
