"""Balance: how a linear fit makes up for classes of unequal size.

Legend: n_k images of class k, N in all, K classes; π_k = n_k / N.

``weights`` multiplies the loss of each image of class k by N / (K n_k), so that all classes count the same and the weights
of all images have mean 1; it is the expected loss of a sampler that draws every class equally often. ``logit-adjust`` fits
softmax(logits + ln π) and hands out the logits (Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, with
τ = 1). Where the bias is free of penalty, as in all fits of this room, that is exactly the plain fit with ln π taken off the
bias: no other number of the fit changes.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from ..errors import DataError, UsageError, near_names

__all__ = ["FIT_BALANCES", "FitBalance", "check_balance", "class_shares", "class_weights", "log_prior"]

FitBalance = Literal["none", "weights", "logit-adjust"]
FIT_BALANCES: tuple[str, ...] = get_args(FitBalance)


def class_weights(labels: Tensor, num_classes: int) -> Tensor:
    """Weights N / (K n_k) of K classes, by which every class counts the same; their mean over all images is 1.

    Args:
        labels: Integers in ``[0, num_classes)``, shape ``(N,)``.
        num_classes: K.

    Returns:
        Shape ``(K,)``, float64, positive.

    Raises:
        DataError: a class without an image, for which there is no finite weight.

    Source: King and Zeng, Political Analysis 9 (2001), 137-163; scikit-learn's ``class_weight="balanced"``.

    Example:
        >>> class_weights(torch.tensor([0, 0, 0, 1]), 2).tolist()
        [0.6666666666666666, 2.0]
    """
    counts = _counts(labels, num_classes)
    return counts.sum() / (num_classes * counts)


def log_prior(labels: Tensor, num_classes: int) -> Tensor:
    """ln π of K classes, the logarithm of the fraction of images in each; 0 or less.

    Args:
        labels: Integers in ``[0, num_classes)``, shape ``(N,)``.
        num_classes: K.

    Returns:
        Shape ``(K,)``, float64.

    Raises:
        DataError: a class without an image, whose logarithm is not finite.

    Example:
        >>> log_prior(torch.tensor([0, 0, 0, 1]), 2).exp().tolist()
        [0.75, 0.25]
    """
    counts = _counts(labels, num_classes)
    return (counts / counts.sum()).log()


def class_shares(labels: Tensor) -> Tensor:
    """The weight of each row in a mean in which all classes of these rows count the same: 1 / (K n_k); the sum is 1.

    Args:
        labels: Integers of shape ``(N,)``; classes that they lack do not count.

    Returns:
        Shape ``(N,)``, float64.

    Example:
        >>> class_shares(torch.tensor([0, 0, 0, 0, 7])).tolist()
        [0.125, 0.125, 0.125, 0.125, 0.5]
    """
    _, place, count = labels.unique(return_inverse=True, return_counts=True)
    return 1.0 / (count[place].double() * len(count))


def check_balance(balance: str) -> None:
    """Refuse a word that is none of ``FIT_BALANCES``.

    Raises:
        UsageError: it is not; the near names are given.
    """
    if balance not in FIT_BALANCES:
        raise UsageError(f"unknown balance {balance!r}", where="balance", remedy=near_names(balance, FIT_BALANCES))


def _counts(labels: Tensor, num_classes: int) -> Tensor:
    counts = torch.bincount(labels.long(), minlength=num_classes).double()
    if absent := (counts == 0).nonzero().flatten().tolist():
        raise DataError(
            f"class {', '.join(map(str, absent[:5]))} has no image, so it can be given no weight",
            where="labels",
            remedy="add images of it, or leave the classes unbalanced (none)",
        )
    return counts
