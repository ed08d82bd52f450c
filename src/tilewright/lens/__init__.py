"""Pictures for people: what a convolution does, what a network learnt, and where it goes wrong.

Arrays go in, PNG files come out. Every drawing module takes plain NumPy arrays (never a model), so the
pictures can be made from anything that can be turned into numbers. Matplotlib is imported only when a
picture is drawn; :mod:`tilewright.lens.matrix` holds plain data functions beside its one drawing.

The pictures share one style (:mod:`tilewright.lens.style`): **white is zero, orange is above, blue is
below**, and a magenta pixel is one that is not a finite number.

============================================  =====================================================
:func:`curves.draw_curves`                    loss and accuracy over a training run
:func:`kernels.draw_kernels`                  the weights of a convolution, of one to three axes
:func:`features.draw_features`                what each layer makes of one picture
:func:`confusion.draw_confusion`              which classes are taken for which
:func:`mistakes.draw_mistakes`                the most confident wrong answers
:func:`reconstruction.draw_reconstruction`    an autoencoder beside its baselines
:func:`masks.draw_masks`                      a segmentation beside what it should be
:func:`predictions.draw_predictions`          numbers that were said over those that should have been
:func:`runs.draw_runs`                        several training runs side by side
:func:`bands.draw_panels`                     curves and pictures side by side
:func:`compare.draw_series`                   several curves in one plot
:func:`matrix.convolution_matrix`             a convolution as the matrix it is
:func:`matrix.draw_matrix`                    that matrix, with its bands
============================================  =====================================================
"""

from __future__ import annotations

from tilewright.lens import (
    bands,
    compare,
    confusion,
    curves,
    features,
    kernels,
    masks,
    matrix,
    mistakes,
    predictions,
    reconstruction,
    runs,
    style,
)

__all__ = [
    "bands",
    "compare",
    "confusion",
    "curves",
    "features",
    "kernels",
    "masks",
    "matrix",
    "mistakes",
    "predictions",
    "reconstruction",
    "runs",
    "style",
]
