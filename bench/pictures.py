"""Filters on a colour picture, ours, OpenCV's and SciPy's beside each other, in one process.

    python bench/pictures.py                             # 1920 × 1080 × 3, float32 and uint8
    python bench/pictures.py --size 3840 2160

Every result is compared before anything is timed (integers may differ by one: OpenCV rounds sums in fixed
point). Then all take their turns; what counts is the median. OpenCV is asked for each filter in every way
that it has. SciPy filters one channel after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import scipy
from scipy import ndimage

import tilewright as tw

Array = np.ndarray[Any, Any]

# OpenCV's threads go on spinning for a while after a call; the next one begins when they are at rest.
_REST = 0.008
# SciPy takes long.
_SCIPY_ROUNDS = 3
_BORDER = cv2.BORDER_REFLECT
_SIGMAS = {3: 0.8, 5: 1.1, 15: 2.5, 31: 5.0}


def _filters(rng: np.random.Generator) -> dict[str, tuple[Any, float | None]]:
    """What is asked of each: a kernel, or vectors with the sigma that they are of."""
    found: dict[str, tuple[Any, float | None]] = {
        f"{size}×{size}": (rng.standard_normal((size, size)), None) for size in (3, 5)
    }
    for size, sigma in _SIGMAS.items():
        vector = cv2.getGaussianKernel(size, sigma)[:, 0]
        found[f"Gaussian {size}×{size}"] = ([vector, vector], sigma)
    return found


def _ways(image: Array, kernel: Any, sigma: float | None) -> dict[str, list[Callable[[], Array]]]:
    """How each is called: ours, OpenCV's ways, SciPy's."""

    def ours() -> Array:
        return tw.image.filter(image, kernel, channel_axis=-1)

    def scipy_whole() -> Array:
        return np.stack([ndimage.correlate(image[..., c], kernel) for c in range(image.shape[-1])], -1)

    def scipy_passes() -> Array:
        once = ndimage.correlate1d(image, kernel[0], axis=0, output=np.float32)
        return _as(image.dtype, ndimage.correlate1d(once, kernel[1], axis=1))

    if sigma is None:
        return {
            "ours": [ours],
            "opencv": [lambda: cv2.filter2D(image, -1, kernel, borderType=_BORDER)],
            "scipy": [scipy_whole] if image.dtype.kind == "f" else [],
        }
    size = (len(kernel[1]), len(kernel[0]))
    return {
        "ours": [ours],
        "opencv": [
            lambda: cv2.GaussianBlur(image, size, sigma, borderType=_BORDER),
            lambda: cv2.sepFilter2D(image, -1, kernel[1], kernel[0], borderType=_BORDER),
        ],
        "scipy": [scipy_passes],
    }


def _as(dtype: np.dtype[Any], values: Array) -> Array:
    return values if dtype.kind == "f" else np.rint(values).astype(dtype)


def _check(name: str, found: Array, expected: Array) -> float:
    """The largest difference; too large a one ends the run."""
    difference = float(np.abs(found.astype(np.float64) - expected).max())
    if not difference <= (1 if found.dtype.kind in "iu" else 1e-5):
        raise SystemExit(f"{name}: results differ by {difference:.3g}")
    return difference


def measure(size: tuple[int, int], threads: int, rounds: int) -> list[dict[str, Any]]:
    """Median times in milliseconds of every filter and dtype."""
    tw.set_num_threads(threads)
    cv2.setNumThreads(threads)
    rng = np.random.default_rng(0)
    colour = rng.random((size[1], size[0], 3), dtype=np.float32)
    rows = []
    for image in (colour, (colour * 255).astype(np.uint8)):
        for name, (kernel, sigma) in _filters(rng).items():
            ways = _ways(image, kernel, sigma)
            results = {who: [way() for way in some] for who, some in ways.items()}
            largest = max(
                _check(f"{name} of {image.dtype} by {who}", result, results["ours"][0])
                for who in ("opencv", "scipy")
                for result in results[who]
            )
            times: dict[tuple[str, int], list[float]] = {}
            for turn in range(rounds):
                for who, some in ways.items():
                    for number, way in enumerate(some):
                        if who == "scipy" and turn >= _SCIPY_ROUNDS:
                            continue
                        time.sleep(_REST)
                        start = time.perf_counter()
                        way()
                        times.setdefault((who, number), []).append(time.perf_counter() - start)
            best = {
                who: min(
                    (1e3 * statistics.median(spent) for (one, _), spent in times.items() if one == who),
                    default=None,
                )
                for who in ways
            }
            rows.append(
                {
                    "filter": name,
                    "dtype": str(image.dtype),
                    "threads": threads,
                    **{f"{who}_ms": spent for who, spent in best.items()},
                    "largest_difference": largest,
                }
            )
    return rows


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, nargs=2, default=(1920, 1080), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--rounds", type=int, default=21, help="of each filter")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    counts = [count for count in (1, 2) if count <= (os.cpu_count() or 1)]
    rows = [row for count in counts for row in measure(tuple(options.size), count, options.rounds)]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{options.size[0]} × {options.size[1]} × 3; OpenCV {cv2.__version__}, SciPy {scipy.__version__}")
    print("| filter | dtype | threads | ours | OpenCV's best | ratio | SciPy | ratio |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        ours, theirs, other = row["ours_ms"], row["opencv_ms"], row["scipy_ms"]
        last = "| | |" if other is None else f"| {other:.1f} ms | {other / ours:.1f}× |"
        print(
            f"| {row['filter']} | {row['dtype']} | {row['threads']} | {ours:.2f} ms | {theirs:.2f} ms "
            f"| {theirs / ours:.2f}× {last}"
        )


if __name__ == "__main__":
    main()
