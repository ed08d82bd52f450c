"""Learning a kernel: gradient descent finds the kernel that made the edges of a picture.
It is shown a picture and the edges wanted, starts from random weights, and goes downhill.

    python examples/learning_a_kernel.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import tilewright as tw
from tilewright.lens import style
from tilewright.lens.page import Page

IMAGE = np.ones((1, 1, 6, 8), dtype=np.float32)
IMAGE[..., 2:6] = 0  # a dark band
EDGES = tw.conv(IMAGE, np.array([[[[1, -1]]]], dtype=np.float32))  # +1 at its left end, -1 at its right


def learn(layer: tw.nn.Conv2d, rate: float, steps: int) -> np.ndarray:
    """Left weight, right weight, (bias,) and loss before each step and after the last."""
    image, wanted = tw.from_numpy(IMAGE), tw.from_numpy(EDGES)
    optimizer = tw.optim.SGD(layer.parameters(), lr=rate)
    path = []
    for _ in range(steps + 1):
        loss = ((layer(image) - wanted) ** 2).sum()
        path.append([w.item() for p in layer.parameters() for w in p.flatten()] + [loss.item()])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return np.array(path)


def draw(runs: dict[str, list[np.ndarray]], path: Path) -> Path:
    """Above, the ways through the plane of the two weights; below, the loss over the steps."""
    left, right = (np.linspace(low, low + 2.4, 81, dtype=np.float32) for low in (-0.8, -1.6))
    kernels = np.stack(np.meshgrid(left, right), axis=-1).reshape(-1, 1, 1, 2)
    # One convolution tries all 6,561 kernels: each is an output channel.
    height = ((tw.conv(IMAGE, kernels) - EDGES) ** 2).sum(axis=(0, 2, 3)).reshape(81, 81)
    note = "★ is the kernel that made the edges; the contours are the loss at a bias of zero"
    page = Page(9.6, 7.55, "A kernel learnt from what it should do", note)
    looks = [{"color": c, "marker": "o", "markersize": 3, "linewidth": 1.5} for c in style.SERIES[:4]]
    page.legend(0.95, 0.05, 9.0, [(f"start {number}", look) for number, look in enumerate(looks)])
    for column, (name, paths) in enumerate(runs.items()):
        place = 0.95 + 4.6 * column
        plane, falling = page.axes(place, 0.65, 3.7, 3.7), page.axes(place, 4.9, 3.7, 2.1)
        page.write(place, 0.47, name, bold=True)
        style.dress(plane, "left weight", "right weight")
        style.dress(falling, "step", "loss (log scale)")
        plane.contour(left, right, height, levels=2.0 ** np.arange(8), colors=style.FRAME, linewidths=0.8)
        falling.set_yscale("log")
        for run, look in zip(paths, looks, strict=True):
            plane.plot(run[:, 0], run[:, 1], **look)
            falling.plot(run[:, -1], **look)
        plane.plot([1], [-1], "*", color=style.INK, markersize=13, zorder=5)
        style.number_axis(falling.xaxis, whole=True)
    return page.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figure")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    runs = {}
    for name, bias, rate, steps in (("without a bias", False, 3e-2, 20), ("with a bias", True, 1e-2, 30)):
        runs[f"{name}, {steps} steps"] = paths = []
        for seed in range(4):
            tw.manual_seed(seed)
            paths.append(learn(tw.nn.Conv2d(1, 1, (1, 2), bias=bias), rate, steps))
            *weights, loss = paths[-1][-1]
            print(f"{name}, start {seed}: loss {loss:.5f}, weights", *(f"{w:+.4f}" for w in weights))
    print("figure", draw(runs, options.out / "learning_a_kernel.png"))


if __name__ == "__main__":
    main()
