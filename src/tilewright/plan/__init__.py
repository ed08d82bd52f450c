"""Which family computes what, and why. Frozen, printable values; no code is made here."""

from tilewright.plan import compiled, processor
from tilewright.plan.families import FAMILIES, Explanation, Family, choose, explain, families
from tilewright.plan.plan import SCRATCH_BYTES, Plan
from tilewright.plan.target import Target, host, named, runnable

__all__ = [
    "FAMILIES",
    "SCRATCH_BYTES",
    "Explanation",
    "Family",
    "Plan",
    "Target",
    "choose",
    "compiled",
    "explain",
    "families",
    "host",
    "named",
    "processor",
    "runnable",
]
