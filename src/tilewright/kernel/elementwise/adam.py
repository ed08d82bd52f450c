"""Adam's step in one pass: every array is read once and written once.

Definition, element by element. Each operation is rounded on its own, in this order, so the bits are those of
the steps in NumPy (see :mod:`tilewright.optim.adam`, which has the formulas and the sources):

    g = −gradient                    if it maximizes
    p = p · keep                     if the decay is decoupled
    g = g + p · decay                else, if there is decay
    m = m + (g − m) · share
    v = v · memory + g·g · rest
    t = max(t, v)                    with AMSGrad; t = v without
    p = p − m / (√t / root + eps) · rate
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, Value, size_of, splat, vector
from tilewright.kernel.builder.values import overload
from tilewright.kernel.elementwise.groups import GROUP, each_group
from tilewright.kernel.tiles.fields import Fields
from tilewright.plan.target import Target

#: The numbers of a step, as doubles; they are rounded to the element type before they are used.
NUMBERS = ("keep", "decay", "share", "memory", "rest", "root", "eps", "rate")
ARRAYS = ("p", "g", "m", "v", "t")

FIELDS = Fields(
    # arrays; t may be null
    *ARRAYS,
    "count",
    # whether: the gradient changes its sign, p shrinks, p enters the gradient
    "maximize", "decoupled", "decays",
    *NUMBERS,
)  # fmt: skip


def name(scalar: str) -> str:
    """The symbol of the function."""
    return f"adam_{scalar}"


def emit(target: Target, scalar: str) -> str:
    """The function."""
    f = Function(name(scalar), target, {"unit": "i64", "args": "ptr", "scratch": "ptr"})
    width = target.vector_bytes // size_of(scalar)
    type = vector(width, scalar)
    arrays = [FIELDS.address(f, f["args"], word) for word in ARRAYS]
    truths = {
        word: FIELDS.read(f, f["args"], word).differs(0) for word in ("maximize", "decoupled", "decays")
    }
    numbers = {
        word: splat(f, f.convert(f.load("double", f["args"], FIELDS.place[word]), scalar), width)
        for word in NUMBERS
    }
    largest = arrays[4].differs(f.null())
    written = [arrays[0], *arrays[2:]]
    with (
        each_group(f, scalar, FIELDS.read(f, f["args"], "count"), arrays, written) as (_, places),
        f.loop(GROUP, step=width, surely=True) as i,
    ):
        p_at, g_at, m_at, v_at, t_at = places
        p, g, m, v = (f.load(type, place, i) for place in (p_at, g_at, m_at, v_at))
        g = f.select(truths["maximize"], -g, g)
        p = f.select(truths["decoupled"], p * numbers["keep"], p)
        g = f.select(truths["decays"], g + p * numbers["decay"], g)
        m = m + (g - m) * numbers["share"]
        v = v * numbers["memory"] + g * g * numbers["rest"]
        f.store(m, m_at, i)
        f.store(v, v_at, i)
        with f.either(largest, type) as most:
            t = f.load(type, t_at, i)
            # The larger, and NaN where one of the two is.
            t = f.select((t >= v) | t.differs(t), t, v)
            f.store(t, t_at, i)
            most.yes(t)
            most.otherwise()
            most.no(v)
        p = p - m / (_root(f, most.result) / numbers["root"] + numbers["eps"]) * numbers["rate"]
        f.store(p, p_at, i)
    f.give()
    return f.text()


def _root(f: Function, x: Value) -> Value:
    """Scalar loop: ``for i in lanes: out[i] = sqrt(x[i])``."""
    return f.intrinsic(f"llvm.sqrt.{overload(x.type)}", x.type, x)
