"""Modules that hold modules."""

from __future__ import annotations

import operator
from collections import OrderedDict
from typing import Any

import pytest

import tilewright as tw
from tilewright import nn
from tilewright.errors import ArgumentError, DtypeError


def three() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 4))


def test_sequential_runs_in_order() -> None:
    model = three()
    x = tw.randn(5, 2)
    expected = model[2](model[1](model[0](x)))
    assert model(x).equal(expected)
    assert nn.Sequential()(x) is x


def test_sequential_by_number_name_and_slice() -> None:
    model = three()
    assert len(model) == 3 and list(model) == [model[0], model[1], model[2]]
    assert model[-1] is model[2]
    part = model[1:]
    assert type(part) is nn.Sequential and part[0] is model[1] and list(part._modules) == ["1", "2"]
    named = nn.Sequential(OrderedDict(conv=nn.Conv1d(1, 1, 1), act=nn.Tanh()))
    assert named.conv is named[0] and list(named.state_dict()) == ["conv.weight", "conv.bias"]
    assert list(named[:1]._modules) == ["conv"]


def test_sequential_grows_shrinks_and_changes() -> None:
    model = three()
    assert model.append(nn.Tanh()) is model and isinstance(model[3], nn.Tanh)
    model.insert(1, nn.Sigmoid())
    assert [type(m).__name__ for m in model] == ["Linear", "Sigmoid", "ReLU", "Linear", "Tanh"]
    model[1] = nn.Identity()
    assert isinstance(model[1], nn.Identity)
    del model[1]
    assert list(model._modules) == ["0", "1", "2", "3"]
    del model[1:3]
    assert [type(m).__name__ for m in model] == ["Linear", "Tanh"]
    assert isinstance(model.pop(), nn.Tanh) and len(model) == 1
    model.extend([nn.ReLU(), nn.ReLU()])
    assert list(model._modules) == ["0", "1", "2"]


def test_sequentials_are_added_and_repeated() -> None:
    one, two = three(), nn.Sequential(nn.Tanh())
    both = one + two
    assert type(both) is nn.Sequential and len(both) == 4 and both[0] is one[0] and both[3] is two[0]
    assert len(one) == 3
    one += two
    assert list(one._modules) == ["0", "1", "2", "3"]
    twice = two * 2
    assert list(twice) == [two[0], two[0]] and list(2 * two) == list(twice)
    two *= 3
    assert len(two) == 3
    with pytest.raises(TypeError):
        operator.add(two, [nn.ReLU()])
    with pytest.raises(ArgumentError) as error:
        two * 0
    assert str(error.value) == (
        "Sequential needs the number of repetitions to be at least 1. Received: the number of repetitions=0."
    )


def test_named_children_keep_their_names_on_deletion() -> None:
    model = nn.Sequential({"a": nn.ReLU(), "b": nn.Tanh(), "c": nn.Sigmoid()})
    del model[1]
    assert list(model._modules) == ["a", "c"]


def test_a_subclass_slices_to_a_plain_sequential() -> None:
    class Fixed(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(nn.ReLU(), nn.Tanh())

    assert type(Fixed()[:1]) is nn.Sequential


@pytest.mark.parametrize(
    ("act", "kind", "message"),
    [
        (
            lambda: three()[3],
            IndexError,
            "Sequential needs an index from -3 to 2. Received: index=3.",
        ),
        (lambda: nn.ModuleList()[0], IndexError, "ModuleList is empty, so that no index is valid."),
        (
            lambda: three()["0"],
            DtypeError,
            "Sequential needs an integer or a slice as index. Received: index='0'.",
        ),
        (
            lambda: nn.Sequential(nn.ReLU(), 3),
            DtypeError,
            "Sequential needs child '1' to be a Module or None. Received: 1=3.",
        ),
        (
            lambda: nn.Sequential({"1": nn.ReLU()}).append(nn.Tanh()),
            ArgumentError,
            "Sequential.append needs the name '1' to be free. Received: children named 1. "
            "Use add_module to choose the name.",
        ),
        (
            lambda: nn.Sequential({"a": nn.ReLU()}).insert(0, nn.Tanh()),
            ArgumentError,
            "Sequential.insert needs children under numbers. Received: children named a.",
        ),
        (
            lambda: nn.ModuleDict({"a": nn.ReLU()})["b"],
            KeyError,
            "ModuleDict needs one of its keys. Received: key='b'. The keys are 'a'.",
        ),
        (
            lambda: nn.ModuleDict().pop("b"),
            ArgumentError,
            "ModuleDict needs one of its keys. Received: key='b'. It is",
        ),
        (
            lambda: nn.ModuleDict({"keys": nn.ReLU()}),
            ArgumentError,
            "ModuleDict already has an attribute of the name that is given "
            "to a module. Received: name='keys'.",
        ),
        (
            lambda: nn.ModuleList([nn.ReLU()]).insert(0, "relu"),
            DtypeError,
            "ModuleList needs child '1' to be a Module",
        ),
    ],
)
def test_refusals(act: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as error:
        act()
    assert str(error.value).startswith(message)


def test_module_list() -> None:
    layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    assert len(layers) == 3 and layers[-1] is layers[2]
    assert list(layers.state_dict())[:2] == ["0.weight", "0.bias"]
    assert type(layers[1:]) is nn.ModuleList and layers[1:][0] is layers[1]
    layers += [nn.ReLU()]
    assert isinstance(layers[3], nn.ReLU)
    more = layers + nn.ModuleList([nn.Tanh()])
    assert len(more) == 5 and len(layers) == 4
    assert isinstance(layers.pop(), nn.ReLU)
    layers.insert(0, nn.Tanh())
    assert isinstance(layers[0], nn.Tanh) and list(layers._modules) == ["0", "1", "2", "3"]
    layers[0] = nn.ReLU()
    assert isinstance(layers[0], nn.ReLU)


def test_module_dict() -> None:
    parts = nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.ReLU()})
    assert list(parts) == list(parts.keys()) == ["a", "b"] and len(parts) == 2 and "a" in parts
    assert list(parts.state_dict()) == ["a.weight", "a.bias"]
    parts["c"] = nn.Tanh()
    parts.update([("b", nn.Sigmoid())])
    assert [type(module).__name__ for module in parts.values()] == ["Linear", "Sigmoid", "Tanh"]
    assert isinstance(dict(parts.items())["c"], nn.Tanh)
    assert isinstance(parts.pop("b"), nn.Sigmoid)
    del parts["c"]
    assert list(parts) == ["a"]
    parts.clear()
    assert len(parts) == 0
