"""Code that computes: one file per family, reached through :func:`run`. It trusts its input."""

from tilewright.kernel.dispatch import run

__all__ = ["run"]
