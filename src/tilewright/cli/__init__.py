"""The command ``tilewright``: parsing and printing.

train, resume, compare, predict, summary, info, explain, bench, cache, motion.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code.

    ==== ==========================================================
    0    all went well
    1    part of the work failed (some images of several)
    2    bad usage, a bad file, a missing package, or a full disk
    130  stopped by Ctrl-C
    ==== ==========================================================

    Without click and rich it prints one sentence that says how to install them, and gives 1.

    Args:
        arguments: what follows the program's name; None: those of the process.
    """
    try:
        import click  # noqa: F401
        import rich  # noqa: F401
    except ImportError as error:
        print(
            f"The tilewright command needs the package {error.name}, which is not installed. "
            "Install it with: pip install 'tilewright[cli]'.",
            file=sys.stderr,
        )
        return 1
    from tilewright.cli.app import run

    return run(arguments)


__all__ = ["main"]
