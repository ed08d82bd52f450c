"""Loops, branches and choices of the builder against Python's own, and the text that they become."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from kernel.built import TARGETS, built

from tilewright.kernel import jit
from tilewright.kernel.builder import Function, Value, vector
from tilewright.plan import Target, named

pytest.importorskip("llvmlite", reason="compiles through LLVM")

every_target = pytest.mark.parametrize("target", [named(name) for name in TARGETS], ids=str)


@pytest.fixture(autouse=True)
def nothing_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEWRIGHT_KERNEL_CACHE", "off")


def note(f: Function, value: Value, seen: Value) -> None:
    """Appends a number to a list whose first word is its length."""
    length = f.load("i64", seen) + 1
    f.store(value, seen, length)
    f.store(length, seen)


def noted(seen: Any) -> list[int]:
    return [int(number) for number in seen[1 : 1 + seen[0]]]


# -- loops -----------------------------------------------------------------------------------------

RANGES = [
    (start, stop, step) for start, stop, step in itertools.product((-3, 0, 4), (-4, 0, 1, 4, 9), (1, 2, 5))
]


@every_target
@pytest.mark.parametrize("surely", [False, True])
def test_a_loop_counts_as_range_does(target: Target, surely: bool) -> None:
    def body(f: Function) -> None:
        with f.loop(f["stop"], start=f["start"], step=f["step"], surely=surely) as i:
            note(f, i, f["seen"])

    run = built(target, {"start": "i64", "stop": "i64", "step": "i64", "seen": "ptr"}, body)
    for start, stop, step in RANGES:
        seen = np.zeros(20, np.int64)
        run(start, stop, step, seen)
        expected = list(range(start, stop, step))
        # One that surely runs does so once even where there is nothing to count.
        assert noted(seen) == (expected or [start] if surely else expected)


@every_target
@pytest.mark.parametrize("surely", [False, True])
def test_what_is_carried_changes_hands_all_at_once(target: Target, surely: bool) -> None:
    def body(f: Function) -> None:
        loop = f.loop(f["n"], carry=[f.integer(0), f.integer(1)], surely=surely)
        with loop:
            a, b = loop.carried
            loop.carry([b, a + b])
        f.give(loop.results[0])

    fibonacci = built(target, {"n": "i64"}, body, "i64")
    expected = [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]
    for n, number in enumerate(expected):
        if n or not surely:
            assert fibonacci(n) == number
    assert fibonacci(-5) == (1 if surely else 0)


@every_target
def test_the_last_round_s_values_come_out_of_either_kind_of_loop(target: Target) -> None:
    for surely in (False, True):

        def body(f: Function, surely: bool = surely) -> None:
            loop = f.loop(f["n"], carry=[f.number("double", 0), f["p"]], surely=surely)
            with loop as i:
                total, place = loop.carried
                # What is carried may be an index, a float, a pointer.
                total = total + f.load("double", place) * f.convert(i, "double")
                loop.carry([total, f.at(place, "double", 2)])
            f.store(f.load("double", loop.results[1]), f["next"])
            f.give(loop.results[0])

        x, after = np.arange(10.0) ** 2, np.zeros(1)
        run = built(target, {"p": "ptr", "n": "i64", "next": "ptr"}, body, "double")
        for n in range(1, 5):
            assert run(x, n, after) == sum(x[2 * i] * i for i in range(n))
            assert after[0] == x[2 * n]


@every_target
def test_loops_within_loops(target: Target) -> None:
    def body(f: Function) -> None:
        outer = f.loop(f["n"], carry=[f.integer(0)])
        with outer as i:
            middle = f.loop(i, carry=outer.carried, name="middle")
            with middle as j:
                inner = f.loop(3, start=j, carry=middle.carried, name="inner")
                with inner as k:
                    note(f, i * 100 + j * 10 + k, f["seen"])
                    inner.carry([inner.carried[0] + k])
                middle.carry(inner.results)
            outer.carry(middle.results)
        f.give(outer.results[0])

    seen = np.zeros(100, np.int64)
    total = built(target, {"n": "i64", "seen": "ptr"}, body, "i64")(5, seen)
    rounds = [(i, j, k) for i in range(5) for j in range(i) for k in range(j, 3)]
    assert noted(seen) == [i * 100 + j * 10 + k for i, j, k in rounds]
    assert total == sum(k for _, _, k in rounds)


@every_target
def test_vectors_are_carried(target: Target) -> None:
    lanes = target.vector_bytes // 4
    type = vector(lanes, "float")

    def body(f: Function) -> None:
        loop = f.loop(f["n"], carry=[f.number(type, 1)], surely=True)
        with loop as i:
            loop.carry([loop.carried[0] * f.load(type, f["x"], i * lanes)])
        f.store(loop.results[0], f["out"])

    x = np.random.default_rng(0).integers(-2, 3, (6, lanes)).astype(np.float32)
    out = np.zeros(lanes, np.float32)
    built(target, {"n": "i64", "x": "ptr", "out": "ptr"}, body)(6, x, out)
    np.testing.assert_array_equal(out, np.prod(x, axis=0))


def test_what_is_carried_must_be_handed_on() -> None:
    f = Function("f", named("neon"), {})
    with (
        pytest.raises(AssertionError, match="every round must hand on what is carried"),
        f.loop(3, carry=[f.integer(0)]),
    ):
        f.comment("nothing is handed on")
    loop = f.loop(3, carry=[f.integer(0)])
    message = r"a round hands on \['double'\] where the next takes \['i64'\]"
    with pytest.raises(AssertionError, match=message), loop:
        loop.carry([f.number("double", 0)])


def test_an_error_inside_is_not_hidden_by_the_loop() -> None:
    f = Function("f", named("neon"), {"c": "i1"})
    with pytest.raises(ZeroDivisionError), f.loop(3, carry=[f.integer(0)]):
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), f.either(f["c"], "i64"):
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), f.when(f["c"]):
        raise ZeroDivisionError


# -- branches --------------------------------------------------------------------------------------


@every_target
def test_when(target: Target) -> None:
    def body(f: Function) -> None:
        with f.loop(f["n"]) as i:
            with f.when((i % 2).equals(0)):
                note(f, i, f["seen"])
                with f.when((i % 3).equals(0)):
                    note(f, i * 100, f["seen"])
            with f.when(i.equals(7)), f.loop(2) as j:
                note(f, j - 5, f["seen"])

    seen = np.zeros(50, np.int64)
    built(target, {"n": "i64", "seen": "ptr"}, body)(9, seen)
    expected = []
    for i in range(9):
        if i % 2 == 0:
            expected.append(i)
            if i % 3 == 0:
                expected.append(i * 100)
        if i == 7:
            expected += [-5, -4]
    assert noted(seen) == expected


@every_target
def test_either_does_one_thing_only(target: Target) -> None:
    def body(f: Function) -> None:
        there = f["p"].differs(f.null())
        with f.either(there, "double") as choice:
            choice.yes(f.load("double", f["p"]))
            choice.otherwise()
            choice.no(f.number("double", -1))
        f.give(choice.result)

    run = built(target, {"p": "ptr"}, body, "double")
    assert run(np.array([2.5])) == 2.5
    assert run(None) == -1


@every_target
def test_choices_within_choices_and_loops(target: Target) -> None:
    def body(f: Function) -> None:
        loop = f.loop(f["n"], carry=[f.integer(0)])
        with loop as i:
            with f.either((i % 2).equals(0), "i64") as even:
                with f.either(i < 4, "i64") as small:
                    small.yes(i + 1000)
                    small.otherwise()
                    inner = f.loop(i, carry=[f.integer(0)])
                    with inner as j:
                        inner.carry([inner.carried[0] + j])
                    small.no(inner.results[0])
                even.yes(small.result)
                even.otherwise()
                with f.when(i > 4):
                    note(f, i, f["seen"])
                even.no(i * -1)
            loop.carry([loop.carried[0] * 3 + even.result])
        f.give(loop.results[0])

    seen = np.zeros(20, np.int64)
    total = built(target, {"n": "i64", "seen": "ptr"}, body, "i64")(9, seen)
    expected = 0
    for i in range(9):
        expected = expected * 3 + (-i if i % 2 else i + 1000 if i < 4 else sum(range(i)))
    assert total == expected
    assert noted(seen) == [5, 7]


@every_target
def test_select_takes_lanes_from_both(target: Target) -> None:
    lanes = target.vector_bytes // 8
    type = vector(lanes, "double")

    def body(f: Function) -> None:
        a, b = f.load(type, f["a"]), f.load(type, f["b"])
        f.store(f.select(a < b, a, b), f["out"])
        f.store(f.select(a < b, a, 7), f["out"], lanes)
        f.store(f.select(f["n"] > 0, a, b), f["out"], 2 * lanes)

    a, b = np.random.default_rng(0).standard_normal((2, lanes))
    run = built(target, {"a": "ptr", "b": "ptr", "out": "ptr", "n": "i64"}, body)
    for n in (0, 1):
        out = np.zeros((3, lanes))
        run(a, b, out, n)
        np.testing.assert_array_equal(out, [np.where(a < b, a, b), np.where(a < b, a, 7), a if n else b])


# -- text ------------------------------------------------------------------------------------------

TOTAL = """
define double @total(ptr %p, i64 %n) nounwind {
entry:
  br label %loop.1
loop.1:
  %v4 = phi i64 [ 0, %entry ], [ %v10, %loop.body.2 ]
  %v5 = phi double [ 0x0000000000000000, %entry ], [ %v9, %loop.body.2 ]
  %v6 = icmp slt i64 %v4, %n
  br i1 %v6, label %loop.body.2, label %loop.exit.3
loop.body.2:
  ; one more
  %v7 = getelementptr inbounds double, ptr %p, i64 %v4
  %v8 = load double, ptr %v7, align 8
  %v9 = fadd double %v5, %v8
  %v10 = add i64 %v4, 1
  br label %loop.1
loop.exit.3:
  ret double %v5
}
"""


def total(target: Target) -> str:
    f = Function("total", target, {"p": "ptr", "n": "i64"}, returns="double")
    loop = f.loop(f["n"], carry=[f.number("double", 0)])
    with loop as i:
        f.comment("one more")
        loop.carry([loop.carried[0] + f.load("double", f["p"], i)])
    f.give(loop.results[0])
    return f.text()


def test_a_loop_reads_like_one() -> None:
    assert total(named("neon")) == TOTAL


def test_the_same_function_is_the_same_text() -> None:
    assert total(named("avx2")) == total(named("avx2"))


def test_a_vector_of_one_number_says_it_once() -> None:
    f = Function("f", named("avx512"), {"x": "ptr"})
    type = vector(16, "float")
    f.store(f.load(type, f["x"]) * 0.5 + 0, f["x"])
    text = f.text()
    assert "fmul <16 x float> %v1, splat (float 0x3FE0000000000000)" in text
    assert "fadd <16 x float> %v2, zeroinitializer" in text


def test_an_intrinsic_is_declared_once() -> None:
    f = Function("f", named("avx2"), {"x": "ptr"})
    x = f.load("double", f["x"])
    f.store(f.multiply_add(x, x, f.multiply_add(x, x, x)), f["x"])
    assert f.text().count("declare double @llvm.fma.f64(double, double, double)") == 1
    assert f.text().count("call double @llvm.fma.f64(") == 2


def test_asking_for_the_text_twice_changes_nothing() -> None:
    f = Function("f", named("avx2"), {})
    assert f.text() == f.text()
    assert f.text().count("ret void") == 1


@pytest.mark.parametrize("name", ["avx512", "avx2", "baseline", "neon"])
def test_every_target_s_assembly_can_be_read(name: str) -> None:
    ir, assembly = jit.text("total", total, named(name))
    assert ir == TOTAL
    assert "total:" in assembly


def test_types_that_do_not_fit_are_refused() -> None:
    f = Function("f", named("avx2"), {"i": "i64", "x": "double"})
    with pytest.raises(AssertionError, match="no such operation on i64 %i and double %x"):
        f["i"] + f["x"]
    with pytest.raises(AssertionError, match="no comparison of i64 %i and double %x"):
        f["i"] < f["x"]  # noqa: B015 (it is the comparison that is tested)
    with pytest.raises(AssertionError, match="no such operation"):
        f["i"] / 2
    with pytest.raises(AssertionError, match="no such operation"):
        f["x"] // 2
    with pytest.raises(AssertionError, match="0 - i64 %i is the negative of an integer"):
        -f["i"]
