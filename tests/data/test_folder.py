"""Folders of images by class: order, damaged files raised or skipped, and the two parts of a set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tilewright.data import (
    Augmented,
    DataLoader,
    ImageFolder,
    Standardise,
    from_folder,
    labels_of,
    read_image,
    stratified_split,
)
from tilewright.data.augment import RandomHorizontalFlip
from tilewright.errors import ArgumentError, DtypeError, FileFormatError, ShapeError, TilewrightError

Image = pytest.importorskip("PIL.Image", reason="draws image files with Pillow")


def draw(path: Path, level: int = 0, size: tuple[int, int] = (6, 5)) -> Path:
    """A picture (height, width) whose levels rise from `level`, the same in all channels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = (level + np.arange(size[0] * size[1])).reshape(size) % 256
    Image.fromarray(np.repeat(levels[..., None], 3, 2).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number, name in enumerate(("dog/2.png", "dog/10.png", "cat/a.PNG", "cat/below/b.bmp", "Zebra/z.png")):
        draw(tmp_path / "photos" / name, level=40 * number)
    (tmp_path / "photos" / "readme.txt").write_text("not a class")
    (tmp_path / "photos" / "dog" / "notes.txt").write_text("not an image")
    draw(tmp_path / "photos" / "cat" / ".hidden.png")
    draw(tmp_path / "photos" / ".cache" / "thumbnail.png")
    return tmp_path / "photos"


class TestImageFolder:
    def test_classes_and_files_are_sorted(self, photos: Path) -> None:
        data = ImageFolder(photos)
        assert data.classes == ("Zebra", "cat", "dog")
        assert data.class_to_idx == {"Zebra": 0, "cat": 1, "dog": 2}
        names = [os.path.relpath(path, photos).replace(os.sep, "/") for path, _ in data.samples]
        assert names == ["Zebra/z.png", "cat/a.PNG", "cat/below/b.bmp", "dog/10.png", "dog/2.png"]
        assert data.labels.tolist() == data.targets.tolist() == labels_of(data).tolist() == [0, 1, 1, 2, 2]
        assert len(data) == 5 and data.skipped == []
        assert repr(data) == f"ImageFolder({str(photos)!r}, classes=3, samples=5)"

    def test_samples(self, photos: Path) -> None:
        data = ImageFolder(photos)
        for number, (path, label) in enumerate(data.samples):
            image, found = data[number]
            assert np.array_equal(image, read_image(path, 3)) and found == label and type(found) is int
        assert np.array_equal(data[-1][0], data[4][0])
        with pytest.raises(IndexError):
            data[5]
        grey, _ = ImageFolder(photos, channels=1, size=(4, 3))[0]
        assert grey.shape == (1, 4, 3)
        seen = []

        def half(images: Any) -> Any:
            seen.append(images.shape)
            return images / 2

        transformed = ImageFolder(photos, half)
        assert np.array_equal(transformed[2][0], data[2][0] / 2) and seen == [(1, 3, 6, 5)]
        assert np.array_equal(transformed.without_transform()[2][0], data[2][0])

    @pytest.mark.parametrize("workers", [0, 2])
    def test_in_a_loader(self, photos: Path, workers: int) -> None:
        data = ImageFolder(photos, Standardise(0.5, 0.5))
        (images, labels), *_ = DataLoader(data, 5, num_workers=workers)
        assert images.shape == (5, 3, 6, 5) and images.dtype == np.float32 and labels.dtype == np.int64
        assert np.array_equal(images[3], data[3][0])
        flipped = Augmented(data, RandomHorizontalFlip(1.0), seed=1)
        (images, _), *_ = DataLoader(flipped, 5, num_workers=workers)
        assert np.array_equal(images[3], data[3][0][..., ::-1])

    def test_images_of_several_sizes_need_a_size(self, photos: Path) -> None:
        draw(photos / "cat" / "large.png", size=(20, 20))
        with pytest.raises(ShapeError, match="needs samples of one shape"):
            list(DataLoader(ImageFolder(photos), 6))
        (images, _), *_ = DataLoader(ImageFolder(photos, size=(8, 8)), 6)
        assert images.shape == (6, 3, 8, 8)

    def test_the_classes_of_another_folder(self, photos: Path, tmp_path: Path) -> None:
        draw(tmp_path / "test" / "dog" / "1.png")
        draw(tmp_path / "test" / "cat" / "1.png")
        train = ImageFolder(photos, classes=["dog", "cat"])
        test = ImageFolder(tmp_path / "test", classes=train.classes)
        assert train.labels.tolist() == [0, 0, 1, 1] and test.labels.tolist() == [0, 1]

    def test_it_can_be_split(self, photos: Path) -> None:
        for number in range(8):
            draw(photos / "cat" / f"{number}.png")
        one, two = stratified_split(ImageFolder(photos), [0.5, 0.5], 0)
        # 10 cats of 13 images, in parts of 7 and 6: 5.4 and 4.6, to within one.
        assert {int(np.sum(part.labels == 1)) for part in (one, two)} <= {4, 5, 6}

    def test_links_do_not_lead_in_a_circle(self, photos: Path) -> None:
        try:
            (photos / "cat" / "again").symlink_to(photos)
            (photos / "wolf").symlink_to(photos / "dog")
        except OSError:
            pytest.skip("the system makes no links here")
        data = ImageFolder(photos)
        # A class may be a link; what is below a class isn't followed.
        assert data.classes == ("Zebra", "cat", "dog", "wolf") and len(data) == 7


class TestBadFiles:
    @pytest.fixture
    def damaged(self, photos: Path) -> Path:
        (photos / "dog" / "1.png").write_bytes(b"not a picture")
        whole = draw(photos / "cat" / "cut.png", size=(60, 60)).read_bytes()
        (photos / "cat" / "cut.png").write_bytes(whole[: len(whole) // 2])
        return photos

    def test_they_are_raised_when_asked_for(self, damaged: Path) -> None:
        data = ImageFolder(damaged)
        assert len(data) == 7
        for number, (path, _) in enumerate(data.samples):
            if path.endswith(("1.png", "cut.png")):
                with pytest.raises(FileFormatError) as error:
                    data[number]
                assert path in str(error.value)
        with pytest.raises(FileFormatError) as error:
            list(DataLoader(ImageFolder(damaged, size=(5, 5)), 7, num_workers=2))
        assert error.value.__notes__ == [
            "DataLoader was making batch 0 of epoch 0, with sample 3 of the data set."
        ]

    def test_they_are_skipped_and_reported(self, damaged: Path) -> None:
        with pytest.warns(UserWarning, match="2 of 7 image files can't be read and are left out") as said:
            data = ImageFolder(damaged, bad_files="skip")
        assert len(data) == len(data.labels) == 5
        assert [os.path.basename(bad.path) for bad in data.skipped] == ["cut.png", "1.png"]
        assert "none of these" in data.skipped[1].reason and all(bad.reason for bad in data.skipped)
        assert os.path.basename(__file__) == os.path.basename(said[0].filename)
        for number in range(5):
            data[number]

    def test_only_a_few_are_named(self, photos: Path) -> None:
        for number in range(5):
            (photos / "dog" / f"bad{number}.png").write_bytes(b"")
        with pytest.warns(UserWarning) as said:
            data = ImageFolder(photos, bad_files="skip")
        assert str(said[0].message).count("bad") == 3 and str(said[0].message).endswith("; …")
        assert len(data.skipped) == 5

    def test_a_class_of_nothing_else_is_refused(self, photos: Path) -> None:
        (photos / "Zebra" / "z.png").write_bytes(b"")
        with pytest.warns(UserWarning), pytest.raises(ArgumentError) as error:
            ImageFolder(photos, bad_files="skip")
        assert str(error.value) == (
            "ImageFolder needs at least one image that can be read in each class. Received: none in Zebra."
        )


class TestFromFolder:
    def test_a_share_of_each_class_is_held_out(self, photos: Path) -> None:
        for name in ("cat", "dog", "Zebra"):
            for number in range(20):
                draw(photos / name / f"{number}.jpg", level=10 * number)
        data = from_folder(photos, (6, 5), channels=1, held_out=0.25, seed=3)
        total = len(ImageFolder(photos))
        assert len(data.train) + len(data.test) == total
        shares = np.bincount(data.test.labels) / np.bincount(labels_of(ImageFolder(photos)))
        assert (abs(shares - 0.25) < 0.06).all()
        assert data.classes == ("Zebra", "cat", "dog") and data.image_shape == (1, 6, 5)
        assert data.name == "photos" and data.train.images.dtype == np.uint8
        assert data.mean == pytest.approx((data.train.images / 255).mean())
        assert data.std == pytest.approx((data.train.images / 255).std())
        image, label = data.test[0]
        assert image.dtype == np.float32 and isinstance(label, np.int64)
        again = from_folder(photos, (6, 5), channels=1, held_out=0.25, seed=3)
        assert np.array_equal(again.test.images, data.test.images)
        other = from_folder(photos, (6, 5), channels=1, held_out=0.25, seed=4)
        assert not np.array_equal(other.test.images, data.test.images)

    @pytest.mark.parametrize("name", ["test", "val", "valid", "validation"])
    def test_two_folders_are_the_two_parts(self, tmp_path: Path, name: str) -> None:
        for part, level in (("train", 0), (name, 100)):
            for label in ("a", "b"):
                draw(tmp_path / part / label / "1.png", level)
        draw(tmp_path / "train" / "b" / "2.png", 50)
        data = from_folder(tmp_path, (6, 5))
        assert len(data.train) == 3 and len(data.test) == 2 and data.image_shape == (3, 6, 5)
        # 8-bit pixels of the right size come through exactly.
        assert data.test.images[0, 0].ravel().tolist() == list(range(100, 130))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (
                {"held_out": 1.0},
                "from_folder needs held_out to be a number above 0 and below 1. Received: held_out=1.0.",
            ),
            (
                {"size": None},
                "from_folder needs the size that all images are resized to. Received: size=None.",
            ),
            (
                {"seed": "one"},
                "from_folder needs seed to be an integer from 0 to 2**63 - 1. Received: seed='one'.",
            ),
            ({"size": (0, 5)}, "read_image needs size to be (height, width), both at least 1"),
            (
                {"channels": 4},
                "ImageFolder needs channels to be 1 (grey) or 3 (colour). Received: channels=4.",
            ),
            (
                {"held_out": 0.01},
                "from_folder needs enough images to hold some out. Received: 5 to learn from and 0 held out.",
            ),
        ],
    )
    def test_refusals(self, photos: Path, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ArgumentError) as error:
            from_folder(photos, **{"size": (6, 5), **options})
        assert str(error.value).startswith(message)

    def test_refuses_what_is_no_path(self) -> None:
        with pytest.raises(DtypeError) as error:
            from_folder(None, (6, 5))  # type: ignore[arg-type]
        assert str(error.value) == (
            "from_folder needs root to be a path, a str or os.PathLike. Received: root=None."
        )

    def test_one_grey(self, tmp_path: Path) -> None:
        for number in range(4):
            path = tmp_path / "a" / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.new("L", (4, 4), 7).save(path)
        with pytest.raises(ArgumentError) as error:
            from_folder(tmp_path, (4, 4), held_out=0.5)
        assert str(error.value) == (
            "from_folder needs images that aren't all one grey. Received: level 7 in every pixel."
        )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda root: ImageFolder(root / "none"),
            "ImageFolder needs a folder that exists. Received: root=",
        ),
        (
            lambda root: ImageFolder(root / "readme.txt"),
            "ImageFolder needs a folder that exists. Received: root=",
        ),
        (
            lambda root: ImageFolder(root / "Zebra"),
            "ImageFolder needs a folder for each class, with images in it. Received: root=",
        ),
        (
            lambda root: ((root / "bare").mkdir(), ImageFolder(root)),
            "ImageFolder needs images (.bmp, ",
        ),
        (
            lambda root: ImageFolder(root, bad_files="ignore"),
            "ImageFolder needs bad_files to be 'raise' or 'skip'. Received: bad_files='ignore'.",
        ),
        (
            lambda root: ImageFolder(root, channels=2),
            "ImageFolder needs channels to be 1 (grey) or 3 (colour). Received: channels=2.",
        ),
        (
            lambda root: ImageFolder(root, classes=["cat", "cow"]),
            "ImageFolder needs classes to be names of folders in ",
        ),
        (
            lambda root: ImageFolder(root, classes="cat"),
            "ImageFolder needs classes to be names of folders in ",
        ),
        (lambda root: ImageFolder(root, classes=[]), "ImageFolder needs classes to be names of folders in "),
        (lambda root: ImageFolder(root, classes=[3]), "ImageFolder needs classes to be names of folders in "),
    ],
)
def test_refusals(photos: Path, build: Any, message: str) -> None:
    with pytest.raises(TilewrightError) as error:
        build(photos)
    assert str(error.value).startswith(message) and "Received:" in str(error.value)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may read everything")
def test_folders_that_may_not_be_read(photos: Path) -> None:
    for locked, message in (
        (photos, "a folder that may be read"),
        (photos / "cat", "folders that may be read"),
    ):
        locked.chmod(0)
        try:
            with pytest.raises(ArgumentError, match=f"ImageFolder needs {message}"):
                ImageFolder(photos)
        finally:
            locked.chmod(0o755)
