"""A dilated network reads digits pixel by pixel, as one long line, and after each says which it may be.

Its convolutions are causal: an answer depends on the pixels read so far. Their reach doubles from block to
block, so that the last answer depends on all of them. On MNIST (in the folder that --data or $TILEWRIGHT_DATA
names, as mnist/), or on scikit-learn's small digits.

    python examples/pixel_by_pixel.py --data folder/with/mnist/in/it
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

import tilewright as tw


def find_digits(folder: Path | None, quick: bool) -> tw.data.ImageSet:
    """MNIST where it is at hand, else the small digits."""
    place = Path(folder or os.environ.get("TILEWRIGHT_DATA", "data")) / "mnist"
    return tw.data.mnist(place) if place.is_dir() and not quick else tw.data.digits()


def as_sequences(part: tw.data.ArrayDataset) -> tw.data.ArrayDataset:
    """Images as sequences (samples, 1, pixels), row after row; their label is asked for at every pixel."""
    pixels = part.images.reshape(len(part), 1, -1)
    labels = np.broadcast_to(part.labels[:, None], (len(part), pixels.shape[2]))
    return tw.data.ArrayDataset(pixels, labels, part.transform)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figure")
    parser.add_argument("--data", type=Path, help="folder with mnist/ in it")
    parser.add_argument("--quick", action="store_true", help="few passes over the small digits")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    data = find_digits(options.data, options.quick)
    train, test = as_sequences(data.train), as_sequences(data.test)
    length = test.images.shape[2]
    tw.manual_seed(0)
    model = tw.nn.models.tcn(width=24, levels=5 if length == 64 else 8, per_step=True)
    print(f"{data.name}: sequences of {length} pixels; an answer can see the last {model.reach} of them")

    trainer = tw.Trainer(
        model,
        (train, test),
        task="segment",  # a class for each place of a sequence, as for each place of a picture
        optimizer=tw.optim.Adam(model.parameters(), lr=5e-3),
        schedule="one-cycle",
        clip_norm=1.0,
        batch_size=16 if length == 64 else 64,
        epochs=2 if length != 64 else 8 if options.quick else 30,
        validate_every=10**6,
        progress=False,
    )
    trainer.fit()

    found = tw.train.evaluate(model, test, "segment", keep=2000)
    right = (found.outputs.argmax(axis=1) == found.labels).mean(axis=0)
    for quarters, name in enumerate(("a quarter", "half", "three quarters", "all"), 1):
        print(f"accuracy after {name} of the pixels {100 * right[quarters * length // 4 - 1]:.2f} %")

    likely = tw.functional.softmax(found.outputs, dim=1)
    said = likely[:4, :, -1].argmax(axis=1)
    panels = [(f"a {found.labels[n, 0]}, read as {said[n]}", data.test.images[n, 0]) for n in range(4)]
    for answer in likely[:4]:  # the three likeliest classes at the end
        shown = sorted(answer[:, -1].argsort()[:-4:-1])
        panels.append(("probability, over pixels read", {str(digit): answer[digit] for digit in shown}))
    path = options.out / "pixel_by_pixel.png"
    print("figure", tw.lens.bands.draw_panels(panels, path, "Digits read pixel by pixel", columns=4))


if __name__ == "__main__":
    main()
