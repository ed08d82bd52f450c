"""Each augmentation by hand, beside plain Python, in any batch, at its edges, and its refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewright.data.augment import (
    AUGMENTATIONS,
    Augmentation,
    ColorJitter,
    Compose,
    Cutout,
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
    RandomShift,
    RandomVerticalFlip,
    from_words,
)
from tilewright.errors import ArgumentError, DtypeError, ShapeError, TilewrightError

ALL: dict[str, Augmentation] = {
    "flip": RandomHorizontalFlip(),
    "vertical flip": RandomVerticalFlip(0.3),
    "shift": RandomShift(3),
    "crop": RandomCrop((5, 7), padding=2),
    "reflecting crop": RandomCrop(6, padding=(1, 2, 3, 0), padding_mode="reflect"),
    "rotation": RandomRotation(25),
    "jitter": ColorJitter(0.4, 0.4),
    "cutout": Cutout((3, 4), p=0.7),
    "all": Compose(
        [RandomCrop(8, 1), RandomRotation(10), RandomHorizontalFlip(), ColorJitter(0.1), Cutout(2)]
    ),
    "none": Compose([]),
}
MOVES = ("flip", "vertical flip", "shift", "crop", "reflecting crop", "rotation")


def pictures(count: int, channels: int = 3, dtype: Any = np.uint8, size: tuple[int, int] = (8, 9)) -> Any:
    numbers = np.random.default_rng(1)
    if np.dtype(dtype).kind == "f":
        return numbers.random((count, channels, *size)).astype(dtype)
    return numbers.integers(0, 256, (count, channels, *size)).astype(dtype)


def draws(*rows: list[float]) -> np.ndarray[Any, Any]:
    return np.array(rows, dtype=np.float64)


class TestEach:
    @pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.float16])
    @pytest.mark.parametrize("name", ALL)
    def test_a_sample_comes_out_the_same_in_any_batch(self, name: str, dtype: Any) -> None:
        change, images = ALL[name], pictures(12, dtype=dtype)
        whole = change(images, seed=5, epoch=2)
        assert whole.dtype == dtype
        # The first draws that any of these could leave an image as it is don't leave all.
        assert name == "none" or not np.array_equal(whole, change(images, seed=6, epoch=2))
        assert name == "none" or not np.array_equal(whole, change(images, seed=5, epoch=3))
        order = [7, 0, 11, 3]
        assert np.array_equal(change(images[order], seed=5, epoch=2, index=order), whole[order])
        for number in (0, 5, 11):
            assert np.array_equal(change(images[number], seed=5, epoch=2, index=number), whole[number])
            assert np.array_equal(
                change(images[number : number + 1], seed=5, epoch=2, index=[number])[0], whole[number]
            )

    @pytest.mark.parametrize("name", ALL)
    def test_images_are_never_written_to_however_they_lie(self, name: str) -> None:
        change, images = ALL[name], pictures(6)
        expected = change(images, seed=1)
        before = images.copy()
        images.flags.writeable = False
        for view in (
            images,
            np.asfortranarray(images),
            np.ascontiguousarray(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
            np.ascontiguousarray(images[..., ::-1])[..., ::-1],
            np.repeat(images, 2, axis=0)[::2],
        ):
            found = change(view, seed=1)
            assert np.array_equal(found, expected)
            assert not np.shares_memory(found, view) and found.flags.writeable
        assert np.array_equal(images, before)
        one = np.broadcast_to(images[:1], images.shape)
        assert np.array_equal(change(one, seed=1), change(one.copy(), seed=1))

    @pytest.mark.parametrize("name", ALL)
    def test_without_images_there_is_nothing(self, name: str) -> None:
        found = ALL[name](np.zeros((0, 3, 8, 9), np.uint8))
        assert len(found) == 0 and found.ndim == 4
        assert ALL[name](np.zeros((2, 0, 8, 9), np.uint8)).shape[:2] == (2, 0)

    @pytest.mark.parametrize("name", [name for name in ALL if "crop" not in name and name != "all"])
    def test_images_without_pixels(self, name: str) -> None:
        for size in ((0, 5), (5, 0), (0, 0)):
            assert ALL[name](np.zeros((2, 3, *size), np.float32)).shape == (2, 3, *size)

    @pytest.mark.parametrize("name", MOVES)
    def test_masks_move_as_their_images_do(self, name: str) -> None:
        # Where an image is its own mask's pattern, flips, shifts and crops give the same pixels; a rotation
        # gives each pixel one of those that are around it in the image.
        change, masks = ALL[name], pictures(9, channels=1)
        drawn = change.draw(3, 0, np.arange(9))
        moved, changed = change.change_masks(masks, drawn), change.change(masks, drawn)
        if name == "rotation":
            assert set(np.unique(moved)) <= set(np.unique(masks)) | {0}
        else:
            assert np.array_equal(moved, changed)

    def test_masks_stay_where_only_colours_change(self) -> None:
        masks = pictures(4, channels=1)
        for name in ("jitter", "cutout", "none"):
            assert np.array_equal(ALL[name].change_masks(masks, ALL[name].draw(0, 0, np.arange(4))), masks)

    @pytest.mark.parametrize("name", ALL)
    def test_it_says_what_it_is(self, name: str) -> None:
        assert repr(ALL[name]).startswith(type(ALL[name]).__name__)


class TestFlips:
    def test_the_share_of_mirrored_images(self) -> None:
        images = np.broadcast_to(np.arange(3, dtype=np.uint8), (4000, 1, 1, 3))
        for p in (0.0, 0.3, 1.0):
            mirrored = (RandomHorizontalFlip(p)(images, seed=1)[:, 0, 0, 0] == 2).mean()
            # Of 4,000 tosses: more than 0.03 off once in 30,000 seeds.
            assert abs(mirrored - p) < (0.03 if p == 0.3 else 1e-9)


class TestShift:
    def test_by_hand(self) -> None:
        image = np.arange(1, 7).reshape(1, 1, 2, 3)
        shift = RandomShift(1, fill=9)
        for drawn, expected in (
            ([0.5, 0.5], [[1, 2, 3], [4, 5, 6]]),
            ([0.0, 0.5], [[4, 5, 6], [9, 9, 9]]),
            ([0.99, 0.5], [[9, 9, 9], [1, 2, 3]]),
            ([0.5, 0.0], [[2, 3, 9], [5, 6, 9]]),
            ([0.99, 0.99], [[9, 9, 9], [9, 1, 2]]),
        ):
            assert shift.change(image, draws(drawn))[0, 0].tolist() == expected

    def test_every_shift_is_as_likely(self) -> None:
        images = np.zeros((9000, 1, 3, 3), np.uint8)
        images[:, :, 1, 1] = 1
        moved = RandomShift(1)(images, seed=4)
        counts = moved[:, 0].sum(axis=0, dtype=int)
        # χ² of 8 degrees of freedom: above 32 once in 10,000 seeds.
        assert counts.sum() == 9000 and ((counts - 1000) ** 2 / 1000).sum() < 32

    def test_shifts_past_the_image_leave_the_fill(self) -> None:
        images = np.ones((50, 1, 2, 2), np.float32)
        sums = RandomShift((10, 0), fill=0.5)(images, seed=0).sum(axis=(1, 2, 3))
        assert set(sums.tolist()) == {2.0, 3.0, 4.0}


class TestCrop:
    def test_by_hand(self) -> None:
        image = np.arange(1, 5).reshape(1, 1, 2, 2)
        for mode, fill, expected in (
            ("constant", 9, [[9, 9, 9, 9], [9, 1, 2, 9], [9, 3, 4, 9], [9, 9, 9, 9]]),
            ("edge", 0, [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]),
            ("reflect", 0, [[4, 3, 4, 3], [2, 1, 2, 1], [4, 3, 4, 3], [2, 1, 2, 1]]),
            ("symmetric", 0, [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]),
        ):
            whole = RandomCrop(4, 1, fill, mode).change(image, draws([0.3, 0.9]))
            assert whole[0, 0].tolist() == expected
        part = RandomCrop((1, 2), padding=(0, 1, 1, 0), fill=7)
        # Padded to 3 rows and 3 columns: places 0, 1 and 2 of 3, and 0 and 1 of 2.
        for drawn, expected in (
            ([0.0, 0.0], [[7, 7]]),
            ([0.4, 0.0], [[1, 2]]),
            ([0.99, 0.6], [[4, 7]]),
        ):
            assert part.change(image, draws(drawn))[0, 0].tolist() == expected
        assert RandomCrop(2, padding=(1, 0)).padding == (1, 0, 1, 0)

    def test_every_place_is_as_likely(self) -> None:
        images = np.broadcast_to(np.arange(6, dtype=np.uint8).reshape(2, 3), (6000, 1, 2, 3))
        counts = np.bincount(RandomCrop(1)(images, seed=2).ravel())
        # χ² of 5 degrees of freedom: above 26 once in 10,000 seeds.
        assert ((counts - 1000) ** 2 / 1000).sum() < 26


def turned_by_hand(image: Any, degrees: float, fill: float) -> Any:
    """Linear interpolation as it is defined, one pixel at a time."""
    height, width = image.shape
    found = np.zeros_like(image)
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    for row in range(height):
        for column in range(width):
            y, x = row - (height - 1) / 2, column - (width - 1) / 2
            from_y = sine * x + cosine * y + (height - 1) / 2
            from_x = cosine * x - sine * y + (width - 1) / 2
            total = 0.0
            for i in (math.floor(from_y), math.floor(from_y) + 1):
                for j in (math.floor(from_x), math.floor(from_x) + 1):
                    weight = (1 - abs(from_y - i)) * (1 - abs(from_x - j))
                    total += weight * (image[i, j] if 0 <= i < height and 0 <= j < width else fill)
            found[row, column] = total
    return found


class TestRotation:
    def test_right_angles_move_whole_pixels(self) -> None:
        image = np.arange(9.0).reshape(1, 3, 3)
        for degrees, times in ((90, 1), (180, 2), (-90, 3), (360, 4)):
            found = RandomRotation((degrees, degrees))(image)
            expected = np.rot90(image, times, axes=(1, 2))
            assert_same(found, expected, rtol=0, atol=1e-14, reason="sine and cosine round")
            mask = RandomRotation((degrees, degrees)).change_masks(image[None], draws([0.5]))
            assert np.array_equal(mask[0], expected)

    def test_no_turn_leaves_every_bit(self) -> None:
        for dtype in (np.uint8, np.float32, np.float64, np.float16):
            images = pictures(3, dtype=dtype)
            assert np.array_equal(RandomRotation(0)(images), images)

    @settings(max_examples=40)
    @given(
        size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
        degrees=st.floats(-400, 400),
        fill=st.sampled_from([0.0, -1.0, 0.25]),
        seed=st.integers(0, 2**31),
    )
    def test_beside_plain_python(self, size: tuple[int, int], degrees: float, fill: float, seed: int) -> None:
        images = np.random.default_rng(seed).random((2, 2, *size))
        found = RandomRotation((degrees, degrees), fill)(images)
        for image, turned in zip(images.reshape(4, *size), found.reshape(4, *size), strict=True):
            expected = turned_by_hand(image, degrees, fill)
            assert_same(turned, expected, rtol=0, atol=1e-12, reason="places round, float64")

    def test_beside_pytorch(self) -> None:
        torch = pytest.importorskip("torch", reason="needs PyTorch, to compare with")
        import torch.nn.functional as F

        images = np.random.default_rng(0).random((1, 3, 9, 9))
        for degrees in (7.0, 33.0, -71.0):
            angle = math.radians(degrees)
            # affine_grid's x and y run from −1 to 1 over the pixels' centres; the image is square.
            matrix = [[math.cos(angle), -math.sin(angle), 0.0], [math.sin(angle), math.cos(angle), 0.0]]
            theta = torch.tensor([matrix], dtype=torch.float64)
            grid = F.affine_grid(theta, [1, 3, 9, 9], align_corners=True)
            expected = F.grid_sample(torch.tensor(images), grid, align_corners=True)
            found = RandomRotation((degrees, degrees))(images)
            assert_same(found, expected, rtol=0, atol=1e-12, reason="places round, float64")

    def test_angles_are_spread_evenly(self) -> None:
        change = RandomRotation(20)
        image = np.zeros((1, 1, 41), np.float64)
        image[...] = np.arange(41)
        # A ramp: the middle's right neighbour shows 20 + cos(angle), the one below it 20 + sine·….
        ramp = np.broadcast_to(np.arange(41.0), (2000, 1, 41, 41))
        sines = change(ramp, seed=3)[:, 0, 21, 20] - 20
        angles = np.degrees(np.arcsin(-sines))
        assert angles.min() > -20 and angles.max() < 20
        counts = np.histogram(angles, 10, (-20, 20))[0]
        # χ² of 9 degrees of freedom: above 34 once in 10,000 seeds.
        assert ((counts - 200) ** 2 / 200).sum() < 34

    def test_levels_stay_levels(self) -> None:
        images = np.full((4, 1, 6, 6), 255, np.uint8)
        found = RandomRotation(40, fill=255)(images, seed=1)
        assert (found == 255).all()
        mixed = RandomRotation((45, 45))(np.full((1, 1, 9, 9), 255, np.uint8))
        assert mixed.dtype == np.uint8 and mixed.min() == 0 and mixed.max() == 255

    def test_a_batch_larger_than_a_block(self) -> None:
        images = pictures(40, size=(48, 48))
        change = RandomRotation(15)
        whole = change(images, seed=2)
        assert np.array_equal(whole[39], change(images[39], seed=2, index=39))


class TestLooks:
    def test_brightness_by_hand(self) -> None:
        change = ColorJitter(brightness=0.5)
        levels = np.array([0, 100, 200], np.uint8).reshape(1, 1, 1, 3)
        for draw, expected in (
            (0.0, [0, 50, 100]),
            (0.5, [0, 100, 200]),
            (0.75, [0, 125, 250]),
            (1 - 2**-53, [0, 150, 255]),
        ):
            assert change.change(levels, draws([draw, 0.5]))[0, 0, 0].tolist() == expected
        shares = np.float32([[[[0.0, 0.5, 1.0]]]])
        assert change.change(shares, draws([0.75, 0.5]))[0, 0, 0].tolist() == [0.0, 0.625, 1.0]
        assert ColorJitter(brightness=3).brightness == (0.0, 4.0)

    def test_contrast_by_hand(self) -> None:
        change = ColorJitter(contrast=0.5)
        levels = np.array([50, 100, 150], np.uint8).reshape(1, 1, 1, 3)
        for draw, expected in ((0.0, [75, 100, 125]), (1 - 2**-53, [25, 100, 175])):
            assert change.change(levels, draws([0.5, draw]))[0, 0, 0].tolist() == expected
        # Grey of a colour: 0.299, 0.587 and 0.114 of red, green and blue.
        colour = np.array([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1)
        flat = ColorJitter(contrast=(0.0, 0.0))(colour)
        assert_same(flat, np.full((1, 3, 1, 1), 0.299), rtol=1e-15, atol=0, reason="three products")

    def test_factors_of_one_leave_every_bit(self) -> None:
        for dtype in (np.uint8, np.float32, np.float64, np.float16):
            images = pictures(3, dtype=dtype)
            assert np.array_equal(ColorJitter()(images, seed=1), images)

    def test_cutout_by_hand(self) -> None:
        image = np.ones((1, 1, 4, 4), int)
        for drawn, expected in (
            ([0.0, 0.5, 0.5], [[1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]]),
            ([0.0, 0.0, 0.0], [[0, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]),
            ([0.0, 0.99, 0.5], [[1, 1, 1, 1], [1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1]]),
            ([0.5, 0.5, 0.5], [[1, 1, 1, 1]] * 4),
        ):
            assert Cutout(2, p=0.5).change(image, draws(drawn))[0, 0].tolist() == expected
        assert not Cutout(100)(image, seed=1).any()
        assert (Cutout(100, fill=7)(pictures(2)) == 7).all()


class TestWords:
    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ([], "Compose([])"),
            (["flip", "flip-vertical=0.25"], "RandomHorizontalFlip(p=0.5), RandomVerticalFlip(p=0.25)"),
            (["crop=28,4"], "RandomCrop((28, 28), padding=(4, 4, 4, 4), padding_mode='constant')"),
            (["crop=28"], "RandomCrop((28, 28), padding=(0, 0, 0, 0), padding_mode='constant')"),
            (
                ["rotate=12.5", "cutout=8"],
                "RandomRotation((-12.5, 12.5), fill=0), Cutout((8, 8), fill=0, p=1)",
            ),
            (["brightness=0.5"], "ColorJitter(brightness=(0.5, 1.5), contrast=(1.0, 1.0))"),
            (["contrast=0.5"], "ColorJitter(brightness=(1.0, 1.0), contrast=(0.5, 1.5))"),
        ],
    )
    def test_they_make_what_they_say(self, words: list[str], expected: str) -> None:
        assert expected in repr(from_words(words))
        assert {word.partition("=")[0] for word in words} <= set(AUGMENTATIONS)

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (
                ["blur=2"],
                "An augmentation is one of flip, flip-vertical, shift, crop, rotate, cutout, brightness, "
                "contrast. Received: word='blur=2'. With its numbers: shift=2, crop=28,4.",
            ),
            (
                ["shift"],
                "The augmentation 'shift' needs 1 numbers after '=', pixels as whole ones. "
                "Received: word='shift'.",
            ),
            (["shift=1.5"], "The augmentation 'shift' needs 1 numbers after '=', pixels as whole ones."),
            (["shift=nan"], "The augmentation 'shift' needs 1 numbers"),
            (
                ["crop=28,4,4"],
                "The augmentation 'crop' needs 1 to 2 numbers after '=', pixels as whole ones.",
            ),
            (["rotate=a"], "The augmentation 'rotate' needs 1 numbers"),
            (["shift=-2"], "RandomShift needs most to be a whole number of at least 0. Received: most=-2."),
            (["flip=2"], "RandomHorizontalFlip needs p to be a number from 0 to 1. Received: p=2.0."),
            ("shift=2", "from_words needs words to be a list of words. Received: words='shift=2'."),
            ([None], "An augmentation is one of"),
        ],
    )
    def test_refusals(self, words: Any, message: str) -> None:
        with pytest.raises(ArgumentError) as error:
            from_words(words)
        assert str(error.value).startswith(message)


IMAGE = np.zeros((3, 4, 4), np.uint8)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: RandomHorizontalFlip()(IMAGE[0]),
            ShapeError,
            "RandomHorizontalFlip needs images of shape (channels, height, width) or (k, channels, height, "
            "width). Received: images with shape (4, 4) and dtype uint8.",
        ),
        (
            lambda: RandomShift(1)([[1]]),
            DtypeError,
            "RandomShift needs images as a NumPy array. Received: images=[[1]].",
        ),
        (
            lambda: RandomShift(1)(IMAGE.astype(str)),
            DtypeError,
            "RandomShift needs real numbers as pixels. Received: images with shape (3, 4, 4) and dtype <U3.",
        ),
        (
            lambda: RandomShift(1)(IMAGE, seed=-1),
            ArgumentError,
            "RandomShift needs seed to be an integer from 0 to 2**63 - 1. Received: seed=-1.",
        ),
        (
            lambda: RandomShift(1)(IMAGE, epoch=1.5),
            ArgumentError,
            "RandomShift needs epoch to be an integer from 0 to 2**63 - 1. Received: epoch=1.5.",
        ),
        (
            lambda: RandomShift(1)(IMAGE, index=[1, 2]),
            ArgumentError,
            "RandomShift needs index to be the number of each of the 1 samples, at least 0. "
            "Received: index=[1, 2].",
        ),
        (
            lambda: RandomShift(1)(IMAGE[None], index=-1),
            ArgumentError,
            "RandomShift needs index to be the number of each of the 1 samples, at least 0. "
            "Received: index=-1.",
        ),
        (
            lambda: RandomShift(1)(IMAGE[None], index="a"),
            ArgumentError,
            "RandomShift needs index to be the number of each of the 1 samples",
        ),
        (
            lambda: RandomShift((1, 2, 3)),
            ArgumentError,
            "RandomShift needs most as one whole number or a pair (height, width). Received: most=(1, 2, 3).",
        ),
        (
            lambda: RandomShift(1.5),
            ArgumentError,
            "RandomShift needs most to be a whole number of at least 0. Received: most=1.5.",
        ),
        (
            lambda: RandomShift(1, fill=float("nan")),
            ArgumentError,
            "RandomShift needs fill to be a finite number. Received: fill=nan.",
        ),
        (
            lambda: RandomShift(1, fill=-0.5)(IMAGE),
            ArgumentError,
            "Pixels of uint8 need a fill that is one of them, 0 to 255. Received: fill=-0.5.",
        ),
        (
            lambda: RandomRotation(5, fill=300)(IMAGE),
            ArgumentError,
            "Pixels of uint8 need a fill that is one of them, 0 to 255. Received: fill=300.0.",
        ),
        (
            lambda: RandomHorizontalFlip(p=1.5),
            ArgumentError,
            "RandomHorizontalFlip needs p to be a number from 0 to 1. Received: p=1.5.",
        ),
        (
            lambda: Cutout(2, p=None),
            ArgumentError,
            "Cutout needs p to be a number from 0 to 1. Received: p=None.",
        ),
        (
            lambda: Cutout(0),
            ArgumentError,
            "Cutout needs size to be a whole number of at least 1. Received: size=0.",
        ),
        (
            lambda: RandomCrop(5)(IMAGE),
            ShapeError,
            "RandomCrop needs images of at least 5 × 5 pixels, padding included. Received: 4 × 4. "
            "Pass padding=... or a smaller size.",
        ),
        (
            lambda: RandomCrop(2, padding=(1, 2, 3)),
            ArgumentError,
            "RandomCrop needs padding as one, two or four numbers. Received: padding=(1, 2, 3).",
        ),
        (
            lambda: RandomCrop(2, padding=-1),
            ArgumentError,
            "RandomCrop needs padding to be a whole number of at least 0. Received: padding=-1.",
        ),
        (
            lambda: RandomCrop(2, padding_mode="wrap"),
            ArgumentError,
            "RandomCrop needs padding_mode to be constant, edge, reflect or symmetric. "
            "Received: padding_mode='wrap'.",
        ),
        (
            lambda: RandomCrop(2, padding=1, padding_mode="edge")(IMAGE[:, :0]),
            ShapeError,
            "RandomCrop can't pad by edge where there are no pixels. "
            "Received: images with shape (1, 3, 0, 4) and dtype uint8.",
        ),
        (
            lambda: RandomRotation(-5),
            ArgumentError,
            "RandomRotation needs degrees of at least 0. Received: degrees=-5.",
        ),
        (
            lambda: RandomRotation((5, -5)),
            ArgumentError,
            "RandomRotation needs a pair of degrees from the least to the largest. Received: degrees=(5, -5)",
        ),
        (
            lambda: RandomRotation("5"),
            ArgumentError,
            "RandomRotation needs degrees to be a finite number. Received: degrees='5'.",
        ),
        (
            lambda: RandomRotation(5)(IMAGE.astype(np.int32)),
            DtypeError,
            "RandomRotation needs uint8 or floating pixels. "
            "Received: images with shape (1, 3, 4, 4) and dtype int32.",
        ),
        (
            lambda: ColorJitter(brightness=-1),
            ArgumentError,
            "ColorJitter needs brightness to be at least 0. Received: brightness=-1.",
        ),
        (
            lambda: ColorJitter(contrast=(1, 0.5)),
            ArgumentError,
            "ColorJitter needs contrast as a pair of factors, from the least (at least 0) to the largest. "
            "Received: contrast=(1, 0.5).",
        ),
        (
            lambda: ColorJitter(0.5)(IMAGE.astype(bool)),
            DtypeError,
            "ColorJitter needs uint8 or floating pixels. "
            "Received: images with shape (1, 3, 4, 4) and dtype bool.",
        ),
        (
            lambda: ColorJitter(0.5)(np.full((1, 2, 2), -0.5)),
            ArgumentError,
            "ColorJitter needs floating pixels within 0..1. Received: pixels from -0.5 to -0.5. "
            "Put it before standardising: Augmented(data, ...) does, where the data set has a transform.",
        ),
        (
            lambda: Compose(RandomShift(1)),
            DtypeError,
            "Compose needs a list of augmentations. Received: transforms=RandomShift((1, 1), fill=0).",
        ),
        (
            lambda: Compose([abs]),
            DtypeError,
            "Compose needs augmentations of tilewright.data.augment. "
            "Received: transforms=<built-in function abs>. Derive your own from Augmentation.",
        ),
    ],
)
def test_refusals(call: Any, kind: type[TilewrightError], message: str) -> None:
    with pytest.raises(kind) as error:
        call()
    assert str(error.value).startswith(message)


def test_one_of_ones_own() -> None:
    class Negative(Augmentation):
        numbers = 1

        def change(self, images: Any, drawn: Any) -> Any:
            return np.where(drawn[:, :, None, None] < 0.5, 255 - images, images)

    images = pictures(8)
    change = Compose([Negative(), RandomHorizontalFlip()])
    whole = change(images, seed=3)
    assert change.numbers == 2
    assert np.array_equal(change(images[5], seed=3, index=5), whole[5])
