"""``tilewright predict``: numbers and masks, and files that hold many samples."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli.commands import Command
from PIL import Image

from tilewright.autograd.create import as_tensor
from tilewright.data import Standardise, read_image
from tilewright.errors import ArgumentError, ShapeError
from tilewright.train import Predictor, checkpoint
from tilewright.train.mask_files import write_mask
from tilewright.train.rebuild import rebuild

COLUMNS = ["area", "floor", "age", "price", "light"]
DRAW = np.random.default_rng(0)
ROOMS = DRAW.random((40, 5)).round(3)
SCENES = DRAW.integers(0, 256, (24, 8, 12), dtype=np.uint8)


def write_table(path: Path, rows: Any, columns: list[str]) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *np.asarray(rows).tolist()])
    return path


@pytest.fixture(scope="module")
def rooms(tilewright: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, and a run that has learnt its third of four features' neighbour, the price."""
    folder = tmp_path_factory.mktemp("rooms")
    table = write_table(folder / "rooms.csv", ROOMS, COLUMNS)
    ended = tilewright(
        "train", "--data", table, "--target", "price", "--task", "regress", "--input", "1,2,2", "--epochs", 2,
        "--out", folder / "run", "--quiet", "--no-pictures",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    return folder


@pytest.fixture(scope="module")
def scenes(tilewright: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures of 8×12 and 24×24, and a run that has learnt which pixels are light."""
    folder = tmp_path_factory.mktemp("scenes")
    np.savez(folder / "learn.npz", images=SCENES, masks=(SCENES > 128).astype(np.uint8))
    Image.fromarray(SCENES[0]).save(folder / "small.png")
    Image.fromarray(SCENES[1].repeat(3, axis=0).repeat(2, axis=1)).save(folder / "large.png")
    ended = tilewright(
        "train", "--data", folder / "learn.npz", "--model", "unet", "--model-options",
        "base=4,levels=1,norm=true", "--epochs", 12, "--lr", 0.02,
        "--batch-size", 4, "--optimizer", "adam", "--out", folder / "run", "--quiet", "--no-pictures",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    return folder


def said(run: Path, samples: Any) -> Any:
    """What the network says of samples as they lie in their file."""
    model, config = rebuild(run / "model.safetensors")
    return model(as_tensor(Standardise(config.data.mean, config.data.std)(samples))).detach().numpy()


def test_a_table_gives_a_number_for_each_row(tilewright: Command, rooms: Path) -> None:
    features = ROOMS[:, [0, 1, 2, 4]].astype(np.float32)
    wanted = said(rooms / "run", features.reshape(-1, 1, 2, 2)).ravel()
    found = tilewright("predict", rooms / "run", rooms / "rooms.csv", "--json").json
    assert [entry["row"] for entry in found["images"]] == list(range(1, 41))
    assert {entry["file"] for entry in found["images"]} == {str(rooms / "rooms.csv")}
    values = np.array([entry["values"] for entry in found["images"]])
    assert values.shape == (40, 1)
    # To the bit: as many digits are printed as tell one float32 from the next.
    assert values[:, 0].astype(np.float32).tobytes() == wanted.tobytes()
    printed = tilewright("predict", rooms / "run", rooms / "rooms.csv", "--csv")
    table = list(csv.reader(io.StringIO(printed.out)))
    assert table[0] == ["file", "row", "value"]
    assert [[float(value), int(row)] for _, row, value in table[1:]] == [
        [value, row] for row, value in enumerate(values[:, 0].tolist(), 1)
    ]
    lines = tilewright("predict", rooms / "run", rooms / "rooms.csv").out.splitlines()
    assert len(lines) == 40
    name, number = lines[6].split()
    assert name == f"{rooms / 'rooms.csv'}:7" and float(number) == pytest.approx(values[6, 0], rel=1e-5)


def test_the_targets_column_may_be_missing(tilewright: Command, rooms: Path, tmp_path: Path) -> None:
    without = write_table(tmp_path / "new.csv", ROOMS[:3, [0, 1, 2, 4]], ["area", "floor", "age", "light"])
    # A price that isn't known yet doesn't matter, and neither does the order of the columns.
    unknown = tmp_path / "unknown.csv"
    lines = "".join(f"?,{light},{area},north,{age},{floor}\n" for area, floor, age, _, light in ROOMS[:3])
    unknown.write_text(f"price,light,area,side,age,floor\n{lines}")
    values = [
        [entry["values"] for entry in tilewright("predict", rooms / "run", path, "--json").json["images"]]
        for path in (rooms / "rooms.csv", without, unknown)
    ]
    assert values[0][:3] == values[1] == values[2]


def test_an_archive_gives_each_of_its_samples(tilewright: Command, rooms: Path, tmp_path: Path) -> None:
    features = ROOMS[:, [0, 1, 2, 4]].astype(np.float32).reshape(-1, 1, 2, 2)
    np.savez(tmp_path / "new.npz", x=features)
    found = tilewright("predict", rooms / "run", tmp_path / "new.npz", "--json").json["images"]
    table = tilewright("predict", rooms / "run", rooms / "rooms.csv", "--json").json["images"]
    assert [entry["values"] for entry in found] == [entry["values"] for entry in table]


def test_a_picture_gives_its_numbers(tilewright: Command, tmp_path: Path) -> None:
    targets = np.stack([SCENES.mean(axis=(1, 2)), SCENES[:, 0, 0]], axis=1).astype(np.float32) / 255
    np.savez(tmp_path / "learn.npz", images=SCENES, targets=targets)
    run = tmp_path / "run"
    options = ("--data", tmp_path / "learn.npz", "--epochs", 1, "--out", run, "--quiet", "--no-pictures")
    assert tilewright("train", *options).code == 0
    Image.fromarray(SCENES[0]).save(tmp_path / "one.png")
    wanted = said(run, SCENES[:1, None])[0]
    found = tilewright("predict", run, tmp_path / "one.png", "--json").json["images"]
    assert list(found[0]) == ["file", "values"]
    assert np.array(found[0]["values"], np.float32).tobytes() == wanted.tobytes()
    assert Predictor.open(run).numbers_of_file(tmp_path / "one.png").tobytes() == wanted.tobytes()
    # Light pictures are taken as they are, unless one asks for more.
    other = tilewright("predict", run, tmp_path / "one.png", "--json", "--invert", "yes").json["images"]
    assert other[0]["values"] != found[0]["values"]
    printed = tilewright("predict", run, tmp_path / "one.png", "--csv").out.splitlines()
    assert printed[0] == "file,row,value_1,value_2"
    assert printed[1].split(",")[:2] == [str(tmp_path / "one.png"), ""]


def test_a_picture_gives_a_mask_of_its_own_size(tilewright: Command, scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "masks"
    files = (scenes / "small.png", scenes / "large.png")
    found = tilewright("predict", scenes / "run", *files, "--out", out, "--json").json["images"]
    assert [entry["mask"] for entry in found] == [str(out / f"{path.stem}-mask.png") for path in files]
    small, large = (Image.open(entry["mask"]) for entry in found)
    assert (small.mode, small.format, small.size, large.size) == ("P", "PNG", (12, 8), (24, 24))
    wanted = said(scenes / "run", SCENES[:1, None]).argmax(axis=1)
    assert np.array_equal(np.asarray(small), wanted[0])
    # The large one is shrunk before the network sees it, and the mask enlarged by whole pixels.
    shrunk = said(scenes / "run", read_image(files[1], 1, (8, 12))[None])[0].argmax(axis=0)
    assert np.array_equal(np.asarray(large), shrunk.repeat(3, axis=0).repeat(2, axis=1))
    # It has learnt something: nearly all pixels are as they should be.
    assert np.mean(wanted[0] == (SCENES[0] > 128)) > 0.9
    # For people, the second class is white.
    assert set(np.unique(np.asarray(small.convert("L")))) == {0, 255}
    shares = {part["class"]: part["share"] for part in found[0]["shares"]}
    assert shares == {"0": np.mean(wanted[0] == 0), "1": np.mean(wanted[0] == 1)}
    predictor = Predictor.open(scenes / "run")
    assert predictor.task == "segment"
    assert np.array_equal(predictor.mask_of_file(files[0]), wanted[0])


def test_pictures_may_keep_their_size(tilewright: Command, scenes: Path, tmp_path: Path) -> None:
    command = ("predict", scenes / "run", scenes / "large.png", "--out", tmp_path, "--overwrite", "--json")
    kept = np.asarray(Image.open(tilewright(*command, "--keep-size").json["images"][0]["mask"]))
    pixels = np.asarray(Image.open(scenes / "large.png"))
    assert np.array_equal(kept, said(scenes / "run", pixels[None, None])[0].argmax(axis=0))
    resized = np.asarray(Image.open(tilewright(*command).json["images"][0]["mask"]))
    assert kept.shape == resized.shape and not np.array_equal(kept, resized)
    # One pixel can't be halved.
    Image.fromarray(pixels[:1, :1]).save(tmp_path / "dot.png")
    ended = tilewright("predict", scenes / "run", tmp_path / "dot.png", "--out", tmp_path, "--keep-size")
    assert ended.code == 2
    assert "unet needs an image of at least 2×2. Received: input with shape (1, 1, 1, 1)" in ended.only_error


def test_masks_are_listed_as_text_and_as_a_table(tilewright: Command, scenes: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", images=SCENES[:2])
    ended = tilewright("predict", scenes / "run", tmp_path / "two.npz", "--out", tmp_path)
    lines = [line.split() for line in ended.out.splitlines()]
    assert [words[0] for words in lines] == [f"{tmp_path / 'two.npz'}:{row}" for row in (1, 2)]
    assert [words[1] for words in lines] == [str(tmp_path / f"two-{row}-mask.png") for row in (1, 2)]
    assert sum(float(word) for word in lines[0][3::3]) == pytest.approx(100, abs=0.02)
    table = tilewright(
        "predict", scenes / "run", tmp_path / "two.npz", "--out", tmp_path, "--csv", "--overwrite", "--top", 1
    )
    rows = list(csv.reader(io.StringIO(table.out)))
    assert rows[0] == ["file", "row", "mask", "class", "share"]
    assert [(row[1], row[2]) for row in rows[1:]] == [
        (str(row), str(tmp_path / f"two-{row}-mask.png")) for row in (1, 2)
    ]


def test_no_picture_is_replaced_unasked(tilewright: Command, scenes: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(SCENES[0]).save(tmp_path / name / "same.png")
    command = ("predict", scenes / "run", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "out")
    assert tilewright(*command).code == 0
    written = ["same-mask-2.png", "same-mask.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == written
    before = (tmp_path / "out" / "same-mask.png").stat().st_mtime_ns
    ended = tilewright(*command)
    assert ended.code == 2 and ended.out == ""
    place = str(tmp_path / "out" / "same-mask.png")
    assert ended.err.splitlines()[0] == (
        f"error: A mask needs a file of its own. Received: {place!r}, which is there already. Replace it "
        "(overwrite), or choose another folder."
    )
    assert (tmp_path / "out" / "same-mask.png").stat().st_mtime_ns == before
    assert tilewright(*command, "--overwrite").code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == written


def test_classes_as_a_table(tilewright: Command, digits_run: Path) -> None:
    sample = digits_run / "samples" / "test-0.png"
    rows = list(csv.reader(io.StringIO(tilewright("predict", digits_run, sample, "--csv").out)))
    answers = tilewright("predict", digits_run, sample, "--json").json["images"][0]["answers"]
    assert rows[0] == ["file", "row", "class", "probability"]
    assert [(name, float(share)) for _, _, name, share in rows[1:]] == [
        (entry["class"], entry["probability"]) for entry in answers
    ]
    ended = tilewright("predict", digits_run, sample, "--csv", "--json")
    assert ended.code == 2
    assert "--csv and --json are two forms of the same: choose one of them." in ended.err


def test_files_that_do_not_suit_the_network(tilewright: Command, rooms: Path, tmp_path: Path) -> None:
    run = rooms / "run"
    narrow = write_table(tmp_path / "narrow.csv", ROOMS[:, :3], COLUMNS[:3])
    (tmp_path / "empty.csv").touch()
    np.savez(tmp_path / "other.npz", pictures=SCENES)
    np.savez(tmp_path / "wide.npz", x=ROOMS)
    np.savez(tmp_path / "number.npz", x=np.float32(3))
    expected = {
        narrow: "needs a column named 'light'. Received: columns area, floor, age.",
        tmp_path / "empty.csv": "needs a first line that names the columns. Received: an empty file.",
        tmp_path / "other.npz": "needs an array called images, x, data, x_test or test_images. Received: "
        "arrays called pictures.",
        tmp_path / "wide.npz": "needs samples of the shape (1, 2, 2). Received: samples with shape (40, 5)",
        tmp_path / "number.npz": "needs samples of the shape (1, 2, 2). Received: samples with shape ()",
        tmp_path / "missing.csv": "missing.csv",
    }
    for path, words in expected.items():
        ended = tilewright("predict", run, path)
        assert ended.code == 2
        assert words in ended.only_error and path.name in ended.only_error
    # The others are done.
    ended = tilewright("predict", run, narrow, rooms / "rooms.csv")
    assert ended.code == 1 and len(ended.out.splitlines()) == 40


def test_networks_for_other_samples_take_no_pictures(
    tilewright: Command, scenes: Path, tmp_path: Path
) -> None:
    sequences, labels = DRAW.random((12, 2, 9), np.float32), np.arange(12) % 2
    np.savez(tmp_path / "learn.npz", x=sequences, y=labels)
    run = tmp_path / "run"
    ended = tilewright(
        "train", "--data", tmp_path / "learn.npz", "--model", "tcn", "--input", "2,9", "--epochs", 1,
        "--out", run, "--quiet", "--no-pictures",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    ended = tilewright("predict", run, scenes / "small.png")
    assert ended.code == 2
    assert ended.only_error == (
        "error: Predicting from image files needs a network for grey or colour pictures, (1 or 3, height, "
        "width). Received: image_shape=(2, 9). Samples of other shapes come in an .npz archive or a .csv "
        "table."
    )
    found = tilewright("predict", run, tmp_path / "learn.npz", "--json").json["images"]
    likely = said(run, sequences).astype(np.float64)
    assert [entry["answers"][0]["class"] for entry in found] == [str(row.argmax()) for row in likely]


def test_what_was_learnt_decides_what_can_be_asked(rooms: Path, scenes: Path) -> None:
    numbers, masks = Predictor.open(rooms / "run"), Predictor.open(scenes / "run")
    for call, name, wanted, task in (
        (numbers.of_file, "of_file", "classify", "regress"),
        (numbers.mask_of_file, "mask_of_file", "segment", "regress"),
        (masks.numbers_of_file, "numbers_of_file", "regress", "segment"),
    ):
        with pytest.raises(ArgumentError) as error:
            call(scenes / "small.png")
        assert str(error.value) == (
            f"Predictor.{name} needs a network that was trained to {wanted}. Received: task={task!r}."
        )
    with pytest.raises(ShapeError) as refused:
        masks.mask(np.zeros((2, 5), np.float32))
    assert str(refused.value).startswith("A mask needs logits (classes, height, width). Received: logits")


def test_samples_of_other_sizes_follow_one_another(scenes: Path) -> None:
    predictor = Predictor.open(scenes / "run")
    files = [scenes / name for name in ("small.png", "large.png", "large.png", "small.png")]
    samples = [predictor.picture(path, keep_size=True) for path in files]
    together = list(predictor.outputs(samples))
    alone = [next(predictor.outputs([sample])) for sample in samples]
    assert [found.shape for found in together] == [(2, 8, 12), (2, 24, 24), (2, 24, 24), (2, 8, 12)]
    assert [found.tobytes() for found in together] == [found.tobytes() for found in alone]
    assert list(predictor.outputs([])) == []


def test_a_mask_of_many_classes_has_many_colours(tmp_path: Path) -> None:
    mask = np.arange(12).reshape(3, 4)
    with Image.open(write_mask(tmp_path / "mask.png", mask, 12)) as image:
        assert np.array_equal(np.asarray(image), mask)
        colours = np.asarray(image.convert("RGB")).reshape(12, 3)
    assert colours[0].tolist() == [0, 0, 0] and colours[1].tolist() == [0x00, 0x72, 0xB2]
    assert len(np.unique(colours[:8], axis=0)) == 8 and (colours[8] == colours[1]).all()
    with pytest.raises(ArgumentError, match=r"^A mask file has room for 256 classes\. Received: 257 classes"):
        write_mask(tmp_path / "more.png", mask, 257)


def test_masks_with_too_few_names_are_refused(tilewright: Command, scenes: Path, tmp_path: Path) -> None:
    found = checkpoint.load(scenes / "run" / "model.safetensors")
    found.state["config"]["data"]["classes"] = ["only"]
    checkpoint.save(tmp_path / "model.safetensors", found.tensors, found.state)
    ended = tilewright("predict", tmp_path, scenes / "small.png", "--out", tmp_path / "out")
    assert ended.code == 2
    assert "A segmenting network's file needs a name for each of its classes." in ended.only_error
    assert not (tmp_path / "out").exists()
