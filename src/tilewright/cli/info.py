"""``tilewright info``: what this machine is, and what will compute here."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

import click

from tilewright.cli.text import ShowsExamples, print_json

_OPTIONAL = (
    ("click", "cli"),
    ("rich", "cli"),
    ("matplotlib", "plot"),
    ("pillow", "plot"),
    ("pooch", "data"),
    ("scikit-learn", "data"),
    ("tomli-w", "train"),
)
# What the common builds of BLAS read the number of their threads from.
_THREAD_SETTINGS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "BLIS_NUM_THREADS")


@click.command(
    cls=ShowsExamples,
    short_help="The processor, the kernel families, threads and versions.",
    examples=(
        ("tilewright info", ""),
        ("tilewright info --json", ""),
    ),
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def info(as_json: bool) -> None:
    """Show the processor, the kernel families in the order they are asked, threads and versions."""
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
    threads = [f"{name}={value}" for name, value in found["threads"].items() if value is not None]
    _line("threads", ", ".join(threads) if threads else "as many as BLAS chooses")
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
        "threads": {name: os.environ.get(name) for name in _THREAD_SETTINGS},
        "families": [{"name": name, "about": about} for name, about in plan.families()],
        "versions": {
            **versions(),
            "safetensors": _version("safetensors") or "not installed",
            "BLAS": _blas(),
            "system": platform.platform(),
        },
        "optional": {name: {"version": _version(name), "extra": extra} for name, extra in _OPTIONAL},
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
