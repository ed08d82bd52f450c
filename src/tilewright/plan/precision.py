"""How exact convolution has to be: whether algorithms with a larger, documented error may be used."""

from __future__ import annotations

from types import TracebackType

from tilewright.errors import ArgumentError, describe

#: ``fast`` allows algorithms with rounding errors of their own; ``exact`` computes every sum as the
#: definition writes it.
MODES = ("fast", "exact")

_mode = "fast"


class precision:  # noqa: N801 - used like a function, as in `tw.precision("exact")`
    """Set how exact convolution has to be: for the process, or for the length of a ``with`` block.

    ``"fast"``, the default, uses three shortcuts where they are faster; ``"exact"`` does without them. Only
    the second is taken in float64, whose errors it leaves of the same order; integers are always computed as
    the definition says.

    * Winograd's algorithm, for float32 with stride 1 and 3 to 5 taps along each axis, or 7 along one: pieces
      of 4×4 outputs of 3×3 taps take 36 multiplications instead of 144. Its rounding errors (root mean
      square, normal data) stay within three times those of a float32 product of matrices of the same length:
      about 8e-7 of the result, where sums written out come to 2e-7; a NaN or an infinity in the input may
      reach the other outputs of its piece.
    * Kernels that are outer products of vectors, such as Gaussian and box filters, in one pass for each axis:
      from some 11×11 taps on, stride 1, one input channel a group. A kernel counts as one if no weight
      differs from the product by more than 4·eps of itself (6·eps with three axes), eps being that of the
      dtype. The errors stay within three times those of a product of matrices.
    * Transforms (FFT), for float32 and large kernels of few channels with stride 1, if SciPy is installed: on
      pictures from some 31×31 taps on, on signals from some 255. An error is relative to all that a block of
      some 256×256 samples holds, not to a single output: at most eps · log2(samples of a block) times the
      norm of the block times that of the kernel. (Root mean square, normal data, float32 and 31×31 taps:
      2.5e-7 of the outputs, where sums written out come to 5.5e-7.) So where a picture is black beside white,
      black comes out as some 1e-7 instead of 0.

    The last two give a sample with a NaN or an infinity to the sums written out.

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
