"""Training an up-sampler: seeded, judged on held-out pictures, and always ready to stop with what it has."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tilewright import functional as F
from tilewright.autograd.create import as_tensor
from tilewright.data import find_images
from tilewright.errors import ArgumentError, StateError, describe
from tilewright.image.resizing import upsample
from tilewright.op.random import manual_seed
from tilewright.optim import Adam
from tilewright.train import progress as shown
from tilewright.train.blas import one_thread
from tilewright.train.config import versions
from tilewright.train.interrupt import Interrupts
from tilewright.train.meter import Meter
from tilewright.train.state import weights_of
from tilewright.train.upsampler import Upsampler, enlarge, load_upsampler, save_upsampler
from tilewright.train.upsampler_pairs import HeldOut, Pairs, psnr, read_held_out, read_pairs, split

Array = np.ndarray[Any, Any]

# How often the network is judged on the way.
_JUDGEMENTS = 10


@dataclass(frozen=True)
class UpsamplerSettings:
    """How an up-sampler is made and trained.

    Attributes:
        features: channels of the network.
        blocks: its residual blocks.
        steps: updates of the weights.
        batch_size: patches of an update.
        patch: side of a patch of the small pictures.
        lr: learning rate of Adam, which falls to 0 along a cosine.
        seed: what all chance follows.
    """

    features: int = 32
    blocks: int = 3
    steps: int = 2000
    batch_size: int = 16
    patch: int = 32
    lr: float = 1e-3
    seed: int = 0


#: Settings by name: for half a minute, for some five minutes, and for hours, on two cores.
PRESETS = {
    "quick": UpsamplerSettings(features=16, blocks=2, steps=500),
    "standard": UpsamplerSettings(),
    "thorough": UpsamplerSettings(features=64, blocks=8, steps=30_000, patch=48, lr=5e-4),
}


@dataclass(frozen=True)
class Judged:
    """A held-out picture: its name, and the PSNR in decibels of cubic interpolation and of the network."""

    name: str
    bicubic: float
    learnt: float


@dataclass(frozen=True)
class UpsamplerResult:
    """What a training came to.

    Attributes:
        path: the file that holds the network.
        steps: updates that were done.
        best_step: after which of them the network was the best; that is the one in the file.
        seconds: spent on them.
        pictures: how many were learnt from.
        held_out: how the best network does on each held-out picture.
        interrupted: whether Ctrl-C ended it.
    """

    path: str
    steps: int
    best_step: int
    seconds: float
    pictures: int
    held_out: tuple[Judged, ...]
    interrupted: bool

    @property
    def bicubic(self) -> float:
        """Mean PSNR of cubic interpolation."""
        return _mean([one.bicubic for one in self.held_out])

    @property
    def learnt(self) -> float:
        """Mean PSNR of the network."""
        return _mean([one.learnt for one in self.held_out])

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "bicubic": self.bicubic, "learnt": self.learnt}


def train_upsampler(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str] = "upsampler.safetensors",
    settings: UpsamplerSettings | None = None,
    *,
    validate: str | os.PathLike[str] | None = None,
    held_out: float = 0.1,
    start: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> UpsamplerResult:
    """Learn to double pictures like those of a folder, and keep the network in a safetensors file.

    The pictures are halved (cubic, against aliasing), and the network learns to bring back what they were,
    by the mean absolute error. Of all networks on the way the one with the best PSNR on the held-out
    pictures is kept. Ctrl-C ends the training with that one.

    Args:
        folder: of pictures; or one picture, if ``validate`` is given.
        out: the file to write.
        settings: see :class:`UpsamplerSettings`, and :data:`PRESETS`.
        validate: a picture or a folder of them to judge by; None: some of ``folder``'s, which are then not
            learnt from.
        held_out: the share of the folder's pictures that are those.
        start: a file to take the network from, rather than beginning anew.
        overwrite: replace ``out`` if it is there.
        progress: show how far it is, on standard error.

    Raises:
        ArgumentError: a folder without pictures, too few or too small ones, settings outside their range, or
            an ``out`` that is there already.
        FileFormatError: ``start`` isn't a whole up-sampler.
        StateError: the loss is no longer finite.
        OSError: the system refuses.

    >>> train_upsampler("photos", "photos.safetensors").learnt  # doctest: +SKIP
    31.4
    """
    settings = settings or UpsamplerSettings()
    _check(settings, held_out)
    target = Path(out)
    _check_target(target, overwrite)
    found = find_images(folder)
    train, test = (
        split(found, held_out, settings.seed) if validate is None else (found, find_images(validate))
    )
    manual_seed(settings.seed)
    model = Upsampler(settings.features, settings.blocks) if start is None else load_upsampler(start)[0]
    with one_thread(), shown.choose(progress) as display:
        display.say(f"Reading {len(train)} pictures to learn from, {len(test)} to judge by.")
        pairs = read_pairs(train, settings.patch, settings.seed, display.say)
        judges = read_held_out(test, display.say)
        run = _Run(model, settings, judges, display)
        # Before there is anything to keep, Ctrl-C ends the program as usual.
        with Interrupts() as interrupts:
            interrupts.on_first = display.stopping
            run.learn(pairs, interrupts)
    facts = {
        "pictures": len(train),
        "steps": run.step,
        "best_step": run.best_step,
        "settings": asdict(settings),
        "psnr": run.best,
        "psnr_bicubic": _mean(run.cubic),
        "versions": versions(),
    }
    save_upsampler(target, model, facts)
    judged = tuple(
        Judged(judge.name, bicubic, learnt)
        for judge, bicubic, learnt in zip(judges, run.cubic, run.judge(), strict=True)
    )
    return UpsamplerResult(
        str(target), run.step, run.best_step, run.seconds, len(train), judged, interrupts.asked
    )


class _Run:
    """A training under way."""

    def __init__(
        self, model: Upsampler, settings: UpsamplerSettings, judges: Sequence[HeldOut], display: shown.Silent
    ) -> None:
        self.model = model
        self.settings = settings
        self.judges = judges
        self.display = display
        self.step = 0
        self.seconds = 0.0
        self.cubic = [psnr(upsample(one.small, 2, "cubic", channel_axis=0), one.large) for one in judges]
        self.best = _mean(self.judge())
        self.best_step = 0
        self._best_weights = {name: array.copy() for name, array in weights_of(model).items()}

    def learn(self, pairs: Pairs, interrupts: Interrupts) -> None:
        """All steps, or as many as are done when Ctrl-C comes; the model ends as the best one."""
        steps, rng = self.settings.steps, np.random.default_rng([self.settings.seed, 1])
        optimizer = Adam(self.model.parameters(), lr=self.settings.lr)
        every = max(steps // _JUDGEMENTS, 1)
        meter = Meter()
        self.display.begin(steps, 0)
        self.model.train()
        while self.step < steps and not interrupts.asked:
            optimizer.param_groups[0]["lr"] = self.settings.lr * _cosine(self.step / steps)
            started = time.perf_counter()
            loss = self._update(pairs.batch(self.settings.batch_size, rng), optimizer)
            took = time.perf_counter() - started
            self.step += 1
            self.seconds += took
            meter.add(loss, 0.0, self.settings.batch_size, took)
            epoch = 1 + self.step * self.settings.batch_size // len(pairs.small)
            self.display.update(self.step, epoch, meter.loss, None, meter.speed)
            if self.step % every == 0 or self.step == steps or interrupts.asked:
                self._compare()
        self.model.load_state_dict(self._best_weights)
        self.model.eval()

    def _update(self, batch: tuple[Array, Array], optimizer: Any) -> float:
        small, large = batch
        loss = F.l1_loss(self.model(as_tensor(small)), as_tensor(large))
        value = float(loss.item())
        if not math.isfinite(value):
            raise StateError(
                "The loss is no longer finite.", describe(step=self.step, loss=value), "Try a smaller lr."
            )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return value

    def _compare(self) -> None:
        found = _mean(self.judge())
        mark = ""
        if found > self.best:
            self.best, self.best_step, mark = found, self.step, "  best"
            self._best_weights = {name: array.copy() for name, array in weights_of(self.model).items()}
        self.display.say(
            f"step {self.step} of {self.settings.steps}  held-out PSNR {found:.2f} dB "
            f"(bicubic {_mean(self.cubic):.2f}){mark}"
        )

    def judge(self) -> list[float]:
        """The network's PSNR on each held-out picture."""
        self.model.eval()
        found = [psnr(enlarge(self.model, one.small, channel_axis=0), one.large) for one in self.judges]
        self.model.train()
        return found


def _cosine(share: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * share))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _check(settings: UpsamplerSettings, held_out: float) -> None:
    for name in ("steps", "batch_size", "patch"):
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ArgumentError(
                f"train_upsampler needs {name} to be a whole number of at least 1.", describe(**{name: value})
            )
    for name, value, most in (("lr", settings.lr, 1.0), ("held_out", held_out, 1.0)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < most:
            raise ArgumentError(
                f"train_upsampler needs {name} to be a number between 0 and 1.", describe(**{name: value})
            )
    if (
        isinstance(settings.seed, bool)
        or not isinstance(settings.seed, int)
        or not 0 <= settings.seed < 2**63
    ):
        raise ArgumentError(
            "train_upsampler needs seed to be a whole number from 0 to 2**63 - 1.",
            describe(seed=settings.seed),
        )


def _check_target(target: Path, overwrite: bool) -> None:
    """Before any work, so that a night's training isn't lost for want of a folder."""
    if target.is_dir():
        raise ArgumentError("train_upsampler needs out to be a file.", f"{str(target)!r}, which is a folder")
    if target.exists() and not overwrite:
        raise ArgumentError(
            "train_upsampler needs out to be a new file.",
            f"{str(target)!r}, which is there already",
            "Replace it (overwrite), or choose another name.",
        )
    if not target.parent.is_dir():
        raise ArgumentError(
            "train_upsampler needs out to be in a folder that exists.", describe(out=str(target))
        )
