"""Weights of an ensemble, chosen on held-out images: greedy selection with replacement (Caruana et al., ICML 2004)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import UsageError

__all__ = ["Pool", "choose_pool", "pooled"]

_ROUNDS = 20
_FOLDS = 5


@dataclasses.dataclass(frozen=True)
class Pool:
    """An ensemble.

    Attributes:
        weights: Of each member, positive, together 1; the heaviest first.
        held: Log-probabilities (M, K) of the images, each row under weights that were chosen without this image.
    """

    weights: dict[str, float]
    held: Tensor


def pooled(logits: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Log-probabilities ``(M, K)`` of an ensemble: log softmax(Σ_m w_m log softmax(z_m)), for logits z_m ``(M, K)``.

    Example:
        >>> z = {"a": torch.tensor([[2.0, 0.0]]), "b": torch.tensor([[0.0, 2.0]]), "c": torch.tensor([[9.0, 0.0]])}
        >>> pooled(z, {"a": 0.5, "b": 0.5}).exp().tolist()
        [[0.5, 0.5]]
    """
    parts = [weight * logits[name].double().log_softmax(1) for name, weight in weights.items()]
    return torch.stack(parts).sum(0).log_softmax(1)


def choose_pool(logits: Mapping[str, Tensor], labels: Tensor, *, balanced: bool = False, seed: int = 0) -> Pool:
    """Choose members and weights by the log-loss of held-out images.

    Starting with the member of smallest log-loss, the member that lowers the ensemble's most is added, one at a time and as
    often as it helps; a weight is the fraction of the picks. What the ensemble is worth is judged by weights that were chosen
    on four fifths of the images and applied to the last fifth.

    Args:
        logits: By member, ``(M, K)``, of images that its fit did not see, divided by its temperature.
        labels: Of these images, ``(M,)``.
        balanced: Whether all classes count the same, however many images they have.
        seed: Of the fifths.

    Raises:
        UsageError: there is no member.

    Example:
        >>> labels = torch.arange(40) % 2
        >>> right = 3.0 * functional.one_hot(labels, 2)
        >>> odd, even = right.clone(), right.clone()
        >>> odd[::4], even[1::4] = 1.0, 1.0  # each knows nothing of images that the other one knows
        >>> pool = choose_pool({"odd": odd, "even": even, "wrong": -right}, labels)
        >>> sorted(pool.weights), float((pool.held.argmax(1) == labels).double().mean())
        (['even', 'odd'], 1.0)
    """
    if not logits:
        raise UsageError("an ensemble needs members", where="logits", remedy="pass the logits of at least one")
    names = list(logits)
    stacked = torch.stack([logits[name].double().log_softmax(1) for name in names])
    counts = labels.bincount(minlength=stacked.shape[2]).double()
    each = 1.0 / counts.clamp_min(1.0)[labels] if balanced else torch.ones(len(labels), dtype=torch.float64)
    weights = _greedy(stacked, labels, each)
    held = pooled(logits, dict(zip(names, weights.tolist(), strict=True)))
    folds = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed)) % _FOLDS
    for number in range(_FOLDS):
        own, rest = folds == number, folds != number
        if bool(own.any()) and bool(rest.any()):
            found = _greedy(stacked[:, rest], labels[rest], each[rest])
            held[own] = pooled(
                {name: values[own] for name, values in logits.items()}, dict(zip(names, found.tolist(), strict=True))
            )
    order = sorted(
        (place for place in range(len(names)) if weights[place] > 0), key=lambda place: -float(weights[place])
    )
    return Pool({names[place]: float(weights[place]) for place in order}, held)


def _greedy(stacked: Tensor, labels: Tensor, each: Tensor) -> Tensor:
    """Weights (members,) from log-probabilities (members, M, K); ``each`` is what an image counts."""

    def losses(sums: Tensor, picks: int) -> Tensor:
        found = torch.stack([functional.cross_entropy(one / picks, labels, reduction="none") for one in sums])
        return (found * each).sum(1)

    picked = torch.zeros(len(stacked), dtype=torch.float64)
    total, best = torch.zeros_like(stacked[0]), float("inf")
    for number in range(1, _ROUNDS + 1):
        found = losses(total + stacked, number)
        place = int(found.argmin())
        if float(found[place]) >= best:
            break
        best = float(found[place])
        picked[place] += 1
        total = total + stacked[place]
    return picked / picked.sum()
