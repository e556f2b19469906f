"""The skip connections of SCL fine-tuning, from a block's output to the penultimate features.

The classifier sees ``penultimate + skip(block's output)`` (Figure 7 of the paper; design in A.2): convolutional maps are
averaged to 1×1, projected by a 1×1 convolution to the penultimate width and batch-normalised; transformer tokens, whose
width is that of the penultimate features already, are pooled as the network pools its last layer and added directly.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from ..models import Network

__all__ = ["ConvolutionalSkip", "DirectSkip", "SummedSkips", "make_skip"]


class ConvolutionalSkip(nn.Module):
    """Average pool to 1×1, 1×1 convolution to the penultimate width, BatchNorm.

    After pooling there is one position left, where a 1×1 convolution and a linear map without bias are the same thing;
    the latter also serves layers whose output is not a map. The norm's scale starts at zero, so that tuning starts from
    the pretrained features as they are; A.2 does not say, and from the usual 1 the random projection drowns them at first.
    """

    def __init__(self, network: Network, unit: str) -> None:
        super().__init__()
        self.pool = partial(network.pool, unit)
        self.project = nn.Linear(network.channels(unit), network.feature_dim, bias=False)
        self.norm = nn.BatchNorm1d(network.feature_dim)
        nn.init.zeros_(self.norm.weight)

    def forward(self, output: Tensor) -> Tensor:
        return self.norm(self.project(self.pool(output)))


class DirectSkip(nn.Module):
    """The block's output, pooled as the network pools its last layer, with no parameters of its own."""

    def __init__(self, network: Network, unit: str) -> None:
        super().__init__()
        self.pool = partial(network.pool_as_network, unit)

    def forward(self, output: Tensor) -> Tensor:
        return self.pool(output)


class SummedSkips(nn.Module):
    """The skip connections of several blocks, added up.

    Args:
        parts: One for each block, in the order of the outputs that :meth:`forward` takes.
    """

    def __init__(self, parts: Sequence[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, *outputs: Tensor) -> Tensor:
        first, *others = (part(output) for part, output in zip(self.parts, outputs, strict=True))
        return sum(others, start=first)


def make_skip(network: Network, unit: str) -> nn.Module:
    """The skip connection from ``unit`` of ``network``."""
    if len(network.layer_shapes[unit]) <= 2 and network.channels(unit) == network.feature_dim:
        return DirectSkip(network, unit)
    return ConvolutionalSkip(network, unit)
