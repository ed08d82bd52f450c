"""The one message format, and the classes that a refusal also is."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from tilewright import errors


@pytest.mark.parametrize(
    ("kind", "also"),
    [
        (errors.ShapeError, ValueError),
        (errors.ArgumentError, ValueError),
        (errors.DtypeError, TypeError),
        (errors.StateError, RuntimeError),
        (errors.FileFormatError, ValueError),
        (errors.DownloadError, OSError),
        (errors.MissingExtraError, ImportError),
    ],
)
def test_a_refusal_is_also_the_built_in_kind(
    kind: type[errors.TilewrightError], also: type[Exception]
) -> None:
    error = kind("conv needs a stride of at least 1.", "stride=0", "Use 1.")
    assert isinstance(error, also)
    assert isinstance(error, errors.TilewrightError)
    assert str(error) == "conv needs a stride of at least 1. Received: stride=0. Use 1."
    assert str(copy.copy(error)) == str(error)


def test_parts_that_are_left_out_leave_no_gap() -> None:
    assert str(errors.ShapeError("A rule.")) == "A rule."
    assert str(errors.ShapeError("A rule.", advice="Do this.")) == "A rule. Do this."


def test_describe() -> None:
    assert errors.describe(x=np.zeros((2, 3), np.float32)) == "x with shape (2, 3) and dtype float32"
    assert errors.describe(stride=0, name="a") == "stride=0, name='a'"
    assert errors.describe(dtype=np.float64) == "dtype=<class 'numpy.float64'>"
    assert len(errors.describe(text="a" * 10_000)) < 220


def test_need_extra_names_what_to_install() -> None:
    error = errors.need_extra("matplotlib", "plot", "Drawing")
    assert str(error) == (
        "Drawing needs the package matplotlib, which is not installed. "
        "Install it with: pip install 'tilewright[plot]'."
    )
