"""Checkpoints: one safetensors file with arrays and, as a JSON string in its metadata, all that isn't one.

Nothing is ever unpickled. A file appears whole or not at all: it is written beside its place, reaches the
disk, and only then takes the name; the folder is synced as well, so that the name survives a power cut.

The layout is that of https://github.com/huggingface/safetensors: eight bytes of header length
(little-endian), a JSON header with every tensor's dtype, shape and place, then the tensors' bytes. The
metadata has the one key ``tilewright``, whose value is a JSON object.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from tilewright.errors import DtypeError, FileFormatError, describe
from tilewright.files import atomic_file, open_regular

Array = np.ndarray[Any, Any]

METADATA_KEY = "tilewright"
# Far above any network a CPU trains, and below what would drive a machine into its swap space.
DEFAULT_MAX_BYTES = 2**32
_DTYPES = {
    "F64": "f8", "F32": "f4", "F16": "f2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1",
    "U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip
_ITEM_TYPES = frozenset(np.dtype(code) for code in _DTYPES.values())


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a file holds.

    Attributes:
        path: where it came from, for messages.
        tensors: writeable arrays by name.
        state: the JSON object of the metadata; empty when the file carries none.
    """

    path: Path
    tensors: dict[str, Array]
    state: dict[str, Any]


def save(path: str | os.PathLike[str], tensors: Mapping[str, Array], state: Mapping[str, Any]) -> None:
    """Write a checkpoint, whole or not at all. Equal content gives equal bytes.

    Args:
        path: the file to write; its folder must exist.
        tensors: arrays by name, of any memory order; float16/32/64, integers or bool.
        state: a JSON object (see :func:`tilewright.train.packing.pack` for what JSON lacks).

    Raises:
        DtypeError: an array of another dtype, or state that JSON can't hold (NaN is one such value).
        OSError: the system refuses (no room, no permission); what stood at ``path`` is untouched.

    >>> save("step3.safetensors", {"weight": np.ones(2)}, {"step": 3})  # doctest: +SKIP
    """
    import safetensors.numpy

    ready = {name: _ready(name, array) for name, array in tensors.items()}
    try:
        text = json.dumps(dict(state), allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise DtypeError("A checkpoint's state needs values that JSON can hold.", str(error)) from error
    content = safetensors.numpy.save(ready, metadata={METADATA_KEY: text})
    write_whole(path, content)


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file so that its name never shows half of it, and see its folder to the disk as well.

    Raises:
        OSError: naming ``path``; what stood there is untouched.
    """
    target = Path(path)
    try:
        with atomic_file(target) as file:
            file.write(content)
        _sync_folder(target.parent)
    except OSError as error:
        # A failed write (a full disk) names no file by itself, or names the neighbour.
        raise OSError(error.errno, error.strerror or str(error), str(target)) from error


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove what writers of ``path`` that were killed half-way have left beside it."""
    target = Path(path)
    for neighbour in target.parent.glob(f".{target.name}.*.part"):
        neighbour.unlink(missing_ok=True)


def load(path: str | os.PathLike[str], *, max_bytes: int = DEFAULT_MAX_BYTES) -> Checkpoint:
    """Read a checkpoint, or any safetensors file without one's state.

    Args:
        path: the file.
        max_bytes: refuse a longer file than this.

    Raises:
        ArgumentError: there is no such file.
        FileFormatError: not a safetensors file, cut short, with sizes that aren't true, with dtypes that
            NumPy lacks, or with metadata that isn't strict JSON; the message names the file.
    """
    name = os.fspath(path)
    with open_regular(path, "checkpoint.load") as file:
        length = os.fstat(file.fileno()).st_size
        if length > max_bytes:
            raise FileFormatError(
                f"Checkpoint {name!r} is larger than the {max_bytes} bytes that load allows.",
                f"{length} bytes",
                "Pass max_bytes=... to allow more.",
            )
        try:
            content = file.read()
        except OSError as error:
            raise FileFormatError(f"Checkpoint {name!r} can't be read.", str(error)) from error
    return Checkpoint(Path(path), _tensors(content, name), _state(content, name))


def _ready(name: str, array: Array) -> Array:
    values = np.asarray(array)
    if values.dtype.newbyteorder("=") not in _ITEM_TYPES:
        raise DtypeError(
            "A checkpoint holds arrays of float16, float32, float64, integers or bool.",
            describe(**{name: values}),
        )
    # safetensors reads the memory of an array from its first byte on, so it must lie in order.
    return np.require(values, dtype=values.dtype.newbyteorder("="), requirements="C")


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows can't open a folder; its rename is a matter of the journal
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _tensors(content: bytes, name: str) -> dict[str, Array]:
    from safetensors import SafetensorError, deserialize

    try:
        # Checks the header's length, its JSON, and that the places are exactly the shapes' and the file's.
        entries = deserialize(content)  # type: ignore[no-untyped-call]
    except (SafetensorError, ValueError, MemoryError, OverflowError) as error:
        raise FileFormatError(
            f"Checkpoint {name!r} isn't a whole safetensors file.", f"{len(content)} bytes: {error}"
        ) from error
    tensors: dict[str, Array] = {}
    for key, entry in sorted(entries, key=lambda pair: pair[0]):
        code = _DTYPES.get(entry["dtype"])
        if code is None:
            raise FileFormatError(
                f"Checkpoint {name!r} needs tensors of a dtype that NumPy has.",
                f"{entry['dtype']} for the tensor {key!r}",
            )
        flat = np.frombuffer(entry["data"], dtype=np.dtype(code).newbyteorder("<"))
        try:
            array = flat.reshape(entry["shape"])
        except (ValueError, OverflowError) as error:
            # Axes whose product overflows, or more of them than NumPy has.
            raise FileFormatError(
                f"Checkpoint {name!r} states a shape that no array can have.",
                f"{entry['shape']} for the tensor {key!r}",
            ) from error
        if code == "?" and flat.view(np.uint8).max(initial=0) > 1:
            raise FileFormatError(
                f"Checkpoint {name!r} needs 0 or 1 in every byte of a BOOL tensor.",
                f"{int(flat.view(np.uint8).max())} in the tensor {key!r}",
            )
        tensors[key] = array.astype(array.dtype.newbyteorder("="))
    return tensors


def _state(content: bytes, name: str) -> dict[str, Any]:
    # deserialize has seen that the header is there, whole, and of this length.
    header = content[8 : 8 + int.from_bytes(content[:8], "little")]
    metadata = _strict_json(header, name, "header").get("__metadata__") or {}
    text = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None
    if text is None:
        return {}
    if not isinstance(text, str):
        raise FileFormatError(
            f"Checkpoint {name!r} needs a string as its metadata {METADATA_KEY!r}.", describe(value=text)
        )
    return _strict_json(text, name, f"metadata {METADATA_KEY!r}")


def _strict_json(text: str | bytes, name: str, part: str) -> dict[str, Any]:
    """A JSON object as the standard has it: no NaN, no infinity, no key twice."""

    def refuse_constant(constant: str) -> NoReturn:
        raise ValueError(f"the value {constant}, which JSON doesn't have")

    def refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in pairs:
            if key in found:
                raise ValueError(f"the key {key!r} twice")
            found[key] = item
        return found

    def refuse_overflow(number: str) -> float:
        value = float(number)
        if value in (float("inf"), float("-inf")):
            raise ValueError(f"the number {number}, which no float64 holds")
        return value

    try:
        value = json.loads(
            text,
            parse_constant=refuse_constant,
            object_pairs_hook=refuse_twins,
            parse_float=refuse_overflow,
        )
    # JSONDecodeError and UnicodeDecodeError are ValueErrors; brackets without end exhaust the stack.
    except (ValueError, RecursionError) as error:
        raise FileFormatError(
            f"Checkpoint {name!r} needs valid JSON in its {part}.", str(error) or type(error).__name__
        ) from error
    if not isinstance(value, dict):
        raise FileFormatError(
            f"Checkpoint {name!r} needs a JSON object in its {part}.", describe(value=value)
        )
    return value
