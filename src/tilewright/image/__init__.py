"""Filters for pictures, video and volumes."""

from __future__ import annotations

from tilewright.image import signal, video
from tilewright.image.borders import border_names, pad_border
from tilewright.image.components import connected_to, label
from tilewright.image.derivatives import (
    emboss,
    laplacian,
    laplacian_of_gaussian,
    roberts,
    scharr,
)
from tilewright.image.edges import canny, non_maximum_suppression
from tilewright.image.files import read_image, write_image
from tilewright.image.filtering import filter
from tilewright.image.gabors import gabor, gabor_bank
from tilewright.image.gradients import gradient, gradient_direction, gradient_magnitude
from tilewright.image.named import Filter, named, names
from tilewright.image.ndimage_correlate import convolve, convolve1d, correlate, correlate1d
from tilewright.image.ndimage_slopes import (
    gaussian_gradient_magnitude,
    gaussian_laplace,
    generic_gradient_magnitude,
    generic_laplace,
    laplace,
    prewitt,
    sobel,
)
from tilewright.image.ndimage_smooth import (
    gaussian_filter,
    gaussian_filter1d,
    uniform_filter,
    uniform_filter1d,
)
from tilewright.image.noise import estimate_sigma
from tilewright.image.picture import Picture
from tilewright.image.rank import (
    maximum_filter,
    median_filter,
    minimum_filter,
    percentile_filter,
    rank_filter,
)
from tilewright.image.resizing import downsample, resize, upsample
from tilewright.image.restoration import (
    denoise,
    denoise_bilateral,
    denoise_nl_means,
    unsharp_mask,
)
from tilewright.image.smoothing import (
    binomial,
    box,
    difference_of_gaussians,
    gaussian,
    identity,
    motion_blur,
    sharpen,
    unsharp,
)
from tilewright.image.volumes import filter_tiff, filter_volume, filter_zarr, is_volume

__all__ = [
    "Filter",
    "Picture",
    "binomial",
    "border_names",
    "box",
    "canny",
    "connected_to",
    "convolve",
    "convolve1d",
    "correlate",
    "correlate1d",
    "denoise",
    "denoise_bilateral",
    "denoise_nl_means",
    "difference_of_gaussians",
    "downsample",
    "emboss",
    "estimate_sigma",
    "filter",
    "filter_tiff",
    "filter_volume",
    "filter_zarr",
    "gabor",
    "gabor_bank",
    "gaussian",
    "gaussian_filter",
    "gaussian_filter1d",
    "gaussian_gradient_magnitude",
    "gaussian_laplace",
    "generic_gradient_magnitude",
    "generic_laplace",
    "gradient",
    "gradient_direction",
    "gradient_magnitude",
    "identity",
    "is_volume",
    "label",
    "laplace",
    "laplacian",
    "laplacian_of_gaussian",
    "maximum_filter",
    "median_filter",
    "minimum_filter",
    "motion_blur",
    "named",
    "names",
    "non_maximum_suppression",
    "pad_border",
    "percentile_filter",
    "prewitt",
    "rank_filter",
    "read_image",
    "resize",
    "roberts",
    "scharr",
    "sharpen",
    "signal",
    "sobel",
    "uniform_filter",
    "uniform_filter1d",
    "unsharp",
    "unsharp_mask",
    "upsample",
    "video",
    "write_image",
]
