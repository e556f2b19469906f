"""Skip-connection-layer (SCL) fine-tuning: one block learns, and a skip connection carries its output to the classifier.

The classifier sees ``penultimate + skip(block's output)`` (Figure 7 of the paper; design in A.2); the skip connections
themselves are in :mod:`nctransfer.transfer.skip`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...runs import Mark
from .base import TuningMethod, register

if TYPE_CHECKING:
    from torch import nn

    from ...models import Network

__all__ = ["SCL"]


def _make_skip(network: Network, unit: str) -> nn.Module:
    from ..skip import make_skip

    return make_skip(network, unit)


SCL = register(
    TuningMethod(
        name="scl",
        title="SCL fine-tuning",
        tunes="one block, a skip connection from its output to the penultimate features, and the classifier",
        mark=Mark(marker="D", colour="accent", dash="-"),
        short="SCL FT",
        needs_unit=True,
        make_skip=_make_skip,
    )
)
