"""Image files, damaged at random: what the tests of damaged files read, in a process of its own.

Run as a program it reads each file named on its standard input, with 1 GiB of address space in all, and says
how it ended: ``start NAME`` and then ``read``, ``refused``, or what it shouldn't have come to.
"""

from __future__ import annotations

import io
import resource
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MEMORY = 1 << 30
EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def originals() -> dict[str, bytes]:
    """Small whole files of each kind, in the layouts that are read in different ways."""
    from PIL import Image

    from tilewright.image.encode import encode
    from tilewright.image.files import as_picture

    rng = np.random.default_rng(0)
    ramp = np.add.outer(np.arange(48), np.arange(64))[..., None] * np.array([2, 1, 3, 4])
    values = (ramp + rng.integers(0, 20, ramp.shape)).astype(np.uint8)
    deep = (ramp * 150 + rng.integers(0, 999, ramp.shape)).astype(np.uint16)
    colour, alpha = Image.fromarray(values[..., :3]), Image.fromarray(values)
    palette = colour.quantize(16)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A maker of cameras"
    exif[0x8769] = {0x829D: 2.8, 0x9003: "2024:05:06 07:08:09"}
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    def saved(image: Any, kind: str, **options: Any) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        return buffer.getvalue()

    def deeply(array: np.ndarray, name: str) -> bytes:
        return encode(as_picture(array), Path(name), 95)

    found = {
        "colour.png": saved(colour, "PNG", exif=exif, icc_profile=profile, dpi=(300, 300)),
        "alpha.png": saved(alpha, "PNG"),
        "palette.png": saved(palette, "PNG", transparency=3, bits=4),
        "deep.png": deeply(deep, "a.png"),
        "deep-grey.png": deeply(deep[..., :2], "a.png"),
        "moving.png": saved(colour, "PNG", save_all=True, append_images=[colour.rotate(180)]),
        "plain.jpg": saved(colour, "JPEG"),
        "camera.jpg": saved(colour, "JPEG", exif=exif, icc_profile=profile, progressive=True),
        "grey.jpg": saved(colour.convert("L"), "JPEG"),
        "ink.jpg": saved(colour.convert("CMYK"), "JPEG"),
        "plain.tif": saved(colour, "TIFF"),
        "packed.tif": saved(alpha, "TIFF", compression="tiff_adobe_deflate", icc_profile=profile),
        "lzw.tif": saved(palette, "TIFF", compression="tiff_lzw"),
        "jpeg.tif": saved(colour, "TIFF", compression="jpeg"),
        "fax.tif": saved(colour.convert("1"), "TIFF", compression="group4"),
        "pages.tif": saved(colour, "TIFF", save_all=True, append_images=[alpha]),
        "plain.gif": saved(palette, "GIF"),
        "moving.gif": saved(
            palette, "GIF", save_all=True, append_images=[palette.rotate(90), palette.rotate(180)]
        ),
    }
    try:
        import tifffile  # noqa: F401
    except ImportError:
        return found
    found["deep.tif"] = deeply(deep[..., :3], "a.tif")
    found["deep-grey.tif"] = deeply(deep[..., :2], "a.tif")
    found["float.tif"] = deeply(deep[..., :3].astype(np.float32), "a.tif")
    return found


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """The file cut short, or with some of its bytes changed, moved, lost, doubled or made extreme."""
    data = bytearray(content)
    # Half of the damage is done where the header is: elsewhere, most of it only spoils pixels.
    reach = len(data) if rng.random() < 0.5 else min(len(data), 400)

    def place(size: int = 1) -> int:
        return int(rng.integers(0, max(1, reach - size)))

    def cut() -> None:
        del data[place() :]

    def flip() -> None:
        for _ in range(int(rng.integers(1, 20))):
            data[place()] ^= 1 << int(rng.integers(0, 8))

    def spoil() -> None:
        for _ in range(int(rng.integers(1, 20))):
            data[place()] = int(rng.integers(0, 256))

    def lose() -> None:
        start = place()
        del data[start : start + int(rng.integers(1, 60))]

    def double() -> None:
        start = place()
        data[start:start] = data[start : start + int(rng.integers(1, 200))]

    def extreme() -> None:
        for _ in range(int(rng.integers(1, 4))):
            width = int(rng.choice([1, 2, 4]))
            value = int(rng.choice(EXTREMES)) & ((1 << 8 * width) - 1)
            start = place(width)
            data[start : start + width] = value.to_bytes(width, "little" if rng.random() < 0.5 else "big")

    def blank() -> None:
        start = place()
        size = min(int(rng.integers(1, 100)), len(data) - start)
        data[start : start + size] = bytes([int(rng.choice([0, 255]))]) * size

    ways: list[Callable[[], None]] = [cut, flip, spoil, lose, double, extreme, extreme, blank]
    ways[int(rng.integers(len(ways)))]()
    # A PNG file's sums would give most damage away; with half of them set right, it reaches the decoder.
    return mended(data) if data[1:4] == b"PNG" and rng.random() < 0.5 else bytes(data)


def mended(data: bytearray) -> bytes:
    """A PNG file whose chunks' check sums are those of their bytes, as far as its chunks can be followed."""
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            break
        data[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(data)


def write_damaged(folder: Path, count: int) -> list[Path]:
    """So many damaged files, the kinds in turn; the same ones every time."""
    whole = originals()
    kinds: dict[str, list[str]] = {}
    for name in whole:
        kinds.setdefault(Path(name).suffix, []).append(name)
    suffixes = sorted(kinds)
    written = []
    for number in range(count):
        names = kinds[suffixes[number % len(suffixes)]]
        name = names[number // len(suffixes) % len(names)]
        path = folder / f"{number:04d} {name}"
        path.write_bytes(damaged(whole[name], np.random.default_rng([7, number])))
        written.append(path)
    return written


def main() -> None:
    """Read the files named on standard input, a line each, and say how each ended."""
    from tilewright.errors import TilewrightError
    from tilewright.image.files import read_image

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for line in sys.stdin:
        name = line.rstrip("\n")
        print(f"start {name}", flush=True)
        try:
            np.asarray(read_image(name)).sum()
            print("read", flush=True)
        except TilewrightError as error:
            print("refused" if name in str(error) else f"unnamed: {error}", flush=True)
        except BaseException as error:
            print(f"raised: {error!r}", flush=True)
    print(f"peak {peak_kilobytes()}", flush=True)


def peak_kilobytes() -> int:
    """The most memory that this process had; ``ru_maxrss`` begins with that of whoever started it."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
