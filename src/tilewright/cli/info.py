"""``tilewright info``: what this machine is, and what will compute here."""

from __future__ import annotations

import os
import platform
import warnings
from importlib import metadata
from typing import Any

import click

from tilewright.cli.text import ShowsExamples, print_json

_OPTIONAL = (
    ("click", "cli"),
    ("rich", "cli"),
    ("matplotlib", "plot"),
    ("pillow", "image"),
    ("tifffile", "image"),
    ("pooch", "data"),
    ("scikit-learn", "data"),
    ("tomli-w", "train"),
)
# What the common builds of BLAS read the number of their threads from.
_BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "BLIS_NUM_THREADS")


@click.command(
    cls=ShowsExamples,
    short_help="The processor, what is compiled for it, kernel families and versions.",
    examples=(
        ("tilewright info", ""),
        ("tilewright info --json", ""),
    ),
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def info(as_json: bool) -> None:
    """Show the processor, what kernels are compiled for, threads, kernel families and versions.

    Kernels are compiled for one target and kept in one folder; families are asked in the order shown.
    """
    found = collect()
    if as_json:
        print_json(found)
        return
    processor = found["processor"]
    _heading("Processor")
    _line("name", processor["name"])
    _line("architecture", processor["architecture"])
    _line("vectors", " ".join(processor["features"]) or "none known")
    _line("cores", str(processor["cores"]))
    compiled = found["compiled"]
    _heading("Compiled kernels")
    if compiled["target"] is None:
        _line("target", f"none: {compiled['reason']}")
    else:
        _line("target", f"{compiled['target']}; this processor runs {', '.join(compiled['runnable'])}")
    _line("threads", str(compiled["threads"]))
    _line("folder", f"{compiled['folder'] or 'none known'} ({compiled['state']})")
    settings = [f"{name}={value}" for name, value in found["blas_threads"].items() if value is not None]
    _line("threads of BLAS", ", ".join(settings) if settings else "as many as it chooses; one while training")
    _heading("Kernel families, in the order they are asked")
    for family in found["families"]:
        _line(family["name"], family["about"])
    _heading("Versions")
    for name, version in found["versions"].items():
        _line(name, version)
    _heading("Optional packages")
    for name, entry in found["optional"].items():
        _line(name, entry["version"] or f"not installed: pip install 'tilewright[{entry['extra']}]'")


def collect() -> dict[str, Any]:
    """Everything that the command shows, as plain data."""
    from tilewright import plan
    from tilewright.train.config import versions

    return {
        "processor": plan.processor.describe(),
        "compiled": _compiled(),
        "blas_threads": {name: os.environ.get(name) for name in _BLAS_THREADS},
        "families": [{"name": name, "about": about} for name, about in plan.families()],
        "versions": {
            **versions(),
            "safetensors": _version("safetensors") or "not installed",
            "BLAS": _blas(),
            "system": platform.platform(),
        },
        "optional": {name: {"version": _version(name), "extra": extra} for name, extra in _OPTIONAL},
    }


def _compiled() -> dict[str, Any]:
    """What kernels are compiled for, by how many threads they run, and where they are kept."""
    from tilewright import plan
    from tilewright.kernel import cache, threads

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        serves = plan.compiled.serves("float32")
    kept = cache.info()
    return {
        "target": plan.host().name if serves else None,
        "runnable": [target.name for target in plan.runnable()],
        "reason": "".join(str(warning.message) for warning in said) or None,
        "threads": threads.get_num_threads(),
        "folder": kept.folder,
        "state": kept.state,
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _blas() -> str:
    """The BLAS that NumPy was built with, by name and version."""
    import numpy

    try:
        built: Any = numpy.show_config(mode="dicts")
        blas = built["Build Dependencies"]["blas"]
        return f"{blas['name']} {blas['version']}"
    except (TypeError, KeyError):  # a build of NumPy that doesn't say
        return "unknown"


def _heading(text: str) -> None:
    click.secho(text, bold=True)


def _line(name: str, value: str) -> None:
    click.echo(f"  {name:<16} {value}")
