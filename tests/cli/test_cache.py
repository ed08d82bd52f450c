"""``tilewright cache``: what is kept, and removing it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cli.commands import Command

from tilewright.kernel import cache


@pytest.fixture(autouse=True)
def kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder of kernels."""
    monkeypatch.setenv("TILEWRIGHT_CACHE", str(tmp_path))
    monkeypatch.delenv("TILEWRIGHT_KERNEL_CACHE", raising=False)
    monkeypatch.setattr(cache, "_filled", {})
    return tmp_path / "kernels"


def keep(count: int) -> None:
    for i in range(count):
        cache.write(cache.key_of(str(i)), bytes(432))  # with its header 512 bytes


def test_info_before_the_first_kernel(tilewright: Command, kernels: Path) -> None:
    assert tilewright("cache", "info").out == (
        f"  folder           {kernels}\n"
        "  state            empty: it is made with the first kernel\n"
        "  kernels          0\n"
        "  size             0.0 KiB of at most 64.0 MiB\n"
    )
    assert not kernels.exists(), "looking made a folder"


def test_info_counts_what_is_kept(tilewright: Command, kernels: Path) -> None:
    keep(3)
    out = tilewright("cache", "info").out
    for words in (str(kernels), "in use", "  kernels          3\n", "1.5 KiB of at most 64.0 MiB"):
        assert words in out
    assert tilewright("cache", "info", "--json").json == {
        "folder": str(kernels),
        "state": "in use",
        "objects": 3,
        "bytes": 1536,
        "limit_bytes": 64 * 2**20,
    }


def test_info_where_it_is_turned_off(tilewright: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", "off")
    assert "off (TILEWRIGHT_KERNEL_CACHE)" in tilewright("cache", "info").out


def test_no_folder_is_known(tilewright: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "folder", lambda: None)
    assert "  folder           none known\n" in tilewright("cache", "info").out
    assert tilewright("cache", "info", "--json").json["folder"] is None
    assert (
        tilewright("cache", "clear").out == "Removed 0 kernels, 0.0 KiB, from nowhere: no folder is known.\n"
    )


def test_clear_removes_all(tilewright: Command, kernels: Path) -> None:
    keep(3)
    assert tilewright("cache", "clear").out == f"Removed 3 kernels, 1.5 KiB, from {kernels}.\n"
    assert list(kernels.iterdir()) == []
    keep(1)
    assert tilewright("cache", "clear").out == f"Removed 1 kernel, 0.5 KiB, from {kernels}.\n"
    keep(2)
    assert tilewright("cache", "clear", "--json").json == {
        "folder": str(kernels),
        "removed": 2,
        "bytes": 1024,
    }


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs permissions of POSIX")
def test_a_folder_that_others_may_write_to_is_not_cleared(tilewright: Command, kernels: Path) -> None:
    keep(1)
    kernels.chmod(0o777)
    ended = tilewright("cache", "clear")
    assert ended.code == 2
    assert ended.only_error == (
        "error: Kernels are removed only from a folder that is the user's own. "
        f"Received: folder={str(kernels)!r}. "
        "It is not used: it belongs to another user, or others may write to it."
    )


@pytest.mark.parametrize("command", [(), ("info",), ("clear",)])
def test_help_shows_examples(tilewright: Command, command: tuple[str, ...]) -> None:
    ended = tilewright("cache", *command, "--help")
    assert ended.code == 0
    assert f"tilewright cache {command[0] if command else 'info'}" in ended.out.partition("Examples:")[2]
