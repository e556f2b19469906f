"""Losses on class scores: logits (N, K), labels (N,) integers in [0, K). Means over the batch; smaller is better."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["CrossEntropy", "RescaledMSE", "cross_entropy", "rescaled_mse", "rescaling"]


def cross_entropy(logits: Tensor, labels: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Mean over samples of −log softmax(logits)[label], in float32 at least.

    Args:
        logits: Scores of shape (N, K).
        labels: Classes of shape (N,).
        label_smoothing: Fraction of the target distributed evenly over all classes (Szegedy et al., 2016).

    Example:
        >>> round(cross_entropy(torch.zeros(2, 4), torch.tensor([0, 3])).item(), 4)
        1.3863
    """
    _check(logits, labels)
    return nn.functional.cross_entropy(_wide(logits), labels, label_smoothing=label_smoothing)


def rescaled_mse(logits: Tensor, labels: Tensor, *, kappa: float = 1.0, m: float = 1.0) -> Tensor:
    """Rescaled square loss: mean over samples of (1/K) · [κ (f_y − M)² + Σ_{k≠y} f_k²].

    κ weighs the true class against the K−1 others and M is the value that its score should take. With κ = M = 1 these
    are the plain squares on one-hot labels; :func:`rescaling` gives the source's values by number of classes.

    Args:
        logits: Scores f of shape (N, K), no softmax.
        labels: Classes y of shape (N,).
        kappa: κ > 0, the weight of the true class.
        m: M > 0, the target of the true class.

    Returns:
        A scalar ≥ 0, 0 where every score vector is M times the one-hot label.

    Source:
        Hui and Belkin, "Evaluation of neural architectures trained with square loss vs cross-entropy in classification
        tasks", 2020 (arXiv 2006.07322), section on loss rescaling.

    Example:
        >>> rescaled_mse(torch.tensor([[3.0, 1.0]]), torch.tensor([0]), kappa=2, m=5).item()
        4.5
    """
    _check(logits, labels)
    if kappa <= 0 or m <= 0:
        raise ValueError(f"`kappa` and `m` must be positive, got {kappa} and {m}")
    scores = _wide(logits)
    true = scores.gather(1, labels[:, None]).squeeze(1)
    others = scores.square().sum(1) - true.square()
    return ((kappa * (true - m).square() + others) / scores.shape[1]).mean()


def rescaling(num_classes: int) -> tuple[float, float]:
    """The factors (κ, M) that are used when none are given.

    (1, 1) below 42 classes, (1, 15) from 42 to 999, (15, 30) from 1000 on.

    Source:
        Hui and Belkin (2020), as restated in later work: three ranges in public implementations of the loss (κ = 1 and
        M = 15 for 42 to 1000 classes, κ = 15 and M = 30 for 1000), and κ = 1, M = 15 for CIFAR-100 in the code of Zhou
        et al., "Are all losses created equal: a neural collapse perspective", NeurIPS 2022. The table of the source
        itself was not at hand. Implementations differ on 100 classes: (15, 30) is met there too.

    Example:
        >>> rescaling(10), rescaling(100), rescaling(1000)
        ((1.0, 1.0), (1.0, 15.0), (15.0, 30.0))
    """
    if num_classes < 42:
        return 1.0, 1.0
    return (1.0, 15.0) if num_classes < 1000 else (15.0, 30.0)


class CrossEntropy(nn.Module):
    """Module of :func:`cross_entropy`."""

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(logits, labels, label_smoothing=self.label_smoothing)


class RescaledMSE(nn.Module):
    """Module of :func:`rescaled_mse`."""

    def __init__(self, kappa: float = 1.0, m: float = 1.0) -> None:
        super().__init__()
        self.kappa, self.m = kappa, m

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return rescaled_mse(logits, labels, kappa=self.kappa, m=self.m)

    def extra_repr(self) -> str:
        return f"kappa={self.kappa}, m={self.m}"


def _wide(scores: Tensor) -> Tensor:
    return scores if scores.dtype == torch.float64 else scores.float()


def _check(logits: Tensor, labels: Tensor) -> None:
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"`logits` must be of shape (N, K) and `labels` of shape (N,), "
            f"got {tuple(logits.shape)} and {tuple(labels.shape)}"
        )
