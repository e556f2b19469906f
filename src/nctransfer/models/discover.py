"""Finding a network's blocks: which layers to probe, and which blocks to tune."""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["find_layers", "find_units"]

_CONTAINERS = (nn.Sequential, nn.ModuleList)


def find_units(module: nn.Module) -> tuple[str, ...]:
    """Candidate blocks for tuning, shallow to deep.

    ResNet-like networks: the first block of each stage, as in A.2 of the paper. Others: the blocks or stages that timm's
    feature interface names (for a ViT, the encoder layers). Networks without that interface: every block.
    """
    stages = [
        name
        for name in ("layer1", "layer2", "layer3", "layer4")
        if isinstance(getattr(module, name, None), nn.Sequential)
    ]
    if stages:
        return tuple(f"{stage}.0" for stage in stages if any(True for _ in module.get_submodule(stage).children()))
    named = []
    for name in _feature_modules(module):
        unit = module.get_submodule(name)
        if "." in name and any(True for _ in unit.parameters()) and any(True for _ in unit.children()):
            named.append(name)
    return tuple(named) or find_layers(module)


def find_layers(module: nn.Module) -> tuple[str, ...]:
    """Every block of the network, in the order of ``named_modules()``.

    A block is a module with children that stands in a ``Sequential`` or ``ModuleList`` and holds no list of blocks itself.
    Where there is none, the network's direct children with parameters are taken.
    """
    roots = {name.split(".")[0] for name in _feature_modules(module)} or {name for name, _ in module.named_children()}
    found: list[str] = []
    for root, child in module.named_children():
        if root in roots or root.startswith("layer"):
            _collect(child, root, found, in_list=False)
    if not found:
        found = [name for name, child in module.named_children() if any(True for _ in child.parameters())]
    return tuple(found)


def _collect(module: nn.Module, name: str, found: list[str], *, in_list: bool) -> None:
    if isinstance(module, _CONTAINERS):
        for key, child in module.named_children():
            _collect(child, f"{name}.{key}", found, in_list=True)
        return
    inner = [
        (key, child)
        for key, child in module.named_children()
        if key in ("blocks", "layers") and isinstance(child, _CONTAINERS)
    ]
    for key, child in inner:
        _collect(child, f"{name}.{key}", found, in_list=True)
    if in_list and not inner and any(True for _ in module.children()) and any(True for _ in module.parameters()):
        found.append(name)


def _feature_modules(module: nn.Module) -> list[str]:
    info: Any = getattr(module, "feature_info", None)
    if not info:
        return []
    names = [entry["module"] for entry in info if isinstance(entry, dict) and "module" in entry]
    present = dict(module.named_modules())
    return [name for name in names if name in present]
