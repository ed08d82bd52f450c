"""Which family computes what, and why. Frozen, printable values; no code is made here."""

from tilewright.plan import processor
from tilewright.plan.families import FAMILIES, Explanation, Family, choose, explain, families
from tilewright.plan.plan import SCRATCH_BYTES, Plan

__all__ = [
    "FAMILIES",
    "SCRATCH_BYTES",
    "Explanation",
    "Family",
    "Plan",
    "choose",
    "explain",
    "families",
    "processor",
]
