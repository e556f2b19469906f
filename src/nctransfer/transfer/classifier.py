"""The classifier over several layers: skip connections from layers straight to the logits, at fixed standardisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..models import PENULTIMATE, Network
from ..probes import LayeredHead

__all__ = ["LayeredClassifier"]

_LEAST_SPREAD = 0.1


class LayeredClassifier(nn.Module):
    """Logits Σ_l W_l s_l (x_l − μ_l) / σ_l + b of the pooled features x_l of several layers.

    It starts as a probe of the pretrained features (:meth:`start`): μ, σ and the scales s_l stay as they were fitted, so
    that a step of tuning moves each layer's part by what the probe trusts that layer with; W and b learn. Columns whose
    spread is under a tenth of their layer's median get no weight: standardising magnifies them, and the first steps of
    tuning move them by many standard deviations.

    Args:
        network: Whose layers are read.
        layers: Names of layers; ``"penultimate"`` for the network's output.
        num_classes: K.

    Example:
        >>> from nctransfer.models import wrap_module
        >>> net = wrap_module(nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.ReLU(), nn.Linear(5, 3)), size=8)
        >>> head = LayeredClassifier(net, ["1", "penultimate"], 2)
        >>> head({"1": torch.zeros(4, 5), "penultimate": torch.zeros(4, 3)}).shape
        torch.Size([4, 2])
    """

    mean: Tensor
    factor: Tensor

    def __init__(self, network: Network, layers: Sequence[str], num_classes: int) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.widths = tuple(network.width(name) for name in layers)
        total = sum(self.widths)
        self.register_buffer("mean", torch.zeros(total))
        self.register_buffer("factor", torch.ones(total))
        self.weight = nn.Parameter(torch.zeros(num_classes, total))
        self.bias = nn.Parameter(torch.zeros(num_classes))

    @property
    def taps(self) -> list[str]:
        """The layers to be tapped: all but the network's output."""
        return [name for name in self.layers if name != PENULTIMATE]

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        columns = torch.cat([features[name] for name in self.layers], 1)
        return nn.functional.linear((columns - self.mean) * self.factor, self.weight, self.bias)

    def parts(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Each layer's part of the logits ``(B, K)``; the bias is nobody's."""
        found, start = {}, 0
        for name, width in zip(self.layers, self.widths, strict=True):
            columns = slice(start, start + width)
            standard = (features[name] - self.mean[columns]) * self.factor[columns]
            found[name] = standard @ self.weight[:, columns].T
            start += width
        return found

    @torch.no_grad()
    def start(self, head: LayeredHead, *, steady: bool = False) -> None:
        """Take over a probe. With ``steady``, columns that hardly vary get no weight."""
        scales = torch.cat(
            [
                torch.full((width,), max(strength, 1e-12) ** -0.5, dtype=torch.float64)
                for width, strength in zip(head.widths, head.strengths, strict=True)
            ]
        )
        scales /= scales.square().mean().sqrt()
        factor = torch.where(head.deviation > 0, scales / head.deviation.clamp_min(1e-300), 0.0)
        if steady:
            parts = head.deviation.split(list(head.widths))
            kept = torch.cat([part > _LEAST_SPREAD * part[part > 0].median() for part in parts])
            factor = torch.where(kept, factor, 0.0)
        self.mean.copy_(head.mean)
        self.factor.copy_(factor)
        self.weight.copy_(head.weight / scales)
        self.bias.copy_(head.bias)
