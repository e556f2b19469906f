"""Networks by name, file or run folder; projection heads; layer taps and cuts. All hook code of the package lives here.

Shapes: images ``(B, 3, H, W)``, uint8 or float in [0, 1]; features ``(B, D)``; a convolutional layer's output
``(B, C, H, W)``, a transformer layer's ``(B, T, C)`` with T tokens.
"""

from __future__ import annotations

from .cut import Cut
from .load import load_network
from .networks import Network, copy_module, wrap_module
from .offline import offline_weights
from .taps import LayerTaps, pool_features

__all__ = [
    "Cut",
    "LayerTaps",
    "Network",
    "copy_module",
    "load_network",
    "offline_weights",
    "pool_features",
    "wrap_module",
]
