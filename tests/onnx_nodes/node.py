"""A node of ONNX's as a test has it in hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class NotOfferedError(Exception):
    """The node asks for something that the library has no function for."""


@dataclass(frozen=True)
class Node:
    """One node with its inputs; those that are left out are None."""

    op: str
    attributes: dict[str, Any]
    inputs: tuple[Any, ...]
    outputs: int

    def input(self, number: int) -> Any:
        """An input, or None where it is not given."""
        return self.inputs[number] if number < len(self.inputs) else None

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute; text as a string."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value
