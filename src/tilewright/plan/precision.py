"""How exact convolution has to be: whether algorithms with a larger, documented error may be used."""

from __future__ import annotations

from types import TracebackType

from tilewright.errors import ArgumentError, describe

#: ``fast`` allows Winograd's algorithm for float32; ``exact`` computes every sum as the definition writes it.
MODES = ("fast", "exact")

_mode = "fast"


class precision:  # noqa: N801 - used like a function, as in `tw.precision("exact")`
    """Set how exact float32 convolution has to be: for the process, or for the length of a ``with`` block.

    ``"fast"``, the default, computes convolution with stride 1 and 3 to 5 taps along each axis, or 7 along
    one, by Winograd's algorithm where that is faster: pieces of 4×4 outputs of 3×3 taps take 36
    multiplications instead of 144. Its rounding errors (root mean square, normal data) stay within three
    times those of a float32 product of matrices of the same length: about 8e-7 of the result, where sums
    written out come to 2e-7; a NaN or an infinity in the input may reach the other outputs of its piece.
    ``"exact"`` does without. float64 and integers are always computed as the definition says.

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
