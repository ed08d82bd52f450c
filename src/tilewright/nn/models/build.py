"""What the ready models share: image sizes, and a configuration they can be built from again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tilewright.autograd.tensor import Tensor
from tilewright.errors import ArgumentError, ShapeError, describe
from tilewright.functional.operands import check_operand
from tilewright.geometry.axes import as_integer, per_axis
from tilewright.nn.init import is_skipped, kaiming_normal_, normal_

ImageSize = int | tuple[int, int] | list[int]
# A 3×3 kernel on fewer pixels than these sees padding alone on some side, wherever it stands.
_LEAST_LEFT = 3


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


def halvings_that_suit(size: tuple[int, int], most: int) -> int:
    """How many of a network's ``most`` halvings leave an image at least three pixels a side.

    Three are what 96×96 has after five halvings, the smallest images that MobileNetV2's authors report.

    >>> [halvings_that_suit((side, side), 5) for side in (224, 96, 64, 32, 8, 2)]
    [5, 5, 4, 3, 1, 0]
    """
    side, count = min(size), 0
    while count < most and -(-side // 2) >= _LEAST_LEFT:
        side, count = -(-side // 2), count + 1
    return count


def plain(size: tuple[int, int]) -> int | list[int]:
    """An image size as configuration files hold it: one integer for a square, else a list of two."""
    return size[0] if size[0] == size[1] else list(size)


def channels_of(value: Any, name: str, op: str) -> int:
    """A number of channels, classes or the like, at least 1."""
    return as_integer(value, name, op, least=1)


def check_batch(input: Any, axes: str, op: str) -> None:
    """Refuse what isn't a batch of samples with these axes, for a network whose layers would not all notice.

    Args:
        input: an array or Tensor, if all is well.
        axes: their names, such as "batch, channels, length".
        op: the network's name.

    Raises:
        DtypeError: neither an array nor a Tensor.
        ShapeError: of another rank.
    """
    check_operand(input, "input", op)
    rank = axes.count(",") + 1
    if input.ndim != rank:
        raise ShapeError(
            f"{op} needs input of rank {rank} ({axes}).",
            describe(input=input),
            "For a single sample: input[None]." if input.ndim == rank - 1 else "",
        )


def at_most(most: int, value: Any, name: str, op: str) -> int:
    """A number of levels, blocks or the like, from 1 to ``most``.

    Raises:
        ArgumentError: something else.
    """
    number = as_integer(value, name, op, least=1)
    if number > most:
        raise ArgumentError(f"{op} needs {name} to be at most {most}.", describe(**{name: value}))
    return number


def he_fan_out(weight: Tensor) -> None:
    """He's normal start that keeps the variance of gradients, as torchvision's networks begin."""
    kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")


def normal_start(std: float, mean: float = 0.0) -> Callable[[Tensor], None]:
    """A function that fills a weight with normally distributed numbers."""

    def fill(weight: Tensor) -> None:
        if not is_skipped():
            normal_(weight, mean, std)

    return fill


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
