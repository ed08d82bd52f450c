"""Writes the lists of ``docs/coming-from-pytorch.md``: what PyTorch has and Tilewright hasn't, and back.

``python tools/pytorch_page.py`` compares the two and writes the lists; with ``--check`` it says whether they
are as the two packages have them. PyTorch has to be installed, in the version that the page names.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from sections import bring_up_to_date

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/coming-from-pytorch.md"

#: The PyTorch that the lists are about: what it has differs between releases.
VERSION = "2.13"
_PACKAGES = ("nn", "nn.functional", "nn.init", "nn.utils", "optim", "optim.lr_scheduler", "utils.data")

# Names for networks of other kinds: recurrent ones, transformers, embeddings, quantised and distributed ones.
_OTHER_KINDS = re.compile(
    r"RNN|LSTM|GRU|Transformer|[Aa]ttention|[Ee]mbedding|[Bb]ilinear$|CTC|ctc|AdaptiveLogSoftmax|DataParallel|SyncBatchNorm"
    r"|rnn|quant|prune|parametri|stateless|fusion|SparseAdam|grouped_mm|scaled_mm|[Cc]losure|Sobol"
    r"|Distributed|IterDataPipe|DFIter|MapDataPipe|DataChunk|get_worker_info|worker"
)
# Forms that only save memory in PyTorch.
_IN_PLACE = re.compile(r"[a-z]_$")


def names_of(package: ModuleType) -> set[str]:
    """The public names of a package that are functions or classes made for its users."""
    return {
        name
        for name in dir(package)
        if not name.startswith("_") and _is_public(package, name, getattr(package, name, None))
    }


def _is_public(package: ModuleType, name: str, found: Any) -> bool:
    if not callable(found) or isinstance(found, ModuleType):
        return False
    home = getattr(found, "__module__", None) or ""
    if home.split(".")[0] not in ("torch", "tilewright", ""):
        return False  # from Python's own library, such as typing's
    listed = getattr(package, "__all__", None)
    if package.__name__.endswith("functional"):
        # PyTorch's has no list of its own; what it imports for its own use is known by these.
        return not isinstance(found, type) and not re.search(
            r"torch_function|boolean_dispatch|^assert_|^Tensor$|^sym_|^set_|^is_", name
        )
    return name in listed if listed is not None else True


def compare(name: str) -> tuple[list[str], list[str]]:
    """What only PyTorch has in a package, and what only we have."""
    theirs = names_of(importlib.import_module(f"torch.{name}"))
    ours = _ours(name)
    known = {one for one in dir(ours) if not one.startswith("_")}
    return sorted(theirs - known), sorted(names_of(ours) - set(dir(importlib.import_module(f"torch.{name}"))))


def _ours(name: str) -> ModuleType:
    return importlib.import_module(f"tilewright.{name}")


def parameters_missing(name: str) -> Iterator[tuple[str, list[str]]]:
    """What of a package both have, and parameters of it that only PyTorch's has."""
    theirs, ours = importlib.import_module(f"torch.{name}"), _ours(name)
    for shared in sorted(names_of(theirs) & set(dir(ours))):
        left, right = _parameters(getattr(theirs, shared)), _parameters(getattr(ours, shared))
        if left is None or right is None:
            continue
        lacking = [one for one in left if one not in right]
        if lacking:
            yield shared, lacking


def _parameters(found: Any) -> list[str] | None:
    """Parameters by name, in order; None where they aren't known, or are anything."""
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):  # written in C++
        return None
    kinds = {one.kind for one in signature.parameters.values()}
    if inspect.Parameter.VAR_KEYWORD in kinds or inspect.Parameter.VAR_POSITIONAL in kinds:
        return None
    return list(signature.parameters)


def parts() -> dict[str, str]:
    """The generated parts of the page, by name."""
    missing, elsewhere, more, narrower = [], [], [], []
    for package in _PACKAGES:
        theirs, ours = compare(package)
        wanted = [name for name in theirs if not _OTHER_KINDS.search(name)]
        plain = [name for name in wanted if not _IN_PLACE.search(name)]
        missing += _row(package, plain + [f"{name} (in place)" for name in wanted if name not in plain])
        elsewhere += _row(package, [name for name in theirs if _OTHER_KINDS.search(name)])
        more += _row(package, ours)
        narrower += [
            f"| `{package}.{name}` | {_listed(lacking)} |" for name, lacking in parameters_missing(package)
        ]
    head = "| package | names |\n|---|---|\n"
    return {
        "missing": head + "\n".join(missing),
        "elsewhere": head + "\n".join(elsewhere),
        "more": head + "\n".join(more),
        "parameters": "| name | parameters |\n|---|---|\n" + "\n".join(narrower),
    }


def _row(package: str, names: list[str]) -> list[str]:
    return [f"| `{package}` | {_listed(names)} |"] if names else []


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def main(arguments: list[str]) -> int:
    """Write the lists, or with ``--check`` say whether they are up to date."""
    try:
        import torch
    except ImportError:
        print("PyTorch isn't installed: the lists of docs/coming-from-pytorch.md stay as they are")
        return 0
    if not torch.__version__.startswith(VERSION):
        print(
            f"PyTorch here is {torch.__version__}: the lists of docs/coming-from-pytorch.md are about "
            f"{VERSION}"
        )
        return 0
    return bring_up_to_date(PAGE, parts(), check="--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
