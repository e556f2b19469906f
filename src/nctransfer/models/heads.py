"""Projection heads: what stands between the encoder and the loss in pre-training, and is dropped afterwards."""

from __future__ import annotations

from torch import Tensor, nn

from ..errors import UsageError, near_names

__all__ = ["HEADS", "ProjectionHead"]

HEADS = ("none", "linear", "mlp")


class ProjectionHead(nn.Module):
    """A projection of features (B, D) to (B, ``out_dim``).

    ``none`` passes the features on; ``linear`` is one linear layer; ``mlp`` is ``layers`` linear layers of the
    encoder's width with ReLU between them, the last of width ``dim`` (Khosla et al., 2020, use two, with ``dim`` 128).

    Args:
        kind: ``none``, ``linear`` or ``mlp``.
        feature_dim: Width D of the encoder's features.
        layers: Number of linear layers of an ``mlp``, at least 2.
        dim: Width of the output of ``linear`` and ``mlp``.

    Raises:
        UsageError: the kind is unknown, or an ``mlp`` has fewer than two layers.

    Example:
        >>> ProjectionHead("mlp", 64, layers=3, dim=16).out_dim
        16
    """

    def __init__(self, kind: str, feature_dim: int, *, layers: int = 2, dim: int = 128) -> None:
        super().__init__()
        if kind not in HEADS:
            raise UsageError(f"unknown head {kind!r}", where="head", remedy=near_names(kind, HEADS))
        if kind == "mlp" and layers < 2:
            raise UsageError(
                f"an mlp head needs at least 2 layers, got {layers}", where="head_layers", remedy="use --head linear"
            )
        if dim < 1:
            raise UsageError(f"the head's width must be at least 1, got {dim}", where="head_dim")
        modules: list[nn.Module] = []
        if kind == "mlp":
            for _ in range(layers - 1):
                modules += [nn.Linear(feature_dim, feature_dim), nn.ReLU()]
        if kind != "none":
            modules.append(nn.Linear(feature_dim, dim))
        self.kind = kind
        self.out_dim = feature_dim if kind == "none" else dim
        self.project = nn.Sequential(*modules)

    def forward(self, features: Tensor) -> Tensor:
        return self.project(features)
