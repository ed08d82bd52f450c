"""What every test may rely on: where real data lies, how hypothesis searches, and a clean repository."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parent.parent

# Tools keep these beside the code, whatever a test does.
LEFT_BY_TOOLS = {
    ".coverage",
    ".hypothesis",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    "__pycache__",
}

# No test opens a window, and neither does a program that a test starts.
os.environ["MPLBACKEND"] = "Agg"


def _let_children_import_this_checkout() -> None:
    """Put src/ first on PYTHONPATH, as pytest's `pythonpath` does for this process alone."""
    source = str(REPOSITORY / "src")
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path not in ("", source)]
    os.environ["PYTHONPATH"] = os.pathsep.join([source, *others])


_let_children_import_this_checkout()


def pytest_configure(config: pytest.Config) -> None:
    """Keep what tests compile or download in a folder that goes when they end, not in the user's cache.

    The processes of pytest-xdist inherit it from the one that starts them: what one of them compiles serves
    all. A test that is about the folder names another.
    """
    if not hasattr(config, "workerinput"):
        folder = tempfile.TemporaryDirectory(prefix="tilewright-tests-", ignore_cleanup_errors=True)
        config.add_cleanup(folder.cleanup)
        os.environ["TILEWRIGHT_CACHE"] = folder.name


def _examples_per_test() -> int:
    """Cases that hypothesis draws for a test that doesn't say: $TILEWRIGHT_EXAMPLES, or its own default."""
    asked = os.environ.get("TILEWRIGHT_EXAMPLES", "")
    if not asked:
        return settings.default.max_examples
    if not asked.isdecimal() or int(asked) == 0:
        raise pytest.UsageError(f"TILEWRIGHT_EXAMPLES must be a whole number above 0. Received: {asked!r}.")
    return int(asked)


# No deadline in either: compiling and page faults make the first case of a test slower than the rest.
settings.register_profile("ci", deadline=None, derandomize=True, max_examples=_examples_per_test())
settings.register_profile("deep", deadline=None, derandomize=False, max_examples=10 * _examples_per_test())
# `--hypothesis-profile=deep` is applied after this line, and so wins.
settings.load_profile("ci")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data sets: $TILEWRIGHT_DATA, or shared/data beside the repository."""
    named = os.environ.get("TILEWRIGHT_DATA", "")
    if named:
        root = Path(named).expanduser()
        # Whoever names a folder wants these tests run: a slip in its name must not pass for a skip.
        if not root.is_dir():
            pytest.fail(f"TILEWRIGHT_DATA must name a folder. Received: {named!r}.", pytrace=False)
        return root.resolve()
    root = REPOSITORY.parent / "shared" / "data"
    if not root.is_dir():
        pytest.skip("needs real data: set TILEWRIGHT_DATA to a folder with mnist/, fashion_mnist/, …")
    return root


def _entries_of_repository() -> set[str]:
    return {name for name in os.listdir(REPOSITORY) if name not in LEFT_BY_TOOLS}


@pytest.fixture(autouse=True)
def repository_stays_clean() -> Iterator[None]:
    """Fail a test that leaves something in the repository's top folder, where a commit may pick it up."""
    before = _entries_of_repository()
    yield
    left = sorted(_entries_of_repository() - before)
    if left:
        pytest.fail(
            f"While this test ran, the repository's top folder gained: {', '.join(left)}. Tests write to "
            "tmp_path. (With -n, it may have been a test that another process ran at the same time.)",
            pytrace=False,
        )
