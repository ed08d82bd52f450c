"""Up-sampling: a learnt transposed convolution beside nearest, bilinear and bicubic.

Images are halved (each pixel the mean of four) and brought back to their size. The transposed convolution has
learnt a kernel of 8 × 8 from other images; each small pixel paints it, more or less strongly, into the large
image. On MNIST (where --data or $TILEWRIGHT_DATA names a folder with mnist/ in it), or on the small digits.

    python examples/upsampling.py --data folder/with/mnist/in/it
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
from PIL import Image

import tilewright as tw


def find_digits(folder: Path | None, quick: bool) -> tw.data.ImageSet:
    """MNIST where it is at hand, else the small digits."""
    place = Path(folder or os.environ.get("TILEWRIGHT_DATA", "data")) / "mnist"
    return tw.data.mnist(place) if place.is_dir() and not quick else tw.data.digits()


def grey(part: tw.data.ArrayDataset) -> np.ndarray:
    """Up to 6,000 images as float32 from 0 to 1: (samples, 1, height, width)."""
    return np.asarray(part.images[:6000], dtype=np.float32) / (255 if part.images.dtype == np.uint8 else 1)


def enlarge(small: np.ndarray, how: Image.Resampling) -> np.ndarray:
    """Twice the height and width, by one of Pillow's ways."""
    size = (2 * small.shape[3], 2 * small.shape[2])
    return np.stack([np.asarray(Image.fromarray(image[0]).resize(size, how)) for image in small])[:, None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figure")
    parser.add_argument("--data", type=Path, help="folder with mnist/ in it")
    parser.add_argument("--quick", action="store_true", help="on the small digits")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    tw.manual_seed(0)
    data = find_digits(options.data, options.quick)
    train, test = grey(data.train), grey(data.test)
    small = tw.avg_pool(test, 2)

    layer = tw.nn.ConvTranspose2d(1, 1, 8, stride=2, padding=3)
    optimizer = tw.optim.Adam(layer.parameters(), lr=0.03)
    pairs = tw.data.TensorDataset(tw.avg_pool(train, 2), train)
    batches = tw.data.DataLoader(pairs, batch_size=64, shuffle=True, seed=0)
    for _ in range(10 if data.name == "mnist" else 40):
        for halved, whole in batches:
            loss = tw.functional.mse_loss(layer(tw.from_numpy(halved)), tw.from_numpy(whole))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    ways = {how.name.lower(): enlarge(small, how) for how in Image.Resampling if how in (0, 2, 3)}
    with tw.no_grad():
        ways["learnt"] = layer(tw.from_numpy(small)).numpy()
    print(f"{data.name}: {len(test)} held-out images of {test.shape[2:]} from {small.shape[2:]}")
    columns = {"half the size": small}
    for name, images in ways.items():
        error = np.mean((images - test) ** 2)
        columns[f"{name}, error {error:.4f}"] = images.clip(0, 1)
        print(f"{name:9} mean squared error {error:.4f}")
    columns["original"] = test
    panels = [(name, images[n, 0]) for n in (3, 5, 6) for name, images in columns.items()]
    path = options.out / "upsampling.png"
    print("figure", tw.lens.bands.draw_panels(panels, path, "Twice the size", shared=True, columns=6))


if __name__ == "__main__":
    main()
