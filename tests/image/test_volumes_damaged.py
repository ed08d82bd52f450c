"""Volumes whose files are damaged, cut short or not what they say: an error that names "
"the file, nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tilewright.errors import FileFormatError, TilewrightError
from tilewright.image import filter_volume

zarr = pytest.importorskip("zarr", minversion="3", reason="volumes are Zarr arrays")
tifffile = pytest.importorskip("tifffile", reason="volumes are TIFF stacks")


def volume(shape: tuple[int, ...] = (9, 10, 11), dtype: str = "uint16") -> Any:
    return (np.random.default_rng(0).random(shape) * 200).astype(dtype)


@pytest.fixture(params=[2, 3])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A Zarr array of either format."""
    path = tmp_path / "in.zarr"
    array = zarr.create_array(
        str(path), shape=(9, 10, 11), chunks=(4, 5, 6), dtype="uint16", zarr_format=request.param
    )
    array[...] = volume()
    return path


def header_of(path: Path) -> Path:
    return path / ("zarr.json" if (path / "zarr.json").exists() else ".zarray")


def change(path: Path, **fields: Any) -> None:
    header = header_of(path)
    found = json.loads(header.read_text(encoding="utf-8"))
    header.write_text(json.dumps({**found, **fields}), encoding="utf-8")


def refused(source: Path, kind: type[Exception] = FileFormatError, **options: Any) -> str:
    """What is said of it; nothing is left behind."""
    target = source.parent / ("out" + source.suffix)
    with pytest.raises(kind) as caught:
        filter_volume(source, target, "box", **options)
    assert not target.exists()
    assert not [path for path in source.parent.iterdir() if path.name.startswith(".")]
    return str(caught.value)


@pytest.mark.parametrize("keep", [0, 3, 20])
def test_a_chunk_that_is_cut_short_is_named(source: Path, keep: int) -> None:
    key = "c/1/0/1" if header_of(source).name == "zarr.json" else "1.0.1"
    (source / key).write_bytes((source / key).read_bytes()[:keep])
    said = refused(source)
    assert said.startswith(f"Chunk {key!r} of Zarr array {str(source)!r} is damaged or cut short. Received: ")


def test_a_chunk_of_other_bytes_is_named(source: Path) -> None:
    key = "c/2/1/1" if header_of(source).name == "zarr.json" else "2.1.1"
    (source / key).write_bytes(b"not a chunk" * 9)
    assert f"Chunk {key!r} of Zarr array {str(source)!r} is damaged" in refused(source)


def test_a_header_that_is_cut_short_or_no_json(source: Path) -> None:
    header = header_of(source)
    whole = header.read_bytes()
    for text in (b"", whole[: len(whole) // 2], b"[1, 2]", b"\xff\xfe", b"[" * 100_000):
        header.write_bytes(text)
        rule = f"{str(header)!r} needs to be the header of a Zarr array, in JSON."
        assert refused(source).startswith(rule)


@pytest.mark.parametrize(
    "shape", [[-1, 2, 3], [2.5, 3], "abc", None, [True, 3, 3], [], [2**62, 2, 2], [10**400]]
)
def test_shapes_that_are_none(source: Path, shape: Any) -> None:
    change(source, shape=shape)
    assert f"Zarr array {str(source)!r} can't be filtered: field shape of its header needs" in refused(source)


def test_a_header_that_states_terabytes_allocates_nothing(source: Path) -> None:
    change(source, shape=[10**6, 10**5, 10**4])
    said = refused(source)
    assert said.startswith(
        f"filter_volume can't believe the header of {str(source)!r}: it states "
        "2,000,000,000,000,000 bytes, more "
        "than the target's disk has room for. Received: "
    )


def test_chunks_that_no_memory_holds(source: Path) -> None:
    if header_of(source).name == "zarr.json":
        change(source, chunk_grid={"name": "regular", "configuration": {"chunk_shape": [10**5] * 3}})
    else:
        change(source, chunks=[10**5] * 3)
    assert refused(source) == (
        f"filter_volume needs Zarr array {str(source)!r} to have chunks that fit the memory "
        "it may use, 134,217,728 "
        "bytes. Received: chunks of (100000, 100000, 100000), 2,000,000,000,000,000 bytes each."
    )


@pytest.mark.parametrize("name", ["pickle", "numcodecs.pickle", "json2", None, 3])
def test_codecs_that_do_more_than_compute_are_never_called(source: Path, name: Any) -> None:
    if header_of(source).name == "zarr.json":
        change(source, codecs=[{"name": name, "configuration": {}}])
    else:
        change(source, filters=[{"id": name}])
    rule = (
        f"Zarr array {str(source)!r} can't be filtered: field codecs of its header need "
        "to be ones that only compute"
    )
    assert rule in refused(source)


@pytest.mark.parametrize("kind", ["|O", "object", "<U8", "<M8[s]", "complex64", "<c8", 3, None, "nonsense"])
def test_dtypes_that_are_no_numbers_of_an_image(source: Path, kind: Any) -> None:
    field = "data_type" if header_of(source).name == "zarr.json" else "dtype"
    change(source, **{field: kind})
    rule = (
        f"Zarr array {str(source)!r} can't be filtered: field {field} of its header needs "
        "to be one of bool, float16"
    )
    assert rule in refused(source)


def test_a_group_and_a_folder_are_no_arrays(tmp_path: Path) -> None:
    group = zarr.create_group(str(tmp_path / "in.zarr"))
    group.create_array("0", shape=(3, 3, 3), chunks=(3, 3, 3), dtype="uint8")
    said = refused(tmp_path / "in.zarr")
    inside = tmp_path / "in.zarr" / "0"
    assert said == (
        f"filter_volume needs a Zarr array. Received: path={str(tmp_path / 'in.zarr')!r}, "
        "which is not the folder of "
        f"one. It holds 0: name one, such as {str(inside)!r}."
    )
    filter_volume(inside, tmp_path / "out.zarr", "box")
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(FileFormatError, match="needs a Zarr array"):
        filter_volume(tmp_path / "empty.zarr", tmp_path / "other.zarr", "box")


def test_headers_with_any_byte_changed_never_lead_to_another_error(source: Path) -> None:
    header = header_of(source)
    whole = header.read_bytes()
    rng = np.random.default_rng(0)
    met = 0
    for _ in range(150):
        changed = bytearray(whole)
        for place in rng.integers(0, len(whole), 2):
            changed[place] = rng.integers(0, 256)
        header.write_bytes(bytes(changed))
        try:
            filter_volume(source, source.parent / "out.zarr", "box", overwrite=True)
        except TilewrightError as error:
            assert "in.zarr" in str(error)
            met += 1
    assert met > 50


# -- TIFF


def write_stack(path: Path, **options: Any) -> bytes:
    tifffile.imwrite(path, volume(), photometric="minisblack", metadata=None, **options)
    return path.read_bytes()


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_stack_that_is_cut_short_is_named(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "in.tif"
    whole = write_stack(path, compression=compression)
    for keep in (0, 4, 100, len(whole) // 2):
        path.write_bytes(whole[:keep])
        assert str(path) in refused(path)


def test_a_page_of_other_bytes_is_named(tmp_path: Path) -> None:
    path = tmp_path / "in.tif"
    whole = bytearray(write_stack(path, compression="zlib"))
    with tifffile.TiffFile(path) as tiff:
        start, count = tiff.pages[4].dataoffsets[0], tiff.pages[4].databytecounts[0]
    whole[start : start + count] = b"\xa5" * count
    path.write_bytes(bytes(whole))
    assert refused(path).startswith(f"TIFF file {str(path)!r} can't be read: page 5 is damaged")


def test_pages_of_different_sizes_and_a_single_page(tmp_path: Path) -> None:
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, volume((10, 11)))
    assert refused(path) == (
        f"filter_volume needs TIFF file {str(path)!r} to be a stack: several pages of one size. "
        "Received: a series of shape (10, 11) with pages of shape (10, 11)."
    )
    tifffile.imwrite(path, np.zeros((2, 3, 4, 5), "uint8"), imagej=True)
    assert "to be a stack: several pages of one size" in refused(path)
    tifffile.imwrite(path, np.zeros((3, 4, 5), "complex64"), photometric="minisblack")
    assert refused(path) == (
        f"TIFF file {str(path)!r} needs samples that are bools, integers or floats. "
        "Received: samples of dtype complex64."
    )


def test_a_description_that_states_more_pages_than_the_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, volume(), imagej=True)
    raw = path.read_bytes()
    assert b"images=9\nslices=9" in raw or b"images=9" in raw
    length = len(raw)
    path.write_bytes(raw.replace(b"images=9", b"images=8", 1))
    try:
        filter_volume(path, tmp_path / "out.tif", "box")
    except TilewrightError as error:
        assert str(path) in str(error)
    assert path.stat().st_size == length


def test_pages_that_no_memory_holds(tmp_path: Path) -> None:
    path = tmp_path / "in.tif"
    write_stack(path)
    assert refused(path, memory=200) == (
        f"filter_volume needs TIFF file {str(path)!r} to have pages that fit the memory it "
        "may use, 200 bytes. "
        "Received: pages of 220 bytes."
    )


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_stacks_with_any_byte_changed_never_lead_to_another_error(
    tmp_path: Path, compression: str | None
) -> None:
    path = tmp_path / "in.tif"
    whole = write_stack(path, compression=compression)
    with tifffile.TiffFile(path) as tiff:
        # Headers, rather than samples, of which any are as good as others.
        places = sorted({place for page in tiff.pages for place in range(page.offset, page.offset + 200)})
    places = [*range(16), *(place for place in places if place < len(whole))]
    rng = np.random.default_rng(1)
    met = 0
    for _ in range(150):
        changed = bytearray(whole)
        for place in rng.choice(places, 2):
            changed[place] = rng.integers(0, 256)
        path.write_bytes(bytes(changed))
        try:
            filter_volume(path, tmp_path / "out.tif", "box", overwrite=True)
        except TilewrightError as error:
            assert "in.tif" in str(error) or "kernel" in str(error) or "filter" in str(error)
            met += 1
    assert met > 20
