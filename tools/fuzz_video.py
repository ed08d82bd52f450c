"""Damage clips in hundreds of ways, and read each in a process of its own: `python tools/fuzz_video.py`.

Every reading must end within ten seconds and one GiB, with all frames or with an error that names the file.
The mutations follow from their numbers, so that a failure can be had again: `--first 123 --count 1`.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

SECONDS = 10.0
BYTES = 1 << 30

# Reads the files that it is told of, one a line, and answers each with a line of JSON. Memory is limited for
# what is allocated after the libraries are loaded; they themselves map more than they use.
_CHILD = """
import json, os, resource, sys, time
import numpy, av
from tilewright.errors import TilewrightError
from tilewright.image.video import find_motion, read_video

# Not ru_maxrss, which begins with that of the process that started this one.
def peak():
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))

limit = int(sys.argv[1])
with open("/proc/self/statm") as file:
    mapped = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
resource.setrlimit(resource.RLIMIT_AS, (mapped + limit, mapped + limit))
for line in sys.stdin:
    path, began, frames = line.rstrip("\\n"), time.monotonic(), 0
    try:
        for pixels in read_video(path):
            frames += 1
            assert pixels.ndim == 3 and pixels.dtype == numpy.uint8
        said = {"end": "read"}
    except TilewrightError as error:
        kind, text = type(error).__name__, str(error)
        said = {"end": kind if path in text else "unnamed", "text": text}
    except BaseException as error:
        said = {"end": "leaked", "text": f"{type(error).__name__}: {error}"}
    said.update(frames=frames, seconds=time.monotonic() - began, peak=peak())
    print(json.dumps(said), flush=True)
"""


def mutated(content: bytes, seed: int) -> bytes:
    """The content cut short, with bytes changed, or with parts moved, doubled or left out."""
    draw = random.Random(seed)
    data = bytearray(content)
    kind = seed % 5
    # Headers are a small part of a file, and what is in them matters most: every other change is aimed there.
    head = min(len(data), 2048)

    def place() -> int:
        choice = draw.random()
        if choice < 0.4:
            return draw.randrange(head)
        return (
            draw.randrange(max(0, len(data) - head), len(data)) if choice < 0.6 else draw.randrange(len(data))
        )

    if kind == 0:
        return bytes(data[: draw.randrange(len(data))])
    if kind == 1:
        for _ in range(draw.choice((1, 2, 4, 16, 64))):
            data[place()] ^= 1 << draw.randrange(8)
    elif kind == 2:
        for _ in range(draw.choice((1, 4, 16))):
            data[place()] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
    elif kind == 3:  # a number of four bytes made very large or very small
        start = place()
        data[start : start + 4] = draw.choice(
            (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\xff\xff")
        )
    else:
        length = draw.choice((1, 16, 512, 8192))
        start, other = place(), place()
        piece = bytes(data[start : start + length])
        choice = draw.randrange(3)
        if choice == 0:
            del data[start : start + length]
        elif choice == 1:
            data[other:other] = piece
        else:
            data[other : other + length] = piece
    return bytes(data)


class Reader:
    """A process that reads files, begun anew after each one that kills or stalls it."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None

    def read(self, path: Path) -> dict[str, object]:
        """How reading the file ended."""
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-c", _CHILD, str(BYTES)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        child = self._child
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write(f"{path}\n")
        child.stdin.flush()
        # A process that hangs is killed; one that is merely slow tells how long it took.
        watch = threading.Timer(3 * SECONDS, child.kill)
        watch.start()
        line = child.stdout.readline()
        watch.cancel()
        if not line:
            code = child.wait()
            self.close()
            return {"end": "crash", "text": f"the process ended with {code}"}
        said: dict[str, object] = json.loads(line)
        if float(str(said["seconds"])) > SECONDS:
            said["end"] = "slow"
        elif int(str(said["peak"])) > BYTES:
            said["end"] = "large"
        return said

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            assert self._child.stdin is not None and self._child.stdout is not None
            self._child.stdin.close()
            self._child.kill()
            self._child.wait()
            self._child.stdout.close()
            self._child = None


#: How a reading may end.
FINE = ("read", "FileFormatError")


def fuzz(clips: list[Path], first: int, count: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """Damage the clips in turn; how the readings ended, and a line for each that ended badly."""
    contents = [clip.read_bytes() for clip in clips]
    ends: Counter[str] = Counter()
    bad = []
    reader = Reader()
    try:
        for seed in range(first, first + count):
            at = seed % len(clips)
            path = folder / f"damaged-{seed}{clips[at].suffix}"
            path.write_bytes(mutated(contents[at], seed // len(clips)))
            said = reader.read(path)
            ends[str(said["end"])] += 1
            if said["end"] in FINE:
                path.unlink()
            else:
                bad.append(f"{path}: {json.dumps(said)}")
    finally:
        reader.close()
    return ends, bad


def main() -> int:
    """Run, and print what came of it; 1 if a reading ended badly."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+", help="clips to damage, such as a GIF and an MP4")
    parser.add_argument("--first", type=int, default=0, help="the first mutation")
    parser.add_argument("--count", type=int, default=500, help="how many")
    parser.add_argument("--keep", type=Path, help="folder for files that were read badly")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        ends, bad = fuzz(options.clips, options.first, options.count, folder)
    print(", ".join(f"{end}: {times}" for end, times in ends.most_common()))
    print("\n".join(bad), end="\n" if bad else "")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
