"""Compiled sparse matrices along one or two axes: interpolation, adaptive means, padding's gradient."""
