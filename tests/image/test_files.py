"""Pictures from files and back: depth, transparency, palettes, orientation, and what belongs to them."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compare import assert_same

from tilewright.errors import ArgumentError, DtypeError, FileFormatError, MissingExtraError, ShapeError
from tilewright.image.files import as_picture, read_image, write_image
from tilewright.image.picture import Picture
from tilewright.image.png16 import encode_png16

Image = pytest.importorskip("PIL.Image", reason="pictures are read by Pillow")
SAME = "the same integers"
FORMATS_8 = [".png", ".tif", ".bmp", ".ppm"]


def noise(*shape: int, dtype: Any = np.uint8) -> np.ndarray:
    rng = np.random.default_rng(sum(shape))
    if np.dtype(dtype).kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def same(actual: np.ndarray | None, expected: np.ndarray) -> None:
    assert_same(actual, expected, rtol=0, atol=0, reason=SAME)


def png(width: int, height: int, bits: int, kind: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file by the standard, written down by hand."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    head = struct.pack(">2I5B", width, height, bits, kind, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", head), *(chunk(*one) for one in chunks)]
    return b"".join([*parts, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")])


# Known answers: files written down byte by byte.


def test_two_pixels_of_16_bit_colour_with_alpha(tmp_path: Path) -> None:
    values = [[[1, 256, 65535, 40000], [0, 513, 1027, 65535]]]
    rows = b"\0" + b"".join(struct.pack(">4H", *pixel) for pixel in values[0])
    (tmp_path / "a.png").write_bytes(png(2, 1, 16, 6, rows))
    found = read_image(tmp_path / "a.png")
    same(np.asarray(found), np.array(values, np.uint16))
    same(found.alpha, np.array([[40000, 65535]], np.uint16))
    assert (found.height, found.width, found.channels, found.depth, found.top) == (1, 2, 3, 16, 65535)
    assert repr(found) == "Picture(2 × 1, colour, uint16, alpha)"


def test_two_pixels_of_16_bit_grey_with_alpha(tmp_path: Path) -> None:
    rows = b"\0" + struct.pack(">4H", 1, 65535, 258, 3)
    (tmp_path / "a.png").write_bytes(png(2, 1, 16, 4, rows))
    found = read_image(tmp_path / "a.png")
    same(found.pixels, np.array([[1, 258]], np.uint16))
    same(found.alpha, np.array([[65535, 3]], np.uint16))


def test_one_level_or_colour_named_transparent(tmp_path: Path) -> None:
    (tmp_path / "four.png").write_bytes(png(2, 1, 4, 0, b"\0\x5f", (b"tRNS", b"\0\5")))
    found = read_image(tmp_path / "four.png")
    same(found.pixels, np.array([[85, 255]], np.uint8))  # levels 5 and 15 of 15
    same(found.alpha, np.array([[0, 255]], np.uint8))
    rows = b"\0" + struct.pack(">6H", 1, 2, 3, 1, 2, 4)
    (tmp_path / "deep.png").write_bytes(png(2, 1, 16, 2, rows, (b"tRNS", struct.pack(">3H", 1, 2, 3))))
    found = read_image(tmp_path / "deep.png")
    # In the upper bytes alone, the two colours would be one.
    same(found.alpha, np.array([[0, 65535]], np.uint16))
    (tmp_path / "grey.png").write_bytes(
        png(2, 1, 16, 0, b"\0" + struct.pack(">2H", 700, 701), (b"tRNS", struct.pack(">H", 701)))
    )
    same(read_image(tmp_path / "grey.png").alpha, np.array([[65535, 0]], np.uint16))
    (tmp_path / "eight.png").write_bytes(
        png(2, 1, 8, 2, b"\0\1\2\3\1\2\4", (b"tRNS", struct.pack(">3H", 1, 2, 3)))
    )
    same(read_image(tmp_path / "eight.png").alpha, np.array([[0, 255]], np.uint8))
    (tmp_path / "none.png").write_bytes(
        png(2, 1, 8, 2, b"\0\1\2\3\1\2\4", (b"tRNS", struct.pack(">3H", 9, 9, 9)))
    )
    assert read_image(tmp_path / "none.png").alpha is None


def test_palettes_are_what_they_show(tmp_path: Path) -> None:
    colours = (b"PLTE", bytes([10, 20, 30, 7, 7, 7, 200, 200, 200]))
    (tmp_path / "colour.png").write_bytes(png(3, 1, 8, 3, b"\0\0\1\2", colours))
    found = read_image(tmp_path / "colour.png")
    same(found.pixels, np.array([[[10, 20, 30], [7, 7, 7], [200, 200, 200]]], np.uint8))
    assert found.alpha is None
    # Only greys are used of that palette: the picture is a grey one.
    (tmp_path / "grey.png").write_bytes(png(3, 1, 8, 3, b"\0\1\2\1", colours, (b"tRNS", bytes([255, 9]))))
    found = read_image(tmp_path / "grey.png")
    same(found.pixels, np.array([[7, 200, 7]], np.uint8))
    same(found.alpha, np.array([[9, 255, 9]], np.uint8))


def test_one_bit_becomes_black_and_white(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(3, 1, 1, 0, b"\0\xa0"))
    same(read_image(tmp_path / "a.png").pixels, np.array([[255, 0, 255]], np.uint8))
    (tmp_path / "a.pbm").write_bytes(b"P1\n3 1\n1 0 1\n")  # there, 1 is black
    same(read_image(tmp_path / "a.pbm").pixels, np.array([[0, 255, 0]], np.uint8))


def test_pnm_of_16_bits(tmp_path: Path) -> None:
    (tmp_path / "a.ppm").write_bytes(b"P6\n2 1\n65535\n" + struct.pack(">6H", 1, 2, 3, 400, 500, 65535))
    same(read_image(tmp_path / "a.ppm").pixels, np.array([[[1, 2, 3], [400, 500, 65535]]], np.uint16))
    (tmp_path / "b.ppm").write_bytes(b"P6\n1 1\n1000\n" + struct.pack(">3H", 0, 500, 1000))
    same(
        read_image(tmp_path / "b.ppm").pixels, np.array([[[0, 32768, 65535]]], np.uint16)
    )  # 32767.5, to even
    (tmp_path / "c.pgm").write_bytes(b"P5\n2 1\n65535\n" + struct.pack(">2H", 258, 65534))
    same(read_image(tmp_path / "c.pgm").pixels, np.array([[258, 65534]], np.uint16))
    (tmp_path / "d.ppm").write_bytes(b"P6\n9 1\n65535\n" + bytes(53))
    with pytest.raises(
        FileFormatError, match=r"d\.ppm' is damaged or cut short\. Received: 53 bytes of pixels\."
    ):
        read_image(tmp_path / "d.ppm")
    (tmp_path / "e.ppm").write_bytes(b"P3\n1 1\n65535\n1 2 3\n")
    with pytest.raises(FileFormatError, match=r"needs to be binary \(P6\) .* Received: a plain one \(P3\)\."):
        read_image(tmp_path / "e.ppm")


# Against the other libraries that write such files.


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_what_opencv_writes(tmp_path: Path, suffix: str, dtype: Any, channels: int) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV isn't installed")
    values = noise(37, 53, channels, dtype=dtype)
    # OpenCV's colours are blue, green, red.
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    assert cv2.imwrite(str(tmp_path / f"a{suffix}"), values[..., order])
    same(np.asarray(read_image(tmp_path / f"a{suffix}")), values[..., 0] if channels == 1 else values)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib"},
        {"compression": "lzw", "predictor": True},
        {"byteorder": ">"},
        {"byteorder": ">", "compression": "zlib"},
        {"tile": (16, 16)},
        {"tile": (16, 16), "compression": "zlib"},
        {"rowsperstrip": 5},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "compression": "zlib"},
    ],
    ids=str,
)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_what_tifffile_writes(tmp_path: Path, dtype: Any, channels: int, options: dict[str, Any]) -> None:
    tifffile = pytest.importorskip("tifffile", reason="tifffile isn't installed")
    if options.get("compression") == "lzw":
        pytest.importorskip("imagecodecs", reason="tifffile packs by LZW with imagecodecs only")
    planar = options.get("planarconfig") == "separate"
    if planar and channels == 1:
        pytest.skip("one channel is one plane")
    if dtype == np.float32:
        options = {name: value for name, value in options.items() if name != "predictor"}
    values = noise(37, 53, channels, dtype=dtype)
    written = values[..., 0] if channels == 1 else np.moveaxis(values, -1, 0) if planar else values
    tifffile.imwrite(
        tmp_path / "a.tif",
        written,
        photometric="rgb" if channels > 2 else "minisblack",
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        metadata=None,
        **({"planarconfig": "contig"} if channels > 1 else {}) | options,
    )
    found = read_image(tmp_path / "a.tif")
    same(np.asarray(found), values[..., 0] if channels == 1 else values)
    assert found.frames == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_colours_multiplied_by_alpha_are_divided_again(tmp_path: Path, dtype: Any) -> None:
    tifffile = pytest.importorskip("tifffile", reason="tifffile isn't installed")
    top = 1.0 if dtype == np.float32 else float(np.iinfo(dtype).max)
    colour = np.array([[[0.2, 0.4, 0.6], [1, 0.5, 0], [0.3, 0.3, 0.3]]]) * top
    share = np.array([[[0.5], [1], [0]]])
    values = np.concatenate([colour * share, share * top], axis=2)
    values = (np.rint(values) if top > 1 else values).astype(dtype)
    tifffile.imwrite(
        tmp_path / "a.tif", values, photometric="rgb", extrasamples=["assocalpha"], metadata=None
    )
    found = read_image(tmp_path / "a.tif")
    same(found.alpha, values[..., 3])
    # Rounded once when multiplied and once when divided by half: within two levels.
    assert_same(
        found.pixels[:, :2].astype(np.float64), colour[:, :2], rtol=1e-6, atol=2.0 if top > 1 else 0.0,
        reason="two roundings to whole levels, doubled by the division by a half; float32",
    )  # fmt: skip
    if dtype != np.uint8:  # which Pillow divides by itself, and leaves as it is where nothing is seen
        assert (found.pixels[0, 2] == 0).all()


def test_cubes_of_interlaced_files(tmp_path: Path) -> None:
    # Adam7 of a 1 × 1 picture is one pass of one pixel: the header's last byte says interlaced.
    content = bytearray(png(1, 1, 16, 4, b"\0\1\2\3\4"))
    content[28] = 1
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(content)
    same(np.asarray(read_image(tmp_path / "a.png")), np.array([[[0x102, 0x304]]], np.uint16))


# Which way is up.


@pytest.mark.parametrize("kind", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_carried_out_and_reset(tmp_path: Path, kind: str, orientation: int) -> None:
    from PIL import ImageOps

    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16], upright[:8, 16:], upright[8:, :16] = (240, 20, 20), (20, 240, 20), (20, 20, 240)
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.swapaxes(0, 1), 6: upright.swapaxes(0, 1)[::-1],
        7: upright.swapaxes(0, 1)[::-1, ::-1], 8: upright.swapaxes(0, 1)[:, ::-1],
    }[orientation]  # fmt: skip
    image = Image.fromarray(np.ascontiguousarray(stored))
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "A maker"
    path = tmp_path / f"a{kind}"
    image.save(
        path, exif=exif, dpi=(100, 50), **({"quality": 95, "subsampling": 0} if kind == ".jpg" else {})
    )
    found = read_image(path)
    assert found.pixels.shape == upright.shape
    # JPEG and WebP change colours a little; the four quarters are 220 levels apart.
    assert int(np.abs(found.pixels.astype(int) - upright)[4::8, 4::8].max()) < 40
    if found.resolution is not None:
        across, down = (50, 100) if orientation > 4 and kind != ".tif" else (100, 50)
        assert found.resolution == pytest.approx((across, down), rel=1e-3)
    write_image(tmp_path / f"b{kind}", found)
    with Image.open(tmp_path / f"b{kind}") as again:
        assert again.getexif().get(0x0112, 1) == 1
        assert again.getexif().get(0x010F) == "A maker"
        assert ImageOps.exif_transpose(again).size == (32, 16)


def test_16_bit_colour_lies_as_its_tag_says(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile", reason="tifffile isn't installed")
    values = noise(5, 9, 3, dtype=np.uint16)
    for name, channels in (("colour", 3), ("float", 3)):
        stored = values if name == "colour" else values.astype(np.float32)
        tifffile.imwrite(
            tmp_path / f"{name}.tif", stored[..., :channels], photometric="rgb", metadata=None,
            extratags=[(274, "H", 1, 6, True)],
        )  # fmt: skip
        same(read_image(tmp_path / f"{name}.tif").pixels, np.rot90(stored, -1))


# Writing.


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [(".png", np.uint8), (".png", np.uint16), (".tif", np.uint8), (".tiff", np.uint16), (".TIF", np.float32)],
)
def test_nothing_is_lost(tmp_path: Path, suffix: str, dtype: Any, channels: int) -> None:
    if dtype != np.uint8 and suffix.lower() != ".png":
        pytest.importorskip("tifffile", reason="tifffile isn't installed")
    for height, width in ((1, 1), (67, 5), (130, 33)):
        values = noise(height, width, channels, dtype=dtype)
        expected = values[..., 0] if channels == 1 else values
        path = tmp_path / f"{height}{suffix}"
        write_image(path, values)
        found = read_image(path)
        same(np.asarray(found), expected)
        assert (found.profile, found.exif, found.resolution) in ((None, None, None), (None, None, (1.0, 1.0)))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{h}{suffix}" for h in (1, 67, 130))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_others_read_our_16_bit_png(tmp_path: Path, channels: int) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV isn't installed")
    ramp = np.add.outer(np.arange(150), np.arange(70) * 300).astype(np.uint16)
    values = ramp[..., None] + noise(150, 70, channels, dtype=np.uint8)
    write_image(tmp_path / "a.png", values)
    found = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    if channels == 1:
        expected = values[..., 0]
    elif channels == 2:  # OpenCV makes colours of it
        expected = values[..., [0, 0, 0, 1]]
    else:
        expected = values[..., [2, 1, 0, 3][:channels]]
    same(found, expected)


@pytest.mark.parametrize("suffix", [".bmp", ".ppm", ".pnm", ".pgm"])
def test_plain_formats(tmp_path: Path, suffix: str) -> None:
    for channels in (1, 3):
        if (suffix, channels) in ((".pgm", 3), (".ppm", 1)):
            continue
        for dtype in (np.uint8, np.uint16)[: 1 if suffix == ".bmp" else 2]:
            values = noise(6, 7, channels, dtype=dtype)
            write_image(tmp_path / f"a{suffix}", values)
            same(np.asarray(read_image(tmp_path / f"a{suffix}")), values[..., 0] if channels == 1 else values)


def test_jpeg_and_webp_are_near(tmp_path: Path) -> None:
    values = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    for suffix in (".jpg", ".webp"):
        write_image(tmp_path / f"a{suffix}", values)
        pixels = read_image(tmp_path / f"a{suffix}").pixels
        grey = pixels if pixels.ndim == 2 else pixels[..., 1]
        assert int(np.abs(grey.astype(int) - values).max()) <= 4, suffix
        assert (pixels.ndim == 2) == (suffix == ".jpg")  # WebP has no grey
    sizes = []
    for quality in (20, 95):
        write_image(tmp_path / "q.jpg", noise(64, 64, 3), quality=quality)
        sizes.append((tmp_path / "q.jpg").stat().st_size)
    assert sizes[0] < sizes[1] / 2


def test_gif_holds_its_colours_and_what_is_clear(tmp_path: Path) -> None:
    values = np.zeros((4, 4, 4), np.uint8)
    values[:2] = (250, 10, 10, 255)
    values[2:, :2] = (10, 250, 10, 255)
    write_image(tmp_path / "a.gif", values)
    found = read_image(tmp_path / "a.gif")
    same(found.alpha, values[..., 3])
    seen = values[..., 3] > 0
    same(found.pixels[seen], values[..., :3][seen])


def test_the_first_frame_of_several(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((3, 4), level, np.uint8)) for level in (10, 120, 240)]
    for name, options in (("a.gif", {}), ("a.tif", {}), ("a.png", {}), ("a.webp", {"lossless": True})):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
        found = read_image(tmp_path / name)
        assert found.frames == 3, name
        assert (found.pixels == 10).all(), name


def test_the_street_clip_as_a_picture() -> None:
    folder = os.environ.get("TILEWRIGHT_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data"
    path = Path(folder) / "video" / "street.gif"
    if not path.is_file():
        pytest.skip("the real data isn't here: see TILEWRIGHT_DATA")
    found = read_image(path)
    assert (found.width, found.height, found.frames) == (480, 270, 41)


# Refusals.


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    content = png(60000, 60000, 1, 0, zlib.compress(bytes(100)))
    (tmp_path / "bomb.png").write_bytes(content)
    with pytest.raises(FileFormatError) as caught:
        read_image(tmp_path / "bomb.png")
    assert str(caught.value) == (
        f"Image file {str(tmp_path / 'bomb.png')!r} needs to have at most 134,217,728 pixels. Received: "
        "3,600,000,000 pixels. If it is what it should be, allow more: max_pixels= of read_image, "
        "--max-pixels "
        "of the command."
    )
    with pytest.raises(
        FileFormatError, match=r"needs to be long enough for its 3,600,000,000 pixels\. Received: "
    ):
        read_image(tmp_path / "bomb.png", max_pixels=10**10)
    small = tmp_path / "small.png"
    write_image(small, noise(10, 10, 3))
    assert read_image(small, max_pixels=100).width == 10
    with pytest.raises(FileFormatError, match=r"at most 99 pixels\. Received: 10 × 10 = 100 pixels\."):
        read_image(small, max_pixels=99)


@pytest.mark.parametrize("kind", [b"VP8X", b"VP8L", b"VP8 "])
def test_a_webp_of_too_large_a_canvas(tmp_path: Path, kind: bytes) -> None:
    sizes = {
        b"VP8X": bytes(8) + (16382).to_bytes(3, "little") * 2,
        b"VP8L": bytes(5) + ((16382) | (16382 << 14)).to_bytes(4, "little"),
        b"VP8 ": bytes(10) + (16383).to_bytes(2, "little") * 2,
    }[kind]
    (tmp_path / "a.webp").write_bytes((b"RIFF\0\1\0\0WEBP" + kind + sizes).ljust(64, b"\0"))
    with pytest.raises(FileFormatError, match=r"Received: 16,383 × 16,383 = 268,402,689 pixels\."):
        read_image(tmp_path / "a.webp")


def test_pillows_settings_are_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "a.png", noise(20, 20, 3))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(tmp_path / "a.png").width == 20
        before = list(warnings.filters)
        read_image(tmp_path / "a.png")
        assert list(warnings.filters) == before
    assert Image.MAX_IMAGE_PIXELS == 100


def test_files_that_are_no_images(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not a picture at all")
    with pytest.raises(FileFormatError) as caught:
        read_image(tmp_path / "text.png")
    assert str(caught.value) == (
        f"{str(tmp_path / 'text.png')!r} needs to be a PNG, JPEG, TIFF, WEBP, GIF, BMP or PPM image. "
        "Received: a file "
        "that is none of these, or whose start is damaged."
    )
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(FileFormatError, match=r"empty\.png' needs to be a PNG"):
        read_image(tmp_path / "empty.png")
    whole = tmp_path / "whole.png"
    write_image(whole, noise(40, 40, 3))
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(
        FileFormatError, match=r"cut\.png' is damaged or cut short\. Received: \w+ while decoding: "
    ):
        read_image(tmp_path / "cut.png")
    (tmp_path / "none.png").write_bytes(png(0, 1, 8, 0, b"\0"))
    with pytest.raises(FileFormatError, match=r"none\.png' "):
        read_image(tmp_path / "none.png")


def test_a_tiff_without_all_its_strips(tmp_path: Path) -> None:
    Image.fromarray(noise(40, 40)).save(tmp_path / "a.tif")
    content = bytearray((tmp_path / "a.tif").read_bytes())
    at = content.index(struct.pack("<HHI", 257, 4, 1)) if struct.pack("<HHI", 257, 4, 1) in content else None
    at = content.index(struct.pack("<HHI", 257, 3, 1)) if at is None else at
    content[at + 2 : at + 12] = struct.pack("<HII", 4, 1, 4000)
    (tmp_path / "b.tif").write_bytes(content)
    with pytest.raises(FileFormatError, match=r"b\.tif' "):
        read_image(tmp_path / "b.tif")


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("I", "integers of 32 bits or with a sign"), ("LAB", r"colours of L\*a\*b\*")],
)
def test_pixels_of_other_kinds(tmp_path: Path, mode: str, kind: str) -> None:
    Image.new(mode, (3, 2)).save(tmp_path / "a.tif")
    with pytest.raises(FileFormatError, match=rf"grey or RGB pixels of 8 or 16 bits .* Received: {kind}\."):
        read_image(tmp_path / "a.tif")


def test_tiff_of_other_kinds(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile", reason="tifffile isn't installed")
    tifffile.imwrite(tmp_path / "a.tif", noise(4, 5, 3, dtype=np.float64), photometric="rgb", metadata=None)
    with pytest.raises(FileFormatError) as caught:
        read_image(tmp_path / "a.tif")
    assert str(caught.value) == (
        f"Image file {str(tmp_path / 'a.tif')!r} needs grey or RGB pixels of uint8, uint16 or float32, "
        "alpha or none. "
        "Received: 3 samples a pixel of dtype float64, RGB."
    )


def test_paths(tmp_path: Path) -> None:
    with pytest.raises(
        ArgumentError, match=r"read_image needs a file that exists\. Received: path='.*x\.png', where"
    ):
        read_image(tmp_path / "x.png")
    with pytest.raises(
        FileFormatError, match=r"needs an ordinary file\. Received: path='.*', which is a folder\."
    ):
        read_image(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        with pytest.raises(FileFormatError, match=r"which is neither a file nor a folder\."):
            read_image(tmp_path / "pipe.png")
    with pytest.raises(DtypeError, match=r"needs path to be a str or os\.PathLike\. Received: path=3\."):
        read_image(3)  # type: ignore[arg-type]
    for path in ("", "a\0b.png"):
        with pytest.raises(
            ArgumentError, match=r"read_image needs path to be the path of a file\. Received: path="
        ):
            read_image(path)
    with pytest.raises(
        FileFormatError, match=r"read_image can't reach the file '.*\. Received: File name too long\."
    ):
        read_image("a" * 5000)
    for limit in (0, -1, 2.5, None, "9", True):
        with pytest.raises(
            ArgumentError, match=r"max_pixels to be a whole number from 1 on\. Received: max_pixels="
        ):
            read_image(tmp_path / "x.png", max_pixels=limit)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "message"),
    [
        ("a.jpg", (4, 4), np.uint16, r"'a\.jpg', a JPEG file, holds values of uint8\. Received: pixels "
        r"with shape "
         r"\(4, 4\) and dtype uint16\. Write a \.tif file, or a \.png file of 16 bits\."),
        ("a.png", (4, 4), np.float32, r"'a\.png', a PNG file, holds values of uint8 or uint16\. "
        r"Received: pixels with "
         r"shape \(4, 4\) and dtype float32\. Write a \.tif file, or make the values whole numbers first\."),
        ("a.jpg", (4, 4, 4), np.uint8, r"'a\.jpg', a JPEG file, can't hold transparency\. Received: "
        r"alpha with shape "
         r"\(4, 4\) and dtype uint8\. Write a \.png, \.tif or \.webp file, or lay the picture on a "
         r"colour first\."),
        ("a.pgm", (4, 4, 3), np.uint8, r"'a\.pgm' holds grey pixels\. Received: pixels with shape \(4, "
        r"4, 3\) and "
         r"dtype uint8\. Write a \.pgm file of grey, a \.ppm file of colours\."),
        ("a.webp", (1, 20000), np.uint8, r"a WEBP file, holds at most 16,383 pixels in a row or a "
        r"column\. Received: "
         r"20,000 × 1 pixels\."),
        ("a.xyz", (4, 4), np.uint8, r"A picture is written to a file whose name ends in \.png, \.jpg, "
        r".*\. Received: "
         r"path='a\.xyz'\."),
    ],
)  # fmt: skip
def test_what_a_format_cannot_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, shape: Any, dtype: Any, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError, match=message):
        write_image(name, np.zeros(shape, dtype))
    assert list(tmp_path.iterdir()) == []


def test_wrong_calls_of_write_image(tmp_path: Path) -> None:
    good = np.zeros((2, 2), np.uint8)
    with pytest.raises(
        ArgumentError, match=r"needs a folder that exists\. Received: path='.*no/a\.png'\. Make the"
    ):
        write_image(tmp_path / "no" / "a.png", good)
    (tmp_path / "dir.png").mkdir()
    with pytest.raises(
        ArgumentError, match=r"needs the path of a file\. Received: path='.*', which is a folder\."
    ):
        write_image(tmp_path / "dir.png", good)
    for quality in (0, 101, 2.5, "95", None, True):
        with pytest.raises(
            ArgumentError, match=r"quality to be a whole number from 1 to 100\. Received: quality="
        ):
            write_image(tmp_path / "a.jpg", good, quality=quality)  # type: ignore[arg-type]
    for wrong in (None, "x", [[1, 2]], good.astype(np.int64), good.astype(bool), np.array(["a"])):
        with pytest.raises(
            DtypeError, match=r"A picture is a Picture or a NumPy array of .* Received: picture"
        ):
            write_image(tmp_path / "a.png", wrong)
    for shape in ((), (3,), (0, 4), (4, 0, 3), (2, 2, 5), (2, 2, 0), (1, 2, 2, 3)):
        with pytest.raises(ShapeError, match=r"Received: p\w+ with shape"):
            write_image(tmp_path / "a.png", np.zeros(shape, np.uint8))
    assert [path.name for path in tmp_path.iterdir()] == ["dir.png"]


def test_wrong_pictures() -> None:
    good = np.zeros((2, 2), np.uint8)
    with pytest.raises(
        ShapeError, match=r"Picture needs pixels of shape .* Received: pixels with shape \(2, 2, 4\)"
    ):
        Picture(np.zeros((2, 2, 4), np.uint8))
    with pytest.raises(
        ShapeError, match=r"Picture needs alpha of the height, .* Received: pixels with .*, alpha with"
    ):
        Picture(good, np.zeros((2, 3), np.uint8))
    with pytest.raises(DtypeError, match=r"pixels to be a NumPy array\. Received: pixels=\[\[1\]\]\."):
        Picture([[1]])  # type: ignore[arg-type]
    with pytest.raises(DtypeError, match=r"pixels of dtype uint8, uint16 or float32\. Received: pixels with"):
        Picture(good.astype(np.float64))
    with pytest.raises(DtypeError, match=r"of dtype uint8, uint16 or float32\. Received: pixels with"):
        Picture(good.astype(">u2"))
    with pytest.raises(
        ArgumentError, match=r"Picture needs profile to be bytes or None\. Received: profile='sRGB'\."
    ):
        Picture(good, profile="sRGB")  # type: ignore[arg-type]


def test_wrong_facts_of_pictures() -> None:
    good = np.zeros((2, 2), np.uint8)
    for dots in (72, (72,), (0, 72), (72, float("nan")), (1e6, 1), ("72", "72"), [72, 72]):
        with pytest.raises(
            ArgumentError, match=r"resolution to be two numbers above 0 .* Received: resolution="
        ):
            Picture(good, resolution=dots)  # type: ignore[arg-type]
    for frames in (0, -1, 1.0, None, True):
        with pytest.raises(ArgumentError, match=r"frames to be a whole number from 1 on\. Received: frames="):
            Picture(good, frames=frames)  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp", ".gif", ".ppm"])
@pytest.mark.parametrize("exif", [b"", b"junk", b"Exif\0\0MM\0*\xff\xff\xff\xff", bytes(70_000)])
def test_odd_facts_spoil_no_file(tmp_path: Path, suffix: str, exif: bytes) -> None:
    values = noise(5, 6, 3)
    for dots in ((1e-5, 999_999.0), (300, 300)):
        for dtype in (np.uint8, np.uint16)[: 2 if suffix in (".png", ".tif", ".ppm") else 1]:
            picture = Picture(values.astype(dtype), exif=exif, resolution=dots, profile=b"junk")
            write_image(tmp_path / f"a{suffix}", picture)
            assert read_image(tmp_path / f"a{suffix}").pixels.shape == values.shape


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_lie_as_an_exif_block_behind_them_says(tmp_path: Path, channels: int) -> None:
    values = noise(4, 7, channels, dtype=np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    for behind in (False, True):
        content = encode_png16(values, exif=exif.tobytes())
        if behind:
            start = content.index(b"eXIf") - 4
            size = 12 + int.from_bytes(content[start : start + 4], "big")
            block, end = content[start : start + size], len(content) - 12
            content = content[:start] + content[start + size : end] + block + content[end:]
        (tmp_path / "a.png").write_bytes(content)
        expected = np.rot90(values, -1)
        same(np.asarray(read_image(tmp_path / "a.png")), expected[..., 0] if channels == 1 else expected)


def test_arrays_of_all_kinds_are_written(tmp_path: Path) -> None:
    base = noise(8, 10, 3, dtype=np.uint16)
    frozen = base.copy()
    frozen.flags.writeable = False
    for array in (
        base[::-1, ::-2],
        base.astype(">u2"),
        np.asfortranarray(base),
        frozen,
        base.transpose(1, 0, 2),
    ):
        write_image(tmp_path / "a.png", array)
        same(read_image(tmp_path / "a.png").pixels, array.astype(np.uint16))
    spread = np.broadcast_to(np.uint8(7), (5, 6))
    write_image(tmp_path / "b.png", spread)
    same(read_image(tmp_path / "b.png").pixels, spread)
    assert as_picture(np.zeros((2, 2, 1), np.uint8)).pixels.shape == (2, 2)


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ä b.png"
    write_image(path, np.zeros((2, 2), np.uint8))
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_image(path, np.ones((2, 2), np.uint8))
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_without_pillow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    write_image(tmp_path / "a.png", np.zeros((2, 2), np.uint8))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(
        MissingExtraError, match=r"Reading a picture needs the package pillow.*tilewright\[image\]"
    ):
        read_image(tmp_path / "a.png")
    with pytest.raises(
        MissingExtraError, match=r"Writing a picture needs the package pillow.*tilewright\[image\]"
    ):
        write_image(tmp_path / "b.png", np.zeros((2, 2), np.uint8))
    write_image(tmp_path / "c.png", np.zeros((2, 2), np.uint16))  # which needs no more than Python


# Colours.


def profile_of(space: str) -> bytes:
    from PIL import ImageCms

    return bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes())


def wide_profile() -> bytes:
    """sRGB's own profile with red and green exchanged: what it shows can be told from sRGB by anyone."""
    content = bytearray(profile_of("sRGB"))
    count = struct.unpack(">I", content[128:132])[0]
    entries = {bytes(content[132 + 12 * n : 136 + 12 * n]): 132 + 12 * n for n in range(count)}
    red, green = entries[b"rXYZ"], entries[b"gXYZ"]
    content[red : red + 4], content[green : green + 4] = b"gXYZ", b"rXYZ"
    return (
        bytes(content)
        .replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))
        .replace(b"sRGB", b"test")
    )


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_a_profile_is_kept(tmp_path: Path, suffix: str) -> None:
    profile = profile_of("sRGB")
    for dtype in (np.uint8, np.uint16)[: 2 if suffix in (".png", ".tif") else 1]:
        Image.new("RGB", (4, 4), (200, 100, 50)).save(tmp_path / f"a{suffix}", icc_profile=profile)
        found = read_image(tmp_path / f"a{suffix}")
        assert found.profile == profile
        write_image(tmp_path / f"b{suffix}", found.replace(pixels=found.pixels.astype(dtype)))
        assert read_image(tmp_path / f"b{suffix}").profile == profile
        # It says nothing of a grey picture.
        write_image(tmp_path / f"g{suffix}", found.replace(pixels=found.pixels[..., 0].copy()))
        assert read_image(tmp_path / f"g{suffix}").profile is None


def test_colours_are_converted_where_a_profile_has_no_place(tmp_path: Path) -> None:
    pixels = np.full((2, 2, 3), (200, 30, 60), np.uint8)
    write_image(tmp_path / "a.bmp", Picture(pixels, profile=wide_profile()))
    found = read_image(tmp_path / "a.bmp").pixels
    # Red and green change places; LittleCMS rounds on the way.
    assert int(np.abs(found.astype(int) - pixels[..., [1, 0, 2]]).max()) <= 2
    write_image(tmp_path / "b.bmp", Picture(pixels, profile=profile_of("sRGB")))
    same(read_image(tmp_path / "b.bmp").pixels, pixels)
    write_image(tmp_path / "c.bmp", Picture(pixels, profile=wide_profile()[:200].ljust(400, b"\xff")))
    same(read_image(tmp_path / "c.bmp").pixels, pixels)
    with pytest.raises(
        ArgumentError, match=r"a PPM file, can't hold the picture's colour profile\. Received: pixels"
    ):
        write_image(tmp_path / "d.ppm", Picture(pixels.astype(np.uint16), profile=wide_profile()))


def test_cmyk_needs_its_profile(tmp_path: Path) -> None:
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    with pytest.raises(FileFormatError) as caught:
        read_image(tmp_path / "a.jpg")
    assert str(caught.value) == (
        f"Image file {str(tmp_path / 'a.jpg')!r} needs a colour profile that says which colours its CMYK "
        "inks give. "
        "Received: none. Convert it to RGB with the program that made it."
    )
    content = bytearray(profile_of("sRGB"))
    content[16:20] = b"CMYK"  # claims to be one, and can't be carried out
    Image.new("CMYK", (4, 4)).save(tmp_path / "b.jpg", icc_profile=bytes(content))
    with pytest.raises(
        FileFormatError, match=r"b\.jpg' needs a colour profile that can be read\. Received: "
    ):
        read_image(tmp_path / "b.jpg")


def inks() -> bytes:
    """A small profile of four inks: paper is white, black is black, magenta reddish, the others grey."""
    nodes = []
    for node in range(16):  # cyan counts slowest, black fastest
        cyan, magenta, yellow, black = (node >> bit & 1 for bit in (3, 2, 1, 0))
        light = 0 if black else round(255 * (1 - 0.25 * (cyan + magenta + yellow)))
        nodes.append([light, 128 + (60 if magenta and not black else 0), 128])  # L*, a*, b* in 8 bits
    curve = bytes(range(256))
    unity = struct.pack(">9i", *(65536 * (n % 4 == 0) for n in range(9)))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + unity
    table += 4 * curve + bytes(value for node in nodes for value in node) + 3 * curve
    body = struct.pack(">I4sII", 1, b"A2B0", 144, len(table)) + table
    head = struct.pack(">I4sI4s4s4s", 128 + len(body), b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)  # D50, the PCS's white
    return head.ljust(128, b"\0") + body


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_becomes_srgb_by_its_profile(tmp_path: Path, suffix: str) -> None:
    pixels = np.zeros((16, 48, 4), np.uint8)
    pixels[:, 16:32, 3], pixels[:, 32:, 1] = 255, 255  # paper, black, magenta
    image = Image.frombytes("CMYK", (48, 16), pixels.tobytes())
    image.save(tmp_path / f"a{suffix}", icc_profile=inks(), **({"quality": 95} if suffix == ".jpg" else {}))
    found = read_image(tmp_path / f"a{suffix}")
    assert (found.channels, found.depth, found.profile) == (3, 8, None)
    paper, black, magenta = (found.pixels[8, column].astype(int) for column in (8, 24, 40))
    # The profile's tables have 8 bits, and JPEG changes a little.
    assert paper.min() >= 252
    assert black.max() <= 4
    # L* 74.9, a* 60, b* 0 by the formulas of CIE L*a*b* (D50), Bradford and sRGB, where red ends at 255.
    assert np.abs(magenta - [255, 134, 187]).max() <= 4


def test_damaged_metadata_leaves_good_pixels_good(tmp_path: Path) -> None:
    values = noise(5, 6, 3)
    Image.fromarray(values).save(
        tmp_path / "a.png", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff", icc_profile=b"nonsense"
    )
    found = read_image(tmp_path / "a.png")
    same(found.pixels, values)
    assert (found.exif, found.profile) == (None, None)


def test_camera_blocks_are_kept_without_their_preview(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "A maker", 6
    exif[0x8769] = {0x829D: 2.8, 0xA002: 999, 0x9003: "2024:05:06 07:08:09"}
    exif[0x8825] = {1: "N", 2: (48.0, 8.0, 30.0)}
    Image.fromarray(noise(8, 6, 3)).save(tmp_path / "a.jpg", exif=exif)
    write_image(tmp_path / "b.jpg", read_image(tmp_path / "a.jpg"))
    with Image.open(tmp_path / "b.jpg") as found:
        again = found.getexif()
        assert dict(again.get_ifd(0x8769)) == {0x829D: 2.8, 0x9003: "2024:05:06 07:08:09"}
        assert again.get_ifd(0x8825)[2] == (48.0, 8.0, 30.0)
        assert (again[0x010F], again[0x0112], found.size) == ("A maker", 1, (8, 6))
    assert io.BytesIO(read_image(tmp_path / "b.jpg").exif or b"").read(6) == b"Exif\0\0"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_tiff_file_says_who_made_it(tmp_path: Path, dtype: Any) -> None:
    if dtype != np.uint8:
        pytest.importorskip("tifffile", reason="tifffile isn't installed")
    exif = Image.Exif()
    exif[0x010F], exif[0x0132], exif[0x8769] = "A maker", "2024:05:06 07:08:09", {0x829D: 2.8}
    picture = Picture(noise(4, 5, 3, dtype=dtype), exif=exif.tobytes(), resolution=(300.0, 150.0))
    write_image(tmp_path / "a.tif", picture)
    content = (tmp_path / "a.tif").read_bytes()
    assert b"A maker\0" in content
    assert b"2024:05:06 07:08:09\0" in content
    found = read_image(tmp_path / "a.tif")
    same(found.pixels, picture.pixels)
    assert found.resolution == (300.0, 150.0)
    if found.exif is not None:
        assert b"A maker" in found.exif
