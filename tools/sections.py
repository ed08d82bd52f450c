"""Parts of a page that are written by a program, between two comments that name them."""

from __future__ import annotations

from pathlib import Path


def put(text: str, name: str, lines: str) -> str:
    """The page with its part of this name replaced."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise SystemExit(f"The page needs one {begin} and one {end}.")
    before, _, rest = text.partition(begin)
    after = rest.partition(end)[2]
    return f"{before}{begin}\n\n{lines.strip()}\n\n{end}{after}"


def bring_up_to_date(page: Path, parts: dict[str, str], *, check: bool) -> int:
    """Write the parts into the page, or only say whether they stand there: an exit status."""
    old = page.read_text(encoding="utf-8")
    new = old
    for name, lines in parts.items():
        new = put(new, name, lines)
    if new == old:
        return 0
    if check:
        print(f"{page.name} isn't what the code says: run make pages")
        return 1
    page.write_text(new, encoding="utf-8")
    return 0
