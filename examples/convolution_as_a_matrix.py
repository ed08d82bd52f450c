"""A convolution is a matrix product: a banded matrix, the same kernel in every row.

A transposed convolution is a product with the same matrix, transposed: hence its name.

    python examples/convolution_as_a_matrix.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import tilewright as tw
from tilewright.lens.matrix import convolution_matrix, draw_matrix


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figures")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    # One axis: row i holds the kernel at column i; with stride 2 it moves two columns a row.
    curve, kernel = np.arange(1.0, 10.0), np.array([1.0, 2.0, -1.0])
    for stride in (1, 2):
        matrix = convolution_matrix(kernel, curve.size, stride=stride)
        y = tw.conv(curve[None, None], kernel[None, None], stride=stride)[0, 0]
        print(
            f"a curve of 9, 3 taps, stride {stride}: matrix {matrix.shape[0]} × {matrix.shape[1]}, ", end=""
        )
        print("the same numbers as the convolution:", np.array_equal(matrix @ curve, y))
        back = tw.conv_transpose(y[None, None], kernel[None, None], stride=stride)[0, 0]
        print("    its transpose is the transposed convolution:", np.array_equal(matrix.T @ y, back))
        figure = draw_matrix(
            matrix, options.out / f"matrix_stride_{stride}.png", f"Nine samples, three taps, stride {stride}"
        )
        print(f"    figure {figure}")

    # Two axes: the image is read out row by row (rastered), and the matrix consists of such bands.
    image, kernel = np.arange(16.0).reshape(4, 4), np.array([[1.0, 2.0], [3.0, -1.0]])
    matrix = convolution_matrix(kernel, image.shape)
    y = tw.conv(image[None, None], kernel[None, None])[0, 0]
    print(f"a 4 × 4 image, 2 × 2 taps: matrix {matrix.shape[0]} × {matrix.shape[1]}, ", end="")
    print("the same numbers as the convolution:", np.array_equal(matrix @ image.ravel(), y.ravel()))
    # A block for each pair of an output row and an input row: 3 outputs by 4 inputs.
    figure = draw_matrix(
        matrix, options.out / "matrix_of_an_image.png", "A 4 × 4 image, a 2 × 2 kernel", blocks=(3, 4)
    )
    print(f"    figure {figure}")


if __name__ == "__main__":
    main()
