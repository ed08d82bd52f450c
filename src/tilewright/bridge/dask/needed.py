"""Whether Dask's arrays are there."""

from __future__ import annotations

from tilewright.errors import need_extra


def check_dask() -> None:
    """Import Dask's arrays.

    Raises:
        MissingExtraError: they aren't there.
    """
    try:
        import dask.array  # noqa: F401
    except ImportError as error:
        raise need_extra("dask", "dask", "tilewright.bridge.dask") from error
