"""``tilewright explain``: how a convolution is computed, down to the assembly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from tilewright.cli.text import ShowsExamples, print_json
from tilewright.errors import ArgumentError, StateError, describe

if TYPE_CHECKING:
    from tilewright.geometry import ConvDims
    from tilewright.kernel.tiles.convolve import Program
    from tilewright.plan import Explanation, Plan

# Written out, since the modules that know them take a while to import; a test compares.
OPERATIONS = ("forward", "data_gradient", "weight_gradient")
LAYOUTS = ("channels_first", "channels_last")
DTYPES = (
    "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "bfloat16", "complex64", "complex128",
)  # fmt: skip
TARGETS = ("avx512", "avx2", "baseline", "neon")
MODES = ("fast", "exact")
KERNELS = (
    "driver", "micro", "pack_rows", "pack_weights", "store", "pack_x", "pack_gy", "pack_turned", "dot",
    "transform_input", "transform_weights", "transform_output",
)  # fmt: skip
PADDINGS = ("valid", "same", "same_lower", "full", "causal")

# How a remark begins: in IR, and in the assembly of x86 and of ARM.
_REMARKS = {"ir": ";", "x86": "#", "neon": "//"}


class Integers(click.ParamType):  # type: ignore[type-arg]
    """``8,64,56,56`` as a tuple of numbers from 1 on."""

    name = "N,N,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The numbers; a single one for all axes stays a single one."""
        if isinstance(value, tuple):
            return value
        numbers = tuple(int(part) if part.strip().isdecimal() else 0 for part in str(value).split(","))
        if min(numbers) < 1:
            self.fail(f"{value!r} isn't a list of whole numbers from 1 on, such as 8,64,56,56.", param, ctx)
        return numbers


class Padding(click.ParamType):  # type: ignore[type-arg]
    """A name, one number, a number per axis, or before:after per axis."""

    name = "PADDING"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """What the library takes for ``padding``."""
        if not isinstance(value, str) or value in PADDINGS:
            return value
        try:
            sides = [tuple(int(side) for side in part.split(":")) for part in value.split(",")]
        except ValueError:
            sides = []
        if {len(pair) for pair in sides} == {2}:
            return tuple(sides)
        if {len(pair) for pair in sides} == {1}:
            return sides[0][0] if len(sides) == 1 else tuple(side for (side,) in sides)
        self.fail(f"{value!r} is none of 1, 1,2, 0:1,2:2 and {', '.join(PADDINGS)}.", param, ctx)


@click.command(
    cls=ShowsExamples,
    short_help="How a convolution is computed: family, tiles, blocks, code.",
    examples=(
        ("tilewright explain --input 8,64,56,56 --weight 64,64,3,3 --padding same", ""),
        ("tilewright explain --input 8,64,56,56 --weight 64,64,3,3 --precision exact", ""),
        ("tilewright explain --input 8,64,56,56 --weight 64,64,3,3 --asm --kernel micro", ""),
        ("tilewright explain --input 1,3,224,224 --weight 64,3,7,7 --stride 2 --padding 3 --target neon", ""),
        ("tilewright explain --input 60,1,28,28 --weight 32,1,5,5 --operation weight_gradient --json", ""),
    ),
)
@click.option("--input", "x", type=Integers(), required=True, help="Shape: batch, channels, spatial sizes.")
@click.option(
    "--weight", "w", type=Integers(), required=True, help="Shape: output channels, channels a group, kernel."
)
@click.option(
    "--stride", type=Integers(), default="1", help="One number, or one per axis.", show_default=True
)
@click.option(
    "--padding",
    type=Padding(),
    default="0",
    show_default=True,
    help=f"1; per axis 1,2; before:after per axis 0:1,2:2; or {', '.join(PADDINGS)}.",
)
@click.option(
    "--dilation", type=Integers(), default="1", help="One number, or one per axis.", show_default=True
)
@click.option(
    "--groups", type=click.IntRange(min=1), default=1, show_default=True, help="Groups of channels."
)
@click.option(
    "--operation",
    type=click.Choice(OPERATIONS),
    default="forward",
    show_default=True,
    help="What is computed.",
)
@click.option(
    "--dtype",
    type=click.Choice(DTYPES),
    default="float32",
    show_default=True,
    metavar="DTYPE",
    help="Type of elements.",
)
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    default="channels_first",
    show_default=True,
    help="How arrays lie in memory.",
)
@click.option(
    "--target", type=click.Choice(TARGETS), help="Compile for this; the processor's widest if left out."
)
@click.option(
    "--precision",
    type=click.Choice(MODES),
    default="fast",
    show_default=True,
    help="What tilewright.precision is set to; exact does without fast algorithms.",
)
@click.option("--ir", is_flag=True, help="Print the kernels' LLVM IR.")
@click.option("--asm", is_flag=True, help="Print the kernels' assembly.")
@click.option("--kernel", type=click.Choice(KERNELS), help="Of the kernels, only this one.", metavar="KERNEL")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def explain(
    x: tuple[int, ...],
    w: tuple[int, ...],
    stride: tuple[int, ...],
    padding: Any,
    dilation: tuple[int, ...],
    groups: int,
    operation: str,
    dtype: str,
    layout: str,
    target: str | None,
    precision: str,
    ir: bool,
    asm: bool,
    kernel: str | None,
    as_json: bool,
) -> None:
    """Show how a convolution is computed, without computing it.

    That is: the plan, what each family before the chosen one said, what the operation costs, the blocks that
    it is done in, and the kernels. With --ir or --asm the kernels' code is printed alone, with --json beside
    the rest. A --target that this processor can't run is explained like any other.

    KERNEL is driver, micro, pack_rows, pack_weights or store, and with Winograd's algorithm pack_turned,
    transform_input, transform_weights or transform_output too; for weight gradients it is driver, micro,
    pack_x, pack_gy or transform_input.
    """
    if kernel is not None and not (ir or asm):
        raise click.UsageError("--kernel chooses among what --ir and --asm print: give one of them too.")
    from tilewright import plan as planning
    from tilewright.geometry import ConvDims
    from tilewright.op.carried import is_exact, stand_in

    dims = ConvDims.of(
        x,
        w,
        stride=_all_axes(stride),
        padding=padding,
        dilation=_all_axes(dilation),
        groups=groups,
        op="explain",
    )
    chosen = None if target is None else planning.named(target)
    with planning.precision(precision):
        # What is computed in another dtype is explained as that.
        exact = is_exact(dtype)
        explanation = planning.explain(
            operation, *stand_in(dims, dtype, operation), layout, chosen, exact=exact
        )
    program = _program(explanation.plan, layout)
    code = _code(explanation.plan, program, kernel) if ir or asm else {}
    if as_json:
        print_json(_as_dict(explanation, program, code, ir, asm))
        return
    for role, (name, texts) in code.items():
        for wanted, kind in ((ir, "ir"), (asm, "assembly")):
            if wanted:
                remark = _REMARKS.get("ir" if kind == "ir" else explanation.plan.target, _REMARKS["x86"])
                click.echo(
                    f"{remark} {name} ({role}) for {explanation.plan.target}\n{texts[kind].rstrip()}\n"
                )
    if not code:
        _print(explanation, program)


def _all_axes(numbers: tuple[int, ...]) -> int | tuple[int, ...]:
    return numbers[0] if len(numbers) == 1 else numbers


def _conv(plan: Plan) -> ConvDims:
    from tilewright.geometry import ConvDims

    assert isinstance(plan.dims, ConvDims)
    return plan.dims


def _itemsize(dtype: str) -> int:
    import numpy

    return numpy.dtype(dtype).itemsize


def _program(plan: Plan, layout: str) -> Program | None:
    """What a compiled family would run; None for the other families."""
    if not plan.target:
        return None
    from tilewright.kernel import outline

    dims = _conv(plan)
    read, other = dims.input_shape, dims.output_shape
    if plan.operation == "data_gradient":
        read, other = other, read
    itemsize = _itemsize(plan.dtype)
    return outline(plan, _strides(read, layout, itemsize), _strides(other, layout, itemsize))


def _strides(shape: tuple[int, ...], layout: str, itemsize: int) -> tuple[int, ...]:
    """Bytes between neighbours along each axis of a contiguous array.

    >>> _strides((2, 3, 5, 7), "channels_last", 4)
    (420, 4, 84, 12)
    """
    batch, channels, *spatial = range(len(shape))
    order = (batch, channels, *spatial) if layout == "channels_first" else (batch, *spatial, channels)
    found, step = [0] * len(shape), itemsize
    for axis in reversed(order):
        found[axis] = step
        step *= shape[axis]
    return tuple(found)


def _code(plan: Plan, program: Program | None, only: str | None) -> dict[str, tuple[str, dict[str, str]]]:
    """Of each kernel its name, IR and assembly; of a kernel that serves twice once."""
    from tilewright.kernel import jit
    from tilewright.plan import named

    if program is None:
        raise ArgumentError(
            f"The family {plan.family}, which computes this, compiles no kernels: there is no code to print.",
            describe(operation=plan.operation, dtype=plan.dtype),
        )
    if only is not None and only not in program.kernels:
        raise ArgumentError(
            f"--kernel needs one of this operation's kernels: {', '.join(program.kernels)}.",
            describe(kernel=only, operation=plan.operation),
        )
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for role, (name, emit) in program.kernels.items():
        if only in (None, role) and name not in [known for known, _ in found.values()]:
            try:
                ir, assembly = jit.text(name, emit, named(plan.target))
            except jit.Missing as error:
                raise StateError("explain needs LLVM to print code.", str(error)) from error
            found[role] = name, {"ir": ir, "assembly": assembly}
    return found


# -- text ------------------------------------------------------------------------------------------------


def _print(explanation: Explanation, program: Program | None) -> None:
    plan = explanation.plan
    click.secho(str(plan), bold=True)
    _heading("Families, in the order they are asked")
    for name, answer in explanation.answers:
        _line(name, answer)
    _heading("Work")
    flops, size, intensity = _work(plan)
    _line("arithmetic", f"{_scaled(flops, 1000, ('', 'k', 'M', 'G', 'T', 'P'))}FLOP, padding counted")
    _line("memory", f"{_scaled(size, 1024, ('bytes', 'KiB', 'MiB', 'GiB', 'TiB'))}, each array touched once")
    _line("intensity", f"{intensity:.1f} FLOP a byte")
    if program is None:
        return
    _heading("Blocks, of each group")
    for name, text in _blocks(plan, program):
        _line(name, text)
    _heading("Kernels")
    width = max(len(role) for role in program.kernels)
    for role, (name, _) in program.kernels.items():
        _line(role, name, width)


def _blocks(plan: Plan, program: Program) -> Iterator[tuple[str, str]]:
    """What a program does at a time."""
    from tilewright.plan import named

    about = program.about
    gradient = plan.operation == "weight_gradient"
    along, across = ("output channels", "input channels") if gradient else ("channels", "pixels")
    if about["side"] == "by_pixels":
        along, across = across, along
    if about.get("folded"):
        across = "input channels and line taps"
    lines = {"line": "lines", "column": "columns"}
    if "pieces" in about:
        lines = {"line": "rows of pieces", "column": "pieces of a row"}
        across = across if gradient else f"pieces of {about['piece_outputs']}"
    width = named(plan.target).vector_bytes // _itemsize(plan.dtype)
    plural = "" if about["vectors"] == 1 else "s"
    if about["side"] == "by_places":
        across, each = ("input channels", "places") if gradient else ("pixels", "channels")
        yield "tile", f"{about['vectors']} output channels × {about['scalars']} {across}, {width} {each} each"
    else:
        yield "tile", f"{about['vectors']} vector{plural} of {width} {along} × {about['scalars']} {across}"
    if gradient:
        names = {"output": "output channels", "channel": "input channels"}
    else:
        # Of a data gradient these are the channels of y, and those of x.
        names = {"channel": "channels read", "output": "channels written", "batch": "samples"}
    for key, name in (names | lines).items():
        if f"{key}_block" not in about:
            continue
        total = about["batch" if key == "batch" else f"{key}s"]
        yield name, f"{about[f'{key}_block']} of {total} at a time"
    if "pieces" in about:
        yield "pieces", f"{about['pieces']} at a time, of {about['piece_outputs']} outputs"
    if gradient:
        yield "shares", f"{about['shares']}, added up in order at the end"
    yield "units", f"{program.units}, spread over the threads"
    yield "scratch", f"{program.scratch_bytes / 1024:.1f} KiB a thread"


def _work(plan: Plan) -> tuple[int, int, float]:
    """Floating-point operations, bytes that must move, and their ratio: the same for all three operations."""
    dims = _conv(plan)
    flops, size = dims.flops, dims.bytes_moved(_itemsize(plan.dtype))
    return flops, size, flops / size


def _scaled(number: int, base: int, units: tuple[str, ...]) -> str:
    """A number in the largest unit of which there is at least one.

    >>> _scaled(1_849_688_064, 1000, ("", "k", "M", "G"))
    '1.85 G'
    """
    value, place = float(number), 0
    while value >= base and place < len(units) - 1:
        value, place = value / base, place + 1
    return f"{value:.2f} {units[place]}" if place else f"{number} {units[0]}"


def _heading(text: str) -> None:
    click.secho(text, bold=True)


def _line(name: str, value: str, width: int = 16) -> None:
    click.echo(f"  {name:<{max(width, 16)}} {value}")


# -- JSON ------------------------------------------------------------------------------------------------


def _as_dict(
    explanation: Explanation,
    program: Program | None,
    code: dict[str, tuple[str, dict[str, str]]],
    ir: bool,
    asm: bool,
) -> dict[str, Any]:
    plan, dims = explanation.plan, _conv(explanation.plan)
    flops, size, intensity = _work(plan)
    found: dict[str, Any] = {
        "operation": plan.operation,
        "dtype": plan.dtype,
        "input": dims.input_shape,
        "weight": dims.weight_shape,
        "output": dims.output_shape,
        "family": plan.family,
        "target": plan.target or None,
        "plan": str(plan),
        "families": [{"name": name, "answer": answer} for name, answer in explanation.answers],
        "flops": flops,
        "bytes": size,
        "intensity": intensity,
        "program": None,
    }
    if program is None:
        return found
    kernels: list[dict[str, str]] = []
    for role, (name, _) in program.kernels.items():
        entry = {"role": role, "name": name}
        texts = code.get(role, (name, {}))[1]
        entry |= {key: text for key, text in texts.items() if (ir if key == "ir" else asm)}
        kernels.append(entry)
    found["program"] = {
        "blocks": program.about,
        "units": program.units,
        "scratch_bytes": program.scratch_bytes,
        "kernels": kernels,
    }
    return found
