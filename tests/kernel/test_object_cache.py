"""Compiled kernels on disk: what was kept is used, and what may not be trusted is never run.

In the tests of bad objects the kernel asked for answers 42, and the object that lies in its place answers 41.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kernel.small_kernels import answer, ask

from tilewright.errors import StateError
from tilewright.kernel import cache, jit
from tilewright.plan import Target, host

pytest.importorskip("llvmlite", reason="compiles through LLVM")

owned = pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs owners and permissions of POSIX")


@pytest.fixture(autouse=True)
def kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder of kernels, and a process that has loaded none."""
    monkeypatch.setenv("TILEWRIGHT_CACHE", str(tmp_path))
    monkeypatch.delenv("TILEWRIGHT_KERNEL_CACHE", raising=False)
    monkeypatch.setattr(cache, "_filled", {})
    monkeypatch.setattr(jit, "_loaded", {})
    return tmp_path / "kernels"


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the kernels that were compiled, rather than read from the disk."""
    names: list[str] = []
    compile = jit._compiled

    def counted(name: str, ir: str, target: Target) -> bytes:
        names.append(name)
        return compile(name, ir, target)

    monkeypatch.setattr(jit, "_compiled", counted)
    return names


def call(number: int = 42) -> int:
    """What the kernel that returns `number` gives in a process that starts now."""
    jit._loaded.clear()
    return ask(jit.address("answer", lambda _: answer(number)))


def key_of(number: int) -> str:
    return jit._key(answer(number), host())


def path_of(folder: Path, number: int) -> Path:
    return folder / f"{key_of(number)}.kernel"


def code_of(number: int) -> bytes:
    return jit._compiled("answer", answer(number), host())


def packed(key: str, code: bytes, *, magic: bytes = b"TWKERNEL") -> bytes:
    """A file as the module's docstring describes it, written out once more."""
    digest = hashlib.sha256(code).digest()
    return magic + bytes.fromhex(key) + struct.pack("<Q", len(code)) + digest + code


def plant(folder: Path, content: bytes) -> Path:
    """Put a file where the object of 42 is looked for."""
    folder.mkdir(mode=0o700, exist_ok=True)
    path = path_of(folder, 42)
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def test_a_kernel_is_compiled_once_and_then_read(kernels: Path, compilations: list[str]) -> None:
    assert [call(), call(), call()] == [42, 42, 42]
    assert compilations == ["answer"]
    assert [path.name for path in kernels.iterdir()] == [f"{key_of(42)}.kernel"]
    assert path_of(kernels, 42).read_bytes() == packed(key_of(42), code_of(42))


def test_what_lies_in_the_place_is_run_if_it_may_be_trusted(kernels: Path, compilations: list[str]) -> None:
    # The other tests stand on this: but for the one fault that each of them makes, 41 would come.
    plant(kernels, packed(key_of(42), code_of(41)))
    compilations.clear()
    assert call() == 41
    assert compilations == []


@owned
def test_folder_and_files_are_for_this_user_only(kernels: Path) -> None:
    before = os.umask(0)
    try:
        call()
    finally:
        os.umask(before)
    assert kernels.stat().st_mode & 0o777 == 0o700
    assert path_of(kernels, 42).stat().st_mode & 0o777 == 0o600


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


HEADER = 80

BAD: dict[str, Callable[[], bytes]] = {
    # The code of 41 under the digest of 42: what was kept, damaged.
    "damaged": lambda: packed(key_of(42), code_of(42))[:HEADER] + code_of(41),
    "one bit of the code": lambda: flipped(packed(key_of(42), code_of(41)), HEADER + 100),
    "one bit of the digest": lambda: flipped(packed(key_of(42), code_of(41)), 50),
    "one bit of the length": lambda: flipped(packed(key_of(42), code_of(41)), 40),
    "one bit of the key": lambda: flipped(packed(key_of(42), code_of(41)), 8),
    "one bit of the magic": lambda: flipped(packed(key_of(42), code_of(41)), 7),
    "another key's": lambda: packed(key_of(41), code_of(41)),
    "another magic": lambda: packed(key_of(42), code_of(41), magic=b"TWKERNE2"),
    "cut short by a byte": lambda: packed(key_of(42), code_of(41))[:-1],
    "cut short in the header": lambda: packed(key_of(42), code_of(41))[:40],
    "empty": lambda: b"",
    "something after it": lambda: packed(key_of(42), code_of(41)) + b"\0",
    "a length beyond all memory": lambda: (
        packed(key_of(42), b"")[:40] + struct.pack("<Q", 2**63) + hashlib.sha256(b"").digest()
    ),
    "a bare object": lambda: code_of(41),
    "text": lambda: b"not a kernel\n" * 100,
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_object_is_replaced_and_never_run(kernels: Path, compilations: list[str], fault: str) -> None:
    path = plant(kernels, BAD[fault]())
    compilations.clear()
    assert call() == 42
    assert compilations == ["answer"]
    assert path.read_bytes() == packed(key_of(42), code_of(42)), "it was not replaced"
    compilations.clear()
    assert call() == 42
    assert compilations == [], "what replaced it is not used"


def test_a_whole_object_that_is_no_code_is_replaced(
    kernels: Path, compilations: list[str], capfd: Any
) -> None:
    plant(kernels, packed(key_of(42), b"not an object file" * 9))
    assert call() == 42
    assert compilations == ["answer"]
    assert path_of(kernels, 42).read_bytes() == packed(key_of(42), code_of(42))


@owned
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_an_object_that_others_may_write_to_is_not_run(
    kernels: Path, compilations: list[str], mode: int
) -> None:
    plant(kernels, packed(key_of(42), code_of(41))).chmod(mode)
    compilations.clear()
    assert call() == 42
    assert compilations == ["answer"]
    assert path_of(kernels, 42).stat().st_mode & 0o777 == 0o600


class _AnotherUsers:
    """A file's status, but for its owner."""

    def __init__(self, status: os.stat_result) -> None:
        self._status = status
        self.st_uid = status.st_uid + 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._status, name)


@owned
def test_another_users_object_is_not_run(
    kernels: Path, compilations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(kernels, packed(key_of(42), code_of(41)))
    compilations.clear()
    status_of = os.fstat
    with monkeypatch.context() as patched:
        patched.setattr(cache.os, "fstat", lambda handle: _AnotherUsers(status_of(handle)))
        assert call() == 42
    assert compilations == ["answer"]
    assert path_of(kernels, 42).read_bytes() == packed(key_of(42), code_of(42))


@owned
def test_another_users_folder_is_not_used(
    kernels: Path, compilations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plant(kernels, planted := packed(key_of(42), code_of(41)))
    compilations.clear()
    us = os.getuid()
    monkeypatch.setattr(cache.os, "getuid", lambda: us + 1)
    assert [call(), call()] == [42, 42]
    assert compilations == ["answer"] * 2
    assert path.read_bytes() == planted, "something was written to another user's folder"
    assert cache.info().state == "not used: it belongs to another user, or others may write to it"


@owned
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_a_folder_that_others_may_write_to_is_not_used(
    kernels: Path, compilations: list[str], mode: int
) -> None:
    path = plant(kernels, planted := packed(key_of(42), code_of(41)))
    kernels.chmod(mode)
    compilations.clear()
    assert [call(), call()] == [42, 42]
    assert compilations == ["answer"] * 2
    assert path.read_bytes() == planted
    assert cache.info().state == "not used: it belongs to another user, or others may write to it"


@owned
def test_a_link_to_an_object_is_not_followed(kernels: Path, compilations: list[str], tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    plant(kernels, content := packed(key_of(42), code_of(41))).rename(elsewhere)
    path_of(kernels, 42).symlink_to(elsewhere)
    compilations.clear()
    assert call() == 42
    assert compilations == ["answer"]
    assert not path_of(kernels, 42).is_symlink(), "the link was not replaced"
    assert elsewhere.read_bytes() == content, "what the link points to was written to"


@owned
def test_a_link_to_a_folder_is_not_followed(kernels: Path, compilations: list[str], tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    plant(kernels, packed(key_of(42), code_of(41)))
    kernels.rename(elsewhere)
    kernels.symlink_to(elsewhere)
    compilations.clear()
    assert [call(), call()] == [42, 42]
    assert compilations == ["answer"] * 2
    assert cache.info().state == "not used: it is not a folder"


@owned
def test_a_pipe_in_an_objects_place_is_not_waited_for(kernels: Path, compilations: list[str]) -> None:
    kernels.mkdir(mode=0o700)
    os.mkfifo(path_of(kernels, 42), 0o600)
    assert call() == 42
    assert path_of(kernels, 42).is_file()


def test_a_folder_in_an_objects_place_does_no_harm(kernels: Path, compilations: list[str]) -> None:
    kernels.mkdir(mode=0o700)
    path_of(kernels, 42).mkdir()
    assert [call(), call()] == [42, 42]
    assert compilations == ["answer"] * 2
    assert [path.name for path in kernels.iterdir()] == [path_of(kernels, 42).name], "a file was left over"


def test_a_file_in_the_folders_place_does_no_harm(kernels: Path, compilations: list[str]) -> None:
    kernels.write_text("mine")
    assert [call(), call()] == [42, 42]
    assert compilations == ["answer"] * 2
    assert kernels.read_text() == "mine"


@owned
def test_in_a_read_only_folder_nothing_is_kept(kernels: Path, compilations: list[str]) -> None:
    kernels.mkdir()
    kernels.chmod(0o500)
    try:
        if os.access(kernels, os.W_OK):
            pytest.skip("this user may write to read-only folders")
        assert [call(), call()] == [42, 42]
        assert compilations == ["answer"] * 2
        assert cache.info().state == "read only"
    finally:
        kernels.chmod(0o700)
    assert list(kernels.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT, errno.EMFILE])
@pytest.mark.parametrize("function", ["mkdir", "mkstemp", "replace", "write"])
def test_a_disk_that_takes_nothing_does_no_harm(
    kernels: Path,
    compilations: list[str],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    function: str,
) -> None:
    def fails(*arguments: object, **options: object) -> Any:
        raise OSError(number, os.strerror(number))

    class Full:
        """A file on a full disk."""

        def __init__(self, handle: int, mode: str) -> None:
            self.handle = handle

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *error: object) -> None:
            os.close(self.handle)

        write = fails

    module = {"mkdir": Path, "mkstemp": cache.tempfile, "replace": cache.os}
    if function == "write":
        # Reading finds nothing yet, so this is only called to write.
        monkeypatch.setattr(cache, "open", Full, raising=False)
    else:
        monkeypatch.setattr(module[function], function, fails)
    assert call() == 42
    assert compilations == ["answer"]
    assert not kernels.exists() or list(kernels.iterdir()) == []


def test_what_was_kept_in_a_folder_now_read_only_is_used(
    kernels: Path, compilations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    call()
    compilations.clear()
    monkeypatch.setattr(cache.os, "utime", read_only)
    assert call() == 42
    assert compilations == []


def test_without_a_home_folder_nothing_is_kept(
    compilations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("TILEWRIGHT_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert [call(), call()] == [42, 42]
    assert compilations == ["answer"] * 2
    assert cache.info() == cache.Info(None, "not used: no home folder is known", 0, 0, cache.LIMIT_BYTES)
    assert cache.clear() == (0, 0)


@pytest.mark.parametrize("word", ["off", "OFF"])
def test_it_can_be_turned_off(
    kernels: Path, compilations: list[str], monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    path = plant(kernels, planted := packed(key_of(42), code_of(41)))
    compilations.clear()
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", word)
    assert [call(), call()] == [42, 42]
    assert compilations == ["answer"] * 2
    assert path.read_bytes() == planted
    assert cache.info().state == "off (TILEWRIGHT_KERNEL_CACHE)"


@pytest.mark.parametrize(
    ("system", "environment", "expected"),
    [
        ("linux", {}, "home/.cache/tilewright/kernels"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "home/.cache/tilewright/kernels"),
        ("linux", {"XDG_CACHE_HOME": "/else"}, "/else/tilewright/kernels"),
        ("linux", {"TILEWRIGHT_CACHE": "/named"}, "/named/kernels"),
        ("darwin", {}, "home/Library/Caches/tilewright/kernels"),
        ("win32", {}, "home/AppData/Local/tilewright/tilewright/Cache/kernels"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/tilewright/tilewright/Cache/kernels"),
    ],
)
def test_where_platforms_keep_such_things(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    system: str,
    environment: dict[str, str],
    expected: str,
) -> None:
    for name in ("TILEWRIGHT_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    monkeypatch.setattr(sys, "platform", system)
    assert cache.folder() == tmp_path / expected


def test_every_part_of_a_key_counts() -> None:
    keys = [cache.key_of(*parts) for parts in (("a", "b"), ("ab",), ("ab", ""), ("", "ab"), ("a", "b", ""))]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 64 and int(key, 16) for key in keys)


@pytest.mark.parametrize(
    "change", ["ir", "llvm", "llvmlite", "triple", "cpu", "features", "format"], ids=lambda change: change
)
def test_whatever_the_code_depends_on_is_in_its_key(monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    parts = {name: "same" for name in ("triple", "cpu", "features")}
    versions = {"llvm": "22.1.0", "llvmlite": "0.50.0"}
    ir = answer(42)

    def key() -> str:
        monkeypatch.setattr(jit, "_versions", lambda: tuple(versions.values()))
        return jit._key(ir, Target("avx2", vector_bytes=32, registers=16, fused=True, **parts))

    before = key()
    assert key() == before
    if change == "ir":
        ir = answer(43)
    elif change == "format":
        monkeypatch.setattr(cache, "FORMAT", cache.FORMAT + 1)
    else:
        (parts if change in parts else versions)[change] = "another"
    assert key() != before


def fill(folder: Path, count: int, bytes: int) -> list[Path]:
    """Objects of one size, used one after another, the first the longest ago."""
    folder.mkdir(mode=0o700, exist_ok=True)
    paths = [folder / f"{cache.key_of(str(i))}.kernel" for i in range(count)]
    for age, path in enumerate(reversed(paths)):
        path.write_bytes(b"\0" * bytes)
        os.utime(path, (time.time() - 100 * (age + 1),) * 2)
    return paths


def test_the_longest_unused_are_dropped_when_there_are_too_many(
    kernels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = fill(kernels, 20, 1000)
    monkeypatch.setattr(cache, "LIMIT_BYTES", 20_500)
    cache.write(key_of(42), b"x" * 920)  # with its header another 1000 bytes
    # 21,000 bytes are above the limit; 15,000 are the first that are not above three quarters of it.
    assert [path.exists() for path in paths] == [False] * 6 + [True] * 14
    assert cache.read(key_of(42)) == b"x" * 920
    assert cache.info().bytes == 15_000


def test_an_object_that_is_used_stays(kernels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = b"x" * 920
    for i in range(20):
        cache.write(cache.key_of(str(i)), code)
        os.utime(kernels / f"{cache.key_of(str(i))}.kernel", (time.time() - 1000 + i,) * 2)
    assert cache.read(cache.key_of("0")) == code
    monkeypatch.setattr(cache, "LIMIT_BYTES", 20_500)
    cache.write(cache.key_of("20"), code)
    assert cache.read(cache.key_of("0")) == code
    assert cache.read(cache.key_of("1")) is None
    assert cache.read(cache.key_of("20")) == code


def test_the_limit_holds_while_one_process_writes_on(kernels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "LIMIT_BYTES", 10_000)
    for i in range(50):
        cache.write(cache.key_of(str(i)), b"x" * 920)
        assert cache.info().bytes <= 10_000
    assert cache.read(cache.key_of("49")) is not None


def test_only_what_processes_left_long_ago_is_removed(kernels: Path) -> None:
    kernels.mkdir(mode=0o700)
    old, new, other = kernels / "0123.old.tmp", kernels / "0123.new.tmp", kernels / "notes.txt"
    for path in (old, new, other):
        path.write_bytes(b"half")
    for path in (old, other):
        os.utime(path, (time.time() - 7200,) * 2)
    cache.write(key_of(42), b"x")
    assert [path.exists() for path in (old, new, other)] == [False, True, True]


def test_clearing_removes_kernels_and_nothing_else(kernels: Path, compilations: list[str]) -> None:
    call(41)
    call(42)
    other = kernels / "notes.txt"
    other.write_text("mine")
    size = sum(path.stat().st_size for path in kernels.glob("*.kernel"))
    assert (cache.info().objects, cache.info().bytes, cache.info().state) == (2, size, "in use")
    assert cache.clear() == (2, size)
    assert list(kernels.iterdir()) == [other]
    assert cache.clear() == (0, 0)
    compilations.clear()
    assert call() == 42
    assert compilations == ["answer"]


@owned
def test_a_folder_that_others_may_write_to_is_not_cleared(kernels: Path) -> None:
    path = plant(kernels, b"theirs")
    kernels.chmod(0o777)
    with pytest.raises(StateError) as caught:
        cache.clear()
    assert str(caught.value) == (
        "Kernels are removed only from a folder that is the user's own. "
        f"Received: folder={str(kernels)!r}. "
        "It is not used: it belongs to another user, or others may write to it."
    )
    assert path.exists()


COMPILE_WHEN_TOLD = """
import sys
from tilewright.kernel import jit
from kernel.small_kernels import answer, ask

assert jit.available()
print("ready", flush=True)
sys.stdin.readline()
print([ask(jit.address(f"f{i}", lambda _: answer(i, f"f{i}"))) for i in range(20)], flush=True)
"""


def test_ten_processes_that_start_at_once_share_one_folder(kernels: Path) -> None:
    tests = str(Path(__file__).resolve().parent.parent)
    paths = os.pathsep.join([tests, *filter(None, [os.environ.get("PYTHONPATH")])])
    with contextlib.ExitStack() as stack:
        children = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", COMPILE_WHEN_TOLD],
                    env={**os.environ, "PYTHONPATH": paths},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(10)
        ]
        for child in children:
            assert child.stdout is not None and child.stdin is not None
            assert child.stdout.readline() == "ready\n", child.communicate()[1]
        for child in children:
            child.stdin.write("go\n")  # type: ignore[union-attr]
            child.stdin.flush()  # type: ignore[union-attr]
        for child in children:
            out, errors = child.communicate()
            assert (child.returncode, out, errors) == (0, f"{list(range(20))}\n", "")
    assert len(list(kernels.iterdir())) == 20, "one object for each kernel, and nothing left over"
    assert all(cache.read(path.stem) is not None for path in kernels.iterdir())
