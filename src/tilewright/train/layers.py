"""Looking inside a network while it works on one image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tilewright.autograd.create import as_tensor
from tilewright.autograd.tape import no_grad
from tilewright.autograd.tensor import Tensor
from tilewright.errors import StateError
from tilewright.nn import Module

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class LayerOutput:
    """What one layer made of an image.

    Attributes:
        name: its dotted name in the network.
        kind: its class name.
        output: (1, …).
    """

    name: str
    kind: str
    output: Array

    @property
    def values(self) -> int:
        """Numbers that the layer passes on for one image."""
        return math.prod(self.output.shape[1:])


def layer_outputs(model: Module, image: Array) -> list[LayerOutput]:
    """Each innermost layer's output for one image, in the order in which they ran.

    Args:
        model: the network; it is run in evaluation mode, and its modes return afterwards.
        image: (channels, height, width).
    """
    found: list[LayerOutput] = []

    def keep(name: str, kind: str, output: Any) -> None:
        if isinstance(output, Tensor):
            found.append(LayerOutput(name, kind, output.detach().numpy().copy()))

    handles = []
    modes = [(module, module.training) for module in model.modules()]
    try:
        for name, module in model.named_modules():
            if next(module.children(), None) is None:
                kind = type(module).__name__
                handles.append(
                    module.register_forward_hook(
                        lambda _, __, output, name=name, kind=kind: keep(name, kind, output)
                    )
                )
        model.eval()
        with no_grad():
            model(as_tensor(image[None]))
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes:
            module.training = mode
    return found


def narrowest(outputs: list[LayerOutput]) -> LayerOutput:
    """The layer that passes on the fewest numbers: of an autoencoder, its embedding.

    Raises:
        StateError: the network has no layers.
    """
    if not outputs:
        raise StateError("A network without layers has no narrowest one.")
    return min(outputs, key=lambda layer: layer.values)


def feature_maps(outputs: list[LayerOutput]) -> list[tuple[str, Array]]:
    """Layers that make maps, and these as (channels, height, width); without those that change nothing."""
    maps = []
    for layer in outputs:
        if layer.kind.startswith("Dropout") or layer.kind == "Identity":
            continue
        # The longest of the layers' names, shortened so that a picture has room for it.
        title = f"{layer.name} {layer.kind.replace('ConvTranspose', 'ConvT')}".strip()
        if layer.output.ndim == 4:
            maps.append((title, layer.output[0]))
        elif layer.output.ndim == 3:
            maps.append((title, layer.output[0][:, None, :]))
    return maps


def first_kernels(model: Module) -> tuple[str, Array] | None:
    """Name and weights (out, in, *kernel) of the first convolution of rank 1 to 3; None if there is none."""
    for name, module in model.named_modules():
        weight = module._parameters.get("weight")
        if type(module).__name__.startswith("Conv") and weight is not None and 3 <= weight.ndim <= 5:
            return name, weight.detach().numpy()
    return None
