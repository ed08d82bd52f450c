"""SGD and RMSprop compiled against their formulas in NumPy: the same bits after many steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same
from op.test_passes import without_kernels

import tilewright as tw
from tilewright.kernel import jit
from tilewright.kernel.elementwise import steps

pytestmark = pytest.mark.skipif(not jit.available(), reason="nothing can be compiled here")

#: A matrix of more than 32 KiB, one in Fortran order, one with gaps, one of another dtype, and small ones.
SHAPES: dict[str, Any] = {
    "C order": lambda rng: rng.standard_normal((120, 81)).astype(np.float32),
    "again": lambda rng: rng.standard_normal((9000,)).astype(np.float32),
    "Fortran order": lambda rng: np.asfortranarray(rng.standard_normal((120, 81)).astype(np.float32)),
    "gaps": lambda rng: rng.standard_normal((120, 162)).astype(np.float32)[:, ::2],
    "float64": lambda rng: rng.standard_normal((120, 81)),
    "small": lambda rng: rng.standard_normal((7, 5)).astype(np.float32),
    "empty": lambda rng: np.zeros((0, 3), np.float32),
}
OPTIMISERS: dict[str, Any] = {
    "SGD": [
        {},
        {"weight_decay": 0.01, "maximize": True},
        {"momentum": 0.9},
        {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01},
        {"momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
    ],
    "RMSprop": [
        {},
        {"weight_decay": 0.01, "maximize": True},
        {"centered": True},
        {"momentum": 0.9},
        {"momentum": 0.9, "centered": True, "weight_decay": 0.1},
    ],
}
CASES = [(name, options) for name, every in OPTIMISERS.items() for options in every]


def after(name: str, options: Any) -> list[Any]:
    rng = np.random.default_rng(0)
    params = [tw.as_tensor(make(rng)).requires_grad_(True) for make in SHAPES.values()]
    optimizer = getattr(tw.optim, name)(params, lr=0.05, **options)
    for _ in range(6):
        for number, param in enumerate(params):
            gradient = rng.standard_normal(tuple(param.shape)).astype(param.dtype)
            # Also in another order than the parameter's.
            param.grad = tw.as_tensor(np.asfortranarray(gradient) if number == 0 else gradient)
        optimizer.step()
    kept = optimizer.state_dict()["state"].values()
    return [param.detach().numpy() for param in params] + [
        value for state in kept for value in state.values() if isinstance(value, np.ndarray)
    ]


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_the_same_bits_as_in_numpy(name: str, options: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for step in ("sgd_step", "rmsprop_step"):
        whole = getattr(steps, step)

        def counted(*given: Any, whole: Any = whole, step: str = step, **named: Any) -> None:
            calls.append(step)
            whole(*given, **named)

        monkeypatch.setattr(steps, step, counted)
    found = after(name, options)
    # The one in Fortran order meets a gradient in C order, the first one the other way round.
    assert set(calls) == {f"{name.lower()}_step"} and len(calls) == 12, "two of them"
    calls.clear()
    wanted = without_kernels(monkeypatch, lambda: after(name, options))
    assert not calls
    for one, other in zip(found, wanted, strict=True):
        assert_same(one, other, rtol=0, atol=0, reason="each operation is rounded on its own, as in NumPy")


def test_the_momentum_is_laid_out_as_its_parameter_is() -> None:
    rng = np.random.default_rng(1)
    param = tw.as_tensor(SHAPES["Fortran order"](rng)).requires_grad_(True)
    optimizer = tw.optim.SGD([param], lr=0.1, momentum=0.9)
    param.grad = tw.as_tensor(rng.standard_normal((120, 81)).astype(np.float32))
    optimizer.step()
    assert optimizer.state[param]["momentum_buffer"].flags.f_contiguous
