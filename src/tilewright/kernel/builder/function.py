"""One function being emitted: instructions, loops, branches and memory, as text for LLVM.

Loops and branches are ``with`` blocks. What a loop carries from one round to the next (accumulators above
all) is named when it starts and handed on with :meth:`Loop.carry`; it lives in phi nodes, that is, in
registers, never in memory.

    f = Function("total", target, {"p": "ptr", "n": "i64"}, returns="double")
    loop = f.loop(f["n"], carry=[f.number("double", 0)])
    with loop as i:
        loop.carry([loop.carried[0] + f.load("double", f["p"], i)])
    f.give(loop.results[0])
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType

from tilewright.kernel.builder.halves import as_integers, narrowed, widened
from tilewright.kernel.builder.values import (
    Number,
    Value,
    constant,
    element,
    lanes,
    overload,
    size_of,
    vector,
)
from tilewright.plan.target import Target

Integer = Value | int


class Function:
    """A function in the making.

    Args:
        name: its symbol.
        target: the processor it is for.
        arguments: names and LLVM types, in order; ``f["name"]`` is the value.
        returns: LLVM type of the result.
        stored: of arguments that point to halves, which.
    """

    def __init__(
        self,
        name: str,
        target: Target,
        arguments: Mapping[str, str],
        *,
        returns: str = "void",
        stored: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.target = target
        self.returns = returns
        kinds = stored or {}
        self._arguments = {
            key: Value(self, f"%{key}", type, kinds.get(key, "")) for key, type in arguments.items()
        }
        self._lines: list[str] = []
        self._count = 0
        self._block = "entry"
        self._declared: dict[str, str] = {}
        self._behind = ""
        self._closed = False

    def __getitem__(self, name: str) -> Value:
        return self._arguments[name]

    # -- text ----------------------------------------------------------------------------------------

    def text(self) -> str:
        """The whole module: declarations, then this function."""
        if not self._closed:
            self.give()
        # No alias between arguments is promised: outputs never overlap inputs, but scratch is reused.
        arguments = ", ".join(f"{value.type} %{key}" for key, value in self._arguments.items())
        head = f"define {self.returns} @{self.name}({arguments}) nounwind {{\nentry:\n"
        declarations = "".join(f"{line}\n" for line in self._declared.values())
        return f"{declarations}\n{head}" + "\n".join(self._lines) + "\n}\n" + self._behind

    def emit(self, line: str) -> None:
        """Append a line of LLVM."""
        self._lines.append("  " + line)

    def result(self, type: str, instruction: str) -> Value:
        """Append ``%new = instruction`` and give its value."""
        self._count += 1
        name = f"%v{self._count}"
        self._lines.append(f"  {name} = {instruction}")
        return Value(self, name, type)

    def comment(self, words: str) -> None:
        """A remark in the LLVM text, for its reader."""
        self._lines.append(f"  ; {words}")

    # -- arithmetic ----------------------------------------------------------------------------------

    def number(self, type: str, number: Number) -> Value:
        """A constant; in every lane of a vector type."""
        return Value(self, constant(type, number), type)

    def like(self, value: Value, other: Value | Number) -> Value:
        """``other`` as a value; a Python number becomes a constant of ``value``'s type."""
        return other if isinstance(other, Value) else self.number(value.type, other)

    def integer(self, value: Integer) -> Value:
        """An i64 from a Python integer; values stay as they are."""
        return value if isinstance(value, Value) else self.number("i64", value)

    def binary(self, integer: str, floating: str, a: Value, b: Value | Number) -> Value:
        """The instruction ``integer`` or ``floating`` on ``a`` and ``b``, by ``a``'s type."""
        b = self.like(a, b)
        opcode = integer if a.is_integer else floating
        assert opcode and a.type == b.type, f"no such operation on {a} and {b}"
        return self.result(a.type, f"{opcode} {a.type} {a.name}, {b.name}")

    def compare(self, integer: str, floating: str, a: Value, b: Value | Number) -> Value:
        """A truth value (or one per lane)."""
        b = self.like(a, b)
        assert a.type == b.type, f"no comparison of {a} and {b}"
        type = "i1" if a.type == element(a.type) else vector(lanes(a.type), "i1")
        opcode = f"icmp {integer}" if a.is_integer or a.type == "ptr" else f"fcmp {floating}"
        return self.result(type, f"{opcode} {a.type} {a.name}, {b.name}")

    def select(self, condition: Value, yes: Value, no: Value | Number) -> Value:
        """``yes`` where the condition holds, else ``no``; lane by lane for vectors."""
        no = self.like(yes, no)
        assert yes.stored == no.stored or "null" in (yes.name, no.name), f"{yes} and {no} differ in memory"
        found = self.result(
            yes.type, f"select {condition.type} {condition.name}, {yes.type} {yes.name}, {no.type} {no.name}"
        )
        found.stored = yes.stored or no.stored
        return found

    def least(self, a: Value, b: Value | Number) -> Value:
        """The smaller of two numbers: ``a if a < b else b``, so ``b`` where one is NaN or both are zeros."""
        b = self.like(a, b)
        return self.select(a < b, a, b)

    def greatest(self, a: Value, b: Value | Number) -> Value:
        """The larger of two numbers: ``a if a > b else b``, so ``b`` where one is NaN or both are zeros."""
        b = self.like(a, b)
        return self.select(a > b, a, b)

    def magnitude(self, x: Value) -> Value:
        """A float without its sign.

        Scalar loop: ``for i in lanes: out[i] = abs(x[i])``
        """
        return self.intrinsic(f"llvm.fabs.{overload(x.type)}", x.type, x)

    def with_sign(self, x: Value, sign: Value) -> Value:
        """The magnitude of one float with the sign of another.

        Scalar loop: ``for i in lanes: out[i] = copysign(x[i], sign[i])``
        """
        return self.intrinsic(f"llvm.copysign.{overload(x.type)}", x.type, x, sign)

    def reinterpret(self, x: Value, type: str) -> Value:
        """The same bits as another type of the same size: a float's as an integer, or back."""
        return self.result(type, f"bitcast {x} to {type}")

    def convert(self, x: Value, type: str) -> Value:
        """The number as another type of as many lanes: exact, or rounded to nearest; a truth value as 0 or 1.

        Integers lose their upper bits where the type is narrower; floats don't become integers.
        """
        scalar, to = element(x.type), element(type)
        if scalar == to:
            return x
        if x.is_integer and to in ("float", "double"):
            opcode = "uitofp" if scalar == "i1" else "sitofp"
        elif x.is_integer:
            wider = size_of(to) > size_of(scalar) or scalar == "i1"
            opcode = ("zext" if scalar == "i1" else "sext") if wider else "trunc"
        else:
            opcode = {"float": "fptrunc", "double": "fpext"}[to]
        return self.result(type, f"{opcode} {x} to {type}")

    def intrinsic(self, name: str, type: str, *operands: Value) -> Value:
        """A call of one of LLVM's intrinsics, or of a function of the C library, with a result."""
        types = ", ".join(value.type for value in operands)
        self._declared.setdefault(name, f"declare {type} @{name}({types})")
        return self.result(type, f"call {type} @{name}({', '.join(map(repr, operands))})")

    def intrinsic_without_result(self, name: str, *operands: Value) -> None:
        """A call of an intrinsic that gives nothing."""
        types = ", ".join(value.type for value in operands)
        self._declared.setdefault(name, f"declare void @{name}({types})")
        self.emit(f"call void @{name}({', '.join(map(repr, operands))})")

    def multiply_add(self, a: Value, b: Value, c: Value) -> Value:
        """``a·b + c``, lane by lane: rounded once where the processor can, twice where it can't.

        Scalar loop: ``for i in lanes: out[i] = a[i] * b[i] + c[i]``
        """
        if not self.target.fused:
            # LLVM would call the C library's slow exact function instead.
            return a * b + c
        return self.intrinsic(f"llvm.fma.{overload(a.type)}", a.type, a, b, c)

    # -- memory --------------------------------------------------------------------------------------

    def at(self, pointer: Value, type: str, index: Integer, *, wild: bool = False) -> Value:
        """The address of element ``index`` of an array of ``type``.

        ``wild``: it may lie outside the array (of which nothing is then read), where LLVM may not be promised
        the opposite.
        """
        index = self.integer(index)
        bounds = "" if wild else "inbounds "
        stored = pointer.stored if type == "float" else ""
        if stored:
            type = "i16"
        found = self.result("ptr", f"getelementptr {bounds}{type}, ptr {pointer.name}, i64 {index.name}")
        found.stored = stored
        return found

    def halves(self, pointer: Value, stored: str) -> Value:
        """The pointer as one to halves, or, without ``stored``, to floats."""
        return Value(self, pointer.name, "ptr", stored)

    def null(self) -> Value:
        """The address that points nowhere."""
        return Value(self, "null", "ptr")

    def load(self, type: str, pointer: Value, index: Integer = 0, *, align: int | None = None) -> Value:
        """Reads one ``type``; ``index`` counts in its *scalar* elements, from which alignment follows.

        Scalar loop: ``for i in lanes: out[i] = pointer[index + i]``
        """
        address = self._place(pointer, type, index)
        stored = address.stored if element(type) == "float" else ""
        kind = as_integers(type) if stored else type
        bytes = align or size_of(element(kind))
        found = self.result(kind, f"load {kind}, ptr {address.name}, align {bytes}")
        return widened(self, found, stored) if stored else found

    def store(self, value: Value, pointer: Value, index: Integer = 0, *, align: int | None = None) -> None:
        """Writes one value; ``index`` counts in its scalar elements.

        Scalar loop: ``for i in lanes: pointer[index + i] = value[i]``
        """
        address = self._place(pointer, value.type, index)
        value = self.as_stored(value, address)
        bytes = align or size_of(element(value.type))
        self.emit(f"store {value.type} {value.name}, ptr {address.name}, align {bytes}")

    def store_past(self, value: Value, pointer: Value, index: Integer = 0) -> None:
        """Writes a whole aligned vector to memory past the caches: for what is not read soon.

        Nothing is read to be overwritten. Who hands the result on calls :meth:`settle` before.

        Scalar loop: ``for i in lanes: pointer[index + i] = value[i]``
        """
        address = self._place(pointer, value.type, index)
        value = self.as_stored(value, address)
        self._behind = "\n!0 = !{i32 1}\n"
        align = size_of(value.type)
        self.emit(f"store {value.type} {value.name}, ptr {address.name}, align {align}, !nontemporal !0")

    def settle(self) -> None:
        """What was written is in order with what is written after, for other cores too."""
        self.emit("fence seq_cst")

    def soon(self, pointer: Value) -> None:
        """Asks for the cache line of an address that is read or written soon; any address may be given.

        Scalar loop: none: nothing changes but time.
        """
        name = "llvm.prefetch.p0"
        self._declared.setdefault(name, f"declare void @{name}(ptr, i32 immarg, i32 immarg, i32 immarg)")
        # To be read (which serves a line that no other core has for writing too), into all caches, as data.
        self.emit(f"call void @{name}({pointer}, i32 0, i32 3, i32 1)")

    def as_stored(self, value: Value, pointer: Value) -> Value:
        """A value as it lies in memory where the pointer points to."""
        stored = pointer.stored if element(value.type) == "float" else ""
        return narrowed(self, value, stored) if stored else value

    def _place(self, pointer: Value, type: str, index: Integer) -> Value:
        return pointer if isinstance(index, int) and index == 0 else self.at(pointer, element(type), index)

    def pointer(self, address: Value) -> Value:
        """An address held as an integer, as a pointer."""
        return self.result("ptr", f"inttoptr i64 {address.name} to ptr")

    def call(self, function: Value, *operands: Value) -> None:
        """Calls a function without a result through its pointer."""
        self.emit(f"call void {function.name}({', '.join(map(repr, operands))})")

    # -- control -------------------------------------------------------------------------------------

    def label(self, name: str) -> None:
        """Start a block."""
        self._lines.append(f"{name}:")
        self._block = name

    def fresh(self, stem: str) -> str:
        """A block name not used yet."""
        self._count += 1
        return f"{stem}.{self._count}"

    def jump(self, name: str) -> None:
        """End the block: go to another."""
        self.emit(f"br label %{name}")

    def branch(self, condition: Value, yes: str, no: str) -> None:
        """End the block: go to one of two others."""
        self.emit(f"br i1 {condition.name}, label %{yes}, label %{no}")

    def give(self, value: Value | None = None) -> None:
        """Return."""
        self.emit("ret void" if value is None else f"ret {value}")
        self._closed = True

    def either(self, condition: Value, type: str) -> Choice:
        """A value of ``type`` that is made in one way if the condition holds and in another if not."""
        return Choice(self, condition, type)

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """The block runs if the condition holds."""
        then, after = self.fresh("when"), self.fresh("after")
        self.branch(condition, then, after)
        self.label(then)
        yield
        self.jump(after)
        self.label(after)

    def loop(
        self,
        stop: Integer,
        *,
        start: Integer = 0,
        step: Integer = 1,
        carry: Sequence[Value] = (),
        surely: bool = False,
        name: str = "loop",
    ) -> Loop:
        """``for i in range(start, stop, step)`` with values carried round; ``surely``: at least one round.

        A loop that surely runs tests its end at the bottom: one branch a round.
        """
        return Loop(self, self.integer(start), self.integer(stop), self.integer(step), carry, surely, name)

    @property
    def block(self) -> str:
        """Name of the block being filled."""
        return self._block


class Loop:
    """A counted loop; made by :meth:`Function.loop`, used as a ``with`` block that gives the index.

    Attributes:
        carried: inside: this round's values of what is carried.
        results: after the block: their last values.
    """

    def __init__(
        self,
        f: Function,
        start: Value,
        stop: Value,
        step: Value,
        carry: Sequence[Value],
        surely: bool,
        name: str,
    ) -> None:
        self._f, self._start, self._stop, self._step = f, start, stop, step
        self._first, self._surely = list(carry), surely
        self._next: list[Value] = []
        self.carried: list[Value] = []
        self.results: list[Value] = []
        self._head, self._body, self._exit = f.fresh(name), f.fresh(f"{name}.body"), f.fresh(f"{name}.exit")

    def __enter__(self) -> Value:
        f = self._f
        before = f.block
        f.jump(self._head)
        f.label(self._head)
        # The phi nodes are filled in at the end, when the values of the next round are known.
        self._phis = []
        for first in (self._start, *self._first):
            value = f.result(first.type, "")
            self._phis.append((len(f._lines) - 1, value, first, before))
        self._index, *self.carried = (value for _, value, _, _ in self._phis)
        if not self._surely:
            f.branch(self._index < self._stop, self._body, self._exit)
            f.label(self._body)
        return self._index

    def carry(self, values: Sequence[Value]) -> None:
        """What the next round gets, in the order of ``carry=``."""
        given, taken = [v.type for v in values], [v.type for v in self._first]
        assert given == taken, f"a round hands on {given} where the next takes {taken}"
        self._next = list(values)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            return
        assert len(self._next) == len(self._first), "every round must hand on what is carried"
        f = self._f
        following = self._index + self._step
        last = f.block
        if self._surely:
            f.branch(following < self._stop, self._head, self._exit)
        else:
            f.jump(self._head)
        for (place, value, first, before), after in zip(self._phis, [following, *self._next], strict=True):
            f._lines[place] = (
                f"  {value.name} = phi {value.type} [ {first.name}, %{before} ], [ {after.name}, %{last} ]"
            )
        f.label(self._exit)
        # At the bottom the values are this round's; at the top, what came in last.
        self.results = self._next if self._surely else self.carried


class Choice:
    """Two ways to a value; made by :meth:`Function.either`.

    with f.either(condition, "float") as choice:
        choice.yes(…)
        choice.otherwise()
        choice.no(…)
    choice.result
    """

    def __init__(self, f: Function, condition: Value, type: str) -> None:
        self._f, self._condition, self._type = f, condition, type
        self._yes, self._no, self._after = f.fresh("yes"), f.fresh("no"), f.fresh("after")
        self._values: list[tuple[Value, str]] = []

    def __enter__(self) -> Choice:
        self._f.branch(self._condition, self._yes, self._no)
        self._f.label(self._yes)
        return self

    def yes(self, value: Value) -> None:
        """The value if the condition holds; what it needs is emitted before."""
        self._values.append((value, self._f.block))
        self._f.jump(self._after)

    def otherwise(self) -> None:
        """From here on: what is done if the condition doesn't hold."""
        self._f.label(self._no)

    def no(self, value: Value) -> None:
        """The value if the condition doesn't hold."""
        self._values.append((value, self._f.block))
        self._f.jump(self._after)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            return
        f = self._f
        f.label(self._after)
        ways = ", ".join(f"[ {value.name}, %{block} ]" for value, block in self._values)
        self.result = f.result(self._type, f"phi {self._type} {ways}")
