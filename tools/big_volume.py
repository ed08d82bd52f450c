"""Filters 4 GiB in bounded memory, and a smaller volume on a cluster that loses a worker; run by hand.

    python tools/big_volume.py                      # 4 GiB in a temporary folder, which is removed
    python tools/big_volume.py --side 512 --folder /data --keep

Writes a Zarr volume chunk by chunk, filters it with a 9×9×9 Gaussian in a process of its own, whose peak of
memory is read from the system when it has ended, and compares a sample of places with the whole-array result,
recomputed from the neighbourhood that is read directly. Then the same filter on a local Dask cluster of three
workers, undisturbed and with one of them killed halfway: the numbers must be those of the whole array.

Needs the extras dask and volumes. Exit code 1 where a number differs or the peak exceeds the limit.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

# 9 taps: σ of 1 cut off at 4σ.
SIGMA, REACH = 1.0, 4
CHUNK = 128
LIMIT_MIB = 600
# Boxes of 24³ places, across chunk borders and at the volume's edges, that are compared.
SAMPLES, BOX = 24, 24
WORKERS = 3


def chunk_values(start: tuple[int, ...], shape: tuple[int, ...], seed: int) -> Any:
    """Samples that compress, but aren't constant: smooth waves with noise of a few bits."""
    grid = np.ogrid[tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True))]
    waves = sum(np.sin(g.astype(np.float32) / np.float32(9 + 4 * axis)) for axis, g in enumerate(grid))
    noise = np.random.default_rng([seed, *start]).integers(0, 16, shape, dtype=np.uint8)
    return (np.round(waves * 64) + noise).astype(np.float32)


def make(path: Path, side: int) -> None:
    """The volume, chunk by chunk."""
    import zarr

    array = zarr.create_array(str(path), shape=(side,) * 3, chunks=(CHUNK,) * 3, dtype="float32")
    for place in np.ndindex(*(-(-side // CHUNK),) * 3):
        start = tuple(i * CHUNK for i in place)
        shape = tuple(min(CHUNK, side - s) for s in start)
        array[tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True))] = chunk_values(
            start, shape, 7
        )


def filter_apart(source: Path, target: Path) -> tuple[float, float]:
    """Filters in a process of its own: seconds, and the peak of its memory in MiB."""
    command = (
        "import sys, tilewright as tw; from tilewright.image.volumes import filter_volume; "
        f"filter_volume(sys.argv[1], sys.argv[2], tw.image.gaussian({SIGMA}, rank=3))"
    )
    start = time.perf_counter()
    # Of all children the system keeps the largest peak only: so this is the first of them.
    subprocess.run([sys.executable, "-c", command, str(source), str(target)], check=True)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return seconds, peak / (2**20 if sys.platform == "darwin" else 2**10)


def differing(source: Path, target: Path) -> tuple[int, int]:
    """How many of the compared places differ from the whole-array result, and how many were compared."""
    import zarr

    import tilewright as tw

    before, after = zarr.open_array(str(source), mode="r"), zarr.open_array(str(target), mode="r")
    side, rng, wrong, count = before.shape[0], np.random.default_rng(3), 0, 0
    for number in range(SAMPLES):
        corner = [int(rng.integers(0, side - BOX + 1)) for _ in range(3)]
        if number % 3 == 0:
            corner[number // 3 % 3] = (0, side - BOX)[number % 2]
        elif number % 3 == 1:
            corner = [min(round(c / CHUNK) * CHUNK, side) - BOX // 2 for c in corner]
            corner = [min(max(c, 0), side - BOX) for c in corner]
        wide = [slice(max(c - REACH, 0), min(c + BOX + REACH, side)) for c in corner]
        # Where the neighbourhood ends within the volume, its edges are wrong, and are cut off here.
        expected = tw.image.filter(before[tuple(wide)], tw.image.gaussian(SIGMA, rank=3))
        kept = tuple(slice(c - w.start, c - w.start + BOX) for c, w in zip(corner, wide, strict=True))
        found = after[tuple(slice(c, c + BOX) for c in corner)]
        wrong += int((found != expected[kept]).sum())
        count += found.size
    return wrong, count


def on_a_cluster(source: Path, target: Path, kill: bool) -> tuple[float, int]:
    """The filter on a cluster of processes; seconds, and workers that were killed."""
    import dask.array as da
    from distributed import Client, LocalCluster

    import tilewright as tw

    with (
        LocalCluster(
            n_workers=WORKERS,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            memory_limit="2GiB",
        ) as cluster,
        Client(cluster) as client,
    ):
        smooth = tw.bridge.dask.filter(da.from_zarr(str(source)), tw.image.gaussian(SIGMA, rank=3))
        start, killed = time.perf_counter(), 0
        done = client.compute(smooth.to_zarr(str(target), overwrite=True, compute=False))
        if kill:
            while sum(1 for one in target.glob("c/**/*") if one.is_file()) < smooth.npartitions // 2:
                time.sleep(0.02)
            os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
            killed = 1
        done.result()
        return time.perf_counter() - start, killed


def main() -> int:
    """Everything, as a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=1024, help="samples along each axis (1024: 4 GiB)")
    parser.add_argument("--cluster-side", type=int, default=384, help="the same, for the cluster")
    parser.add_argument("--folder", type=Path, help="where the volumes go (default: a temporary folder)")
    parser.add_argument("--keep", action="store_true", help="leave the volumes there")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tilewright-volume-", dir=options.folder))
    needed, free = 2 * 4 * options.side**3, shutil.disk_usage(folder).free
    if needed > free:
        print(f"The volumes need up to {needed:,} bytes, and {folder} has {free:,}: choose a smaller --side.")
        return 2
    try:
        return _run(options, folder)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


def _run(options: argparse.Namespace, folder: Path) -> int:
    failed = False

    def line(what: str, value: str, good: bool = True) -> None:
        nonlocal failed
        failed |= not good
        print(f"{what:<58}{value:>24}  {'' if good else 'WRONG'}", flush=True)

    side = options.side
    start = time.perf_counter()
    make(folder / "in.zarr", side)
    line(f"volume of {side}³ float32, chunks of {CHUNK}³", f"{4 * side**3 / 2**30:.2f} GiB")
    line("written in", f"{time.perf_counter() - start:.0f} s")
    seconds, peak = filter_apart(folder / "in.zarr", folder / "out.zarr")
    line("filtered by a 9×9×9 Gaussian in", f"{seconds:.0f} s")
    line("that is", f"{side**3 / seconds / 1e6:.1f} M samples/s")
    line(f"peak of memory of the process (limit {LIMIT_MIB} MiB)", f"{peak:.0f} MiB", peak < LIMIT_MIB)
    wrong, count = differing(folder / "in.zarr", folder / "out.zarr")
    line(f"places compared in {SAMPLES} boxes, and how many differ", f"{count:,}: {wrong}", wrong == 0)
    if not options.keep:
        shutil.rmtree(folder / "in.zarr")
        shutil.rmtree(folder / "out.zarr")
    side = options.cluster_side
    if side:
        import zarr

        import tilewright as tw

        make(folder / "small.zarr", side)
        whole = tw.image.filter(
            zarr.open_array(str(folder / "small.zarr"), mode="r")[:], tw.image.gaussian(SIGMA, rank=3)
        )
        line(f"cluster of {WORKERS} processes, volume of {side}³", f"{4 * side**3 / 2**20:.0f} MiB")
        for name, kill in (("undisturbed", False), ("one worker killed halfway", True)):
            seconds, killed = on_a_cluster(folder / "small.zarr", folder / "cluster.zarr", kill)
            found = zarr.open_array(str(folder / "cluster.zarr"), mode="r")[:]
            wrong = int((found != whole).sum())
            line(f"{name}: seconds, workers killed", f"{seconds:.1f} s, {killed}", killed == kill)
            line(f"{name}: places compared, and how many differ", f"{found.size:,}: {wrong}", wrong == 0)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
