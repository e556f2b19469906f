"""The training and validation images of a data set taken together, as benchmarks do that train on ``trainval``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .sources import JoinedSource
from .splits import DataBundle, ImageSplit, hold_out, joined_groups

__all__ = ["redraw_validation"]


def redraw_validation(bundle: DataBundle, fraction: float = 0.2, seed: int = 0) -> DataBundle:
    """The same data set with its given training and validation images mixed, and a smaller validation split drawn anew.

    Args:
        bundle: The data set.
        fraction: Of the mixed images that become the validation split, stratified.
        seed: Of the draw.

    Example:
        >>> from nctransfer.data import open_dataset
        >>> given = open_dataset("digits", check=False)
        >>> mixed = redraw_validation(given, 0.1)
        >>> len(given.validation), len(mixed.validation), len(mixed.train) - len(given.train)
        (288, 144, 144)
    """
    parts = (bundle.train, bundle.validation)
    labels = np.concatenate([part.labels for part in parts])
    source = JoinedSource([(part.source, part.indices) for part in parts], labels)
    whole = ImageSplit(source, np.arange(len(labels)), labels, bundle.class_names, joined_groups(parts))
    train, validation = hold_out(whole, fraction, seed, 1, keep=1)
    splits = {"train": train, "validation": validation, "test": bundle.test}
    report = {
        **bundle.report,
        "splits": {name: len(split) for name, split in splits.items()},
        "counts": {
            name: dict(zip(bundle.class_names, split.counts().tolist(), strict=True)) for name, split in splits.items()
        },
    }
    return replace(bundle, train=train, validation=validation, report=report)
