"""The table of refusals is what the source says, and the source says it in the one format."""

from __future__ import annotations

import re
from pathlib import Path

import errors_page
import numpy as np
import pytest
from refusals import CLOSE, OPEN, Refusal, Source
from sections import put

from tilewright import errors, functional

_ROOT = Path(__file__).resolve().parents[2]
# What a rule may begin with in lower case: the name of a function, a command or an option, and what it does.
_NAMED = re.compile(r"(tilewright )?-{0,2}[a-z][\w.]*=? ([a-z]+s|must|can|can't) ")
_PAGE = (_ROOT / "docs/errors.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def source() -> Source:
    return Source(_ROOT / "src/tilewright")


@pytest.fixture(scope="module")
def refusals(source: Source) -> list[Refusal]:
    return source.refusals()


def test_the_page_is_up_to_date(source: Source) -> None:
    text = _PAGE
    for name, lines in errors_page.parts(source).items():
        text = put(text, name, lines)
    assert text == _PAGE, "docs/errors.md isn't what the source says: run make pages"


def test_the_message_that_it_begins_with_is_a_real_one() -> None:
    shown = " ".join(re.findall(r"```text\n(.*?)```", _PAGE, re.DOTALL)[0].split())
    with pytest.raises(errors.ShapeError) as caught:
        functional.conv2d(np.ones((4, 4)), np.ones((1, 1, 3, 3)))
    assert shown == f"ShapeError: {caught.value}"


def test_the_family_is_the_one_there_is(source: Source) -> None:
    found = {kind.name: kind for kind in source.kinds()}
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, errors.TilewrightError):
            assert found[name].module == "errors"
            assert found[name].bases == tuple(base.__name__ for base in value.__bases__)
    assert {"OutOfRangeError", "ModuleKeyError", "SampleIndexError"} <= set(found)


def test_every_refusal_is_a_sentence(refusals: list[Refusal]) -> None:
    assert len(refusals) > 800
    for one in refusals:
        assert one.rule, one
        for rule in one.rule:
            assert re.search(rf"[.{CLOSE}]$", rule), one
            assert rule[0].isupper() or rule[0] in f"{OPEN}'`" or _NAMED.match(rule), one
        for advice in one.advice:
            assert advice[-1] in f".?{CLOSE}", one
        for received in one.received:
            # It stands between "Received: " and a full stop.
            assert not received.endswith("."), one


def test_hardly_a_refusal_says_nothing_of_what_came(refusals: list[Refusal]) -> None:
    """What may say nothing: where nothing came, or where it is the moment that was wrong."""
    silent = [
        one for one in refusals if not one.received and one.kind not in ("MissingExtraError", "StateError")
    ]
    assert len(silent) < 20, silent


def test_a_source_is_read_as_python_would_put_it_together(tmp_path: Path) -> None:
    (tmp_path / "errors.py").write_text(
        "class TilewrightError(Exception):\n    '''Base.'''\n"
        "class ShapeError(TilewrightError, ValueError):\n    '''A size.'''\n"
        "def wrong(name, rule):\n    return ShapeError(f'{name} {rule}.', describe(**{name: 1}))\n"
    )
    (tmp_path / "op.py").write_text(
        "from tilewright.errors import ShapeError, describe, wrong\n"
        "KINDS = ('a', 'b')\n"
        "class Thing:\n"
        "    def call(self, x, n):\n"
        "        advice = '' if n else 'Try again.'\n"
        "        if x:\n"
        '            raise ShapeError(f\'{self._get_name()} needs one of {", ".join(KINDS)}, '
        "rank {n + 2}.',\n"
        "                             describe(x=x, n=n), advice)\n"
        "        raise wrong('x', 'needs a size')\n"
        "def said():\n"
        "    raise ShapeError('one.' if n else f'{len(KINDS)} of {type(n).__name__}.')\n"
    )
    first, second, third = Source(tmp_path).refusals()
    layer, rank = f"{OPEN}layer{CLOSE}", f"{OPEN}n + 2{CLOSE}"
    assert first == Refusal(
        "op",
        "Thing.call",
        "ShapeError",
        (f"{layer} needs one of a, b, rank {rank}.",),
        ("x, n",),
        ("Try again.",),
    )
    assert second == Refusal("op", "Thing.call", "ShapeError", ("x needs a size.",), ("x",), ())
    assert third == Refusal("op", "said", "ShapeError", ("one.", f"2 of {OPEN}type of n{CLOSE}."), (), ())


def test_what_markdown_would_take_for_markup_is_written_out() -> None:
    assert errors_page._cell("a|b *c _d [e] <f> `g_h`") == r"a\|b \*c \_d \[e\] &lt;f&gt; `g_h`"
    assert errors_page._cell("it`s") == r"it\`s"


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(SystemExit, match="needs one <!-- x: begin -->"):
        put("nothing", "x", "lines")
