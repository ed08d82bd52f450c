"""The shapes files and their strict reader."""

from __future__ import annotations

from collections import Counter
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from tilewright.errors import ArgumentError, FileFormatError, ShapeError
from tilewright.geometry.conv import ConvDims
from tilewright.geometry.pool import PoolDims
from tilewright.geometry.shapes import FILTERS, ShapeLine, parse_line, read_shapes

SHAPES = Path(__file__).resolve().parents[2] / "shapes"

# Output shapes worked out by hand or stated in the papers: ⌊(n + lo + hi − d(k−1) − 1)/s⌋ + 1, and for
# transposed layers (n−1)s − lo − hi + d(k−1) + output_padding + 1.
KNOWN_OUTPUTS = {
    "lenet5/C1": (8, 6, 28, 28),
    "lenet5/S4": (8, 16, 5, 5),
    "lenet5/C5": (8, 120, 1, 1),
    "digitnet/conv": (60, 32, 28, 28),
    "alexnet/conv1": (8, 96, 55, 55),
    "alexnet/pool1": (8, 96, 27, 27),
    "alexnet/pool5": (8, 256, 6, 6),
    "vgg16/conv1_1": (1, 64, 224, 224),
    "vgg16/pool5": (1, 512, 7, 7),
    "resnet18/conv1": (1, 64, 112, 112),
    "resnet18/layer2.0.downsample.0": (1, 128, 28, 28),
    "resnet50/conv1": (8, 64, 112, 112),
    "resnet50/maxpool": (8, 64, 56, 56),
    "resnet50/layer2.0.conv2": (8, 128, 28, 28),
    "resnet50/layer4.0.conv3": (8, 2048, 7, 7),
    "resnet50/avgpool": (8, 2048, 1, 1),
    "resnext50/layer1.0.conv2": (1, 128, 56, 56),
    "mobilenetv2/block2.depthwise": (1, 96, 56, 56),
    "mobilenetv2/head": (1, 1280, 7, 7),
    "convnext-t/stem": (8, 96, 56, 56),
    "convnext-t/stage1.0.depthwise": (8, 96, 56, 56),
    "convnext-t/downsample3": (8, 768, 7, 7),
    "inception-v3/Conv2d_1a_3x3": (1, 32, 149, 149),
    "inception-v3/maxpool1": (1, 64, 73, 73),
    "inception-v3/Mixed_6a.branch3x3": (1, 384, 17, 17),
    "inception-v3/Mixed_6b.branch7x7_2": (1, 128, 17, 17),
    "inception-v3/Mixed_7a.max_pool": (1, 768, 8, 8),
    "unet/down1.conv1": (1, 64, 570, 570),
    "unet/up4.upconv": (1, 512, 56, 56),
    "unet/out": (1, 2, 388, 388),
    "unet3d/up3.upconv": (1, 512, 14, 18, 18),
    "unet3d/out": (1, 3, 28, 44, 44),
    "c3d/pool1": (1, 64, 16, 56, 56),
    "c3d/pool5": (1, 512, 1, 4, 4),
    "edsr-baseline-x2/upsample1": (8, 256, 48, 48),
    "wavenet/dilated-512": (1, 32, 16000),
    "nv-wavenet/upsample": (8, 80, 16800),
    "mamba-130m/conv1d": (8, 1536, 2048),
    "mamba-130m/conv1d-both-sides": (1, 1536, 2051),
    "mamba-130m/step": (8, 1536, 1),
    "dcgan/generator.project": (8, 512, 4, 4),
    "dcgan/generator.up4": (8, 3, 64, 64),
    "dcgan/discriminator.down1": (8, 64, 32, 32),
    "dcgan/discriminator.out": (8, 1, 1, 1),
    "dcgan-paper/generator.up1": (8, 512, 8, 8),
    "deeplab-v2/pool3": (1, 256, 41, 41),
    "deeplab-v2/aspp-24": (1, 1024, 41, 41),
    "deeplab-v3/image-pool": (1, 2048, 1, 1),
    "film/difference": (1, 1, 59, 318, 318),
    "i3d/conv1": (1, 64, 32, 112, 112),
    "i3d/maxpool4": (1, 480, 16, 14, 14),
    "fcn8s/upscore8": (1, 21, 568, 568),
    "fsrcnn-x3/deconv": (1, 1, 720, 1278),
    "googlenet/pool1": (1, 64, 56, 56),
    "squeezenet1.0/pool1": (1, 96, 54, 54),
    "xception/entry2.pool": (1, 256, 37, 37),
    "wav2vec2/positions": (8, 768, 49),
    "conformer/subsample2": (1, 144, 249, 19),
    "hifigan/up1": (1, 256, 256),
    "m5/pool1": (8, 128, 495),
    "odd/ceil-pool": (2, 3, 5, 5),
    "odd/ceil-drops-window": (1, 2, 2, 3),
    "odd/crop": (2, 4, 7, 11),
    "odd/same-stride-3": (1, 3, 6, 7),
    "odd/causal-stride": (2, 6, 20),
    "odd/whole-input-dilated": (2, 4, 1, 1),
    "odd/kernel-over-input": (2, 4, 2, 2),
    "odd/output-padding-axis": (1, 5, 18, 14),
    "odd/space-time": (1, 3, 4, 6, 7, 8),
}


@pytest.fixture(scope="module")
def lines() -> list[ShapeLine]:
    return read_shapes(SHAPES)


def parse(text: str) -> ShapeLine:
    return parse_line(text, "net.txt", 7)


# The files


def test_there_are_at_least_230_geometries(lines: list[ShapeLine]) -> None:
    assert len(lines) >= 230


def test_no_two_lines_have_the_same_geometry(lines: list[ShapeLine]) -> None:
    # dims() resolves padding names and defaults, so `p=same` and `p=1` count as the same where they are.
    counts = Counter((line.operation, line.dims()) for line in lines)
    assert [key for key, count in counts.items() if count > 1] == []


def test_names_are_unique(lines: list[ShapeLine]) -> None:
    assert len({line.name for line in lines}) == len(lines)


def test_every_geometry_is_accepted_and_has_an_output(lines: list[ShapeLine]) -> None:
    for line in lines:
        dims = line.dims()
        assert isinstance(dims, PoolDims if line.is_pool else ConvDims), line.name
        assert min(line.output_shape) >= 1, line.name
        channels = line.input_shape[1]
        if line.operation == "conv":
            assert line.weight_shape is not None
            channels = line.weight_shape[0]
        elif line.operation == "conv_transpose":
            assert line.weight_shape is not None
            channels = line.weight_shape[1] * line.groups
        assert line.output_shape[:2] == (line.input_shape[0], channels), line.name


def test_every_operation_rank_and_option_occurs(lines: list[ShapeLine]) -> None:
    assert {line.operation for line in lines} == {"conv", "conv_transpose", "max_pool", "avg_pool"}
    assert {line.rank for line in lines} == {1, 2, 3, 4}
    names = {line.padding for line in lines if isinstance(line.padding, str)}
    assert names == {"valid", "same", "same_lower", "full", "causal"}
    assert any(line.ceil_mode for line in lines)
    assert any(max(line.output_padding) > 0 for line in lines)
    assert any(line.groups > 1 for line in lines)
    assert any(len(set(line.stride)) > 1 for line in lines)


def test_the_networks_are_there(lines: list[ShapeLine]) -> None:
    expected = (
        "lenet5 digitnet alexnet vgg16 resnet18 resnet50 mobilenetv2 convnext-t resnext50 inception-v3 "
        "unet unet3d edsr-baseline-x2 wavenet mamba-130m c3d dcgan deeplab-v3 odd "
        "gray-1080p rgb-1080p gray-4k film efficientnet-b0 replknet-31b resnext101 regnetx-3.2gf wav2vec2 "
        "conformer-l hifigan nnunet vnet pix2pix fcn8s densenet121 googlenet yolov3-spp"
    )
    assert {line.name.split("/")[0] for line in lines} >= set(expected.split())


def test_every_file_begins_with_a_comment_that_names_its_source() -> None:
    files = sorted(SHAPES.glob("*.txt"))
    assert files
    for path in files:
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith("# ") and len(first) > 40, path.name


@pytest.mark.parametrize("name", KNOWN_OUTPUTS)
def test_known_output_shapes(lines: list[ShapeLine], name: str) -> None:
    (line,) = [line for line in lines if line.name == name]
    assert line.output_shape == KNOWN_OUTPUTS[name]


def test_wavenet_has_every_dilation_from_1_to_512(lines: list[ShapeLine]) -> None:
    dilated = [line for line in lines if line.name.startswith("wavenet/dilated-")]
    assert [line.dilation for line in dilated] == [(2**power,) for power in range(10)]
    assert {line.padding for line in dilated} == {"causal"}


def test_the_stride_of_resnet50_sits_on_the_3x3_layer(lines: list[ShapeLine]) -> None:
    by_name = {line.name: line for line in lines}
    assert by_name["resnet50/layer3.0.conv1"].stride == (1, 1)
    assert by_name["resnet50/layer3.0.conv2"].kernel == (3, 3)
    assert by_name["resnet50/layer3.0.conv2"].stride == (2, 2)


def test_published_multiply_adds_of_alexnet(lines: list[ShapeLine]) -> None:
    # Known from the paper's layer sizes, by hand: 55²·96·363 + 27²·256·1200 + 13²·(384·2304 + 384·1728 +
    # 256·1728) for one image; a multiply-add is two operations.
    by_hand = 55**2 * 96 * 363 + 27**2 * 256 * 1200 + 13**2 * (384 * 2304 + 384 * 1728 + 256 * 1728)
    found = [line.dims() for line in lines if line.name.startswith("alexnet/conv")]
    assert sum(dims.flops for dims in found) == 2 * 8 * by_hand


# One line


def test_a_conv_line_with_every_field() -> None:
    line = parse("net/a conv x=2,6,20,21 w=4,3,3,5 s=2,1 p=1:2,0:1 d=1,2 g=2  # note")
    assert line == ShapeLine(
        name="net/a",
        operation="conv",
        input_shape=(2, 6, 20, 21),
        weight_shape=(4, 3, 3, 5),
        kernel=(3, 5),
        stride=(2, 1),
        padding=((1, 2), (0, 1)),
        dilation=(1, 2),
        groups=2,
        output_padding=(0, 0),
        ceil_mode=False,
        source="net.txt",
        number=7,
    )
    assert line.rank == 2
    assert line.conv_arguments() == {
        "stride": (2, 1),
        "padding": ((1, 2), (0, 1)),
        "dilation": (1, 2),
        "groups": 2,
    }
    assert line.dims() == ConvDims.of((2, 6, 20, 21), (4, 3, 3, 5), **line.conv_arguments())
    assert line.output_shape == (2, 4, 11, 14)


def test_what_is_known_of_a_filter_s_kernels() -> None:
    for text in FILTERS:
        assert parse(f"a conv x=1,3,9,8 w=3,1,3,3 g=3 f={text}").filter == text
        assert parse(f"a conv x=1,1,9 w=1,1,3 f={text}").filter == text
    assert parse("a conv x=1,3,9,8 w=3,1,3,3 g=3").filter == ""


def test_defaults_of_a_conv_line() -> None:
    line = parse("a conv x=1,3,9 w=2,3,4")
    assert (line.stride, line.padding, line.dilation, line.groups) == ((1,), (0,), (1,), 1)
    assert line.ceil_mode is False


def test_a_transposed_line() -> None:
    line = parse("a conv_transpose x=1,4,5,6 w=4,3,3,3 s=2 p=1 op=1,0 g=2")
    assert line.kernel == (3, 3)
    assert line.conv_arguments() == {
        "stride": (2, 2),
        "padding": (1, 1),
        "dilation": (1, 1),
        "groups": 2,
        "output_padding": (1, 0),
    }
    assert line.dims() == ConvDims.of_transposed((1, 4, 5, 6), (4, 3, 3, 3), **line.conv_arguments())
    assert line.output_shape == (1, 6, 10, 11)


def test_a_pool_line() -> None:
    line = parse("a max_pool x=1,2,9,10 k=3,2 s=2 p=1,0 d=1,2 ceil=1")
    assert line.weight_shape is None and line.is_pool and line.groups == 1
    assert line.pool_arguments() == {
        "kernel_size": (3, 2),
        "stride": (2, 2),
        "padding": (1, 0),
        "dilation": (1, 2),
        "ceil_mode": True,
    }
    expected = PoolDims.of((1, 2, 9, 10), (3, 2), stride=2, padding=(1, 0), dilation=(1, 2), ceil_mode=True)
    assert line.dims() == expected
    assert line.output_shape == (1, 2, 5, 5)


def test_a_pool_strides_by_its_window_unless_told() -> None:
    assert parse("a avg_pool x=1,2,9,10 k=3,2").stride == (3, 2)
    assert parse("a avg_pool x=1,2,9,10 k=3,2 s=1").stride == (1, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", (1, 1)),
        ("1,2", (1, 2)),
        ("1:2,0:1", ((1, 2), (0, 1))),
        ("-1", (-1, -1)),
        ("-1:2,0:-3", ((-1, 2), (0, -3))),
        ("valid", "valid"),
        ("same", "same"),
        ("same_lower", "same_lower"),
        ("full", "full"),
        ("causal", "causal"),
    ],
)
def test_padding_forms(text: str, expected: object) -> None:
    assert parse(f"a conv x=1,1,9,9 w=1,1,3,3 p={text}").padding == expected


def test_a_line_is_frozen() -> None:
    line = parse("a conv x=1,3,9 w=2,3,4")
    with pytest.raises(FrozenInstanceError):
        line.groups = 2  # type: ignore[misc]


def test_arguments_of_the_other_kind_are_refused() -> None:
    pool = parse("net/p max_pool x=1,2,9 k=3")
    with pytest.raises(ArgumentError) as caught:
        pool.conv_arguments()
    assert str(caught.value) == (
        "conv_arguments needs a line with the operation conv or conv_transpose. "
        "Received: operation='max_pool', name='net/p'. Call pool_arguments for a pool."
    )
    conv = parse("net/c conv x=1,3,9 w=2,3,4")
    with pytest.raises(ArgumentError) as caught:
        conv.pool_arguments()
    assert str(caught.value) == (
        "pool_arguments needs a line with the operation max_pool or avg_pool. "
        "Received: operation='conv', name='net/c'. Call conv_arguments for a convolution."
    )


def test_sizes_that_do_not_fit_name_the_line() -> None:
    line = parse("net/c conv x=1,3,9 w=2,4,4")
    with pytest.raises(ShapeError, match=r"^net\.txt, line 7: conv net/c needs weight of shape"):
        line.dims()


CONV = "a conv x=1,4,9,9 w=2,4,3,3"
POOL = "a max_pool x=1,4,9,9 k=3,3"
PADDING_RULE = "field p needs integers, before:after pairs, or one of valid, same, same_lower, full, causal."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" ", "needs a name and an operation, then key=value fields. Received: line=''."),
        (
            "lonely  # conv",
            "needs a name and an operation, then key=value fields. Received: line='lonely  # conv'.",
        ),
        (
            "-a conv x=1,1,3 w=1,1,1",
            "field name needs letters, digits and . _ / + - only, a letter or digit first. "
            "Received: name='-a'.",
        ),
        (
            "a convolve x=1,1,3 w=1,1,1",
            "field operation needs to be one of conv, conv_transpose, max_pool, avg_pool. "
            "Received: operation='convolve'.",
        ),
        ("a conv w=1,1,1", "field x is missing, and conv needs it."),
        ("a conv x=1,1,3", "field w is missing, and conv needs it."),
        ("a avg_pool x=1,1,3", "field k is missing, and avg_pool needs it."),
        (
            "a conv x=1,3,9,9 w=3,1,3,3 g=3 f=gaussian",
            "field f needs to be one of same, separable. Received: f='gaussian'.",
        ),
        (
            "a conv x=1,3,9,9 w=3,1,3,3 g=3 f=",
            "field f needs to be one of same, separable. Received: f=''.",
        ),
        *(
            (
                f"a conv {sizes} f=same",
                "field f needs as many groups and output channels as x has channels. Received: f='same'.",
            )
            for sizes in ("x=1,3,9,9 w=3,3,3,3", "x=1,3,9,9 w=6,1,3,3 g=3", "x=1,3,9,9 w=3,1,3,3")
        ),
        (
            f"{POOL} f=same",
            "field f is not known for max_pool. Received: field='f=same'. "
            "The keys of max_pool are x, k, s, p, d, ceil.",
        ),
        (f"{CONV} stride", "every field needs the form key=value. Received: field='stride'."),
        (
            f"{CONV} z=1",
            "field z is not known for conv. Received: field='z=1'. The keys of conv are x, w, s, p, d, g, f.",
        ),
        (
            f"{CONV} op=1",
            "field op is not known for conv. Received: field='op=1'. "
            "The keys of conv are x, w, s, p, d, g, f.",
        ),
        (
            f"{POOL} w=4,4,3,3",
            "field w is not known for max_pool. Received: field='w=4,4,3,3'. "
            "The keys of max_pool are x, k, s, p, d, ceil.",
        ),
        (f"{CONV} s=1 s=2", "field s is given twice. Received: first='1', second='2'."),
        (
            "a conv x=1,4 w=2,4",
            "field x needs batch, channels and at least one spatial size. Received: x='1,4'.",
        ),
        ("a conv x=1,4,9,9 w=2,4,3", "field w needs 4 integers, as many as x has. Received: w='2,4,3'."),
        (
            "a max_pool x=1,4,9,9 k=3",
            "field k needs 2 integers, one per spatial axis of x. Received: k='3'.",
        ),
        ("a conv x=1,0,9,9 w=2,4,3,3", "field x needs integers of at least 1. Received: x='1,0,9,9'."),
        (
            "a conv x=1,4,9,9, w=2,4,3,3",
            "field x needs integers of at most nine digits. Received: x='1,4,9,9,'.",
        ),
        (
            "a conv x=1,4,9,9999999999 w=2,4,3,3",
            "field x needs integers of at most nine digits. Received: x='1,4,9,9999999999'.",
        ),
        (
            "a conv x=1,4,9,1_0 w=2,4,3,3",
            "field x needs integers of at most nine digits. Received: x='1,4,9,1_0'.",
        ),
        (f"{CONV} s=2.0", "field s needs integers of at most nine digits. Received: s='2.0'."),
        (f"{CONV} s=", "field s needs integers of at most nine digits. Received: s=''."),
        (f"{CONV} s=0", "field s needs integers of at least 1. Received: s='0'."),
        (f"{CONV} d=1,1,1", "field d needs one integer or 2, one per spatial axis. Received: d='1,1,1'."),
        (f"{CONV} g=1,2", "field g needs one integer of at most nine digits. Received: g='1,2'."),
        (
            "a conv_transpose x=1,4,9,9 w=4,4,3,3 op=-1",
            "field op needs integers of at least 0. Received: op='-1'.",
        ),
        (f"{POOL} ceil=2", "field ceil needs an integer from 0 to 1. Received: ceil='2'."),
        (f"{CONV} p=reflect", f"{PADDING_RULE} Received: p='reflect'."),
        (f"{CONV} p=1,same", f"{PADDING_RULE} Received: p='1,same'."),
        (f"{CONV} p=1,1,1", "field p needs one integer or 2, one per spatial axis. Received: p='1,1,1'."),
        (f"{CONV} p=1:2", "field p needs 2 before:after pairs, one per spatial axis. Received: p='1:2'."),
        (
            f"{CONV} p=1:2,3",
            "field p needs 2 before:after pairs, one per spatial axis. Received: p='1:2,3'.",
        ),
        (f"{CONV} p=1:x,0:1", "field p needs integers of at most nine digits. Received: p='1:x,0:1'."),
    ],
)
def test_format_errors_name_file_line_and_field(text: str, message: str) -> None:
    with pytest.raises(FileFormatError) as caught:
        parse(text)
    assert str(caught.value) == f"net.txt, line 7{' ' if message.startswith('needs') else ': '}{message}"


# Files and folders


def test_a_folder_is_read_in_the_order_of_its_file_names(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("b/1 conv x=1,1,3 w=1,1,1\n", encoding="utf-8")
    (tmp_path / "a.txt").write_text(
        "# header\n\na/2 conv x=1,1,4 w=1,1,1\r\na/1 conv x=1,1,5 w=1,1,1", encoding="utf-8"
    )
    (tmp_path / "README.md").write_text("not shapes", encoding="utf-8")
    found = read_shapes(tmp_path)
    assert [(line.name, line.number) for line in found] == [("a/2", 3), ("a/1", 4), ("b/1", 1)]
    assert found[0].source == str(tmp_path / "a.txt")


def test_one_file_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfa conv x=1,1,3 w=1,1,1\n")
    assert [line.name for line in read_shapes(str(path))] == ["a"]


def test_an_error_in_a_file_names_the_file_and_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("# header\n\na conv x=1,1,3 w=1,1,1 s=x\n", encoding="utf-8")
    with pytest.raises(FileFormatError) as caught:
        read_shapes(tmp_path)
    assert str(caught.value) == (
        f"{path}, line 3: field s needs integers of at most nine digits. Received: s='x'."
    )


def test_a_name_that_stands_twice_is_refused_across_files(tmp_path: Path) -> None:
    for name, size in (("a", 3), ("b", 4)):
        (tmp_path / f"{name}.txt").write_text(f"net/l conv x=1,1,{size} w=1,1,1\n", encoding="utf-8")
    with pytest.raises(FileFormatError) as caught:
        read_shapes(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'b.txt'}, line 1: field name needs to be unique. Received: name='net/l'. "
        f"It stands already in {tmp_path / 'a.txt'}, line 1."
    )


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none"
    with pytest.raises(FileFormatError) as caught:
        read_shapes(path)
    assert str(caught.value) == (
        f"read_shapes needs a shapes file or a folder of them. Received: path={str(path)!r}."
    )


def test_a_folder_without_geometries_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# nothing but a comment\n", encoding="utf-8")
    with pytest.raises(FileFormatError) as caught:
        read_shapes(tmp_path)
    assert str(caught.value) == (
        f"read_shapes needs at least one geometry in a *.txt file. Received: path={str(tmp_path)!r}."
    )


def test_bytes_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"# ok\n\xff\n")
    with pytest.raises(FileFormatError) as caught:
        read_shapes(path)
    assert str(caught.value) == f"{path} needs to be UTF-8 text. Received: a byte that is not, at offset 5."


def test_a_file_that_is_far_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with path.open("wb") as file:
        file.truncate(16 * 1024 * 1024 + 1)  # sparse: it takes no room on disk
    with pytest.raises(FileFormatError) as caught:
        read_shapes(path)
    assert str(caught.value) == (
        f"{path} is too large for a shapes file, which has at most 16777216 bytes. Received: bytes=16777217."
    )
