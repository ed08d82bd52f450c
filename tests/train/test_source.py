"""Data as the command names it: folders, archives, tables; what is guessed, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tilewright.errors import ArgumentError, DtypeError, FileFormatError, ShapeError
from tilewright.train.source import load_source, read_samples, task_for

DRAW = np.random.default_rng(0)
GREY = DRAW.integers(0, 256, (30, 6, 5), dtype=np.uint8)
LABELS = np.arange(30) % 3


def saved(folder: Path, **arrays: Any) -> Path:
    path = folder / "set.npz"
    np.savez(path, **arrays)
    return path


def test_named_data_sets() -> None:
    assert load_source("digits", None).name == "digits"
    with pytest.raises(
        ArgumentError, match=r"Training needs the name of a data set, or a path to one's own data"
    ):
        load_source(None, None)


def test_a_folder_of_images_by_class(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(5):
            pixels = DRAW.integers(0, 256, (9, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    found = load_source(None, tmp_path / "photos", input_shape=(3, 8, 8), held_out=0.4)
    assert (found.classes, found.image_shape, len(found.train), len(found.test)) == (
        ("cat", "dog"),
        (3, 8, 8),
        6,
        4,
    )
    assert task_for(found) == "classify"
    with pytest.raises(
        ArgumentError, match=r"A folder of images needs the shape .* Name it, as in --input 3,32,32"
    ):
        load_source(None, tmp_path / "photos")
    with pytest.raises(ArgumentError, match=r"\(1 or 3, height, width\)\. Received: input=\(2, 8, 8\)\."):
        load_source(None, tmp_path / "photos", input_shape=(2, 8, 8))


@pytest.mark.parametrize(
    ("x", "y"), [("images", "labels"), ("x", "y"), ("data", "target"), ("images", "targets")]
)
def test_an_archive_of_one_part_is_split_by_class(tmp_path: Path, x: str, y: str) -> None:
    found = load_source(None, saved(tmp_path, **{x: GREY, y: LABELS}), held_out=0.2, seed=3)
    assert (found.name, found.image_shape, found.classes) == ("set", (1, 6, 5), ("0", "1", "2"))
    assert np.bincount(found.test.labels).tolist() == [2, 2, 2]
    assert (len(found.train), len(found.test)) == (24, 6)
    again = load_source(None, saved(tmp_path, **{x: GREY, y: LABELS}), held_out=0.2, seed=3)
    assert (again.test.labels == found.test.labels).all()
    images, _ = found.train.take_batch(np.arange(24))  # type: ignore[attr-defined]
    assert abs(images.mean()) < 1e-4 and images.std() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
    ],
)
def test_an_archive_of_two_parts_keeps_them(tmp_path: Path, names: tuple[str, ...]) -> None:
    parts = (GREY[:20], LABELS[:20], GREY[20:], LABELS[20:].astype(np.uint8))
    found = load_source(None, saved(tmp_path, **dict(zip(names, parts, strict=True))))
    assert (len(found.train), len(found.test)) == (20, 10)
    assert (found.test.images == GREY[20:, None]).all()
    assert found.test.labels.dtype == np.int64


def test_channels_at_the_end_move_to_the_front(tmp_path: Path) -> None:
    colour = DRAW.integers(0, 256, (8, 6, 5, 3), dtype=np.uint8)
    found = load_source(None, saved(tmp_path, images=colour, labels=LABELS[:8]))
    assert found.image_shape == (3, 6, 5)
    first = load_source(None, saved(tmp_path, images=np.moveaxis(colour, -1, 1), labels=LABELS[:8]))
    assert (first.test.images == found.test.images).all()
    # Three rows and three channels at once: the first axis is taken for the channels.
    odd = load_source(None, saved(tmp_path, images=colour[:, :3], labels=LABELS[:8]))
    assert odd.image_shape == (3, 5, 3)


def test_a_shape_that_is_told_counts(tmp_path: Path) -> None:
    flat = DRAW.random((20, 36)).astype(np.float32)
    found = load_source(None, saved(tmp_path, x=flat, y=LABELS[:20]), input_shape=(1, 6, 6))
    assert found.image_shape == (1, 6, 6)
    rows = load_source(None, saved(tmp_path, x=flat, y=LABELS[:20]), input_shape=(1, 36))
    assert tuple(rows.image_shape) == (1, 36)
    with pytest.raises(ShapeError, match=r"needs samples of the shape \(1, 5, 5\)\."):
        load_source(None, saved(tmp_path, x=flat, y=LABELS[:20]), input_shape=(1, 5, 5))
    with pytest.raises(
        ShapeError, match=r"samples with channels and at least one more axis\. .* --input 1,28,28"
    ):
        load_source(None, saved(tmp_path, x=flat, y=LABELS[:20]))


def test_numbers_and_masks_are_recognised(tmp_path: Path) -> None:
    numbers = load_source(None, saved(tmp_path, images=GREY, targets=DRAW.random((30, 2))))
    assert task_for(numbers) == "regress"
    assert (numbers.classes, numbers.test.labels.dtype) == ((), np.float32)
    masks = load_source(None, saved(tmp_path, images=GREY, masks=(GREY > 99).astype(np.uint8)))
    assert task_for(masks) == "segment"
    assert masks.classes == ("0", "1")
    truths = load_source(None, saved(tmp_path, images=GREY, masks=GREY > 99))
    assert truths.test.labels.dtype == np.int64


def test_integers_that_are_no_levels_are_numbers(tmp_path: Path) -> None:
    found = load_source(None, saved(tmp_path, images=GREY.astype(np.int32) * 100, labels=LABELS))
    assert found.test.images.dtype == np.float32
    assert found.mean == pytest.approx(GREY.mean() * 100, rel=0.1)


def table(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text)
    return path


def squares(rows: int = 10, last: str = "kind") -> str:
    head = ",".join(["a", "b", "c", "d", last])
    body = [",".join(f"{value:.3f}" for value in DRAW.random(4)) + f",{row % 2}" for row in range(rows)]
    return "\n".join([head, *body])


def test_a_table_whose_rows_are_square_pictures(tmp_path: Path) -> None:
    found = load_source(None, table(tmp_path, squares()), held_out=0.2)
    assert (found.image_shape, found.classes, len(found.test)) == ((1, 2, 2), ("0", "1"), 2)
    assert task_for(found) == "classify"
    longer = load_source(None, table(tmp_path, squares()), input_shape=(1, 4))
    assert tuple(longer.image_shape) == (1, 4)


def test_a_table_of_numbers(tmp_path: Path) -> None:
    found = load_source(None, table(tmp_path, squares()), task="regress")
    assert found.test.labels.dtype == np.float32
    assert task_for(found) == "regress"


def test_the_column_to_be_said(tmp_path: Path) -> None:
    text = "label,a,b,c,d\n" + "\n".join(f"{row % 2},1,{row},3,4" for row in range(10))
    assert load_source(None, table(tmp_path, text)).classes == ("0", "1")
    named = load_source(None, table(tmp_path, squares(last="price")), target="price", task="regress")
    assert named.test.labels.dtype == np.float32
    with pytest.raises(ArgumentError, match=r"needs a column named 'cost'\."):
        load_source(None, table(tmp_path, squares()), target="cost")


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ({"a": GREY}, FileFormatError, r"needs arrays called x_train, .* Received: arrays called a\."),
        ({"images": GREY, "labels": LABELS[:9]}, FileFormatError, r"needs as many labels as samples\."),
        (
            {"images": GREY[:0], "labels": LABELS[:0]},
            ArgumentError,
            r"needs enough samples to hold some out\.",
        ),
        (
            {"images": GREY[:1], "labels": LABELS[:1]},
            ArgumentError,
            r"enough samples to hold some out\. Received: [01] to learn from and [01] held out",
        ),
        (
            {"images": np.zeros((9, 4, 4)), "labels": LABELS[:9]},
            FileFormatError,
            r"numbers that aren't all one\.",
        ),
        (
            {"images": np.full((9, 4, 4), np.nan), "labels": LABELS[:9]},
            FileFormatError,
            r"finite numbers that",
        ),
        ({"images": GREY.astype(complex), "labels": LABELS}, DtypeError, r"needs samples of real numbers\."),
        (
            {"images": GREY, "labels": LABELS.astype(complex)},
            DtypeError,
            r"needs labels that are real numbers\.",
        ),
        (
            {"x_train": GREY, "y_train": LABELS, "x_test": GREY[:, :4], "y_test": LABELS},
            FileFormatError,
            r"samples of one shape in both parts\. Received: shapes \(1, 6, 5\) and \(1, 4, 5\)\.",
        ),
        (
            {"x_train": GREY, "y_train": LABELS[:3], "x_test": GREY, "y_test": LABELS},
            FileFormatError,
            r"needs as many labels as samples in each part, at least one\.",
        ),
    ],
)
def test_archives_that_are_refused(tmp_path: Path, arrays: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        load_source(None, saved(tmp_path, **arrays))


def test_other_refusals(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"path='.*x\.txt', where nothing is\."):
        load_source(None, tmp_path / "x.txt")
    (tmp_path / "x.txt").touch()
    with pytest.raises(ArgumentError, match=r"Data of one's own is a folder .* Received: path='.*x\.txt'\."):
        load_source(None, tmp_path / "x.txt")
    for share in (0, 1, True, "half", float("nan")):
        with pytest.raises(ArgumentError, match=r"needs held_out to be a number above 0 and below 1\."):
            load_source(None, tmp_path / "x.npz", held_out=share)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"CsvDataset needs a file that exists\."):
        load_source(None, tmp_path / "x.csv")
    with pytest.raises(ArgumentError, match=r"read_npz needs a file that exists\."):
        load_source(None, tmp_path / "x.npz")
    with pytest.raises(
        ArgumentError, match=r"unless they make a square picture\. Received: 3 columns of features"
    ):
        load_source(None, table(tmp_path, "a,b,c,kind\n1,2,3,x\n4,5,6,y\n"))
    with pytest.raises(
        ArgumentError, match=r"as many numbers as a row has features, 4\. Received: input=\(1, 3, 3"
    ):
        load_source(None, table(tmp_path, squares()), input_shape=(1, 3, 3))
    with pytest.raises(FileFormatError, match=r"an empty file"):
        load_source(None, table(tmp_path, ""))
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(FileFormatError, match=r"bad\.npz'"):
        load_source(None, tmp_path / "bad.npz")


def test_channels_at_the_end_move_forward_whether_the_shape_is_named_or_not(tmp_path: Path) -> None:
    colours = DRAW.integers(0, 256, (30, 6, 5, 3), dtype=np.uint8)
    path = saved(tmp_path, images=colours, labels=LABELS)
    for shape in (None, (3, 6, 5)):
        found = load_source(None, path, input_shape=shape)
        assert found.image_shape == (3, 6, 5)
        assert any(np.array_equal(found.test.images[0], np.moveaxis(image, -1, 0)) for image in colours)
    assert np.array_equal(read_samples(path, (3, 6, 5)), np.moveaxis(colours, -1, 1))


def test_the_columns_of_a_table_are_known_to_those_who_use_it(tmp_path: Path) -> None:
    path = tmp_path / "rooms.csv"
    path.write_text("area,price,age\n" + "".join(f"{n},{2 * n},{n * n}\n" for n in range(10)))
    found = load_source(None, path, task="regress", input_shape=(1, 1, 2), target="price")
    assert found.columns == ("area", "age")
    assert read_samples(path, (1, 2), found.columns)[3].tolist() == [[3.0, 9.0]]
    assert read_samples(path, (1, 2), ("age", "area"))[3].tolist() == [[9.0, 3.0]]
    assert read_samples(path, (3,)).tolist()[2] == [2.0, 4.0, 4.0]
    with pytest.raises(FileFormatError) as error:
        read_samples(path, (1, 2))
    assert str(error.value) == (
        f"Table {str(path)!r} needs as many columns as a sample has numbers, 2. Received: 3 columns."
    )
    assert load_source("digits", None).columns == ()
