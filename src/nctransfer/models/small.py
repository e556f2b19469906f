"""Encoders for small images, built from their arguments: CIFAR ResNets, the MLP of Figure 5, a small ViT.

Every builder returns a module that maps normalised images (B, 3, H, W) to features (B, ``feature_dim``) and carries

* ``feature_dim``: width D of the features,
* ``layers``: ``named_modules()`` names of its blocks in depth order,
* ``units``: those of them that are candidates for tuning (A.2: the first block of each stage of a ResNet, every layer
  of a transformer or MLP).
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UsageError, near_names

__all__ = ["BUILDERS", "MLP", "CifarResNet", "build_small", "small_vit"]


def build_small(name: str, **arguments: Any) -> nn.Module:
    """Build one of :data:`BUILDERS` by name.

    Args:
        name: ``cifar_resnet18``, ``cifar_resnet50``, ``cifar_resnet20``, ``cifar_resnet32``, ``cifar_resnet56``,
            ``mlp`` or ``vit``.
        arguments: Keyword arguments of the builder; those that it does not know are an error.

    All builders take ``size``, the side of the square input images; the convolutional ones take any and ignore it.

    Raises:
        UsageError: the name or an argument is unknown.

    Example:
        >>> network = build_small("cifar_resnet20", width=0.5)
        >>> network.feature_dim, network.units
        (32, ('layer1.0', 'layer2.0', 'layer3.0'))
        >>> network(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 32])
    """
    if name not in BUILDERS:
        raise UsageError(f"unknown architecture {name!r}", where="arch", remedy=near_names(name, tuple(BUILDERS)))
    builder = BUILDERS[name]
    known = [parameter for parameter in inspect.signature(builder).parameters if parameter != "self"]
    for argument in arguments:
        if argument not in known:
            raise UsageError(
                f"{name} takes no argument {argument!r}", where="arch", remedy=f"it takes {', '.join(known)}"
            )
    return builder(**arguments)


class CifarResNet(nn.Module):
    """A ResNet with a 3×3 stem and no max-pool (He et al., 2016, section 4.2), for images of about 32 pixels.

    All shortcuts that change the shape are 1×1 convolutions with BatchNorm.

    Args:
        blocks: Number of blocks of each stage.
        channels: Channels of each stage before the width factor (and before a bottleneck's expansion).
        bottleneck: 1×1, 3×3, 1×1 blocks with expansion 4 in place of two 3×3 convolutions.
        width: Factor on all channels.
    """

    def __init__(
        self, blocks: tuple[int, ...], channels: tuple[int, ...], *, bottleneck: bool = False, width: float = 1.0
    ) -> None:
        super().__init__()
        if not 0 < width < float("inf"):
            raise UsageError(f"width must be positive, got {width}", where="arch")
        scaled = [max(1, round(count * width)) for count in channels]
        kind = _Bottleneck if bottleneck else _Basic
        self.conv1 = nn.Conv2d(3, scaled[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(scaled[0])
        inward, layers, units = scaled[0], [], []
        for stage, (count, planes) in enumerate(zip(blocks, scaled, strict=True), start=1):
            modules = []
            for position in range(count):
                modules.append(kind(inward, planes, stride=2 if stage > 1 and position == 0 else 1))
                inward = planes * kind.expansion
                layers.append(f"layer{stage}.{position}")
            self.add_module(f"layer{stage}", nn.Sequential(*modules))
            units.append(f"layer{stage}.0")
        self.num_stages = len(blocks)
        self.feature_dim = inward
        self.layers, self.units = tuple(layers), tuple(units)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        hidden = torch.relu(self.bn1(self.conv1(images)))
        for stage in range(1, self.num_stages + 1):
            hidden = self.get_submodule(f"layer{stage}")(hidden)
        return hidden.mean((2, 3))


class _Basic(nn.Module):
    expansion = 1

    def __init__(self, inward: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inward, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = _shortcut(inward, planes, stride)

    def forward(self, hidden: Tensor) -> Tensor:
        out = torch.relu(self.bn1(self.conv1(hidden)))
        return torch.relu(self.bn2(self.conv2(out)) + self.shortcut(hidden))


class _Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, inward: int, planes: int, stride: int) -> None:
        super().__init__()
        outward = planes * self.expansion
        self.conv1 = nn.Conv2d(inward, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, outward, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outward)
        self.shortcut = _shortcut(inward, outward, stride)

    def forward(self, hidden: Tensor) -> Tensor:
        out = torch.relu(self.bn1(self.conv1(hidden)))
        out = torch.relu(self.bn2(self.conv2(out)))
        return torch.relu(self.bn3(self.conv3(out)) + self.shortcut(hidden))


def _shortcut(inward: int, outward: int, stride: int) -> nn.Module:
    if stride == 1 and inward == outward:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inward, outward, 1, stride, bias=False), nn.BatchNorm2d(outward))


class MLP(nn.Module):
    """A fully connected network of one width, on flattened pixels (the network of Figure 5 at its defaults).

    Each layer is linear, then BatchNorm, then ReLU; ``norm=False`` leaves the BatchNorm out.

    Args:
        depth: Number of layers.
        hidden: Width of every layer, the features included.
        size: Side of the square input images.
        norm: Whether layers carry BatchNorm.
    """

    def __init__(self, depth: int = 12, hidden: int = 3072, size: int = 32, norm: bool = True) -> None:
        super().__init__()
        if depth < 1 or hidden < 1:
            raise UsageError(f"depth and hidden must be at least 1, got {depth} and {hidden}", where="arch")
        widths = [3 * size**2, *[hidden] * depth]
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Linear(inward, outward, bias=not norm),
                    *([nn.BatchNorm1d(outward)] if norm else []),
                    nn.ReLU(),
                )
                for inward, outward in itertools.pairwise(widths)
            )
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        self.feature_dim = hidden
        self.layers = self.units = tuple(f"blocks.{position}" for position in range(depth))

    def forward(self, images: Tensor) -> Tensor:
        return self.blocks(images.flatten(1))


def small_vit(
    width: float = 1.0, depth: int = 6, size: int = 32, patch_size: int | None = None, heads: int = 3
) -> nn.Module:
    """A small vision transformer of timm's making: 192·width channels, 6 layers, 8×8 patches whatever the image size.

    Args:
        width: Factor on the 192 channels; the result is rounded to a multiple of ``heads``.
        depth: Number of encoder layers.
        size: Side of the square input images.
        patch_size: Side of a patch; an eighth of the image when left out.
        heads: Attention heads.
    """
    from timm.models.vision_transformer import VisionTransformer

    channels = max(1, round(192 * width / heads)) * heads
    patch = patch_size or max(1, size // 8)
    network: Any = VisionTransformer(
        img_size=size, patch_size=patch, embed_dim=channels, depth=depth, num_heads=heads, num_classes=0
    )
    network.feature_dim = channels
    network.layers = network.units = tuple(f"blocks.{position}" for position in range(depth))
    return network


def _cifar_resnet18(width: float = 1.0, size: int = 32) -> nn.Module:
    return CifarResNet((2, 2, 2, 2), (64, 128, 256, 512), width=width)


def _cifar_resnet50(width: float = 1.0, size: int = 32) -> nn.Module:
    return CifarResNet((3, 4, 6, 3), (64, 128, 256, 512), bottleneck=True, width=width)


def _cifar_resnet20(width: float = 1.0, size: int = 32) -> nn.Module:
    return CifarResNet((3, 3, 3), (16, 32, 64), width=width)


def _cifar_resnet32(width: float = 1.0, size: int = 32) -> nn.Module:
    return CifarResNet((5, 5, 5), (16, 32, 64), width=width)


def _cifar_resnet56(width: float = 1.0, size: int = 32) -> nn.Module:
    return CifarResNet((9, 9, 9), (16, 32, 64), width=width)


BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "cifar_resnet18": _cifar_resnet18,
    "cifar_resnet50": _cifar_resnet50,
    "cifar_resnet20": _cifar_resnet20,
    "cifar_resnet32": _cifar_resnet32,
    "cifar_resnet56": _cifar_resnet56,
    "mlp": MLP,
    "vit": small_vit,
}
