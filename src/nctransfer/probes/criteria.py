"""The numbers that a choice between classifiers can go by: accuracy, balanced accuracy, macro F1, log-loss."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from ..errors import DataError, UsageError, near_names

__all__ = ["CRITERIA", "Criterion", "criterion_terms", "macro_f1"]

Criterion = Literal["accuracy", "balanced_accuracy", "macro_f1", "log_loss"]
CRITERIA: tuple[str, ...] = get_args(Criterion)


def macro_f1(predictions: Tensor, labels: Tensor) -> float:
    """Mean over the classes in ``labels`` of F1, the harmonic mean of precision and recall; in [0, 1], larger is better.

    A class that is never predicted has F1 = 0.

    Args:
        predictions: Predicted classes, integers of shape ``(N,)``.
        labels: True classes, integers of shape ``(N,)``, N at least 1.

    Raises:
        DataError: shapes that differ, or no row.

    Example:
        >>> macro_f1(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 0, 1])) == (4 / 5 + 2 / 3) / 2
        True
    """
    return float(criterion_terms("macro_f1", labels, predictions).mean())


def criterion_terms(criterion: str, labels: Tensor, predictions: Tensor, losses: Tensor | None = None) -> Tensor:
    """One number an image whose mean is the criterion, larger is better, and whose differences give standard errors.

    The standard error of the difference of two classifiers on the same images is that of the mean of the difference of their
    terms. For accuracy the terms are 0 and 1, for log-loss the negative losses; balanced accuracy and macro F1, which are no
    means over images, are linearised: their value plus the influence of each image (the delta method).

    Args:
        criterion: One of ``CRITERIA``.
        labels: True classes, integers of shape ``(N,)``, N at least 1.
        predictions: Predicted classes, integers of shape ``(N,)``.
        losses: Log-loss of each image, shape ``(N,)``, for ``log_loss``.

    Returns:
        Shape ``(N,)``, float64.

    Raises:
        UsageError: an unknown criterion, or log-loss without losses.
        DataError: shapes that differ, or no row.

    Source: Hampel, JASA 69 (1974), 383-393, for influences.

    Example:
        >>> labels, predictions = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 1, 0])
        >>> float(criterion_terms("balanced_accuracy", labels, predictions).mean()) == 1 / 3
        True
    """
    if criterion not in CRITERIA:
        raise UsageError(f"unknown criterion {criterion!r}", where="criterion", remedy=near_names(criterion, CRITERIA))
    true, predicted = torch.as_tensor(labels).cpu().long(), torch.as_tensor(predictions).cpu().long()
    if true.ndim != 1 or predicted.shape != true.shape or len(true) == 0:
        raise DataError(
            f"`predictions` and `labels` must have one shape (N,) with N ≥ 1, got {tuple(predicted.shape)} and "
            f"{tuple(true.shape)}",
            where=criterion,
            remedy="pass class indices, not logits: logits.argmax(1)",
        )
    if criterion == "log_loss":
        if losses is None or losses.shape != true.shape:
            raise UsageError("log-loss needs the loss of each image", where="losses", remedy="pass them, shape (N,)")
        return -losses.cpu().double()
    right = (predicted == true).double()
    if criterion == "accuracy":
        return right
    present, place = torch.unique(true, return_inverse=True)
    size, count = len(present), float(len(true))
    hits = torch.zeros(size, dtype=torch.float64).index_add_(0, place, right)
    images = torch.bincount(place, minlength=size).double()
    if criterion == "balanced_accuracy":
        recall = hits / images
        return recall.mean() + (right - recall[place]) * count / (images[place] * size)
    said = (predicted[:, None] == present[None, :]).double()
    whole = images + said.sum(0)
    score = 2 * hits / whole
    # F1 = 2 T / (A + B): of images of the class (A), images that are said to be (B), and both (T).
    influence = -(score / whole)[None, :] * said
    rows = torch.arange(len(true))
    influence[rows, place] += 2 * right / whole[place] - score[place] / whole[place]
    return score.mean() + influence.sum(1) * count / size
