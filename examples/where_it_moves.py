"""A 3-D network says in which of eight directions a digit moves.

Clips of eight frames are one input, (time, height, width), and the kernels reach over time as well. No frame
tells the direction by itself, and in random order they tell the line at most, not which way. With MNIST's
digits (in the folder that --data or $TILEWRIGHT_DATA names, as mnist/), or scikit-learn's small ones.

    python examples/where_it_moves.py --data folder/with/mnist/in/it
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

import tilewright as tw

FRAMES, SIZE, NOISE = 8, 24, 0.15
NAMES = "→↘↓↙←↖↑↗"
STEPS = np.array([(0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1)])  # rows, columns


def find_digits(folder: Path | None, quick: bool) -> tw.data.ImageSet:
    """MNIST where it is at hand, else the small digits."""
    place = Path(folder or os.environ.get("TILEWRIGHT_DATA", "data")) / "mnist"
    return tw.data.mnist(place) if place.is_dir() and not quick else tw.data.digits()


def clips(digits: np.ndarray, count: int, seed: int) -> tw.data.ArrayDataset:
    """``count`` clips (1, frames, height, width) of a digit that moves through noise; labels: where to."""
    draw = np.random.default_rng(seed)
    ink = np.asarray(digits[:, 0], np.float32) / digits.max()
    ink = tw.avg_pool(ink[:, None], 2)[:, 0] if ink.shape[1] > 8 else ink  # 14 × 14, or 8 × 8
    labels = draw.integers(len(STEPS), size=count)
    films = draw.normal(0, NOISE, (count, 1, FRAMES, SIZE, SIZE)).astype(np.float32)
    for film, label in zip(films[:, 0], labels, strict=True):
        digit, start = ink[draw.integers(len(ink))], draw.integers(SIZE, size=2)
        for time, frame in enumerate(film):
            # Round the edges, so that where it is says nothing about where it goes.
            rows, columns = (start + time * STEPS[label])[:, None] + np.arange(len(digit))
            frame[np.ix_(rows % SIZE, columns % SIZE)] += digit
    return tw.data.ArrayDataset(films, labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figures")
    parser.add_argument("--data", type=Path, help="folder with mnist/ in it")
    parser.add_argument("--quick", action="store_true", help="fewer clips, of the small digits")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    digits = find_digits(options.data, options.quick)
    train = clips(digits.train.images, 480 if options.quick else 4000, seed=0)
    test = clips(digits.test.images, 160 if options.quick else 1000, seed=1)
    tw.manual_seed(0)
    model = tw.nn.models.c3d(in_channels=1, classes=len(NAMES), base=8)
    optimizer = tw.optim.Adam(model.parameters(), lr=4e-3)
    pace = {"batch_size": 16, "epochs": 6, "schedule": "one-cycle", "progress": False}
    tw.Trainer(model, (train, test), optimizer=optimizer, **pace).fit()

    found = tw.train.evaluate(model, test, keep=True)
    print(f"accuracy on {len(test)} clips of unseen {digits.name} {100 * found.accuracy:.2f} %")
    draw = np.random.default_rng(2)
    shuffled = np.stack([film[:, draw.permutation(FRAMES)] for film in test.images])
    guessed = tw.train.evaluate(model, tw.data.ArrayDataset(shuffled, test.labels)).accuracy
    print(f"accuracy on their frames in random order {100 * guessed:.2f} %")
    panels = []
    for film, label, said in zip(test.images[:3, 0], test.labels, found.outputs.argmax(axis=1), strict=False):
        words = f"moves {NAMES[label]}, answer {NAMES[said]}"
        panels += [(f"frame {time + 1}: {words}", film[time]) for time in (0, 2, 4, 7)]
    path = options.out / "where_it_moves.png"
    print("figure", tw.lens.bands.draw_panels(panels, path, "Where a digit moves", shared=True, columns=4))
    print("figure", tw.lens.confusion.draw_confusion(found.matrix, [*NAMES], options.out / "directions.png"))


if __name__ == "__main__":
    main()
