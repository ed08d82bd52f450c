"""Boxes around what moves in a clip, under a camera's changing exposure.

With the clips street.gif and cars.mp4 (in video/ of the folder that --data or $TILEWRIGHT_DATA names), or a
drawn film of a rolling ball, whose camera closes its iris by 60 grey levels half-way.

    python examples/motion_in_a_street.py --data folder/with/video/in/it
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

import tilewright as tw
from tilewright.image import video


def ball() -> np.ndarray:
    """Fifty frames (50, 180, 320): a light ball rolls along a street, and the light fails for a while."""
    draw = np.random.default_rng(0)
    down, across = np.mgrid[0:180, 0:320]
    street = 120 + 40 * (across % 80 < 4) + draw.normal(0, 4, (180, 320))
    film = street + draw.normal(0, 1.5, (50, 180, 320))
    for time, frame in enumerate(film):
        frame[np.hypot(down - 90, across - (8 * time - 40)) <= 24] = 225
        frame -= 60 * np.exp(-0.5 * ((time - 25) / 6) ** 2)
    return film.clip(0, 255).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figure")
    parser.add_argument("--data", type=Path, help="folder with video/ in it")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    place = Path(options.data or os.environ.get("TILEWRIGHT_DATA", "data")) / "video"
    clips = {path: shown for name, shown in (("street.gif", (4, 30)), ("cars.mp4", (81, 207)))
             if (path := place / name).is_file()}  # fmt: skip
    films = [(path.name, video.read_video(path), shown) for path, shown in clips.items()]
    panels = []
    for name, film, shown in films or [("ball", ball(), (15, 25))]:
        found = list(video.motion(film))
        tracks = {box.track for frame in found for box in frame.boxes}
        boxed = sum(bool(frame.boxes) for frame in found)
        print(f"{name}: {len(tracks)} things move, boxed in {boxed} of {len(found)} frames")
        for number, pixels in enumerate(film):
            if number not in shown:
                continue
            grey = pixels if pixels.ndim == 2 else pixels.mean(axis=2)
            drawn = np.asarray(grey, np.float32).copy()
            for box in found[number].boxes:
                print(f"  frame {number}: {box.width} × {box.height} pixels at ({box.x}, {box.y})")
                inside = drawn[box.y : box.y + box.height, box.x : box.x + box.width]
                for side in (inside[:2], inside[-2:], inside[:, :2], inside[:, -2:]):
                    side[...] = 255
            panels += [(f"{name}, frame {number}", drawn), ("against the still scene", found[number].map)]
    figure = tw.lens.bands.draw_panels(
        panels,
        options.out / "motion_in_a_street.png",
        "What moves: boxes, and what is lighter (orange) or darker (blue) than the still scene",
        signed=[False, True] * (len(panels) // 2),
        columns=4 if len(panels) > 4 else 2,
    )
    print(f"figure {figure}")


if __name__ == "__main__":
    main()
