"""Each known answer is asked four times: of arrays and of Tensors, in float32 and in float64."""

from __future__ import annotations

import pytest
from known_answers.kinds import KINDS, Kind


@pytest.fixture(params=KINDS, ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    """What the operands of a known answer are made as."""
    chosen: Kind = request.param
    return chosen
