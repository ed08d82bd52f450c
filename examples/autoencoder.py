"""An autoencoder: images squeezed into a few numbers, and rebuilt from them.

Convolutions make the image smaller step by step, down to an embedding; transposed convolutions mirror them.
All is trained end to end on one thing: how far the rebuilt image is from the image. On MNIST (in the folder
that --data or $TILEWRIGHT_DATA names, as mnist/), or on scikit-learn's small digits.

    python examples/autoencoder.py --data folder/with/mnist/in/it
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

import tilewright as tw
from tilewright.train.baselines import thumbnails


def find_digits(folder: Path | None, quick: bool) -> tw.data.ImageSet:
    """MNIST where it is at hand, else the small digits."""
    place = Path(folder or os.environ.get("TILEWRIGHT_DATA", "data")) / "mnist"
    return tw.data.mnist(place) if place.is_dir() and not quick else tw.data.digits()


def grey(part: tw.data.ArrayDataset) -> np.ndarray:
    """The images as float32 from 0 to 1: (samples, 1, height, width)."""
    return np.asarray(part.images, dtype=np.float32) / (255 if part.images.dtype == np.uint8 else 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figure")
    parser.add_argument("--data", type=Path, help="folder with mnist/ in it")
    parser.add_argument("--quick", action="store_true", help="fewer passes, over the small digits")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    tw.manual_seed(0)
    data = find_digits(options.data, options.quick)
    train, test = grey(data.train), grey(data.test)
    model = tw.nn.models.autoencoder(
        image_size=data.image_shape[1:], embedding=32 if data.name == "mnist" else 8, output="logits"
    )
    print(f"{test[0].size} pixels become {model.embedding} numbers: {model.compression_ratio:g} to 1")

    optimizer = tw.optim.Adam(model.parameters(), lr=2e-3)
    batches = tw.data.DataLoader(tw.data.TensorDataset(train), batch_size=64, shuffle=True, seed=0)
    epochs = 3 if data.name == "mnist" else 12 if options.quick else 100
    for epoch in range(epochs):
        for (pixels,) in batches:
            x = tw.from_numpy(pixels)
            # Grey from 0 to 1 as the probability of white: binary cross-entropy; squared error works as well.
            loss = tw.functional.binary_cross_entropy_with_logits(model(x), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if (epoch + 1) % (epochs // 3 or 1) == 0:
            print(f"pass {epoch + 1:3} of {epochs}  cross-entropy {loss.item():.4f}")

    model.eval()
    with tw.no_grad():
        parts = [model(tw.from_numpy(part)).sigmoid().numpy() for part in np.array_split(test, 20)]
    rebuilt = np.concatenate(parts)
    small = thumbnails(test, model.embedding)  # averaged down to as many pixels, enlarged bilinearly
    rows, columns = small.size
    baselines = {"mean image": train.mean(axis=0), f"thumbnail {rows} × {columns}": small.images}
    for name, images in ({"autoencoder": rebuilt} | baselines).items():
        print(f"{name:16} mean squared error on held-out images {np.mean((images - test) ** 2):.4f}")
    figure = tw.lens.reconstruction.draw_reconstruction(
        test, rebuilt, options.out / "autoencoder.png", ratio=model.compression_ratio, baselines=baselines
    )
    print("figure", figure)


if __name__ == "__main__":
    main()
