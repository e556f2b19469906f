"""A picture of collapse as a file: the classes that are hardest to tell apart, all classes, and the class means' angles."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from ..errors import DataError

__all__ = ["check_picture_path", "draw_collapse"]

_MARKS = (("o", "#0b6b8f", "#0b6b8f"), ("s", "white", "black"), ("^", "#8a93a1", "#5b6473"))
_MOST_NAMED = 40


class Simplex(Protocol):
    """The plane of the hardest classes, as ``metrics.simplex_plane`` gives it."""

    @property
    def classes(self) -> Any: ...
    @property
    def means(self) -> Any: ...
    @property
    def corners(self) -> Any: ...


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
    @property
    def simplex(self) -> Simplex: ...
    @property
    def simplex_points(self) -> Any: ...
    @property
    def simplex_labels(self) -> Any: ...
    @property
    def class_numbers(self) -> Any: ...


def draw_collapse(plane: Plane, path: str | Path, *, title: str = "") -> None:
    """Draw ``metrics.collapse_plane(features, labels)`` to a file; its ending names the format.

    On the left, the classes that are hardest to tell apart, in the plane of their means with the simplex drawn in; in the
    middle, all samples along the two longest directions of the class means, which bear the classes' numbers; on the right,
    the cosines between centred class means: at full collapse all off the diagonal are −1/(K−1). A sentence below says what
    is seen. Classes differ by shape and the cosines by lightness, so that the picture reads in grey.

    Raises:
        DataError: the ending is none of .png, .pdf and .svg.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path = check_picture_path(path)
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3)
    _simplex(left, plane)
    left.set_title(f"{title}the classes hardest to tell apart", fontsize=10)
    middle.plot(*plane.points.T.tolist(), ".", color="#5b6473", markersize=2.5, alpha=0.35)
    if len(plane.centres) <= _MOST_NAMED:
        for number, (x, y) in zip(plane.class_numbers.tolist(), plane.centres.tolist(), strict=True):
            box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "black", "linewidth": 0.6}
            middle.text(x, y, str(number), ha="center", va="center", fontsize=8, bbox=box)
    else:
        middle.plot(*plane.centres.T.tolist(), "x", color="black", markersize=5)
    middle.set(aspect="equal", xticks=[], yticks=[])
    middle.set_title(f"all {len(plane.centres)} classes, NC1 = {plane.nc1:.3g}", fontsize=10)
    shown = right.imshow(plane.cosines.tolist(), vmin=-1, vmax=1, cmap="cividis")
    right.set(xticks=[], yticks=[])
    right.set_title(f"cosines of centred class means (collapse: {-1 / (len(plane.centres) - 1):.2g})", fontsize=10)
    figure.colorbar(shown, ax=right, shrink=0.8)
    figure.supxlabel(collapse_sentence(plane), fontsize=9)
    figure.savefig(path, dpi=110)


def collapse_sentence(plane: Plane) -> str:
    """A sentence that says what the picture shows."""
    own = plane.simplex.means[plane.simplex_labels]
    scatter = float((plane.simplex_points - own).square().sum(1).mean().sqrt())
    gaps = (plane.simplex_points[:, None] - plane.simplex.means[None]).square().sum(2)
    nearest = float((gaps.argmin(1) == plane.simplex_labels).double().mean())
    names = [str(number) for number in plane.simplex.classes]
    return (
        f"Samples of classes {', '.join(names[:-1])} and {names[-1]} lie {scatter:.2g} from the mean of their class (the unit "
        f"is the means' distance from\ntheir centre; 0 is full collapse), and {100 * nearest:.0f} % of them are nearest to "
        "their own mean in this plane."
    )


def _simplex(axes: Any, plane: Plane) -> None:
    corners = plane.simplex.corners.tolist()
    axes.plot(*zip(*corners, corners[0], strict=True), color="#5b6473", linewidth=1)
    limit = max(1.35, min(4.0, float(plane.simplex_points.abs().quantile(0.98))))
    for place, (marker, face, edge) in enumerate(_MARKS[: len(corners)]):
        points = plane.simplex_points[plane.simplex_labels == place].clamp(-limit, limit)
        axes.plot(*points.T.tolist(), marker, markersize=3, markerfacecolor=face, markeredgecolor=edge, alpha=0.6)
    for place, (marker, face, edge) in enumerate(_MARKS[: len(corners)]):
        x, y = plane.simplex.means[place].tolist()
        axes.plot([x], [y], marker, markersize=12, color="white", zorder=4)
        label = f"class {plane.simplex.classes[place]}"
        axes.plot(
            [x], [y], marker, markersize=9, markerfacecolor=face, markeredgecolor=edge, zorder=5, label=label, ls=""
        )
    reach = 1.06 * limit
    axes.set(aspect="equal", xticks=[], yticks=[], xlim=(-reach, reach), ylim=(-reach, reach))
    axes.legend(loc="best", fontsize=8, frameon=False)


def check_picture_path(path: str | Path) -> Path:
    """``path`` if its ending names a format that can be drawn, else a DataError; cheap, so it can be asked first."""
    path = Path(path)
    if path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise DataError(
            f"cannot draw to {path.suffix or 'a file without an ending'!r}", where=str(path), remedy="use .png or .svg"
        )
    return path
