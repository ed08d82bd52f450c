"""Small shifts: pooled feature maps change less than unpooled ones when the picture moves by a pixel.

Four kernels look for edges in digits; max pools of 2 × 2 and 4 × 4 follow. The digits move, and the change
of the maps is measured: the length of the difference, relative to the length of the maps. On MNIST (in the
folder that --data or $TILEWRIGHT_DATA names, as mnist/), or on scikit-learn's small digits.

    python examples/small_shifts.py
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

import tilewright as tw

EDGE = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]], dtype=np.float32) / 4
EDGES = np.stack([EDGE, EDGE.T, -EDGE, -EDGE.T])[:, None]  # to the left, upwards, to the right, downwards


def feature_maps(images: np.ndarray, pool: int) -> np.ndarray:
    """Edges of four directions where there are some, the strongest of every pool × pool of them."""
    edges = tw.conv(images, EDGES, padding="same").clip(min=0)
    return tw.max_pool(edges, pool) if pool > 1 else edges


def change(images: np.ndarray, shift: int, pool: int) -> float:
    """How far the maps move when the images do, by ``shift`` pixels in each of the four directions."""
    before = feature_maps(images, pool)
    ratios = []
    for axis, step in ((2, -shift), (2, shift), (3, -shift), (3, shift)):
        after = feature_maps(np.roll(images, step, axis), pool)
        ratios.append(np.linalg.norm(after - before) / np.linalg.norm(before))
    return float(np.mean(ratios))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figure")
    parser.add_argument("--data", type=Path, help="folder with mnist/ in it")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    place = Path(options.data or os.environ.get("TILEWRIGHT_DATA", "data")) / "mnist"
    data = tw.data.mnist(place) if place.is_dir() else tw.data.digits()
    images = np.asarray(data.test.images[:300], dtype=np.float32)
    images = np.pad(images, ((0, 0), (0, 0), (4, 4), (4, 4))) / images.max()  # room to move

    shifts, pools = range(5), {"unpooled": 1, "2 × 2 pool": 2, "4 × 4 pool": 4}
    changes = {name: [change(images, shift, pool) for shift in shifts] for name, pool in pools.items()}
    for name, values in changes.items():
        print(f"{name:10}  change at a shift of 1, 2, 3, 4:", *(f"{value:.3f}" for value in values[1:]))

    digit, moved = images[2:3], np.roll(images[2:3], 1, axis=3)
    columns = [
        [("a digit", digit[0, 0]), ("a pixel to the right", moved[0, 0]), ("change over shift", changes)]
    ]
    for name, pool in pools.items():
        maps = [feature_maps(image, pool)[0, 0] for image in (digit, moved)]
        columns.append([(name, maps[0]), (name, maps[1]), (f"the difference, {name}", maps[1] - maps[0])])
    figure = tw.lens.bands.draw_panels(
        [panel for row in zip(*columns, strict=True) for panel in row],
        options.out / "small_shifts.png",
        "What pooling does to a small shift",
        signed=[False, True, True, True] * 3,
        shared=True,
        columns=4,
    )
    print("figure", figure)


if __name__ == "__main__":
    main()
