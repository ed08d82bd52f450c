"""A kernel over time and place: it sees motion, and nothing else.

Five frames of a film are one three-dimensional input, (time, height, width). The kernel takes the mean of
3 × 3 pixels in a frame from the mean of the same pixels in the next one.

    python examples/moving_ball.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import tilewright as tw

SIZE, RADIUS = 320, 46


def film() -> np.ndarray:
    """Five frames (5, 320, 320): a white ball rolls past hills that stand still."""
    down, across = np.mgrid[0:SIZE, 0:SIZE]
    landscape = np.full((SIZE, SIZE), 0.45)
    for height, grey in ((130, 0.35), (200, 0.25), (260, 0.1)):  # hills, one before the other
        landscape[down > height + 25 * np.sin(across / height * 6 + height)] = grey
    frames = np.repeat(landscape[None], 5, axis=0).astype(np.float32)
    for time, frame in enumerate(frames):
        frame[np.hypot(down - (110 + 22 * time), across - (70 + 42 * time)) <= RADIUS] = 1.0
    return frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figure")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    frames = film()
    mean = np.full((3, 3), 1 / 9, dtype=np.float32)
    kernel = np.stack([-mean, mean])  # the frame before counts negative, the frame after positive
    motion = tw.conv(frames[None, None], kernel[None, None])[0, 0]
    print(f"film {frames.shape}, kernel {kernel.shape}, motion {motion.shape}")

    # What the kernel saw at each place: ball (9 of 9 pixels), landscape (0 of 9), or some of both (the rim).
    ball = tw.conv((frames == 1.0).astype(np.float32)[None, None], 9 * mean[None, None, None])[0, 0].round()
    before, after = ball[:-1], ball[1:]
    print(f"where nothing moves             {np.abs(motion[(before == 0) & (after == 0)]).max():.6f}")
    print(f"inside the ball                 {np.abs(motion[(before == 9) & (after == 9)]).max():.6f}")
    print(f"where the ball covers it        {motion[(before == 0) & (after == 9)].min():+.3f} and more")
    print(f"where the ball uncovers it      {motion[(before == 9) & (after == 0)].max():+.3f} and less")

    panels = [(f"frame {time}", frame) for time, frame in enumerate(frames)]
    panels += [(f"motion, frame {time} to {time + 1}", change) for time, change in enumerate(motion)]
    figure = tw.lens.bands.draw_panels(
        panels,
        options.out / "moving_ball.png",
        "A 2 × 3 × 3 kernel sees what moves: orange is covered by the ball, blue is uncovered",
        signed=[False] * 5 + [True] * 4,
        shared=True,
        columns=5,
    )
    print(f"figure {figure}")


if __name__ == "__main__":
    main()
