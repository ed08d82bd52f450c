"""Smoothing a noisy curve: every output is the mean of an input and its neighbours.

The more neighbours, the calmer the curve, and the rounder its corners.

    python examples/smoothing_a_curve.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import tilewright as tw


def smooth(curve: np.ndarray, kernel: np.ndarray, padding: str) -> np.ndarray:
    """Convolve one curve with one kernel; [None, None] adds the axes for batch and channels."""
    return tw.conv(curve[None, None], kernel[None, None], padding=padding)[0, 0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figure")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    # By hand: 0.33·(-1) + 0.33·4 + 0.33·11 = 4.62, and so on. Seven inputs and three taps leave five outputs.
    curve = np.array([-1.0, 4, 11, 14, 21, 25, 30])
    thirds = np.array([0.33, 0.33, 0.33])
    print("a rising curve  ", *curve)
    print("smoothed        ", *smooth(curve, thirds, "valid").round(2))

    # The same with a curve of 200 samples and much noise.
    time = np.linspace(0, 4 * np.pi, 200)
    clean = np.sin(time) + 0.4 * np.sin(3 * time)
    noisy = clean + np.random.default_rng(0).normal(0, 0.3, time.size)
    taps = 11
    calm = smooth(noisy, np.full(taps, 1 / taps), "valid")
    inner = slice(taps // 2, -(taps // 2))

    before = np.sqrt(np.mean((noisy - clean)[inner] ** 2))
    after = np.sqrt(np.mean((calm - clean[inner]) ** 2))
    print(f"noise before     {before:.3f}")
    print(f"noise after      {after:.3f}  (a mean of {taps} neighbours)")

    series = {"noisy": noisy[inner], "without noise": clean[inner], f"mean of {taps} neighbours": calm}
    path = tw.lens.compare.draw_series(
        time[inner], series, options.out / "smoothing_a_curve.png", "time", "value", "A noisy curve, smoothed"
    )
    print(f"figure           {path}")


if __name__ == "__main__":
    main()
