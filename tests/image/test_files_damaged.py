"""Damaged PNG, JPEG, TIFF and GIF files: read or refused by name, in seconds and within a gibibyte.

``TILEWRIGHT_MUTATIONS=500`` reads so many of them; the suite, a few.
"""

from __future__ import annotations

import collections
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("PIL", reason="pictures are read by Pillow")
pytest.importorskip("resource", reason="memory is limited by a call that this system lacks")

from image.damaging import originals, write_damaged

FEW = 80
SECONDS = 10.0  # for each file


class Watch:
    """A process that reads files one by one, ended when one takes too long."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("damaging.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            # One thread's stacks and buffers: the limit is for the pictures.
            env={
                **os.environ,
                "OPENBLAS_NUM_THREADS": "1",
                "OMP_NUM_THREADS": "1",
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            },
        )

    def read(self, path: Path) -> str:
        assert self.process.stdin is not None and self.process.stdout is not None
        alarm = threading.Timer(SECONDS, self.process.kill)
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        started = self.process.stdout.readline().startswith("start ")
        alarm.start()
        ended = self.process.stdout.readline().strip() if started else ""
        alarm.cancel()
        if ended:
            return ended
        return f"crashed or took over {SECONDS:g} s: exit code {self.process.wait()}"

    def close(self) -> int:
        """End the process; its largest memory in KiB."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        last = self.process.stdout.read().split()
        self.process.stdout.close()
        self.process.wait()
        return int(last[-1]) if last else 0


def test_the_originals_are_whole(tmp_path: Path) -> None:
    watch = Watch()
    for name, content in originals().items():
        (tmp_path / name).write_bytes(content)
        # CMYK without a profile is refused; damaged, it still reaches the decoder.
        assert watch.read(tmp_path / name) == ("refused" if name == "ink.jpg" else "read"), name
    watch.close()


def test_damaged_files_are_read_or_refused_by_name(tmp_path: Path) -> None:
    count = int(os.environ.get("TILEWRIGHT_MUTATIONS", FEW))
    counted: collections.Counter[str] = collections.Counter()
    wrong: dict[str, str] = {}
    watch, peak = Watch(), 0
    for path in write_damaged(tmp_path, count):
        ended = watch.read(path)
        counted[f"{path.suffix} {ended if ended in ('read', 'refused') else 'wrong'}"] += 1
        if ended not in ("read", "refused"):
            wrong[path.name] = ended
            watch.close()
            watch = Watch()
    peak = max(peak, watch.close())
    print(dict(sorted(counted.items())), f"peak {peak / 1024:.0f} MiB")
    assert wrong == {}
    assert 0 < peak < 1 << 20
    # Were all of one kind read or all refused, the damage would be none, or total.
    assert all(
        counted[f"{kind} {end}"] for kind in (".png", ".jpg", ".tif", ".gif") for end in ("read", "refused")
    )
