"""Code that computes: one file per family, reached through :func:`run`. It trusts its input."""

from tilewright.kernel.dispatch import outline, program_for, run

__all__ = ["outline", "program_for", "run"]
