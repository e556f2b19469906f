"""Whether a skip connection does anything: its share of the logits, and the accuracy without it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..data import PixelLoader
from ..engine import Runtime, StopRequest, read_split
from .tuned import TunedNetwork

__all__ = ["mechanism_of", "model_mechanism", "skip_mechanism", "split_mechanism"]


def skip_mechanism(features: Tensor, skipped: Tensor, classifier: nn.Linear, labels: Tensor) -> dict[str, Any]:
    """The contribution of the skip connection to a classifier's decisions.

    ``skip_share`` = √(Σ_k Var_n[w_k·s_n] / Σ_k Var_n[w_k·(h_n + s_n) + b_k]), over images n and classes k, with h the
    penultimate features and s what the skip adds: 0 where it does nothing, 1 where it alone decides, above 1 where the two
    cancel. It is the standard deviation of its part of the logits over that of all logits.

    Args:
        features: h, shape (N, D).
        skipped: s, shape (N, D).
        classifier: What sees h + s.
        labels: Shape (N,).

    Returns:
        ``skip_share``, and ``skip_accuracy_on`` and ``skip_accuracy_off``: the accuracy with the skip and with s = 0.

    Example:
        >>> classifier = nn.Linear(2, 2, bias=False)
        >>> _ = classifier.weight.data.copy_(torch.eye(2))
        >>> still, moving = torch.zeros(2, 2), torch.eye(2)
        >>> skip_mechanism(still, moving, classifier, torch.tensor([0, 1]))
        {'skip_share': 1.0, 'skip_accuracy_on': 1.0, 'skip_accuracy_off': 0.5}
    """
    with torch.no_grad():
        weight, bias = classifier.weight.double(), 0.0 if classifier.bias is None else classifier.bias.double()
        without = features.double() @ weight.T + bias
        logits = without + skipped.double() @ weight.T
    return mechanism_of(logits, without, labels)


def mechanism_of(logits: Tensor, without: Tensor, labels: Tensor) -> dict[str, Any]:
    """The same from the logits ``(N, K)`` and those with the skip connections switched off.

    Example:
        >>> mechanism_of(torch.eye(2), torch.zeros(2, 2), torch.tensor([0, 1]))["skip_share"]
        1.0
    """
    spread = float(logits.double().var(0, correction=0).sum())
    share = float((logits.double() - without.double()).var(0, correction=0).sum()) / spread if spread > 0 else 0.0
    return {
        "skip_share": share**0.5,
        "skip_accuracy_on": float((logits.argmax(1) == labels).double().mean()),
        "skip_accuracy_off": float((without.argmax(1) == labels).double().mean()),
    }


def model_mechanism(model: TunedNetwork, inputs: Tensor, labels: Tensor, batch: int = 256) -> dict[str, Any]:
    """:func:`skip_mechanism` of a tuned network, from tensors taken at its cut; empty where it has no such skip."""
    if model.skip is None:
        return {}
    model.eval()
    kept = []
    with torch.inference_mode():
        for start in range(0, len(inputs), batch):
            features, skipped = model.parts(inputs[start : start + batch], from_cut=True)
            assert skipped is not None
            kept.append((features.float(), skipped.float()))
    assert isinstance(model.classifier, nn.Linear), "a skip connection adds to what one linear map sees"
    return skip_mechanism(
        torch.cat([pair[0] for pair in kept]), torch.cat([pair[1] for pair in kept]), model.classifier, labels
    )


def split_mechanism(
    model: TunedNetwork, loader: PixelLoader, runtime: Runtime, *, stop: StopRequest | None = None
) -> dict[str, Any]:
    """:func:`mechanism_of` of a tuned network on the images of a split; empty where it has no skip connections."""
    if not model.has_skips:
        return {}
    model.eval()

    def forward(images: Tensor) -> dict[str, Tensor]:
        logits, without = model.with_and_without_skips(images)
        return {"logits": logits, "without": without}

    reading = read_split(forward, loader.epoch(0), len(loader.split), runtime, stop=stop)
    return mechanism_of(reading.found["logits"], reading.found["without"], reading.labels)
