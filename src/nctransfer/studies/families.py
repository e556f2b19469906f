"""Cells that several studies share: encoders by loss and head or by diversity (augmentation, attacks), and tuned networks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..transfer import Protocol, get_protocol
from .cells import Cell, encoder, tuning
from .scale import Backbone, Scale, seeded

__all__ = [
    "HEADED",
    "RATES",
    "by_diversity",
    "by_loss",
    "head_settings",
    "pretrained",
    "protocol_of",
    "tuned_backbone",
    "tuned_label",
]

HEADED = {"ce": "CE", "mse": "MSE", "supcon": "SupCon"}
"""Losses of Figure 1 and their titles."""


def head_settings(layers: int) -> dict[str, Any]:
    """Settings of a projection head of so many layers.

    Example:
        >>> head_settings(0), head_settings(1), head_settings(2)
        ({'head': 'none'}, {'head': 'linear'}, {'head': 'mlp', 'head_layers': 2})
    """
    if layers == 0:
        return {"head": "none"}
    return {"head": "linear"} if layers == 1 else {"head": "mlp", "head_layers": layers}


def pretrained(
    scale: Scale, seed: int, network: dict[str, Any], data: dict[str, Any] | None = None, **settings: Any
) -> Cell:
    """An encoder of the scale, with these settings changed."""
    return encoder(data or scale.source, seed, **{**scale.training, **network, **settings})


def by_loss(
    scale: Scale, seed: int, network: dict[str, Any], loss: str, layers: int, data: dict[str, Any] | None = None
) -> Cell:
    """An encoder by loss and number of projection layers."""
    own = {**scale.by_loss.get(loss, {}), **(scale.by_loss.get(f"{loss} with head", {}) if layers else {})}
    return pretrained(scale, seed, network, data, loss=loss, **head_settings(layers), **own)


RATES = {"paper": (0.01, 0.03, 0.1), "practical": (3e-4, 1e-3, 3e-3)}
"""Learning rates of each protocol, of which the first seed's validation images choose."""


def tuned_backbone(
    scale: Scale, seed: int, backbone: Backbone, data: str, method: str, unit: str | None = None
) -> Cell:
    """A network of Table 2 tuned on one of its data sets; an encoder of the scale sees images of its own size.

    Args:
        scale: The scale.
        seed: The seed.
        backbone: The network, its data sets as the scale names them.
        data: Title of one of them.
        method: By name.
        unit: The tuned block.
    """
    network: Cell | str = backbone.network or by_loss(scale.at(seed), seed, scale.network, "ce", 0)
    own = seeded(backbone.data[data], seed)
    rest: dict[str, Any] = {
        "method": method,
        "unit": unit,
        "image_size": backbone.image_size if backbone.network else None,
        "epochs": backbone.epochs or scale.tuning_epochs,
    }
    if not backbone.protocol:
        return tuning(network, own, seed, **rest)
    rest["protocol"] = protocol_of(backbone.protocol, method)
    if seed == 0:
        return tuning(network, own, seed, rates=RATES[backbone.protocol], **rest)
    return tuning(network, own, seed, rate_of=tuned_backbone(scale, 0, backbone, data, method, unit), **rest)


def protocol_of(name: str, method: str) -> Protocol:
    """The protocol of a method. The linear probe is fitted to the end under either: it starts at its optimum."""
    protocol = get_protocol(name)
    return replace(protocol, classifier="probe", epoch="best") if method == "linear" else protocol


def tuned_label(backbone: Backbone, data: str, method: str, unit: str | None = None) -> str:
    """The label of a tuning in Table 2."""
    return " | ".join(part for part in (backbone.title, data, method, unit) if part)


def by_diversity(scale: Scale, seed: int) -> dict[str, Cell]:
    """The models of Figures 2, 3 and 10 by label: ``augment 1``…, ``attack 1``…, and ``untrained``."""
    made = {
        f"augment {level}": pretrained(scale, seed, scale.deep, loss="ce", head="none", augment=level)
        for level in scale.augmentations
    }
    for epsilon in scale.attacks:
        made[f"attack {epsilon:g}"] = pretrained(
            scale, seed, scale.deep, loss="ce", head="none", adversarial=epsilon, **scale.attack
        )
    made["untrained"] = pretrained(scale, seed, scale.deep, loss="ce", head="none", epochs=0)
    return made
