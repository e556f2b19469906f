"""Supervised contrastive loss (Khosla et al., 2020): embeddings (N, V, D) of V views, labels (N,)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .gather import gather_with_gradient

__all__ = ["SupCon", "anchors_without_positive", "supcon"]


def supcon(embeddings: Tensor, labels: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Supervised contrastive loss in the form L_out, mean over anchors.

    With z the unit-normalised embeddings of all N·V views, A(i) all views but i, P(i) those of A(i) with i's label::

        L = mean over i of  −(1/|P(i)|) Σ_{p∈P(i)} log [ exp(z_i·z_p/τ) / Σ_{a∈A(i)} exp(z_i·z_a/τ) ]

    The mean stands outside the logarithm (L_out, equation 2 of the source) and each anchor averages over its own
    positives. Anchors without a positive are left out of the outer mean (:func:`anchors_without_positive` counts them).
    No factor τ is applied. Similarities are computed in float32 (float64 for such input), with autocast off.

    Args:
        embeddings: Outputs of the projection head, of shape (N, V, D), or (N, D) for one view; not normalised.
        labels: Classes of shape (N,).
        temperature: τ > 0.

    Returns:
        A scalar; smaller is better.

    Raises:
        ValueError: shapes do not fit, τ is not positive, or no anchor has a positive (the loss is then undefined).

    Source:
        Khosla et al., "Supervised contrastive learning", NeurIPS 2020 (arXiv 2004.11362), equation 2.

    Example:
        >>> views = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]])
        >>> round(supcon(views, torch.tensor([0, 1]), temperature=1.0).item(), 4)
        0.5514
    """
    if embeddings.ndim == 2:
        embeddings = embeddings[:, None]
    if embeddings.ndim != 3 or labels.shape != embeddings.shape[:1]:
        raise ValueError(
            f"`embeddings` must be of shape (N, V, D) or (N, D) and `labels` of shape (N,), "
            f"got {tuple(embeddings.shape)} and {tuple(labels.shape)}"
        )
    if temperature <= 0:
        raise ValueError(f"`temperature` must be positive, got {temperature}")
    with torch.autocast(embeddings.device.type, enabled=False):
        wide = embeddings if embeddings.dtype == torch.float64 else embeddings.float()
        unit = nn.functional.normalize(wide, dim=2).flatten(0, 1)
        owner = labels.repeat_interleave(embeddings.shape[1])
        itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
        logits = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf)
        log_share = logits - logits.logsumexp(1, keepdim=True)
        positive = (owner[:, None] == owner) & ~itself
        counts = positive.sum(1)
        has_positive = counts > 0
        if not has_positive.any():
            raise ValueError(
                f"no anchor among {len(unit)} has a positive, so the loss is undefined; "
                "use two views, a larger batch or fewer classes in it"
            )
        means = log_share.masked_fill(~positive, 0).sum(1) / counts.clamp(min=1)
        return -means[has_positive].mean()


def anchors_without_positive(labels: Tensor, views: int = 1) -> int:
    """How many of the N·V anchors have no other view of their class in the batch.

    Example:
        >>> labels = torch.tensor([0, 0, 1])
        >>> anchors_without_positive(labels), anchors_without_positive(labels, views=2)
        (1, 0)
    """
    if views > 1:
        return 0
    return int((labels.unique(return_counts=True)[1] == 1).sum())


class SupCon(nn.Module):
    """Module of :func:`supcon`. Under ``torch.distributed`` all processes' embeddings are gathered, with gradient.

    The attribute ``skipped`` adds up the anchors that were left out because they have no positive.
    """

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        self.temperature = temperature
        self.skipped = 0

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        embeddings, labels = gather_with_gradient(embeddings), gather_with_gradient(labels)
        self.skipped += anchors_without_positive(labels, views=embeddings.shape[1] if embeddings.ndim == 3 else 1)
        return supcon(embeddings, labels, temperature=self.temperature)

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}"
