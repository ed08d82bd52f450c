"""Writes the lists of ``docs/coming-from-pytorch.md``: what both have, what only PyTorch or only we have.

``python tools/pytorch_page.py`` compares the two packages and writes the lists; with ``--check`` it says
whether they are as the two have them. PyTorch has to be installed, in the version that the page names.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from sections import bring_up_to_date

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/coming-from-pytorch.md"

#: The PyTorch that the lists are about: what it has differs between releases.
VERSION = "2.13"
#: The packages that are compared name by name.
PACKAGES = ("nn", "nn.functional", "nn.init", "nn.utils", "optim", "optim.lr_scheduler", "utils.data")

# Names for networks of other kinds: recurrent ones, transformers, embeddings, quantised and distributed ones.
_OTHER_KINDS = re.compile(
    r"RNN|LSTM|GRU|Transformer|[Aa]ttention|[Ee]mbedding|^[Bb]ilinear$|CTC|ctc|AdaptiveLogSoftmax|DataParallel"
    r"|SyncBatchNorm|SparseAdam|grouped_mm|scaled_mm|Distributed|IterDataPipe|MapDataPipe|DataChunk|worker_info"
    r"|linear_cross_entropy|LinearCrossEntropy"
)
# Names that PyTorch itself has given up, or keeps for its own use.
_GIVEN_UP = re.compile(
    r"^(Container|NLLLoss2d|clip_grad_norm|constant|dirac|eye|kaiming_normal|kaiming_uniform|normal|orthogonal"
    r"|sparse|uniform|xavier_normal|xavier_uniform|upsample|upsample_nearest|upsample_bilinear|Buffer|conv_tbc"
    r"|argument_validation|functional_datapipe|guaranteed_datapipes_determinism|non_deterministic|default_convert"
    r"|runtime_validation(_disabled)?|factory_kwargs|native_channel_shuffle|swap_in_optimizer_params_and_state)$"
)
# Parameters that choose among PyTorch's implementations, that it has given up, or that it keeps for itself.
_NO_MEANING = re.compile(
    r"^(size_average|reduce|_stacklevel|foreach|fused|capturable|differentiable|out|"
    r"pin_memory_device|multiprocessing_context|persistent|min_value|max_value)$"
)
# What layers and `nn.init` have for their neighbours, and modules that only share their name with PyTorch's.
_HELPERS = re.compile(r"^(check_initialiser|fans|is_skipped|reset|rank)$")
_OTHER_THINGS = frozenset(["functional"])
# Methods of Tensors and functions of `torch` are many: of those that we lack, what networks are written with.
_LACKING_OF_TORCH = re.compile(
    r"^(acosh|addmm|addcmul|addcdiv|argwhere|as_strided|asinh|atan2|atanh|atleast_\dd|baddbmm|bincount"
    r"|bitwise_\w+[a-z]|broadcast_tensors|bucketize|cdist|clamp_m(in|ax)|copysign|cross|cumprod|cumm(ax|in)|det|diag|diagflat|diff"
    r"|einsum|erf|erfc|erfinv|exp2|fft|finfo|fmod|frac|from_dlpack|histc|hypot|iinfo|index_(add|copy|fill|put)"
    r"|inner|inverse|isin|kron|kthvalue|lerp|linalg|load|logaddexp|logit|logspace|masked_scatter|median|meshgrid"
    r"|mode|moveaxis|mv|nan_to_num|nanmean|nansum|outer|quantile|ravel|rot90|save|scatter_reduce|searchsorted"
    r"|special|std_mean|swapaxes|take|tensor_split|tensordot|trace|tri[lu]_indices|unfold|unique|var_mean|vmap"
    r"|xlogy|compile|jit|amp|autocast|distributed|distributions|hub|profiler|func|fx|random|stft|istft|signal)$"
)


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
    if listed is not None and not package.__name__.startswith("torch.nn.functional"):
        return name in listed
    if package.__name__.startswith("tilewright"):
        return home == package.__name__  # what it imports from its neighbours is theirs
    # PyTorch's functional has no list of its own; what it imports for its own use is known by these.
    return package.__name__ != "torch.nn.functional" or not (
        isinstance(found, type)
        or re.search(r"torch_function|boolean_dispatch|^assert_|^Tensor$|^sym_|^set_|^is_", name)
    )


def both(name: str) -> tuple[ModuleType, ModuleType]:
    """PyTorch's package of this name, and ours."""
    return importlib.import_module(f"torch.{name}"), importlib.import_module(f"tilewright.{name}")


def parameters_of(found: Any) -> list[str] | None:
    """Parameters by name, in order; None where they aren't known, or are anything."""
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):  # written in C++
        return None
    kinds = {one.kind for one in signature.parameters.values()}
    if inspect.Parameter.VAR_KEYWORD in kinds or inspect.Parameter.VAR_POSITIONAL in kinds:
        return None
    return list(signature.parameters)


def parameters(theirs: Any, ours: Any) -> tuple[list[str], list[str]]:
    """Of a name that both have: the parameters that only PyTorch's has, and those that only ours has.

    Where PyTorch's is written in C++ or takes anything, its parameters aren't known, and nothing is said.
    """
    left, right = parameters_of(theirs), parameters_of(ours)
    if left is None or right is None:
        return [], []
    lacking = [one for one in left if one not in right and not _NO_MEANING.match(one)]
    return lacking, [one for one in right if one not in left and not _HELPERS.match(one)]


def parts() -> dict[str, str]:
    """The generated parts of the page, by name."""
    found: dict[str, list[str]] = {
        name: [] for name in ("same", "more", "missing", "elsewhere", "narrower", "wider")
    }
    by_parameters: dict[str, dict[str, list[str]]] = {"narrower": {}, "wider": {}}
    for package in PACKAGES:
        theirs, ours = both(package)
        known = {one for one in dir(ours) if not one.startswith("_")}
        left, right = names_of(theirs), names_of(ours)
        lacking = {one for one in left - known if not _GIVEN_UP.match(one)}
        found["same"] += _row(package, left & known)
        found["more"] += _row(package, {one for one in right - set(dir(theirs)) if not _HELPERS.match(one)})
        found["missing"] += _row(package, {one for one in lacking if not _OTHER_KINDS.search(one)})
        found["elsewhere"] += _row(package, {one for one in lacking if _OTHER_KINDS.search(one)})
        for name in sorted(left & known):
            if name.endswith("_with_indices"):
                continue  # it always returns them: PyTorch's takes a return_indices that says nothing
            narrow, wide = parameters(getattr(theirs, name), getattr(ours, name))
            for part, several in (("narrower", narrow), ("wider", wide)):
                if several:
                    by_parameters[part].setdefault(_listed(several), []).append(f"{package}.{name}")
    for name, shared, lacking in _of_torch():
        found["same"] += _row(name, shared - _OTHER_THINGS)
        found["missing"] += _row(name, lacking)
    for part, rows in by_parameters.items():
        found[part] += [f"| {_listed(names)} | {several} |" for several, names in rows.items()]
    heads = {"narrower": "name | only in PyTorch", "wider": "name | only here"}
    return {
        name: f"| {heads.get(name, 'package | names')} |\n|---|---|\n" + "\n".join(rows)
        for name, rows in found.items()
    }


def _of_torch() -> Iterator[tuple[str, set[str], set[str]]]:
    """Of `torch` itself and of Tensors: what both have, and what networks are written with and we lack."""
    import torch

    import tilewright

    in_torch = {name for name in dir(torch) if name[0] != "_"}
    for name, theirs, ours in (
        ("`torch` itself", in_torch, set(tilewright.__all__) | {"bfloat16", "bool", "float", "int"}),
        ("Tensor", _methods(torch.Tensor), _methods(tilewright.Tensor)),
    ):
        here = ours | {one for one in dir(tilewright) if name != "Tensor" and one[0] != "_"}
        yield name, theirs & ours, {one for one in theirs - here if _LACKING_OF_TORCH.match(one)}


def _methods(tensor: type) -> set[str]:
    return {name for name in dir(tensor) if name[0] != "_"}


def _row(package: str, names: set[str]) -> list[str]:
    """A row of the table; forms that write into their input stand last."""
    shown = package if " " in package else f"`{package}`"
    order: Callable[[str], tuple[bool, str]] = lambda one: (one.endswith("_"), one)  # noqa: E731
    return [f"| {shown} | {_listed(sorted(names, key=order))} |"] if names else []


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
