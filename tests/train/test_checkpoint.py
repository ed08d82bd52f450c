"""Checkpoints: exact, whole or absent, and strict about what they read."""

from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from tilewright.errors import ArgumentError, DtypeError, FileFormatError
from tilewright.train import checkpoint

STATE = {"step": 3, "lr": 0.1, "name": "Grüße", "none": None, "list": [1, 2.5, True]}
TENSORS = {
    "half": np.array([1.5, -0.0, np.nan], np.float16),
    "single": np.arange(6, dtype=np.float32).reshape(2, 3),
    "double": np.array(np.pi),
    "long": np.array([-(2**63), 2**63 - 1]),
    "byte": np.arange(5, dtype=np.uint8),
    "truth": np.array([[True], [False]]),
    "empty": np.zeros((0, 3), np.float32),
}


def write(path: Path, header: Any, body: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


def with_state(path: Path, state: str) -> Path:
    return write(path, {"__metadata__": {"tilewright": state}})


def test_what_is_saved_comes_back_to_the_bit(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    checkpoint.save(path, TENSORS, STATE)
    found = checkpoint.load(path)
    assert found.path == path
    assert found.state == STATE
    assert set(found.tensors) == set(TENSORS)
    for name, array in TENSORS.items():
        got = found.tensors[name]
        assert (got.dtype, got.shape, got.tobytes()) == (array.dtype, array.shape, array.tobytes()), name
        assert got.flags.writeable


@pytest.mark.parametrize(
    "make",
    [
        lambda a: a.T,
        lambda a: a[::-1, ::2],
        lambda a: np.broadcast_to(a[0], (3, 4)),
        lambda a: np.asfortranarray(a),
        lambda a: a.astype(">f4"),
    ],
)
def test_arrays_of_any_memory_order_are_saved_as_they_read(tmp_path: Path, make: Any) -> None:
    array = make(np.arange(12, dtype=np.float32).reshape(3, 4))
    checkpoint.save(tmp_path / "a.safetensors", {"x": array}, {})
    got = checkpoint.load(tmp_path / "a.safetensors").tensors["x"]
    assert got.tolist() == array.tolist()
    assert got.dtype == np.float32


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        checkpoint.save(tmp_path / name, TENSORS, STATE)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_other_programs_can_read_the_tensors(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "a.safetensors", {"x": TENSORS["single"]}, STATE)
    assert safetensors.numpy.load_file(tmp_path / "a.safetensors")["x"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_file_of_another_program_has_no_state(tmp_path: Path) -> None:
    safetensors.numpy.save_file({"x": np.ones(2)}, tmp_path / "a.safetensors", {"format": "pt"})
    found = checkpoint.load(tmp_path / "a.safetensors")
    assert (found.state, found.tensors["x"].tolist()) == ({}, [1, 1])


@pytest.mark.parametrize("state", [{"x": float("nan")}, {"x": float("inf")}, {"x": object()}, {"x": b""}])
def test_state_that_json_lacks_is_refused_and_nothing_written(tmp_path: Path, state: dict[str, Any]) -> None:
    with pytest.raises(
        DtypeError, match=r"^A checkpoint's state needs values that JSON can hold\. Received: "
    ):
        checkpoint.save(tmp_path / "a.safetensors", {}, state)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("array", [np.zeros(1, complex), np.array(["a"]), np.array([None])])
def test_arrays_of_other_dtypes_are_refused(tmp_path: Path, array: Any) -> None:
    with pytest.raises(
        DtypeError,
        match=r"^A checkpoint holds arrays of float16, float32, float64, integers or bool\. Received: x ",
    ):
        checkpoint.save(tmp_path / "a.safetensors", {"x": array}, {})


def test_every_cut_of_a_file_is_refused(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut.safetensors"
    checkpoint.save(whole, {"x": np.ones(5, np.float32)}, {"step": 1})
    content = whole.read_bytes()
    for length in range(len(content)):
        cut.write_bytes(content[:length])
        with pytest.raises(FileFormatError) as caught:
            checkpoint.load(cut)
        assert f"Checkpoint {str(cut)!r} isn't a whole safetensors file." in str(caught.value)
        assert f"Received: {length} bytes: " in str(caught.value)


def test_bytes_left_over_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    checkpoint.save(path, {"x": np.ones(5)}, {})
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(FileFormatError, match="isn't a whole safetensors file"):
        checkpoint.load(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
        b"PK\x03\x04" + b"\0" * 50,
        b"\xff" * 64,
        pickle.dumps({"weights": [1, 2, 3]}),
        b"model = 3\n" * 20,
    ],
)
def test_files_of_other_kinds_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"foreign\.safetensors' isn't a whole safetensors file"):
        checkpoint.load(path)


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (open, (str(self.path), "w"))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(FileFormatError):
        checkpoint.load(tmp_path / "a.safetensors")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("entry", "body"),
    [
        ({"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}, b"\0" * 4),
        ({"dtype": "F32", "shape": [2**40], "data_offsets": [0, 8]}, b"\0" * 8),
        ({"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 8]}, b"\0" * 8),
        ({"dtype": "F32", "shape": [-1], "data_offsets": [0, 8]}, b"\0" * 8),
        ({"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}, b"\0" * 8),
        ({"dtype": "F32", "shape": [2], "data_offsets": [0, 2**60]}, b"\0" * 8),
        ({"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}, b"\0" * 16),
        ({"dtype": "X9", "shape": [2], "data_offsets": [0, 8]}, b"\0" * 8),
        ({"dtype": "F32", "data_offsets": [0, 8]}, b"\0" * 8),
        ([], b""),
    ],
)
def test_headers_that_lie_are_refused(tmp_path: Path, entry: Any, body: bytes) -> None:
    with pytest.raises(FileFormatError, match=r"lie\.safetensors' isn't a whole safetensors file"):
        checkpoint.load(write(tmp_path / "lie.safetensors", {"x": entry}, body))


def test_a_header_longer_than_the_file_decides_no_allocation(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(struct.pack("<Q", 2**62) + b"{}")
    with pytest.raises(FileFormatError, match="10 bytes"):
        checkpoint.load(tmp_path / "a")


def test_a_dtype_that_numpy_lacks_is_refused(tmp_path: Path) -> None:
    entry = {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}
    with pytest.raises(
        FileFormatError,
        match=r"needs tensors of a dtype that NumPy has\. Received: BF16 for the tensor 'x'\.",
    ):
        checkpoint.load(write(tmp_path / "a", {"x": entry}, b"\0" * 4))


def test_more_axes_than_an_array_has_are_refused(tmp_path: Path) -> None:
    entry = {"dtype": "U8", "shape": [1] * 70, "data_offsets": [0, 1]}
    with pytest.raises(FileFormatError, match=r"states a shape that no array can have\. Received: \[1, 1, "):
        checkpoint.load(write(tmp_path / "a", {"x": entry}, b"\0"))


def test_a_truth_that_is_neither_is_refused(tmp_path: Path) -> None:
    entry = {"dtype": "BOOL", "shape": [2], "data_offsets": [0, 2]}
    with pytest.raises(
        FileFormatError, match=r"0 or 1 in every byte of a BOOL tensor\. Received: 7 in the tensor 'x'"
    ):
        checkpoint.load(write(tmp_path / "a", {"x": entry}, b"\1\7"))


@pytest.mark.parametrize(
    ("state", "received"),
    [
        ('{"step": NaN}', "the value NaN, which JSON doesn't have"),
        ('{"step": -Infinity}', "the value -Infinity, which JSON doesn't have"),
        ('{"step": 1e999}', "the number 1e999, which no float64 holds"),
        ('{"step": 1, "step": 2}', "the key 'step' twice"),
        ("{" * 3, "Expecting property name"),
        ("[" * 100_000, "recursion"),
        ('{"step": ' + "9" * 10_000 + "}", "digits"),
        ("", "Expecting value"),
    ],
)
def test_metadata_that_is_no_strict_json_is_refused(tmp_path: Path, state: str, received: str) -> None:
    with pytest.raises(FileFormatError) as caught:
        checkpoint.load(with_state(tmp_path / "a.safetensors", state))
    assert "a.safetensors' needs valid JSON in its metadata 'tilewright'." in str(caught.value)
    assert received in str(caught.value)


def test_metadata_that_is_no_object_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        FileFormatError, match=r"needs a JSON object in its metadata 'tilewright'\. Received: value=3\."
    ):
        checkpoint.load(with_state(tmp_path / "a", "3"))


def test_places_without_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(
        ArgumentError, match=r"checkpoint\.load needs a file that exists\. Received: path=.*nothing is"
    ):
        checkpoint.load(tmp_path / "none")
    with pytest.raises(
        FileFormatError, match=r"checkpoint\.load needs an ordinary file\. Received: .*a folder"
    ):
        checkpoint.load(tmp_path)


def test_a_file_above_the_limit_is_refused_unread(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "a", {"x": np.zeros(1000)}, {})
    with pytest.raises(
        FileFormatError, match=r"is larger than the 1000 bytes that load allows\. Received: \d+ bytes"
    ):
        checkpoint.load(tmp_path / "a", max_bytes=1000)
    # A gigantic file of no content is refused by its length alone.
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(FileFormatError, match=f"{2**40} bytes"):
        checkpoint.load(tmp_path / "sparse")


def test_random_damage_never_gives_another_error(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "whole", {"x": np.ones(4, np.float32), "y": np.ones(2, bool)}, STATE)
    content = (tmp_path / "whole").read_bytes()
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        damaged = bytearray(content)
        for place in generator.integers(0, len(content), 3):
            damaged[place] = generator.integers(0, 256)
        (tmp_path / "damaged").write_bytes(damaged)
        try:
            checkpoint.load(tmp_path / "damaged")
        except FileFormatError as error:
            refused += 1
            assert "damaged" in str(error)
    assert refused > 100  # the header is most of this file


def test_a_failed_write_names_the_file_and_leaves_the_old_one(tmp_path: Path) -> None:
    """A limit on file sizes stands for a full disk."""
    path = tmp_path / "a.safetensors"
    checkpoint.save(path, {"x": np.ones(1)}, {"step": 1})
    script = """
import resource, sys
import numpy as np
from tilewright.train import checkpoint
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    checkpoint.save(sys.argv[1], {"x": np.ones(10_000)}, {"step": 2})
except OSError as error:
    print(error.filename)
"""
    child = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    assert child.stdout.strip() == str(path)
    assert checkpoint.load(path).state == {"step": 1}
    assert os.listdir(tmp_path) == ["a.safetensors"]


def test_leftovers_of_killed_writers_are_removed(tmp_path: Path) -> None:
    for name in (".a.safetensors.00ff.part", ".b.safetensors.00ff.part", "a.safetensors"):
        (tmp_path / name).touch()
    checkpoint.remove_leftovers(tmp_path / "a.safetensors")
    assert sorted(os.listdir(tmp_path)) == [".b.safetensors.00ff.part", "a.safetensors"]


# A program of its own, so that forking doesn't meet the threads of the test runner.
KILL = """
import json, os, random, signal, sys, time
import numpy as np
from tilewright.train import checkpoint

path, seed = sys.argv[1], int(sys.argv[2])
chance = random.Random(seed)
shapes = {"a": (50, 40), "b": (3,), "c": (200, 100)}

def save(number):
    arrays = {name: np.full(shape, number, np.float32) for name, shape in shapes.items()}
    checkpoint.save(path, arrays, {"number": number})

save(0)
numbers = []
for _ in range(50):
    child = os.fork()
    if child == 0:
        number = numbers[-1] if numbers else 0
        while True:
            number += 1
            save(number)
    time.sleep(chance.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    found = checkpoint.load(path)
    number = found.state["number"]
    assert all((found.tensors[name] == number).all() for name in shapes), number
    assert {name: a.shape for name, a in found.tensors.items()} == shapes
    numbers.append(number)
print(json.dumps(numbers))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_a_writer_killed_at_any_of_50_moments_leaves_a_loadable_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    child = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILL, str(path), "7"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    numbers = json.loads(child.stdout)
    assert len(numbers) == 50
    assert numbers == sorted(numbers)
    assert numbers[-1] > 0, "no child saved anything: the test would prove nothing"
    # Some were killed in the middle: what they left is beside the file, never in its place.
    checkpoint.remove_leftovers(path)
    assert os.listdir(tmp_path) == ["last.safetensors"]
