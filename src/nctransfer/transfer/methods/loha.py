"""Low-rank Hadamard adaptation (LoHa): the update of each weight is the element-wise product of two low-rank matrices.

W + (B₁·A₁) ⊙ (B₂·A₂), of rank up to r² with twice the parameters of LoRA at rank r (Hyeon-Woo et al., FedPara: Low-Rank
Hadamard Product for Communication-Efficient Federated Learning, ICLR 2022). The adapters are those of the package peft.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...runs import Mark
from .base import Adapter, TuningMethod, register

if TYPE_CHECKING:
    from ...models import Network

__all__ = ["LOHA"]


def _add(network: Network, rank: int) -> None:
    from ..adapters import add_adapters

    add_adapters(network, rank, "LoHaConfig", alpha=rank)


def _merge(network: Network) -> None:
    from ..adapters import merge_adapters

    merge_adapters(network)


LOHA = register(
    TuningMethod(
        name="loha",
        title="LoHa fine-tuning",
        tunes="Hadamard products of low-rank updates of the linear maps and plain convolutions, and the classifier",
        mark=Mark(marker="p", colour="ink", dash="--"),
        short="LoHa FT",
        adapter=Adapter(_add, _merge),
        package="peft",
        step_share=0.95,
        trial_share=0.95,
    )
)
