"""Salt and pepper: one pixel in ten of handwriting turns white or black; a mean smears it, a median drops it.

With photos/text.png in the folder that --data or $TILEWRIGHT_DATA names, or with scikit-learn's digits made
larger.

    python examples/salt_and_pepper.py --data folder/with/photos/in/it
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

import tilewright as tw


def find_handwriting(folder: Path | None) -> np.ndarray:
    """Grey handwriting from 0 to 1, (height, width)."""
    file = Path(folder or os.environ.get("TILEWRIGHT_DATA", "data")) / "photos" / "text.png"
    if file.is_file():
        return tw.data.read_image(file, channels=1)[0]
    digits = np.asarray(tw.data.digits().test.images[:36, 0], np.float64)
    rows = np.concatenate(np.concatenate(digits.reshape(3, 12, 8, 8), axis=1), axis=1)
    return 1 - 0.8 * tw.image.upsample(rows / rows.max(), 5, "cubic").clip(0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figure")
    parser.add_argument("--data", type=Path, help="folder with photos/text.png in it")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    page = find_handwriting(options.data)
    draw = np.random.default_rng(0)
    noisy = np.where(draw.random(page.shape) < 0.1, draw.integers(0, 2, page.shape), page)

    ways = {
        "10 % salt and pepper": noisy,
        "mean of 3 × 3": tw.image.filter(noisy, np.full((3, 3), 1 / 9)),
        "median of 3 × 3": tw.image.median_filter(noisy, 3),
    }
    print(f"{page.shape[0]} × {page.shape[1]} pixels, {np.mean(noisy != page):.1%} of them changed")
    panels = [("handwriting", page)]
    for name, picture in ways.items():
        error = np.mean((picture - page) ** 2)
        print(f"{name:20} mean squared error {error:.5f}")
        panels.append((f"{name}, error {error:.4f}", picture))
    path = options.out / "salt_and_pepper.png"
    print("figure", tw.lens.bands.draw_panels(panels, path, "Salt and pepper", shared=True, columns=2))


if __name__ == "__main__":
    main()
