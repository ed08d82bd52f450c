"""A step of SGD in one pass: every array is read once and written once.

Definition, element by element. Each operation is rounded on its own, in this order, so the bits are those of
the steps in NumPy (see :mod:`tilewright.optim.sgd`, which has the formulas and the source):

    g = −gradient                    if it maximizes
    g = g + p · decay                if there is decay
    v = v · momentum + g · part      with momentum; v = g in the first step
    g = g + v · momentum             with Nesterov's momentum; g = v with another
    p = p − g · rate
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, size_of, splat, vector
from tilewright.kernel.elementwise.groups import GROUP, each_group
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

#: The numbers of a step, as doubles; they are rounded to the element type before they are used.
NUMBERS = ("decay", "momentum", "part", "rate")
ARRAYS = ("p", "g", "v")

FIELDS = Fields(
    # arrays; v may be null, and then there is no momentum
    *ARRAYS,
    "count",
    # whether: the gradient changes its sign, p enters it, v begins, v is added to it
    "maximize", "decays", "begins", "nesterov",
    *NUMBERS,
)  # fmt: skip


def name(scalar: str) -> str:
    """The symbol of the function."""
    return f"sgd_{scalar}"


def emit(target: Target, scalar: str) -> str:
    """The function."""
    f = Function(name(scalar), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    width = target.vector_bytes // size_of(scalar)
    type = vector(width, scalar)
    arrays = [FIELDS.address(f, f["args"], word) for word in ARRAYS]
    maximize, decays, begins, nesterov = (
        FIELDS.read(f, f["args"], word).differs(0) for word in ("maximize", "decays", "begins", "nesterov")
    )
    decay, momentum, part, rate = (
        splat(f, f.convert(f.load("double", f["args"], FIELDS.place[word]), scalar), width)
        for word in NUMBERS
    )
    gathers = arrays[2].differs(f.null())
    with (
        each_group(f, scalar, FIELDS.read(f, f["args"], "count"), arrays, (arrays[0], arrays[2])) as (
            _,
            places,
        ),
        f.loop(GROUP, step=width, surely=True) as i,
    ):
        p_at, g_at, v_at = places
        p, g = f.load(type, p_at, i), f.load(type, g_at, i)
        g = f.select(maximize, -g, g)
        g = f.select(decays, g + p * decay, g)
        with f.either(gathers, type) as step:
            v = f.load(type, v_at, i)
            v = f.select(begins, g, v * momentum + g * part)
            f.store(v, v_at, i)
            step.yes(f.select(nesterov, g + v * momentum, v))
            step.otherwise()
            step.no(g)
        f.store(p - step.result * rate, p_at, i)
    f.give()
    return f.text()
