"""Cells that several studies share: encoders by loss and head or by diversity (augmentation, attacks), and tuned networks."""

from __future__ import annotations

from typing import Any

from .cells import Cell, encoder, tuning
from .scales import Backbone, Scale

__all__ = ["HEADED", "by_diversity", "by_loss", "head_settings", "pretrained", "tuned_backbone"]

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


def tuned_backbone(
    scale: Scale, seed: int, backbone: Backbone, data: dict[str, Any], method: str, unit: str | None = None
) -> Cell:
    """A network of Table 2 tuned on ``data``; an encoder of the scale sees images of its own size."""
    network: Cell | str = backbone.network or by_loss(scale, seed, scale.network, "ce", 0)
    size = backbone.image_size if backbone.network else None
    return tuning(network, data, seed, method=method, unit=unit, image_size=size, epochs=scale.tuning_epochs)


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
