"""Groups: images that belong together (a patient, a video, a plate), which no split may tear apart.

A network that has seen one image of a patient knows something of the others, so that a held-out image of the same patient
flatters it. Draws are stratified as far as whole groups allow, by scikit-learn's ``StratifiedGroupKFold``, and follow from
the seed.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ..errors import DataError, UsageError
from .images import shown
from .order import random_order

__all__ = ["check_apart", "choose_groups", "groups_by_pattern", "groups_of_caller", "images_with_kin"]

_DRAWS = 6


def groups_by_pattern(paths: Sequence[str], pattern: str) -> np.ndarray:
    """The group of each path: what the pattern's own group or groups match in it, or the whole match where it has none.

    Args:
        paths: Paths with ``/``, relative to the data set's folder.
        pattern: A regular expression, looked for anywhere in the path.

    Returns:
        Shape (N,), of text.

    Raises:
        UsageError: it is not a regular expression.
        DataError: it does not match a path, so that the image's group is unknown.

    Example:
        >>> groups_by_pattern(["train/cat/p12_003.jpg", "train/dog/p7_001.jpg"], r"(p\\d+)_").tolist()
        ['p12', 'p7']
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"{pattern!r} is not a regular expression: {error}", where="--group-pattern") from error
    found = [expression.search(path) for path in paths]
    lost = [path for path, match in zip(paths, found, strict=True) if match is None or not match.group(0)]
    if lost:
        raise DataError(
            f"{pattern!r} matches nothing in {len(lost)} of {len(paths)} paths, so that their groups are unknown",
            where=shown(lost[0]),
            remedy="change --group-pattern so that it matches every path; try it on the one shown",
        )
    texts = ["/".join(part or "" for part in match.groups()) or match.group(0) for match in found if match is not None]
    return np.array(texts, dtype=object)


def groups_of_caller(groups: Any, num: int) -> np.ndarray:
    """Groups that came from a caller, one an image, as text.

    Raises:
        DataError: they are not as many as the images, or one is missing.
    """
    values = list(groups)
    if len(values) != num:
        raise DataError(f"{num} images and {len(values)} groups", where="groups", remedy="give one each")
    missing = [row for row, value in enumerate(values) if value is None or value != value or str(value) == ""]
    if missing:
        raise DataError("a group is missing", where=f"row {missing[0]} of groups", remedy="give every image a group")
    return np.array([str(value) for value in values], dtype=object)


def check_apart(groups: Mapping[str, np.ndarray | None], place: str) -> None:
    """Refuse given splits that share a group.

    Raises:
        DataError: a group stands in two of them.
    """
    given = {split: values for split, values in groups.items() if values is not None}
    known = {split: set(values.tolist()) for split, values in given.items()}
    names = list(known)
    for number, first in enumerate(names):
        for second in names[number + 1 :]:
            both = sorted(known[first] & known[second])
            if both:
                listed = ", ".join(map(repr, both[:3])) + (f" and {len(both) - 3} more" if len(both) > 3 else "")
                torn = f"{images_with_kin(given[second], given[first])} of {len(given[second])}"
                raise DataError(
                    f"{_groups(len(both))} in two given splits, {first} and {second}: {listed}; "
                    f"{torn} {second} images have kin in {first}",
                    where=shown(place),
                    remedy="move each group into one split, let the splits be drawn (--split-column none), or leave the "
                    "groups out",
                )


def _groups(num: int) -> str:
    return "1 group stands" if num == 1 else f"{num} groups stand"


def choose_groups(
    labels: np.ndarray, groups: np.ndarray, fraction: float, *, seed: int, salt: int, keep: int = 1, place: str = ""
) -> np.ndarray:
    """Whole groups with about ``fraction`` of the images, every class in proportion as far as whole groups allow.

    Args:
        labels, groups: Of the images, shape (N,).
        fraction: Of the images that are chosen.
        seed, salt: Determine the draw.
        keep: How many groups of each class stay, where it has enough.
        place: For messages.

    Returns:
        Mask of shape (N,). No class loses its last group.

    Raises:
        DataError: there are too few groups, or every draw would take the last group of a class.
    """
    codes = np.unique(groups, return_inverse=True)[1].reshape(-1)
    num_groups = int(codes.max()) + 1 if len(codes) else 0
    if num_groups < 1 + keep:
        raise DataError(
            "one group only: all images belong together" if num_groups == 1 else f"only {num_groups} groups",
            where=shown(place),
            remedy=f"{1 + keep} groups or more are needed to draw {'a split' if keep == 1 else f'{keep} splits'}; give more, "
            "give the splits yourself, or leave the groups out (--group-column none)",
        )
    most = int(np.bincount(labels).max())
    num_folds = max(2, min(Fraction(fraction).limit_denominator(10).denominator, num_groups, most))
    taken = min(max(1, round(fraction * num_folds)), num_folds - 1)
    best: tuple[tuple[float, ...], np.ndarray] | None = None
    for attempt in range(_DRAWS):
        order = random_order(num_groups, seed, salt, attempt)
        folds = _folds(labels, order[codes], num_folds)
        for start in random_order(num_folds, seed, salt, attempt, 1).tolist():
            mask = np.isin(folds, (start + np.arange(taken)) % num_folds)
            cost = _cost(labels, codes, mask, fraction, keep)
            if best is None or cost < best[0]:
                best = (cost, mask)
            if cost[0] == cost[1] == 0 and cost[2] <= fraction / 4:
                return mask
    assert best is not None
    if best[0][0]:
        raise DataError(
            "no draw of whole groups leaves every class to the training images",
            where=shown(place),
            remedy="give each class images of more groups, or give the splits yourself",
        )
    return best[1]


def _folds(labels: np.ndarray, groups: np.ndarray, num_folds: int) -> np.ndarray:
    from sklearn.model_selection import StratifiedGroupKFold

    folds = np.zeros(len(labels), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer images than folds: judged by the caller
        for number, (_, held) in enumerate(StratifiedGroupKFold(num_folds).split(labels, labels, groups)):
            folds[held] = number
    return folds


def _cost(labels: np.ndarray, codes: np.ndarray, mask: np.ndarray, fraction: float, keep: int) -> tuple[float, ...]:
    """How bad a draw is: classes without a group left, classes that either side is short of, distance from the fraction."""
    present = np.unique(labels)
    left = np.array([len(np.unique(codes[(labels == label) & ~mask])) for label in present])
    held = np.array([int((mask & (labels == label)).sum()) for label in present])
    short = int((held == 0).sum()) + int((left < keep).sum())
    return float((left == 0).sum()), float(short), abs(float(mask.mean()) - fraction)


def images_with_kin(held: np.ndarray, train: np.ndarray) -> int:
    """How many held-out images belong to a group that has training images.

    Example:
        >>> images_with_kin(np.array(["a", "a", "b"]), np.array(["a", "c"]))
        2
    """
    return int(np.isin(held, train).sum())
