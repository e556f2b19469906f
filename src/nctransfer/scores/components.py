"""Principal components, as several scores reduce the features before they look at the classes."""

from __future__ import annotations

import numpy as np

from .inputs import FeatureMatrix

__all__ = ["principal_components"]


def principal_components(samples: FeatureMatrix, *, most: int | None = None, share: float | None = None) -> np.ndarray:
    """Coordinates (N, d) of the centred features along their leading directions of variance.

    ``most`` bounds their number; ``share`` takes the fewest that hold more than that share of the variance. A
    direction that rounding alone fills is left out. Each sign makes the sample that lies farthest out positive, so
    that a rotation of the features changes nothing.
    """
    values, right = samples.spectrum
    kept = len(values)
    if share is not None:
        kept = min(kept, int(np.searchsorted(np.cumsum(values**2) / (values**2).sum(), share, side="right")) + 1)
    if most is not None:
        kept = min(kept, most)
    scores = samples.coordinates @ right[:, :kept]
    farthest = np.abs(scores).argmax(0)
    return scores * np.sign(scores[farthest, np.arange(kept)])
