"""The calls of the optimisers' steps: every array of a parameter is read once and written once.

Arrays lie in memory without gaps, all of a parameter in one dtype, shape and order. Every function takes the
``target`` to compile for; this process's when left out.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import numpy.typing as npt

from tilewright.kernel import jit, threads
from tilewright.kernel.addresses import address
from tilewright.kernel.elementwise import adam, rmsprop, sgd
from tilewright.kernel.elementwise.groups import scratch_bytes, units
from tilewright.plan.target import Target

Array = npt.NDArray[Any]

_SCALARS = {"f": "float", "d": "double"}


def adam_step(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    t: Array | None,
    numbers: tuple[float, ...],
    *,
    maximize: bool = False,
    decoupled: bool = False,
    decays: bool = False,
    target: Target | None = None,
) -> None:
    """Adam's step, written to ``p``, ``m``, ``v`` and ``t``.

    Args:
        p: the parameter.
        g: the gradient.
        m: the mean of gradients.
        v: the mean of their squares.
        t: the largest of these so far, for AMSGrad.
        numbers: as :data:`tilewright.kernel.elementwise.adam.NUMBERS` lists them.
        maximize: see :mod:`tilewright.kernel.elementwise.adam`, as for the others.
        decoupled: see there.
        decays: see there.
        target: see above.
    """
    _run(adam.name, adam.emit, (p, g, m, v, t), (maximize, decoupled, decays), numbers, target)


def sgd_step(
    p: Array,
    g: Array,
    v: Array | None,
    numbers: tuple[float, ...],
    *,
    maximize: bool = False,
    decays: bool = False,
    begins: bool = False,
    nesterov: bool = False,
    target: Target | None = None,
) -> None:
    """SGD's step, written to ``p`` and ``v``.

    Args:
        p: the parameter.
        g: the gradient.
        v: the momentum, if there is one.
        numbers: as :data:`tilewright.kernel.elementwise.sgd.NUMBERS` lists them.
        maximize: see :mod:`tilewright.kernel.elementwise.sgd`, as for the others.
        decays: see there.
        begins: whether nothing is in ``v`` yet.
        nesterov: see there.
        target: see above.
    """
    _run(sgd.name, sgd.emit, (p, g, v), (maximize, decays, begins, nesterov), numbers, target)


def rmsprop_step(
    p: Array,
    g: Array,
    v: Array,
    m: Array | None,
    b: Array | None,
    numbers: tuple[float, ...],
    *,
    maximize: bool = False,
    decays: bool = False,
    target: Target | None = None,
) -> None:
    """RMSprop's step, written to ``p``, ``v``, ``m`` and ``b``.

    Args:
        p: the parameter.
        g: the gradient.
        v: the mean of its squares.
        m: its mean, where that is taken off.
        b: the momentum, if there is one.
        numbers: as :data:`tilewright.kernel.elementwise.rmsprop.NUMBERS` lists them.
        maximize: see :mod:`tilewright.kernel.elementwise.rmsprop`, as for the other.
        decays: see there.
        target: see above.
    """
    _run(rmsprop.name, rmsprop.emit, (p, g, v, m, b), (maximize, decays), numbers, target)


def _run(
    name: Callable[[str], str],
    emit: Callable[[Target, str], str],
    arrays: Sequence[Array | None],
    truths: Sequence[bool],
    numbers: tuple[float, ...],
    target: Target | None,
) -> None:
    first = arrays[0]
    assert first is not None
    scalar = _SCALARS[first.dtype.char]
    kernel = jit.address(name(scalar), lambda target: emit(target, scalar), target)
    addresses = [0 if x is None else address(x) for x in arrays]
    # The bits of doubles, as which they stand in a table.
    words = struct.unpack(f"={len(numbers)}q", struct.pack(f"={len(numbers)}d", *numbers))
    table = array("q", (*addresses, first.size, *truths, *words))
    threads.run(kernel, units(first.size), table.buffer_info()[0], scratch_bytes(scalar, len(arrays)))
