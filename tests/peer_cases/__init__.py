"""Seeded random cases of every function that this library shares with PyTorch.

``DRAWS`` says by a function's name (or, for what PyTorch has no function for, a few words) how one is drawn;
importing this needs PyTorch.
"""

from __future__ import annotations

import zlib

import numpy as np
from twice import check_twice

from peer_cases import activations, losses, norms, own_losses, pools, sizes, windows
from peer_cases.case import Case, Draw

__all__ = ["DRAWS", "check"]

DRAWS: dict[str, Draw] = {
    **windows.DRAWS,
    **pools.DRAWS,
    **sizes.DRAWS,
    **norms.DRAWS,
    **activations.DRAWS,
    **losses.DRAWS,
    **own_losses.DRAWS,
}


def check(name: str, seed: int) -> None:
    """Draw one case, and compare outputs, gradients and second gradients."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    case: Case | None = None
    while case is None:
        case = DRAWS[name](rng)
    check_twice(
        case.ours, case.theirs, case.operands, about=f" ({name}, seed {seed}: {case.about})", **case.options
    )
