"""The picture of collapse on a page: features in the plane of three class means, before and after, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from ..runs import EpochRow, PictureClass, PlanePicture, Result
from .blocks import Block, Columns, Figure, Section
from .figures import WIDTH
from .headline import best_method
from .source import method_phrase
from .svg import ACCENT, INK, MUTED, PAPER, draw
from .text import count, join, percent, shorten, significant, visible

__all__ = ["collapse_section", "collapse_strip", "panels"]

# Told apart by shape and by fill, so that the picture is the same in grey.
_MARKS = (("o", ACCENT, ACCENT), ("s", PAPER, INK), ("^", MUTED, MUTED))
_SPLITS = {"train": "training images", "test": "test images"}
_WIDEST = 4.0
_TITLE = "Features before and after tuning"
_READING = (
    "Each small mark is an image, each large one the mean of a class's training images. The triangle is the simplex: at full "
    "collapse the means stand on its corners and every image on its mean. All panels have the same scale: the classes are "
    "equally far apart in each, so scatter can be compared; marks beyond the frame stand on its edge."
)
_READING_TWO = _READING.replace("triangle", "line").replace("its corners", "its ends")


def collapse_section(record: Result) -> Section:
    """The winner's features before and after tuning; where the winner leaves them as they are, those of the best tuned method."""
    drawn = record.picture
    if drawn is None:
        return Section(_TITLE, [])
    best = best_method(record)
    key = best if best in drawn.after else None
    if key is None and drawn.after:
        key = max(drawn.after, key=lambda name: _validated(record, name))
    names = join(shorten(visible(item.name), 24) for item in drawn.before.classes)
    columns = [("before tuning", drawn.before)]
    if key is not None:
        columns.append(("after tuning", drawn.after[key]))
    grid = [[(f"{_SPLITS[split]}, {when}", picture, split) for when, picture in columns] for split in ("train", "test")]
    if len(columns) == 1:
        grid = [[cell for row in grid for cell in row]]
    if not (drawing := panels("collapse", grid)):
        return Section(_TITLE, [])
    after = drawn.after[key] if key is not None else None
    said = _seen(drawn.before, after, method_phrase(key, record.methods.get(key)) if key is not None else "")
    lead = (
        f"The penultimate features of images of {names} ({drawn.why}), in the plane through their class means. {said}"
    )
    if best is not None and key != best:
        phrase = method_phrase(best, record.methods[best])
        lead += f" What is handed over, {phrase}, leaves the features as they were"
        other = f"; on the right is {method_phrase(key, record.methods.get(key))}" if key is not None else ""
        lead += f"{other}, the best on validation images of the methods that change them." if other else "."
    reading = _READING if len(drawn.before.classes) == 3 else _READING_TWO
    return Section(_TITLE, [Columns([Figure(drawing, reading, f"Features of {names}. {said}")])], lead)


def collapse_strip(log: Sequence[EpochRow]) -> Section:
    """The encoder's features epoch by epoch, training and test images apart."""
    title = "Collapse, epoch by epoch"
    drawn = [(row.epoch, row.picture) for row in log if row.picture is not None]
    if not drawn:
        return Section(title, [])
    blocks: list[Block] = []
    for split, name in _SPLITS.items():
        cells = [(f"epoch {count(epoch)}" if epoch else "untrained", picture, split) for epoch, picture in drawn]
        grid = [cells[start : start + 3] for start in range(0, len(cells), 3)]
        if drawing := panels(f"strip-{split}", grid):
            text = f"{name[:1].upper()}{name[1:]}." + (f" {_READING}" if split == "train" else "")
            blocks.append(Figure(drawing, text, f"Features of {name} over {len(drawn)} epochs."))
    names = join(shorten(visible(item.name), 24) for item in drawn[0][1].classes)
    first, end = drawn[0], drawn[-1]
    lead = f"The encoder's features of images of {names} (taken by their place in the list), in the plane of their class means."
    if first is not end:
        lead += f" {_trained(first, end)}"
    return Section(title, [Columns(blocks)] if blocks else [], lead)


def panels(name: str, grid: Sequence[Sequence[tuple[str, PlanePicture, str]]]) -> str:
    """Rows of panels with the same frame: a title, a picture and the split that it shows; empty where no image is shown."""
    cells = [cell for row in grid for cell in row]
    if not any(_points(item, split)[0] for _, picture, split in cells for item in picture.classes):
        return ""
    frame = _frame(cells)
    across = max(map(len, grid))

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots(len(grid), across, squeeze=False)
        for down, row in enumerate(grid):
            for side, panel in enumerate(axes[down]):
                if side >= len(row):
                    panel.set_axis_off()
                    continue
                title, picture, split = row[side]
                _panel(panel, picture, split, frame)
                panel.set_title(title.replace(", ", ",\n"), fontsize=8.5, weight="normal")
        for (marker, face, edge), item in zip(_MARKS, cells[0][1].classes, strict=False):
            label = shorten(visible(item.name), 16)
            axes[0][0].plot([], [], marker, markerfacecolor=face, markeredgecolor=edge, label=label)
        canvas.legend(loc="outside lower center", ncols=3, handletextpad=0.1, columnspacing=1.2)

    high = 0.5 + len(grid) * (WIDTH / across + (0.38 if "," in cells[0][0] else 0.24))
    return draw(name, WIDTH, high, paint)


def _panel(axes: Axes, picture: PlanePicture, split: str, frame: float) -> None:
    corners = [_pair(item.corner) for item in picture.classes]
    closed = [*corners, corners[0]]
    axes.plot(*zip(*closed, strict=True), color=MUTED, linewidth=1.0, zorder=1)
    for (marker, face, edge), item in zip(_MARKS, picture.classes, strict=False):
        xs, ys = ([min(max(value, -frame), frame) for value in axis] for axis in _points(item, split))
        axes.plot(
            xs, ys, marker, markersize=3, markerfacecolor=face, markeredgecolor=edge, markeredgewidth=0.7, alpha=0.75
        )
    for (marker, face, edge), item in zip(_MARKS, picture.classes, strict=False):
        x, y = _pair(item.mean)
        axes.plot([x], [y], marker, markersize=10, color=PAPER, zorder=4)
        axes.plot([x], [y], marker, markersize=7.5, markerfacecolor=face, markeredgecolor=edge, zorder=5)
    axes.set(
        xlim=(-1.06 * frame, 1.06 * frame), ylim=(-1.06 * frame, 1.06 * frame), aspect="equal", xticks=[], yticks=[]
    )
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(True)


def _frame(cells: Sequence[tuple[str, PlanePicture, str]]) -> float:
    """Half the side of every panel: all but the outermost three in a hundred marks lie within, and the simplex does."""
    sizes = sorted(
        abs(value)
        for _, picture, split in cells
        for item in picture.classes
        for axis in _points(item, split)
        for value in axis
    )
    return min(max(1.35, sizes[int(0.97 * (len(sizes) - 1))] if sizes else 1.0), _WIDEST)


def _points(item: PictureClass, split: str) -> tuple[list[float], list[float]]:
    xs, ys = (item.train_x, item.train_y) if split == "train" else (item.test_x, item.test_y)
    known = [(x, y) for x, y in zip(xs, ys, strict=False) if x is not None and y is not None]
    return [x for x, _ in known], [y for _, y in known]


def _pair(point: tuple[float | None, float | None]) -> tuple[float, float]:
    return point[0] or 0.0, point[1] or 0.0


def _validated(record: Result, name: str) -> float:
    row = record.methods.get(name)
    return (row.val_accuracy or 0.0) if row else 0.0


def _seen(before: PlanePicture, after: PlanePicture | None, method: str) -> str:
    """The sentence that says what is seen."""
    if after is None:
        return _state(before)
    old, new = before.train_scatter, after.train_scatter
    if old is None or new is None or before.test_scatter is None or after.test_scatter is None:
        return ""
    draws = "draws each class together" if new < 0.9 * old else "leaves the classes as wide as they were"
    if new > 1.1 * old:
        draws = "spreads the classes out"
    text = (
        f"{method[:1].upper()}{method[1:]} {draws}: training images lie {significant(new, 2)} from the mean of their class "
        f"({significant(old, 2)} before; the unit is the means' distance from their centre), test images "
        f"{significant(after.test_scatter, 2)} ({significant(before.test_scatter, 2)} before)"
    )
    return text + _nearest(before.test_nearest, after.test_nearest, "before") + "."


def _trained(first: tuple[int, PlanePicture], end: tuple[int, PlanePicture]) -> str:
    (early, before), (late, after) = first, end
    if before.train_scatter is None or after.train_scatter is None:
        return ""
    verb = "draw together" if after.train_scatter < 0.9 * before.train_scatter else "do not draw together"
    since = f"after epoch {count(early)}" if early else "untrained"
    text = (
        f"From epoch {count(early)} to {count(late)} the classes {verb}: training images lie "
        f"{significant(after.train_scatter, 2)} from the mean of their class "
        f"({significant(before.train_scatter, 2)} {since}; the unit is the means' distance from their centre)"
    )
    if before.test_scatter is not None and after.test_scatter is not None:
        text += f", test images {significant(after.test_scatter, 2)} ({significant(before.test_scatter, 2)})"
    return text + _nearest(before.test_nearest, after.test_nearest, since) + "."


def _state(picture: PlanePicture) -> str:
    if picture.train_scatter is None or picture.test_scatter is None:
        return ""
    text = (
        f"Training images lie {significant(picture.train_scatter, 2)} from the mean of their class (the unit is the means' "
        f"distance from their centre), test images {significant(picture.test_scatter, 2)}"
    )
    return text + _nearest(None, picture.test_nearest, "") + "."


def _nearest(old: float | None, new: float | None, when: str) -> str:
    if new is None:
        return ""
    text = f", and in this plane the nearest mean is the right one for {percent(new, 0)} of the test images shown"
    return text + (f" ({percent(old, 0)} {when})" if old is not None else "")
