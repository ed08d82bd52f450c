"""Rates worked out by hand, schedules inside schedules, saved states, and refusals."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
from tilewright import nn, optim
from tilewright.errors import ArgumentError, DtypeError, StateError, TilewrightError
from tilewright.optim import lr_scheduler as s

ROUNDING = {"rtol": 1e-12, "atol": 1e-15, "reason": "a product for each step, float64"}


def made(*rates: float, **options: Any) -> optim.SGD:
    groups = [{"params": tw.zeros(1), "lr": rate} for rate in rates or (1.0,)]
    return optim.SGD(groups, **{"momentum": 0.9, **options})


def course(scheduler: s.LRScheduler, steps: int) -> list[float]:
    """The rates of the first group, at the first step and after each of ``steps`` more."""
    found = [scheduler.get_last_lr()[0]]
    for _ in range(steps):
        scheduler.step()
        found.append(scheduler.get_last_lr()[0])
    return found


class TestByHand:
    def test_a_cosine(self) -> None:
        found = course(s.CosineAnnealingLR(made(), 4, eta_min=0.2), 8)
        expected = [0.2 + 0.8 * (1 + math.cos(math.pi * step / 4)) / 2 for step in range(9)]
        assert_same(np.array(found), expected, **ROUNDING)
        assert found[4] == pytest.approx(0.2) and found[8] == pytest.approx(1.0)

    def test_one_cycle_mirrors_the_momentum(self) -> None:
        optimizer = made()
        scheduler = s.OneCycleLR(
            optimizer, 1.0, total_steps=9, pct_start=5 / 9, anneal_strategy="linear", div_factor=5.0
        )
        rates, momentums = [], []
        for _ in range(9):
            rates.append(optimizer.param_groups[0]["lr"])
            momentums.append(optimizer.param_groups[0]["momentum"])
            scheduler.step()
        # Up in 4 steps from 1/5 to 1, down in 4 to 1/5/10⁴; the momentum from 0.95 down to 0.85 and back.
        low = 0.2 / 1e4
        rising = [0.2, 0.4, 0.6, 0.8, 1.0]
        falling = [1 - (1 - low) * step / 4 for step in (1, 2, 3, 4)]
        assert_same(np.array(rates), rising + falling, **ROUNDING)
        mirrored = [0.95, 0.925, 0.9, 0.875, 0.85, 0.875, 0.9, 0.925, 0.95]
        assert_same(np.array(momentums), mirrored, **ROUNDING)

    def test_one_cycle_moves_the_first_beta(self) -> None:
        optimizer = optim.AdamW([tw.zeros(1)], betas=(0.9, 0.99))
        scheduler = s.OneCycleLR(optimizer, 1.0, total_steps=4)
        assert optimizer.param_groups[0]["betas"] == (0.95, 0.99)
        scheduler.step()
        assert optimizer.param_groups[0]["betas"][0] < 0.95

    @pytest.mark.parametrize("strategy", ["cos", "linear"])
    def test_the_step_after_one_cycle_keeps_the_last_rate(self, strategy: str) -> None:
        scheduler = s.OneCycleLR(made(), 1.0, total_steps=3, anneal_strategy=strategy)
        found = course(scheduler, 3)
        assert found[2] == found[3] == pytest.approx(1 / 25 / 1e4)
        with pytest.raises(StateError) as error:
            scheduler.step()
        assert str(error.value) == (
            "OneCycleLR has total_steps=3 and can't be stepped past them. Received: step 4. "
            "Make it with as many steps as the training has."
        )

    @pytest.mark.parametrize(
        ("total", "share"), [(10, 0.1), (1, 0.3), (2, 0.0), (2, 1.0), (5, 0.2), (4, 0.5), (3, 1 / 3)]
    )
    @pytest.mark.parametrize("phases", [False, True])
    def test_one_cycle_of_any_length_stays_within_its_bounds(
        self, total: int, share: float, phases: bool
    ) -> None:
        scheduler = s.OneCycleLR(made(), 1.0, total_steps=total, pct_start=share, three_phase=phases)
        found = course(scheduler, total)
        assert len(found) == total + 1
        assert all(0 < rate <= 1.0 for rate in found)

    def test_a_warm_up_and_then_another(self) -> None:
        optimizer = made(1.0, 0.5)
        scheduler = s.with_warmup(s.CosineAnnealingLR(optimizer, 10), 4, start_factor=0.2)
        found = course(scheduler, 14)
        rising = [0.2 + 0.8 * step / 4 for step in range(4)]
        falling = [(1 + math.cos(math.pi * step / 10)) / 2 for step in range(11)]
        assert_same(np.array(found), rising + falling, **ROUNDING)
        assert scheduler.get_last_lr()[1] == pytest.approx(0.5 * found[-1])
        plain = s.StepLR(made(), 3)
        assert s.with_warmup(plain, 0) is plain

    def test_a_plateau(self) -> None:
        optimizer = made(1.0)
        scheduler = s.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, cooldown=1, min_lr=0.2)
        found = []
        for loss in (2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0):
            scheduler.step(tw.tensor(loss))
            found.append(optimizer.param_groups[0]["lr"])
        # Two steps without improvement, then a reduction and one step that doesn't count: three from then on.
        assert found == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2]


class TestJoined:
    def test_schedules_of_schedules_follow_the_same_course(self) -> None:
        def leaves(o: Any) -> list[s.LRScheduler]:
            return [s.LinearLR(o, 0.1, total_iters=3), s.ExponentialLR(o, 0.9), s.CosineAnnealingLR(o, 8)]

        first, second, third = (made() for _ in range(3))
        flat = s.SequentialLR(first, leaves(first), [3, 9])
        one, two, three = leaves(second)
        left = s.SequentialLR(second, [s.SequentialLR(second, [one, two], [3]), three], [9])
        one, two, three = leaves(third)
        right = s.SequentialLR(third, [one, s.SequentialLR(third, [two, three], [6])], [3])
        expected = course(flat, 20)
        assert course(left, 20) == expected
        assert course(right, 20) == expected

    def test_schedules_at_once_begin_anew_in_a_sequence(self) -> None:
        alone, within = made(), made()
        pair = s.ChainedScheduler([s.LinearLR(alone, 0.5, total_iters=4), s.ExponentialLR(alone, 0.9)])
        expected = course(pair, 6)
        late = s.ChainedScheduler([s.LinearLR(within, 0.5, total_iters=4), s.ExponentialLR(within, 0.9)])
        joined = s.SequentialLR(within, [s.ConstantLR(within, 0.3, 100), late], [5])
        assert course(joined, 11)[5:] == expected
        again = made()
        early = s.ChainedScheduler([s.LinearLR(again, 0.5, total_iters=4), s.ExponentialLR(again, 0.9)])
        first = s.SequentialLR(again, [early, s.ConstantLR(again, 0.3, 100)], [5])
        assert course(first, 4) == expected[:5]

    def test_a_nested_state_goes_on(self) -> None:
        def build() -> s.LRScheduler:
            o = made()
            pair = s.ChainedScheduler([s.LinearLR(o, 0.5, total_iters=4), s.ExponentialLR(o, 0.9)])
            return s.SequentialLR(o, [s.ConstantLR(o, 0.3, 3), pair], [4])

        scheduler, resumed = build(), build()
        course(scheduler, 6)
        state = json.loads(json.dumps(scheduler.state_dict()))
        saved = scheduler.optimizer.state_dict()
        resumed.load_state_dict(state)
        resumed.optimizer.load_state_dict(saved)
        assert course(resumed, 9) == course(scheduler, 9)


class TestOwn:
    def test_a_class_of_ones_own(self) -> None:
        class Wave(s.LRScheduler):
            def __init__(self, optimizer: optim.Optimizer, height: float) -> None:
                self.height = height
                self.shape = math.sin
                super().__init__(optimizer)

            def get_lr(self) -> list[float]:
                return [rate + self.height * self.shape(self.last_epoch) for rate in self.base_lrs]

        scheduler = Wave(made(2.0), 0.5)
        assert course(scheduler, 2) == [2.0, 2.0 + 0.5 * math.sin(1), 2.0 + 0.5 * math.sin(2)]
        assert scheduler.state_dict() == {
            "height": 0.5,
            "last_epoch": 2,
            "base_lrs": [2.0],
            "_last_lr": [2.0 + 0.5 * math.sin(2)],
        }

    def test_rates_of_numpy_become_plain(self) -> None:
        scheduler = s.StepLR(made(np.float32(0.5), np.int64(1)), np.int64(3), gamma=np.float64(0.5))
        assert json.dumps(scheduler.state_dict()) and scheduler.base_lrs == [0.5, 1.0]

    def test_a_second_schedule_starts_from_the_first_rate(self) -> None:
        optimizer = made(0.8)
        s.ConstantLR(optimizer, 0.5)
        assert s.ExponentialLR(optimizer, 0.9).base_lrs == [0.8]

    def test_it_trains(self) -> None:
        tw.manual_seed(0)
        model = nn.Linear(2, 1)
        x = tw.tensor(np.random.default_rng(0).standard_normal((32, 2)).astype(np.float32))
        target = (x.numpy() @ np.array([[2.0], [-3.0]], np.float32)) + 1
        optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        scheduler = s.OneCycleLR(optimizer, 0.2, epochs=10, steps_per_epoch=10)
        for _ in range(100):
            optimizer.zero_grad()
            loss = nn.MSELoss()(model(x), tw.tensor(target))
            loss.backward()
            optimizer.step()
            scheduler.step()
        assert loss.item() < 1e-3


EACH: list[Callable[[Any], s.LRScheduler]] = [
    lambda o: s.StepLR(o, 2),
    lambda o: s.MultiStepLR(o, [2, 3]),
    lambda o: s.ExponentialLR(o, 0.9),
    lambda o: s.ConstantLR(o),
    lambda o: s.LinearLR(o),
    lambda o: s.PolynomialLR(o),
    lambda o: s.CosineAnnealingLR(o, 5),
    lambda o: s.CosineAnnealingWarmRestarts(o, 5),
    lambda o: s.OneCycleLR(o, 0.1, 50),
    lambda o: s.CyclicLR(o, 0.1, 0.2),
    lambda o: s.LambdaLR(o, lambda step: 1.0),
    lambda o: s.MultiplicativeLR(o, lambda step: 1.0),
    lambda o: s.ReduceLROnPlateau(o),
    lambda o: s.SequentialLR(o, [s.StepLR(o, 2), s.StepLR(o, 3)], [5]),
    lambda o: s.ChainedScheduler([s.StepLR(o, 2), s.StepLR(o, 3)]),
]


@pytest.mark.parametrize("build", EACH)
def test_a_foreign_state_is_refused_and_changes_nothing(build: Callable[[Any], s.LRScheduler]) -> None:
    scheduler = build(made(0.1, 0.2))
    before = json.dumps(scheduler.state_dict())
    good = scheduler.state_dict()
    others = [3, None, [], {}, {**good, "more": 1}, {**good, "last_epoch": "x"}, {**good, "_last_lr": [1.0]}]
    others += [{**good, "_last_lr": "no"}, {**good, "last_epoch": None}, {**good, "last_epoch": 1.5}]
    for name, value in good.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            others += [{**good, name: "text"}, {**good, name: [value]}]
        others.append({key: item for key, item in good.items() if key != name})
    for name in {"step_size", "T_max", "T_0", "total_steps", "total_iters", "step_size_up"} & set(good):
        others.append({**good, name: 0})
    if "schedulers" in good:
        inner = dict(good["schedulers"][1], step_size=-1)
        others += [
            {**good, "schedulers": [good["schedulers"][0], inner]},
            {**good, "schedulers": good["schedulers"][:1]},
            {**good, "schedulers": [{}, {}]},
            {**good, "schedulers": 3},
        ]
    for other in others:
        with pytest.raises(ArgumentError):
            scheduler.load_state_dict(other)
        assert json.dumps(scheduler.state_dict()) == before, other
    scheduler.load_state_dict(good)


def test_what_a_refused_state_says() -> None:
    scheduler = s.StepLR(made(), 2)
    good = scheduler.state_dict()
    for state, message in (
        (3, "StepLR.load_state_dict needs a dict that state_dict() made. Received: state_dict=3."),
        (
            {"gamma": 1},
            "StepLR.load_state_dict needs the entries _last_lr, base_lrs, gamma, last_epoch, step_size. "
            "Received: gamma. A state belongs to the kind of schedule that made it.",
        ),
        (
            {**good, "gamma": "x"},
            "StepLR.load_state_dict needs gamma like 0.1. Received: gamma='x'.",
        ),
        (
            {**good, "base_lrs": [1.0, 2.0]},
            "StepLR.load_state_dict needs base_lrs of one number for each of 1 groups. "
            "Received: base_lrs=[1.0, 2.0].",
        ),
        ({**good, "step_size": 0}, "StepLR needs step_size to be at least 1. Received: step_size=0."),
    ):
        with pytest.raises(ArgumentError) as error:
            scheduler.load_state_dict(state)
        assert str(error.value) == message
    joined = s.ChainedScheduler([s.StepLR(made(), 2)])
    with pytest.raises(ArgumentError) as error:
        joined.load_state_dict({"schedulers": []})
    assert str(error.value) == (
        "ChainedScheduler.load_state_dict needs the states of 1 schedules under 'schedulers'. "
        "Received: schedulers=[]."
    )


def test_groups_that_come_later_are_noticed() -> None:
    optimizer = made()
    scheduler, plateau = s.StepLR(optimizer, 1), s.ReduceLROnPlateau(optimizer, patience=0)
    optimizer.add_param_group({"params": tw.zeros(2)})
    message = (
        "needs the 1 groups of the optimiser that it was made for. Received: 2 groups. "
        "Make the schedule after the last add_param_group."
    )
    with pytest.raises(StateError) as error:
        scheduler.step()
    assert str(error.value) == f"StepLR {message}"
    plateau.step(1.0)
    with pytest.raises(StateError) as error:
        plateau.step(1.0)
    assert str(error.value) == f"ReduceLROnPlateau {message}"


def rejoined(o: Any, other: Any) -> Any:
    return s.SequentialLR(o, [s.StepLR(o, 2), s.StepLR(other, 2)], [3])


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (
            lambda o: s.StepLR(3, 2),
            DtypeError,
            "StepLR needs an optimiser of tilewright.optim. Received: optimizer=3.",
        ),
        (
            lambda o: s.OneCycleLR(None, 1.0, 5),
            DtypeError,
            "OneCycleLR needs an optimiser of tilewright.optim. Received: optimizer=None.",
        ),
        (
            lambda o: s.LambdaLR("sgd", abs),
            DtypeError,
            "LambdaLR needs an optimiser of tilewright.optim. Received: optimizer='sgd'.",
        ),
        (
            lambda o: s.StepLR(o, 0),
            ArgumentError,
            "StepLR needs step_size to be at least 1. Received: step_size=0.",
        ),
        (
            lambda o: s.StepLR(o, 2.0),
            ArgumentError,
            "StepLR needs step_size to be an integer. Received: step_size=2.0.",
        ),
        (
            lambda o: s.StepLR(o, 2, gamma=float("nan")),
            ArgumentError,
            "StepLR needs gamma to be a finite number, at least 0. Received: gamma=nan.",
        ),
        (
            lambda o: s.StepLR(o, 2, last_epoch=-2),
            ArgumentError,
            "StepLR needs last_epoch to be at least -1. Received: last_epoch=-2.",
        ),
        (
            lambda o: s.StepLR(o, 2, last_epoch=3),
            StateError,
            "StepLR needs groups with an initial_lr to go on from a step. Received: last_epoch=3. "
            "Make it with last_epoch=-1 and call load_state_dict.",
        ),
        (
            lambda o: s.MultiStepLR(o, 3),
            DtypeError,
            "MultiStepLR needs milestones to be a list of integers. Received: milestones=3.",
        ),
        (
            lambda o: s.MultiStepLR(o, [1.5]),
            ArgumentError,
            "MultiStepLR needs every milestone to be an integer.",
        ),
        (
            lambda o: s.ConstantLR(o, 0),
            ArgumentError,
            "ConstantLR needs factor to be above 0. Received: factor=0.",
        ),
        (
            lambda o: s.ConstantLR(o, 1.5),
            ArgumentError,
            "ConstantLR needs factor to be a finite number, at least 0 and at most 1. Received: factor=1.5.",
        ),
        (
            lambda o: s.LinearLR(o, 0.0),
            ArgumentError,
            "LinearLR needs start_factor to be above 0. Received: start_factor=0.0.",
        ),
        (
            lambda o: s.LinearLR(o, total_iters=0),
            ArgumentError,
            "LinearLR needs total_iters to be at least 1. Received: total_iters=0.",
        ),
        (
            lambda o: s.PolynomialLR(o, power="2"),
            ArgumentError,
            "PolynomialLR needs power to be a finite number",
        ),
        (
            lambda o: s.CosineAnnealingLR(o, 0),
            ArgumentError,
            "CosineAnnealingLR needs T_max to be at least 1. Received: T_max=0.",
        ),
        (
            lambda o: s.CosineAnnealingWarmRestarts(o, 5, 0),
            ArgumentError,
            "CosineAnnealingWarmRestarts needs T_mult to be at least 1. Received: T_mult=0.",
        ),
        (
            lambda o: s.CosineAnnealingWarmRestarts(o, 5).step(-0.5),
            ArgumentError,
            "CosineAnnealingWarmRestarts.step needs epoch to be a finite number, at least 0. "
            "Received: epoch=-0.5.",
        ),
        (
            lambda o: s.OneCycleLR(o, 1.0),
            ArgumentError,
            "OneCycleLR needs total_steps, or epochs and steps_per_epoch. "
            "Received: total_steps=None, epochs=None, steps_per_epoch=None.",
        ),
        (
            lambda o: s.OneCycleLR(o, [1.0, 2.0], 5),
            ArgumentError,
            "OneCycleLR needs max_lr as one number, or one for each of 1 groups. Received: max_lr=[1.0, 2.0]",
        ),
        (
            lambda o: s.OneCycleLR(o, 1.0, 5, anneal_strategy="sine"),
            ArgumentError,
            "OneCycleLR needs anneal_strategy to be one of 'cos', 'linear'. Received: anneal_strategy='sine'",
        ),
        (
            lambda o: s.OneCycleLR(o, 1.0, 5, div_factor=0),
            ArgumentError,
            "OneCycleLR needs div_factor to be above 0. Received: div_factor=0.",
        ),
        (
            lambda o: s.OneCycleLR(o, 1.0, 5, max_momentum=1.0),
            ArgumentError,
            "OneCycleLR needs max_momentum to be a finite number, at least 0 and below 1. "
            "Received: max_momentum=1.0.",
        ),
        (
            lambda o: s.CyclicLR(o, 0.1, 0.2, mode="square"),
            ArgumentError,
            "CyclicLR needs mode to be one of 'triangular', 'triangular2', 'exp_range'. "
            "Received: mode='square'.",
        ),
        (
            lambda o: s.CyclicLR(o, 0.1, 0.2, scale_fn=3),
            DtypeError,
            "CyclicLR needs scale_fn to be a function. Received: scale_fn=3.",
        ),
        (
            lambda o: s.LambdaLR(o, [abs, abs]),
            ArgumentError,
            "LambdaLR needs lr_lambda to be a function, or a list of one for each of 1 groups.",
        ),
        (
            lambda o: s.LambdaLR(o, lambda step: "a"),
            ArgumentError,
            "LambdaLR needs the factor of lr_lambda to be a finite number, at least 0.",
        ),
        (
            lambda o: s.ReduceLROnPlateau(o, factor=1.0),
            ArgumentError,
            "ReduceLROnPlateau needs factor to be a finite number, at least 0 and below 1. "
            "Received: factor=1.0.",
        ),
        (
            lambda o: s.ReduceLROnPlateau(o, mode="least"),
            ArgumentError,
            "ReduceLROnPlateau needs mode to be one of 'min', 'max'. Received: mode='least'.",
        ),
        (
            lambda o: s.ReduceLROnPlateau(o, min_lr=[0, 0]),
            ArgumentError,
            "ReduceLROnPlateau needs min_lr as one number, or one for each of 1 groups. "
            "Received: min_lr=[0, 0].",
        ),
        (
            lambda o: s.ReduceLROnPlateau(o).step(),
            DtypeError,
            "ReduceLROnPlateau.step needs the measure to watch, one number. Received: metrics=None.",
        ),
        (
            lambda o: s.ReduceLROnPlateau(o).step(tw.ones(2)),
            DtypeError,
            "ReduceLROnPlateau.step needs the measure to watch, one number. "
            "Received: metrics with shape (2,) and dtype float32.",
        ),
        (
            lambda o: s.SequentialLR(o, [], []),
            ArgumentError,
            "SequentialLR needs a list of at least one schedule. Received: schedulers=[].",
        ),
        (
            lambda o: s.SequentialLR(o, [s.StepLR(o, 1), 5], [3]),
            DtypeError,
            "SequentialLR joins schedules whose step takes no measure. "
            "Received: a int at place 1, counted from 0.",
        ),
        (
            lambda o: s.ChainedScheduler([s.ReduceLROnPlateau(o)]),
            DtypeError,
            "ChainedScheduler joins schedules whose step takes no measure. "
            "Received: a ReduceLROnPlateau at place 0, counted from 0.",
        ),
        (
            lambda o: rejoined(o, made()),
            ArgumentError,
            "SequentialLR joins schedules of one optimiser. "
            "Received: a StepLR of another one at place 1, counted from 0.",
        ),
        (
            lambda o: s.SequentialLR(o, [s.StepLR(o, 1), s.StepLR(o, 1)], []),
            ArgumentError,
            "SequentialLR needs rising milestones, one fewer than its 2 schedules. Received: milestones=[].",
        ),
        (
            lambda o: s.SequentialLR(o, [s.StepLR(o, 1), s.StepLR(o, 1), s.StepLR(o, 1)], [5, 3]),
            ArgumentError,
            "SequentialLR needs rising milestones, one fewer than its 3 schedules. "
            "Received: milestones=[5, 3].",
        ),
        (
            lambda o: s.with_warmup(o, 3),
            DtypeError,
            "with_warmup needs a schedule whose step takes no measure.",
        ),
        (
            lambda o: s.with_warmup(s.StepLR(o, 1), -1),
            ArgumentError,
            "with_warmup needs steps to be at least 0. Received: steps=-1.",
        ),
        (
            lambda o: s.with_warmup(s.StepLR(o, 1), 3, 0.0),
            ArgumentError,
            "with_warmup needs start_factor to be above 0. Received: start_factor=0.0.",
        ),
    ],
)
def test_refusals(build: Any, kind: type[TilewrightError], message: str) -> None:
    with pytest.raises(kind) as error:
        build(made())
    assert str(error.value).startswith(message)
    assert "Received:" in str(error.value)


def test_momentum_needs_an_optimiser_that_has_some() -> None:
    class Plain(optim.SGD):
        def __init__(self, params: Any) -> None:
            super().__init__(params)
            del self.defaults["momentum"]

    optimizer = Plain([tw.zeros(1)])
    with pytest.raises(ArgumentError) as error:
        s.CyclicLR(optimizer, 0.1, 0.2)
    assert str(error.value) == (
        "CyclicLR needs an optimiser with momentum or betas to cycle the momentum. "
        "Received: optimizer='Plain'. Pass cycle_momentum=False."
    )
    s.CyclicLR(optimizer, 0.1, 0.2, cycle_momentum=False).step()
