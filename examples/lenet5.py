"""A network in the style of LeNet-5: what each of its layers makes of a digit.

On MNIST (in the folder that --data or $TILEWRIGHT_DATA names, as mnist/), or on scikit-learn's small digits.

    python examples/lenet5.py --data folder/with/mnist/in/it
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import tilewright as tw


def find_digits(folder: Path | None, quick: bool) -> tw.data.ImageSet:
    """MNIST where it is at hand, else the small digits."""
    place = Path(folder or os.environ.get("TILEWRIGHT_DATA", "data")) / "mnist"
    return tw.data.mnist(place) if place.is_dir() and not quick else tw.data.digits()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figures")
    parser.add_argument("--data", type=Path, help="folder with mnist/ in it")
    parser.add_argument("--quick", action="store_true", help="few passes over the small digits")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    tw.manual_seed(0)
    data = find_digits(options.data, options.quick)
    # Convolutions 1 → 6 → 16 → 120 with pools between, dense to 84 and to 10. Its kernels are 5 × 5 for
    # images of 28 × 28, and smaller where the image is.
    model = tw.nn.models.lenet5(image_size=data.image_shape[1:])
    print(data)
    print(model)

    trainer = tw.Trainer(
        model,
        data,
        optimizer=tw.optim.Adam(model.parameters(), lr=2e-3),
        batch_size=64,
        epochs=2 if data.name == "mnist" else 10 if options.quick else 40,
        progress=False,
    )
    result = trainer.fit()
    print(f"validation accuracy {100 * result.last.accuracy:.2f} % after {result.steps} batches")

    # A network is a list of layers: run one digit through it, and keep what each layer makes of it.
    image, digit = data.test[7]
    x, maps = tw.from_numpy(image[None]), []
    model.eval()
    with tw.no_grad():
        for name, layer in model.named_children():
            x = layer(x)
            if x.ndim == 4 and name not in ("c5", "tanh5"):
                maps.append((name, x.numpy()[0]))
    print(f"a {digit} is read as a {int(x.argmax())}")
    title = f"What LeNet-5's layers make of a {digit}"
    print("figure", tw.lens.features.draw_features(image, maps, options.out / "lenet5_features.png", title))


if __name__ == "__main__":
    main()
