"""A hundred steps of every schedule beside PyTorch's: the same rates and momentums."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
from tilewright import optim
from tilewright.optim import lr_scheduler

torch = pytest.importorskip("torch", reason="needs PyTorch, to compare with")

STEPS = 100
CLOSE = {
    "rtol": 1e-13,
    "atol": 1e-17,
    "reason": "the formulas are the same; another version of PyTorch may order its operations otherwise",
}
Make = Callable[[Any, Any], Any]

# Each makes a schedule of the library `s` (ours or PyTorch's) over the optimiser `o` of the same library.
PLAIN: dict[str, Make] = {
    "StepLR": lambda s, o: s.StepLR(o, 7),
    "StepLR grows": lambda s, o: s.StepLR(o, step_size=30, gamma=1.5),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [30, 5, 80, 5], gamma=0.5),
    "MultiStepLR from the start": lambda s, o: s.MultiStepLR(o, [0, 3]),
    "MultiStepLR never": lambda s, o: s.MultiStepLR(o, []),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.93),
    "ConstantLR": lambda s, o: s.ConstantLR(o),
    "ConstantLR long": lambda s, o: s.ConstantLR(o, factor=0.3, total_iters=40),
    "LinearLR": lambda s, o: s.LinearLR(o),
    "LinearLR down": lambda s, o: s.LinearLR(o, 1.0, 0.0, 60),
    "LinearLR slow": lambda s, o: s.LinearLR(o, start_factor=1e-3, end_factor=0.7, total_iters=99),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o),
    "PolynomialLR square": lambda s, o: s.PolynomialLR(o, 70, power=2.0),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 100),
    "CosineAnnealingLR waves": lambda s, o: s.CosineAnnealingLR(o, 7, eta_min=0.001),
    "CosineAnnealingLR one": lambda s, o: s.CosineAnnealingLR(o, T_max=1),
    "CosineAnnealingWarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 10),
    "CosineAnnealingWarmRestarts longer": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2, 0.002),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 0.5, total_steps=STEPS + 1),
    "OneCycleLR per group": lambda s, o: s.OneCycleLR(
        o, [0.5, 2.0], epochs=11, steps_per_epoch=10, anneal_strategy="linear", base_momentum=[0.7, 0.8]
    ),
    "OneCycleLR three phases": lambda s, o: s.OneCycleLR(
        o, 0.5, total_steps=STEPS + 1, three_phase=True, pct_start=0.25, div_factor=4.0, final_div_factor=10.0
    ),
    "OneCycleLR no momentum": lambda s, o: s.OneCycleLR(o, 0.5, total_steps=150, cycle_momentum=False),
    "CyclicLR": lambda s, o: s.CyclicLR(o, 0.01, 0.2, step_size_up=9),
    "CyclicLR triangular2": lambda s, o: s.CyclicLR(
        o, [0.01, 0.02], 0.2, step_size_up=9, step_size_down=4, mode="triangular2"
    ),
    "CyclicLR exp_range": lambda s, o: s.CyclicLR(
        o, 0.01, 0.2, 5, mode="exp_range", gamma=0.98, cycle_momentum=False
    ),
    "CyclicLR own scale": lambda s, o: s.CyclicLR(
        o, 0.01, 0.2, 5, scale_fn=lambda step: 1 / (1 + step), scale_mode="iterations"
    ),
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda step: 1 / (1 + step)),
    "LambdaLR per group": lambda s, o: s.LambdaLR(o, [lambda step: 0.9**step, lambda step: 1.0]),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda step: 0.95 if step < 50 else 1.01),
}
JOINED: dict[str, Make] = {
    "warm-up, then a cosine": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.01, total_iters=10), s.CosineAnnealingLR(o, 90, 1e-4)], [10]
    ),
    "three": lambda s, o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.1, 15), s.ExponentialLR(o, 0.9), s.StepLR(o, 5, 0.5)], [20, 60]
    ),
    "restarts": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o), s.CosineAnnealingWarmRestarts(o, 5, 2), s.LambdaLR(o, lambda t: 0.9**t)], [5, 50]
    ),
    "restarts first": lambda s, o: s.SequentialLR(
        o, [s.CosineAnnealingWarmRestarts(o, 8), s.MultiStepLR(o, [3, 9])], [40]
    ),
    "polynomials and products": lambda s, o: s.SequentialLR(
        o, [s.MultiplicativeLR(o, lambda t: 0.99), s.PolynomialLR(o, 30)], [33]
    ),
    "a milestone at 0": lambda s, o: s.SequentialLR(o, [s.ConstantLR(o), s.ExponentialLR(o, 0.9)], [0]),
    "all at once": lambda s, o: s.ChainedScheduler(
        [s.LinearLR(o, 0.1, total_iters=20), s.ExponentialLR(o, 0.97), s.CosineAnnealingLR(o, 100)]
    ),
}
ALL = {**PLAIN, **JOINED}
KINDS = {"SGD": {"momentum": 0.9}, "AdamW": {}, "RMSprop": {}}


def made(library: Any, tensor: Any, kind: str) -> Any:
    params = [tensor(np.ones(2)), tensor(np.ones(3))]
    groups = [{"params": [params[0]], "lr": 0.1}, {"params": [params[1]], "lr": 0.03}]
    return getattr(library, kind)(groups, **KINDS[kind])


def facts(optimizer: Any) -> list[list[float]]:
    """The rates and momentums of all groups."""
    return [
        [
            float(group["lr"]),
            float(group.get("momentum", 0.0)),
            *map(float, group.get("betas", ())),
            float(group.get("initial_lr", 0.0)),
        ]
        for group in optimizer.param_groups
    ]


def rates(scheduler: Any) -> np.ndarray[Any, Any]:
    return np.array([float(rate) for rate in scheduler.get_last_lr()])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ALL)
def test_a_hundred_steps(name: str, kind: str) -> None:
    ours, theirs = made(optim, tw.tensor, kind), made(torch.optim, torch.tensor, kind)
    # PyTorch warns of schedules stepped before the optimiser, and of its own deprecations in SequentialLR.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mine, its = ALL[name](lr_scheduler, ours), ALL[name](torch.optim.lr_scheduler, theirs)
        for _ in range(STEPS + 1):
            assert_same(rates(mine), rates(its), **CLOSE)
            assert_same(np.array(facts(ours)), np.array(facts(theirs)), **CLOSE)
            mine.step()
            its.step()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("stop", [0, 1, 4, 5, 33, 71])
def test_a_saved_schedule_goes_on_to_the_bit(name: str, stop: int) -> None:
    optimizer = made(optim, tw.tensor, "SGD")
    scheduler = ALL[name](lr_scheduler, optimizer)
    for _ in range(stop):
        scheduler.step()
    saved = json.loads(json.dumps(scheduler.state_dict()))
    optimizer_saved = optimizer.state_dict()
    rest = []
    for _ in range(20):
        scheduler.step()
        rest.append(facts(optimizer))

    again = made(optim, tw.tensor, "SGD")
    resumed = ALL[name](lr_scheduler, again)
    resumed.load_state_dict(saved)
    again.load_state_dict(optimizer_saved)
    assert resumed.get_last_lr() == saved["_last_lr"]
    for expected in rest:
        resumed.step()
        assert facts(again) == expected


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"patience": 0, "factor": 0.5},
        {"patience": 2, "cooldown": 3, "factor": 0.7, "threshold": 0.05},
        {"patience": 1, "min_lr": 0.01},
        {"patience": 1, "min_lr": [0.05, 0.001], "eps": 1e-3},
    ],
)
def test_plateaus(mode: str, threshold_mode: str, options: dict[str, Any]) -> None:
    numbers = np.random.default_rng(3)
    measures = np.cumsum(numbers.standard_normal(STEPS)) * 0.1 + np.linspace(3, 1, STEPS)
    measures[[10, 40, 41]] = [np.nan, np.inf, -np.inf]
    ours, theirs = made(optim, tw.tensor, "SGD"), made(torch.optim, torch.tensor, "SGD")
    mine = lr_scheduler.ReduceLROnPlateau(ours, mode, threshold_mode=threshold_mode, **options)
    its = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, mode, threshold_mode=threshold_mode, **options)
    for step, measure in enumerate(measures):
        mine.step(measure)
        its.step(measure)
        assert_same(rates(mine), rates(its), **CLOSE)
        assert (mine.num_bad_epochs, mine.in_cooldown) == (its.num_bad_epochs, its.in_cooldown)
        if step == 55:
            fresh = lr_scheduler.ReduceLROnPlateau(ours)
            fresh.load_state_dict(json.loads(json.dumps(mine.state_dict())))
            mine = fresh


@pytest.mark.parametrize("place", [0, 0.5, 2, 2.99, 3, 8.25, 9, 20.5, 21, 45, 1000.5])
@pytest.mark.parametrize("longer", [1, 2, 3])
def test_restarts_at_a_place(place: float, longer: int) -> None:
    ours, theirs = made(optim, tw.tensor, "SGD"), made(torch.optim, torch.tensor, "SGD")
    mine = lr_scheduler.CosineAnnealingWarmRestarts(ours, 3, longer)
    its = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(theirs, 3, longer)
    mine.step(place)
    its.step(place)
    assert_same(rates(mine), rates(its), **CLOSE)
    assert mine.last_epoch == its.last_epoch


def test_going_on_from_a_step_without_a_state() -> None:
    for make in (
        lambda s, o: s.StepLR(o, 3, last_epoch=7),
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 4, last_epoch=6),
        lambda s, o: s.LambdaLR(o, lambda step: 0.9**step, last_epoch=11),
        lambda s, o: s.OneCycleLR(o, 0.1, total_steps=100, last_epoch=20, cycle_momentum=False),
    ):
        ours, theirs = made(optim, tw.tensor, "SGD"), made(torch.optim, torch.tensor, "SGD")
        for optimizer in (ours, theirs):
            for group in optimizer.param_groups:
                group.update(initial_lr=0.004, max_lr=0.1, min_lr=4e-7)
        mine, its = make(lr_scheduler, ours), make(torch.optim.lr_scheduler, theirs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(10):
                assert_same(rates(mine), rates(its), **CLOSE)
                mine.step()
                its.step()
