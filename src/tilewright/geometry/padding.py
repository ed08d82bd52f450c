"""Padding arguments, understood once: every accepted form becomes one (before, after) pair per axis.

Accepted forms: an integer for all sides; an integer per axis; a (before, after) pair per axis; or a name:

========== ==========================================================================================
valid      no padding
same       output ⌈n/stride⌉, the odd sample of padding at the end (ONNX's SAME_UPPER; PyTorch's ``same``
           at stride 1)
same_lower the same size, the odd sample of padding at the start
full       every position where kernel and input overlap: dilation·(k−1) on both sides
causal     all of dilation·(k−1) at the start, so that an output never sees later input
========== ==========================================================================================

Negative integers crop.
"""

from __future__ import annotations

from typing import Any

from tilewright.errors import ArgumentError, describe
from tilewright.geometry.axes import LARGEST, as_integer, ceil_div

Pairs = tuple[tuple[int, int], ...]
#: What public functions take for ``padding``.
Padding = int | str | tuple[int, ...] | tuple[tuple[int, int], ...] | list[int]

NAMES = ("valid", "same", "same_lower", "full", "causal")
#: What stands in the padding of a convolution (``padding_mode``): zeros, or the input continued.
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")
#: The first of them, which most calls have.
ZEROS = PADDING_MODES[0]


def resolve_padding(
    padding: Any,
    *,
    op: str,
    spatial: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Pairs:
    """One (before, after) pair per spatial axis from any accepted form.

    ``spatial`` holds the sizes the window slides over (after input dilation, where there is one).

    Raises:
        ArgumentError: an unknown name, a wrong length, or something that is no integer.

    >>> resolve_padding("same", op="conv", spatial=(7,), kernel=(4,), stride=(1,), dilation=(1,))
    ((1, 2),)
    """
    if isinstance(padding, str):
        return tuple(
            _named(padding, op, *axis) for axis in zip(spatial, kernel, stride, dilation, strict=True)
        )
    rank = len(spatial)
    least = -LARGEST
    if isinstance(padding, (tuple, list)):
        if len(padding) != rank:
            advice = ""
            if rank == 1 and len(padding) == 2:
                before, after = padding
                advice = f"For {before!r} before and {after!r} after, write (({before!r}, {after!r}),)."
            raise ArgumentError(_rule(op, rank), describe(padding=padding), advice)
        return tuple(_one_axis(item, op, rank, padding) for item in padding)
    width = as_integer(padding, "padding", op, least=least)
    return ((width, width),) * rank


def check_padding_mode(mode: Any, op: str) -> str:
    """``mode``, if it is one of :data:`PADDING_MODES`.

    Raises:
        ArgumentError: it is not.
    """
    if not isinstance(mode, str) or mode not in PADDING_MODES:
        listed = ", ".join(repr(known) for known in PADDING_MODES)
        raise ArgumentError(f"{op} needs padding_mode to be one of {listed}.", describe(padding_mode=mode))
    return mode


def _one_axis(item: Any, op: str, rank: int, padding: Any) -> tuple[int, int]:
    if isinstance(item, (tuple, list)):
        if len(item) != 2:
            raise ArgumentError(_rule(op, rank), describe(padding=padding))
        before, after = (as_integer(side, "padding", op, least=-LARGEST) for side in item)
        return before, after
    width = as_integer(item, "padding", op, least=-LARGEST)
    return width, width


def _rule(op: str, rank: int) -> str:
    names = ", ".join(repr(name) for name in NAMES)
    return (
        f"{op} needs padding to be an integer, {rank} integers (one per spatial axis), "
        f"{rank} (before, after) pairs, or one of {names}."
    )


def _named(name: str, op: str, size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    reach = dilation * (kernel - 1)
    if name == "valid":
        return 0, 0
    if name == "full":
        return reach, reach
    if name == "causal":
        return reach, 0
    if name in ("same", "same_lower"):
        total = max((ceil_div(size, stride) - 1) * stride + reach + 1 - size, 0)
        half = total // 2
        return (half, total - half) if name == "same" else (total - half, half)
    raise ArgumentError(
        f"{op} knows the padding names {', '.join(repr(known) for known in NAMES)}.", describe(padding=name)
    )
