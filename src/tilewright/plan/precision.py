"""How exact convolution has to be: whether algorithms with a larger, documented error may be used."""

from __future__ import annotations

from types import TracebackType

from tilewright.errors import ArgumentError, describe

#: ``fast`` allows Winograd's algorithm for float32; ``exact`` computes every sum as the definition writes it.
MODES = ("fast", "exact")

_mode = "fast"


class precision:  # noqa: N801 - used like a function, as in `tw.precision("exact")`
    """Set how exact float32 convolution has to be: for the process, or for the length of a ``with`` block.

    ``"fast"``, the default, computes 3×3 convolution with stride 1 by Winograd's F(2×2, 3×3) where that is
    faster: 16 multiplications for every 36. Its rounding errors (root mean square, normal data) were measured
    at 0.6 to 0.9 of those of the sums written out, whose chains of additions are longer; a NaN or an infinity
    in the input may reach the other outputs of its 2×2 piece. ``"exact"`` does without. float64 and integers
    are always computed as the definition says.

    Args:
        mode: ``"fast"`` or ``"exact"``.

    Raises:
        ArgumentError: another mode.

    >>> import tilewright as tw
    >>> with tw.precision("exact"):
    ...     plan = tw.explain((1, 64, 56, 56), (64, 64, 3, 3), padding=1).plan
    >>> plan.family
    'tiles-channels'
    """

    def __init__(self, mode: str) -> None:
        global _mode
        if mode not in MODES:
            raise ArgumentError(f"precision needs a mode among {', '.join(MODES)}.", describe(mode=mode))
        self._before = _mode
        _mode = mode

    def __enter__(self) -> precision:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _mode
        _mode = self._before


def mode() -> str:
    """The mode that is set."""
    return _mode
