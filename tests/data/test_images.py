from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tilewright.data import find_images, prepare_like, read_image
from tilewright.errors import ArgumentError, DtypeError, FileFormatError, MissingExtraError, ShapeError

Image = pytest.importorskip("PIL.Image", reason="images are read by Pillow")

# A result in float32 of levels/255 and a handful of products and sums of numbers below 1.
ROUNDING = 4 * 2.0**-24


def saved(path: Path, array: np.ndarray, **options: Any) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + b"".join(extra)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def tiff(width: int, height: int) -> bytes:
    """A big-endian TIFF of 16-bit grey by hand: header, one strip (pixels 256 and 65535), eight tags."""
    strip = struct.pack(">HH", 256, 65535)
    long, short = 4, 3
    tags = [
        (256, long, width),
        (257, long, height),
        (258, short, 16),  # bits per sample
        (259, short, 1),  # not compressed
        (262, short, 1),  # black is 0
        (273, long, 8),  # where the strip begins
        (278, long, 1),  # rows in a strip
        (279, long, len(strip)),
    ]
    directory = struct.pack(">H", len(tags))
    for tag, kind, value in tags:
        directory += struct.pack(">HHI", tag, kind, 1) + struct.pack(">I" if kind == long else ">Hxx", value)
    return b"MM\0*" + struct.pack(">I", 8 + len(strip)) + strip + directory + bytes(4)


GREY = np.array([[0, 51, 102], [153, 204, 255]], np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (4, 5, 3), dtype=np.uint8)


class TestReading:
    def test_grey_comes_as_levels_over_255(self, tmp_path: Path) -> None:
        pixels = read_image(saved(tmp_path / "a.png", GREY))
        assert pixels.dtype == np.float32 and pixels.shape == (1, 2, 3) and pixels.flags.c_contiguous
        assert np.array_equal(pixels[0], np.divide(GREY, np.float32(255), dtype=np.float32))

    def test_colour_planes_come_first(self, tmp_path: Path) -> None:
        pixels = read_image(saved(tmp_path / "a.png", COLOUR), channels=3)
        assert np.array_equal(
            pixels, np.moveaxis(np.divide(COLOUR, np.float32(255), dtype=np.float32), -1, 0)
        )

    def test_colour_is_greyed_by_luma(self, tmp_path: Path) -> None:
        pixels = read_image(saved(tmp_path / "a.png", COLOUR))
        assert np.abs(pixels[0] - COLOUR @ [0.299, 0.587, 0.114] / 255).max() <= ROUNDING

    def test_white_stays_exactly_within_range(self, tmp_path: Path) -> None:
        assert read_image(saved(tmp_path / "a.png", np.full((2, 2, 3), 255, np.uint8))).max() <= 1

    def test_grey_as_colour_repeats_its_plane(self, tmp_path: Path) -> None:
        pixels = read_image(saved(tmp_path / "a.png", GREY), channels=3)
        assert pixels.shape == (3, 2, 3) and (pixels == pixels[:1]).all()

    @pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.gif", "a.tif", "a.webp", "a.pgm", "noname"])
    def test_formats_without_loss_agree(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / name
        options = {"lossless": True} if name == "a.webp" else {}
        saved(path, GREY, format=None if "." in name else "PNG", **options)
        assert np.abs(read_image(path)[0] - GREY / 255).max() <= ROUNDING

    def test_jpeg_cmyk_and_one_bit_images_are_read(self, tmp_path: Path) -> None:
        flat = np.full((16, 16), 128, np.uint8)
        # A flat grey survives JPEG to within one level; as CMYK, twice rounded, to within two.
        assert np.abs(read_image(saved(tmp_path / "a.jpg", flat)) - 128 / 255).max() <= 1.01 / 255
        Image.fromarray(flat).convert("CMYK").save(tmp_path / "b.jpg")
        assert np.abs(read_image(tmp_path / "b.jpg", 3) - 128 / 255).max() <= 2.01 / 255
        Image.fromarray(GREY > 127).save(tmp_path / "c.png")
        assert read_image(tmp_path / "c.png")[0].tolist() == [[0, 0, 0], [1, 1, 1]]

    @pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
    def test_sixteen_bit_grey_keeps_its_levels(self, tmp_path: Path, name: str) -> None:
        levels = np.array([[0, 1, 257], [32768, 65534, 65535]], np.uint16)
        pixels = read_image(saved(tmp_path / name, levels))
        assert np.array_equal(pixels[0], np.divide(levels, np.float32(65535), dtype=np.float32))

    def test_big_endian_tiff_of_16_bits(self, tmp_path: Path) -> None:
        (tmp_path / "a.tif").write_bytes(tiff(width=2, height=1))
        pixels = read_image(tmp_path / "a.tif")
        assert np.array_equal(pixels, np.array([[[256 / 65535, 1]]], np.float32))

    def test_alpha_is_laid_on_white(self, tmp_path: Path) -> None:
        rgba = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 255, 51]]], np.uint8)
        pixels = read_image(saved(tmp_path / "a.png", rgba), channels=3)
        # 0.2 of blue on white: 0.8, 0.8, 1.
        assert np.abs(pixels[:, 0].T - [[1, 0, 0], [1, 1, 1], [0.8, 0.8, 1]]).max() <= ROUNDING
        grey_alpha = np.array([[[0, 255], [0, 0], [0, 51]]], np.uint8)
        pixels = read_image(saved(tmp_path / "b.png", grey_alpha))
        assert np.abs(pixels[0, 0] - [0, 1, 0.8]).max() <= ROUNDING

    def test_transparent_palette_and_grey_entries_are_white(self, tmp_path: Path) -> None:
        palette = Image.fromarray(np.array([[0, 1]], np.uint8), mode=None).convert("P")
        palette.putpalette([10, 20, 30, 0, 0, 0] + [0] * 762)
        palette.save(tmp_path / "a.png", transparency=1)
        pixels = read_image(tmp_path / "a.png", 3)
        assert np.abs(pixels[:, 0].T - [[10 / 255, 20 / 255, 30 / 255], [1, 1, 1]]).max() <= ROUNDING
        key = chunk(b"tRNS", struct.pack(">H", 513))
        (tmp_path / "b.png").write_bytes(png(3, 1, 16, 0, b"\0" + struct.pack(">HHH", 513, 512, 0), key))
        assert np.array_equal(read_image(tmp_path / "b.png")[0, 0], np.array([1, 512 / 65535, 0], np.float32))

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
    def test_exif_orientation_is_honoured(self, tmp_path: Path, orientation: int, name: str) -> None:
        from PIL import ImageOps

        # 16-pixel blocks of one grey come through JPEG well enough to tell them apart.
        blocks = np.kron(np.array([[0, 120, 250], [60, 180, 90]], np.uint8), np.ones((16, 16), np.uint8))
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = saved(tmp_path / name, blocks, exif=exif)
        # From memory, because Pillow 13 turns an uncompressed TIFF that it opens by name wrongly.
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            image.load()  # turns a TIFF; before it, exif_transpose would turn that a second time
            expected = np.asarray(ImageOps.exif_transpose(image)) / 255
        pixels = read_image(path)
        assert pixels.shape[1:] == ((32, 48) if orientation < 5 else (48, 32))
        assert np.abs(pixels[0] - expected).max() <= ROUNDING

    @pytest.mark.parametrize("name", ["a.png", "a.tif"])
    def test_orientation_by_hand(self, tmp_path: Path, name: str) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6  # to be shown turned clockwise by a quarter
        pixels = read_image(saved(tmp_path / name, GREY, exif=exif))
        assert np.rint(pixels[0] * 255).tolist() == [[153, 0], [204, 51], [255, 102]]

    @pytest.mark.parametrize("exif", [b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"Exif\0\0MM", b"nonsense"])
    def test_damaged_exif_leaves_the_pixels_readable(self, tmp_path: Path, exif: bytes) -> None:
        pixels = read_image(saved(tmp_path / "a.png", GREY, exif=exif))
        assert np.rint(pixels[0] * 255).tolist() == GREY.tolist()

    def test_resizing(self, tmp_path: Path) -> None:
        halves = np.zeros((8, 8), np.uint8)
        halves[:, 4:] = 255
        path = saved(tmp_path / "a.png", halves)
        small = read_image(path, size=(2, 2))
        assert small.shape == (1, 2, 2)
        # Output pixel 0 is centred at 2 and reaches 4 inputs each way: of the weights 5 7 7 5 3 1 (of 28),
        # the last two lie past the middle.
        assert np.abs(small[0] - [[4 / 28, 24 / 28], [4 / 28, 24 / 28]]).max() <= ROUNDING
        large = read_image(path, channels=3, size=(16, 24))
        assert large.shape == (3, 16, 24) and large.min() == 0 and large.max() == 1
        assert np.array_equal(read_image(path, size=(8, 8)), read_image(path))

    def test_real_photographs(self, data_root: Path) -> None:
        photos = data_root / "photos"
        assert read_image(photos / "camera.png").shape == (1, 512, 512)
        assert read_image(photos / "astronaut.png", channels=3, size=(64, 48)).shape == (3, 64, 48)
        frame = read_image(data_root / "video" / "street.gif", channels=3)
        assert frame.shape == (3, 270, 480) and 0.1 < frame.mean() < 0.9


class TestRefusals:
    def test_arguments(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "a.png", GREY)
        with pytest.raises(ArgumentError) as channels:
            read_image(path, channels=2)
        assert (
            str(channels.value)
            == "read_image needs channels to be 1 (grey) or 3 (colour). Received: channels=2."
        )
        for size in ((0, 5), (5,), 5, (5, 2.5), (8193, 8193)):
            with pytest.raises(ArgumentError) as caught:
                read_image(path, size=size)  # type: ignore[arg-type]
            assert str(caught.value) == (
                "read_image needs size to be (height, width), both at least 1 and together at most "
                f"67108864 pixels. Received: size={size}."
            )

    def test_missing_files_and_folders(self, tmp_path: Path) -> None:
        with pytest.raises(
            ArgumentError, match=r"read_image needs a file that exists. Received: path='.*absent.png'"
        ):
            read_image(tmp_path / "absent.png")
        with pytest.raises(
            FileFormatError, match=r"read_image needs an ordinary file. Received: .* is a folder"
        ):
            read_image(tmp_path)

    @pytest.mark.parametrize(
        "data", [b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"\x89PNG"]
    )
    def test_foreign_files(self, tmp_path: Path, data: bytes) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(data)
        with pytest.raises(FileFormatError) as caught:
            read_image(path)
        assert str(caught.value) == (
            f"{str(path)!r} needs to be a PNG, JPEG, BMP, GIF, TIFF, WEBP or PPM image. "
            "Received: a file that is none of these, or whose start is damaged."
        )

    @pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.gif", "a.tif", "a.webp", "a.pgm"])
    def test_truncated_files(self, tmp_path: Path, name: str) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
        path = saved(tmp_path / name, noise)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(FileFormatError) as caught:
            read_image(path)
        assert repr(str(path)) in str(caught.value) and "Received: " in str(caught.value)

    def test_a_damaged_stream_is_named_with_the_decoders_words(self, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(png(40, 40, 8, 0, bytes(41 * 40)).replace(b"IDAT\x78", b"IDAT\x00"))
        with pytest.raises(FileFormatError) as caught:
            read_image(path)
        start = f"Image file {str(path)!r} is damaged or cut short. Received: OSError while decoding: "
        assert str(caught.value).startswith(start)

    @pytest.mark.parametrize(
        ("width", "height", "received"),
        [
            (8193, 8193, "8193 × 8193 pixels"),
            (10_000, 10_000, "10000 × 10000 pixels"),
            (2**30, 2**30, "far more pixels than that"),
        ],
    )
    def test_bombs_are_refused_by_their_header(
        self, tmp_path: Path, width: int, height: int, received: str
    ) -> None:
        path = tmp_path / "bomb.png"
        path.write_bytes(png(width, height, 8, 0, bytes(100)))
        with pytest.raises(FileFormatError) as caught:
            read_image(path)
        assert str(caught.value) == (
            f"Image file {str(path)!r} needs to have at most 67108864 pixels. Received: {received}."
        )

    def test_a_tiff_that_promises_more_rows_than_it_has_strips_for(self, tmp_path: Path) -> None:
        path = tmp_path / "a.tif"
        path.write_bytes(tiff(width=2, height=30_000_000))
        with pytest.raises(FileFormatError) as caught:
            read_image(path)
        assert str(caught.value) == (
            f"Image file {str(path)!r} needs strips or tiles for all of its 60000000 pixels. "
            "Received: strips or tiles for 2."
        )

    @pytest.mark.parametrize(("dtype", "received"), [("float32", "floats"), ("int32", "integers")])
    def test_pixels_of_unknown_range(self, tmp_path: Path, dtype: str, received: str) -> None:
        path = saved(tmp_path / "a.tif", GREY.astype(dtype))
        with pytest.raises(FileFormatError) as caught:
            read_image(path)
        assert str(caught.value) == (
            f"Image file {str(path)!r} needs pixels of 8 or 16 bits, whose range is known. "
            f"Received: {received} of 32 bits. Save it with 16 bits per pixel."
        )

    def test_without_pillow_the_extra_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "PIL", None)
        with pytest.raises(MissingExtraError) as caught:
            read_image(tmp_path / "a.png")
        assert str(caught.value) == (
            "read_image needs the package pillow, which is not installed. "
            "Install it with: pip install 'tilewright[plot]'."
        )


def small_png() -> bytes:
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(COLOUR[:, :, 0]).convert("P")
    image.save(stream, "PNG", transparency=3, exif=exif)
    return stream.getvalue()


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6),
    cut=st.one_of(st.none(), st.integers(0, 10**6)),
    mend=st.booleans(),
)
def test_a_mutated_png_is_refused_or_read(
    tmp_path: Path, changes: list[tuple[int, int]], cut: int | None, mend: bool
) -> None:
    data = bytearray(small_png())
    for place, value in changes:
        data[place % len(data)] = value
    if cut is not None:
        del data[cut % len(data) :]
    path = tmp_path / "mutated.png"
    path.write_bytes(with_true_checksums(data) if mend else data)
    try:
        pixels = read_image(path)
    except FileFormatError as error:
        assert repr(str(path)) in str(error)
    else:
        assert pixels.dtype == np.float32 and pixels.ndim == 3 and pixels.shape[0] == 1
        assert pixels.min() >= 0 and pixels.max() <= 1


def with_true_checksums(data: bytes | bytearray) -> bytes:
    """The same chunks with their CRCs made right, so that a mutation gets past the first check."""
    mended, place = bytes(data[:8]), 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4])
        if place + 12 + length > len(data):
            break
        mended += chunk(bytes(data[place + 4 : place + 8]), bytes(data[place + 8 : place + 8 + length]))
        place += 12 + length
    return mended + bytes(data[place:])


class TestFindImages:
    def test_folders_give_their_images_in_order(self, tmp_path: Path) -> None:
        for name in ("b.png", "a.JPG", "c.txt", ".hidden.png", "d.gif"):
            (tmp_path / name).touch()
        (tmp_path / "folder.png").mkdir()
        odd = tmp_path / "c.txt"
        assert [path.name for path in find_images(tmp_path)] == ["a.JPG", "b.png", "d.gif"]
        assert find_images([str(odd), tmp_path])[0] == odd
        assert len(find_images([odd, tmp_path])) == 4
        assert find_images(str(odd)) == [odd]

    def test_refusals(self, tmp_path: Path) -> None:
        with pytest.raises(ArgumentError) as none:
            find_images([])
        assert str(none.value) == "find_images needs at least one file or folder. Received: none."
        absent = str(tmp_path / "absent")
        with pytest.raises(ArgumentError) as missing:
            find_images([tmp_path.parent / "absent", absent][1:])
        assert str(missing.value) == (
            f"find_images needs files and folders that exist. Received: {absent!r}, where nothing is."
        )
        with pytest.raises(ArgumentError) as empty:
            find_images(tmp_path)
        assert str(empty.value) == (
            "find_images needs a folder to hold images (.bmp, .gif, .jpeg, .jpg, .pbm, .pgm, .png, .pnm, "
            f".ppm, .tif, .tiff, .webp). Received: {str(tmp_path)!r}, which holds none."
        )


class TestPrepareLike:
    def picture(self, ground: float, ink: float) -> np.ndarray:
        image = np.full((1, 28, 28), ground, np.float32)
        image[:, 8:20, 12:16] = ink
        return image

    def test_dark_on_light_is_turned_round_and_light_on_dark_is_not(self) -> None:
        dark_on_light, light_on_dark = self.picture(1, 0), self.picture(0, 1)
        assert np.array_equal(prepare_like(dark_on_light, 0.1, 0.3), prepare_like(light_on_dark, 0.1, 0.3))
        # (v − mean)/std by hand, for v = 0 at the corner and v = 1 in the middle.
        out = prepare_like(dark_on_light, 0.1, 0.3)
        assert out.dtype == np.float32
        assert abs(out[0, 0, 0] + 1 / 3) <= ROUNDING and abs(out[0, 14, 14] - 3) <= 4 * ROUNDING

    def test_what_is_asked_for_is_done(self) -> None:
        image = self.picture(1, 0)
        assert np.array_equal(prepare_like(image, 0, 1, invert="no"), image)
        assert np.array_equal(prepare_like(image, 0, 1, invert="yes"), 1 - image)
        assert np.array_equal(prepare_like(1 - image, 0, 1, invert="yes"), image)

    @pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 5), (1, 2, 2)])
    def test_flat_and_tiny_pictures_stay_as_they_are(self, shape: tuple[int, ...]) -> None:
        image = np.full(shape, 0.75, np.float32)
        assert np.array_equal(prepare_like(image, 0, 1), image)

    def test_leaves_its_input_alone(self) -> None:
        image = self.picture(1, 0)
        image.flags.writeable = False
        prepare_like(image, 0.1, 0.3)
        assert np.array_equal(image, self.picture(1, 0))

    def test_real_digits_either_way_round(self, data_root: Path) -> None:
        from tilewright.data import read_idx

        images = (
            read_idx(data_root / "mnist" / "t10k-images-idx3-ubyte.gz")[:200, None].astype(np.float32) / 255
        )
        for image in images:
            assert np.array_equal(prepare_like(image, 0, 1), image)
            assert np.array_equal(prepare_like(1 - image, 0, 1), 1 - (1 - image))

    def test_refusals(self) -> None:
        image = self.picture(1, 0)
        with pytest.raises(ArgumentError) as invert:
            prepare_like(image, 0, 1, invert="maybe")
        assert (
            str(invert.value)
            == "prepare_like needs invert to be 'auto', 'yes' or 'no'. Received: invert='maybe'."
        )
        for wrong in (image[0], image[:, :0]):
            with pytest.raises(ShapeError) as shape:
                prepare_like(wrong, 0, 1)
            assert str(shape.value) == (
                "prepare_like needs an image of shape (channels, height, width) with pixels in it. "
                f"Received: image with shape {wrong.shape} and dtype float32."
            )
        with pytest.raises(
            DtypeError, match=r"prepare_like needs floating pixels in 0..1. Received: image .* uint8"
        ):
            prepare_like(image.astype(np.uint8), 0, 1)
        with pytest.raises(
            ArgumentError, match=r"Standardise needs a finite mean and a finite, positive std"
        ):
            prepare_like(image, 0, 0)
