"""Docstrings become Markdown: examples, tables, references, stars."""

from __future__ import annotations

import pytest

pytest.importorskip("griffe", reason="reads the source for the API pages: pip install 'tilewright[docs]'")

from docstring_markdown import to_markdown

_KNOWN = {"conv": "tilewright.functional.conv.conv", "tilewright.nn.Conv2d": "tilewright.nn.conv.Conv2d"}


def _resolve(name: str) -> str:
    return _KNOWN.get(name, "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Plain text.", "Plain text."),
        (
            "See :func:`conv`.",
            'See <autoref identifier="tilewright.functional.conv.conv" optional>`conv`</autoref>.',
        ),
        (
            "A :class:`~tilewright.nn.Conv2d`",
            'A <autoref identifier="tilewright.nn.conv.Conv2d" optional>`Conv2d`</autoref>',
        ),
        ("An :func:`unknown` one", "An `unknown` one"),
        ("(batch, *spatial) or *spatial", r"(batch, \*spatial) or \*spatial"),
        ("**bold** and ``a * b`` and 2 * 3", "**bold** and ``a * b`` and 2 * 3"),
        ("Before.\n\n>>> f(1)\n2", "Before.\n\n```pycon\n>>> f(1)\n2\n```"),
        ("Before.\n\n>>> f(1)\n2\n\nAfter.", "Before.\n\n```pycon\n>>> f(1)\n2\n```\n\nAfter."),
        ("Code:\n\n    x = *y\n", "Code:\n\n    x = *y\n"),
    ],
)
def test_texts(text: str, expected: str) -> None:
    assert to_markdown(text, _resolve) == expected


def test_a_table_with_a_head() -> None:
    text = (
        "======  =========\n"
        "name    meaning\n"
        "======  =========\n"
        "one     a|b\n"
        "two     :func:`conv`, which is\n"
        "        longer than its column\n"
        "======  =========\n"
        "\nAfter."
    )
    link = '<autoref identifier="tilewright.functional.conv.conv" optional>`conv`</autoref>'
    assert to_markdown(text, _resolve).split("\n") == [
        "",
        "| name | meaning |",
        "| --- | --- |",
        r"| one | a\|b |",
        f"| two | {link}, which is longer than its column |",
        "",
        "",
        "After.",
    ]


def test_a_table_without_a_head() -> None:
    text = "===  ===\na    b\n===  ==="
    assert to_markdown(text, _resolve).split("\n") == ["", "|  |  |", "| --- | --- |", "| a | b |", ""]
