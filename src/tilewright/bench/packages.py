"""Other people's packages, imported when they are first used."""

from __future__ import annotations

import importlib
from typing import Any

from tilewright.bench.contestants import Unable


def imported(module: str, package: str) -> Any:
    """A module of another package.

    Raises:
        Unable: it isn't installed, or doesn't load.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = "isn't installed" if isinstance(error, ModuleNotFoundError) else f"doesn't load: {error}"
        raise Unable(f"the package {package} {missing}") from error
