"""Philox: published numbers, the same in NumPy and in vectors, whatever the processor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel.built import built
from kernel.elementwise.arrays import every_target

from tilewright.kernel.elementwise import philox
from tilewright.plan import Target

pytest.importorskip("llvmlite", reason="compiles through LLVM")

# Known answers of the authors' library Random123 (kat_vectors, philox 4x32 with 10 rounds): counter, key,
# and the four words.
ALL = (1 << 64) - 1
PI = 0x85A308D3243F6A88, 0x0370734413198A2E, 0x299F31D0A4093822
KNOWN = (
    ((0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ALL, ALL, ALL), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (PI, (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
)


@pytest.fixture(autouse=True)
def nothing_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", "off")


def signed(word: int) -> int:
    return word - (1 << 64) if word >> 63 else word


def computed(target: Target, number: int, stream: int, key: int) -> Any:
    """The words of eight blocks, (4, 8), as the emitted code computes them."""

    def body(f: Any) -> None:
        words = philox.blocks(f, f["number"], f["stream"], philox.keys(f, f["key"]))
        for place, word in enumerate(words):
            f.store(word & ((1 << 32) - 1), f["out"], place * philox.LANES)

    out = np.full((4, philox.LANES), -1)
    arguments = {"number": "i64", "stream": "i64", "key": "i64", "out": "ptr"}
    built(target, arguments, body)(signed(number), signed(stream), signed(key), out)
    return out


@pytest.mark.parametrize(("counter", "answer"), KNOWN)
def test_known_answers_in_numpy(counter: tuple[int, int, int], answer: tuple[int, ...]) -> None:
    number, stream, key = counter
    words = philox.words(np.array([number], np.uint64), stream, key)
    assert tuple(int(word[0]) for word in words) == answer


@every_target
@pytest.mark.parametrize(("counter", "answer"), KNOWN)
def test_known_answers(target: Target, counter: tuple[int, int, int], answer: tuple[int, ...]) -> None:
    assert tuple(computed(target, *counter)[:, 0].tolist()) == answer


@every_target
@pytest.mark.parametrize("number", [0, 8, (1 << 32) - 8, (1 << 32) - 4, (1 << 40) + 16, (1 << 63) - 4])
def test_eight_blocks_from_any_number_on(target: Target, number: int) -> None:
    numbers = np.arange(number, number + philox.LANES, dtype=np.uint64)
    for stream, key in ((0, 1), (1 << 40, 0), (ALL - 5, 12345678901234567890)):
        expected = np.array(philox.words(numbers, stream, key)).astype(np.int64)
        np.testing.assert_array_equal(computed(target, number, stream, key), expected)


def test_counter_stream_and_key_all_matter() -> None:
    first = np.arange(4, dtype=np.uint64)
    words = [
        np.array(philox.words(first + np.uint64(number), stream, key)).tobytes()
        for number in (0, 4, 1 << 32)
        for stream in (0, 1, 1 << 32)
        for key in (0, 1, 1 << 32)
    ]
    assert len(set(words)) == len(words)
