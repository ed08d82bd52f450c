"""What is measured: layers from ``shapes/``, each in a batch that makes one call worth timing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tilewright.bench.layers import Layer
from tilewright.errors import ArgumentError, FileFormatError, describe
from tilewright.geometry import ConvDims, PoolDims
from tilewright.geometry.shapes import ShapeLine, read_shapes

#: Files of ``shapes/`` whose layers with one group make the selection ``dense``.
DENSE_NETWORKS = ("alexnet", "edsr", "inception", "lenet", "resnet", "unet", "vgg")
#: Files whose layers are measured in the batch that their lines give: one picture or film at a time.
OWN_BATCH = ("pictures", "video")
#: The file of sizes that are awkward on purpose, and too small to be worth timing.
ODD = "odd"

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
# Up to this many channels are few: they fill no vector.
_FEW_CHANNELS = 4


@dataclass(frozen=True)
class Case:
    """A layer to measure.

    Attributes:
        name: ``network/layer``, as its line in ``shapes/`` has it.
        layer: what it computes, in the batch that is measured.
    """

    name: str
    layer: Layer

    @property
    def dims(self) -> ConvDims | PoolDims:
        """The layer's geometry."""
        return self.layer.dims

    def __str__(self) -> str:
        return f"{self.name}: {self.layer}"


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


def _is_conv(line: ShapeLine) -> bool:
    return line.operation == "conv"


def _has_few_channels(line: ShapeLine) -> bool:
    return line.groups == 1 and min(line.input_shape[1], line.output_shape[1]) <= _FEW_CHANNELS


def _is_product(line: ShapeLine) -> bool:
    """Whether it is a matrix product under another name, as on two axes."""
    return line.groups == 1 and set(line.kernel) == set(line.stride) == {1}


#: Kinds of windows, each a selection; a layer may be of several.
KINDS: dict[str, Callable[[ShapeLine], bool]] = {
    "depthwise": lambda line: _is_conv(line) and line.groups == line.input_shape[1] > 1,
    "grouped": lambda line: _is_conv(line) and 1 < line.groups < line.input_shape[1],
    "few-channels": lambda line: _is_conv(line) and _has_few_channels(line),
    "1d": lambda line: _is_conv(line) and line.rank == 1 and not _is_product(line),
    "3d": lambda line: _is_conv(line) and line.rank == 3 and not _is_product(line),
    "transposed": lambda line: line.operation == "conv_transpose",
    "dilated": lambda line: max(line.dilation) > 1,
    "pools": lambda line: line.is_pool,
}
# Written out: a page of the documentation reads the messages from the source. A test compares.
SELECTIONS = (
    "dense",
    "key",
    "windows",
    "depthwise",
    "grouped",
    "few-channels",
    "1d",
    "3d",
    "transposed",
    "dilated",
    "pools",
    "all",
)


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
            (those of :data:`KEY`), one of :data:`KINDS`, ``windows`` (all of these but what is in
            ``dense``), ``all`` (every layer), names of shapes files (``vgg``), of networks
            (``vgg16``) or of layers (``vgg16/conv1_1``), or paths of shapes files, whose layers keep their
            own batch.
        match: only layers whose name or words contain this; an ``x`` stands for ``×``, too.
        folder: where the shapes files are.

    Raises:
        ArgumentError: a name that nothing has, or nothing is left.
        FileFormatError: a shapes file breaks its format.
    """
    folder = folder or shapes_folder()
    lines = read_shapes(folder)
    found: list[Case] = []
    for name in asked:
        found += _named(name, lines)
    cases = [case for case in _once(found) if match in case.name or match.replace("x", "×") in str(case)]
    if not cases:
        raise ArgumentError(
            "tilewright bench needs at least one layer to measure.",
            describe(shapes=",".join(asked), match=match),
            "tilewright bench --list shows the names.",
        )
    return cases


def scaled(layer: Layer) -> Layer:
    """The layer in a batch, from that of its line on, that makes a call last 2 to 50 ms nominally.

    >>> scaled(Layer("conv", ConvDims.of((1, 64, 56, 56), (64, 64, 3, 3), padding=1))).batch
    8
    """
    batch = max(layer.batch, _LEAST_BATCH)
    while batch > 1 and not _fits(layer.with_batch(batch), _LONGEST):
        batch //= 2
    while _seconds(layer.with_batch(batch)) < _SHORTEST and _fits(layer.with_batch(2 * batch), _LONGEST):
        batch *= 2
    return layer.with_batch(batch)


def _named(name: str, lines: Iterable[ShapeLine]) -> list[Case]:
    if name == "key":
        return [
            Case(line.name, _layer(line).with_batch(KEY[line.name])) for line in lines if line.name in KEY
        ]
    if name == "dense":
        return [*_named("key", lines), *_measurable(line for line in lines if _is_dense(line))]
    if name == "windows" or name in KINDS:
        kinds = KINDS.values() if name == "windows" else (KINDS[name],)
        wanted = [line for line in lines if _file(line) != ODD and any(kind(line) for kind in kinds)]
        return list(_measurable(line for line in wanted if name in KINDS or not _is_dense(line)))
    if name == "all":
        return [*_named("key", lines), *_measurable(lines)]
    if name.endswith(".txt"):
        return [Case(line.name, _layer(line)) for line in read_shapes(name)]
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


def _is_dense(line: ShapeLine) -> bool:
    return _file(line) in DENSE_NETWORKS and line.operation == "conv" and line.groups == 1


def _case(line: ShapeLine) -> Case:
    layer = _layer(line)
    if line.name in KEY:
        return Case(line.name, layer.with_batch(KEY[line.name]))
    return Case(line.name, layer if _file(line) in OWN_BATCH else scaled(layer))


def _measurable(lines: Iterable[ShapeLine]) -> Iterable[Case]:
    for line in lines:
        if _fits(_layer(line).with_batch(1), _LONGEST_OF_ONE):
            yield _case(line)


def _once(cases: Iterable[Case]) -> list[Case]:
    """The first case of each geometry, whatever its batch."""
    kept: dict[tuple[str, ConvDims | PoolDims], Case] = {}
    for case in cases:
        kept.setdefault((case.layer.operation, case.dims.with_batch(0)), case)
    return list(kept.values())


def _layer(line: ShapeLine) -> Layer:
    return Layer(line.operation, line.dims(), line.filter)


def _file(line: ShapeLine) -> str:
    return Path(line.source).stem


def _seconds(layer: Layer) -> float:
    return max(layer.flops("forward") / _NOMINAL_FLOPS, _bytes(layer) / _NOMINAL_BYTES)


def _fits(layer: Layer, longest: float) -> bool:
    return _seconds(layer) <= longest and _bytes(layer) <= _MOST_BYTES


def _bytes(layer: Layer) -> int:
    return layer.bytes("forward", 4)
