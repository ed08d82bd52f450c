"""Frozen values that own sizes, padding, stride, dilation and groups. No arrays here."""

from tilewright.geometry.adaptive import AdaptiveDims
from tilewright.geometry.conv import ConvDims
from tilewright.geometry.pool import PoolDims
from tilewright.geometry.receptive import ReceptiveField, Window, field_of, receptive_field, windows_of

__all__ = [
    "AdaptiveDims",
    "ConvDims",
    "PoolDims",
    "ReceptiveField",
    "Window",
    "field_of",
    "receptive_field",
    "windows_of",
]
