"""What is measured: layers from ``shapes/``, each in a batch that makes one call worth timing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tilewright.errors import ArgumentError, FileFormatError, describe
from tilewright.geometry import ConvDims
from tilewright.geometry.shapes import ShapeLine, read_shapes

#: Files of ``shapes/`` whose layers with one group make the selection ``dense``.
DENSE_NETWORKS = ("alexnet", "edsr", "inception", "lenet", "resnet", "unet", "vgg")

# What a call should take on a core of the kind this was written on, to choose a batch by: 125 GFLOP/s and
# 10 GB/s. Fixed numbers, not measured ones, so that every machine runs the same cases.
_NOMINAL_FLOPS = 125e9
_NOMINAL_BYTES = 10e9
# Under two milliseconds the clock and the other programs of the machine blur a call; much beyond fifty, one
# round of all contestants in both directions takes seconds and shows nothing more.
_SHORTEST, _LONGEST = 2e-3, 50e-3
# Where one image alone is more than this, the layer isn't in a selection (it can be asked for by name).
_LONGEST_OF_ONE = 100e-3
_MOST_BYTES = 256 << 20
# A batch of one leaves little to share between threads, and training doesn't use it.
_LEAST_BATCH = 8


@dataclass(frozen=True)
class Case:
    """A layer to measure.

    Attributes:
        name: ``network/layer``, as its line in ``shapes/`` has it.
        dims: its geometry, in the batch that is measured.
    """

    name: str
    dims: ConvDims

    def __str__(self) -> str:
        return f"{self.name}: {geometry(self.dims)}"


# The layers that promises are made about, in the batches that the promises name.
KEY: dict[str, int] = {
    "resnet18/layer1.0.conv1": 8,
    "resnet18/layer2.0.conv2": 8,
    "resnet18/layer3.0.conv2": 8,
    "resnet18/layer4.0.conv2": 8,
    "resnet18/conv1": 8,
    "mobilenetv1-0.5/block7.pointwise": 8,
    "digitnet/conv": 60,
}
SELECTIONS = ("dense", "key", "all")


def shapes_folder() -> Path:
    """Where the shapes files are: beside this module in an installed package, else in the checkout.

    Raises:
        FileFormatError: they are in neither place.
    """
    here = Path(__file__).resolve()
    for folder in (here.parent / "shapes", here.parents[3] / "shapes"):
        if folder.is_dir():
            return folder
    raise FileFormatError(
        "tilewright bench needs the folder of shapes that is installed with it.",
        describe(looked_in=str(here.parent)),
        "Install the package again, or name a shapes file.",
    )


def select(asked: Sequence[str] = ("dense",), match: str = "", folder: Path | None = None) -> list[Case]:
    """The cases that are asked for, each geometry once.

    Args:
        asked: ``dense`` (the layers with one group of the networks in :data:`DENSE_NETWORKS`), ``key``
            (those of :data:`KEY`), ``all`` (every convolution), names of shapes files (``vgg``), of
            networks (``vgg16``) or of layers (``vgg16/conv1_1``), or paths of shapes files, whose layers
            keep their own batch.
        match: only layers whose name or :func:`geometry` contains this; an ``x`` stands for ``×``, too.
        folder: where the shapes files are.

    Raises:
        ArgumentError: a name that nothing has, or nothing is left.
        FileFormatError: a shapes file breaks its format.
    """
    folder = folder or shapes_folder()
    lines = [line for line in read_shapes(folder) if line.operation == "conv"]
    found: list[Case] = []
    for name in asked:
        found += _named(name, lines)
    cases = [case for case in _once(found) if match in case.name or match.replace("x", "×") in str(case)]
    if not cases:
        raise ArgumentError(
            "tilewright bench needs at least one convolution to measure.",
            describe(shapes=",".join(asked), match=match),
            "tilewright bench --list shows the names.",
        )
    return cases


def scaled(dims: ConvDims) -> ConvDims:
    """The geometry in a batch, from that of its line on, that makes a call last 2 to 50 ms nominally.

    >>> scaled(ConvDims.of((1, 64, 56, 56), (64, 64, 3, 3), padding=1)).batch
    8
    """
    batch = max(dims.batch, _LEAST_BATCH)
    while batch > 1 and not _fits(dims.with_batch(batch), _LONGEST):
        batch //= 2
    while _seconds(dims.with_batch(batch)) < _SHORTEST and _fits(dims.with_batch(2 * batch), _LONGEST):
        batch *= 2
    return dims.with_batch(batch)


def geometry(dims: ConvDims) -> str:
    """A geometry in a few words: channels, the size of the input, kernel, and what isn't the usual.

    >>> geometry(ConvDims.of((8, 3, 224, 224), (64, 3, 7, 7), stride=2, padding=3))
    '3→64 7×7 at 224×224, stride 2, pad 3'
    """
    words = [f"{dims.in_channels}→{dims.out_channels} {_times(dims.kernel)} at {_times(dims.spatial)}"]
    for name, values, usual in (("stride", dims.stride, 1), ("dilation", dims.dilation, 1)):
        if any(value != usual for value in values):
            words.append(f"{name} {_same(values)}")
    if any(pair != (0, 0) for pair in dims.padding):
        even = all(before == after for before, after in dims.padding)
        sides = [str(b) if even else f"{b}:{a}" for b, a in dims.padding]
        words.append(f"pad {sides[0] if len(set(sides)) == 1 else '×'.join(sides)}")
    if dims.groups > 1:
        words.append(f"{dims.groups} groups")
    return ", ".join(words)


def _named(name: str, lines: Iterable[ShapeLine]) -> list[Case]:
    if name == "key":
        return [Case(line.name, _dims(line).with_batch(KEY[line.name])) for line in lines if line.name in KEY]
    if name == "dense":
        wanted = [line for line in lines if _file(line) in DENSE_NETWORKS and line.groups == 1]
        return [*_named("key", lines), *_measurable(wanted)]
    if name == "all":
        return [*_named("key", lines), *_measurable(lines)]
    if name.endswith(".txt"):
        own = [line for line in read_shapes(name) if line.operation == "conv"]
        return [Case(line.name, _dims(line)) for line in own]
    chosen = [line for line in lines if _file(line) == name or line.name.split("/")[0] == name]
    if chosen:
        return list(_measurable(chosen))
    chosen = [line for line in lines if line.name == name]
    if not chosen:
        raise ArgumentError(
            f"--shapes must be {', '.join(SELECTIONS)}, or the name of a shapes file, network or layer.",
            describe(shapes=name),
            "tilewright bench --list shows the names.",
        )
    return [_case(line) for line in chosen]


def _case(line: ShapeLine) -> Case:
    dims = _dims(line)
    return Case(line.name, dims.with_batch(KEY[line.name]) if line.name in KEY else scaled(dims))


def _measurable(lines: Iterable[ShapeLine]) -> Iterable[Case]:
    for line in lines:
        if _fits(_dims(line).with_batch(1), _LONGEST_OF_ONE):
            yield _case(line)


def _once(cases: Iterable[Case]) -> list[Case]:
    """The first case of each geometry, whatever its batch."""
    kept: dict[ConvDims, Case] = {}
    for case in cases:
        kept.setdefault(case.dims.with_batch(0), case)
    return list(kept.values())


def _dims(line: ShapeLine) -> ConvDims:
    dims = line.dims()
    assert isinstance(dims, ConvDims)
    return dims


def _file(line: ShapeLine) -> str:
    return Path(line.source).stem


def _seconds(dims: ConvDims) -> float:
    return max(dims.flops / _NOMINAL_FLOPS, dims.bytes_moved(4) / _NOMINAL_BYTES)


def _fits(dims: ConvDims, longest: float) -> bool:
    return _seconds(dims) <= longest and dims.bytes_moved(4) <= _MOST_BYTES


def _times(sizes: Sequence[int]) -> str:
    return "×".join(str(size) for size in sizes)


def _same(sizes: Sequence[int]) -> str:
    return str(sizes[0]) if len(set(sizes)) == 1 else _times(sizes)
