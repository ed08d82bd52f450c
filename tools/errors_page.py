"""Writes the tables of ``docs/errors.md``, every class of error and every refusal, from the source.

``python tools/errors_page.py`` writes them; with ``--check`` it says whether they are as the source has them.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from refusals import Kind, Refusal, Source
from sections import bring_up_to_date

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/errors.md"

# The rooms in the order in which a user meets them, and what refuses there.
_ROOMS = {
    "functional": "`tw.functional`: what the functions ask of their arguments before anything is computed.",
    "nn": "`tw.nn`: layers, containers, state dicts, initialisers and ready models.",
    "autograd": "`tw.Tensor` and the functions on tensors; the tape.",
    "op": "The one door for arrays, behind functions and layers alike: shapes, dtypes and values.",
    "geometry": "Sizes, strides, padding and what follows from them; files of shapes.",
    "optim": "`tw.optim`: optimisers, schedules, averages.",
    "data": "`tw.data`: data sets, files, batches, augmentation.",
    "train": "`tw.train`: the trainer, its settings, run folders and checkpoints.",
    "lens": "`tw.lens`: pictures.",
    "bridge": "`tw.bridge`: other libraries' ways of calling.",
    "bench": "The benchmark.",
    "cli": "The command `tilewright`.",
    "plan": "Instruction sets and precision.",
    "kernel": "Threads and compiled code. Kernels themselves trust their input: it was checked before.",
    "reference": "The definition.",
    "": "What all others stand on.",
}


def parts(source: Source) -> dict[str, str]:
    """The generated parts of the page, by name."""
    refusals = source.refusals()
    return {"classes": _classes(source.kinds(), refusals), "refusals": "\n".join(_rooms(source, refusals))}


def _classes(kinds: list[Kind], refusals: list[Refusal]) -> str:
    lines = ["| class | is also | when | in the tables |", "|---|---|---|---|"]
    counts = Counter(refusal.kind for refusal in refusals)
    for kind in kinds:
        name = f"`{kind.name}`" if kind.module == "errors" else f"`{kind.name}` of `tilewright.{kind.module}`"
        also = ", ".join(f"`{base}`" for base in kind.bases if base != "Exception")
        says = _cell(re.sub(r":\w+:`([^`]+)`", r"`\1`", kind.says).replace("``", "`"))
        lines.append(f"| {name} | {also} | {says} | {counts[kind.name]} |")
    return "\n".join(lines)


def _rooms(source: Source, refusals: list[Refusal]) -> Iterator[str]:
    yield f"There are {len(refusals)}.\n"
    by_room: dict[str, list[Refusal]] = {room: [] for room in _ROOMS}
    for refusal in refusals:
        room = refusal.module.partition(".")[0]
        by_room[room if room in _ROOMS else ""].append(refusal)
    for room, found in by_room.items():
        if found:
            yield f"### {room or 'the top folder'}\n\n{_ROOMS[room]}\n"
            yield from _room(source, found)


def _room(source: Source, refusals: list[Refusal]) -> Iterator[str]:
    for module in dict.fromkeys(refusal.module for refusal in refusals):
        yield f"#### {source.path_of(module)}\n"
        yield "| raised by | class | rule | received | what would do |\n|---|---|---|---|---|"
        for refusal in refusals:
            if refusal.module == module:
                texts = (refusal.rule, refusal.received, refusal.advice)
                cells = ["<br>".join(map(_cell, text)) for text in texts]
                yield f"| `{refusal.where}` | {refusal.kind} | {' | '.join(cells)} |"
        yield ""


def _cell(text: str) -> str:
    """A text in a cell: what Markdown would take for markup is written out, except in `code`."""
    pieces = text.replace("\n", " ").split("`")
    if len(pieces) % 2 == 0:  # a lone backtick is a sign like any other
        pieces = ["\\`".join(pieces)]
    for place in range(0, len(pieces), 2):
        escaped = re.sub(r"([*_\[\]|~])", r"\\\1", pieces[place])
        pieces[place] = escaped.replace("<", "&lt;").replace(">", "&gt;")
    return "`".join(pieces)


def main(arguments: list[str]) -> int:
    """Write the tables, or with ``--check`` say whether they are up to date."""
    source = Source(ROOT / "src/tilewright")
    return bring_up_to_date(PAGE, parts(source), check="--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
