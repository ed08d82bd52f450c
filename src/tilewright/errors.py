"""The error family, and the one format of its messages: the rule, then what came, then what would do.

    ``conv2d needs input of rank 4 or 3. Received: input with shape (4, 4). Add the missing axes:
    input[None, None].``

Every refusal in the library is raised through one of these classes, so a caller can catch
:class:`TilewrightError` for all of them, or the built-in class that the refusal also is.
"""

from __future__ import annotations

from typing import Any


class TilewrightError(Exception):
    """Base of every error this library raises on purpose.

    Args:
        rule: what is needed, as a full sentence that names the function or file.
        received: what came instead (see :func:`describe`); left out of the message when empty.
        advice: what would do, as a full sentence; left out when empty.
    """

    def __init__(self, rule: str, received: str = "", advice: str = "") -> None:
        super().__init__(rule, received, advice)
        self.rule = rule
        self.received = received
        self.advice = advice

    def __str__(self) -> str:
        parts = [self.rule]
        if self.received:
            parts.append(f"Received: {self.received}.")
        if self.advice:
            parts.append(self.advice)
        return " ".join(parts)


class ShapeError(TilewrightError, ValueError):
    """An array or a geometry has the wrong rank or size."""


class ArgumentError(TilewrightError, ValueError):
    """An argument that is not an array has a value outside what the rule allows."""


class DtypeError(TilewrightError, TypeError):
    """An array or a value is of a type that the operation does not take."""


class StateError(TilewrightError, RuntimeError):
    """A call came at a moment when it can't be answered (for example ``backward`` twice)."""


class FileFormatError(TilewrightError, ValueError):
    """A file is cut short, says something untrue of itself, or isn't what its name says."""


class DownloadError(TilewrightError, OSError):
    """A public file could not be fetched or its checksum is not the published one."""


class MissingExtraError(TilewrightError, ImportError):
    """An optional package is needed; the message names the extra that installs it."""


def describe(**values: Any) -> str:
    """Say what came, for the ``Received:`` part of a message.

    Arrays are described by shape and dtype, everything else by ``name=value``.

    >>> describe(stride=0)
    'stride=0'
    """
    return ", ".join(_describe_one(name, value) for name, value in values.items())


def _describe_one(name: str, value: Any) -> str:
    shape = getattr(value, "shape", None)
    dtype = getattr(value, "dtype", None)
    # A class such as numpy.float64 has these names too, but as descriptors.
    if not isinstance(value, type) and shape is not None and dtype is not None:
        return f"{name} with shape {tuple(shape)} and dtype {dtype}"
    try:
        text = repr(value)
    except Exception:  # an integer of 5,000 digits, for example: not what this message is about
        text = f"<{type(value).__name__}>"
    # 200 characters hold any sensible argument; a longer one would bury the rule it broke.
    if len(text) > 200:
        text = text[:197] + "..."
    return f"{name}={text}"


def need_extra(package: str, extra: str, purpose: str) -> MissingExtraError:
    """The error for an optional package that is not installed (to be raised ``from`` the ImportError)."""
    return MissingExtraError(
        f"{purpose} needs the package {package}, which is not installed.",
        advice=f"Install it with: pip install 'tilewright[{extra}]'.",
    )
