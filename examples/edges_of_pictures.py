"""Edges of pictures: kernels of four taps answer to vertical and horizontal ones, by sign; Canny draws lines.

With photos/camera.png and photos/coins.png in the folder that --data or $TILEWRIGHT_DATA names, or with
scikit-learn's two photographs.

    python examples/edges_of_pictures.py --data folder/with/photos/in/it
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

import tilewright as tw

VERTICAL = np.array([[-0.25, 0.25], [-0.25, 0.25]])


def find_pictures(folder: Path | None) -> dict[str, np.ndarray]:
    """Grey pictures from 0 to 1, (height, width) each."""
    place = Path(folder or os.environ.get("TILEWRIGHT_DATA", "data")) / "photos"
    names = ("camera", "coins")
    if all((place / f"{name}.png").is_file() for name in names):
        return {name: tw.data.read_image(place / f"{name}.png", channels=1)[0] for name in names}
    from sklearn.datasets import load_sample_images

    grey = [image.mean(axis=2) / 255 for image in load_sample_images().images]
    return dict(zip(("china", "flower"), grey, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figures")
    parser.add_argument("--data", type=Path, help="folder with photos/ in it")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    for name, picture in find_pictures(options.data).items():
        vertical = tw.image.filter(picture, VERTICAL)
        horizontal = tw.image.filter(picture, VERTICAL.T)
        laplacian = tw.image.filter(picture, "laplacian")
        lines = tw.image.canny(picture, sigma=2)
        turned = tw.image.filter(picture.T, VERTICAL).T
        print(f"{name}: {picture.shape[0]} × {picture.shape[1]} pixels")
        print(f"{name}: vertical edges from {vertical.min():.3f} to {vertical.max():.3f}")
        same = np.allclose(turned, horizontal, atol=1e-6)
        print(f"{name}: horizontal edges are the turned picture's vertical ones: {same}")
        print(f"{name}: lines on {lines.mean():.1%} of the pixels")
        panels = [
            (name, picture),
            ("vertical edges", vertical),
            ("horizontal edges", horizontal),
            ("length of the gradient", tw.image.gradient_magnitude(picture, normalize=True)),
            ("Laplacian", laplacian),
            ("Canny's lines", lines.astype(float)),
        ]
        signed = [values.min() < 0 for _, values in panels]
        path = options.out / f"edges_of_{name}.png"
        print(
            "figure", tw.lens.bands.draw_panels(panels, path, "Edges of a picture", signed=signed, columns=3)
        )


if __name__ == "__main__":
    main()
