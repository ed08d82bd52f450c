"""What the ready models share: image sizes, and a configuration they can be built from again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tilewright.errors import ArgumentError, describe
from tilewright.geometry.axes import as_integer, per_axis

ImageSize = int | tuple[int, int] | list[int]


def image_size_of(image_size: Any, op: str, *, least: int) -> tuple[int, int]:
    """(height, width) from one integer or two.

    Raises:
        ArgumentError: something else, or a side under ``least``.
    """
    height, width = per_axis(image_size, 2, "image_size", op, least=1)
    if min(height, width) < least:
        raise ArgumentError(
            f"{op} needs an image of at least {least}×{least}.", describe(image_size=image_size)
        )
    return height, width


def plain(size: tuple[int, int]) -> int | list[int]:
    """An image size as configuration files hold it: one integer for a square, else a list of two."""
    return size[0] if size[0] == size[1] else list(size)


def channels_of(value: Any, name: str, op: str) -> int:
    """A number of channels, classes or the like, at least 1."""
    return as_integer(value, name, op, least=1)


class Configured:
    """A model that knows what it was built from.

    Attributes:
        config: the registry's name of the model under "name", beside it every argument: strings, numbers and
            lists only, so that it can stand in a TOML or JSON file. ``models.create(**model.config)``
            builds an equal model.
    """

    config: dict[str, Any]

    def _configure(self, name: str, arguments: Mapping[str, Any]) -> None:
        self.config = {"name": name, **arguments}
