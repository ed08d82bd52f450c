"""``tilewright cache``: the compiled kernels that are kept on disk."""

from __future__ import annotations

from dataclasses import asdict

import click

from tilewright.cli.text import ShowsExamples, print_json


class _Group(ShowsExamples, click.Group):
    """A group whose help ends with examples."""


@click.group(
    cls=_Group,
    short_help="The compiled kernels that are kept on disk.",
    examples=(
        ("tilewright cache info", "where they are, and what they take"),
        ("tilewright cache clear", "remove them; they are compiled again when needed"),
    ),
)
def cache() -> None:
    """Show or remove the kernels that were compiled for this processor and kept on disk."""


@cache.command(
    cls=ShowsExamples,
    short_help="Where they are, and what they take.",
    examples=(
        ("tilewright cache info", ""),
        ("tilewright cache info --json", ""),
    ),
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def info(as_json: bool) -> None:
    """Show where compiled kernels are kept, whether that folder is used, and what they take."""
    from tilewright.kernel import cache as store

    found = store.info()
    if as_json:
        print_json(asdict(found))
        return
    _line("folder", str(found.folder or "none known"))
    _line("state", found.state)
    _line("kernels", str(found.objects))
    _line("size", f"{_size(found.bytes)} of at most {_size(found.limit_bytes)}")


@cache.command(
    cls=ShowsExamples,
    short_help="Remove them; they are compiled again when needed.",
    examples=(
        ("tilewright cache clear", ""),
        ("tilewright cache clear --json", ""),
    ),
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def clear(as_json: bool) -> None:
    """Remove the compiled kernels. Programs that have loaded them go on."""
    from tilewright.kernel import cache as store

    folder = store.folder()
    removed, size = store.clear()
    if as_json:
        print_json({"folder": folder, "removed": removed, "bytes": size})
        return
    kernels = "1 kernel" if removed == 1 else f"{removed} kernels"
    click.echo(f"Removed {kernels}, {_size(size)}, from {folder or 'nowhere: no folder is known'}.")


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count / 2**10:.1f} KiB"


def _line(name: str, value: str) -> None:
    click.echo(f"  {name:<16} {value}")
