"""How a tensor is written out: PyTorch's layout, in our own dtype names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.autograd.dtypes import get_default_dtype
from tilewright.autograd.tape import Array
from tilewright.op.kinds import REAL

if TYPE_CHECKING:
    from tilewright.autograd.tensor import Tensor


class _Options:
    """What ``set_printoptions`` sets; PyTorch's defaults."""

    precision = 4
    threshold = 1000
    edgeitems = 3
    linewidth = 80
    sci_mode: bool | None = None


def set_printoptions(
    precision: int | None = None,
    threshold: int | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Change how tensors are written out.

    Args:
        precision: digits behind the point.
        threshold: with more elements than this, only the edges are shown.
        edgeitems: how many elements an edge has.
        linewidth: characters per line.
        sci_mode: always (True) or never (False) use powers of ten.
    """
    for name, value in (
        ("precision", precision),
        ("threshold", threshold),
        ("edgeitems", edgeitems),
        ("linewidth", linewidth),
        ("sci_mode", sci_mode),
    ):
        if value is not None:
            setattr(_Options, name, value)


class _Form:
    """One form for all numbers of a tensor, so that columns line up."""

    def __init__(self, shown: Array) -> None:
        self.width = 1
        self.kind = shown.dtype.kind
        self.whole = self.powers = False
        values = shown.reshape(-1)
        if self.kind in REAL:
            values = values.astype(np.float64)
            finite = values[np.isfinite(values) & (values != 0)]
            if finite.size:
                size = np.abs(finite)
                ratio_is_wide = bool(size.max() / size.min() > 1000.0) or bool(size.max() > 1e8)
                self.whole = bool(np.all(finite == np.ceil(finite)))
                self.powers = ratio_is_wide or (not self.whole and bool(size.min() < 1e-4))
            else:
                self.whole = True
            if _Options.sci_mode is not None:
                self.powers = _Options.sci_mode
            for value in finite:
                self.width = max(self.width, len(self._number(float(value))))
        else:
            for value in values:
                self.width = max(self.width, len(str(value)))

    def _number(self, value: float) -> str:
        if not np.isfinite(value):
            return str(value)
        if self.powers:
            return f"{value:.{_Options.precision}e}"
        return f"{value:.0f}." if self.whole else f"{value:.{_Options.precision}f}"

    def text(self, value: Any) -> str:
        found = self._number(float(value)) if self.kind in REAL else str(value)
        return found.rjust(self.width)


class _ComplexForm:
    """A form for the real parts, and one for the imaginary parts."""

    def __init__(self, shown: Array) -> None:
        self.real, self.imag = _Form(shown.real), _Form(shown.imag)
        self.width = self.real.width + self.imag.width + 2

    def text(self, value: Any) -> str:
        second = f"{self.imag.text(value.imag).lstrip()}j"
        return self.real.text(value.real) + (second if second.startswith("-") else f"+{second}")


def _form(shown: Array) -> _Form | _ComplexForm:
    return _ComplexForm(shown) if shown.dtype.kind == "c" else _Form(shown)


def _edges(array: Array) -> Array:
    """What is shown of a large array: the first and last elements along each axis."""
    edge = _Options.edgeitems
    for i, size in enumerate(array.shape):
        if size > 2 * edge:
            array = np.take(array, [*range(edge), *range(size - edge, size)], i)
    return array


def _lines(array: Array, indent: int, form: _Form | _ComplexForm, short: bool) -> str:
    if array.ndim == 0:
        return form.text(array[()])
    edge = _Options.edgeitems
    cut = short and array.shape[0] > 2 * edge
    if array.ndim == 1:
        per_line = max(1, (_Options.linewidth - indent) // (form.width + 2))
        words = [form.text(value) for value in (array[:edge] if cut else array)]
        if cut:
            words += [" ...", *(form.text(value) for value in array[-edge:])]
        rows = [", ".join(words[i : i + per_line]) for i in range(0, len(words), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(rows) + "]"
    numbers = [*range(edge), *range(array.shape[0] - edge, array.shape[0])] if cut else range(array.shape[0])
    parts = [_lines(array[i], indent + 1, form, short) for i in numbers]
    if cut:
        parts.insert(edge, "...")
    between = "," + "\n" * (array.ndim - 1) + " " * (indent + 1)
    return "[" + between.join(parts) + "]"


def tensor_text(tensor: Tensor) -> str:
    """The text of a tensor, as ``repr`` shows it."""
    array = tensor._data
    prefix = "tensor("
    notes = []
    if array.size == 0:
        body = "[]"
        if array.ndim != 1:
            notes.append(f"size={tuple(array.shape)}")
    else:
        short = array.size > _Options.threshold
        body = _lines(array, len(prefix), _form(_edges(array) if short else array), short)
    if array.dtype not in (get_default_dtype(), np.dtype("int64"), np.dtype("bool")) or (
        array.size == 0 and array.dtype != get_default_dtype()
    ):
        notes.append(f"dtype={array.dtype}")
    if tensor._node is not None:
        notes.append(f"grad_fn=<{tensor._node.rule.name}>")
    elif tensor._requires:
        notes.append("requires_grad=True")
    text = prefix + body
    for note in notes:
        last = len(text) - (text.rfind("\n") + 1)
        # A note that would overrun the line goes to the next one.
        text += (", " if last + len(note) + 4 <= _Options.linewidth else ",\n" + " " * len(prefix)) + note
    return text + ")"
