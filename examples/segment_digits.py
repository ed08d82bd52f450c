"""A U-Net finds the pixels of digits that lie on noisy photographs.

It is judged by digits and a photograph that it hasn't seen. With the folders mnist/ and photos/ in the folder
that --data or $TILEWRIGHT_DATA names, or with scikit-learn's small digits and its two photographs.

    python examples/segment_digits.py --data folder/with/mnist/and/photos/in/it
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

import tilewright as tw

SIZE, NOISE = 48, 0.1


def find_data(folder: Path | None, quick: bool) -> tuple[tw.data.ImageSet, list[np.ndarray]]:
    """Digits, and grey photographs from 0 to 1, (height, width) each."""
    place = Path(folder or os.environ.get("TILEWRIGHT_DATA", "data"))
    if not quick and (place / "mnist").is_dir() and (place / "photos").is_dir():
        files = tw.data.find_images(place / "photos")
        return tw.data.mnist(place / "mnist"), [tw.data.read_image(file)[0] for file in files]
    from sklearn.datasets import load_sample_images

    return tw.data.digits(), [image.mean(axis=2) / 255 for image in load_sample_images().images[::-1]]


def scenes(digits: np.ndarray, photographs: list[np.ndarray], count: int, seed: int) -> tw.data.ArrayDataset:
    """``count`` crops of photographs, (1, 48, 48), with one or two digits each; and masks of their ink."""
    draw = np.random.default_rng(seed)
    ink = np.asarray(digits[:, 0], np.float32) / digits.max()
    ink = ink if ink.shape[1] > 8 else ink.repeat(3, axis=1).repeat(3, axis=2)  # to much the same size
    images, masks = np.empty((count, 1, SIZE, SIZE), np.float32), np.zeros((count, SIZE, SIZE), np.int64)
    for image, mask in zip(images[:, 0], masks, strict=True):
        photograph = photographs[draw.integers(len(photographs))]
        top, left = (draw.integers(length - SIZE + 1) for length in photograph.shape)
        image[:] = photograph[top : top + SIZE, left : left + SIZE]
        image[:] = 1 - image if draw.random() < 0.5 else image  # a negative is a photograph as well
        for digit in ink[draw.integers(len(ink), size=draw.integers(1, 3))]:
            down, across = draw.integers(SIZE - len(digit) + 1, size=2)
            place = np.s_[down : down + len(digit), across : across + len(digit)]
            pen = 1.0 if image[place].mean() < 0.5 else 0.0  # chalk on the dark, ink on the light
            image[place] += digit * (pen - image[place])
            mask[place] |= digit > 0.5
    images += draw.normal(0, NOISE, images.shape)
    return tw.data.ArrayDataset(images, masks, tw.data.Standardise(0.5, 0.25))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figure")
    parser.add_argument("--data", type=Path, help="folder with mnist/ and photos/ in it")
    parser.add_argument("--quick", action="store_true", help="fewer scenes, of the small digits")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    digits, (held_out, *others) = find_data(options.data, options.quick)
    train = scenes(digits.train.images, others, 256 if options.quick else 6000, seed=0)
    test = scenes(digits.test.images, [held_out], 64 if options.quick else 500, seed=1)
    tw.manual_seed(0)
    model = tw.nn.models.unet(base=8, levels=3, norm=True)
    optimizer = tw.optim.Adam(model.parameters(), lr=5e-3)
    pace = {"batch_size": 8 if options.quick else 16, "epochs": 5, "schedule": "one-cycle", "progress": False}
    tw.Trainer(model, (train, test), task="segment", optimizer=optimizer, **pace).fit()

    found = tw.train.evaluate(model, test, "segment", keep=8)
    print(f"{len(train)} scenes to learn from, {len(test)} of other {digits.name} on another photograph")
    print("IoU of the rest {:.3f}, of the digits' pixels {:.3f}".format(*found.per_class["iou"]))
    draw_masks, path = tw.lens.masks.draw_masks, options.out / "segment_digits.png"
    shown = test.images[:8].clip(0, 1), found.labels, found.outputs.argmax(axis=1)
    print("figure", draw_masks(*shown, ["photograph", "digit"], path))


if __name__ == "__main__":
    main()
