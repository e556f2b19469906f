"""Figures: self-contained SVG with ids of its own, no parsed mathematics, nothing that depends on the hour."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest

from nctransfer.report import figures
from nctransfer.report.confusion_figure import confusion
from nctransfer.report.depth_figures import correlation, depth, depths, fit
from nctransfer.report.figures import Group, Method, Series
from nctransfer.report.svg import draw
from nctransfer.runs import Mark

NAMES = ["<b>bold</b>", "$\\frac{1}{0$", "caf\udce9", "猫", "a & b"]
NC1 = [4.0, 2.0, 1.0, 0.5, 0.25]
ACCURACY = [0.2, 0.5, 0.6, None, 0.9]
METHODS = [
    Method("linear", "Linear probe", Mark(), 0.9, (0.88, 0.92), 1.2),
    Method("scl", NAMES[1], Mark(marker="D", colour="accent"), 0.95, (0.93, 0.97), 0.3),
    Method("other", NAMES[0], Mark(marker="<b>", colour="none", dash="?"), 0.94, None, 0.5),
]
DRAWINGS = {
    "methods": lambda: figures.methods(METHODS, "scl"),
    "scatter": lambda: figures.scatter(METHODS, "scl"),
    "seeds": lambda: figures.seeds([Group(name, [0.1, None, 0.3], heading="$net$") for name in NAMES]),
    "curves": lambda: figures.curves([Series(name, NC1) for name in NAMES], "c", log=True, label="NC1"),
    "depth": lambda: depth(NAMES, NC1, ACCURACY, [9.0] * 5),
    "depths": lambda: depths(NAMES, [Series("before", NC1), Series("after", NC1, Mark(marker="D"))]),
    "correlation": lambda: correlation(NAMES, NC1, ACCURACY),
    "confusion": lambda: confusion(np.eye(5) * 7 + 1, NAMES),
}


def texts(svg: str) -> str:
    return " ".join(
        "".join(element.itertext()) for element in ElementTree.fromstring(svg).iter() if "text" in element.tag
    )


@pytest.mark.parametrize("name", DRAWINGS)
def test_drawing_is_an_inline_svg_that_references_only_itself(name: str) -> None:
    svg = DRAWINGS[name]()
    root = ElementTree.fromstring(svg)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    wanted = re.findall(r'url\(#([^)]*)\)|href="#([^"]*)"', svg)
    assert root.get("viewBox")
    assert len(ids) == len(set(ids))
    assert {a or b for a, b in wanted} == set(ids)
    assert "<!DOCTYPE" not in svg
    assert "metadata" not in svg
    assert not re.search(r'href="(?!#|data:image/png)', svg)


@pytest.mark.parametrize("name", DRAWINGS)
def test_drawing_depends_on_its_content_alone(name: str) -> None:
    first = DRAWINGS[name]()
    with matplotlib.rc_context({"font.size": 31, "svg.fonttype": "path", "text.parse_math": True}):
        assert DRAWINGS[name]() == first


def test_names_are_escaped_and_never_parsed() -> None:
    said = texts(confusion(np.eye(5), NAMES))
    for shown in ("<b>bold</b>", "$\\frac{1}{0$", "caf\\xe9", "猫", "a & b"):
        assert shown in said


def test_ids_of_two_drawings_do_not_meet() -> None:
    def ids(svg: str) -> set[str | None]:
        return {element.get("id") for element in ElementTree.fromstring(svg).iter()} - {None}

    sets = [ids(make()) for make in DRAWINGS.values()]
    assert sum(map(len, sets)) == len(set().union(*sets))


@pytest.mark.parametrize(
    "svg",
    [
        figures.methods([Method("linear", "a", Mark(), None)], None),
        figures.scatter(METHODS[:1], None),
        figures.seeds([Group("a", [None])]),
        figures.curves([Series("a", [0.0, -1.0])], "c", log=True),
        depth(["a"], [None], [None]),
        depths(["a"], [Series("a", [None])]),
        correlation(["a", "b"], [1.0, None], [0.5, 0.5]),
    ],
)
def test_nothing_to_draw_draws_nothing(svg: str) -> None:
    assert svg == ""


@pytest.mark.parametrize("values", [[1e-12, 1e12], [1.0, 1.0], [0.0, 3.0], [1e300, 1e-300]])
def test_extreme_values_are_drawn(values: list[float]) -> None:
    assert depth(["a", "b"], values, [0.5, 0.5]).startswith("<svg")
    assert correlation(["a", "b"], values, [0.1, 0.2]).startswith("<svg") == all(0 < value < 1e30 for value in values)


@pytest.mark.parametrize(("num_classes", "labels", "numbers"), [(2, 2, 4), (12, 12, 12), (25, 25, 0), (120, 0, 0)])
def test_confusion_shows_as_much_as_fits(num_classes: int, labels: int, numbers: int) -> None:
    matrix = np.full((num_classes, num_classes), 77.0) if num_classes == 2 else 77.0 * np.eye(num_classes)
    svg = confusion(matrix, [f"kind {index}" for index in range(num_classes)])
    said = texts(svg)
    assert len(re.findall(r"kind \d+", said)) == 2 * labels
    assert len(re.findall(r"(?<![\w.])77(?![\w.])", said)) == numbers
    assert len(svg) < 60_000


@pytest.mark.parametrize("spread", [0.9, 0.18, 0.02, 0.0003])
def test_ticks_in_per_cent_stand_where_they_say(spread: float) -> None:
    svg = figures.curves([Series("a", [0.1, 0.1 + spread])], "c")
    shown = [word for word in re.findall(r">([\d.]+)</text>", svg) if word not in ("1", "2")]
    steps = np.diff([float(word) for word in shown])
    assert len(shown) > 2
    assert steps == pytest.approx([steps[0]] * len(steps))


def test_fit_agrees_with_numpy() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((2, 40))
    line = fit(x.tolist(), y.tolist())
    slope, intercept = np.polyfit(x, y, 1)
    assert line is not None
    assert (line.slope, line.intercept) == pytest.approx((slope, intercept))
    assert line.r2 == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)


@pytest.mark.parametrize("x", [[1.0, 1.0, 1.0], [1.0, None, 2.0]])
def test_fit_needs_three_points_that_differ(x: list[float | None]) -> None:
    assert fit(x, [1.0, 2.0, 3.0]) is None


def test_theme_colours_become_variables() -> None:
    svg = draw("probe", 1, 1, lambda canvas: canvas.add_subplot().set_title("t"))
    assert "var(--ink, #1b1f27)" in svg
    assert not re.search(r"(?<!, )#1b1f27", svg)


def test_curves_join_what_was_measured_every_few_epochs():
    sparse = [0.5, None, None, 0.25, None, 0.125]
    drawing = figures.curves([Series("NC1", sparse)], "sparse", log=True, label="NC1")
    line = re.search(r'<path d="([^"]*)" clip-path="[^"]*" style="[^"]*stroke-width: 1.4', drawing)
    assert line is not None
    assert len(re.findall(r"[ML] ", line[1])) == 3, "one stroke through the three values"
    assert line[1].count("M ") == 1
