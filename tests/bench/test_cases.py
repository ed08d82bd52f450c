"""Which layers are measured, and in which batches."""

from __future__ import annotations

from pathlib import Path

import pytest

from tilewright.bench import cases
from tilewright.bench.cases import KEY, KINDS, OWN_BATCH, SELECTIONS, Case, scaled, select, shapes_folder
from tilewright.bench.layers import OPERATIONS, Layer
from tilewright.errors import ArgumentError, FileFormatError
from tilewright.geometry import ConvDims

CHECKOUT = Path(__file__).resolve().parents[2] / "shapes"


def test_dense_holds_at_least_60_layers_of_one_group_of_seven_networks() -> None:
    chosen = select(("dense",))
    assert len(chosen) >= 60
    assert {case.dims.groups for case in chosen} == {1}
    networks = {case.name.split("/")[0] for case in chosen}
    assert networks >= {
        "resnet18", "resnet50", "vgg16", "lenet5", "digitnet", "alexnet", "unet", "inception-v3",
        "edsr-baseline-x2", "edsr-x4",
    }  # fmt: skip


def test_the_layers_that_promises_name_are_there_in_their_batches() -> None:
    chosen = {case.name: case.dims for case in select(("dense",))}
    assert {name: chosen[name].batch for name in KEY} == KEY
    assert {case.name for case in select(("key",))} == set(KEY)
    # (in channels, out channels, kernel, size of the input, stride, batch)
    facts = {
        (d.in_channels, d.out_channels, d.kernel[0], d.spatial[0], d.stride[0], d.batch)
        for d in (chosen[name] for name in KEY)
    }
    assert facts == {
        (64, 64, 3, 56, 1, 8),
        (128, 128, 3, 28, 1, 8),
        (256, 256, 3, 14, 1, 8),
        (512, 512, 3, 7, 1, 8),
        (3, 64, 7, 224, 2, 8),
        (256, 256, 1, 14, 1, 8),
        (1, 32, 5, 28, 1, 60),
    }


@pytest.mark.parametrize("selection", SELECTIONS)
def test_a_geometry_is_measured_once(selection: str) -> None:
    chosen = [(case.layer.operation, case.dims.with_batch(1)) for case in select((selection,))]
    assert len(set(chosen)) == len(chosen)


def test_all_holds_every_operation_rank_and_groups() -> None:
    chosen = select(("all",))
    assert {case.layer.operation for case in chosen} == set(OPERATIONS)
    assert {case.dims.rank for case in chosen} == {1, 2, 3, 4}
    assert any(case.layer.groups > 1 for case in chosen)


def is_ordinary(layer: Layer) -> bool:
    return layer.operation == "conv" and layer.groups == 1


# What each kind is, said of the layer that is measured; and how many there are at least.
KIND_RULES = {
    "depthwise": (40, lambda layer: layer.operation == "conv" and layer.weight_shape[1] == 1 < layer.groups),
    "grouped": (20, lambda layer: layer.operation == "conv" and layer.weight_shape[1] > 1 < layer.groups),
    "few-channels": (
        40, lambda layer: is_ordinary(layer) and min(layer.input_shape[1], layer.output_shape[1]) <= 4,
    ),
    "1d": (30, lambda layer: layer.operation == "conv" and layer.rank == 1),
    "3d": (20, lambda layer: layer.operation == "conv" and layer.rank == 3),
    "transposed": (30, lambda layer: layer.operation == "conv_transpose"),
    "dilated": (20, lambda layer: max(layer.dims.dilation) > 1),
    "pools": (60, lambda layer: layer.operation in ("max_pool", "avg_pool")),
}  # fmt: skip


def test_selections_are_named_as_the_kinds_are() -> None:
    assert ("dense", "key", "windows", *KINDS, "all") == SELECTIONS


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_window_has_its_layers(kind: str) -> None:
    least, rule = KIND_RULES[kind]
    chosen = select((kind,))
    assert len(chosen) >= least
    assert all(rule(case.layer) for case in chosen)
    assert not any(case.name.startswith("odd/") for case in chosen)


def test_windows_are_all_kinds_but_what_dense_has() -> None:
    windows = {case.name for case in select(("windows",))}
    dense = {case.name for case in select(("dense",))}
    assert windows == {case.name for case in select(tuple(KINDS))} - dense
    assert windows >= {
        "mobilenetv2/block1.depthwise", "mobilenetv2/block2.depthwise", "convnext-t/stage1.0.depthwise",
        "resnext50/layer1.0.conv2", "wavenet/dilated-512", "mamba-130m/conv1d", "unet3d/up1.conv2",
        "nnunet/first", "film/difference", "rgb-1080p/mask-3x3", "rgb-1080p/mask-5x5",
        "rgb-1080p/blur-31x31", "rgb-1080p/colours-3x3", "gray-1080p/mask-3x3", "gray-4k/gaussian-5x5",
        "dcgan/generator.up2", "unet/up1.upconv", "deeplab-v3/aspp-18", "vgg16/pool2", "resnet18/maxpool",
        "resnet18/avgpool", "densenet121/transition1",
    }  # fmt: skip


def test_pictures_and_films_are_measured_one_at_a_time() -> None:
    for name in OWN_BATCH:
        assert {case.layer.batch for case in select((name,))} == {1}
    found = {case.name: case.layer for case in select(("pictures",))}
    assert found["gray-1080p/mask-3x3"].weights == ""
    assert found["rgb-1080p/mask-3x3"].weights == "same"
    assert found["rgb-720p/gaussian-5x5"].weights == "separable"


def test_calls_are_long_enough_and_not_too_long() -> None:
    for case in select(("dense",)):
        if case.name in KEY:
            continue
        # By the fixed rates of the rule: 125 GFLOP/s and 10 GB/s.
        seconds = max(case.dims.flops / 125e9, case.dims.bytes_moved(4) / 10e9)
        assert 2e-3 <= seconds <= 100e-3, case
        assert case.dims.bytes_moved(4) <= 256 << 20


@pytest.mark.parametrize(
    ("batch", "channels", "size", "expected"),
    [
        (1, 64, 56, 8),  # 231 MFLOP an image: eight are long enough
        (1, 512, 56, 1),  # 14.8 GFLOP an image: 118 ms, so no more than one
        (1, 256, 56, 1),  # 3.7 GFLOP an image: 30 ms, two would take 59
        (1, 16, 28, 128),  # 3.6 MFLOP an image: 128 take 3.7 ms, 64 1.9
        (12, 16, 28, 96),  # doubled from the file's own batch on
    ],
)
def test_the_batch_makes_a_call_last_a_few_milliseconds(
    batch: int, channels: int, size: int, expected: int
) -> None:
    dims = ConvDims.of((batch, channels, size, size), (channels, channels, 3, 3), padding=1)
    assert scaled(Layer("conv", dims)) == Layer("conv", dims.with_batch(expected))


def test_files_networks_layers_and_paths_can_be_named(tmp_path: Path) -> None:
    assert {case.name.split("/")[0] for case in select(("lenet",))} == {"lenet5", "lenet5-mnist", "digitnet"}
    assert {case.name.split("/")[0] for case in select(("resnet18", "vgg16"))} == {"resnet18", "vgg16"}
    assert [case.name for case in select(("vgg16/conv1_1",))] == ["vgg16/conv1_1"]
    own = tmp_path / "own.txt"
    own.write_text("mine/a conv x=1,4,9,9 w=4,4,3,3\nmine/pool max_pool x=1,4,9,9 k=3,3\n", encoding="utf-8")
    assert [(case.name, case.layer.operation, case.dims.batch) for case in select((str(own),))] == [
        ("mine/a", "conv", 1), ("mine/pool", "max_pool", 1),
    ]  # fmt: skip


def test_a_layer_too_large_for_the_selection_can_be_named() -> None:
    name = "edsr-picture-x2/body"
    assert name not in {case.name for case in select(("dense",))}
    assert [(case.name, case.dims.batch) for case in select((name,))] == [(name, 1)]


def test_match_looks_at_name_and_geometry() -> None:
    assert {case.name for case in select(("vgg",), match="conv5")} == {"vgg16/conv5_1"}
    ones = select(("resnet50",), match="1x1")
    assert ones
    assert {case.dims.kernel for case in ones} == {(1, 1)}


@pytest.mark.parametrize(
    ("asked", "match", "message"),
    [
        (
            ("squeezenet",),
            "",
            "--shapes must be dense, key, windows, depthwise, grouped, few-channels, 1d, 3d, transposed, "
            "dilated, pools, all, or the name of a shapes file, network or layer. "
            "Received: shapes='squeezenet'. tilewright bench --list shows the names.",
        ),
        (
            ("vgg",),
            "transformer",
            "tilewright bench needs at least one layer to measure. Received: shapes='vgg', "
            "match='transformer'. tilewright bench --list shows the names.",
        ),
    ],
)
def test_what_is_not_there_is_refused(asked: tuple[str, ...], match: str, message: str) -> None:
    with pytest.raises(ArgumentError) as refusal:
        select(asked, match)
    assert str(refusal.value) == message


def test_shapes_come_from_the_package_or_else_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shapes_folder() == CHECKOUT
    module = tmp_path / "site" / "tilewright" / "bench" / "cases.py"
    module.parent.mkdir(parents=True)
    monkeypatch.setattr(cases, "__file__", str(module))
    with pytest.raises(FileFormatError) as refusal:
        shapes_folder()
    assert str(refusal.value) == (
        "tilewright bench needs the folder of shapes that is installed with it. "
        f"Received: looked_in={str(module.parent)!r}. Install the package again, or name a shapes file."
    )
    (module.parent / "shapes").mkdir()
    assert shapes_folder() == module.parent / "shapes"


def test_the_wheel_holds_the_shapes() -> None:
    text = (CHECKOUT.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert '"shapes" = "tilewright/bench/shapes"' in text


def test_a_case_in_words() -> None:
    case = Case("a/b", Layer("conv", ConvDims.of((1, 4, 9), (6, 4, 3))))
    assert str(case) == "a/b: 4→6 3 at 9"
