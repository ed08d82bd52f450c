"""What can be wrong with an argument, by what is asked of it; and calls to put the wrong values into."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Wrong:
    """A wrong value, and how a test's name calls it."""

    label: str
    value: Any
    #: What the message may say instead of the argument's name, for example the shape that follows from it.
    named: str = ""


@dataclass
class Call:
    """Something that can be called, with right arguments, and what is asked of each of its parameters."""

    name: str
    function: Callable[..., Any]
    right: dict[str, Any]
    asked: dict[str, list[Wrong]] = field(default_factory=dict)

    def parameters(self) -> list[inspect.Parameter]:
        """Those that can be given by name."""
        kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        return [one for one in inspect.signature(self.function).parameters.values() if one.kind not in kinds]


def wrongs(**values: Any) -> list[Wrong]:
    """Wrong values by label: ``a_text="three"``."""
    return [Wrong(label.replace("_", " "), value) for label, value in values.items()]


def integer(least: int) -> list[Wrong]:
    return wrongs(
        none=None,
        a_text="three",
        a_float=2.5,
        a_whole_float=2.0,
        nan=math.nan,
        a_bool=True,
        a_list=[1],
        too_small=least - 1,
        beyond_64_bits=2**64,
    )


def per_axis(rank: int, least: int) -> list[Wrong]:
    return [
        *(one for one in integer(least) if one.label != "a list"),
        *wrongs(
            too_many=(least + 1,) * (rank + 1),
            texts=("a",) * rank,
            one_too_small=(least + 1,) * (rank - 1) + (least - 1,),
            nans=(math.nan,) * rank,
            nothing=(None,) * rank,
            an_array_of_floats=np.ones(rank),
        ),
    ]


def padding(rank: int) -> list[Wrong]:
    return wrongs(
        none=None,
        an_unknown_name="some",
        a_float=1.5,
        nan=math.nan,
        a_bool=True,
        beyond_64_bits=2**64,
        too_many=(1,) * (rank + 3),
        texts=("a",) * rank,
        triples=((1, 1, 1),) * rank,
        nothing=(None,) * rank,
    )


FLAG = wrongs(none=None, a_text="yes", a_number=2, nan=math.nan, a_list=[True], an_array=np.ones(3, bool))
NUMBER = wrongs(none=None, a_text="half", a_list=[0.5], a_complex=1j, a_bool=True, an_array=np.ones((2, 2)))
#: Numbers that must be finite.
FINITE = [*NUMBER, *wrongs(nan=math.nan, infinite=math.inf, huge=10**400)]
POSITIVE = [*FINITE, *wrongs(negative=-0.5)]
CHOICE = wrongs(none=None, an_unknown_name="nonsense", a_number=3, a_list=["mean"], an_array=np.ones(3))
ARRAY = wrongs(
    none=None,
    a_text="text",
    a_list=[1.0, 2.0],
    a_number=3,
    texts=np.array(["text"]),
    objects=np.array([None, None]),
    dates=np.zeros((2, 3), "M8[s]"),
    foreign_byte_order=np.ones((2, 3)).astype(np.dtype(float).newbyteorder()),
)
DTYPE = wrongs(
    a_text="float33", a_number=3.5, a_class=dict, a_pair=("a", "b"), text_of_numpy="U5", a_date="M8"
)
DEVICE = wrongs(a_card="cuda:0", nonsense="nonsense", a_number=3)
PATH = wrongs(none=None, a_number=3, empty="", bytes=b"x", a_list=["a"])
DATASET = wrongs(none=None, a_number=3, a_class=dict, a_generator=(n for n in ()), rank_0=np.ones(()))
SEED = wrongs(a_text="one", a_float=1.5, negative=-1, beyond_63_bits=2**63, a_bool=True)
NAME = wrongs(none=None, a_number=3, a_list=["a"], bytes=b"a")
TENSORS = wrongs(none=None, a_text="text", a_number=3, numbers=[1.0], arrays=[np.ones(3)])
OPTIMIZER = wrongs(none=None, a_text="sgd", a_number=3, a_class=dict)


def dim(rank: int) -> list[Wrong]:
    return wrongs(
        a_text="channels", a_float=1.5, nan=math.nan, too_large=rank, too_small=-rank - 1, a_list=[0]
    )


def shaped(like: Any, rank: bool = True) -> list[Wrong]:
    """Wrong arrays for an operand: no array at all, of another rank, of another dtype than the others."""
    found = list(ARRAY)
    if rank:
        found += wrongs(a_number_as_array=np.ones((), like.dtype), rank_9=np.ones((1,) * 9, like.dtype))
    return found


def without_none(found: Iterable[Wrong]) -> list[Wrong]:
    return [one for one in found if one.value is not None]


def only(found: Iterable[Wrong], *labels: str) -> list[Wrong]:
    return [one for one in found if one.label in labels]


def but(found: Iterable[Wrong], *labels: str) -> list[Wrong]:
    """Without those that are right here."""
    kept = [one for one in found if one.label not in labels]
    assert len(kept) + len(labels) == len(list(found)), f"{labels} aren't all among them"
    return kept


def ask(call: Call, usual: Mapping[str, list[Wrong]], **special: list[Wrong]) -> Call:
    """Fill in what is asked of each parameter: by its name, unless said otherwise.

    Where None is the default it is right.
    """
    for parameter in call.parameters():
        found = special.get(parameter.name, usual.get(parameter.name))
        if found is None:
            raise KeyError(f"{call.name}: nothing is asked of {parameter.name}")
        call.asked[parameter.name] = without_none(found) if parameter.default is None else list(found)
    unknown = set(special) - set(call.asked)
    assert not unknown, f"{call.name} has no {unknown}"
    return call
