"""Padding, interpolation and pixel shuffle."""

from __future__ import annotations

from functools import partial
from typing import Any

from peer_cases.case import Case, Draw, Rng, chance, normal, pick, same_call, sizes, whole
from peer_cases.windows import flat, pads


def _pad(rng: Rng) -> Case:
    mode = pick(rng, ["constant", "reflect", "replicate", "circular"])
    spatial = tuple(whole(rng, 2, 6) for _ in range(whole(rng, 1, 3)))
    shape = (2, 2, *spatial) if chance(rng, 0.5) or len(spatial) == 3 else (2, *spatial)
    value = pick(rng, [None, 1.5]) if mode == "constant" else None
    return same_call("pad", [normal(rng, shape)], flat(pads(rng, spatial, mode)), mode, value)


_FACTORS = [0.3, 0.5, 0.7, 1.0, 1.1, 1.3, 1.5, 2.0, 2.5, 3.0, 2 / 3, 4 / 3, 5 / 3]


def _interpolate(rng: Rng) -> Case | None:
    kind = pick(rng, ["nearest", "nearest-exact", "linear", "cubic", "area"])
    rank = 2 if kind == "cubic" else whole(rng, 1, 3)
    names = {"linear": ["linear", "bilinear", "trilinear"][rank - 1], "cubic": "bicubic"}
    spatial = tuple(whole(rng, 1, 7 if rank < 3 else 4) for _ in range(rank))
    arguments: dict[str, Any] = {"mode": names.get(kind, kind)}
    if kind in names:
        arguments["align_corners"] = pick(rng, [None, False, True])
        arguments["antialias"] = rank == 2 and chance(rng, 0.4)
    if chance(rng, 0.5):
        arguments["size"] = found = [whole(rng, 1, 10 if rank < 3 else 6) for _ in range(rank)]
    else:
        arguments["scale_factor"] = factors = [
            pick(rng, [f for f in _FACTORS if n * f >= 1]) for n in spatial
        ]
        found = [int(n * f) for n, f in zip(spatial, factors, strict=True)]
        if kind != "area":
            arguments["recompute_scale_factor"] = recompute = pick(rng, [None, False, True])
            # Of an axis that keeps its size, or doubles, by a factor other than 1, or 2, PyTorch makes a copy
            # or takes samples anew, as the mode, the rank and the direction have it: its gradients aren't
            # adjoint to its outputs there.
            odd = any(m / n in (1, 2) and f != m / n for n, m, f in zip(spatial, found, factors, strict=True))
            if odd and not recompute:
                return None
    # Against aliasing PyTorch gives wrong numbers where an axis shrinks to one sample: between two passes it
    # takes what it has for channels last. Its gradient is right.
    if arguments.get("antialias") and 1 in found:
        return None
    return same_call(
        "interpolate", [normal(rng, (whole(rng, 1, 2), whole(rng, 1, 2), *spatial))], **arguments
    )


def _shuffle(name: str, rng: Rng) -> Case:
    # Of five axes PyTorch refuses some sizes, which it takes for a memory format.
    factor, (h, w), lead = whole(rng, 1, 3), (whole(rng, 1, 3), whole(rng, 1, 3)), sizes(rng, 0, 1, 2)
    shape = (2 * factor * factor, h, w) if name == "pixel_shuffle" else (2, h * factor, w * factor)
    return same_call(name, [normal(rng, (*lead, *shape))], factor)


DRAWS: dict[str, Draw] = {
    "pad": _pad,
    "interpolate": _interpolate,
    "pixel_shuffle": partial(_shuffle, "pixel_shuffle"),
    "pixel_unshuffle": partial(_shuffle, "pixel_unshuffle"),
}
