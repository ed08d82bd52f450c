"""Compiled passes over whole arrays: activations and their slopes, dropout, sums of channels.

Units of work are blocks of the problem, so no bit of a result depends on the number of threads. All take
arrays of float32 or float64 that lie in memory without gaps; who calls them sees to that.
"""
