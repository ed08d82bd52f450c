"""Lists and dicts of parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright import nn, optim
from tilewright.errors import ArgumentError, DtypeError, TilewrightError


def test_a_list_registers_what_it_is_given() -> None:
    own = nn.Parameter(tw.zeros(2))
    scales = nn.ParameterList([tw.ones(3), own, tw.tensor([1, 2]), 5, None])
    assert len(scales) == 5 and scales[1] is own and scales[-2] == 5 and scales[4] is None
    assert type(scales[0]) is nn.Parameter and scales[0].requires_grad
    assert type(scales[2]) is nn.Parameter and not scales[2].requires_grad
    assert [name for name, _ in scales.named_parameters()] == list(scales.state_dict()) == ["0", "1", "2"]
    assert [id(x) for x in scales] == [id(scales[n]) for n in range(5)]
    assert repr(scales) == (
        "ParameterList(\n"
        "    (0): Parameter containing: [float32 of size 3]\n"
        "    (1): Parameter containing: [float32 of size 2]\n"
        "    (2): Parameter containing: [int64 of size 2]\n"
        "    (3): Object of type: int\n"
        "    (4): Object of type: NoneType\n"
        ")"
    )
    assert repr(nn.ParameterList()) == "ParameterList()"


def test_a_list_grows_shrinks_and_changes() -> None:
    scales = nn.ParameterList()
    assert scales.append(tw.ones(1)) is scales
    scales += [tw.ones(2), tw.ones(3)]
    scales.extend(tw.ones(n) for n in (4, 5))
    assert [p.shape[0] for p in scales] == [1, 2, 3, 4, 5]
    assert type(scales[1:3]) is nn.ParameterList and scales[1:3][0] is scales[1]
    scales[0] = tw.zeros(9)
    scales[1] = "plain"
    assert scales[1] == "plain" and list(scales.state_dict()) == ["0", "2", "3", "4"]
    scales[1] = tw.zeros(2)
    # Only a parameter in a parameter's place stands where that stood.
    assert list(scales.state_dict()) == ["0", "2", "3", "4", "1"]
    assert scales.pop(1).shape == (2,) and [p.shape[0] for p in scales] == [9, 3, 4, 5]
    assert scales.pop().shape == (5,) and list(scales.state_dict()) == ["0", "1", "2"]


def test_a_dict_registers_what_it_is_given() -> None:
    own = nn.Parameter(tw.zeros(2, 3))
    scales = nn.ParameterDict({"a": own, "b": tw.ones(1), "note": "text"})
    assert scales["a"] is own and "b" in scales and len(scales) == 3 and list(scales) == ["a", "b", "note"]
    assert list(scales.state_dict()) == ["a", "b"] and list(scales.keys()) == ["a", "b", "note"]
    assert dict(scales.items())["note"] == "text" and len(list(scales.values())) == 3
    assert scales.get("c") is None and scales.get("c", 4) == 4 and scales.get("a") is own
    assert repr(scales) == (
        "ParameterDict(\n"
        "    (a): Parameter containing: [float32 of size 2x3]\n"
        "    (b): Parameter containing: [float32 of size 1]\n"
        "    (note): Object of type: str\n"
        ")"
    )
    scales["note"] = tw.zeros(4)
    scales.update([("c", tw.zeros(5))])
    scales.update(nn.ParameterDict({"d": tw.zeros(6)}))
    scales["a"] = tw.zeros(7)
    assert list(scales.state_dict()) == ["a", "b", "note", "c", "d"]
    del scales["b"]
    assert scales.pop("note").shape == (4,) and list(scales) == ["a", "c", "d"]
    scales.clear()
    assert len(scales) == 0 and not scales.state_dict() and repr(scales) == "ParameterDict()"


def test_they_are_trained_copied_and_converted_with_their_module() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scales = nn.ParameterList([tw.ones(2), tw.ones(2)])
            self.shifts = nn.ParameterDict({"end": tw.zeros(2)})

        def forward(self, x: Any) -> Any:
            for scale in self.scales:
                x = x * scale
            return x + self.shifts["end"]

    model = Scaled()
    assert [name for name, _ in model.named_parameters()] == ["scales.0", "scales.1", "shifts.end"]
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    model(tw.ones(2)).sum().backward()
    optimizer.step()
    assert model.scales[0].tolist() == [0.5, 0.5] and model.shifts["end"].tolist() == [-0.5, -0.5]
    twin = copy.deepcopy(model).double()
    assert twin.scales[1].dtype == np.float64 and model.scales[1].dtype == np.float32
    assert len(twin.scales) == 2 and list(twin.shifts) == ["end"]
    fresh = Scaled()
    assert fresh.load_state_dict(model.state_dict()) == ([], [])
    assert fresh(tw.ones(2)).equal(model(tw.ones(2)))


@pytest.mark.parametrize(
    ("act", "kind", "message"),
    [
        (
            lambda: nn.ParameterList([tw.ones(1)])[1],
            IndexError,
            "ParameterList needs an index from -1 to 0. Received: index=1.",
        ),
        (lambda: nn.ParameterList()[0], ArgumentError, "ParameterList is empty, so that no index is valid."),
        (
            lambda: nn.ParameterList([1])["0"],
            DtypeError,
            "ParameterList needs an integer or a slice as index. Received: index='0'.",
        ),
        (
            lambda: nn.ParameterList(tw.ones(3)),
            DtypeError,
            "ParameterList needs a list of parameters. Received: values with shape (3,) and dtype float32.",
        ),
        (
            lambda: nn.ParameterList(3),  # type: ignore[arg-type]
            DtypeError,
            "ParameterList needs a list of parameters. Received: values=3.",
        ),
        (
            lambda: nn.ParameterDict({"a": 1})["b"],
            KeyError,
            "ParameterDict needs one of its keys. Received: key='b'. The keys are 'a'.",
        ),
        (
            lambda: nn.ParameterDict().pop("b"),
            ArgumentError,
            "ParameterDict needs one of its keys. Received:",
        ),
        (
            lambda: nn.ParameterDict({"keys": tw.ones(1)}),
            ArgumentError,
            "ParameterDict already has an attribute of the name that is given to a parameter. "
            "Received: name='keys'.",
        ),
        (
            lambda: nn.ParameterDict({"a.b": tw.ones(1)}),
            ArgumentError,
            "ParameterDict needs the name of a parameter to be non-empty and without '.'.",
        ),
        (
            lambda: nn.ParameterDict({3: tw.ones(1)}),  # type: ignore[dict-item]
            DtypeError,
            "ParameterDict needs the name of a parameter to be text. Received: name=3.",
        ),
        (
            lambda: nn.ParameterDict(3),  # type: ignore[arg-type]
            DtypeError,
            "ParameterDict needs a mapping from names to parameters, or pairs of both. "
            "Received: parameters=3.",
        ),
    ],
)
def test_refusals(act: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as error:
        act()
    assert isinstance(error.value, TilewrightError)
    assert str(error.value).startswith(message)
