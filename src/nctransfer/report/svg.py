"""From a matplotlib figure to an SVG that can stand in a page beside others.

Figures are drawn with their own `Figure` objects, text stays text (the reader's fonts show it), mathematics in names is
never parsed, the bytes depend on the content alone, every id carries the figure's name, and the theme colours become
CSS variables, so that a figure follows the page into dark mode.
"""

from __future__ import annotations

import io
import re
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Any

import matplotlib
from matplotlib.axis import Axis
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from .text import significant

__all__ = ["ACCENT", "GRID", "INK", "MUTED", "PAPER", "draw", "logarithmic", "percentages", "standalone"]

INK, MUTED, GRID, ACCENT, PAPER = "#1b1f27", "#5b6473", "#dde1e7", "#0b6b8f", "#fefefe"
_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", ACCENT: "accent", PAPER: "paper"}
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "nctransfer",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "image.composite_image": False,
}


def draw(name: str, width: float, height: float, paint: Callable[[Canvas], None]) -> str:
    """The SVG element that ``paint`` draws on a figure of ``width`` × ``height`` inches.

    Args:
        name: Goes before every id, so it must differ between the figures of a page.
        width: Width in inches; the page scales the drawing to its column.
        height: Height in inches.
        paint: Adds axes and artists to the figure it is given.

    Example:
        >>> drawing = draw("empty", 2, 1, lambda canvas: canvas.add_subplot().set_xlabel("$ is a dollar"))
        >>> drawing.startswith("<svg"), "$ is a dollar" in drawing
        (True, True)
    """
    buffer = io.BytesIO()
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # The browser brings its own fonts, so a character that matplotlib's font lacks is no fault.
        warnings.filterwarnings("ignore", message=r"(?s).*Glyph \d+.*missing from", category=UserWarning)
        canvas = Canvas(figsize=(width, height), layout="constrained")
        paint(canvas)
        canvas.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return _inline(buffer.getvalue(), name)


def standalone(drawing: str) -> str:
    """A drawing of :func:`draw` as a document of its own: with a size, on paper, colours and fonts written out.

    Example:
        >>> document = standalone(draw("empty", 2, 1, lambda canvas: canvas.add_subplot().set_xlabel("x")))
        >>> "var(" in document, 'width="144' in document
        (False, True)
    """
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawing)
    width, height = box.groups() if box else ("", "")
    drawing = re.sub(r"var\(--[a-z]+, ([^)]*)\)", r"\1", drawing)
    drawing = re.sub(r' (aria-hidden|focusable)="[^"]*"', "", drawing, count=2)
    paper = f'<rect width="{width}" height="{height}" style="fill: {PAPER}"/>'
    drawing = re.sub(r"^<svg([^>]*)>", rf'<svg width="{width}pt" height="{height}pt"\1>{paper}', drawing, count=1)
    return drawing + "\n"


def logarithmic(axis: Axis) -> None:
    """Give an axis with a log scale plain labels (0.1, 1, 10), also between the decades when it spans few of them."""
    low, high = sorted(axis.get_view_interval())
    decades = high / low if low > 0 else 1.0
    subs: tuple[float, ...] = (1.0,) if decades > 1e3 else (1.0, 3.0) if decades > 30 else (1.0, 2.0, 5.0)
    if decades < 4:
        subs = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
    if decades < 2.5:
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
        return
    axis.set_major_locator(LogLocator(base=10, subs=subs, numticks=9 if len(subs) == 1 else 12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}" if 1e-4 < value < 1e5 else significant(value)))
    axis.set_minor_formatter(NullFormatter())


def percentages(axis: Axis) -> None:
    """Label an axis of fractions in per cent, with as many digits as its ticks need to be told apart."""

    def label(value: float, _: int) -> str:
        ticks = axis.get_majorticklocs()
        step = 100 * float(ticks[1] - ticks[0]) if len(ticks) > 1 else 1.0
        digits = next((digits for digits in (0, 1, 2) if abs(step - round(step, digits)) < 1e-6 * step), 3)
        return f"{100 * value:.{digits}f}"

    axis.set_major_formatter(FuncFormatter(label))


def _inline(document: bytes, name: str) -> str:
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    root = ElementTree.fromstring(document)
    for child in [child for child in root if child.tag.endswith("metadata")]:
        root.remove(child)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("aria-hidden", "true")
    root.set("focusable", "false")
    used = _references(root)
    for element in root.iter():
        _rename(element, name, used)
        if "style" in element.attrib:
            element.set("style", _theme(element.get("style", "")))
    return ElementTree.tostring(root, encoding="unicode")


def _references(root: ElementTree.Element) -> set[str]:
    found = set()
    for element in root.iter():
        for key, value in element.attrib.items():
            if key.endswith("href") and value.startswith("#"):
                found.add(value[1:])
            found.update(re.findall(r"url\(#([^)]*)\)", value))
    return found


def _rename(element: ElementTree.Element, name: str, used: set[str]) -> None:
    for key, value in list(element.attrib.items()):
        if key == "id":
            if value in used:
                element.set(key, f"{name}-{value}")
            else:
                del element.attrib[key]
        elif key.endswith("href") and value.startswith("#"):
            element.set(key, f"#{name}-{value[1:]}")
        elif "url(#" in value:
            element.set(key, value.replace("url(#", f"url(#{name}-"))


def _theme(style: str) -> str:
    for colour, variable in _VARIABLES.items():
        style = style.replace(colour, f"var(--{variable}, {colour})")
    style = re.sub(r"font-family:[^;]*;?", "", style)
    # The shorthand `font: bold 9px 'DejaVu Sans', ...` keeps its weight and size and takes the page's family.
    return re.sub(r"font: ([^;']*?px)[^;]*", r"font: \1 var(--sans, sans-serif)", style)
