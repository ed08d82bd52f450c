"""Which family computes what, and why. Frozen, printable values; no code is made here."""

from tilewright.plan import compiled, processor
from tilewright.plan.families import FAMILIES, Explanation, Family, choose, explain, families, forget
from tilewright.plan.plan import SCRATCH_BYTES, Plan
from tilewright.plan.precision import precision
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
    "forget",
    "host",
    "named",
    "precision",
    "processor",
    "runnable",
]
