"""``tilewright explain``: the plan, the blocks and the code of a convolution."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from cli.commands import Command

from tilewright.cli import explain as module
from tilewright.geometry import ConvDims
from tilewright.geometry.padding import NAMES as PADDINGS
from tilewright.kernel import conv_tiles, jit
from tilewright.op.arrays import MULTIPLIED
from tilewright.plan import choose, named, precision, runnable
from tilewright.plan import explain as explain_plan
from tilewright.plan.plan import CONV_OPERATIONS
from tilewright.plan.precision import MODES
from tilewright.plan.target import NAMES as TARGETS

pytestmark = pytest.mark.skipif(not jit.available(), reason="nothing can be compiled here")

WINOGRAD = ("explain", "--input", "8,64,56,56", "--weight", "64,64,3,3", "--padding", "same")
DENSE = (*WINOGRAD, "--precision", "exact")
FEW = ("explain", "--input", "60,1,28,28", "--weight", "32,1,5,5")


def test_the_plan_and_why(tilewright: Command) -> None:
    dims = ConvDims.of((8, 64, 56, 56), (64, 64, 3, 3), padding="same")
    with precision("exact"):
        expected = explain_plan("forward", dims, "float32")
    out = tilewright(*DENSE).out
    assert out.startswith(f"{expected.plan}\nFamilies, in the order they are asked\n")
    assert "  tiles-pointwise  declines: it needs one tap, stride 1 and no padding\n" in out
    assert '  tiles-winograd   declines: precision("exact") is set\n' in out
    assert f"  {expected.plan.family:<16} accepts: chosen\n" in out


def test_what_it_costs(tilewright: Command) -> None:
    # 2 · 8·64·56·56 · 64·3·3 operations; x and y of 8·64·56·56 numbers, w of 64·64·3·3, 4 bytes each.
    flops, size = 1_849_688_064, 4 * (2 * 8 * 64 * 56 * 56 + 64 * 64 * 9)
    out = tilewright(*DENSE).out
    for words in (
        "  arithmetic       1.85 GFLOP, padding counted\n",
        "  memory           12.39 MiB, each array touched once\n",
        "  intensity        142.4 FLOP a byte\n",
    ):
        assert words in out
    found = tilewright(*DENSE, "--json").json
    assert (found["flops"], found["bytes"]) == (flops, size)
    assert found["intensity"] == flops / size
    small = tilewright("explain", "--input", "1,1,4,4", "--weight", "1,1,3,3").out
    assert "  arithmetic       72 FLOP, padding counted\n" in small
    assert "  memory           116 bytes, each array touched once\n" in small


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_the_program_is_the_one_that_runs(tilewright: Command, target: str, layout: str) -> None:
    """The same blocks and kernels as the program of arrays with this layout."""
    dims = ConvDims.of((8, 64, 56, 56), (64, 64, 3, 3), padding="same")
    found = tilewright(*DENSE, "--target", target, "--layout", layout, "--json").json
    assert found["target"] == target
    with precision("exact"):
        plan = choose("forward", dims, "float32", None, layout, named(target))
    assert found["plan"] == str(plan)
    assert f"in {target} registers" in found["plan"]
    x = np.empty(dims.input_shape, np.float32)
    if layout == "channels_last":
        x = np.empty((8, 56, 56, 64), np.float32).transpose(0, 3, 1, 2)
    strides = x.strides
    assert dims.output_shape == dims.input_shape
    runs = target in [one.name for one in runnable()]
    same = (conv_tiles.program_for if runs else conv_tiles.outline)(plan, strides, strides)
    program = found["program"]
    assert program["blocks"] == same.about
    assert (program["units"], program["scratch_bytes"]) == (same.units, same.scratch_bytes)
    assert program["kernels"] == [{"role": role, "name": name} for role, (name, _) in same.kernels.items()]
    assert [kernel["role"] for kernel in program["kernels"]] == [
        "driver", "micro", "pack_rows", "pack_weights", "store",
    ]  # fmt: skip


def test_the_blocks_in_words(tilewright: Command) -> None:
    out = tilewright(*DENSE, "--target", "avx2", "--operation", "data_gradient").out
    shown = tilewright(*DENSE, "--target", "avx2", "--operation", "data_gradient", "--json").json["program"]
    blocks = shown["blocks"]
    along, across = ("channels", "pixels") if blocks["side"] == "by_channels" else ("pixels", "channels")
    vectors = "1 vector" if blocks["vectors"] == 1 else f"{blocks['vectors']} vectors"
    for words in (
        f"  tile             {vectors} of 8 {along} × {blocks['scalars']} {across}\n",
        f"  channels read    {blocks['channel_block']} of 64 at a time\n",
        f"  channels written {blocks['output_block']} of 64 at a time\n",
        f"  samples          {blocks['batch_block']} of 8 at a time\n",
        f"  lines            {blocks['line_block']} of 56 at a time\n",
        f"  units            {shown['units']}, spread over the threads\n",
        f"  scratch          {shown['scratch_bytes'] / 1024:.1f} KiB a thread\n",
    ):
        assert words in out


@pytest.mark.parametrize("operation", CONV_OPERATIONS)
def test_winograds_algorithm(tilewright: Command, operation: str) -> None:
    arguments = (*WINOGRAD, "--operation", operation, "--target", "avx2")
    out = tilewright(*arguments).out
    shown = tilewright(*arguments, "--json").json
    assert shown["family"] == "tiles-winograd"
    blocks = shown["program"]["blocks"]
    across = "input channels" if operation == "weight_gradient" else "pieces of 4×4"
    for words in (
        f" × {blocks['scalars']} {across}\n",
        f"  rows of pieces   {blocks['line_block']} of 14 at a time\n",
        f"  pieces           {blocks['pieces']} at a time, of 4×4 outputs\n",
    ):
        assert words in out
    assert "\n  columns " not in out
    assert f"\n  pieces of a row  {blocks['column_block']} of 14 at a time\n" in out
    width = 16 if operation == "weight_gradient" else len("transform_weights")
    for kernel in shown["program"]["kernels"]:
        assert f"\n  {kernel['role']:<{width}} {kernel['name']}\n" in out


def test_a_weight_gradient_in_words(tilewright: Command) -> None:
    arguments = (*FEW, "--operation", "weight_gradient", "--target", "avx512")
    out = tilewright(*arguments).out
    shown = tilewright(*arguments, "--json").json["program"]
    assert shown["blocks"]["folded"] == 1
    for words in (
        f" of 16 output channels × {shown['blocks']['scalars']} input channels and line taps\n",
        "  output channels  32 of 32 at a time\n",
        "  input channels   1 of 1 at a time\n",
        f"  shares           {shown['blocks']['shares']}, added up in order at the end\n",
        "  pack_gy          pack_turned_float_columns1\n",
    ):
        assert words in out
    assert "samples" not in out


@pytest.mark.parametrize(
    ("target", "remark", "words"),
    [("avx512", "#", "%zmm0"), ("avx2", "#", "%ymm0"), ("baseline", "#", "%xmm0"), ("neon", "//", "v0.4s")],
)
def test_assembly_for_any_target(tilewright: Command, target: str, remark: str, words: str) -> None:
    out = tilewright(*DENSE, "--target", target, "--asm", "--kernel", "micro").out
    name = next(
        kernel["name"]
        for kernel in tilewright(*DENSE, "--target", target, "--json").json["program"]["kernels"]
        if kernel["role"] == "micro"
    )
    assert out.startswith(f"{remark} {name} (micro) for {target}\n")
    assert f"\n{name}:\n" in out
    assert words in out
    assert "Families" not in out


def test_the_code_of_all_kernels(tilewright: Command) -> None:
    out = tilewright(*DENSE, "--target", "avx2", "--ir").out
    kernels = tilewright(*DENSE, "--target", "avx2", "--json").json["program"]["kernels"]
    for kernel in kernels:
        assert f"; {kernel['name']} ({kernel['role']}) for avx2\n" in out
        assert f"define void @{kernel['name']}(" in out
    both = tilewright(*DENSE, "--target", "avx2", "--ir", "--asm", "--json").json["program"]["kernels"]
    for kernel, plain in zip(both, kernels, strict=True):
        assert kernel["name"] == plain["name"]
        assert kernel["ir"] in out
        assert f"\n{kernel['name']}:\n" in kernel["assembly"]
    only = tilewright(*DENSE, "--target", "avx2", "--asm", "--kernel", "store", "--json").json
    assert [(kernel["role"], set(kernel) - {"role", "name"}) for kernel in only["program"]["kernels"]] == [
        ("driver", set()),
        ("micro", set()),
        ("pack_rows", set()),
        ("pack_weights", set()),
        ("store", {"assembly"}),
    ]


def test_a_kernel_that_serves_twice_is_printed_once(tilewright: Command) -> None:
    arguments = ("--input", "4,32,8,8", "--weight", "32,32,5,5", "--operation", "weight_gradient")
    out = tilewright("explain", *arguments, "--target", "avx2", "--ir").out
    assert "; pack_turned_float_columns1 (pack_x) for avx2\n" in out
    assert out.count("define void @pack_turned_float_columns1(") == 1


def test_explaining_loads_nothing(tilewright: Command) -> None:
    before = jit.compiled()
    tilewright("explain", "--input", "3,7,11,13", "--weight", "19,7,3,3", "--asm")
    assert jit.compiled() == before


def test_a_family_without_kernels(tilewright: Command) -> None:
    arguments = (*DENSE, "--dtype", "int32")
    out = tilewright(*arguments).out
    assert "forward by numpy-windows" in out
    assert "Kernels" not in out
    found = tilewright(*arguments, "--json").json
    assert (found["family"], found["target"], found["program"]) == ("numpy-windows", None, None)
    ended = tilewright(*arguments, "--asm")
    assert ended.code == 2
    assert ended.only_error == (
        "error: The family numpy-windows, which computes this, compiles no kernels: there is no code to "
        "print. Received: operation='forward', dtype='int32'."
    )


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("1", 1),
        ("1,2", (1, 2)),
        ("0:1,2:2", ((0, 1), (2, 2))),
        ("-1", -1),
        *((name, name) for name in PADDINGS),
    ],
)
def test_every_form_of_padding(tilewright: Command, text: str, same: object) -> None:
    dims = ConvDims.of((1, 8, 20, 22), (8, 8, 3, 3), padding=same)
    found = tilewright(
        "explain", "--input", "1,8,20,22", "--weight", "8,8,3,3", f"--padding={text}", "--json"
    ).json
    assert found["output"] == list(dims.output_shape)


def test_options_per_axis(tilewright: Command) -> None:
    found = tilewright(
        "explain", "--input", "2,8,20,22", "--weight", "4,4,3,3", "--stride", "2,1", "--dilation", "1,2",
        "--groups", "2", "--json",
    ).json  # fmt: skip
    assert found["output"] == [2, 4, 9, 18]
    assert found["input"] == [2, 8, 20, 22]
    assert found["weight"] == [4, 4, 3, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--weight", "64,64,3,3"), "Missing option '--input'."),
        (
            ("--input", "8,64,0,56"),
            "'8,64,0,56' isn't a list of whole numbers from 1 on, such as 8,64,56,56.",
        ),
        (
            ("--padding", "1:2,3"),
            "'1:2,3' is none of 1, 1,2, 0:1,2:2 and valid, same, same_lower, full, causal.",
        ),
        (("--padding", "some"), "'some' is none of 1, 1,2, 0:1,2:2"),
        (("--target", "sse"), "'sse' is not one of 'avx512', 'avx2', 'baseline', 'neon'."),
        (("--kernel", "micro"), "--kernel chooses among what --ir and --asm print: give one of them too."),
    ],
)
def test_bad_usage(tilewright: Command, arguments: tuple[str, ...], message: str) -> None:
    given = arguments if arguments[0] == "--weight" else (*DENSE[1:], *arguments)
    ended = tilewright("explain", *given)
    assert ended.code == 2
    assert message in " ".join(ended.err.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--input", "8,64,56,56", "--weight", "64,63,3,3"),
            "error: explain needs weight of shape (out_channels, in_channels/groups, *kernel). Received: "
            "input with 64 channels, weight with shape (64, 63, 3, 3), groups=1. With groups=1 this weight "
            "takes 63 channels.",
        ),
        (
            (*DENSE[1:], "--ir", "--kernel", "pack_x"),
            "error: --kernel needs one of this operation's kernels: driver, micro, pack_rows, pack_weights, "
            "store. Received: kernel='pack_x', operation='forward'.",
        ),
    ],
)
def test_errors_are_one_line(tilewright: Command, arguments: tuple[str, ...], message: str) -> None:
    ended = tilewright("explain", *arguments)
    assert (ended.code, ended.only_error) == (2, message)


def test_without_llvm_there_is_no_code(tilewright: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> tuple[str, str]:
        raise jit.Missing("llvmlite 0.45 or newer is needed")

    monkeypatch.setattr(jit, "text", missing)
    ended = tilewright(*DENSE, "--ir")
    assert ended.code == 2
    assert ended.only_error == (
        "error: explain needs LLVM to print code. Received: llvmlite 0.45 or newer is needed."
    )


def test_the_names_written_out_are_those_of_the_library() -> None:
    assert module.OPERATIONS == CONV_OPERATIONS
    assert module.DTYPES == MULTIPLIED
    assert module.TARGETS == TARGETS
    assert module.PADDINGS == PADDINGS
    assert module.MODES == MODES
    roles = set()
    # With so many channels Winograd's algorithm serves, with fewer it doesn't.
    for operation, channels in product(CONV_OPERATIONS, (8, 64)):
        dims = ConvDims.of((2, channels, 16, 16), (channels, channels, 3, 3), padding=1)
        plan = choose(operation, dims, "float32", None, "channels_first", named("avx2"))
        strides = (channels * 1024, 1024, 64, 4)
        roles |= set(conv_tiles.outline(plan, strides, strides).kernels)
    # A 1×1 layer's weight gradient multiplies rows as they lie.
    plan = choose("weight_gradient", ConvDims.of((2, 8, 16, 16), (8, 8, 1, 1)), "float32", None)
    roles |= set(conv_tiles.outline(plan, (8192, 1024, 64, 4), (8192, 1024, 64, 4)).kernels)
    assert set(module.KERNELS) == roles


def test_what_is_computed_in_another_dtype_is_explained_as_that(tilewright: Command) -> None:
    for half in ("float16", "bfloat16"):
        assert tilewright(*WINOGRAD, "--dtype", half).out == tilewright(*WINOGRAD).out
    assert ": float64, " in tilewright(*WINOGRAD, "--dtype", "int8").out
    doubled = ("explain", "--input", "8,128,56,56", "--weight", "128,128,3,3", "--padding", "same")
    assert tilewright(*WINOGRAD, "--dtype", "complex64").out == tilewright(*doubled).out
