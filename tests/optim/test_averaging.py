"""The average of weights: by hand, beside PyTorch's, swapped in and out, saved, and refusals."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
from tilewright import nn, optim
from tilewright.errors import ArgumentError, DtypeError, ShapeError, StateError, TilewrightError
from tilewright.optim import ExponentialMovingAverage


def model_of(seed: int = 0) -> nn.Sequential:
    tw.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))


def values(model: nn.Module) -> list[np.ndarray[Any, Any]]:
    return [tensor.detach().numpy().copy() for tensor in model.state_dict().values()]


def shake(model: nn.Module, seed: int) -> None:
    numbers = np.random.default_rng(seed)
    for parameter in model.parameters():
        parameter.data = tw.tensor(numbers.standard_normal(parameter.shape).astype(np.float32))


def same(one: list[Any], two: list[Any]) -> bool:
    return all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(one, two, strict=True))


def test_by_hand() -> None:
    model = nn.Linear(1, 1, bias=False)
    average = ExponentialMovingAverage(model, 0.75)
    for number, expected in ((8.0, 8.0), (4.0, 7.0), (4.0, 6.25), (0.0, 4.6875)):
        model.weight.data = tw.tensor([[number]])
        average.update()
        assert average.state_dict()["average"]["weight"].item() == expected
        assert model.weight.item() == number
    assert average.updates == 4


def test_warm_up_shortens_the_memory() -> None:
    model = nn.Linear(1, 1, bias=False)
    average = ExponentialMovingAverage(model, 0.999, warmup=True)
    expected = 0.0
    for step, number in enumerate((4.0, 8.0, 1.0)):
        model.weight.data = tw.tensor([[number]])
        average.update()
        decay = (1 + step) / (10 + step)
        expected = number if step == 0 else decay * expected + (1 - decay) * number
    found = average.state_dict()["average"]["weight"]
    assert_same(found, np.float32([[expected]]), rtol=1e-6, atol=0, reason="two float32 roundings a step")


def test_beside_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch, to compare with")
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    ours, theirs = nn.Linear(5, 4), torch.nn.Linear(5, 4)
    mine = ExponentialMovingAverage(ours, 0.9)
    its = AveragedModel(theirs, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    numbers = np.random.default_rng(0)
    for _ in range(50):
        for name in ("weight", "bias"):
            drawn = numbers.standard_normal(getattr(ours, name).shape).astype(np.float32)
            getattr(ours, name).data = tw.tensor(drawn)
            getattr(theirs, name).data = torch.tensor(drawn)
        mine.update()
        its.update_parameters(theirs)
    with mine.applied():
        for name in ("weight", "bias"):
            found, wanted = getattr(ours, name), getattr(its.module, name)
            assert_same(found, wanted, rtol=2e-6, atol=2e-6, reason="a few float32 roundings in each step")


def test_the_averages_stand_in_and_the_weights_come_back_to_the_bit() -> None:
    model = model_of()
    average = ExponentialMovingAverage(model, 0.5)
    first = values(model)
    average.update()
    shake(model, 1)
    average.update()
    weights = values(model)
    # Buffers are no parameters: what batch norm has seen stays.
    model(tw.ones(4, 1, 4, 4) * 3)
    seen = values(model)
    names = list(model.state_dict())
    with average.applied():
        for name, a, b, now in zip(names, first, weights, values(model), strict=True):
            if "running" not in name and "num_batches" not in name:
                assert_same(now, 0.5 * a + 0.5 * b, rtol=1e-6, atol=1e-7, reason="two float32 roundings")
    assert same(values(model), seen)
    with pytest.raises(ZeroDivisionError), average.applied():
        raise ZeroDivisionError
    assert same(values(model), seen)
    average.update()


def test_a_backward_notices_the_swap() -> None:
    model = nn.Linear(2, 1)
    average = ExponentialMovingAverage(model)
    average.update()
    loss = model(tw.ones(1, 2, requires_grad=True)).sum()
    with average.applied():
        pass
    with pytest.raises(StateError, match="changed in place"):
        loss.backward()


def test_a_saved_average_goes_on_to_the_bit() -> None:
    model = model_of()
    average = ExponentialMovingAverage(model, 0.8, warmup=True)
    for seed in range(3):
        shake(model, seed)
        average.update()
    state = average.state_dict()
    held = copy.deepcopy(state)
    other_model = model_of(1)
    other = ExponentialMovingAverage(other_model, 0.1)
    other.load_state_dict(state)
    for seed in range(3, 6):
        shake(model, seed)
        shake(other_model, seed)
        average.update()
        other.update()
    assert other.decay == 0.8 and other.warmup and other.updates == 6
    for name, array in average.state_dict()["average"].items():
        assert np.array_equal(other.state_dict()["average"][name], array)
        # What was saved are copies, and loading copied them again.
        assert np.array_equal(state["average"][name], held["average"][name])


def test_half_precision_is_averaged_in_float32() -> None:
    model = nn.Linear(3, 2, dtype=tw.float16)
    average = ExponentialMovingAverage(model, 0.9999)
    average.update()
    start = model.weight.detach().numpy().astype(np.float32)
    model.weight.data = model.weight.detach() + 1
    for _ in range(100):
        average.update()
    found = average.state_dict()["average"]["weight"]
    assert found.dtype == np.float32
    moved = model.weight.detach().numpy().astype(np.float32) - start
    expected = start + moved * np.float32(1 - 0.9999**100)
    assert_same(found, expected, rtol=1e-4, atol=1e-5, reason="100 roundings of float32 at about 1")
    with average.applied():
        assert model.weight.dtype == tw.float16


def test_the_model_may_change_its_dtype_and_layout() -> None:
    model = nn.Conv2d(2, 3, 3)
    average = ExponentialMovingAverage(model, 0.5)
    model.double()
    model.weight.data = tw.from_numpy(np.zeros((3, 3, 3, 2)).transpose(0, 3, 1, 2))
    average.update()
    before = model.weight.detach().numpy().copy()
    with average.applied():
        assert model.weight.dtype == tw.float64
    assert np.array_equal(model.weight.detach().numpy(), before)


def other_parameters() -> None:
    model = nn.Linear(2, 2)
    average = ExponentialMovingAverage(model)
    model.more = nn.Parameter(tw.zeros(1))
    average.update()


def other_shape() -> None:
    model = nn.Linear(2, 2)
    average = ExponentialMovingAverage(model)
    model.weight = nn.Parameter(tw.zeros(3, 2))
    average.update()


def inside(call: str) -> None:
    average = ExponentialMovingAverage(nn.Linear(2, 2))
    with average.applied():
        if call == "update":
            average.update()
        else:
            with average.applied():
                pass


def loaded(change: Any) -> None:
    average = ExponentialMovingAverage(nn.Linear(2, 3))
    before = average.state_dict()
    state = average.state_dict()
    try:
        average.load_state_dict(change(state) or state)
    finally:
        after = average.state_dict()
        assert {k: v for k, v in after.items() if k != "average"} == {
            k: v for k, v in before.items() if k != "average"
        }
        assert all(np.array_equal(after["average"][k], v) for k, v in before["average"].items())


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (
            lambda: ExponentialMovingAverage(3),
            DtypeError,
            "ExponentialMovingAverage needs a model. Received: model=3.",
        ),
        (
            lambda: ExponentialMovingAverage(nn.ReLU()),
            DtypeError,
            "ExponentialMovingAverage needs a model with parameters. Received: a ReLU without any.",
        ),
        (
            lambda: ExponentialMovingAverage(nn.Linear(1, 1), 1.5),
            ArgumentError,
            "ExponentialMovingAverage needs decay to be a finite number, at least 0 and at most 1. "
            "Received: decay=1.5.",
        ),
        (
            other_parameters,
            StateError,
            "ExponentialMovingAverage needs the model to keep the parameters that it had. "
            "Received: 3 parameters instead of 2, or others.",
        ),
        (
            other_shape,
            ShapeError,
            "ExponentialMovingAverage needs weight to keep its shape (2, 2). "
            "Received: weight with shape (3, 2) and dtype float32.",
        ),
        (
            lambda: inside("update"),
            StateError,
            "ExponentialMovingAverage.update needs the model's own weights. "
            "Received: a call inside applied(), where the averages stand in for them.",
        ),
        (
            lambda: inside("applied"),
            StateError,
            "ExponentialMovingAverage.applied needs the model's own weights.",
        ),
        (
            lambda: loaded(lambda state: 3),
            ArgumentError,
            "ExponentialMovingAverage.load_state_dict needs a dict with decay, warmup, updates, average. "
            "Received: state_dict=3.",
        ),
        (
            lambda: loaded(lambda state: state.update(decay="x")),
            ArgumentError,
            "ExponentialMovingAverage.load_state_dict needs decay to be a finite number",
        ),
        (
            lambda: loaded(lambda state: state.update(updates=-1)),
            ArgumentError,
            "ExponentialMovingAverage.load_state_dict needs updates to be at least 0. Received: updates=-1.",
        ),
        (
            lambda: loaded(lambda state: state.update(warmup=2)),
            ArgumentError,
            "ExponentialMovingAverage.load_state_dict needs warmup to be a truth. Received: warmup=2.",
        ),
        (
            lambda: loaded(lambda state: state["average"].__delitem__("bias")),
            ArgumentError,
            "ExponentialMovingAverage.load_state_dict needs an average for each of 2 parameters and nothing "
            "else. Received: average=['weight'].",
        ),
        (
            lambda: loaded(lambda state: state["average"].update(bias=np.zeros(4, np.float32))),
            ArgumentError,
            "ExponentialMovingAverage.load_state_dict needs the average of bias with shape (3,) and dtype "
            "float32. Received: bias with shape (4,) and dtype float32.",
        ),
        (
            lambda: loaded(lambda state: state["average"].update(bias="abc")),
            ArgumentError,
            "ExponentialMovingAverage.load_state_dict needs the average of bias",
        ),
    ],
)
def test_refusals(build: Any, kind: type[TilewrightError], message: str) -> None:
    with pytest.raises(kind) as error:
        build()
    assert str(error.value).startswith(message)


def test_it_steadies_a_noisy_training() -> None:
    tw.manual_seed(0)
    numbers = np.random.default_rng(0)
    model = nn.Linear(4, 1)
    truth = np.array([[1.0], [-2.0], [0.5], [3.0]], np.float32)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    average = ExponentialMovingAverage(model, 0.98)
    for _ in range(400):
        x = numbers.standard_normal((4, 4)).astype(np.float32)
        noisy = x @ truth + numbers.standard_normal((4, 1)).astype(np.float32)
        optimizer.zero_grad()
        nn.MSELoss()(model(tw.tensor(x)), tw.tensor(noisy)).backward()
        optimizer.step()
        average.update()
    last = np.abs(model.weight.detach().numpy() - truth.T).max()
    with average.applied():
        averaged = np.abs(model.weight.detach().numpy() - truth.T).max()
    assert averaged < last
