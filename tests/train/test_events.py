"""Event files: parsed back record by record and field by field, by another reading of the format."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from train.nets import tiny_images, tiny_net
from train.test_trainer import trainer_of

from tilewright.train import Trainer, TrainingInterrupted
from tilewright.train.events import PREFIX, SUFFIX, EventFile, crc32c


def slow_crc(data: bytes) -> int:
    """Polynomial division bit by bit, by the book."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 * (value & 1))
    return value ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    crc = slow_crc(data)
    return ((crc >> 15) | (crc << 17 & 0xFFFFFFFF)) + 0xA282EAD8 & 0xFFFFFFFF


def records(content: bytes) -> Iterator[bytes]:
    while content:
        length, check = struct.unpack("<QI", content[:12])
        assert check == masked(content[:8])
        data = content[12 : 12 + length]
        assert len(data) == length
        assert struct.unpack("<I", content[12 + length : 16 + length])[0] == masked(data)
        yield data
        content = content[16 + length :]


def fields(message: bytes) -> list[tuple[int, Any]]:
    """Numbers and values of a message's fields."""
    found = []
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(message):
        key = varint()
        number, kind = key >> 3, key & 7
        value: Any
        if kind == 0:
            value = varint()
        elif kind == 1:
            value = struct.unpack("<d", message[place : place + 8])[0]
            place += 8
        elif kind == 5:
            value = struct.unpack("<f", message[place : place + 4])[0]
            place += 4
        else:
            assert kind == 2
            length = varint()
            value = message[place : place + length]
            assert len(value) == length
            place += length
        found.append((number, value))
    return found


def events(path: Path) -> list[dict[int, Any]]:
    return [dict(fields(record)) for record in records(path.read_bytes())]


def scalars(event: dict[int, Any]) -> dict[str, float]:
    found = {}
    for number, value in fields(event[5]):
        assert number == 1
        parts = dict(fields(value))
        found[parts[1].decode()] = parts[2]
    return found


def only_file(run: Path) -> Path:
    (found,) = run.glob(f"{PREFIX}*{SUFFIX}")
    return found


@pytest.mark.parametrize(
    ("data", "wanted"),
    # RFC 3720, appendix B.4; and the check value that catalogues of checksums give.
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (b"123456789", 0xE3069283),
        (b"", 0),
    ],
)
def test_checksums_of_the_standard(data: bytes, wanted: int) -> None:
    assert crc32c(data) == slow_crc(data) == wanted


def test_numbers_come_back(tmp_path: Path) -> None:
    file = EventFile(tmp_path)
    file.scalars(3, {"loss/training": 0.5, "größe": -1.25})
    file.scalars(2**40 + 5, {"x": math.nan, "y": 1e300, "z": -1e300, "whole": 7})
    first, second, third = events(only_file(tmp_path))
    assert first[3] == b"brain.Event:2"
    assert (second[2], scalars(second)) == (3, {"loss/training": 0.5, "größe": -1.25})
    assert third[2] == 2**40 + 5
    found = scalars(third)
    assert math.isnan(found["x"])
    assert (found["y"], found["z"], found["whole"]) == (math.inf, -math.inf, 7.0)
    assert all(1.6e9 < event[1] < 1e11 for event in (first, second, third))  # seconds since 1970


def test_a_picture_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 30)).save(path)
    file = EventFile(tmp_path)
    file.picture(7, "curves", path.read_bytes())
    event = events(only_file(tmp_path))[1]
    ((_, value),) = fields(event[5])
    parts = dict(fields(value))
    assert parts[1] == b"curves"
    image = dict(fields(parts[4]))
    assert (image[1], image[2], image[4]) == (10, 30, path.read_bytes())


def test_a_run_writes_what_its_table_holds(tmp_path: Path) -> None:
    run = tmp_path / "run"
    trainer = Trainer(
        tiny_net(), tiny_images(), batch_size=10, epochs=2, validate_every=4, log_every=2, run_dir=run,
        progress=False, tensorboard=True,
    )  # fmt: skip
    result = trainer.fit()
    version, *rest = events(only_file(run))
    rows = [event for event in rest if 4 not in dict(fields(fields(event[5])[0][1]))]
    pictures = rest[len(rows) :]
    table = trainer.run.metrics.rows()  # type: ignore[union-attr]
    assert [event[2] for event in rows] == [row.step for row in table]
    for event, row in zip(rows, table, strict=True):
        found = scalars(event)
        # Six figures are written to the table, and float32 has seven.
        assert found["loss/training"] == pytest.approx(row.train_loss, rel=1e-5)
        assert found["learning_rate"] == pytest.approx(row.more["learning_rate"], rel=1e-5)
        assert ("accuracy/validation" in found) == (row.val_accuracy is not None)
        assert "speed/images_per_second" in found and "seconds" not in found
    assert "validation/macro_f1" in scalars(rows[-1])
    assert result.report is not None
    assert len(pictures) == len(result.report.pictures) > 0
    assert version[3] == b"brain.Event:2"


def test_a_resumed_run_says_from_where_its_events_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    clock = iter(range(1_700_000_000, 1_700_100_000, 10))
    monkeypatch.setattr("tilewright.train.events.time.time", lambda: float(next(clock)))
    with pytest.raises(TrainingInterrupted) as caught:
        trainer_of(run, stop_at=6, tensorboard=True).fit()
    trainer_of(run, tensorboard=True).fit(resume=True)
    first, second = sorted(run.glob(f"{PREFIX}*{SUFFIX}"))
    assert len(events(first)) > 1
    _, start, *later = events(second)
    assert dict(fields(start[7])) == {1: 1}
    # TensorBoard drops what earlier files have from this step on.
    assert start[2] == caught.value.step + 1
    assert later and all(event[2] > caught.value.step for event in later)
    # Beginning anew removes our event files, and no others.
    (run / "events.out.tfevents.123.host").touch()
    trainer_of(run, epochs=1).fit(overwrite=True)
    assert [path.name for path in run.glob("events*")] == ["events.out.tfevents.123.host"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a disk without room")
def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    file = EventFile(tmp_path)
    file.path = Path("/dev/full")
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        file.scalars(1, {"x": 1.0})


def test_what_is_read_here_would_see_damage(tmp_path: Path) -> None:
    file = EventFile(tmp_path)
    file.scalars(1, {"x": 1.0})
    content = bytearray(file.path.read_bytes())
    content[-6] ^= 1
    with pytest.raises(AssertionError):
        list(records(bytes(content)))
