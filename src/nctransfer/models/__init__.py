"""Networks by name, file or run folder; projection heads; layer taps and cuts. All hook code of the package lives here.

Shapes: images ``(B, 3, H, W)``, uint8 or float in [0, 1]; features ``(B, D)``; a convolutional layer's output
``(B, C, H, W)``, a transformer layer's ``(B, T, C)`` with T tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..fronts import lazy_front

if TYPE_CHECKING:
    from .build import known_networks
    from .cut import Cut
    from .encoders import network_from_manifest
    from .heads import ProjectionHead
    from .load import load_network
    from .networks import PENULTIMATE, Network, copy_module, wrap_module
    from .offline import offline_networks, offline_weights
    from .small import BUILDERS, build_small
    from .taps import LayerTaps, pool_features
    from .weights import hash_weights

__all__ = lazy_front(
    __name__,
    {
        "build": ["known_networks"],
        "cut": ["Cut"],
        "encoders": ["network_from_manifest"],
        "heads": ["ProjectionHead"],
        "load": ["load_network"],
        "networks": ["PENULTIMATE", "Network", "copy_module", "wrap_module"],
        "offline": ["offline_networks", "offline_weights"],
        "small": ["BUILDERS", "build_small"],
        "taps": ["LayerTaps", "pool_features"],
        "weights": ["hash_weights"],
    },
)
