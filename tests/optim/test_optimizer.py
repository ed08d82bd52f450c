"""Groups, saving and continuing, closures, memory, and refusals."""

from __future__ import annotations

import copy
import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
from tilewright import nn, optim
from tilewright.errors import ArgumentError, DtypeError, StateError

KINDS = [
    lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3),
    lambda p: optim.SGD(p, lr=0.1),
    lambda p: optim.Adam(p, lr=0.05, weight_decay=1e-3),
    lambda p: optim.Adam(p, lr=0.05, amsgrad=True),
    lambda p: optim.AdamW(p, lr=0.05, weight_decay=0.1),
    lambda p: optim.RMSprop(p, lr=0.05),
    lambda p: optim.RMSprop(p, lr=0.05, momentum=0.9, centered=True, weight_decay=1e-3),
]


def made() -> list[tw.Tensor]:
    numbers = np.random.default_rng(0)
    return [
        tw.tensor(numbers.standard_normal(s).astype(np.float32), requires_grad=True) for s in ((3, 2), (4,))
    ]


def run(optimizer: Any, params: list[tw.Tensor], steps: int, seed: int) -> None:
    numbers = np.random.default_rng(seed)
    for _ in range(steps):
        for p in params:
            p.grad = tw.tensor(numbers.standard_normal(p.shape).astype(np.float32))
        optimizer.step()


@pytest.mark.parametrize("build", KINDS)
def test_a_saved_state_continues_bit_for_bit(build: Any) -> None:
    params = made()
    optimizer = build(params)
    run(optimizer, params, 3, seed=1)
    saved = optimizer.state_dict()
    values = [p.detach().numpy().copy() for p in params]
    run(optimizer, params, 3, seed=2)

    again = made()
    other = build(again)
    for p, value in zip(again, values, strict=True):
        p.data = tw.tensor(value)
    other.load_state_dict(saved)
    run(other, again, 3, seed=2)
    for p, q in zip(params, again, strict=True):
        assert np.array_equal(p.detach().numpy(), q.detach().numpy())
    # What was saved are copies, and loading copied them again.
    assert all(kept.get("step", 3) == 3 for kept in saved["state"].values())
    fresh = build(made())
    fresh.load_state_dict(saved)
    assert same(fresh.state_dict(), saved)


def same(one: Any, two: Any) -> bool:
    if isinstance(one, dict):
        return list(one) == list(two) and all(same(one[key], two[key]) for key in one)
    return bool(np.array_equal(one, two))


@pytest.mark.parametrize("build", KINDS)
def test_a_state_is_plain(build: Any) -> None:
    params = made()
    optimizer = build(params)
    run(optimizer, params, 1, seed=1)
    state = optimizer.state_dict()
    assert set(state) == {"state", "param_groups"}
    json.dumps(state["param_groups"])
    for kept in state["state"].values():
        for value in kept.values():
            assert type(value) in (int, float, np.ndarray)
    # Text for keys and arrays without axes, as files may hold them.
    through_a_file = {
        "state": {
            str(number): {name: np.asarray(value) for name, value in kept.items()}
            for number, kept in state["state"].items()
        },
        "param_groups": json.loads(json.dumps(state["param_groups"])),
    }
    other = build(made())
    other.load_state_dict(through_a_file)
    assert same(other.state_dict(), state)


def test_options_come_with_the_state() -> None:
    optimizer = optim.SGD(made(), lr=0.1, momentum=0.9)
    optimizer.param_groups[0]["lr"] = np.float64(0.025)
    other = optim.SGD(made(), lr=1.0)
    other.load_state_dict(optimizer.state_dict())
    assert other.param_groups[0]["lr"] == 0.025 and type(other.param_groups[0]["lr"]) is float
    assert other.param_groups[0]["momentum"] == 0.9


def test_a_learning_rate_of_numpy_keeps_float32_arithmetic() -> None:
    results = []
    for lr in (0.1, np.float64(0.1)):
        params = made()
        optimizer = optim.Adam(params, lr=0.1)
        optimizer.param_groups[0]["lr"] = lr
        run(optimizer, params, 3, seed=4)
        results.append([p.detach().numpy() for p in params])
    for one, two in zip(*results, strict=True):
        assert one.dtype == np.float32 and np.array_equal(one, two)


@pytest.mark.parametrize("build", KINDS)
def test_a_copy_of_model_and_optimiser_goes_its_own_way(build: Any) -> None:
    params = made()
    optimizer = build(params)
    run(optimizer, params, 2, seed=1)
    twin_params, twin = copy.deepcopy((params, optimizer))
    run(optimizer, params, 2, seed=2)
    run(twin, twin_params, 2, seed=2)
    for p, q in zip(params, twin_params, strict=True):
        assert p is not q and np.array_equal(p.detach().numpy(), q.detach().numpy())


def test_gradients_are_forgotten_or_zeroed() -> None:
    params = made()
    optimizer = optim.SGD(params, lr=0.1)
    run(optimizer, params, 1, seed=0)
    optimizer.zero_grad(set_to_none=False)
    assert all(p.grad is not None and not p.grad.numpy().any() for p in params)
    optimizer.zero_grad()
    assert all(p.grad is None for p in params)
    before = [p.detach().numpy().copy() for p in params]
    optimizer.step()
    assert all(np.array_equal(p.detach().numpy(), old) for p, old in zip(params, before, strict=True))


@pytest.mark.parametrize("build", KINDS)
def test_gradients_stay_as_they_are(build: Any) -> None:
    params = made()
    optimizer = build(params)
    for p in params:
        p.grad = tw.tensor(np.ones(p.shape, np.float32))
        p.grad.numpy().flags.writeable = False
    for _ in range(3):
        optimizer.step()
    assert all((p.grad.numpy() == 1).all() for p in params)


def test_a_closure_runs_first_with_the_tape_on() -> None:
    x = tw.tensor([3.0], requires_grad=True)
    optimizer = optim.SGD([x], lr=0.25)

    def closure() -> tw.Tensor:
        optimizer.zero_grad()
        loss = (x * x).sum()
        loss.backward()
        return loss

    with tw.no_grad():
        loss = optimizer.step(closure)
    assert loss.item() == 9 and x.item() == 1.5
    assert optimizer.step() is None


def test_a_backward_notices_a_step() -> None:
    x = tw.tensor([3.0], requires_grad=True)
    y = x * x
    x.grad = tw.tensor([1.0])
    optim.SGD([x], lr=0.25).step()
    with pytest.raises(StateError, match="changed in place"):
        y.backward()


def test_groups_can_be_added() -> None:
    a, b = made()
    optimizer = optim.SGD([a], lr=0.1)
    optimizer.add_param_group({"params": b, "lr": 0.5})
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.5]
    assert optimizer.state_dict()["param_groups"][1]["params"] == [1]


@pytest.mark.parametrize("build", KINDS)
def test_a_step_makes_no_large_arrays(build: Any) -> None:
    values = 1_000_000
    params = [tw.tensor(np.ones(values, np.float32), requires_grad=True) for _ in range(2)]
    for p in params:
        p.grad = tw.tensor(np.ones(values, np.float32))
    optimizer = build(params)
    optimizer.step()  # makes its memory once
    tracemalloc.start()
    for _ in range(3):
        optimizer.step()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # NumPy's own buffers are 64 KiB; one array of these would be 4 MB.
    assert peak < 200_000


def test_views_and_strided_parameters_are_updated_where_they_lie() -> None:
    base = np.zeros((4, 6), np.float32)
    x = tw.from_numpy(base[::2, ::-2]).requires_grad_()
    optimizer = optim.Adam([x], lr=1.0)
    x.grad = tw.tensor(np.ones(x.shape, np.float32))
    optimizer.step()
    # The first step of Adam is −lr times the gradient's sign.
    expected = np.zeros((4, 6), np.float32)
    expected[::2, ::-2] = -1
    assert_same(base, expected, rtol=1e-6, atol=0, reason="eps, and a few roundings of float32")


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (lambda: optim.SGD([]), ArgumentError, "SGD needs at least one parameter. Received: params=[]."),
        (
            lambda: optim.SGD(tw.zeros(2)),
            DtypeError,
            "SGD needs an iterable of Tensors or of groups. Received: params "
            "with shape (2,) and dtype float32. "
            "Pass model.parameters(), or a list.",
        ),
        (
            lambda: optim.Adam(3),
            DtypeError,
            "Adam needs an iterable of Tensors or of groups. Received: params=3.",
        ),
        (
            lambda: optim.SGD([np.zeros(2)]),
            DtypeError,
            "SGD optimises Tensors. Received: parameter with shape (2,)",
        ),
        (
            lambda: optim.SGD([tw.zeros(2, dtype=tw.int64)]),
            DtypeError,
            "SGD optimises floating Tensors that were made, not calculated. "
            "Received: parameter with shape (2,) "
            "and dtype int64.",
        ),
        (
            lambda: optim.SGD([tw.zeros(2, requires_grad=True) * 2]),
            DtypeError,
            "SGD optimises floating Tensors that were made, not calculated. "
            "Received: parameter with shape (2,) "
            "and dtype float32. Detach it: x.detach().requires_grad_().",
        ),
        (
            lambda: optim.SGD([{"parameters": []}]),
            DtypeError,
            "SGD needs each group to be a dict with its Tensors",
        ),
        (
            lambda: optim.SGD([{"params": [tw.zeros(1)]}, [tw.zeros(1)]]),
            DtypeError,
            "SGD needs each group to be a dict with its Tensors under 'params'.",
        ),
        (
            lambda: optim.SGD([{"params": tw.zeros(1), "beta": 1}]),
            ArgumentError,
            "SGD has the options lr, momentum, dampening, weight_decay, nesterov, maximize. "
            "Received: a group with beta.",
        ),
        (
            lambda: optim.SGD([tw.zeros(1)], lr=-1),
            ArgumentError,
            "SGD needs lr to be a finite number, at least 0. Received: lr=-1.",
        ),
        (
            lambda: optim.SGD([tw.zeros(1)], lr=float("nan")),
            ArgumentError,
            "SGD needs lr to be a finite number",
        ),
        (lambda: optim.SGD([tw.zeros(1)], momentum=-0.1), ArgumentError, "SGD needs momentum to be a finite"),
        (
            lambda: optim.SGD([tw.zeros(1)], weight_decay="1"),
            ArgumentError,
            "SGD needs weight_decay to be a finite",
        ),
        (
            lambda: optim.SGD([tw.zeros(1)], dampening=float("inf")),
            ArgumentError,
            "SGD needs dampening to be a finite number. Received: dampening=inf.",
        ),
        (
            lambda: optim.SGD([tw.zeros(1)], nesterov=True),
            ArgumentError,
            "SGD needs momentum above 0 and no dampening for nesterov. Received: momentum=0, dampening=0.",
        ),
        (
            lambda: optim.SGD([{"params": tw.zeros(1), "lr": -2}]),
            ArgumentError,
            "SGD needs lr to be a finite number, at least 0. Received: lr=-2.",
        ),
        (
            lambda: optim.Adam([tw.zeros(1)], betas=(0.9, 1.0)),
            ArgumentError,
            "Adam needs betas to be a finite number, at least 0 and below 1. Received: betas=1.0.",
        ),
        (
            lambda: optim.Adam([tw.zeros(1)], betas=0.9),
            ArgumentError,
            "Adam needs betas to be two numbers. Received: betas=0.9.",
        ),
        (lambda: optim.Adam([tw.zeros(1)], eps=-1e-8), ArgumentError, "Adam needs eps to be a finite number"),
        (
            lambda: optim.AdamW([tw.zeros(1)], weight_decay=-1),
            ArgumentError,
            "AdamW needs weight_decay to be a finite number, at least 0. Received: weight_decay=-1.",
        ),
        (
            lambda: optim.AdamW([tw.zeros(1)], betas=(0.9,)),
            ArgumentError,
            "AdamW needs betas to be two numbers. Received: betas=(0.9,).",
        ),
        (
            lambda: optim.RMSprop([tw.zeros(1)], alpha=-0.5),
            ArgumentError,
            "RMSprop needs alpha to be a finite number, at least 0. Received: alpha=-0.5.",
        ),
        (
            lambda: optim.RMSprop([{"params": tw.zeros(1), "initial_lr": "x"}]),
            ArgumentError,
            "RMSprop needs initial_lr to be a finite number, at least 0. Received: initial_lr='x'.",
        ),
    ],
)
def test_refusals(build: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as error:
        build()
    assert str(error.value).startswith(message)


def test_a_parameter_comes_once() -> None:
    x = tw.zeros(2)
    for params in ([x, x], [{"params": [x]}, {"params": [x]}]):
        with pytest.raises(ArgumentError) as error:
            optim.SGD(params)
        assert str(error.value).startswith(
            "SGD needs each parameter once. Received: parameter with shape (2,)"
        )


def test_a_parameter_must_be_writable() -> None:
    array = np.zeros(3, np.float32)
    array.flags.writeable = False
    with pytest.raises(DtypeError) as error:
        optim.SGD([tw.from_numpy(array)])
    assert str(error.value) == (
        "SGD optimises Tensors whose memory may be written to. Received: parameter with shape (3,) and dtype "
        "float32. Copy it: x.clone()."
    )


def test_the_first_steps_of_rmsprop_by_hand() -> None:
    # g = 2: v = 0.75·0 + 0.25·4 = 1, a = 0.25·2 = 0.5; then v = 0.75·1 + 0.25·4 = 1.75.
    x = tw.tensor([10.0], dtype=tw.float64, requires_grad=True)
    optimizer = optim.RMSprop([x], lr=0.5, alpha=0.75, eps=0.0)
    for expected in (10 - 0.5 * 2 / 1, 9 - 0.5 * 2 / 1.75**0.5):
        x.grad = tw.tensor([2.0], dtype=tw.float64)
        optimizer.step()
        assert_same(
            x.detach().numpy(), [expected], rtol=1e-15, atol=0, reason="a square root and a quotient, float64"
        )
    y = tw.tensor([10.0], dtype=tw.float64, requires_grad=True)
    y.grad = tw.tensor([2.0], dtype=tw.float64)
    optim.RMSprop([y], lr=0.5, alpha=0.75, eps=0.0, centered=True).step()
    expected = 10 - 0.5 * 2 / (1 - 0.25) ** 0.5
    assert_same(y.detach().numpy(), [expected], rtol=1e-15, atol=0, reason="a root and a quotient, float64")


def test_decay_of_adamw_goes_past_the_moments() -> None:
    x = tw.tensor([2.0], dtype=tw.float64, requires_grad=True)
    optimizer = optim.AdamW([x], lr=0.25, weight_decay=0.5, eps=0.0)
    x.grad = tw.tensor([3.0], dtype=tw.float64)
    optimizer.step()
    # 2 − 0.25·0.5·2 = 1.75, and Adam's first step is lr by the gradient's sign.
    assert_same(x.detach().numpy(), [1.5], rtol=1e-15, atol=0, reason="one rounding of Adam's quotient")
    kept = optimizer.state_dict()["state"][0]
    assert_same(kept["exp_avg"], [3.0 * (1 - 0.9)], rtol=1e-15, atol=0, reason="one product")


def test_a_variance_that_rounds_below_zero_gives_no_nan() -> None:
    x = tw.tensor(np.zeros(1000, np.float32), requires_grad=True)
    optimizer = optim.RMSprop([x], lr=0.01, alpha=0.5, centered=True)
    gradient = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    for _ in range(60):
        x.grad = tw.tensor(gradient)
        optimizer.step()
    kept = optimizer.state_dict()["state"][0]
    assert (kept["square_avg"] < kept["grad_avg"] ** 2).any()
    assert np.isfinite(x.detach().numpy()).all()


@pytest.mark.parametrize("build", KINDS)
def test_infinite_gradients_come_through_without_a_warning(build: Any) -> None:
    params = made()
    optimizer = build(params)
    for value in (np.inf, -np.inf, np.nan):
        for p in params:
            p.grad = tw.tensor(np.full(p.shape, value, np.float32))
        optimizer.step()
    assert all(np.isnan(p.detach().numpy()).all() for p in params)


@pytest.mark.parametrize("build", KINDS)
def test_parameters_without_elements_are_passed_over(build: Any) -> None:
    x = tw.tensor(np.zeros((0, 3), np.float32), requires_grad=True)
    optimizer = build([x])
    x.grad = tw.tensor(np.zeros((0, 3), np.float32))
    optimizer.step()
    other = build([tw.tensor(np.zeros((0, 3), np.float32))])
    other.load_state_dict(optimizer.state_dict())
    assert same(other.state_dict(), optimizer.state_dict())


def test_the_rate_a_schedule_began_with_is_kept_with_the_state() -> None:
    optimizer = optim.SGD([{"params": made(), "initial_lr": 0.5}], lr=0.1)
    other = optim.SGD(made(), lr=0.1)
    other.load_state_dict(optimizer.state_dict())
    assert other.param_groups[0]["initial_lr"] == 0.5
    state = optimizer.state_dict()
    state["param_groups"][0]["initial_lr"] = -1
    with pytest.raises(ArgumentError, match="SGD needs initial_lr to be a finite number, at least 0"):
        other.load_state_dict(state)
    assert other.param_groups[0]["initial_lr"] == 0.5


def broken(change: Any) -> tuple[optim.Optimizer, Any]:
    params = made()
    optimizer = optim.Adam(params, lr=0.1)
    run(optimizer, params, 1, seed=0)
    state = optimizer.state_dict()
    return optimizer, change(state) or state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: 3,
            "Adam.load_state_dict needs a dict with a dict under 'state' and a list under 'param_groups'.",
        ),
        (
            lambda s: {"state": {}},
            "Adam.load_state_dict needs a dict with a dict under 'state' and a list under",
        ),
        (lambda s: s.update(state=[]), "Adam.load_state_dict needs a dict with a dict under 'state'"),
        (
            lambda s: s.update(param_groups=[3]),
            "Adam.load_state_dict needs each group to be a dict with a list "
            "under 'params'. Received: group=3.",
        ),
        (
            lambda s: s["param_groups"][0].update(params=[0]),
            "Adam.load_state_dict needs groups of as many parameters as it "
            "has: [2]. Received: groups of [1].",
        ),
        (
            lambda s: s["param_groups"][0].update(params=[0, 0]),
            "Adam.load_state_dict needs a number of its own for each parameter. Received: numbers=[0, 0].",
        ),
        (
            lambda s: s["param_groups"][0].update(params=[0, "1"]),
            "Adam.load_state_dict needs the number of a parameter to be an integer.",
        ),
        (lambda s: s["param_groups"][0].update(lr=-1), "Adam needs lr to be a finite number, at least 0."),
        (
            lambda s: s["state"].update({7: {}}),
            "Adam.load_state_dict needs a state per number of a parameter. Received: number=7.",
        ),
        (
            lambda s: s["state"][0].__delitem__("exp_avg"),
            "Adam.load_state_dict needs for each parameter step, exp_avg, "
            "exp_avg_sq, perhaps max_exp_avg_sq. "
            "Received: "
            "exp_avg_sq, step for parameter 0. A state belongs to the kind of optimiser that made it.",
        ),
        (
            lambda s: s["state"].update({0: {"momentum_buffer": np.zeros((3, 2))}}),
            "Adam.load_state_dict needs for each parameter step, exp_avg, "
            "exp_avg_sq, perhaps max_exp_avg_sq. "
            "Received: "
            "momentum_buffer for parameter 0.",
        ),
        (
            lambda s: s["state"][1].update(exp_avg=np.zeros(5)),
            "Adam.load_state_dict needs exp_avg of parameter 1 as floating numbers of shape (4,). Received: "
            "exp_avg with shape (5,) and dtype float64.",
        ),
        (
            lambda s: s["state"][1].update(exp_avg=np.zeros(4, np.int64)),
            "Adam.load_state_dict needs exp_avg of parameter 1 as floating numbers",
        ),
        (
            lambda s: s["state"][1].update(exp_avg=0.0),
            "Adam.load_state_dict needs exp_avg of parameter 1 as an array. Received: exp_avg=0.0.",
        ),
        (
            lambda s: s["state"][1].update(step=-1),
            "Adam.load_state_dict needs step of parameter 1 to be at least 0.",
        ),
        (
            lambda s: s["state"][1].update(step=1.5),
            "Adam.load_state_dict needs step of parameter 1 to be an integer.",
        ),
    ],
)
def test_a_foreign_state_is_refused_and_changes_nothing(change: Any, message: str) -> None:
    optimizer, state = broken(change)
    before = optimizer.state_dict()
    with pytest.raises(ArgumentError) as error:
        optimizer.load_state_dict(state)
    assert str(error.value).startswith(message)
    assert same(optimizer.state_dict(), before)


def test_it_trains_a_model() -> None:
    tw.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
    x = tw.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    target = tw.tensor([[0.0], [1.0], [1.0], [0.0]])  # exclusive or
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        loss = nn.MSELoss()(model(x), target)
        loss.backward()
        optimizer.step()
    assert loss.item() < 1e-2


@pytest.mark.parametrize("params", [3, "weights", None, {1.0}, np.zeros(2)])
def test_the_parameters_of_a_group_come_in_an_order(params: Any) -> None:
    with pytest.raises(DtypeError) as error:
        optim.SGD([{"params": params}])
    assert str(error.value).startswith(
        "SGD needs the Tensors of a group in an order, as a list or an iterator. Received: params"
    )
    with pytest.raises(
        DtypeError, match=r"^SGD needs an iterable of Tensors or of groups. Received: params="
    ):
        optim.SGD({tw.zeros(2)})
