"""The small digit network: one convolution and one dense layer learn to read digits.

One pass over MNIST (in the folder that --data or $TILEWRIGHT_DATA names, as mnist/); without it, thirty
passes over scikit-learn's 1,437 small digits.

    python examples/small_digit_network.py --data folder/with/mnist/in/it
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import tilewright as tw
from tilewright import nn


def find_digits(folder: Path | None, quick: bool) -> tw.data.ImageSet:
    """MNIST where it is at hand, else the small digits; standardised by the training mean and deviation."""
    place = Path(folder or os.environ.get("TILEWRIGHT_DATA", "data")) / "mnist"
    return tw.data.mnist(place) if place.is_dir() and not quick else tw.data.digits()


def accuracy(model: nn.Module, images: tw.data.Dataset) -> float:
    """The share of images whose largest output stands at the right digit."""
    model.eval()  # dropout lets everything through
    with tw.no_grad():
        batches = tw.data.DataLoader(images, batch_size=500)
        right = sum((model(tw.from_numpy(x)).numpy().argmax(axis=1) == digit).sum() for x, digit in batches)
    model.train()
    return float(right / len(images))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figures")
    parser.add_argument("--data", type=Path, help="folder with mnist/ in it")
    parser.add_argument("--quick", action="store_true", help="a third of the passes, over the small digits")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    tw.manual_seed(0)
    data = find_digits(options.data, options.quick)
    _, height, width = data.image_shape
    model = nn.Sequential(
        nn.Conv2d(1, 32, 5, padding="same", init="glorot"),
        nn.Tanh(),
        nn.Dropout(0.2),  # keeps 0.8
        nn.Flatten(),
        nn.Linear(32 * height * width, 10, init="glorot"),
    )
    print(data)
    print(sum(p.numel() for p in model.parameters()), "weights, 832 of them in the convolution")

    optimizer = tw.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    batches = tw.data.DataLoader(data.train, batch_size=60, shuffle=True, seed=0)
    epochs = 1 if data.name == "mnist" else 10 if options.quick else 30
    total, step, rows = epochs * len(batches), 0, []
    for _ in range(epochs):
        for pixels, digits in batches:
            loss = nn.functional.cross_entropy(model(tw.from_numpy(pixels)), tw.from_numpy(digits))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            row = {"step": step, "train_loss": loss.item()}
            if step == 1 or step % 100 == 0 or step == total:
                row["val_accuracy"] = accuracy(model, data.test)
                print(f"batch {step:4} of {total}  validation accuracy {100 * row['val_accuracy']:.2f} %")
            rows.append(row)

    path = options.out / "digit_network_training.png"
    print("figure", tw.lens.curves.draw_curves(rows, path, "Learning to read digits"))
    path, kernels = options.out / "digit_network_kernels.png", model[0].weight.detach().numpy()
    print("figure", tw.lens.kernels.draw_kernels(kernels, path, "The 32 kernels it learnt"))


if __name__ == "__main__":
    main()
