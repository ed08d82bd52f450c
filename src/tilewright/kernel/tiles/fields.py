"""The words that a compiled driver is called with: one table of 64-bit integers, read by name.

Sizes, strides (in elements), addresses and tables are arguments, so that one driver serves every geometry;
only what the innermost loops need is compiled in.
"""

from __future__ import annotations

from tilewright.kernel.builder import Function, Value


class Fields:
    """Names of the words of one table, in order."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.place = {name: number for number, name in enumerate(names)}

    def read(self, f: Function, table: Value, name: str) -> Value:
        """Emits the read of one word."""
        return f.load("i64", table, self.place[name])

    def address(self, f: Function, table: Value, name: str) -> Value:
        """Emits the read of one word that holds an address."""
        return f.pointer(self.read(f, table, name))

    def all(self, f: Function, table: Value, *names: str) -> list[Value]:
        """Several words at once."""
        return [self.read(f, table, name) for name in names]
