"""Rules of unfold and fold, pixel shuffle and its inverse: linear pairs, each the adjoint of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilewright.autograd.tape import Array, Context, apply_to_tensors, rule
from tilewright.geometry import ConvDims
from tilewright.op import shuffle as shuffle_op
from tilewright.op import windows as windows_op

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor


def _unfold(context: Context, x: Array, *, dims: ConvDims, op: str) -> Array:
    return windows_op.unfold(dims, x, op=op)


def _fold(context: Context, columns: Array, *, dims: ConvDims, op: str) -> Array:
    return windows_op.fold(dims, columns, op=op)


def _shuffle(context: Context, x: Array, *, factors: shuffle_op.Factors, op: str) -> Array:
    return shuffle_op.shuffle(x, factors, op=op)


def _unshuffle(context: Context, x: Array, *, factors: shuffle_op.Factors, op: str) -> Array:
    return shuffle_op.unshuffle(x, factors, op=op)


def _through(name: str, context: Context, g: Tensor) -> Tensor:
    return apply_to_tensors(name, g, **context.attributes)


rule("unfold", _unfold, lambda context, g: _through("fold", context, g), keeps=(), keeps_output=False)
rule("fold", _fold, lambda context, g: _through("unfold", context, g), keeps=(), keeps_output=False)
rule(
    "pixel_shuffle",
    _shuffle,
    lambda context, g: _through("pixel_unshuffle", context, g),
    keeps=(),
    keeps_output=False,
)
rule(
    "pixel_unshuffle",
    _unshuffle,
    lambda context, g: _through("pixel_shuffle", context, g),
    keeps=(),
    keeps_output=False,
)
