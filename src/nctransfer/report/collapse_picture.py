"""A picture of collapse: samples in the plane that tells the classes apart best, and the class means' angles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..errors import DataError
from .inputs import Samples, exact_products
from .moments import resolve
from .reads import class_means
from .spectrum import between_spectrum
from .variability import nc1

__all__ = ["draw_collapse"]

MOST_POINTS = 3000


def draw_collapse(features: Any, labels: Any, path: str | Path, *, title: str = "") -> None:
    """Write a picture of features (N, D) with labels (N,) to ``path``; its ending names the format.

    On the left, samples (dots) and class means (crosses) along the two longest directions of the class means. On the
    right, the cosines between centred class means: at full collapse all off the diagonal are −1/(K−1).

    Raises:
        DataError: class means coincide, the path's ending is no picture format, or the input is bad.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path = Path(path)
    if path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise DataError(
            f"cannot draw to {path.suffix or 'a file without ending'!r}", where=str(path), remedy="use .png or .svg"
        )
    source = resolve(features, labels)
    if not isinstance(source, Samples):
        raise DataError("a picture needs the samples themselves", where="features", remedy="pass features and labels")
    with exact_products():
        means = class_means(source)
        spectrum = between_spectrum(means)
        plane = spectrum.directions[:, :2]
        if plane.shape[1] == 1:
            plane = torch.cat([plane, torch.zeros_like(plane)], 1)
            plane[:, 1] = torch.linalg.svd(spectrum.directions.T)[2][-1] if len(plane) > 1 else 0.0
        index = torch.arange(len(source.labels))[:: max(1, len(source.labels) // MOST_POINTS)]
        rows = source.features[index.to(source.features.device)].to(plane.device, torch.float64)
        points = ((rows - means.mean(0)) @ plane).cpu()
        centres = (spectrum.centred @ plane).cpu()
        units = torch.nn.functional.normalize(spectrum.centred, dim=1)
        cosines = (units @ units.T).cpu()
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    own = source.labels[index]
    left.scatter(*points.T.tolist(), c=own.tolist(), s=4, cmap="tab10" if len(means) <= 10 else "hsv", alpha=0.5)
    left.scatter(*centres.T.tolist(), c="black", marker="x", s=40)
    left.set(aspect="equal", xticks=[], yticks=[], title=f"{title}NC1 = {nc1(source):.3g}")
    shown = right.imshow(cosines.tolist(), vmin=-1, vmax=1, cmap="RdBu")
    right.set(xticks=[], yticks=[], title="cosines of centred class means")
    figure.colorbar(shown, ax=right)
    figure.savefig(path, dpi=110)
