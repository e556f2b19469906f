"""How a method is tuned, as plain data: two protocols by name, and arms that change one thing of them.

``paper`` is Appendix A.2 of the paper: a skip connection whose BatchNorm starts at scale 1, a new classifier, SGD with momentum
and a cosine down to a thousandth of the rate (SGDR of a single period, as for its pre-training), and the last epoch. What A.2
leaves open is decided here: a classifier that starts at zero, pretrained BatchNorm statistics kept, no augmentation.

``practical`` is what ``auto`` and ``tune`` do: AdamW with a warm-up from the converged linear probe; SCL and full fine-tuning
start at the deep probe, with skip connections from every layer straight to the logits; and of the points between the start
and the last epoch the one with the smallest log-loss on the validation images. `benchmarks/recipe_table.py` compares
full fine-tuning from either start on held-out training images of three sets, one seed: from the deep probe it gained 3.1 points
at rate 3e-4 (6.2, 3.0, 0.2) and 1.0 at 1e-3 (5.6, −0.2, −2.4), which is why it is trained at both and validation mixes them; 30
epochs in place of 15 gained nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import nn

from ..engine import WarmupCosine
from ..errors import UsageError, near_names

__all__ = ["PAPER", "PRACTICAL", "PROTOCOLS", "Protocol", "get_protocol"]


@dataclass(frozen=True)
class Protocol:
    """How a tuning method is trained, whichever method it is.

    Attributes:
        name: ``paper`` or ``practical``; an arm keeps the name of what it changes.
        optimizer: AdamW, or SGD with momentum.
        momentum: Of SGD.
        weight_decay: Not applied to biases and normalisation by AdamW, applied to everything by SGD.
        warmup: Fraction of the steps with a rising rate.
        floor: The last rate as a fraction of the peak; the cosine runs down to it.
        classifier: Where the new classifier starts: at the linear ``probe`` of the pretrained features, at ``zero``, or at
            PyTorch's ``random`` initialisation of a linear layer.
        skip_scale: Where the scale of the projection's BatchNorm starts.
        batchnorm: Whether pretrained BatchNorms of the tuned part keep their statistics or use those of the batch and move.
        epoch: Whether the model is that of the ``best`` epoch on validation, of the ``last``, or a ``mixture``: the mean of
            start and last epoch, weighted by validation (see `averaging`).
        augment: ``auto`` or ``none``.
        skips: SCL's skip connections: the ``projection`` of A.2 from the tuned block to the penultimate features, or from all
            ``layers`` to the logits, started at the deep probe; full fine-tuning has the latter, too.

    Example:
        >>> import dataclasses
        >>> dataclasses.replace(PAPER, skip_scale=0.0).changes()
        {'skip_scale': 0.0}
    """

    name: str
    optimizer: Literal["adamw", "sgd"]
    momentum: float
    weight_decay: float
    warmup: float
    floor: float
    classifier: Literal["probe", "zero", "random"]
    skip_scale: float
    batchnorm: Literal["kept", "trained"]
    epoch: Literal["best", "last", "mixture"]
    augment: Literal["auto", "none"]
    skips: Literal["projection", "layers"] = "projection"

    def plain(self) -> dict[str, Any]:
        """Every field, JSON-able; ``skips`` only where it is not the projection, so that cells made before it keep their keys."""
        fields = asdict(self)
        if self.skips == "projection":
            del fields["skips"]
        return fields

    def changes(self) -> dict[str, Any]:
        """The fields in which an arm differs from the protocol of its name."""
        whole = asdict(PROTOCOLS[self.name])
        return {name: value for name, value in asdict(self).items() if value != whole[name]}

    def make_optimizer(self, parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
        """The optimiser of these parameters at the peak rate ``lr``."""
        tuned = list(parameters)
        if self.optimizer == "sgd":
            return torch.optim.SGD(tuned, lr=lr, momentum=self.momentum, weight_decay=self.weight_decay)
        groups = [
            {"params": [parameter for parameter in tuned if parameter.dim() > 1], "weight_decay": self.weight_decay},
            {"params": [parameter for parameter in tuned if parameter.dim() <= 1], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW([group for group in groups if group["params"]], lr=lr)

    def schedule(self, lr: float) -> WarmupCosine:
        """The rates that go with the peak rate ``lr``: a linear warm-up, then half a cosine down to the floor.

        Example:
            >>> [round(PAPER.schedule(0.1).rate(step, 10, 1), 4) for step in (0, 5, 10)]
            [0.1, 0.0587, 0.0001]
        """
        return WarmupCosine(lr, self.warmup, self.floor)


PRACTICAL = Protocol("practical", "adamw", 0.9, 0.01, 0.1, 0.0, "probe", 0.0, "kept", "mixture", "auto", "layers")
PAPER = Protocol("paper", "sgd", 0.9, 5e-4, 0.0, 1e-3, "zero", 1.0, "kept", "last", "none")
PROTOCOLS = {protocol.name: protocol for protocol in (PAPER, PRACTICAL)}
"""Both protocols by name."""


def get_protocol(name: str) -> Protocol:
    """A protocol by name.

    Raises:
        UsageError: there is none of that name.

    Example:
        >>> get_protocol("paper").optimizer
        'sgd'
    """
    if name not in PROTOCOLS:
        raise UsageError(f"unknown protocol {name!r}", where="the protocol", remedy=near_names(name, list(PROTOCOLS)))
    return PROTOCOLS[name]
