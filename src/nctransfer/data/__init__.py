"""Data sets by name or path: splits, checks, preprocessing and loaders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..fronts import lazy_front

if TYPE_CHECKING:
    from .augment import augment
    from .augment_settings import AugmentSettings
    from .feature_files import OpenedFeatures, open_features
    from .files import image_files, read_image
    from .loaders import Batch, PixelLoader, pixels_of
    from .named import NAMES, find_named, search_folders
    from .narrow import narrow
    from .opening import bundle_from_arrays, bundle_from_files, bundle_from_torch, open_dataset
    from .order import batch_rows, random_order
    from .preprocess import Preprocess
    from .splits import DataBundle, ImageSplit

__all__ = lazy_front(
    __name__,
    {
        "augment": ["augment"],
        "augment_settings": ["AugmentSettings"],
        "feature_files": ["OpenedFeatures", "open_features"],
        "files": ["image_files", "read_image"],
        "loaders": ["Batch", "PixelLoader", "pixels_of"],
        "named": ["NAMES", "find_named", "search_folders"],
        "narrow": ["narrow"],
        "opening": ["bundle_from_arrays", "bundle_from_files", "bundle_from_torch", "open_dataset"],
        "order": ["batch_rows", "random_order"],
        "preprocess": ["Preprocess"],
        "splits": ["DataBundle", "ImageSplit"],
    },
)
