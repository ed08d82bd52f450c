"""The gallery of the documentation: docs/gallery.md and every picture on it, made by the program.

    python tools/gallery.py --data folder/with/photos/video/mnist/in/it
    python tools/gallery.py --only borders filters

`make gallery` runs it. Pictures of photographs and clips need the folder; without one, scikit-learn's
photographs stand in for them, and what needs a clip is left as it is.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import tilewright as tw

Array = npt.NDArray[np.float64]

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images" / "gallery"
PAGE = ROOT / "docs" / "gallery.md"
# As wide as a page of the documentation, in inches and dots an inch.
_DPI, _WIDTH = 90, 11.0


@dataclass(frozen=True)
class Entry:
    """A picture of the gallery.

    Attributes:
        name: of the file.
        title: above it.
        text: what is to be seen.
        code: what made it, for readers: a command, or lines of Python.
        draw: writes the file, of a folder with data.
        needs: a file under the data folder without which there is nothing to draw.
    """

    name: str
    title: str
    text: str
    code: str
    draw: Callable[[Path, Path], None]
    needs: str = ""


def photo(data: Path, name: str, channels: int = 1) -> Array:
    """A photograph from 0 to 1: (height, width), or (height, width, 3)."""
    file = data / "photos" / f"{name}.png"
    if file.is_file():
        found = tw.data.read_image(file, channels=channels)
    else:
        from sklearn.datasets import load_sample_image

        found = np.moveaxis(load_sample_image("china.jpg"), -1, 0) / 255
        if channels == 1:
            found = found.mean(axis=0, keepdims=True)
    picture = np.asarray(found, np.float64)
    return picture[0] if channels == 1 else np.moveaxis(picture, 0, -1)


def sheet(panels: Sequence[tuple[str, Array, bool]], path: Path, columns: int, smooth: bool = True) -> None:
    """Pictures in rows: (title, picture, whether it is signed). Signed ones are blue below 0, red above."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = -(-len(panels) // columns)
    height, width = panels[0][1].shape[:2]
    tall = _WIDTH / columns * height / width + 0.35
    figure, axes = pyplot.subplots(rows, columns, figsize=(_WIDTH, tall * rows), squeeze=False)
    for axis in axes.ravel():
        axis.axis("off")
    for axis, (title, picture, signed) in zip(axes.ravel(), panels, strict=False):
        most = max(float(np.abs(picture).max()), 1e-12)
        style = {"cmap": "RdBu_r", "vmin": -most, "vmax": most} if signed else {"cmap": "gray"}
        if not signed and picture.max() <= 1 and picture.min() >= 0:
            style |= {"vmin": 0, "vmax": 1}
        axis.imshow(picture, interpolation="antialiased" if smooth else "nearest", **style)
        axis.set_title(title, fontsize=9)
    figure.tight_layout(pad=0.4)
    figure.savefig(path, dpi=_DPI)
    pyplot.close(figure)


def borders(data: Path, path: Path) -> None:
    """A crop of a photograph with each border around it, and the crop framed."""
    crop = photo(data, "camera")[60:160:2, 190:290:2]
    pad = crop.shape[0] // 2
    panels = []
    for name in tw.image.border_names():
        around = tw.image.pad_border(crop, pad, name, cval=0.5)
        colour = np.repeat(around[..., None], 3, axis=2)
        for edge in (pad - 1, pad + crop.shape[0]):
            colour[edge, pad - 1 : pad + crop.shape[1] + 1] = (1.0, 0.35, 0.0)
            colour[pad - 1 : pad + crop.shape[0] + 1, edge] = (1.0, 0.35, 0.0)
        panels.append((name, colour, False))
    sheet(panels, path, len(panels), smooth=False)


def filters(data: Path, path: Path) -> None:
    """Every filter that has a name, on one photograph."""
    camera = photo(data, "camera")[30:286, 100:356]
    panels = [("the picture", camera, False)]
    for name in tw.image.names():
        found = tw.image.named(name, 2)
        answer = tw.image.filter(camera, found)
        # What sums up to 1 leaves a picture a picture, with overshoots at its edges.
        about_zero = found.signed and abs(answer.mean()) < 0.05
        panels.append((name, answer if about_zero else answer.clip(0, 1), about_zero))
    sheet(panels, path, 5)


def gabors(data: Path, path: Path) -> None:
    """Gabor kernels of four directions, and what they answer to."""
    camera = photo(data, "camera")
    above, below = [], []
    for degrees in (0, 45, 90, 135):
        found = tw.image.gabor(0.12, np.deg2rad(degrees))
        kernel = np.asarray(found.parts[0])
        size = 41
        room = np.zeros((size, size))
        low = (size - kernel.shape[0]) // 2, (size - kernel.shape[1]) // 2
        if min(low) >= 0:
            room[low[0] : low[0] + kernel.shape[0], low[1] : low[1] + kernel.shape[1]] = kernel
        else:
            room = kernel
        above.append((f"{degrees}°", room, True))
        below.append(("", tw.image.filter(camera, found), True))
    sheet([*above, *below], path, 4, smooth=False)


def canny(data: Path, path: Path) -> None:
    """Coins: the gradient, its length where it is largest across the edge, and Canny's lines."""
    coins = photo(data, "coins")
    length = tw.image.gradient_magnitude(tw.image.gaussian_filter(coins, 1.5))
    panels = [
        ("coins", coins, False),
        ("length of the gradient", length / length.max(), False),
        ("Canny, sigma 1", tw.image.canny(coins, sigma=1).astype(float), False),
        ("Canny, sigma 2.5", tw.image.canny(coins, sigma=2.5).astype(float), False),
    ]
    sheet(panels, path, 4)


def denoised(data: Path, path: Path) -> None:
    """Grain taken off in five ways, with what is left of it."""
    camera = photo(data, "camera")[40:232, 130:386]
    noisy = (camera + np.random.default_rng(0).normal(0, 0.08, camera.shape)).clip(0, 1)
    ways = {
        "mean of 3 × 3": tw.image.denoise(noisy, "mean"),
        "Gaussian, sigma 1": tw.image.denoise(noisy, "gaussian"),
        "median of 3 × 3": tw.image.denoise(noisy, "median"),
        "bilateral": tw.image.denoise_bilateral(noisy, sigma_color=0.15, sigma_spatial=1.5),
        "non-local means": tw.image.denoise_nl_means(noisy),
    }
    panels = [(f"noise, error {np.mean((noisy - camera) ** 2):.4f}", noisy, False)]
    for name, found in ways.items():
        panels.append((f"{name}, error {np.mean((found - camera) ** 2):.4f}", found.clip(0, 1), False))
    sheet(panels, path, 3)


def sharpened(data: Path, path: Path) -> None:
    """A face: softened, as it is, and sharpened twice."""
    face = photo(data, "astronaut", 3)[:256, 96:352]
    panels = [
        ("gaussian, sigma 2", tw.image.gaussian_filter(face, (2, 2, 0)), False),
        ("the picture", face, False),
        ("unsharp mask, amount 1", tw.image.unsharp_mask(face, 2, 1, channel_axis=-1), False),
        ("unsharp mask, amount 3", tw.image.unsharp_mask(face, 2, 3, channel_axis=-1), False),
    ]
    sheet([(title, np.clip(picture, 0, 1), signed) for title, picture, signed in panels], path, 4)


def larger(data: Path, path: Path) -> None:
    """An eye, four times as large."""
    small = photo(data, "astronaut", 3)[96:144, 192:256]
    panels = [
        (method, tw.image.upsample(small, 4, method, channel_axis=-1).clip(0, 1), False)
        for method in ("nearest", "linear", "cubic")
    ]
    sheet(panels, path, 3, smooth=False)


def of_example(script: str, figure: str) -> Callable[[Path, Path], None]:
    """Runs a script of examples/ and takes one of its figures."""

    def draw(data: Path, path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            source = ROOT / "examples" / script
            order = [sys.executable, str(source), "--out", folder]
            if "--data" in source.read_text(encoding="utf-8"):
                order += ["--data", str(data)]
            subprocess.run(order, check=True, env={**os.environ, "MPLBACKEND": "Agg"}, cwd=folder)
            path.write_bytes((Path(folder) / figure).read_bytes())

    return draw


def _script(name: str, title: str, text: str, needs: str = "", figure: str = "") -> Entry:
    draw = of_example(f"{name}.py", figure or f"{name}.png")
    return Entry(figure.removesuffix(".png") or name, title, text, f"python examples/{name}.py", draw, needs)


ENTRIES = (
    Entry(
        "borders",
        "Beyond the edge",
        "What a filter finds there: the picture folded about its edge, or about the centre of its outermost "
        "pixels; its outermost pixels; the picture again; or one value.",
        'tw.image.pad_border(crop, 25, "reflect")',
        borders,
    ),
    Entry(
        "filters",
        "Filters with names",
        "All of them, as `tilewright filter --list` tells them. Blue is below zero, red above.",
        'tw.image.filter(camera, "sobel")',
        filters,
    ),
    Entry(
        "gabor",
        "Directions",
        "A wave under a bell answers where the picture has edges or stripes of its direction and width.",
        "tw.image.filter(camera, tw.image.gabor(0.12, theta))",
        gabors,
    ),
    _script(
        "edges_of_pictures",
        "Edges by their sign",
        "Light to the left or to the right, above or below, by two kernels of 2×2; and without a direction.",
        figure="edges_of_camera.png",
    ),
    Entry(
        "canny",
        "Canny's lines",
        "The crest of the gradient's length, where it is strong, or is joined to where it is.",
        "tw.image.canny(coins, sigma=2.5)",
        canny,
    ),
    _script(
        "salt_and_pepper",
        "Salt and pepper",
        "One pixel in ten turned white or black. A mean smears them, a median leaves them out.",
    ),
    Entry(
        "denoise",
        "Grain",
        "Normal noise of 8 % of the range, and the mean squared error that each way leaves.",
        'tw.image.denoise(noisy, "nonlocal")',
        denoised,
    ),
    Entry(
        "sharpen",
        "Softer and sharper",
        "What a Gaussian takes off is what an unsharp mask adds.",
        "tw.image.unsharp_mask(face, 2, 1, channel_axis=-1)",
        sharpened,
    ),
    Entry(
        "larger",
        "Four times as large",
        "Pixels repeated, joined by straight lines, and by curves.",
        'tw.image.upsample(small, 4, "cubic", channel_axis=-1)',
        larger,
    ),
    _script(
        "motion_in_a_street",
        "What moves in a street",
        "Boxes around what moves, and around nothing else, while the camera's exposure changes.",
        "video/street.gif",
    ),
    _script(
        "moving_ball",
        "A kernel over time",
        "Minus the mean of one frame, plus that of the next: nothing where nothing moves.",
    ),
    _script("smoothing_a_curve", "A noisy curve", "Smoothed by the mean of its neighbours."),
    _script("edges_of_a_curve", "Edges of a curve", "Two taps answer where a curve jumps, by its sign."),
    _script(
        "learning_a_kernel",
        "Learning a kernel",
        "Gradient descent finds the kernel, from any of several starts.",
    ),
    _script(
        "convolution_as_a_matrix",
        "A convolution is a matrix",
        "A 4×4 image, a 2×2 kernel: a row of the matrix is an output, with the kernel where its window lies.",
        figure="matrix_of_an_image.png",
    ),
)

_HEAD = """# Gallery

Every picture here is made by the program, all of them in one command:

    make gallery

<!-- Written by tools/gallery.py: change it there. -->
"""
_FOOT = """
Pictures: *camera* by Lav Varshney (CC0), *coins* of the Brooklyn Museum (no known restrictions), *text*
(public domain) and *astronaut* by NASA (public domain), from scikit-image; the clips from Intel's IoT DevKit
[sample-videos](https://github.com/intel-iot-devkit/sample-videos) (CC BY 4.0).
"""


def _shrink(path: Path) -> None:
    """A third of the bytes, by a palette of 256 colours, which nobody sees in these pictures."""
    from PIL import Image

    with Image.open(path) as picture:
        picture.convert("RGB").quantize(256).save(path, optimize=True)


def page() -> str:
    """The page, of what is there to be shown."""
    parts = [_HEAD]
    for entry in ENTRIES:
        code = "\n".join(f"    {line}" for line in entry.code.splitlines())
        picture = f"![{entry.title}](images/gallery/{entry.name}.png)"
        parts.append(f"\n## {entry.title}\n\n{entry.text}\n\n{picture}\n\n{code}\n")
    return "".join([*parts, _FOOT])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    place = os.environ.get("TILEWRIGHT_DATA", "data")
    parser.add_argument("--data", type=Path, default=Path(place), help="folder with photos/ and video/ in it")
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder for the pictures")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[entry.name for entry in ENTRIES])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    data = options.data.resolve()
    for entry in ENTRIES:
        if options.only and entry.name not in options.only:
            continue
        if entry.needs and not (data / entry.needs).exists():
            print(f"{entry.name}: left as it is, for want of {entry.needs} under {options.data}")
            continue
        target = options.out / f"{entry.name}.png"
        made = target.with_name(f".{entry.name}.part.png")
        entry.draw(data, made)
        _shrink(made)
        os.replace(made, target)
        print(target)
    if options.out == IMAGES and not options.only:
        PAGE.write_text(page(), encoding="utf-8")
        print(PAGE)


if __name__ == "__main__":
    main()
