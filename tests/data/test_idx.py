from __future__ import annotations

import gzip
import os
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tilewright.data import read_idx, write_idx
from tilewright.errors import ArgumentError, DtypeError, FileFormatError, ShapeError
from tilewright.files import atomic_file

# A 2×3 array of uint8 by hand: two zeros, code 08, rank 2, the sizes, the elements.
SMALL = bytes.fromhex("00000802 00000002 00000003") + bytes([1, 2, 3, 4, 5, 6])


def refusal(path: Path, data: bytes, **options: Any) -> str:
    path.write_bytes(data)
    with pytest.raises(FileFormatError) as caught:
        read_idx(path, **options)
    message = str(caught.value)
    assert repr(str(path)) in message
    assert "Received: " in message
    return message


def header(code: int, *sizes: int) -> bytes:
    return struct.pack(f">2xBB{len(sizes)}I", code, len(sizes), *sizes)


def test_reads_the_array_written_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(SMALL)
    array = read_idx(path)
    assert array.dtype == np.uint8
    assert array.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert array.flags.writeable


def test_elements_are_big_endian_in_the_file_and_native_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "shorts"
    path.write_bytes(header(0x0B, 2) + bytes.fromhex("0102 fffe"))
    array = read_idx(path)
    assert array.tolist() == [258, -2]
    assert array.dtype.isnative and array.dtype == np.int16


def test_compression_is_known_by_content_not_by_name(tmp_path: Path) -> None:
    named_plain, named_gzip = tmp_path / "plain", tmp_path / "packed.gz"
    named_plain.write_bytes(gzip.compress(SMALL))
    named_gzip.write_bytes(SMALL)
    assert read_idx(named_plain).tolist() == read_idx(named_gzip).tolist() == [[1, 2, 3], [4, 5, 6]]


def test_a_gzip_file_of_several_members_is_one_file(tmp_path: Path) -> None:
    path = tmp_path / "members.gz"
    path.write_bytes(gzip.compress(SMALL[:9]) + gzip.compress(b"") + gzip.compress(SMALL[9:]))
    assert read_idx(str(path)).tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8", ">f4", "<i4"])
def test_what_is_written_is_read_back(tmp_path: Path, dtype: str, suffix: str) -> None:
    rng = np.random.default_rng(5)
    written = rng.integers(-100, 100, (3, 1, 4)).astype(dtype)
    path = tmp_path / f"array{suffix}"
    write_idx(path, written)
    array = read_idx(path)
    assert array.dtype == np.dtype(dtype).newbyteorder("=")
    assert np.array_equal(array, written)
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == bool(suffix)


@pytest.mark.parametrize("shape", [(0,), (0, 28, 28), (3, 0), (1,) * 8])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_empty_arrays_and_rank_8_go_both_ways(tmp_path: Path, shape: tuple[int, ...], suffix: str) -> None:
    path = tmp_path / f"array{suffix}"
    write_idx(path, np.zeros(shape, np.float32))
    assert read_idx(path).shape == shape


def test_arrays_in_any_memory_order_are_written_in_index_order(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.int32).reshape(4, 6)
    for view in (values[:, ::-1], values.T, np.asfortranarray(values), np.broadcast_to(values[0], (3, 6))):
        write_idx(tmp_path / "view", view)
        assert np.array_equal(read_idx(tmp_path / "view"), view)


def test_equal_arrays_give_equal_bytes(tmp_path: Path) -> None:
    write_idx(tmp_path / "a.gz", np.arange(9, dtype=np.uint8))
    write_idx(tmp_path / "b.gz", np.arange(9, dtype=np.uint8))
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_write_refuses_what_the_format_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(DtypeError) as wrong_dtype:
        write_idx(tmp_path / "x", np.zeros(3, np.int64))
    assert str(wrong_dtype.value) == (
        "write_idx needs an array of uint8, int8, int16, int32, float32 or float64. "
        "Received: array with shape (3,) and dtype int64."
    )
    for shape in ((), (1,) * 9):
        with pytest.raises(
            ShapeError, match=r"write_idx needs an array of rank 1 to 8. Received: array with shape"
        ):
            write_idx(tmp_path / "x", np.zeros(shape, np.uint8))
    with pytest.raises(
        ShapeError, match=r"every axis shorter than 2\*\*32. Received: array with shape \(0, 4294967296\)"
    ):
        write_idx(tmp_path / "x", np.zeros((0, 2**32), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_writing_that_fails_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match=r"midway"), atomic_file(path) as file:
        file.write(b"new")
        raise RuntimeError("midway")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]


@pytest.mark.skipif(os.name != "posix", reason="file modes as POSIX has them")
def test_a_written_file_has_the_mode_that_the_umask_gives(tmp_path: Path) -> None:
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    write_idx(tmp_path / "written", np.zeros(1, np.uint8))
    assert (tmp_path / "written").stat().st_mode == ordinary.stat().st_mode


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError) as caught:
        read_idx(tmp_path / "absent")
    path = str(tmp_path / "absent")
    assert (
        str(caught.value) == f"read_idx needs a file that exists. Received: path={path!r}, where nothing is."
    )


def test_folders_pipes_and_impossible_names_are_refused_unopened(tmp_path: Path) -> None:
    with pytest.raises(
        FileFormatError, match=r"needs an ordinary file. Received: path=.*, which is a folder"
    ):
        read_idx(tmp_path)
    with pytest.raises(
        ArgumentError, match=r"read_idx needs path to be the path of something. Received: path='a"
    ):
        read_idx("a\0b")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(FileFormatError, match=r"which is neither a file nor a folder"):
            read_idx(tmp_path / "pipe")


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "secret"
    path.write_bytes(SMALL)
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(FileFormatError) as caught:
        read_idx(path)
    assert str(caught.value) == f"read_idx can't open the file {str(path)!r}. Received: Permission denied."


def test_a_disk_that_fails_midway_is_reported_with_the_byte(tmp_path: Path) -> None:
    from tilewright.data.idx import _Source

    class FailingDisk:
        def read(self, count: int) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(FileFormatError) as caught:
        _Source(FailingDisk(), "x", "byte", 10, True).read(4)  # type: ignore[arg-type]
    assert (
        str(caught.value) == "IDX file 'x' can't be read. Received: [Errno 5] Input/output error, at byte 0."
    )


@pytest.mark.parametrize(
    ("data", "rule", "received"),
    [
        (b"", "is cut short: its magic number takes bytes 0 to 3.", "a file that ends after 0 bytes"),
        (SMALL[:3], "is cut short: its magic number takes bytes 0 to 3.", "a file that ends after 3 bytes"),
        (
            b"\x89PNG\r\n\x1a\n",
            "needs two zero bytes at its start; this is some other",
            "89 50 at bytes 0 and 1",
        ),
        (b"\0\0\x0a\x01" + bytes(9), "needs one of these element types at byte 2: 08 (uint8), 09", "0A"),
        (b"\0\0\x08\x00", "needs a rank of 1 to 8 at byte 3.", "0"),
        (b"\0\0\x08\x09" + bytes(36), "needs a rank of 1 to 8 at byte 3.", "9"),
        (SMALL[:7], "is cut short: its list of sizes takes bytes 4 to 11.", "a file that ends after 7 bytes"),
        (
            SMALL[:-1],
            "is cut short: shape (2, 3) of uint8 takes 18 bytes.",
            "a file that ends after 17 bytes",
        ),
        (SMALL + b"x", "has bytes left over: shape (2, 3) of uint8 ends before byte 18.", "more at byte 18"),
        (header(0x08, 2**20, 2**20), "is cut short: shape (1048576, 1048576) of uint8", "after 12 bytes"),
        (
            header(0x0E, *[2**32 - 1] * 8),
            "states sizes (from byte 4) that no array can have.",
            "(4294967295, ",
        ),
        (
            header(0x08, 0, *[2**32 - 1] * 3),
            "states sizes (from byte 4) that no array can have.",
            "(0, 42949672",
        ),
    ],
)
def test_plain_files_that_lie_are_refused(tmp_path: Path, data: bytes, rule: str, received: str) -> None:
    message = refusal(tmp_path / "bad", data)
    assert rule in message
    assert received in message.split("Received: ")[1]


@pytest.mark.parametrize(
    ("data", "rule", "received"),
    [
        (b"", "is cut short: its magic number takes decompressed bytes 0 to 3.", "after 0 bytes"),
        (
            SMALL[:-1],
            "is cut short: shape (2, 3) of uint8 takes 18 bytes.",
            "a file that ends after 17 bytes",
        ),
        (
            SMALL + b"xyz",
            "has bytes left over: shape (2, 3) of uint8 ends before",
            "more at decompressed byte 18",
        ),
        (b"\0\0\x08\x00", "needs a rank of 1 to 8 at decompressed byte 3.", "0"),
        (
            header(0x08, 2**20, 2**20),
            "states a size that so short a gzip file can't hold.",
            "1099511627788 bytes, ",
        ),
    ],
)
def test_compressed_files_that_lie_are_refused(tmp_path: Path, data: bytes, rule: str, received: str) -> None:
    message = refusal(tmp_path / "bad.gz", gzip.compress(data))
    assert rule in message
    assert received in message.split("Received: ")[1]


def test_every_truncation_of_a_gzip_file_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(SMALL)
    for length in range(len(packed)):
        message = refusal(tmp_path / "short.gz", packed[:length])
        # Below two bytes nothing tells that it ever was gzip.
        assert "its gzip stream stops before its end marker" in message or length < 3


def test_a_broken_checksum_and_foreign_bytes_after_the_stream_are_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(SMALL))
    packed[-8] ^= 1  # the first byte of the CRC
    assert "can't be decompressed or fails its checksum. Received: CRC check failed" in refusal(
        tmp_path / "a", packed
    )
    assert "Not a gzipped file" in refusal(tmp_path / "b", gzip.compress(SMALL) + b"more")
    assert "Unknown compression method" in refusal(tmp_path / "c", b"\x1f\x8b" + bytes(30))
    # Valid gzip header, then a deflate block of the reserved type 3.
    assert "invalid block type, after decompressed byte 0" in refusal(
        tmp_path / "d", gzip.compress(SMALL)[:10] + b"\x07" + bytes(20)
    )


def test_a_bomb_is_refused_without_unfolding_it(tmp_path: Path) -> None:
    bomb = gzip.compress(header(0x08, 10) + bytes(64 << 20), compresslevel=1)
    path = tmp_path / "bomb.gz"
    path.write_bytes(bomb)
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match=r"more at decompressed byte 18"):
            read_idx(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The gzip module reads ahead by 128 KiB; two megabytes leave room and are far from the bomb's 64.
    assert peak < 2 << 20


def test_an_honest_header_of_a_large_array_meets_the_limit(tmp_path: Path) -> None:
    data = header(0x08, 5000) + bytes(5000)
    for stored in (data, gzip.compress(data)):
        message = refusal(tmp_path / "large", stored, max_bytes=4999)
        assert (
            "is larger than the 4999 bytes that read_idx allows. Received: sizes for shape (5000,)" in message
        )
        assert message.endswith("Pass max_bytes=... to allow more.")
        assert read_idx(tmp_path / "large", max_bytes=5000).shape == (5000,)


mutations = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 10**6), st.integers(0, 255)),
        st.tuples(st.just("cut"), st.integers(0, 10**6), st.just(0)),
        st.tuples(st.just("insert"), st.integers(0, 10**6), st.integers(0, 255)),
    ),
    min_size=1,
    max_size=4,
)


def mutate(data: bytes, changes: list[tuple[str, int, int]]) -> bytes:
    mutated = bytearray(data)
    for kind, place, value in changes:
        place %= len(mutated) + 1
        if kind == "cut":
            del mutated[place:]
        elif kind == "insert":
            mutated.insert(place, value)
        elif place < len(mutated):
            mutated[place] = value
    return bytes(mutated)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=mutations, compressed=st.booleans())
@example(changes=[("set", 4, 255)], compressed=True)
def test_a_mutated_file_is_refused_or_read_whole(
    tmp_path: Path, changes: list[tuple[str, int, int]], compressed: bool
) -> None:
    path = tmp_path / "mutated"
    path.write_bytes(mutate(gzip.compress(SMALL) if compressed else SMALL, changes))
    try:
        array = read_idx(path)
    except FileFormatError as error:
        assert repr(str(path)) in str(error)
    else:
        assert array.nbytes <= 64


def test_mnist_is_as_its_page_describes_it(data_root: Path) -> None:
    labels = read_idx(data_root / "mnist" / "t10k-labels-idx1-ubyte.gz")
    images = read_idx(data_root / "mnist" / "t10k-images-idx3-ubyte.gz")
    assert images.shape == (10_000, 28, 28) and images.dtype == np.uint8
    assert labels.shape == (10_000,) and labels.dtype == np.uint8
    assert labels[:5].tolist() == [7, 2, 1, 0, 4]
