"""The version, written once: the build, the package and the command all read it here."""

from __future__ import annotations

__version__ = "0.1.0"
