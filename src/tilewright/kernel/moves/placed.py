"""Samples put into planes, added to them and taken from them, by their flat positions.

Definition, for every plane; o counts the samples that have an index, in order:

    put     y[…] = 0;  y[indices[o]] = x[o]
    add     y[…] = 0;  y[indices[o]] += x[o]
    take    y[o] = x[indices[o]]
    last    y[o] = x[indices[o]], and 0 where a later o has the same index

An index outside the plane is left out (what it takes is 0), and the word ``wrong`` set. Elements are integers
as wide as those that are moved; of ``add``, floats. Schedule of a unit, a few planes or some channels of a
sample whose channels lie innermost:

    clear what is added to or put into; of ``last``, a byte in scratch for each place
    for each sample (of ``last``, from the last one): for each channel: read its index, move it
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, Value, size_of, vector
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

KINDS = ("put", "add", "take", "last")
FIELDS = Fields(
    "x", "indices", "y",
    # set to 1 where an index is none
    "wrong",
    # planes, and how many a unit takes; of channels innermost: samples, and parts of their channels
    "groups", "groups_a_unit", "channels", "channels_a_unit", "parts",
    # samples with an index, and places of the plane that they point into; elements of a group of x and of y
    "count", "places", "x_group", "y_group", "index_group",
)  # fmt: skip


def name(scalar: str, kind: str, deep: bool) -> str:
    """The symbol of the function."""
    return f"move_placed_{scalar}_{kind}{'_deep' if deep else ''}"


def emit(target: Target, scalar: str, kind: str, deep: bool) -> str:
    """The function; ``deep``: channels lie innermost."""
    f = Function(name(scalar, kind, deep), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    _Emission(f, scalar, kind, deep).emit()
    return f.text()


class _Emission:
    def __init__(self, f: Function, scalar: str, kind: str, deep: bool) -> None:
        self.f, self.scalar, self.kind, self.deep = f, scalar, kind, deep
        self.word = {key: FIELDS.read(f, f["args"], key) for key in FIELDS.names}
        self.pointer = {key: f.pointer(self.word[key]) for key in ("x", "indices", "y")}
        # From one place of a plane to the next.
        self.step = self.word["channels"] if deep else f.number("i64", 1)

    def emit(self) -> None:
        f, word = self.f, self.word
        groups, part = f["unit"] // word["parts"], f["unit"] % word["parts"]
        channel = part * word["channels_a_unit"]
        self.few = f.least(word["channels"] - channel, word["channels_a_unit"])
        first = groups * word["groups_a_unit"]
        with f.loop(f.least(first + word["groups_a_unit"], word["groups"]), start=first, name="group") as g:
            self.x = f.at(self.pointer["x"], self.scalar, g * word["x_group"] + channel)
            self.y = f.at(self.pointer["y"], self.scalar, g * word["y_group"] + channel)
            self.indices = f.at(self.pointer["indices"], "i64", g * word["index_group"] + channel)
            self._group()
        f.give()

    def _group(self) -> None:
        f = self.f
        if self.kind in ("put", "add"):
            self._clear()
        right = f.number("i1", 1)
        if self.kind == "last":
            self._forget()
        right = self._over_all(right)
        with f.when(right.equals(0)):
            f.store(f.number("i64", 1), f["args"], FIELDS.place["wrong"])

    def _forget(self) -> None:
        """No place has been taken from; room for a vector behind the last."""
        f = self.f
        nothing = f.number(vector(f.target.vector_bytes, "i8"), 0)
        with f.loop(self.word["places"] * self.few, step=f.target.vector_bytes, name="forget") as i:
            f.store(nothing, f["scratch"], i)

    def _over_all(self, right: Value) -> Value:
        """Moves every sample of every channel; whether all indices are right, if they were before."""
        f = self.f
        loop = f.loop(self.word["count"], carry=[right], name="sample")
        with loop as o:
            if self.kind == "last":
                o = self.word["count"] - 1 - o
            if self.deep:
                channels = f.loop(self.few, carry=loop.carried, name="channel")
                with channels as c:
                    channels.carry([channels.carried[0] & self._move(o, c)])
                loop.carry(channels.results)
            else:
                loop.carry([loop.carried[0] & self._move(o, f.number("i64", 0))])
        return loop.results[0]

    def _clear(self) -> None:
        f, scalar = self.f, self.scalar
        width = f.target.vector_bytes // size_of(scalar)
        nothing, one = f.number(vector(width, scalar), 0), f.number(scalar, 0)
        # Channels that are all a unit's lie without gaps.
        whole = self.few.equals(self.step)
        dense = f.select(whole, self.word["places"] * self.step, 0)
        vectors = dense // width * width
        with f.loop(vectors, step=width, name="clear") as i:
            f.store(nothing, self.y, i)
        with f.loop(dense, start=vectors, name="clear_rest") as i:
            f.store(one, self.y, i)
        if not self.deep:
            return
        with f.loop(f.select(whole, f.number("i64", 0), self.word["places"]), name="clear_place") as i:
            place = f.at(self.y, scalar, i * self.step)
            full = self.few // width * width
            with f.loop(full, step=width, name="clear_channels") as c:
                f.store(nothing, place, c)
            with f.loop(self.few, start=full, name="clear_channel") as c:
                f.store(one, place, c)

    def _index(self, o: Value, c: Value) -> tuple[Value, Value, Value]:
        """Where sample o stands in its own array, its index, and whether that is a place of the plane."""
        f = self.f
        own = o * self.step + c
        index = f.load("i64", self.indices, own)
        # Without a sign, a negative index is a large one.
        return own, index, f.result("i1", f"icmp ult {index}, {self.word['places'].name}")

    def _move(self, o: Value, c: Value) -> Value:
        """Moves a sample; whether its index is one."""
        f, scalar = self.f, self.scalar
        own, index, inside = self._index(o, c)
        there = index * self.step + c
        if self.kind in ("put", "add"):
            with f.when(inside):
                value = f.load(scalar, self.x, own)
                if self.kind == "add":
                    value = f.load(scalar, self.y, there) + value
                f.store(value, self.y, there)
            return inside
        taken = inside
        if self.kind == "last":
            # The room behind the last place is for what is none.
            place = f.select(inside, index * self.few + c, self.word["places"] * self.few)
            taken = inside & f.load("i8", f["scratch"], place).equals(0)
            f.store(f.number("i8", 1), f["scratch"], place)
        value = f.load(scalar, self.x, f.select(inside, there, c))
        f.store(f.select(taken, value, 0), self.y, own)
        return inside
