"""Compiled kernels over two axes of pictures whose channels lie innermost: rows to rows, line by line."""
