"""Adam's compiled step against its steps in NumPy: the same bits, whatever the options and the layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
from tilewright.kernel import jit
from tilewright.kernel.elementwise import steps
from tilewright.plan import compiled

pytestmark = pytest.mark.skipif(not jit.available(), reason="nothing can be compiled here")

EXACT = {"rtol": 0, "atol": 0, "reason": "each operation is rounded on its own"}
LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "C order": lambda x: x,
    "transposed": lambda x: x.T.copy().T,
    "every second": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
}


def trained(kind: Any, options: dict[str, Any], dtype: Any, layout: str) -> list[Any]:
    """The parameter and what is remembered of it, after four steps."""
    rng = np.random.default_rng(1)
    start, gradients = (rng.standard_normal(shape).astype(dtype) for shape in ((40, 51), (4, 40, 51)))
    parameter = tw.nn.Parameter(tw.tensor(start))
    parameter._data = LAYOUTS[layout](start)
    optimizer = kind([parameter], lr=0.01, **options)
    for g in gradients:
        parameter.grad = tw.tensor(g)
        optimizer.step()
    state = optimizer.state[parameter]
    return [parameter._data, *(state[name] for name in sorted(state) if name != "step")]


@pytest.mark.parametrize("layout", list(LAYOUTS))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weight_decay": 0.1},
        {"amsgrad": True, "maximize": True},
        {"betas": (0.0, 0.5), "eps": 0.0, "weight_decay": 0.01, "amsgrad": True},
    ],
)
@pytest.mark.parametrize("kind", [tw.optim.Adam, tw.optim.AdamW])
def test_the_same_bits_as_in_numpy(
    kind: Any, options: dict[str, Any], dtype: Any, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    whole = steps.adam_step
    monkeypatch.setattr(steps, "adam_step", lambda *given, **named: (taken.append(1), whole(*given, **named)))
    found = trained(kind, options, dtype, layout)
    # Only where all arrays lie alike: the gradients here are in C order.
    assert len(taken) == (4 if layout == "C order" else 0)
    monkeypatch.setattr(compiled, "serves", lambda dtype: False)
    for one, two in zip(found, trained(kind, options, dtype, layout), strict=True):
        assert_same(one, two, **EXACT)
    assert len(taken) == (4 if layout == "C order" else 0)


def test_float16_is_for_numpy() -> None:
    parameter = tw.nn.Parameter(tw.tensor(np.ones((3, 4), np.float16)))
    parameter.grad = tw.tensor(np.ones((3, 4), np.float16))
    tw.optim.Adam([parameter], lr=0.1).step()
    assert_same(parameter._data, np.full((3, 4), 0.9, np.float16), rtol=2e-3, atol=0, reason="float16")
