"""Splits: what a data set is handed on as, and how missing splits are drawn.

Draws are stratified and a function of (seed, index within the class): a given split is never touched, and nothing that
was drawn before changes what is drawn next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from ..errors import DataError, UsageError
from .grouped import choose_groups
from .images import shown
from .order import apportion, random_order
from .sources import JoinedSource, Source

__all__ = ["DataBundle", "ImageSplit", "draw_splits", "hold_out", "joined_groups", "keep_to"]


class ImageSplit:
    """One split of a data set: images by index, with labels. Also a torch map-style data set of (image, label).

    Args:
        source: Where the images come from.
        indices: Which images of the source, shape (N,).
        labels: Class of each, shape (N,), in [0, len(class_names)).
        class_names: Names in the order of the labels.
        groups: What each image belongs to (a patient, a video), shape (N,); None where nothing is known of it.
    """

    def __init__(
        self,
        source: Source,
        indices: np.ndarray,
        labels: np.ndarray,
        class_names: tuple[str, ...],
        groups: np.ndarray | None = None,
    ) -> None:
        self.source = source
        self.groups = groups
        self.indices = np.asarray(indices, dtype=np.int64)
        self.labels = np.asarray(labels, dtype=np.int64)
        self.class_names = class_names
        self.pixel_cache: tuple[Any, Any] | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return self.image(index), int(self.labels[index])

    def image(self, index: int) -> Image.Image:
        """The image as RGB, upright, fully decoded.

        Raises:
            DataError: it cannot be read; the message names it.
        """
        try:
            return self.source.image(int(self.indices[index]))
        except DataError as error:
            raise DataError(error.what, where=self.identity(index), remedy=error.remedy) from error

    def identity(self, index: int) -> str:
        """The image's name in messages and on pages: ``train/cat/1.jpg``, ``row 17 of train-00000-of-00001.parquet``."""
        return self.source.identity(int(self.indices[index]))

    def subset(self, indices: np.ndarray | list[int]) -> ImageSplit:
        """The split of these images, in this order."""
        indices = np.asarray(indices, dtype=np.int64)
        groups = None if self.groups is None else self.groups[indices]
        return ImageSplit(self.source, self.indices[indices], self.labels[indices], self.class_names, groups)

    def joined(self, other: ImageSplit) -> ImageSplit:
        """The images of both splits, this one's first."""
        labels, groups = np.concatenate([self.labels, other.labels]), joined_groups((self, other))
        if other.source is self.source:
            indices = np.concatenate([self.indices, other.indices])
            return ImageSplit(self.source, indices, labels, self.class_names, groups)
        source = JoinedSource([(self.source, self.indices), (other.source, other.indices)], labels)
        return ImageSplit(source, np.arange(len(labels)), labels, self.class_names, groups)

    def without_groups(self) -> ImageSplit:
        """The same images, nothing being known of what they belong to."""
        return ImageSplit(self.source, self.indices, self.labels, self.class_names)

    def counts(self) -> np.ndarray:
        """Images of each class, shape (K,)."""
        return np.bincount(self.labels, minlength=len(self.class_names))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "pixel_cache": None}


def joined_groups(parts: Sequence[ImageSplit]) -> np.ndarray | None:
    """The groups of several splits one after another; an image without one is a group of its own. None where none is known."""
    if all(part.groups is None for part in parts):
        return None
    found = [
        np.array([f"{number}/{row}" for row in range(len(part))], dtype=object) if part.groups is None else part.groups
        for number, part in enumerate(parts)
    ]
    return np.concatenate(found)


@dataclass(frozen=True)
class DataBundle:
    """A data set with its three splits and what was found out about it.

    Attributes:
        name: Short name.
        class_names: In the order of the labels.
        train, validation, test: The splits.
        report: Plain JSON: ``source``, ``splits``, ``counts``, ``sizes``, ``bad``, ``skipped``, ``duplicates``,
            ``value_range``, ``notes``.
        fingerprint: Plain JSON that tells whether two bundles hold the same data.
    """

    name: str
    class_names: tuple[str, ...]
    train: ImageSplit
    validation: ImageSplit
    test: ImageSplit
    report: dict[str, Any]
    fingerprint: dict[str, Any] = field(default_factory=dict)

    def splits(self) -> dict[str, ImageSplit]:
        """The splits by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def draw_splits(
    given: dict[str, ImageSplit],
    *,
    seed: int,
    limit: int | None,
    validation_fraction: float,
    test_fraction: float,
    place: str = "",
) -> tuple[dict[str, ImageSplit], list[str]]:
    """Complete the given splits to train, validation and test, then keep to ``limit``.

    Args:
        given: Splits that stand there, ``train`` among them; they are kept as they are.
        seed: Determines the draw.
        limit: Most training and validation images together, stratified; None for all.
        validation_fraction: Fraction of the training images that become the validation split where none is given.
        test_fraction: Fraction of all images that become the test split where none is given.
        place: Where the data lie, for messages.

    Returns:
        The three splits, and the names of those that were drawn.

    Raises:
        DataError: a class has too few images to be split; the message names the class.
        UsageError: a fraction or the limit is invalid.
    """
    for name, fraction in (("validation_fraction", validation_fraction), ("test_fraction", test_fraction)):
        if not 0 < fraction < 1:
            raise UsageError(f"`{name}` must lie strictly between 0 and 1, got {fraction}")
    train = given["train"]
    drawn = [name for name in ("validation", "test") if name not in given]
    _check_enough(train, 1 + len(drawn), drawn, place)
    splits = dict(given)
    if "test" in drawn:
        train, splits["test"] = hold_out(train, test_fraction, seed, 2, keep=len(drawn), place=place)
    splits["train"] = train
    if limit is not None:
        splits = keep_to(limit, train, splits, seed)
        train = splits["train"]
    if "validation" in drawn:
        train, splits["validation"] = hold_out(train, validation_fraction, seed, 1, keep=1, place=place)
    splits["train"] = train
    return {name: splits[name] for name in ("train", "validation", "test")}, drawn


def hold_out(
    split: ImageSplit, fraction: float, seed: int, salt: int, keep: int = 1, place: str = ""
) -> tuple[ImageSplit, ImageSplit]:
    """Part a split in two, stratified: the rest, and ``fraction`` of it; at least one of each class, ``keep`` stay.

    Where the split has groups, whole groups go to either side; a class of few groups may then be missing in the smaller part.
    """
    if split.groups is not None:
        mask = choose_groups(split.labels, split.groups, fraction, seed=seed, salt=salt, keep=keep, place=place)
        return split.subset(np.flatnonzero(~mask)), split.subset(np.flatnonzero(mask))
    counts = split.counts()
    share = apportion(round(fraction * len(split)), counts, np.minimum(counts, 1), np.maximum(counts - keep, 0))
    chosen = _choose(split, share, seed, salt)
    return split.subset(np.flatnonzero(~chosen)), split.subset(np.flatnonzero(chosen))


def _choose(split: ImageSplit, share: np.ndarray, seed: int, salt: int) -> np.ndarray:
    """Mask of shape (N,): ``share[k]`` images of class k, in the order that (seed, salt, k) gives."""
    chosen = np.zeros(len(split), dtype=bool)
    for label, num in enumerate(share):
        members = np.flatnonzero(split.labels == label)
        chosen[members[random_order(len(members), seed, salt, label)[:num]]] = True
    return chosen


def keep_to(limit: int, train: ImageSplit, splits: dict[str, ImageSplit], seed: int) -> dict[str, ImageSplit]:
    """The splits with at most ``limit`` training and validation images together, stratified.

    Args:
        limit: Most images.
        train: The training images; where ``splits`` holds no validation split, those of validation are still among them.
        splits: The other splits, which may hold ``validation``.
        seed: Determines the choice.

    Raises:
        UsageError: the limit leaves less than two images a class.
    """
    num_classes = len(train.class_names)
    if limit < 2 * num_classes:
        raise UsageError(
            f"`limit` must leave two images a class (training and validation), so at least {2 * num_classes}, "
            f"got {limit}",
            remedy=f"raise --limit to {2 * num_classes} or more",
        )
    validation = splits.get("validation")
    if validation is None:
        return {**splits, "train": _thin(train, limit, seed, 3, low=2)}
    total = len(train) + len(validation)
    if limit >= total:
        return {**splits, "train": train}
    num = min(max(round(limit * len(validation) / total), num_classes), limit - num_classes, len(validation))
    return {**splits, "train": _thin(train, limit - num, seed, 3), "validation": _thin(validation, num, seed, 4)}


def _thin(split: ImageSplit, num: int, seed: int, salt: int, low: int = 1) -> ImageSplit:
    if num >= len(split):
        return split
    counts = split.counts()
    share = apportion(num, counts, np.minimum(counts, low), counts)
    return split.subset(np.flatnonzero(_choose(split, share, seed, salt)))


def _check_enough(train: ImageSplit, needed: int, drawn: list[str], place: str) -> None:
    short = np.flatnonzero(train.counts() < needed)
    if len(short):
        said = [f"{train.class_names[label]!r} has {train.counts()[label]}" for label in short[:10]]
        more = f" and {len(short) - 10} more classes" if len(short) > 10 else ""
        raise DataError(
            f"too few images to draw {' and '.join(drawn)} from: class {', '.join(said)}{more}, needed {needed}",
            where=shown(place),
            remedy=f"add images (at least {needed} a class), leave the class out, or provide the splits yourself",
        )
