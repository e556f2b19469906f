"""The training and validation images of a data set taken together, as benchmarks do that train on ``trainval``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from .images import Decoding, DeepPixels
from .sources import Source
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
    whole = ImageSplit(_Joined(parts), np.arange(len(labels)), labels, bundle.class_names, joined_groups(parts))
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


class _Joined:
    """Two splits as one source, the second's images after the first's."""

    def __init__(self, parts: tuple[ImageSplit, ImageSplit]) -> None:
        self.parts = parts
        self.labels = np.concatenate([part.labels for part in parts])
        self.decoding: Decoding = parts[0].source.decoding

    def _at(self, index: int) -> tuple[Source, int]:
        first = len(self.parts[0])
        part, place = (self.parts[0], index) if index < first else (self.parts[1], index - first)
        return part.source, int(part.indices[place])

    def load(self, index: int) -> Image.Image | DeepPixels:
        source, place = self._at(index)
        return source.load(place)

    def image(self, index: int) -> Image.Image:
        source, place = self._at(index)
        return source.image(place)

    def content(self, index: int) -> bytes | None:
        source, place = self._at(index)
        return source.content(place)

    def identity(self, index: int) -> str:
        source, place = self._at(index)
        return source.identity(place)
