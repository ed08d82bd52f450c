"""The benchmark: layers of real networks, ours beside other libraries', under the roofs of the machine.

Everybody's answers are checked before anything is timed; then all are timed alternately in one process, on
the same number of threads. ``tilewright bench`` is the way in; the parts serve from Python too:

- :mod:`~tilewright.bench.cases` chooses layers (:mod:`~tilewright.bench.layers`) from ``shapes/`` and a
  batch for each;
- :mod:`~tilewright.bench.contestants` and :mod:`~tilewright.bench.peers` are those who compute;
- :mod:`~tilewright.bench.harness` checks and times them, :mod:`~tilewright.bench.roofs` the machine;
- :mod:`~tilewright.bench.report` and the rest say what was found.
"""

from __future__ import annotations
