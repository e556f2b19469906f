"""Low-rank adaptation (LoRA): beside each linear map and plain convolution, the product of two thin ones learns.

W + 2·B·A with B (out, r), which starts at zero, and A (r, in); the weights themselves are frozen (Hu et al., LoRA: Low-Rank
Adaptation of Large Language Models, ICLR 2022). The adapters are those of the package peft.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...runs import Mark
from .base import Adapter, TuningMethod, register

if TYPE_CHECKING:
    from ...models import Network

__all__ = ["LORA"]


def _add(network: Network, rank: int) -> None:
    from ..adapters import add_adapters

    # The scale is alpha / r: tied to the rank, so that a rate that suits one rank suits another.
    add_adapters(network, rank, "LoraConfig", lora_alpha=2 * rank)


def _merge(network: Network) -> None:
    from ..adapters import merge_adapters

    merge_adapters(network)


LORA = register(
    TuningMethod(
        name="lora",
        title="LoRA fine-tuning",
        tunes="low-rank updates of the linear maps and plain convolutions, and the classifier",
        mark=Mark(marker="X", colour="ink", dash="--"),
        short="LoRA FT",
        adapter=Adapter(_add, _merge),
        package="peft",
        # On 400 + 100 images of CIFAR-10 (one seed), 3e-3 did better on validation than 1e-3 and 1e-2.
        base_rate=3e-3,
        step_share=0.95,
        trial_share=0.95,
    )
)
