"""Layers run in one step: convolution, activation and dropout; batch norm, a way around it, and ReLU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from tilewright.functional.fused import conv_activation
from tilewright.functional.norms import batch_norm_relu
from tilewright.nn.activation import GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Tanh
from tilewright.nn.conv import Conv, Conv1d, Conv2d, Conv3d
from tilewright.nn.dropout import Dropout
from tilewright.nn.module import Module
from tilewright.nn.norm import BatchNorm1d, BatchNorm2d, BatchNorm3d

#: Name and slope of an activation.
Activation = tuple[str, float]


def _leaky_relu(module: Any) -> Activation | None:
    slope = module.negative_slope
    # Anything else is for the layer itself to refuse.
    return ("leaky_relu", float(slope)) if type(slope) in (int, float) else None


_CONVOLUTIONS: tuple[type[Module], ...] = (Conv, Conv1d, Conv2d, Conv3d)
_ACTIVATIONS: dict[type[Module], Callable[[Any], Activation | None]] = {
    ReLU: lambda module: ("relu", 0.0),
    LeakyReLU: _leaky_relu,
    Tanh: lambda module: ("tanh", 0.0),
    Sigmoid: lambda module: ("sigmoid", 0.0),
    SiLU: lambda module: ("silu", 0.0),
    GELU: lambda module: ("gelu", 0.0) if module.approximate == "none" else None,
}
_DROPOUT: type[Module] = Dropout
_NORMS: tuple[type[Module], ...] = (BatchNorm1d, BatchNorm2d, BatchNorm3d)
# What the layers compute as they are defined here; with another forward they compute something else.
_FORWARDS: dict[Any, Any] = {
    kind: kind.forward for kind in (*_CONVOLUTIONS, *_ACTIVATIONS, *_NORMS, _DROPOUT)
}


def steps(modules: Sequence[Any]) -> Iterator[Callable[[Any], Any]]:
    """The calls that run ``modules`` in order: each module, or several in one step.

    These are a convolution and what is behind it, and batch norm with ReLU behind it.

    Whether they may run in one step is found out when their turn comes, since a hook of a layer before them
    may put one on them.
    """
    place = 0
    while place < len(modules):
        module = modules[place]
        behind = modules[place + 1] if place + 1 < len(modules) else None
        activation = _activation_of(module, behind)
        if activation is None and _in_one_step(module, behind):
            yield partial(normalised, module, behind)
            place += 2
        elif activation is None:
            yield module
            place += 1
        else:
            dropout = _dropout_of(modules[place + 2]) if place + 2 < len(modules) else 0.0
            yield partial(_run_with, activation, dropout, module)
            place += 3 if dropout else 2


def _activation_of(layer: Any, behind: Any) -> Activation | None:
    """The activation ``behind`` a convolution ``layer``, if the two may run in one step; None otherwise.

    They may if nobody can tell: both are of the library's own classes (not of a subclass, whose forward may
    do something else), their forwards are the ones defined there, and no hook waits for what either is given
    or gives.
    """
    read = _ACTIVATIONS.get(type(behind))
    if read is None or type(layer) not in _CONVOLUTIONS or not (_plain(layer) and _plain(behind)):
        return None
    return read(behind)


def normalised(norm: Any, relu: Any, input: Any, around: Any = None) -> Any:
    """What the layer ``relu`` makes of what the layer ``norm`` gives, and of what comes around it, if any.

    Batch norm and ReLU run in one step if nobody can tell (see above).
    """
    if _in_one_step(norm, relu):
        return norm._normalised(batch_norm_relu, input, *(() if around is None else (around,)))
    y = norm(input)
    return relu(y if around is None else y + around)


def _in_one_step(norm: Any, relu: Any) -> bool:
    return type(norm) in _NORMS and type(relu) is ReLU and _plain(norm) and _plain(relu)


def _dropout_of(module: Any) -> float:
    """The probability of a 0 behind an activation, if dropout may run together with it; 0 otherwise."""
    if type(module) is not _DROPOUT or not module.training or not _plain(module):
        return 0.0
    p = module.p
    # Anything else is for the layer itself to refuse.
    return p if type(p) is float and 0 < p <= 1 else 0.0


def _plain(module: Module) -> bool:
    return (
        not module._forward_hooks
        and not module._forward_pre_hooks
        and not module._backward_hooks
        and not module._backward_pre_hooks
        and type(module).forward is _FORWARDS[type(module)]
        and "forward" not in module.__dict__
    )


def _run_with(activation: Activation, dropout: float, layer: Conv, input: Any) -> Any:
    """What the activation makes of the layer's output, and dropout of that."""
    name, slope = activation
    return conv_activation(
        layer.fixed_rank,
        input,
        layer.weight,
        layer.bias,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.groups,
        name,
        slope,
        layer.padding_mode,
        dropout,
    )
