"""The names that ``import tilewright as tw`` brings."""

from __future__ import annotations

import tilewright as tw
from tilewright.kernel import threads


def test_every_public_name_is_there_and_listed_once() -> None:
    assert len(set(tw.__all__)) == len(tw.__all__)
    for name in tw.__all__:
        assert hasattr(tw, name), name
    assert set(tw.__all__) <= set(dir(tw))


def test_threads_are_set_from_the_package() -> None:
    assert {"get_num_threads", "set_num_threads"} <= set(tw.__all__)
    before = tw.get_num_threads()
    try:
        tw.set_num_threads(before + 1)
        assert tw.get_num_threads() == threads.get_num_threads() == before + 1
    finally:
        tw.set_num_threads(before)
