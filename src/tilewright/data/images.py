"""Image files to float arrays, and pictures made to look like what a network was trained on."""

from __future__ import annotations

import operator
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from tilewright.data.arrays import Standardise
from tilewright.data.checks import as_list, as_path, is_one_of
from tilewright.errors import (
    ArgumentError,
    DtypeError,
    FileFormatError,
    ShapeError,
    TilewrightError,
    describe,
    need_extra,
)
from tilewright.files import open_regular

if TYPE_CHECKING:
    from PIL import Image

Array = np.ndarray[Any, Any]

# Larger than any camera's picture in common use; at 3 channels of float32 such an image takes 768 MiB.
MAX_PIXELS = 64 * 1024 * 1024

# Formats that Pillow decodes by itself. Others it hands to outside programs (EPS to Ghostscript) or to
# rarely used decoders, which no file from a stranger should reach.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
IMAGE_SUFFIXES = (
    ".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip

_EXIF_ORIENTATION = 0x0112
# How a stored picture lies, by EXIF tag 0x0112 (the standard's values 2 to 8; 1 is upright): whether to
# exchange rows and columns, and then which axes of (channels, rows, columns) to reverse.
_TURNS: dict[Any, tuple[bool, tuple[int, ...]]] = {
    2: (False, (2,)),
    3: (False, (1, 2)),
    4: (False, (1,)),
    5: (True, ()),
    6: (True, (2,)),
    7: (True, (1, 2)),
    8: (True, (1,)),
}
# ITU-R BT.601 luma, the weights that Pillow and most digit data sets were greyed with.
_RED, _GREEN, _BLUE = np.float32(0.299), np.float32(0.587), np.float32(0.114)


def read_image(path: str | os.PathLike[str], channels: int = 1, size: tuple[int, int] | None = None) -> Array:
    """Read a picture as float32 (channels, height, width) in 0..1.

    The camera's EXIF orientation is applied; transparent pixels show white; of an animation the first
    frame is read; 16-bit grey keeps its 65,536 levels (16-bit colour comes with Pillow's 8).

    Args:
        path: a PNG, JPEG, BMP, GIF, TIFF, WebP or PPM file, known by its content.
        channels: 1 for grey (ITU-R BT.601 weights), 3 for red, green, blue.
        size: (height, width) to resize to, by triangle-filtered area averages when shrinking and linear
            interpolation when growing; the picture's proportions are not kept. None: as it is.

    Raises:
        ArgumentError: there is no such file, or ``channels`` or ``size`` is not as above.
        FileFormatError: not an image of those kinds, damaged, cut short, of 32-bit pixels, or of more
            than 64 megapixels (refused before it is decoded).
        MissingExtraError: Pillow isn't installed.

    >>> read_image("seven.png", size=(28, 28)).shape     # doctest: +SKIP
    (1, 28, 28)
    """
    if not is_one_of(channels, (1, 3)):
        raise ArgumentError(
            "read_image needs channels to be 1 (grey) or 3 (colour).", describe(channels=channels)
        )
    target = None if size is None else _checked_size(size)
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise need_extra("pillow", "plot", "read_image") from error
    name = as_path(path, "path", "read_image")
    with open_regular(name, "read_image") as file, warnings.catch_warnings():
        # Pillow warns of large images and of odd metadata; the size has its own rule below.
        warnings.simplefilter("ignore")
        try:
            pixels = _decode(Image, file, name)
        except TilewrightError:
            raise
        except UnidentifiedImageError as error:
            raise FileFormatError(
                f"{name!r} needs to be a {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]} image.",
                "a file that is none of these, or whose start is damaged",
            ) from error
        except Image.DecompressionBombError as error:
            raise _too_large(name, "far more pixels than that") from error
        # Decoders meet damaged bytes with errors of many kinds (OSError, SyntaxError, ValueError, zlib.error,
        # struct.error, IndexError, …); all of them mean that this file isn't the image it says it is.
        except Exception as error:
            raise FileFormatError(
                f"Image file {name!r} is damaged or cut short.",
                f"{type(error).__name__} while decoding: {error}",
            ) from error
    if channels == 1 and len(pixels) == 3:
        pixels = (_RED * pixels[0] + _GREEN * pixels[1] + _BLUE * pixels[2])[None]
    elif channels == 3 and len(pixels) == 1:
        pixels = np.repeat(pixels, 3, axis=0)
    if target is not None and pixels.shape[1:] != target:
        pixels = _resize(Image, pixels, target)
    # Weights that add up to 1 in real numbers may add up to a rounding error more in float32.
    return np.clip(pixels, 0.0, 1.0, out=np.ascontiguousarray(pixels, dtype=np.float32))


def find_images(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The image files that ``paths`` name: files as they are, folders as the images directly in them.

    A folder gives its files with a known suffix (see ``IMAGE_SUFFIXES``, any case), sorted by name; those
    whose name begins with a dot are left out. A file named outright is taken whatever its suffix.

    Args:
        paths: one path or several.

    Raises:
        ArgumentError: no path was given, one doesn't exist, or a folder holds no image.

    >>> find_images(["one.png", "pictures"])     # doctest: +SKIP
    [PosixPath('one.png'), PosixPath('pictures/a.jpg'), PosixPath('pictures/b.png')]
    """
    single = isinstance(paths, (str, os.PathLike))
    listed = [paths] if single else as_list(paths, "paths", "paths", "find_images")
    named = [as_path(path, "paths", "find_images") for path in listed]
    if not named:
        raise ArgumentError("find_images needs at least one file or folder.", "none")
    found: list[Path] = []
    for path in map(Path, named):
        if path.is_dir():
            found += _images_in(path)
        elif path.exists():
            found.append(path)
        else:
            raise ArgumentError(
                "find_images needs files and folders that exist.", f"{str(path)!r}, where nothing is"
            )
    return found


def prepare_like(image: Array, mean: float, std: float, invert: str = "auto") -> Array:
    """Make a picture look like a network's training images: the right way round, then standardised.

    MNIST and its kin are light on dark, while people draw dark on light. With ``invert="auto"`` the
    picture is inverted (v becomes 1 − v) when its border is lighter than its centre: when the mean over
    the outermost eighth on each side is more than the mean over the middle half of each axis.

    Args:
        image: (channels, height, width), floating, in 0..1, as :func:`read_image` gives it.
        mean: mean of the training pixels in 0..1.
        std: their standard deviation.
        invert: ``auto``, ``yes`` or ``no``.

    Returns:
        A new float32 array of the same shape: (v − mean) / std.

    Raises:
        ShapeError: the image isn't of rank 3, or has no pixels.
        ArgumentError: ``invert`` is another word, or ``std`` isn't positive.
        DtypeError: the pixels aren't floating.

    >>> prepare_like(np.ones((1, 2, 2), np.float32), mean=0.5, std=0.25, invert="yes").ravel()
    array([-2., -2., -2., -2.], dtype=float32)
    """
    if not is_one_of(invert, ("auto", "yes", "no")):
        raise ArgumentError("prepare_like needs invert to be 'auto', 'yes' or 'no'.", describe(invert=invert))
    if not isinstance(image, np.ndarray):
        raise DtypeError("prepare_like needs a NumPy array of pixels.", describe(image=image))
    if image.ndim != 3 or image.size == 0:
        raise ShapeError(
            "prepare_like needs an image of shape (channels, height, width) with pixels in it.",
            describe(image=image),
        )
    if not np.issubdtype(image.dtype, np.floating):
        raise DtypeError("prepare_like needs floating pixels in 0..1.", describe(image=image))
    if invert == "yes" or (invert == "auto" and _border_is_lighter(image)):
        image = 1 - image
    return Standardise(mean, std)(image)


def _images_in(folder: Path) -> list[Path]:
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    if not found:
        raise ArgumentError(
            f"find_images needs a folder to hold images ({', '.join(IMAGE_SUFFIXES)}).",
            f"{str(folder)!r}, which holds none",
        )
    return found


def _checked_size(size: tuple[int, int]) -> tuple[int, int]:
    try:
        height, width = (operator.index(length) for length in size)
    except (TypeError, ValueError):
        height = width = 0
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        raise ArgumentError(
            "read_image needs size to be (height, width), both at least 1 "
            f"and together at most {MAX_PIXELS} pixels.",
            describe(size=size),
        )
    return height, width


def _too_large(name: str, received: str) -> FileFormatError:
    return FileFormatError(f"Image file {name!r} needs to have at most {MAX_PIXELS} pixels.", received)


def _decode(pillow: Any, file: BinaryIO, name: str) -> Array:
    """Pixels (1 or 3, height, width) in 0..1, the right way up, on white."""
    with pillow.open(file, formats=_FORMATS) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise _too_large(name, f"{width} × {height} pixels")
        if width * height == 0:
            raise FileFormatError(f"Image file {name!r} needs to have pixels.", f"{width} × {height} pixels")
        _check_strips(image, name)
        image.load()
        # After load(), because Pillow itself turns a TIFF upright there and then forgets its tag.
        exchange, reverse = _TURNS.get(_orientation(image), (False, ()))
        pixels = _to_unit_range(image, name)
        return np.flip(pixels.swapaxes(1, 2) if exchange else pixels, reverse)


def _check_strips(image: Any, name: str) -> None:
    """Refuse a TIFF file whose strips or tiles hold fewer pixels than its sizes promise.

    Pillow would take room for the promised pixels and leave those without a strip black.
    """
    if image.format != "TIFF":
        return
    promised = image.size[0] * image.size[1]
    held = 0
    for _, (left, top, right, bottom), *_ in image.tile:
        held += (right - left) * (bottom - top)
    if held < promised:
        raise FileFormatError(
            f"Image file {name!r} needs strips or tiles for all of its {promised} pixels.",
            f"strips or tiles for {held}",
        )


def _orientation(image: Image.Image) -> Any:
    try:
        return image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # errors of as many kinds as the decoders'; damaged metadata leaves good pixels good
        return 1


def _to_unit_range(image: Image.Image, name: str) -> Array:
    # In mode I, Pillow holds a PGM file of more than 256 levels (scaled to 0..65535) and, before its version
    # 10.3, a PNG file of 16 bits.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PPM", "PNG")):
        return _sixteen_bit(image)
    if image.mode in ("I", "F"):
        raise FileFormatError(
            f"Image file {name!r} needs pixels of 8 or 16 bits, whose range is known.",
            f"{'integers' if image.mode == 'I' else 'floats'} of 32 bits",
            "Save it with 16 bits per pixel.",
        )
    return _eight_bit(image)


def _unit(image: Image.Image, top: int) -> Array:
    """(channels, height, width) in 0..1 of an image whose levels reach ``top``."""
    levels = np.asarray(image)
    planes = levels[None] if levels.ndim == 2 else np.moveaxis(levels, -1, 0)
    pixels: Array = np.divide(planes, np.float32(top), dtype=np.float32)
    return pixels


def _sixteen_bit(image: Image.Image) -> Array:
    pixels = _unit(image, 65535)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        # PNG names one grey level that is transparent; Pillow passes it on without an alpha channel.
        pixels[np.asarray(image)[None] == transparent] = 1.0
    return pixels


def _eight_bit(image: Image.Image) -> Array:
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        pixels = _unit(image.convert("RGBA"), 255)
        alpha = pixels[3:]
        on_white: Array = pixels[:3] * alpha + (1 - alpha)
        return on_white
    if image.mode in ("1", "L"):
        return _unit(image.convert("L"), 255)
    return _unit(image.convert("RGB"), 255)


def _resize(pillow: Any, pixels: Array, size: tuple[int, int]) -> Array:
    height, width = size
    planes = [
        np.asarray(pillow.fromarray(plane).resize((width, height), pillow.Resampling.BILINEAR))
        for plane in np.ascontiguousarray(pixels, dtype=np.float32)
    ]
    return np.stack(planes)


def _border_is_lighter(image: Array) -> bool:
    height, width = image.shape[1:]
    rows, columns = max(1, height // 8), max(1, width // 8)
    inner = np.zeros((height, width), dtype=bool)
    inner[rows : height - rows, columns : width - columns] = True
    centre = image[:, height // 4 : height - height // 4, width // 4 : width - width // 4]
    # float64 means: the verdict on a picture must not hang on a float32 sum's rounding.
    return bool(image[:, ~inner].mean(dtype=np.float64) > centre.mean(dtype=np.float64))
