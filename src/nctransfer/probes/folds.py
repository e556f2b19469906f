"""Folds for cross-validation: which images are held out together, as a function of labels and seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, UsageError

__all__ = ["NEVER_HELD_OUT", "assign_folds", "held_out_folds"]

NEVER_HELD_OUT = -1
"""The fold of a row that every fit trains on."""


def assign_folds(labels: Tensor | np.ndarray | Sequence[int], *, num_folds: int = 5, seed: int = 0) -> Tensor:
    """The fold in which each row is held out, stratified: every class is spread evenly over the folds.

    A class of one image cannot be held out, for nothing would be left to learn it from: its row gets
    `NEVER_HELD_OUT`, is trained on in every fold, and enters no cross-validated number. A class with fewer images than
    folds is held out in as many folds as it has images.

    Args:
        labels: Class of each row, integers of shape ``(N,)``.
        num_folds: Number of folds, at least 2.
        seed: Of the draw within each class.

    Returns:
        Fold of each row, int64 of shape ``(N,)``, in [−1, num_folds).

    Raises:
        UsageError: fewer than 2 folds.
        DataError: labels that are not one row of integers, or no class with two images.

    Example:
        >>> assign_folds([0, 0, 1, 1, 2], num_folds=2).tolist()[-1]
        -1
        >>> folds = assign_folds([0, 0, 0, 0, 1, 1, 1, 1], num_folds=4)
        >>> sorted(folds[:4].tolist()), sorted(folds[4:].tolist())
        ([0, 1, 2, 3], [0, 1, 2, 3])
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


def held_out_folds(num_train: int, num_held: int) -> Tensor:
    """One fold that holds out the last ``num_held`` rows of ``num_train + num_held``: a validation split as a fold.

    Example:
        >>> held_out_folds(3, 2).tolist()
        [-1, -1, -1, 0, 0]
    """
    return torch.cat([torch.full((num_train,), NEVER_HELD_OUT), torch.zeros(num_held, dtype=torch.int64)])
