"""Several finished methods as one classifier: their log-probabilities averaged with weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..models import PENULTIMATE, Network
from .classifier import LayeredClassifier
from .methods import ENSEMBLE
from .tuned import TunedNetwork

__all__ = ["Ensemble", "Part"]


@dataclasses.dataclass(frozen=True)
class Part:
    """A member of an ensemble.

    Attributes:
        name: An entry of the run's methods, or ``linear@LAYER``.
        model: The finished model.
        weight: Of its log-probabilities.
        temperature: Its logits are divided by it first.
    """

    name: str
    model: TunedNetwork
    weight: float
    temperature: float = 1.0


class Ensemble(nn.Module):
    """Log-probabilities log softmax(Σ_m w_m log softmax(z_m / T_m)) of the members' logits z_m.

    Members that left the pretrained network as it was share one pass through it, whatever their number; every tuned network
    takes one of its own.

    Args:
        parts: The members. Their modules are taken over, not copied.

    Attributes:
        names: Of the members, those on the frozen network first.
    """

    weights: Tensor
    temperatures: Tensor

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__()
        frozen = [part for part in parts if not part.model.method.changes_features]
        tuned = [part for part in parts if part.model.method.changes_features]
        self.method, self.unit, self.units = ENSEMBLE, None, ()
        self.num_classes = parts[0].model.num_classes
        ordered = [*frozen, *tuned]
        self.names = tuple(part.name for part in ordered)
        self._described = [_described(part) for part in ordered]
        self.frozen: Network | None = frozen[0].model.network if frozen else None
        self.heads = nn.ModuleList([part.model.classifier for part in frozen])
        self._tuned = [part.model for part in tuned]
        self.tuned = nn.ModuleList(self._tuned)
        self.register_buffer("weights", torch.tensor([part.weight for part in ordered]))
        self.register_buffer("temperatures", torch.tensor([part.temperature for part in ordered]))
        self.eval()

    @property
    def network(self) -> Network:
        """The network of the first member."""
        return self.frozen if self.frozen is not None else self._tuned[0].network

    @property
    def read_layers(self) -> None:
        """No single classifier reads layers here; what a member reads stands in :attr:`members`."""

    @property
    def has_adapters(self) -> bool:
        """Adapters are merged into the weights before a method is finished."""
        return False

    @property
    def passes(self) -> int:
        """Forward passes that an image takes."""
        return (self.frozen is not None) + len(self.tuned)

    @property
    def members(self) -> list[dict[str, Any]]:
        """The entry of each member in a manifest, in the order of the weights."""
        return self._described

    def forward(self, images: Tensor) -> Tensor:
        """Log-probabilities ``(B, K)`` of images."""
        parts = [
            weight * (logits.float() / temperature).log_softmax(1)
            for logits, weight, temperature in zip(self._logits(images), self.weights, self.temperatures, strict=True)
        ]
        return torch.stack(parts).sum(0).log_softmax(1)

    def _logits(self, images: Tensor) -> Iterator[Tensor]:
        if self.frozen is not None:
            layers = {name for head in self.heads if isinstance(head, LayeredClassifier) for name in head.taps}
            with self.frozen.taps(sorted(layers)) as taps:
                features = self.frozen(images)
            found = {**taps.features, PENULTIMATE: features}
            for head in self.heads:
                yield head(found if isinstance(head, LayeredClassifier) else features)
        for model in self._tuned:
            yield model(images)

    def count_parameters(self) -> tuple[int, int]:
        """(number of parameters that any member learned, number of all parameters)."""
        learned = sum(parameter.numel() for head in self.heads for parameter in head.parameters())
        learned += sum(model.count_parameters()[0] for model in self._tuned)
        return learned, sum(parameter.numel() for parameter in self.parameters())


def _described(part: Part) -> dict[str, Any]:
    model = part.model
    return {
        "name": part.name,
        "method": model.method.name,
        "unit": model.unit,
        "units": list(model.units),
        "classifier_layers": None if model.read_layers is None else list(model.read_layers),
        "weight": part.weight,
        "temperature": part.temperature,
    }
