"""Learning a kernel: gradient descent finds the kernel that made a picture of edges.

The kernel is not given: the program sees a picture and the edges wanted, starts from random weights, and
follows the gradient of the squared error.

    python examples/learning_a_kernel.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import tilewright as tw


def learn(layer: tw.nn.Conv2d, image: tw.Tensor, wanted: tw.Tensor, rate: float, steps: int) -> np.ndarray:
    """The layer's weights and the loss before each step and after the last: (steps + 1, weights + 1)."""
    optimizer = tw.optim.SGD(layer.parameters(), lr=rate)
    path = []
    for step in range(steps + 1):
        loss = ((layer(image) - wanted) ** 2).sum()
        path.append([*(float(w) for p in layer.parameters() for w in p.detach().numpy().flat), loss.item()])
        if step < steps:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return np.array(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figure")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    image = tw.ones(1, 1, 6, 8)
    image[..., 2:6] = 0  # a dark band
    wanted = tw.conv(image, tw.tensor([[[[1.0, -1.0]]]]))  # +1 at its left edge, -1 at its right edge

    weights, losses = {}, {}
    for seed in range(3):
        tw.manual_seed(seed)
        layer = tw.nn.Conv2d(1, 1, (1, 2), bias=False)
        path = learn(layer, image, wanted, rate=3e-2, steps=20)
        weights |= {f"left, start {seed}": path[:, 0], f"right, start {seed}": path[:, 1]}
        losses[f"start {seed}"] = np.log10(path[:, -1])
        print(
            f"start {seed}, 20 steps without a bias: kernel {path[-1, 0]:+.4f} {path[-1, 1]:+.4f}  "
            f"loss {path[-1, -1]:.5f}"
        )

    tw.manual_seed(0)
    layer = tw.nn.Conv2d(1, 1, (1, 2))
    path = learn(layer, image, wanted, rate=1e-2, steps=30)
    print(
        f"start 0, 30 steps with a bias:    kernel {path[-1, 0]:+.4f} {path[-1, 1]:+.4f}  "
        f"bias {path[-1, 2]:+.4f}  loss {path[-1, -1]:.5f}"
    )

    panels = [
        ("the picture", image.numpy()[0, 0]),
        ("the edges wanted", wanted.numpy()[0, 0]),
        ("weights over 20 steps, without a bias", weights),
        ("log₁₀ of the loss", losses),
        ("weights over 30 steps, with a bias", dict(zip(("left", "right", "bias"), path.T, strict=False))),
        ("log₁₀ of the loss, with a bias", np.log10(path[:, -1])),
    ]
    figure = tw.lens.bands.draw_panels(
        panels,
        options.out / "learning_a_kernel.png",
        "A kernel learnt from what it should do",
        signed=[False, True, False, False, False, False],
        columns=2,
    )
    print(f"figure {figure}")


if __name__ == "__main__":
    main()
