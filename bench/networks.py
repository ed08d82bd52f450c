"""Training steps of three networks, ours and PyTorch's (eager) beside each other, in one process.

    python bench/networks.py                             # random pictures of the right shapes
    python bench/networks.py --data folder/with/mnist/and/fashion_mnist/in/it

The networks start with the same weights, and the gradients of a first batch are compared before anything is
timed. Then both take their steps in turn, on the same batches; what counts is the median, and a pass is as
many steps as the data set has batches of that size.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import tilewright as tw

# PyTorch's threads go on spinning for a while after a step; a step begins when they are at rest.
_REST = 0.06


class _Block(nn.Module):
    """Two 3×3 convolutions around a shortcut, which takes every second pixel and fills up with zeros."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.widens = outputs - inputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 2 if self.widens else 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Any) -> Any:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        if self.widens:
            x = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.widens // 2, self.widens // 2))
        return torch.relu(y + x)


class _ResNet20(nn.Module):
    """He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2016, section 4.2."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(_Block(16, 16) for _ in range(3)))
        self.layer2 = nn.Sequential(_Block(16, 32), _Block(32, 32), _Block(32, 32))
        self.layer3 = nn.Sequential(_Block(32, 64), _Block(64, 64), _Block(64, 64))
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


def _digitnet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, padding="same"), nn.Tanh(), nn.Dropout(0.2), nn.Flatten(), nn.Linear(25088, 10)
    )


def _lenet5() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 120, 5),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(120, 84),
        nn.Tanh(),
        nn.Linear(84, 10),
    )


_STEPS = {"lr": 0.01, "momentum": 0.9}
#: name: our network, PyTorch's, the data set, the batch, how ours and theirs step
_NETWORKS: dict[str, tuple[Callable[[], Any], Callable[[], nn.Module], str, int, dict[str, float]]] = {
    "small digit network, MNIST": (tw.nn.models.digitnet, _digitnet, "mnist", 60, _STEPS),
    "LeNet-5, MNIST": (tw.nn.models.lenet5, _lenet5, "mnist", 60, _STEPS),
    "ResNet-20, Fashion-MNIST": (
        lambda: tw.nn.models.resnet20(1),
        _ResNet20,
        "fashion_mnist",
        128,
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4},
    ),
}
_IMAGES = 60_000


def _batches(folder: Path | None, name: str, batch: int, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    place = folder / name if folder else None
    found = []
    if place is not None and place.is_dir():
        images = getattr(tw.data, name)(place)
        loader = tw.data.DataLoader(images.train, batch_size=batch)
        for x, y in loader:
            found.append((np.ascontiguousarray(x, np.float32), np.asarray(y, np.int64)))
            if len(found) == count:
                return found
    rng = np.random.default_rng(0)
    for _ in range(count - len(found)):
        found.append((rng.standard_normal((batch, 1, 28, 28), np.float32), rng.integers(0, 10, batch)))
    return found


def _same_weights(ours: Any, theirs: nn.Module) -> None:
    """PyTorch's network gets our weights: by name, or in order where its layers have numbers for names."""
    state, wanted = ours.state_dict(), theirs.state_dict()
    if state.keys() != wanted.keys():
        state = dict(zip(wanted, state.values(), strict=True))
    theirs.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in state.items()})


def _check(ours: Any, theirs: nn.Module, x: np.ndarray, y: np.ndarray) -> float:
    """The largest difference of a gradient, by the norms of both; without dropout.

    Through 20 layers rounding turns some ReLUs that are nearly 0 on or off: some 1e-3 of a gradient.
    """
    for net in (ours, theirs):
        for layer in net.modules():
            if type(layer).__name__ == "Dropout":
                layer.eval()
    tw.nn.functional.cross_entropy(ours(tw.from_numpy(x)), tw.from_numpy(y)).backward()
    nn.functional.cross_entropy(theirs(torch.from_numpy(x)), torch.from_numpy(y)).backward()
    worst = 0.0
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        found, expected = a.grad.numpy(), b.grad.numpy()
        error = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
        if not error < 1e-2:
            raise SystemExit(f"the gradient of {name} differs by {error:.2g} of its norm")
        worst = max(worst, error)
    for net in (ours, theirs):
        net.train()
    return worst


def measure(name: str, threads: int, steps: int, folder: Path | None) -> dict[str, Any]:
    """Median times of a step, ours and theirs."""
    make, twin, data, batch, settings = _NETWORKS[name]
    tw.set_num_threads(threads)
    torch.set_num_threads(threads)
    tw.manual_seed(0)
    torch.manual_seed(0)
    ours, theirs = make(), twin()
    _same_weights(ours, theirs)
    batches = _batches(folder, data, batch, steps)
    difference = _check(ours, theirs, *batches[0])
    mine = tw.optim.SGD(ours.parameters(), **settings)
    other = torch.optim.SGD(theirs.parameters(), **settings)

    def step(x: np.ndarray, y: np.ndarray) -> None:
        mine.zero_grad()
        tw.nn.functional.cross_entropy(ours(tw.from_numpy(x)), tw.from_numpy(y)).backward()
        mine.step()

    def their_step(x: np.ndarray, y: np.ndarray) -> None:
        other.zero_grad()
        nn.functional.cross_entropy(theirs(torch.from_numpy(x)), torch.from_numpy(y)).backward()
        other.step()

    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for number, (x, y) in enumerate(batches):
        for who, do in (("ours", step), ("theirs", their_step)):
            if threads > 1:
                time.sleep(_REST)
            # The first two steps are slower: kernels are compiled, buffers made.
            start = time.perf_counter()
            do(x, y)
            if number > 1:
                times[who].append(time.perf_counter() - start)
    a, b = (statistics.median(times[who]) for who in ("ours", "theirs"))
    return {
        "network": name,
        "threads": threads,
        "batch": batch,
        "steps": len(times["ours"]),
        "ours_ms": 1e3 * a,
        "pytorch_ms": 1e3 * b,
        "ratio": b / a,
        "ours_pass_s": a * -(-_IMAGES // batch),
        "pytorch_pass_s": b * -(-_IMAGES // batch),
        "gradient_difference": difference,
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    data = os.environ.get("TILEWRIGHT_DATA")
    parser.add_argument(
        "--data", type=Path, default=Path(data) if data else None, help="folder with mnist/ in it"
    )
    parser.add_argument("--steps", type=int, default=40, help="of each network, beside two to begin with")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    rows = [
        measure(name, threads, options.steps + 2, options.data)
        for name in _NETWORKS
        for threads in (1, 2)
        if threads <= (os.cpu_count() or 1)
    ]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"PyTorch {torch.__version__}, eager; medians of {options.steps} steps")
    print("| network | batch | threads | a step | PyTorch's | a pass | PyTorch's | ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        print(
            f"| {row['network']} | {row['batch']} | {row['threads']} | {row['ours_ms']:.2f} ms "
            f"| {row['pytorch_ms']:.2f} ms | {row['ours_pass_s']:.1f} s | {row['pytorch_pass_s']:.1f} s "
            f"| {row['ratio']:.2f}× |"
        )


if __name__ == "__main__":
    main()
