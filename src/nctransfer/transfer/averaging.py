"""Weights between the probe and the tuned network: averages of states that share a start, chosen on held-out images.

Fine-tuning a few hundred images moves a network further than they support: part of the way back to where it started is
often better on new images and nearly always better calibrated (Wortsman et al., "Robust fine-tuning of zero-shot models",
CVPR 2022; for averages of several ends, "Model soups", ICML 2022). It costs one pass over the held-out images a candidate.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import UsageError
from ..probes import fit_temperature

__all__ = ["SHARES", "Mixture", "choose_mixture", "mix_states", "tempered_log_loss"]

SHARES = (0.5, 0.75, 0.9)
"""Shares of the tuned weights in the candidates between start and end."""

State = Mapping[str, Tensor]


@dataclasses.dataclass(frozen=True)
class Mixture:
    """A candidate: how much each end counts, the rest is the start.

    Attributes:
        weights: One number an end.
        log_loss: On held-out images after temperature scaling, in nats.
        accuracy: On held-out images.
    """

    weights: tuple[float, ...]
    log_loss: float
    accuracy: float

    @property
    def share(self) -> float:
        """Share of the tuned weights; 1 at an end, 0 at the start."""
        return sum(self.weights)


def mix_states(states: Sequence[State], weights: Sequence[float]) -> dict[str, Tensor]:
    """The weighted sum of states of the same model; what is not a float is taken from the last.

    Example:
        >>> one, two = {"w": torch.zeros(2), "n": torch.tensor(1)}, {"w": torch.ones(2), "n": torch.tensor(2)}
        >>> mixed = mix_states([one, two], [0.25, 0.75])
        >>> mixed["w"].tolist(), int(mixed["n"])
        ([0.75, 0.75], 2)
    """
    if len(states) != len(weights) or not states:
        raise UsageError(f"{len(states)} states and {len(weights)} weights", remedy="pass one weight a state")
    last = states[-1]
    return {
        name: torch.stack([weight * state[name] for weight, state in zip(weights, states, strict=True)]).sum(0)
        if value.is_floating_point()
        else value.clone()
        for name, value in last.items()
    }


def tempered_log_loss(logits: Tensor, labels: Tensor, *, balanced: bool = False) -> float:
    """Mean log-loss after temperature scaling on the same images: how well the logits order the classes, in nats.

    Without the temperature, whatever is less sure of itself would seem better: tuned networks are always too sure.

    Args:
        logits, labels: Of held-out images, ``(M, K)`` and ``(M,)``.
        balanced: Whether all classes count the same, however many images they have.
    """
    logits, labels = logits.double().cpu(), labels.cpu()
    losses = functional.cross_entropy(logits / fit_temperature(logits, labels), labels, reduction="none")
    if not balanced:
        return float(losses.mean())
    _, place, count = labels.unique(return_inverse=True, return_counts=True)
    return float((losses / count[place]).sum() / len(count))


def choose_mixture(
    start: State,
    ends: Sequence[State],
    judge: Callable[[State], Tensor],
    labels: Tensor,
    shares: Sequence[float] = SHARES,
    *,
    balanced: bool = False,
) -> tuple[dict[str, Tensor], Mixture, list[Mixture]]:
    """The best of each end, the mean of all ends, and the points on the way from the start to the better of these.

    Args:
        start: The state before the first step.
        ends: States after the last step of trainings that share that start.
        judge: Gives the logits ``(M, K)`` of a state on held-out images.
        labels: Of these images, ``(M,)``.
        shares: Points between the start (0) and an end (1).
        balanced: Whether all classes count the same in the log-loss.

    Returns:
        The chosen state, what it is, and every candidate in the order tried. Smallest tempered log-loss wins.

    Example:
        >>> labels = torch.tensor([0, 1, 0, 1])
        >>> def judge(state):
        ...     return torch.stack([state["w"], -state["w"]], 1)
        >>> start, end = {"w": torch.tensor([1.0, 1, 1, 1])}, {"w": torch.tensor([1.0, -1, 1, -1])}
        >>> choose_mixture(start, [end], judge, labels)[1].share
        1.0
    """
    tried: dict[tuple[float, ...], Mixture] = {}

    def consider(weights: tuple[float, ...]) -> Mixture:
        logits = judge(_state(start, ends, weights))
        accuracy = float((logits.argmax(1).cpu() == labels.cpu()).double().mean())
        tried[weights] = Mixture(weights, tempered_log_loss(logits, labels, balanced=balanced), accuracy)
        return tried[weights]

    count = len(ends)
    whole = [tuple(float(place == number) for place in range(count)) for number in range(count)]
    if count > 1:
        whole.append((1.0 / count,) * count)
    far = min([consider(weights) for weights in whole], key=lambda mixture: mixture.log_loss)
    for share in shares:
        consider(tuple(share * weight for weight in far.weights))
    best = min(tried.values(), key=lambda mixture: mixture.log_loss)
    return _state(start, ends, best.weights), best, list(tried.values())


def _state(start: State, ends: Sequence[State], weights: tuple[float, ...]) -> dict[str, Tensor]:
    return mix_states([start, *ends], [1.0 - sum(weights), *weights])
