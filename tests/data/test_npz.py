"""Archives of arrays: what NumPy writes comes back, and files that lie are named, never believed."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tilewright.data import NpzDataset, Standardise, read_npz
from tilewright.errors import ArgumentError, FileFormatError, ShapeError


def header_of(shape: Any, dtype: str = "<f4", fortran: bool = False, version: int = 1) -> bytes:
    """A .npy header that says what it likes."""
    text = f"{{'descr': {dtype!r}, 'fortran_order': {fortran}, 'shape': {shape}, }}".encode("latin1")
    size = len(text) + 1
    pad = -(10 + (2 if version > 1 else 0) + size) % 64
    body = text + b" " * pad + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(body)) + body


def archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


class TestReading:
    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    def test_what_numpy_writes_comes_back(self, tmp_path: Path, save: Any) -> None:
        numbers = np.random.default_rng(0)
        given_arrays = {
            "images": numbers.integers(0, 256, (5, 1, 4, 4), dtype=np.uint8),
            "fortran": np.asfortranarray(numbers.standard_normal((3, 4, 2))),
            "big": numbers.standard_normal(7).astype(">f4"),
            "half": np.float16([1.5, -2]),
            "complex": np.array([1 + 2j]),
            "truth": np.array([True, False]),
            "number": np.array(3.25),
            "empty": np.zeros((0, 3), np.int16),
            "a.b/c": np.arange(3),
        }
        path = tmp_path / "set.npz"
        save(path, **given_arrays)
        found = read_npz(path)
        assert list(found) == list(given_arrays)
        for name, array in given_arrays.items():
            assert np.array_equal(found[name], array) and found[name].dtype == array.dtype.newbyteorder("=")
            assert found[name].dtype.isnative and found[name].flags.writeable
        assert list(read_npz(path, ["half", "big", "half"])) == ["half", "big"]
        assert list(read_npz(str(path), "big")) == ["big"]

    def test_several_chunks(self, tmp_path: Path) -> None:
        array = np.random.default_rng(0).standard_normal((600, 600))
        np.savez_compressed(tmp_path / "set.npz", x=array)
        assert np.array_equal(read_npz(tmp_path / "set.npz")["x"], array)

    def test_headers_of_version_2(self, tmp_path: Path) -> None:
        body = np.arange(3, dtype="<f4").tobytes()
        path = archive(tmp_path / "set.npz", {"x.npy": header_of((3,), version=2) + body})
        assert read_npz(path)["x"].tolist() == [0, 1, 2]

    def test_as_a_data_set(self, tmp_path: Path) -> None:
        images = np.random.default_rng(0).integers(0, 256, (5, 1, 4, 4), dtype=np.uint8)
        path = tmp_path / "set.npz"
        np.savez(path, x_train=images, y_train=np.arange(5), other=np.array([object()], dtype=object))
        data = NpzDataset(path, "x_train", "y_train", Standardise(0.5, 0.5))
        assert len(data) == 5 and data[2][1] == 2 and data[2][0].dtype == np.float32
        assert np.array_equal(data.images, images)
        np.savez(path, images=images, labels=np.arange(4))
        with pytest.raises(ShapeError, match="ArrayDataset needs as many images as labels"):
            NpzDataset(path)


class TestRefusals:
    @pytest.mark.parametrize(
        ("members", "message"),
        [
            (
                {"x.npy": header_of((10**9, 10**3)) + b"1234"},
                "needs to be as long as its header says: 4000000000000 bytes from byte 128 on. "
                "Received: 4 bytes, for shape (1000000000, 1000) of float32.",
            ),
            (
                {"x.npy": header_of((2,)) + bytes(9)},
                "needs to be as long as its header says: 8 bytes from byte 128 on. "
                "Received: 9 bytes, for shape (2,) of float32.",
            ),
            (
                {"x.npy": header_of((2**40, 2**40, 0))},
                "states sizes that no array can have. Received: shape (1099511627776, 1099511627776, 0).",
            ),
            ({"x.npy": header_of((-1, 4))}, "states sizes that no array can have. Received: shape (-1, 4)."),
            (
                {"x.npy": header_of("(2.5,)")},
                "needs the header of a .npy file. Received: ValueError: shape is not",
            ),
            (
                {"x.npy": header_of("'a'")},
                "needs the header of a .npy file. Received: ValueError: shape is not",
            ),
            ({"x.npy": header_of((2,), "|O")}, "needs to hold numbers or truths. Received: dtype='object'."),
            ({"x.npy": header_of((2,), "<U3")}, "needs to hold numbers or truths. Received: dtype='<U3'."),
            ({"x.npy": header_of((2,), "<M8[s]")}, "needs to hold numbers or truths."),
            (
                {"x.npy": header_of((2,), "rubbish")},
                "needs the header of a .npy file. Received: ValueError: descr",
            ),
            (
                {"x.npy": b"no header"},
                "needs the header of a .npy file. Received: ValueError: the magic string",
            ),
            ({"x.npy": b""}, "needs the header of a .npy file. Received: ValueError: EOF"),
            (
                {"x.npy": b"\x93NUMPY\x01\x00\xff\xff{"},
                "needs the header of a .npy file. Received: ValueError: EOF",
            ),
            (
                {"x.npy": b"\x93NUMPY\x03\x00" + bytes(64)},
                "needs to be of the .npy format 1.0 or 2.0, as arrays of numbers are. Received: version 3.0.",
            ),
            (
                {"x.npy": b"\x93NUMPY\x01\x00\x10\x00" + b"(" * 15 + b"\n"},
                "needs the header of a .npy file. Received:",
            ),
        ],
    )
    def test_members_that_lie(self, tmp_path: Path, members: dict[str, bytes], message: str) -> None:
        path = archive(tmp_path / "set.npz", members)
        tracemalloc.start()
        with pytest.raises(FileFormatError) as error:
            read_npz(path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert str(error.value).startswith(f"The array 'x' of {str(path)!r} {message}")
        assert peak < 2_000_000

    def test_archives_that_lie(self, tmp_path: Path) -> None:
        path = tmp_path / "set.npz"
        np.savez(path, x=np.arange(1000))
        whole = path.read_bytes()
        # The size in the directory at the end, which comes after the member's name: made huge.
        at = whole.rindex(b"PK\x01\x02")
        for place in (20, 24):
            lying = bytearray(whole)
            lying[at + place : at + place + 4] = struct.pack("<I", 2**31)
            path.write_bytes(bytes(lying))
            with pytest.raises(FileFormatError, match="states a size that so short a file can't hold"):
                read_npz(path)
        lying = bytearray(whole)
        lying[300] ^= 0xFF
        path.write_bytes(bytes(lying))
        with pytest.raises(FileFormatError) as error:
            read_npz(path)
        assert "array 'x'" in str(error.value) and "is damaged or cut short" in str(error.value)
        for kept in (0, 1, 100, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:kept])
            with pytest.raises(FileFormatError) as error:
                read_npz(path)
            assert str(error.value).startswith(f"Archive {str(path)!r} needs to be a ZIP file")

    @settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(places=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4))
    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    def test_damage_anywhere_is_met_with_one_error(
        self, tmp_path: Path, save: Any, places: list[tuple[int, int]]
    ) -> None:
        whole = io.BytesIO()
        save(whole, x=np.arange(40), y=np.zeros((3, 2), np.float32))
        content = bytearray(whole.getvalue())
        for place, value in places:
            content[place % len(content)] = value
        path = tmp_path / "set.npz"
        path.write_bytes(bytes(content))
        try:
            found = read_npz(path)
        except FileFormatError as error:
            assert str(path) in str(error)
        else:
            # What the damage left alone, or a name or time that it changed.
            assert all(array.dtype.kind in "biufc" for array in found.values())

    def test_bombs(self, tmp_path: Path) -> None:
        path = tmp_path / "set.npz"
        np.savez_compressed(path, x=np.zeros(3_000_000), y=np.zeros(10))
        assert path.stat().st_size < 50_000
        with pytest.raises(FileFormatError) as error:
            read_npz(path, max_bytes=10_000)
        assert str(error.value) == (
            f"The array 'x' of {str(path)!r} is larger than the 10000 bytes that are left of max_bytes. "
            "Received: shape (3000000,) of float64: 24000000 bytes. Pass max_bytes=... to allow more."
        )
        assert read_npz(path, ["y"], max_bytes=80)["y"].shape == (10,)
        with pytest.raises(FileFormatError, match="array 'y'"):
            read_npz(path, max_bytes=24_000_079)

    def test_other_methods_and_names(self, tmp_path: Path) -> None:
        content = header_of((1,)) + bytes(4)
        path = archive(tmp_path / "set.npz", {"x.npy": content}, zipfile.ZIP_LZMA)
        with pytest.raises(FileFormatError) as error:
            read_npz(path)
        assert str(error.value) == (
            f"The array 'x' of {str(path)!r} needs to be stored or deflated, as numpy.savez writes, and not "
            "encrypted. Received: compression method 14."
        )
        archive(path, {"x.npy": content, "x": content})
        with pytest.raises(FileFormatError) as error:
            read_npz(path)
        assert (
            str(error.value)
            == f"Archive {str(path)!r} needs names that differ. Received: two arrays named 'x'."
        )

    def test_nothing_is_unpickled(self, tmp_path: Path) -> None:
        path = tmp_path / "set.npz"
        np.savez(path, x=np.array([{"a": 1}], dtype=object))
        with pytest.raises(FileFormatError, match="needs to hold numbers or truths"):
            read_npz(path)

    def test_files_and_names_that_are_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ArgumentError, match="read_npz needs a file that exists"):
            read_npz(tmp_path / "none.npz")
        with pytest.raises(FileFormatError, match="needs an ordinary file"):
            read_npz(tmp_path)
        path = tmp_path / "set.npz"
        np.savez(path, a=np.zeros(1), b=np.zeros(1))
        with pytest.raises(ArgumentError) as error:
            read_npz(path, ["a", "x"])
        assert str(error.value) == f"Archive {str(path)!r} needs an array named 'x'. Received: arrays a, b."
        with pytest.raises(ArgumentError, match="needs an array named 'images'"):
            NpzDataset(path)
        archive(path, {})
        assert read_npz(path) == {}
