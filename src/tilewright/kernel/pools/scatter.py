"""The gradient of max pooling along the pixels: each output's gradient added at its index.

Definition, for every plane:

    y[…] = 0;  for o in order: y[indices[o]] += x[o]

An index outside the plane is left out, and the word ``wrong`` set. Halves are too short to be added up in: of
those a plane is added up in scratch, and rounded from there.
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, labelled, size_of, vector
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

#: Arrays; planes, and how many a unit takes; places of a plane of y, and of x.
FIELDS = Fields("x", "indices", "wrong", "y", "planes", "planes_a_unit", "written", "read")


def name(scalar: str, stored: str = "") -> str:
    """The symbol of the function; ``stored``: of what kind of halves x and y are, if they are."""
    return labelled(f"pool_scatter_{scalar}", stored)


def emit(target: Target, scalar: str, stored: str = "") -> str:
    """The function."""
    f = Function(name(scalar, stored), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    width = target.vector_bytes // size_of(scalar)
    nothing = f.number(vector(width, scalar), 0)
    x, indices, y = (FIELDS.address(f, f["args"], key) for key in ("x", "indices", "y"))
    x, y = f.halves(x, stored), f.halves(y, stored)
    planes, planes_a_unit, written, read = FIELDS.all(
        f, f["args"], "planes", "planes_a_unit", "written", "read"
    )
    first = f["unit"] * planes_a_unit
    last = f.least(first + planes_a_unit, planes)
    with f.loop(last, start=first, name="plane") as plane:
        own = f.at(y, scalar, plane * written)
        to = f["scratch"] if stored else own
        source, places = f.at(x, scalar, plane * read), f.at(indices, "i64", plane * read)
        whole = written // width * width
        with f.loop(whole, step=width, name="clear") as i:
            f.store(nothing, to, i)
        with f.loop(written, start=whole, name="clear_rest") as i:
            f.store(f.number(scalar, 0), to, i)
        with f.loop(read, name="output") as o:
            place = f.load("i64", places, o)
            # Without a sign, a negative index is a large one.
            inside = f.result("i1", f"icmp ult {place}, {written.name}")
            with f.when(inside):
                f.store(f.load(scalar, to, place) + f.load(scalar, source, o), to, place)
            with f.when(inside.equals(0)):
                f.store(f.number("i64", 1), f["args"], FIELDS.place["wrong"])
        if stored:
            with f.loop(whole, step=width, name="round") as i:
                f.store(f.load(vector(width, scalar), to, i), own, i)
            with f.loop(written, start=whole, name="round_rest") as i:
                f.store(f.load(scalar, to, i), own, i)
    f.give()
    return f.text()
