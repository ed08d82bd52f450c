"""Edges of a curve: the kernel (½, −½) answers to change, and to nothing else.

It is the simplest of all edge detectors: half the difference of two neighbours.

    python examples/edges_of_a_curve.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import tilewright as tw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figure")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    curve = np.array([10.0, 11, 9, 10, 101, 99, 100, 101, 9, 10, 11, 10])
    kernel = np.array([0.5, -0.5])

    # Arrays are (batch, channels, length): one curve with one channel, one kernel over one channel.
    edges = tw.conv(curve[None, None], kernel[None, None])[0, 0]

    # An output compares a value with the next: small while the curve is level, large where it jumps;
    # negative where it goes up, positive where it comes down.
    peaks = sorted(np.argsort(np.abs(edges))[-2:].tolist())
    print("curve ", *curve)
    print("edges ", *edges)
    print("peaks at index", *peaks, "with the values", *edges[peaks])

    path = tw.lens.bands.draw_panels(
        [("A curve that jumps up, and down again", curve), ("Its edges, by the kernel (½, −½)", edges)],
        options.out / "edges_of_a_curve.png",
        "Where a curve changes",
    )
    print(f"figure {path}")


if __name__ == "__main__":
    main()
