"""A picture of collapse as a file: the classes that are hardest to tell apart, all classes, and the class means' angles."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from ..errors import DataError
from .text import shorten, visible

__all__ = ["check_picture_path", "draw_collapse"]

_MARKS = (("o", "#0b6b8f", "#0b6b8f"), ("s", "white", "black"), ("^", "#8a93a1", "#5b6473"))
_MOST_NAMED = 40
# Left, bottom, width and height in parts of the figure: two squares above, a square with its scale and the sentences below.
_PLACES = (
    (0.02, 0.49, 0.47, 0.436),
    (0.51, 0.49, 0.47, 0.436),
    (0.065, 0.075, 0.38, 0.3525),
    (0.065, 0.045, 0.38, 0.015),
    (0.51, 0.02, 0.47, 0.4275),
)


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


def draw_collapse(plane: Plane, path: str | Path, *, title: str = "", names: Sequence[str] = ()) -> None:
    """Draw ``metrics.collapse_plane(features, labels)`` to a file; its ending names the format.

    Above, the classes that are hardest to tell apart, in the plane of their means with the simplex drawn in, and all samples
    along the two longest directions of the class means, which bear the classes' numbers. Below, the cosines between centred
    class means, all −1/(K−1) off the diagonal at full collapse, and a sentence for each picture that says what is seen.
    Classes differ by shape and the cosines by lightness, so that the pictures read in grey; the figure is as narrow as a
    phone shows it.

    Args:
        plane: The numbers of the picture.
        path: A .png, .pdf or .svg file.
        title: Stands above the whole.
        names: Names of the classes by number, if they are to be shown.

    Raises:
        DataError: the ending is none of .png, .pdf and .svg.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path = check_picture_path(path)
    figure = Figure(figsize=(6.4, 6.9))
    FigureCanvasAgg(figure)
    first, second, third, scale, words = (figure.add_axes(place) for place in _PLACES)
    _simplex(first, plane, names)
    first.set_title("the classes hardest to tell apart", fontsize=10)
    second.plot(*plane.points.T.tolist(), ".", color="#5b6473", markersize=2.5, alpha=0.35)
    if len(plane.centres) <= _MOST_NAMED:
        for number, (x, y) in zip(plane.class_numbers.tolist(), plane.centres.tolist(), strict=True):
            box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "black", "linewidth": 0.6}
            second.text(x, y, str(number), ha="center", va="center", fontsize=8, bbox=box)
    else:
        second.plot(*plane.centres.T.tolist(), "x", color="black", markersize=5)
    second.set(aspect="equal", adjustable="datalim", xticks=[], yticks=[])
    second.set_title(f"all {len(plane.centres)} classes", fontsize=10)
    shown = third.imshow(plane.cosines.tolist(), vmin=-1, vmax=1, cmap="cividis")
    third.set(xticks=[], yticks=[])
    third.set_title("cosines of centred class means", fontsize=10)
    figure.colorbar(shown, cax=scale, orientation="horizontal", ticks=[-1, -0.5, 0, 0.5, 1])
    scale.tick_params(labelsize=8)
    words.set_axis_off()
    said = "\n\n".join(textwrap.fill(text, 42) for text in _sentences(plane, names))
    words.text(0.0, 1.0, said, va="top", fontsize=9, linespacing=1.35, transform=words.transAxes)
    if title:
        figure.suptitle(title, fontsize=11, y=0.995)
    figure.savefig(path, dpi=150)


def _sentences(plane: Plane, names: Sequence[str]) -> list[str]:
    """A sentence for each picture that says what is seen."""
    own = plane.simplex.means[plane.simplex_labels]
    scatter = float((plane.simplex_points - own).square().sum(1).mean().sqrt())
    gaps = (plane.simplex_points[:, None] - plane.simplex.means[None]).square().sum(2)
    nearest = float((gaps.argmin(1) == plane.simplex_labels).double().mean())
    shown = [_name(number, names) for number in plane.simplex.classes]
    found = [
        f"Hardest to tell apart: samples of {', '.join(shown[:-1])} and {shown[-1]} lie {scatter:.2g} from the mean of their "
        f"class (the unit is the means' distance from their centre; 0 is full collapse), and {100 * nearest:.0f} % of them "
        "are nearest to their own mean in this plane.",
        f"All classes: NC1, the spread within classes over that between them, is {plane.nc1:.3g}; 0 is full collapse.",
    ]
    num = len(plane.centres)
    if num > 1:
        off = plane.cosines[~plane.cosines.new_ones(num).diag().bool()]
        found.append(
            f"Cosines: between two classes they lie from {_signed(float(off.min()))} to {_signed(float(off.max()))}; at full "
            f"collapse each is {_signed(-1 / (num - 1))}."
        )
    return found


def _name(number: int, names: Sequence[str]) -> str:
    return shorten(visible(names[number]), 18) if number < len(names) else f"class {number}"


def _signed(value: float) -> str:
    return f"{value:.2g}".replace("-", "−")


def _simplex(axes: Any, plane: Plane, names: Sequence[str]) -> None:
    corners = plane.simplex.corners.tolist()
    axes.plot(*zip(*corners, corners[0], strict=True), color="#5b6473", linewidth=1)
    limit = max(1.35, min(4.0, float(plane.simplex_points.abs().quantile(0.98))))
    for place, (marker, face, edge) in enumerate(_MARKS[: len(corners)]):
        points = plane.simplex_points[plane.simplex_labels == place].clamp(-limit, limit)
        axes.plot(*points.T.tolist(), marker, markersize=3, markerfacecolor=face, markeredgecolor=edge, alpha=0.6)
    for place, (marker, face, edge) in enumerate(_MARKS[: len(corners)]):
        x, y = plane.simplex.means[place].tolist()
        axes.plot([x], [y], marker, markersize=12, color="white", zorder=4)
        label = _name(plane.simplex.classes[place], names)
        axes.plot(
            [x], [y], marker, markersize=9, markerfacecolor=face, markeredgecolor=edge, zorder=5, label=label, ls=""
        )
    reach = 1.06 * limit
    axes.set(aspect="equal", xticks=[], yticks=[], xlim=(-reach, reach), ylim=(-reach, reach))
    axes.legend(loc="best", fontsize=8, frameon=True, framealpha=0.85, edgecolor="none")


def check_picture_path(path: str | Path) -> Path:
    """``path`` if its ending names a format that can be drawn, else a DataError; cheap, so it can be asked first."""
    path = Path(path)
    if path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise DataError(
            f"cannot draw to {path.suffix or 'a file without an ending'!r}", where=str(path), remedy="use .png or .svg"
        )
    return path
