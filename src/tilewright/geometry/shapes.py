"""Convolution geometries written one per line in text files, and their strict reader.

The files under ``shapes/`` hold the layers of published networks and deliberately awkward sizes;
tests, fuzzing and benchmarks read the same lines. One line is

    name operation key=value key=value ...      # anything after a hash is a comment

===== ========================= ====================================================================
key   for                       value
===== ========================= ====================================================================
x     every operation           batch, channels, then the spatial sizes: ``8,64,56,56``
w     conv                      out channels, in channels per group, then the kernel: ``64,64,3,3``
w     conv_transpose            in channels, out channels per group, then the kernel
k     max_pool, avg_pool        the window, one size per spatial axis: ``3,3``
s     every operation           stride, one integer or one per axis (default 1; for pools the window)
p     every operation           padding: ``1``, one per axis ``1,2``, before:after per axis
                                ``1:2,0:1``, or valid, same, same_lower, full, causal (default 0)
d     every operation           dilation, one integer or one per axis (default 1)
g     conv, conv_transpose      groups (default 1)
op    conv_transpose            output padding, one integer or one per axis (default 0)
ceil  max_pool, avg_pool        1 for ceil mode (default 0)
f     conv of one channel each  a picture's filter: ``same`` kernel for all channels, or a ``separable`` one
===== ========================= ====================================================================
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tilewright.errors import ArgumentError, FileFormatError, describe
from tilewright.geometry.conv import ConvDims
from tilewright.geometry.padding import NAMES as PADDING_NAMES
from tilewright.geometry.pool import PoolDims

#: Padding as a line gives it: a name, one integer per axis, or one (before, after) pair per axis.
LinePadding = str | tuple[int, ...] | tuple[tuple[int, int], ...]

FILTERS = ("same", "separable")
_POOLS = ("max_pool", "avg_pool")
_NEEDED: dict[str, tuple[str, ...]] = {
    "conv": ("x", "w"),
    "conv_transpose": ("x", "w"),
    "max_pool": ("x", "k"),
    "avg_pool": ("x", "k"),
}
_OPTIONAL: dict[str, tuple[str, ...]] = {
    "conv": ("s", "p", "d", "g", "f"),
    "conv_transpose": ("s", "p", "d", "g", "op"),
    "max_pool": ("s", "p", "d", "ceil"),
    "avg_pool": ("s", "p", "d", "ceil"),
}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]*\Z")
# Nine digits keep every number below 2**31. int() alone would also take '1_0', '+1' and the digits of
# other scripts.
_INTEGER = re.compile(r"-?[0-9]{1,9}\Z")
# Below every integer of nine digits: a field without a least value (padding, which may crop).
_ANY = -(10**9)
# The largest file here is a few kilobytes; a file of this size is certainly something else.
_LARGEST_FILE = 16 * 1024 * 1024


@dataclass(frozen=True)
class ShapeLine:
    """One geometry, as its line in a shapes file states it.

    Attributes:
        name: unique name, ``network/layer``.
        operation: ``conv``, ``conv_transpose``, ``max_pool`` or ``avg_pool``.
        input_shape: (batch, channels, *spatial).
        weight_shape: shape of the weight; None for pools.
        kernel: window size per spatial axis.
        stride, dilation, output_padding: one integer per spatial axis.
        padding: a name, one integer per axis, or one (before, after) pair per axis.
        groups: 1 for pools.
        ceil_mode: False for convolutions.
        source: the file it was read from.
        number: the line in that file, counted from 1.
        filter: what is known of the weight: ``same`` or ``separable``, or nothing if empty.

    >>> line = parse_line("stem conv x=1,3,224,224 w=64,3,7,7 s=2 p=3", "example.txt", 1)
    >>> line.dims().output_shape
    (1, 64, 112, 112)
    """

    name: str
    operation: str
    input_shape: tuple[int, ...]
    weight_shape: tuple[int, ...] | None
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: LinePadding
    dilation: tuple[int, ...]
    groups: int
    output_padding: tuple[int, ...]
    ceil_mode: bool
    source: str
    number: int
    filter: str = ""

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.kernel)

    @property
    def is_pool(self) -> bool:
        """Whether the operation is a pooling, so that there is no weight."""
        return self.operation in _POOLS

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the operation's result: (batch, channels, *spatial)."""
        dims = self.dims()
        # A transposed convolution is described by the ordinary one whose data gradient it is.
        return dims.input_shape if self.operation == "conv_transpose" else dims.output_shape

    def dims(self) -> ConvDims | PoolDims:
        """The checked geometry; for ``conv_transpose`` that of the ordinary convolution it is adjoint to.

        Raises:
            ShapeError, ArgumentError: the sizes don't fit together; the message begins with the line's place.
        """
        op = f"{_place(self.source, self.number)}: {self.operation} {self.name}"
        if self.weight_shape is None:
            return PoolDims.of(
                self.input_shape,
                self.kernel,
                stride=self.stride,
                padding=self.padding,
                dilation=self.dilation,
                ceil_mode=self.ceil_mode,
                op=op,
            )
        if self.operation == "conv_transpose":
            return ConvDims.of_transposed(self.input_shape, self.weight_shape, op=op, **self.conv_arguments())
        return ConvDims.of(self.input_shape, self.weight_shape, op=op, **self.conv_arguments())

    def conv_arguments(self) -> dict[str, Any]:
        """Keyword arguments of the convolution functions, but for the arrays.

        They are stride, padding, dilation and groups, and for ``conv_transpose`` output_padding as well.

        Raises:
            ArgumentError: the line is a pool.
        """
        if self.is_pool:
            raise ArgumentError(
                "conv_arguments needs a line with the operation conv or conv_transpose.",
                describe(operation=self.operation, name=self.name),
                "Call pool_arguments for a pool.",
            )
        arguments: dict[str, Any] = {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }
        if self.operation == "conv_transpose":
            arguments["output_padding"] = self.output_padding
        return arguments

    def pool_arguments(self) -> dict[str, Any]:
        """Keyword arguments of the pooling functions: kernel_size, stride, padding, dilation, ceil_mode.

        Raises:
            ArgumentError: the line is a convolution.
        """
        if not self.is_pool:
            raise ArgumentError(
                "pool_arguments needs a line with the operation max_pool or avg_pool.",
                describe(operation=self.operation, name=self.name),
                "Call conv_arguments for a convolution.",
            )
        return {
            "kernel_size": self.kernel,
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "ceil_mode": self.ceil_mode,
        }


def parse_line(text: str, source: str, number: int) -> ShapeLine:
    """Read one line of a shapes file.

    ``source`` and ``number`` (from 1) say where the line stands; every error names them and the field.

    Raises:
        FileFormatError: a field is missing, unknown, given twice or not of its form.
    """
    place = _place(source, number)
    words = text.split("#", 1)[0].split()
    if len(words) < 2:
        raise FileFormatError(
            f"{place} needs a name and an operation, then key=value fields.", describe(line=text.strip())
        )
    name, operation, *pairs = words
    if not _NAME.match(name):
        raise FileFormatError(
            f"{place}: field name needs letters, digits and . _ / + - only, a letter or digit first.",
            describe(name=name),
        )
    if operation not in _NEEDED:
        raise FileFormatError(
            f"{place}: field operation needs to be one of {', '.join(_NEEDED)}.",
            describe(operation=operation),
        )
    fields = _Fields(place, operation, pairs)
    input_shape = fields.integers("x", least=1)
    rank = len(input_shape) - 2
    if rank < 1:
        raise fields.wrong("x", "needs batch, channels and at least one spatial size")
    weight_shape: tuple[int, ...] | None = None
    if operation in _POOLS:
        kernel = fields.integers("k", least=1)
        if len(kernel) != rank:
            raise fields.wrong("k", f"needs {rank} integers, one per spatial axis of x")
    else:
        weight_shape = fields.integers("w", least=1)
        if len(weight_shape) != rank + 2:
            raise fields.wrong("w", f"needs {rank + 2} integers, as many as x has")
        kernel = weight_shape[2:]
    default_stride = kernel if operation in _POOLS else (1,) * rank
    return ShapeLine(
        name=name,
        operation=operation,
        input_shape=input_shape,
        weight_shape=weight_shape,
        kernel=kernel,
        stride=fields.per_axis("s", rank, default_stride, least=1),
        padding=fields.padding("p", rank),
        dilation=fields.per_axis("d", rank, (1,) * rank, least=1),
        groups=fields.single("g", 1, least=1),
        output_padding=fields.per_axis("op", rank, (0,) * rank, least=0),
        ceil_mode=bool(fields.single("ceil", 0, least=0, most=1)),
        source=source,
        number=number,
        filter=fields.filter("f", input_shape, weight_shape),
    )


def read_shapes(folder_or_file: str | os.PathLike[str]) -> list[ShapeLine]:
    """Every geometry of one shapes file, or of all ``*.txt`` files of a folder, sorted by file name.

    Within a file the lines keep their order.

    Raises:
        FileFormatError: there is no such file or folder, a file is not UTF-8 text or breaks the format,
            a name stands twice, or there is no geometry at all.
    """
    root = Path(folder_or_file)
    if root.is_dir():
        files = sorted(path for path in root.glob("*.txt") if path.is_file())
    elif root.is_file():
        files = [root]
    else:
        raise FileFormatError(
            "read_shapes needs a shapes file or a folder of them.", describe(path=str(root))
        )
    lines: list[ShapeLine] = []
    first_with: dict[str, ShapeLine] = {}
    for path in files:
        for number, text in enumerate(_text_of(path).split("\n"), start=1):
            if not text.split("#", 1)[0].strip():
                continue
            line = parse_line(text, str(path), number)
            earlier = first_with.setdefault(line.name, line)
            if earlier is not line:
                raise FileFormatError(
                    f"{_place(line.source, number)}: field name needs to be unique.",
                    describe(name=line.name),
                    f"It stands already in {_place(earlier.source, earlier.number)}.",
                )
            lines.append(line)
    if not lines:
        raise FileFormatError(
            "read_shapes needs at least one geometry in a *.txt file.", describe(path=str(root))
        )
    return lines


class _Fields:
    """The key=value part of one line: checked for its keys at once, for its values as they are asked for."""

    def __init__(self, place: str, operation: str, pairs: Iterable[str]) -> None:
        self._place = place
        self._values: dict[str, str] = {}
        known = _NEEDED[operation] + _OPTIONAL[operation]
        for pair in pairs:
            key, equals, value = pair.partition("=")
            if not equals:
                raise FileFormatError(f"{place}: every field needs the form key=value.", describe(field=pair))
            if key not in known:
                raise FileFormatError(
                    f"{place}: field {key} is not known for {operation}.",
                    describe(field=pair),
                    f"The keys of {operation} are {', '.join(known)}.",
                )
            if key in self._values:
                raise FileFormatError(
                    f"{place}: field {key} is given twice.", describe(first=self._values[key], second=value)
                )
            self._values[key] = value
        for key in _NEEDED[operation]:
            if key not in self._values:
                raise FileFormatError(f"{place}: field {key} is missing, and {operation} needs it.")

    def wrong(self, key: str, rule: str) -> FileFormatError:
        """The error for a value that is not of its form; ``rule`` continues 'field <key>'."""
        return FileFormatError(f"{self._place}: field {key} {rule}.", describe(**{key: self._values[key]}))

    def integers(self, key: str, *, least: int) -> tuple[int, ...]:
        """Comma-separated integers."""
        return tuple(self._integer(key, part, least) for part in self._values[key].split(","))

    def per_axis(self, key: str, rank: int, default: tuple[int, ...], *, least: int) -> tuple[int, ...]:
        """One integer for all axes, or one per axis."""
        if key not in self._values:
            return default
        numbers = self.integers(key, least=least)
        if len(numbers) not in (1, rank):
            raise self.wrong(key, f"needs one integer or {rank}, one per spatial axis")
        return numbers * rank if len(numbers) == 1 else numbers

    def single(self, key: str, default: int, *, least: int, most: int | None = None) -> int:
        """Exactly one integer."""
        if key not in self._values:
            return default
        if "," in self._values[key]:
            raise self.wrong(key, "needs one integer of at most nine digits")
        number = self._integer(key, self._values[key], least)
        if most is not None and number > most:
            raise self.wrong(key, f"needs an integer from {least} to {most}")
        return number

    def padding(self, key: str, rank: int) -> LinePadding:
        """A padding name, one integer (for all axes or each), or before:after pairs; integers may crop."""
        text = self._values.get(key, "0")
        if text in PADDING_NAMES:
            return text
        if ":" not in text:
            if not all(_INTEGER.match(part) for part in text.split(",")):
                raise self.wrong(
                    key, f"needs integers, before:after pairs, or one of {', '.join(PADDING_NAMES)}"
                )
            return self.per_axis(key, rank, (0,) * rank, least=_ANY)
        sides = [part.split(":") for part in text.split(",")]
        if len(sides) != rank or any(len(pair) != 2 for pair in sides):
            raise self.wrong(key, f"needs {rank} before:after pairs, one per spatial axis")
        return tuple((self._side(key, before), self._side(key, after)) for before, after in sides)

    def filter(self, key: str, input_shape: tuple[int, ...], weight_shape: tuple[int, ...] | None) -> str:
        """What is known of the weight of a layer that filters each channel by itself."""
        if key not in self._values:
            return ""
        if (text := self._values[key]) not in FILTERS:
            raise self.wrong(key, f"needs to be one of {', '.join(FILTERS)}")
        alone = weight_shape is not None and weight_shape[:2] == (input_shape[1], 1)
        if not alone or self.single("g", 1, least=1) != input_shape[1]:
            raise self.wrong(key, "needs as many groups and output channels as x has channels")
        return text

    def _side(self, key: str, text: str) -> int:
        return self._integer(key, text, _ANY)

    def _integer(self, key: str, text: str, least: int) -> int:
        if not _INTEGER.match(text):
            raise self.wrong(key, "needs integers of at most nine digits")
        number = int(text)
        if number < least:
            raise self.wrong(key, f"needs integers of at least {least}")
        return number


def _place(source: str, number: int) -> str:
    return f"{source}, line {number}"


def _text_of(path: Path) -> str:
    size = path.stat().st_size
    if size > _LARGEST_FILE:
        raise FileFormatError(
            f"{path} is too large for a shapes file, which has at most {_LARGEST_FILE} bytes.",
            describe(bytes=size),
        )
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileFormatError(
            f"{path} needs to be UTF-8 text.", f"a byte that is not, at offset {error.start}"
        ) from None
    # Some editors begin a UTF-8 file with a byte-order mark, which is not part of the first line.
    return text.removeprefix("\ufeff")
