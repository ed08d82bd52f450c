"""Which members of a module the API pages show: what users import, and nothing else.

An extension of griffe, which reads the source for the pages. A page shows modules, where things are defined;
a module also has helpers for its neighbours, whose names have no underscore. Public is what a package that
users import from lists in ``__all__``. (Pages of modules without such a list name their members themselves.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import griffe

#: The packages that users import from.
PACKAGES = (
    "tilewright",
    "tilewright.autograd",
    "tilewright.bridge.dask",
    "tilewright.bridge.sklearn",
    "tilewright.data",
    "tilewright.data.augment",
    "tilewright.functional",
    "tilewright.geometry",
    "tilewright.image",
    "tilewright.image.signal",
    "tilewright.image.video",
    "tilewright.lens",
    "tilewright.nn",
    "tilewright.nn.models",
    "tilewright.optim",
    "tilewright.optim.lr_scheduler",
    "tilewright.train",
)
# For printing: each layer has its own, and nobody calls it.
_UNCALLED = "extra_repr"


class PublicMembers(griffe.Extension):
    """Marks every member of every module of a package as public or not."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Called by griffe with the whole package."""
        public = {path for name in PACKAGES for path in exported(pkg, name)}
        for module in _modules(pkg):
            for member in module.members.values():
                if member.is_alias:
                    member.public = False
                elif not member.is_module:
                    member.public = member.path in public
                    for name, inner in member.members.items() if member.is_class else ():
                        if name.startswith("__") or name == _UNCALLED:
                            inner.public = False


def exported(pkg: griffe.Module, name: str) -> Iterator[str]:
    """The full names of what a package lists in ``__all__``, as they are where they are defined."""
    package = _module(pkg, name)
    for listed in package.exports or ():
        yield _defined(pkg, name, str(listed))


def _defined(pkg: griffe.Module, module: str, name: str) -> str:
    """Follows imports: not griffe's aliases, since a function may have the name of the module it is in."""
    while name in _module(pkg, module).imports:
        target = _module(pkg, module).imports[name]
        found, _, original = target.rpartition(".")
        if (found, original) == (module, name):  # a package that imports a module of its own
            return target
        if not found.startswith(pkg.name) or _module_or_none(pkg, found) is None:
            return target
        module, name = found, original
    here = _module(pkg, module).members.get(name)
    if here is None or here.is_alias or here.is_module:
        # Not of this module, nor imported by name: `from ... import *`.
        for inner in _inner(_module(pkg, module)):
            if name in map(str, inner.exports or ()):
                return f"{inner.path}.{name}"
    return f"{module}.{name}"


def _module(pkg: griffe.Module, name: str) -> griffe.Module:
    found = _module_or_none(pkg, name)
    if found is None:
        raise SystemExit(f"There is no module {name}, which tools/public_members.py lists.")
    return found


def _module_or_none(pkg: griffe.Module, name: str) -> griffe.Module | None:
    module: Any = pkg
    for part in name.split(".")[1:]:
        module = module.members.get(part)
        if module is None or module.is_alias or not module.is_module:
            return None
    return module


def _inner(module: griffe.Module) -> Iterator[Any]:
    for member in module.members.values():
        if not member.is_alias and member.is_module:
            yield member


def _modules(module: griffe.Module) -> Iterator[griffe.Module]:
    yield module
    for inner in _inner(module):
        yield from _modules(inner)
