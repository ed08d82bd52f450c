"""The name that messages begin with: a text, whichever geometry is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tilewright.errors import ArgumentError, DtypeError
from tilewright.geometry import AdaptiveDims, ConvDims, PoolDims

_MAKERS: list[Callable[..., Any]] = [
    lambda op: ConvDims.of((1, 2, 8), (3, 2, 3), stride=0, op=op),
    lambda op: ConvDims.of_transposed((1, 2, 8), (2, 3, 3), stride=0, op=op),
    lambda op: PoolDims.of((1, 2, 8), 0, op=op),
    lambda op: AdaptiveDims.of((1, 2, 8), -1, op=op),
]


@pytest.mark.parametrize("make", _MAKERS)
def test_messages_begin_with_it(make: Callable[..., Any]) -> None:
    with pytest.raises(ArgumentError, match=r"^first layer needs "):
        make("first layer")


@pytest.mark.parametrize("make", _MAKERS)
@pytest.mark.parametrize(("op", "shown"), [(["conv"], "['conv']"), (None, "None"), (3, "3")])
def test_refusals(make: Callable[..., Any], op: Any, shown: str) -> None:
    with pytest.raises(DtypeError) as caught:
        make(op)
    assert str(caught.value) == (
        f"A geometry needs op to be a text, the name that messages begin with. Received: op={shown}."
    )
