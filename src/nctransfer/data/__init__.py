"""Data sets by name or path: splits, checks, preprocessing and loaders."""

from __future__ import annotations

from .augment import AugmentSettings, augment
from .files import image_files, read_image
from .loaders import Batch, PixelLoader, pixels_of
from .named import NAMES
from .narrow import narrow
from .opening import bundle_from_arrays, bundle_from_torch, open_dataset
from .order import random_order
from .preprocess import Preprocess
from .splits import DataBundle, ImageSplit

__all__ = [
    "NAMES",
    "AugmentSettings",
    "Batch",
    "DataBundle",
    "ImageSplit",
    "PixelLoader",
    "Preprocess",
    "augment",
    "bundle_from_arrays",
    "bundle_from_torch",
    "image_files",
    "narrow",
    "open_dataset",
    "pixels_of",
    "random_order",
    "read_image",
]
