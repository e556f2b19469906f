"""Folds for cross-validation: which images are held out together, as a function of labels and seed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, UsageError

__all__ = ["NEVER_HELD_OUT", "assign_folds", "held_out_folds"]

NEVER_HELD_OUT = -1
"""The fold of a row that every fit trains on."""


def assign_folds(
    labels: Tensor | np.ndarray | Sequence[int],
    *,
    num_folds: int = 5,
    seed: int = 0,
    groups: np.ndarray | Sequence[object] | None = None,
) -> Tensor:
    """The fold in which each row is held out, stratified: every class is spread evenly over the folds.

    A class of one image cannot be held out, for nothing would be left to learn it from: its row gets
    `NEVER_HELD_OUT`, is trained on in every fold, and enters no cross-validated number. A class with fewer images than
    folds is held out in as many folds as it has images.

    With groups, whole groups are held out (scikit-learn's ``StratifiedGroupKFold``), in as many folds as there are groups at
    most; a group is never held out where no other fold would be left to learn one of its classes from.

    Args:
        labels: Class of each row, integers of shape ``(N,)``.
        num_folds: Number of folds, at least 2.
        seed: Of the draw within each class.
        groups: What each row belongs to (a patient, a video), shape ``(N,)``; no group is torn by a fold.

    Returns:
        Fold of each row, int64 of shape ``(N,)``, in [−1, num_folds).

    Raises:
        UsageError: fewer than 2 folds.
        DataError: labels that are not one row of integers, no class with two images, or no group that can be held out.

    Example:
        >>> assign_folds([0, 0, 1, 1, 2], num_folds=2).tolist()[-1]
        -1
        >>> folds = assign_folds([0, 0, 0, 0, 1, 1, 1, 1], num_folds=4)
        >>> sorted(folds[:4].tolist()), sorted(folds[4:].tolist())
        ([0, 1, 2, 3], [0, 1, 2, 3])
        >>> folds = assign_folds([0, 1, 0, 1, 0, 1], num_folds=3, groups=["a", "a", "b", "b", "c", "c"])
        >>> sorted(folds[::2].tolist()), bool((folds[::2] == folds[1::2]).all())
        ([0, 1, 2], True)
    """
    if num_folds < 2:
        raise UsageError(f"`num_folds` must be at least 2, got {num_folds}", remedy="pass 5, or a held-out split")
    values = torch.as_tensor(labels).detach().cpu().numpy()
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise DataError(
            f"`labels` must be one row of integers, got shape {values.shape} of {values.dtype}",
            where="folds",
            remedy="pass one class index a row of features",
        )
    if groups is not None:
        return torch.from_numpy(_grouped(values, np.asarray(groups), num_folds, seed))
    folds = np.full(len(values), NEVER_HELD_OUT, dtype=np.int64)
    offset = 0
    for label in np.unique(values):
        members = np.flatnonzero(values == label)
        if len(members) < 2:
            continue
        order = np.random.default_rng([seed, int(label)]).permutation(len(members))
        # Where one class leaves off the next goes on, so that the folds differ by one row at most.
        folds[members[order]] = (offset + np.arange(len(members))) % num_folds
        offset += len(members)
    if not (folds >= 0).any():
        raise DataError(
            f"cross-validation needs a class with at least 2 images; none of {len(np.unique(values))} has",
            where="labels",
            remedy="add images",
        )
    return torch.from_numpy(folds)


def _grouped(labels: np.ndarray, groups: np.ndarray, num_folds: int, seed: int) -> np.ndarray:
    from sklearn.model_selection import StratifiedGroupKFold

    if groups.shape != labels.shape:
        raise DataError(
            f"{len(labels)} labels and groups of shape {groups.shape}", where="folds", remedy="give one each"
        )
    codes = np.unique(groups, return_inverse=True)[1].reshape(-1)
    folds = np.full(len(labels), NEVER_HELD_OUT, dtype=np.int64)
    alone = [label for label in np.unique(labels) if len(np.unique(codes[labels == label])) < 2]
    free = np.flatnonzero(~np.isin(codes, codes[np.isin(labels, alone)]))
    most = int(np.bincount(np.unique(labels[free], return_inverse=True)[1].reshape(-1)).max()) if len(free) else 0
    parts = min(num_folds, len(np.unique(codes[free])), most)
    if parts >= 2:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a class with fewer rows than folds is held out in some
            split = StratifiedGroupKFold(parts, shuffle=True, random_state=seed & 0xFFFFFFFF)
            for number, (_, held) in enumerate(split.split(free, labels[free], codes[free])):
                folds[free[held]] = number
    for label in np.unique(labels):
        rows = labels == label
        if len(np.unique(folds[rows])) == 1 and folds[rows][0] != NEVER_HELD_OUT:
            folds[np.isin(codes, codes[rows])] = NEVER_HELD_OUT
    if not (folds >= 0).any():
        raise DataError(
            f"no group of {int(codes.max()) + 1} can be held out: a class would be left without images to learn from",
            where="groups",
            remedy="give images of more groups",
        )
    return folds


def held_out_folds(num_train: int, num_held: int) -> Tensor:
    """One fold that holds out the last ``num_held`` rows of ``num_train + num_held``: a validation split as a fold.

    Example:
        >>> held_out_folds(3, 2).tolist()
        [-1, -1, -1, 0, 0]
    """
    return torch.cat([torch.full((num_train,), NEVER_HELD_OUT), torch.zeros(num_held, dtype=torch.int64)])
