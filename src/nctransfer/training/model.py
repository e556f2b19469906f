"""The trained model: an encoder, a projection head and, for losses on class scores, a classifier."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..errors import UsageError
from ..losses import CrossEntropy, RescaledMSE, SupCon, rescaling
from ..models import BUILDERS, Network, ProjectionHead, build_small, load_network, wrap_module
from .settings import PretrainSettings

__all__ = ["PretrainModel", "build_loss", "build_network"]


class PretrainModel(nn.Module):
    """Images to the outputs that the loss takes: class scores (B, K), or embeddings (B, d) for SupCon.

    Args:
        network: The encoder, with its normalisation inside.
        head: Projection head.
        num_classes: Number of classes of the linear classifier on the head's outputs; None for no classifier.
    """

    def __init__(self, network: Network, head: ProjectionHead, num_classes: int | None) -> None:
        super().__init__()
        self.network, self.head = network, head
        self.classifier: nn.Module = nn.Identity() if num_classes is None else nn.Linear(head.out_dim, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.head(self.network(images)))


def build_network(settings: PretrainSettings) -> Network:
    """The untrained encoder that the settings name; weights are drawn from torch's global generator."""
    if settings.arch not in BUILDERS:
        try:
            return load_network(settings.arch, weights="random", image_size=settings.image_size)
        except UsageError as error:
            where = "--arch" if error.where == "--model" else error.where
            raise UsageError(error.what, where=where, remedy=error.remedy) from None
    arguments: dict[str, Any] = {**settings.arch_arguments, "size": settings.image_size}
    encoder = build_small(settings.arch, **arguments)
    provenance = {"arch": settings.arch, "arch_arguments": arguments, "license": None, "weights": "random"}
    network = wrap_module(encoder, size=settings.image_size, name=settings.arch, provenance=provenance)
    return network.optimise_layout()


def build_loss(settings: PretrainSettings, num_classes: int) -> CrossEntropy | RescaledMSE | SupCon:
    """The loss that the settings name, as a module."""
    if settings.loss == "ce":
        return CrossEntropy(label_smoothing=settings.label_smoothing)
    if settings.loss == "supcon":
        return SupCon(temperature=settings.temperature)
    kappa, m = rescaling(num_classes)
    return RescaledMSE(kappa=settings.kappa or kappa, m=settings.m or m)
