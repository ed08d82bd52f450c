"""Whether scikit-learn is there, and new enough."""

from __future__ import annotations

from tilewright.errors import need_extra


def check_scikit_learn() -> None:
    """Import what only scikit-learn 1.6 and newer have.

    Raises:
        MissingExtraError: it isn't there.
    """
    try:
        from sklearn.utils.validation import validate_data  # noqa: F401
    except ImportError as error:
        raise need_extra("scikit-learn (1.6 or newer)", "sklearn", "tilewright.bridge.sklearn") from error
