"""Windows over few channels, compiled: depthwise and small groups, single-channel pictures, signals, volumes.

With so little to sum over in the channels there is nothing for a product of matrices to reuse, and the work
is bound by memory. So every block of the input is read once: it is packed into scratch that fits the core's
cache, with its padding, each phase of a stride on its own. There every tap is one constant offset, whatever
the rank, and vectors run along the pixels of a plane (or along the channels, where these lie innermost).
"""
