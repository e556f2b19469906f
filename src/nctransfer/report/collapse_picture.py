"""A picture of collapse: samples in the plane that tells the classes apart best, and the class means' angles."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from ..errors import DataError

__all__ = ["draw_collapse"]


class Plane(Protocol):
    """The numbers of the picture, as ``metrics.collapse_plane`` gives them."""

    @property
    def points(self) -> Any: ...
    @property
    def labels(self) -> Any: ...
    @property
    def centres(self) -> Any: ...
    @property
    def cosines(self) -> Any: ...
    @property
    def nc1(self) -> float: ...


def draw_collapse(plane: Plane, path: str | Path, *, title: str = "") -> None:
    """Draw ``metrics.collapse_plane(features, labels)`` to a file; its ending names the format.

    On the left, samples (dots) and class means (crosses) along the two longest directions of the class means. On the
    right, the cosines between centred class means: at full collapse all off the diagonal are −1/(K−1).

    Raises:
        DataError: the ending is none of .png, .pdf and .svg.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path = check_picture_path(path)
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    colours = "tab10" if len(plane.centres) <= 10 else "hsv"
    left.scatter(*plane.points.T.tolist(), c=plane.labels.tolist(), s=4, cmap=colours, alpha=0.5)
    left.scatter(*plane.centres.T.tolist(), c="black", marker="x", s=40)
    left.set(aspect="equal", xticks=[], yticks=[], title=f"{title}NC1 = {plane.nc1:.3g}")
    shown = right.imshow(plane.cosines.tolist(), vmin=-1, vmax=1, cmap="RdBu")
    right.set(xticks=[], yticks=[], title="cosines of centred class means")
    figure.colorbar(shown, ax=right)
    figure.savefig(path, dpi=110)


def check_picture_path(path: str | Path) -> Path:
    """``path`` if its ending names a format that can be drawn, else a DataError; cheap, so it can be asked first."""
    path = Path(path)
    if path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise DataError(
            f"cannot draw to {path.suffix or 'a file without an ending'!r}", where=str(path), remedy="use .png or .svg"
        )
    return path
