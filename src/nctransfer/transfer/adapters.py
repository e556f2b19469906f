"""Low-rank adapters, put into a network by the package peft and merged into its weights when training is over."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import torch
from torch import nn

from ..errors import SetupError, UsageError
from ..models import Network

__all__ = ["adaptable_modules", "add_adapters", "merge_adapters"]

_PIXELS = 3


def adaptable_modules(network: Network, rank: int) -> tuple[str, ...]:
    """Names of the encoder's modules that low-rank adapters can learn beside: linear maps and plain convolutions.

    Of these, left out are what the forward pass does not call (attention that takes the weights of its maps into its own
    hands would pass an adapter over without a word), weights that several modules share, convolutions that read pixels,
    that are grouped or dilated or pad otherwise than with zeros, and maps so small that two factors of ``rank`` would have
    as many numbers as the weight itself.

    Example:
        >>> from nctransfer.models import wrap_module
        >>> convolutions = [nn.Conv2d(3, 32, 3), nn.Conv2d(32, 32, 3, groups=32), nn.Conv2d(32, 64, 1)]
        >>> net = wrap_module(nn.Sequential(*convolutions, nn.AdaptiveAvgPool2d(1), nn.Flatten()), size=16)
        >>> adaptable_modules(net, rank=8)
        ('2',)
    """
    shared = Counter(
        id(module.weight) for module in network.encoder.modules() if isinstance(module, nn.Linear | nn.Conv2d)
    )
    called = _called_modules(network)
    found = []
    for name, module in network.encoder.named_modules():
        # Subclasses may do otherwise than their parents in forward, and peft goes by the parent.
        if type(module) not in (nn.Linear, nn.Conv2d) or id(module) not in called or shared[id(module.weight)] > 1:
            continue
        if isinstance(module, nn.Conv2d) and not _is_plain(module):
            continue
        rows, columns = module.weight.flatten(1).shape
        if rank * (rows + columns) < rows * columns:
            found.append(name)
    return tuple(found)


def add_adapters(network: Network, rank: int, kind: str, **options: Any) -> None:
    """Put adapters beside every adaptable module of a network, in place.

    Args:
        network: Whose encoder is changed.
        rank: Of each adapter.
        kind: Name of peft's class of settings, such as ``LoraConfig``.
        options: Of that class.

    Raises:
        SetupError: peft is not installed, or cannot be imported.
        UsageError: the network has no adaptable module.
    """
    try:
        import peft
    except ImportError as error:
        raise SetupError(
            f"peft cannot be imported: {error}", where="adapters", remedy="pip install 'nctransfer[peft]'"
        ) from error
    names = adaptable_modules(network, rank)
    if not names:
        raise UsageError(
            f"{network.name} has no linear map or plain convolution that adapters of rank {rank} would make smaller",
            where="--adapter-rank",
            remedy="choose a smaller rank, or another method",
        )
    # As one pattern: names in a list would be taken for endings, so that "1" meant every module whose name ends so.
    settings = getattr(peft, kind)(r=rank, target_modules="|".join(map(re.escape, names)), **options)
    peft.inject_adapter_in_model(settings, network.encoder)


def merge_adapters(network: Network) -> None:
    """Add what the adapters of a network learned to its weights, and put the modules back that they stood beside."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(network.encoder.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            network.encoder.set_submodule(name, module.get_base_layer())


def _is_plain(module: nn.Conv2d) -> bool:
    whole = module.groups == 1 and module.dilation == (1, 1) and module.padding_mode == "zeros"
    return whole and module.in_channels != _PIXELS


@torch.no_grad()
def _called_modules(network: Network) -> set[int]:
    """Identities of the modules whose own forward runs when the network does."""
    called: set[int] = set()
    handles = [
        module.register_forward_hook(lambda module, *_: called.add(id(module))) for module in network.encoder.modules()
    ]
    was_training = network.training
    network.eval()
    try:
        network(torch.zeros(2, _PIXELS, network.size, network.size, device=network.mean.device))
    finally:
        for handle in handles:
            handle.remove()
        network.train(was_training)
    return called
