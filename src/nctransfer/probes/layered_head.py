"""A linear head over the standardised features of several layers.

Legend: ``features`` maps each layer's name to ``(N, D_l)``; D is the sum of the widths D_l; ``weight (K, D)`` acts on the
standardised columns, ``bias (K,)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import DataError

__all__ = ["LayeredHead"]

_CHUNK_ROWS = 4096


@dataclass(frozen=True, eq=False)
class LayeredHead:
    """Logits Σ_l W_l (x_l − μ_l) / σ_l + b of the features x_l of layers l.

    Args:
        layers: Names of the layers, in the order of the columns.
        widths: Number of features D_l of each.
        mean: μ of all columns, shape ``(D,)``, float64.
        deviation: σ of all columns, shape ``(D,)``, float64; 0 where a column gets no weight.
        weight: Shape ``(K, D)``, float64, on standardised columns.
        bias: Shape ``(K,)``, float64.
        strengths: λ_l of the L2 penalty on each W_l.
        objective: Mean training loss plus penalty, evaluated in float64.
        gap: Certified relative distance from the optimum: (objective − optimum) ≤ gap · objective.
        iterations: Iterations of the solver.

    Example:
        >>> head = LayeredHead(("a",), (2,), torch.zeros(2).double(), torch.ones(2).double(), torch.eye(2).double(),
        ...     torch.zeros(2).double(), (1.0,), objective=0.5, gap=0.0, iterations=1)
        >>> head.logits({"a": torch.tensor([[2.0, 1.0]])}).tolist()
        [[2.0, 1.0]]
    """

    layers: tuple[str, ...]
    widths: tuple[int, ...]
    mean: Tensor
    deviation: Tensor
    weight: Tensor
    bias: Tensor
    strengths: tuple[float, ...]
    objective: float
    gap: float
    iterations: int

    def logits(self, features: Mapping[str, Tensor]) -> Tensor:
        """Logits of shape ``(N, K)``, float64.

        Raises:
            DataError: a layer is missing or has another width.
        """
        return sum(self.parts(features).values(), start=self.bias)

    def parts(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Each layer's part of the logits, ``(N, K)`` by name, float64; the bias is nobody's."""
        found, start = {}, 0
        weight, offset = self._on_raw()
        for name, width in zip(self.layers, self.widths, strict=True):
            if name not in features or features[name].ndim != 2 or features[name].shape[1] != width:
                got = f"shape {tuple(features[name].shape)}" if name in features else "nothing"
                raise DataError(
                    f"layer {name} must have {width} columns, got {got}",
                    where="head over several layers",
                    remedy="pass the features of the layers that the head was fitted on",
                )
            columns = slice(start, start + width)
            matrix, shift = weight[:, columns].T, offset[:, columns].sum(1)
            rows = features[name].detach().to(weight.device).split(_CHUNK_ROWS)
            found[name] = torch.cat([part.double() @ matrix for part in rows]) - shift
            start += width
        return found

    def shares(self, features: Mapping[str, Tensor]) -> dict[str, float]:
        """Share of each layer in the logits, in [0, 1], together 1: the spread of its part over that of all parts.

        The spread of a part is the root mean square of its entries, less the mean over images of each class's logit
        (which acts as a bias) and the mean over classes of each image (which no softmax sees).
        """
        spreads = {}
        for name, part in self.parts(features).items():
            part = part - part.mean(0)
            spreads[name] = float((part - part.mean(1, keepdim=True)).square().mean().sqrt())
        total = sum(spreads.values())
        return {name: spread / total if total > 0 else 0.0 for name, spread in spreads.items()}

    def accuracy(self, features: Mapping[str, Tensor], labels: Tensor) -> float:
        """Fraction of rows whose largest logit is at their label, in [0, 1], larger is better."""
        logits = self.logits(features)
        return float((logits.argmax(1) == torch.as_tensor(labels).to(logits.device)).double().mean())

    def affine(self) -> tuple[Tensor, Tensor]:
        """The same map on raw features: weight ``(K, D)`` and bias ``(K,)``, float64."""
        weight, offset = self._on_raw()
        return weight, self.bias - offset.sum(1)

    def _on_raw(self) -> tuple[Tensor, Tensor]:
        weight = torch.where(self.deviation > 0, self.weight / self.deviation.clamp_min(1e-300), 0.0)
        return weight, weight * self.mean
