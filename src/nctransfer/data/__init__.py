"""Data sets by name or path: splits, checks, preprocessing and loaders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..fronts import lazy_front

if TYPE_CHECKING:
    from .augment import augment
    from .augment_settings import AugmentSettings
    from .checks import write_skipped
    from .feature_files import OpenedFeatures, open_features
    from .files import find_images, image_files, read_image
    from .fingerprint import check_same_data
    from .images import Decoding, shown
    from .joined import redraw_validation
    from .loaders import Batch, PixelLoader, pixels_of
    from .memory import bundle_from_arrays, bundle_from_files, bundle_from_object, bundle_from_torch
    from .named import NAMES, find_named, search_folders
    from .narrow import narrow
    from .notes import warnings_of_report
    from .opening import check_same_place, open_dataset
    from .order import balanced_order, batch_rows, random_order
    from .parallel import progress_shown_by
    from .preprocess import Preprocess
    from .splits import DataBundle, ImageSplit, joined_groups

__all__ = lazy_front(
    __name__,
    {
        "augment": ["augment"],
        "augment_settings": ["AugmentSettings"],
        "feature_files": ["OpenedFeatures", "open_features"],
        "files": ["find_images", "image_files", "read_image"],
        "fingerprint": ["check_same_data"],
        "images": ["Decoding", "shown"],
        "joined": ["redraw_validation"],
        "loaders": ["Batch", "PixelLoader", "pixels_of"],
        "memory": ["bundle_from_arrays", "bundle_from_files", "bundle_from_object", "bundle_from_torch"],
        "named": ["NAMES", "find_named", "search_folders"],
        "narrow": ["narrow"],
        "notes": ["warnings_of_report"],
        "opening": ["check_same_place", "open_dataset"],
        "order": ["balanced_order", "batch_rows", "random_order"],
        "parallel": ["progress_shown_by"],
        "preprocess": ["Preprocess"],
        "checks": ["write_skipped"],
        "splits": ["DataBundle", "ImageSplit", "joined_groups"],
    },
)
