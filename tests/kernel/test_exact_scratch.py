"""Programs keep to the scratch memory that they ask for and to their tables: each ends at an unreadable page.

In use every thread has one piece of memory for all programs, in which a step too far goes unseen.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from geometries import conv_dims, random_array
from guarded import guarded
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tilewright import reference
from tilewright.geometry import ConvDims
from tilewright.kernel import conv_planes, conv_tiles, jit, run, threads
from tilewright.kernel.planes import program as planes_program
from tilewright.kernel.planes import weights_program
from tilewright.kernel.tiles import convolve, weights
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan import FAMILIES, Plan, runnable

pytestmark = pytest.mark.skipif(not jit.available(), reason="nothing can be compiled here")

_KIND = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
_FLOAT64 = {"rtol": 1e-11, "atol": 1e-11, "reason": "the same sum in another order, float64"}


def run_exactly(function: int, units: int, args: int, scratch_bytes: int) -> None:
    """What ``threads.run`` does, with scratch of the very size, full of NaN at first; the last unit first."""
    scratch = guarded(np.full(scratch_bytes, 0xFF, np.uint8))
    for unit in reversed(range(units)):
        _KIND(function)(unit, args, scratch.ctypes.data)


@contextmanager
def guards() -> Iterator[None]:
    """Programs made and run inside have pages that nobody may touch behind scratch and tables."""
    words_of = convolve.words_of

    def guarded_words_of(fields: Fields, words: convolve.Words) -> Any:
        tables = {name: guarded(word) for name, word in words.items() if isinstance(word, np.ndarray)}
        return words_of(fields, words | tables)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "run", run_exactly)
        patch.setattr(convolve, "words_of", guarded_words_of)
        patch.setattr(weights, "words_of", guarded_words_of)
        for module in (planes_program, weights_program):
            patch.setattr(module, "words_of", guarded_words_of)
        for family in (conv_planes, conv_tiles):
            family.forget()
        yield
        for family in (conv_planes, conv_tiles):
            family.forget()


def plans(operation: str, dims: ConvDims) -> list[Plan]:
    """The plans of all compiled families, for all instruction sets."""
    answers = [family.answer(operation, dims, "float64", "channels_first", True) for family in FAMILIES]
    return [
        replace(answer, target=target.name)
        for answer in answers
        if isinstance(answer, Plan) and answer.target
        for target in runnable()
    ]


def check(dims: ConvDims) -> None:
    x, w = random_array(dims.input_shape, 1), random_array(dims.weight_shape, 2)
    gy = random_array(dims.output_shape, 3)
    for plan in plans("forward", dims):
        y = np.full(dims.output_shape, np.nan)
        run(plan, x, w, None, y)
        assert_same(y, reference.conv.forward(dims, x, w), **_FLOAT64)
    for plan in plans("data_gradient", dims):
        gx = np.full(dims.input_shape, np.nan)
        run(plan, gy, w, gx)
        assert_same(gx, reference.conv.data_gradient(dims, gy, w), **_FLOAT64)
    for plan in plans("weight_gradient", dims):
        gw = np.full(dims.weight_shape, np.nan)
        run(plan, x, gy, gw)
        assert_same(gw, reference.conv.weight_gradient(dims, x, gy), **_FLOAT64)


# Several blocks of lines, of which the last reads nothing but padding.
_NOTHING_READ = ConvDims.of(
    (2, 3, 19, 12, 12), (48, 1, 2, 2, 5), stride=(2, 3, 1), padding=((-1, 3), (-1, 3), (-1, 0)), groups=3
)


@settings(max_examples=200)
@given(conv_dims())
@example(_NOTHING_READ)
def test_random_geometries(dims: ConvDims) -> None:
    with guards():
        check(dims)


@settings(max_examples=20)
@given(st.sampled_from([1, 3, 4, 8, 20]), st.sampled_from([1, 5, 16, 40]), st.sampled_from([1, 2, 3]))
def test_channels_that_fill_panels(channels: int, outputs: int, stride: int) -> None:
    with guards():
        check(ConvDims.of((2, channels, 9, 11), (outputs, channels, 3, 5), padding=1, stride=stride))
