"""A training with everything in it, stopped, written as JSON and arrays, and taken up again to the bit."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright import nn, optim
from tilewright.data import ArrayDataset, Augmented, DataLoader
from tilewright.data.augment import RandomShift
from tilewright.nn.utils import clip_grad_norm_
from tilewright.optim import lr_scheduler
from tilewright.train.packing import pack, unpack

OPTIMISERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "Adam": lambda p: optim.Adam(p, lr=0.01, amsgrad=True),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
}
SCHEDULES = {
    "one cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.05, total_steps=24),
    "warm-up": lambda o: lr_scheduler.with_warmup(lr_scheduler.CosineAnnealingLR(o, 18), 6),
    "plateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=0),
}


class Run:
    """A small training, step by step."""

    def __init__(self, optimizer: str, schedule: str, seed: int) -> None:
        tw.manual_seed(seed)
        numbers = np.random.default_rng(0)
        images = numbers.random((24, 1, 6, 6)).astype(np.float32)
        data = Augmented(ArrayDataset(images, np.arange(24) % 3), RandomShift(1), seed=9)
        self.loader = DataLoader(data, 4, shuffle=True, seed=seed, num_workers=1)
        self.model = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
        )
        self.optimizer = OPTIMISERS[optimizer](self.model.parameters())
        self.schedule = SCHEDULES[schedule](self.optimizer)
        self.average = optim.ExponentialMovingAverage(self.model, 0.9, warmup=True)

    def learn(self, steps: int, save_after: int = 0) -> tuple[str, dict[str, Any]]:
        """Go on by so many steps; returns the state after the step ``save_after``."""
        done, state = 0, self.saved()
        while done < steps:
            for images, labels in self.loader:
                self.optimizer.zero_grad()
                loss = nn.CrossEntropyLoss()(self.model(tw.as_tensor(images)), tw.as_tensor(labels))
                loss.backward()
                clip_grad_norm_(self.model.parameters(), 0.5)
                self.optimizer.step()
                if isinstance(self.schedule, lr_scheduler.ReduceLROnPlateau):
                    self.schedule.step(loss)
                else:
                    self.schedule.step()
                self.average.update()
                done += 1
                if done == save_after:
                    state = self.saved()
                if done == steps:
                    break
        return state

    @property
    def parts(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "average": self.average,
            "loader": self.loader,
        }

    def saved(self) -> tuple[str, dict[str, Any]]:
        states, arrays = {}, {}
        for name, part in self.parts.items():
            states[name], tensors = pack(name, part.state_dict())
            arrays.update(tensors)
        return json.dumps(states), {name: array.copy() for name, array in arrays.items()}

    def load(self, text: str, arrays: dict[str, Any]) -> None:
        for name, state in json.loads(text).items():
            self.parts[name].load_state_dict(unpack(state, arrays))


@pytest.mark.parametrize(
    ("optimizer", "schedule"),
    [*((name, "one cycle") for name in OPTIMISERS), ("AdamW", "warm-up"), ("SGD", "plateau")],
)
@pytest.mark.parametrize("stop", [0, 1, 6, 9])
def test_a_run_is_taken_up_to_the_bit(optimizer: str, schedule: str, stop: int) -> None:
    through = Run(optimizer, schedule, seed=1)
    state = through.learn(20, save_after=stop)
    taken_up = Run(optimizer, schedule, seed=2)
    taken_up.load(*state)
    taken_up.learn(20 - stop)
    one, two = through.saved(), taken_up.saved()
    assert one[0] == two[0]
    assert one[1].keys() == two[1].keys() and len(one[1]) > 20
    assert all(np.array_equal(one[1][name], two[1][name]) for name in one[1])
