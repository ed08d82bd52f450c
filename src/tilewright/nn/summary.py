"""A model as a table: what each layer gives, holds, costs and sees."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewright.autograd.create import from_numpy
from tilewright.autograd.tape import no_grad
from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, DtypeError, ShapeError, describe
from tilewright.geometry.axes import as_integer
from tilewright.nn.arguments import floating_dtype
from tilewright.nn.conv import Conv, ConvTranspose
from tilewright.nn.fields import FieldTracker
from tilewright.nn.lazy import LearnsSize
from tilewright.nn.linear import Linear
from tilewright.nn.module import Module
from tilewright.nn.pooling import _Pool
from tilewright.nn.pooling_adaptive import _AdaptivePool, _GlobalPool
from tilewright.op.kinds import DIFFERENTIABLE
from tilewright.op.random import get_rng_state, set_rng_state


@dataclass(frozen=True)
class LayerSummary:
    """One call of one layer.

    Attributes:
        name: the layer's dotted name in the model; empty if it is the model.
        type: its class.
        output_shape: shape of what it gave (of the first, if it gave several).
        parameters: numbers it can learn; 0 in later calls of the same layer, so that they add up.
        flops: operations of this call, multiplications and additions counted singly; 0 for layers other
            than convolutions, pools and dense ones, whose share is small.
        receptive_field: input samples that a value of the output can see, per spatial axis of the input;
            None where that can't be known.
    """

    name: str
    type: str
    output_shape: tuple[int, ...]
    parameters: int
    flops: int
    receptive_field: tuple[int, ...] | None


@dataclass(frozen=True)
class Summary:
    """What :func:`summary` found; ``str()`` gives it as an aligned table.

    Attributes:
        model: the model's class.
        input_shape: shape of the input it was run on, batch included.
        layers: one entry per call of a layer, in the order of the calls.
        parameters: numbers the whole model holds as parameters, each counted once.
        trainable: those of them that receive gradients.
        flops: operations of all layers, for the whole batch.
    """

    model: str
    input_shape: tuple[int, ...]
    layers: tuple[LayerSummary, ...]
    parameters: int
    trainable: int
    flops: int

    def __str__(self) -> str:
        head = ("Layer", "Type", "Output shape", "Parameters", "FLOPs", "Receptive field")
        rows = [
            (
                layer.name or "(model)",
                layer.type,
                _by(layer.output_shape),
                f"{layer.parameters:,}",
                f"{layer.flops:,}",
                _by(layer.receptive_field) if layer.receptive_field else "-",
            )
            for layer in self.layers
        ]
        widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
        # Text stands at the left of its column, numbers at the right.
        aligned = [
            "  ".join(
                cell.ljust(width) if column < 3 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in (head, *rows)
        ]
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        totals = (
            f"Parameters: {self.parameters:,} ({self.trainable:,} trainable)",
            f"FLOPs: {self.flops:,} for a batch of {self.input_shape[0]}",
        )
        title = f"{self.model} on input {_by(self.input_shape)}"
        return "\n".join((title, rule, aligned[0], rule, *aligned[1:], rule, *totals))


def summary(
    model: Module,
    input_shape: Sequence[int],
    batch_size: int = 1,
    dtype: npt.DTypeLike | None = None,
) -> Summary:
    """Run a model once on random input and say what each layer gives, holds, costs and sees.

    The model runs in evaluation mode and without the tape; its modes, hooks and statistics, and the stream of
    random numbers, are afterwards what they were. Lazy layers learn their sizes from the run.

    The receptive field is followed from call to call: a layer's is known if its input is the model's input,
    or the very Tensor that a layer with a known field gave, also after a change of shape by ``flatten`` or
    ``view``. A chain of layers, such as a ``Sequential``, is known from end to end. Where something happens
    between layers (branches added up, ``F.relu`` called as a function), or a layer is of a class unknown
    here, the field of that layer and of those behind it is None, printed "-". A class whose values
    depend on their own place only says so with the class attribute ``pointwise = True``.

    Padding counts as part of the field, except where places are lost: once a dense layer has mixed an axis,
    or a single place is left of it, the field is what is seen of the input itself.

    Args:
        model: any module that takes one array.
        input_shape: shape of one sample, such as (1, 28, 28).
        batch_size: how many of them.
        dtype: of the input; the first floating parameter's if not given.

    Raises:
        DtypeError: ``model`` is no Module, or the dtype isn't floating.
        ArgumentError: the shape or the batch isn't made of whole numbers, at least 1.
        ShapeError: no memory holds the input.

    >>> print(summary(Sequential(Conv2d(1, 8, 3), ReLU(), MaxPool2d(2)), (1, 28, 28)))
    Sequential on input 1×1×28×28
    -------------------------------------------------------------------
    Layer  Type       Output shape  Parameters   FLOPs  Receptive field
    -------------------------------------------------------------------
    0      Conv2d     1×8×26×26             80  97,344              3×3
    1      ReLU       1×8×26×26              0       0              3×3
    2      MaxPool2d  1×8×13×13              0   5,408              4×4
    -------------------------------------------------------------------
    Parameters: 80 (80 trainable)
    FLOPs: 102,752 for a batch of 1
    """
    if not isinstance(model, Module):
        raise DtypeError("summary needs a Module.", describe(model=model))
    if not isinstance(input_shape, (tuple, list)) or not input_shape:
        raise ArgumentError("summary needs the shape of one sample.", describe(input_shape=input_shape))
    sample = tuple(as_integer(size, "every size of input_shape", "summary", least=1) for size in input_shape)
    batch = as_integer(batch_size, "batch_size", "summary", least=1)
    if dtype is None:
        dtype = next((p.dtype for p in model.parameters() if p.dtype.kind in DIFFERENTIABLE), None)
    # From a stream of its own: the model's initialisation and dropout after this are what they would be.
    try:
        values = np.random.default_rng(0).standard_normal((batch, *sample))
    except (MemoryError, ValueError):
        raise ShapeError(
            "summary needs an input that memory holds.", describe(input_shape=sample, batch_size=batch)
        ) from None
    input = from_numpy(values.astype(floating_dtype(dtype, "summary")))
    layers: list[LayerSummary] = []
    with _recorded(model, FieldTracker(input), layers), no_grad():
        model(input)
    counts = [(math.prod(p.shape), p.requires_grad) for p in model.parameters()]
    return Summary(
        model=type(model).__name__,
        input_shape=(batch, *sample),
        layers=tuple(layers),
        parameters=sum(count for count, _ in counts),
        trainable=sum(count for count, wanted in counts if wanted),
        flops=sum(layer.flops for layer in layers),
    )


@contextmanager
def _recorded(model: Module, tracker: FieldTracker, layers: list[LayerSummary]) -> Iterator[None]:
    """Evaluation mode, and a hook on every layer that appends to ``layers``; both undone at the end."""
    modes = [(module, module.training) for module in model.modules()]
    # Layers that get their weights only now draw them from the stream, which then goes on from there.
    is_lazy = any(isinstance(module, LearnsSize) and module._waiting for module in model.modules())
    stream = None if is_lazy else get_rng_state()
    counted: set[int] = set()
    handles = []

    def recorder(name: str) -> Any:
        def record(module: Module, args: tuple[Any, ...], output: Any) -> None:
            seen = tracker.follow(module, args, output)
            fresh = [p for p in module.parameters(recurse=False) if id(p) not in counted]
            counted.update(id(p) for p in fresh)
            first = output[0] if isinstance(output, tuple) and output else output
            layers.append(
                LayerSummary(
                    name=name,
                    type=type(module).__name__,
                    output_shape=tuple(getattr(first, "shape", ())),
                    parameters=sum(math.prod(p.shape) for p in fresh),
                    flops=_flops(module, args),
                    receptive_field=seen.sizes() if seen is not None else None,
                )
            )

        return record

    try:
        for name, module in model.named_modules():
            # Layers proper: what has no parts, or holds parameters of its own beside them.
            parts = next(module.children(), None)
            if parts is None or next(module.parameters(recurse=False), None) is not None:
                handles.append(module.register_forward_hook(recorder(name)))
        model.eval()
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes:
            module.training = mode
        if stream is not None:
            set_rng_state(stream)


def _flops(module: Module, args: tuple[Any, ...]) -> int:
    shape = tuple(args[0].shape) if args and isinstance(args[0], Tensor) else ()
    if isinstance(module, (Conv, ConvTranspose, _Pool, _AdaptivePool, _GlobalPool)):
        return module.dims(shape).flops
    if isinstance(module, Linear):
        return 2 * math.prod(shape) * module.out_features
    return 0


def _by(sizes: tuple[int, ...]) -> str:
    return "×".join(str(size) for size in sizes)
