"""One pass over a gradient: times dropout's factor, times the slope of an activation told from its result.

Definition, element by element (each operation rounded on its own, so the bits are those of NumPy's formulas):

    d = g · (scale if kept else 0)
    out = d                          none
          d · (1 − y·y)              tanh
          d · (y · (1 − y))          sigmoid
          0 if y ≤ 0 else d          relu
          d if y > 0 else d · leak   leaky_relu

What is kept is one bit an element: read, or drawn and written. Element e is kept if the 16 random bits that
belong to it, as a number, are below ``few``. 64 elements share 8 blocks of Philox: elements 0 to 15 have the
lower halves of (word 0 of block 0, word 1 of block 0, word 0 of block 1, …), 16 to 31 the upper halves of the
same, and 32 to 63 those of words 2 and 3.

Schedule of one unit, which is a block of consecutive elements:

    for each 64 elements:
        if there are fewer left: work on a copy in scratch
        draw, or read, what is kept
        for each vector: the formula
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, Value, lanes, size_of, splat, vector
from tilewright.kernel.elementwise import philox
from tilewright.kernel.elementwise.groups import GROUP, each_group
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

#: The activations, as the word "slope" numbers them.
SLOPES = ("none", "tanh", "sigmoid", "relu", "leaky_relu")
#: Random bits that decide about an element.
BITS = 16

FIELDS = Fields(
    # arrays: without g bits are only drawn, without y there is no slope, and without bits all is kept
    "g", "y", "out", "bits",
    "count", "slope",
    # of dropout
    "draws", "key", "stream", "few", "scale",
    # of leaky ReLU
    "leak",
)  # fmt: skip


def name(scalar: str) -> str:
    """The symbol of the function."""
    return f"slopes_{scalar}"


def emit(target: Target, scalar: str) -> str:
    """The function."""
    f = Function(name(scalar), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    _Emission(f, scalar).emit()
    return f.text()


class _Emission:
    def __init__(self, f: Function, scalar: str) -> None:
        self.f, self.scalar = f, scalar
        # Whole registers with AVX-512; where they are narrower, LLVM takes several.
        self.width = 64 // size_of(scalar)
        self.integer = {"float": "i32", "double": "i64"}[scalar]

    def emit(self) -> None:
        f, scalar = self.f, self.scalar
        words = {word: FIELDS.read(f, f["args"], word) for word in FIELDS.names}
        g, y, out, self.bits = (f.pointer(words[word]) for word in ("g", "y", "out", "bits"))
        self.slope, self.draws = words["slope"], words["draws"].differs(0)
        self.stream, self.few = words["stream"], splat(f, f.convert(words["few"], "i32"), 16)
        self.keys = philox.keys(f, words["key"])
        self.scale, self.leak = (
            splat(f, f.convert(f.load("double", f["args"], FIELDS.place[word]), scalar), self.width)
            for word in ("scale", "leak")
        )
        self.only_draws = g.equals(f.null())
        with each_group(f, scalar, words["count"], (g, y, out), (out,)) as (i, places):
            self._group(self._kept(i), *places)
        f.give()

    def _kept(self, i: Value) -> Value:
        """64 bits, from the lowest: which of the elements from i on are kept."""
        f = self.f
        place = f.at(self.bits, "i64", i >> 6, wild=True)
        with f.either(self.draws, "i64") as drawn:
            bits = self._drawn(i)
            f.store(bits, place)
            drawn.yes(bits)
            drawn.otherwise()
            with f.either(self.bits.differs(f.null()), "i64") as known:
                known.yes(f.load("i64", place))
                known.otherwise()
                known.no(f.number("i64", -1))
            drawn.no(known.result)
        return drawn.result

    def _drawn(self, i: Value) -> Value:
        """64 bits that are 1 with the probability asked for."""
        f = self.f
        a, b, c, d = philox.blocks(f, i >> 3, self.stream, self.keys)
        bits = f.number("i64", 0)
        for number, (even, odd) in enumerate(((a, b), (c, d))):
            words = f.reinterpret((even & ((1 << 32) - 1)) | (odd << 32), vector(16, "i32"))
            for part, half in enumerate((words & ((1 << BITS) - 1), words >> BITS)):
                # As an integer, a truth value of each lane is one bit of it.
                some = f.reinterpret(half < self.few, "i16")
                mask = f.convert(some, "i64") & ((1 << 16) - 1)
                bits = bits | (mask << (32 * number + 16 * part))
        return bits

    def _group(self, kept: Value, g: Value, y: Value, out: Value) -> None:
        """The formula for 64 elements."""
        f = self.f
        chosen = f.select(self.only_draws, f.number("i64", -1), self.slope)
        for number, slope in enumerate(SLOPES):
            with f.when(chosen.equals(number)):
                for start in range(0, GROUP, self.width):
                    x = self._dropped(f.load(vector(self.width, self.scalar), g, start), kept, start)
                    if slope != "none":
                        result = f.load(x.type, y, start)
                        x = self._sloped(slope, x, result)
                    f.store(x, out, start)

    def _dropped(self, x: Value, kept: Value, start: int) -> Value:
        """The product with the scale or with 0."""
        f = self.f
        numbers = vector(lanes(x.type), self.integer)
        some = f.convert(kept >> start, self.integer)
        powers = ", ".join(f"{self.integer} {1 << lane}" for lane in range(self.width))
        stays = (splat(f, some, self.width) & Value(f, f"<{powers}>", numbers)).differs(0)
        return x * f.select(stays, self.scale, 0)

    def _sloped(self, slope: str, x: Value, y: Value) -> Value:
        f = self.f
        if slope == "tanh":
            return x * (1 - y * y)
        if slope == "sigmoid":
            return x * (y * (1 - y))
        if slope == "relu":
            return f.select(y <= 0, f.number(x.type, 0), x)
        return f.select(y > 0, x, x * self.leak)
