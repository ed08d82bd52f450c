"""Docstrings as Markdown: examples, tables and references to names, as the API pages need them.

An extension of griffe, which reads the source for the pages. Docstrings are written to be read in a terminal;
here ``:func:`name``` becomes a link, an example (``>>>``) a block of code, and a table drawn with signs one
of Markdown's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import griffe

#: From what stands in a reference to the full name of an object, or nothing if there is none.
Resolve = Callable[[str], str]

_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr):`(~?)([^`]+)`")
_BORDER = re.compile(r"^ *=+(?: +=+)+ *$")
# A star before a word, as in (batch, channels, *spatial), is no emphasis.
_STAR = re.compile(r"(?<![\w*\\`])\*(?=[A-Za-z_]+(?:[\s),;:.\]]|$))")


class DocstringMarkdown(griffe.Extension):
    """Rewrites every docstring of a package once all of it is known."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Called by griffe with the whole package."""
        for found in _objects(pkg):
            if found.docstring is not None:
                found.docstring.value = to_markdown(found.docstring.value, _resolver(found))


def to_markdown(text: str, resolve: Resolve) -> str:
    """A docstring, rewritten."""
    lines = text.split("\n")
    found: list[str] = []
    place = 0
    while place < len(lines):
        line = lines[place]
        indent = line[: len(line) - len(line.lstrip())]
        if line.lstrip().startswith(">>> "):
            end = _end(lines, place, lambda other: not other.strip())
            found += [f"{indent}```pycon", *lines[place:end], f"{indent}```"]
        elif _BORDER.match(line):
            borders = [n for n in range(place, len(lines)) if _BORDER.match(lines[n])]
            end = _end(lines, place, lambda other: not other.strip())
            borders = [n for n in borders if n < end]
            found += _table(lines[place : borders[-1] + 1], indent, resolve)
            end = borders[-1] + 1
        elif len(indent) >= 4 and _is_block(lines, place):
            # Code, drawings: as they are. (In a section, Markdown sees the lines with its indent taken off.)
            end = place + 1
            found.append(line)
        else:
            end = place + 1
            found.append(_prose(line, resolve))
        place = end
    return "\n".join(found)


def _end(lines: list[str], start: int, is_end: Callable[[str], bool]) -> int:
    return next((n for n in range(start, len(lines)) if is_end(lines[n])), len(lines))


def _is_block(lines: list[str], place: int) -> bool:
    """Whether an indented line belongs to a block of its own: what stands before it ends at a blank line."""
    while place > 0 and lines[place].startswith("    "):
        place -= 1
    return not lines[place].strip()


def _prose(line: str, resolve: Resolve) -> str:
    """A line of text: references become links, stars before words stay stars; code is left alone."""
    pieces = re.split(r"(:\w+:`[^`]+`|``[^`]+``|`[^`]+`)", line)
    return "".join(
        piece
        if number % 2 and not piece.startswith(":")
        else _ROLE.sub(lambda m: _link(m, resolve), _STAR.sub(r"\\*", piece))
        for number, piece in enumerate(pieces)
    )


def _link(match: re.Match[str], resolve: Resolve) -> str:
    short, name = match.groups()
    shown = name.rpartition(".")[2] if short else name
    target = resolve(name)
    # Optional: what no page shows is named, and not linked.
    return f'<autoref identifier="{target}" optional>`{shown}`</autoref>' if target else f"`{shown}`"


def _table(lines: list[str], indent: str, resolve: Resolve) -> list[str]:
    """A table drawn with lines of "=" over its columns; three lines of them: the first row is its head."""
    columns = [(match.start(), match.end()) for match in re.finditer("=+", lines[0])]
    rows: list[list[str]] = []
    head: list[str] = []
    for line in lines[1:]:
        if _BORDER.match(line):
            if line is not lines[-1]:
                head, rows = rows[0], []
            continue
        # The last column is as long as its text.
        ends = [end for _, end in columns[:-1]] + [len(line)]
        cells = [line[start:end].strip() for (start, _), end in zip(columns, ends, strict=True)]
        if cells[0] or not rows:
            rows.append(cells)
        else:
            rows[-1] = [f"{old} {new}".strip() for old, new in zip(rows[-1], cells, strict=True)]
    head = head or [""] * len(columns)
    made = [head, ["---"] * len(columns), *rows]
    written = [
        f"{indent}| {' | '.join(_prose(cell.replace('|', chr(92) + '|'), resolve) for cell in row)} |"
        for row in made
    ]
    return ["", *written, ""]


def _objects(found: Any) -> Iterator[Any]:
    yield found
    for member in found.members.values():
        if not member.is_alias:
            yield from _objects(member)


def _resolver(found: Any) -> Resolve:
    """Names as the code around a docstring means them: of its class, of its module, imported, or in full."""

    def resolve(name: str) -> str:
        scope = found
        while scope is not None:
            target = _member(scope, name)
            if target is not None:
                return target
            scope = scope.parent
        return name if name.startswith("tilewright.") else ""

    return resolve


def _member(scope: Any, name: str) -> str | None:
    for part in name.split("."):
        member = scope.members.get(part)
        if member is None:
            return None
        try:
            scope = member.final_target if member.is_alias else member
        except griffe.GriffeError:
            return None
    return str(scope.path)
