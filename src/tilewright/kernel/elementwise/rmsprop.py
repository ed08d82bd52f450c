"""A step of RMSprop in one pass: every array is read once and written once.

Definition, element by element. Each operation is rounded on its own, in this order, so the bits are those of
the steps in NumPy (see :mod:`tilewright.optim.rmsprop`, which has the formulas and the sources):

    g = −gradient                    if it maximizes
    g = g + p · decay                if there is decay
    v = v · memory + g·g · rest
    m = m + (g − m) · rest           if it centres
    d = √v + eps                     √max(v − m·m, 0) + eps if it centres
    g = g / d
    b = b · momentum + g, g = b      with momentum
    p = p − g · rate
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, size_of, splat, vector
from tilewright.kernel.builder.values import overload
from tilewright.kernel.elementwise.groups import GROUP, each_group
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

#: The numbers of a step, as doubles; they are rounded to the element type before they are used.
NUMBERS = ("decay", "memory", "rest", "eps", "momentum", "rate")
ARRAYS = ("p", "g", "v", "m", "b")

FIELDS = Fields(
    # arrays; m and b may be null: then nothing is centred, and there is no momentum
    *ARRAYS,
    "count",
    # whether: the gradient changes its sign, p enters it
    "maximize", "decays",
    *NUMBERS,
)  # fmt: skip


def name(scalar: str) -> str:
    """The symbol of the function."""
    return f"rmsprop_{scalar}"


def emit(target: Target, scalar: str) -> str:
    """The function."""
    f = Function(name(scalar), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    width = target.vector_bytes // size_of(scalar)
    type = vector(width, scalar)
    arrays = [FIELDS.address(f, f["args"], word) for word in ARRAYS]
    maximize, decays = (FIELDS.read(f, f["args"], word).differs(0) for word in ("maximize", "decays"))
    decay, memory, rest, eps, momentum, rate = (
        splat(f, f.convert(f.load("double", f["args"], FIELDS.place[word]), scalar), width)
        for word in NUMBERS
    )
    centres, gathers = (array.differs(f.null()) for array in arrays[3:])
    written = [arrays[0], *arrays[2:]]
    with (
        each_group(f, scalar, FIELDS.read(f, f["args"], "count"), arrays, written) as (_, places),
        f.loop(GROUP, step=width, surely=True) as i,
    ):
        p_at, g_at, v_at, m_at, b_at = places
        p, g, v = (f.load(type, place, i) for place in (p_at, g_at, v_at))
        g = f.select(maximize, -g, g)
        g = f.select(decays, g + p * decay, g)
        v = v * memory + g * g * rest
        f.store(v, v_at, i)
        with f.either(centres, type) as spread:
            m = f.load(type, m_at, i)
            m = m + (g - m) * rest
            f.store(m, m_at, i)
            around = v - m * m
            # 0 for less, and NaN where it is one.
            spread.yes(f.select(around <= 0, f.number(type, 0), around))
            spread.otherwise()
            spread.no(v)
        root = f.intrinsic(f"llvm.sqrt.{overload(type)}", type, spread.result)
        g = g / (root + eps)
        with f.either(gathers, type) as step:
            b = f.load(type, b_at, i) * momentum + g
            f.store(b, b_at, i)
            step.yes(b)
            step.otherwise()
            step.no(g)
        f.store(p - step.result * rate, p_at, i)
    f.give()
    return f.text()
