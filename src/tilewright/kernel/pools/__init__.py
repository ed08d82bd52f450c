"""Max and average pooling and their gradients, compiled.

A pool does next to nothing with what it reads: the work is bound by memory, and every sample should come from
it once. Where channels lie innermost, a place is a vector of them, and each window is read where it stands
(``windows.py``). Elsewhere vectors run along the lines of a plane: a block of it is packed into scratch with
its padding, each phase of a stride on its own (as :mod:`tilewright.kernel.planes` does), and there every tap
is one constant offset (``taps.py``).
"""
