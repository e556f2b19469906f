"""The page of a ranking: accuracy against cost with the frontier drawn, every column, and what cannot be told."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure as Canvas

from ..runs import RankColumn, RankRecord, RankRow, RankValue
from .about import conditions_section
from .blocks import Block, Cell, Details, Figure, Page, Prose, Section, Table, Tile
from .dataset import data_section
from .kinds import warnings_of
from .source import Source
from .svg import ACCENT, INK, MUTED, PAPER, draw, percentages
from .text import DASH, amount, count, duration, join, percent, shorten, significant, visible

__all__ = ["frontier", "rank_page"]


def rank_page(source: Source, record: RankRecord) -> Page:
    """The page of a `rank` run."""
    sections = [
        _order_section(record),
        _columns_section(record),
        _validation_section(record),
        _dropped_section(record),
        data_section(record, warnings_of(source)),
        conditions_section(source),
    ]
    kicker = " · ".join(
        part for part in (record.dataset.name, f"{len(record.rows)} networks", f"seed {record.seed}") if part
    )
    best = record.rows[0] if record.rows else None
    probe = best.columns.get("probe") if best else None
    tiles = []
    if best is not None:
        tiles = [
            Tile("First", best.name, _place(best)),
            Tile("Its probe", percent(probe.value if probe else None), f"{count(best.images)} images"),
            Tile("Candidates", count(len(record.rows) + len(record.dropped)), f"{len(record.dropped)} dropped"),
        ]
    return Page(
        title=kicker,
        kicker=kicker,
        headline=_headline(record),
        sections=[section for section in sections if section.blocks or section.lead],
        tiles=tiles,
        warnings=warnings_of(source),
        footer="Made by nctransfer from the files of the run's folder.",
    )


def frontier(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points that no other beats in both: cheaper and at least as accurate; by cost.

    Example:
        >>> frontier([(1.0, 0.5), (2.0, 0.4), (3.0, 0.9), (3.5, 0.9)])
        [0, 2]
    """
    kept: list[int] = []
    best = float("-inf")
    for index in sorted(range(len(points)), key=lambda index: (points[index][0], -points[index][1])):
        if points[index][1] > best:
            kept.append(index)
            best = points[index][1]
    return kept


def _headline(record: RankRecord) -> str:
    if not record.rows:
        return "No candidate could be ranked."
    first = record.rows[0]
    tied = [row.name for row in record.rows if row.first == 1]
    value = first.columns.get("probe")
    accuracy = percent(value.value if value else None)
    if len(tied) == 1:
        return f"Start from {first.name}: a linear probe of it gets {accuracy} of the images right, more than of any other."
    return (
        f"Start from {first.name} (probe {accuracy}); {join(tied[1:6])}"
        f"{f' and {len(tied) - 6} more' if len(tied) > 6 else ''} cannot be told from it on these images."
    )


def _place(row: RankRow) -> str:
    return f"place {row.first}" if row.first == row.last else f"place {row.first} to {row.last}"


def _order_section(record: RankRecord) -> Section:
    blocks: list[Block] = []
    drawing = _scatter(record)
    if drawing:
        alt = "Probe accuracy of each network against the cost of its forward pass; the frontier is a line."
        blocks.append(Figure(drawing, "Probe accuracy against cost. No network beats one on the line in both.", alt))
    shown = [name for name in ("probe", "deep", "known") if name in record.columns]
    titles = [record.columns[name].title for name in shown]
    body: list[list[Cell | str]] = []
    for row in record.rows:
        cost = DASH if row.seconds_per_image is None else duration(row.seconds_per_image)
        body.append(
            [
                Cell(row.name, strong=row.position == 1),
                _place(row).removeprefix("place "),
                *(_cell(row.columns.get(name), record.columns[name]) for name in shown),
                amount(row.model.total_parameters),
                cost,
                row.model.license or DASH,
            ]
        )
    columns = ["Network", "Place", *titles, "Parameters", "Time an image", "Licence"]
    note = "A place such as 1 to 3: these networks cannot be told apart on these images."
    highlight = 0 if body else None
    blocks.append(Table(columns, body, "The order", frozenset({1}), stack=True, highlight=highlight, notes=[note]))
    return Section("The order", blocks, lead=record.rule)


def _columns_section(record: RankRecord) -> Section:
    names = [name for name in record.columns if name not in ("known", "parameters")]
    if not names:
        return Section("Every column", [])
    body: list[list[Cell | str]] = [
        [row.name, *(_cell(row.columns.get(name), record.columns[name]) for name in names)] for row in record.rows
    ]
    permuted: list[list[Cell | str]] = [
        [row.name, *(_null(row.columns.get(name), record.columns[name]) for name in names)] for row in record.rows
    ]
    titles = [
        "Network",
        *(f"{record.columns[name].title} {'↑' if record.columns[name].larger else '↓'}" for name in names),
    ]
    words: list[list[Cell | str]] = [[column.title, column.words] for column in record.columns.values()]
    lead = (
        "↑: larger promises better transfer. Behind each value half of its 95 % interval; at noise: no better than under "
        "permuted labels; at ceiling: there is no room left above it."
    )
    return Section(
        "Every column",
        [
            Table(titles, body, "Values"),
            Details("Under permuted labels", [Table(titles, permuted, "The same columns under permuted labels")]),
            Details("What the columns say", [Table(["Column", "Meaning"], words, "", frozenset({1}))]),
        ],
        lead=lead,
    )


def _validation_section(record: RankRecord) -> Section:
    found = record.validation
    if found is None:
        return Section("Tuned", [])
    tuned: list[list[Cell | str]] = [
        [
            f"{row.name}{' (control)' if row.control else ''}",
            row.method,
            percent(row.test_accuracy),
            _interval(row.interval),
        ]
        for row in found.rows
    ]
    judged: list[list[Cell | str]] = [
        [record.columns[name].title if name in record.columns else name, significant(row.tau, 2), percent(row.regret)]
        for name, row in sorted(
            found.foretold.items(), key=lambda item: -(item[1].tau if item[1].tau is not None else -2)
        )
    ]
    few = f"Of {len(found.rows)} networks alone: read it as an anecdote." if len(found.rows) < 6 else ""
    blocks: list[Block] = [
        Table(["Network", "Method", "Test accuracy", "95 % interval"], tuned, "Really tuned", frozenset({1})),
        Table(
            ["Column", "Weighted τ", "Regret"], judged, "How well each column foretold it", notes=[few] if few else []
        ),
    ]
    return Section("Tuned", blocks, lead="The best few and one control were tuned on the training images.")


def _dropped_section(record: RankRecord) -> Section:
    body: list[list[Cell | str]] = [[row.name, row.reason] for row in record.dropped]
    blocks: list[Block] = [Table(["Network", "Reason"], body, "Not in the last round", frozenset({1}))] if body else []
    if record.rounds and len(record.rounds) > 1:
        said = "; ".join(f"{len(row.candidates)} networks on {row.images} images" for row in record.rounds)
        blocks.append(Prose(f"Rounds: {said}."))
    return Section("Dropped", blocks)


def _cell(value: RankValue | None, column: RankColumn) -> str:
    if value is None or value.value is None:
        return ""
    text = percent(value.value) if column.accuracy else significant(value.value)
    if value.low is not None and value.high is not None:
        half = (value.high - value.low) / 2
        text += f" ± {100 * half:.1f}" if column.accuracy else f" ± {significant(half, 2)}"
    return f"{text}, {value.flag}" if value.flag else text


def _null(value: RankValue | None, column: RankColumn) -> str:
    if value is None or value.null is None:
        return ""
    return percent(value.null) if column.accuracy else significant(value.null)


def _interval(interval: tuple[float, float] | None) -> str:
    return DASH if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f} %"


def _scatter(record: RankRecord) -> str:
    """Probe accuracy against the time of a forward pass; where that was not measured, against parameters."""
    timed = all(row.seconds_per_image is not None for row in record.rows)
    points, names = [], []
    for row in record.rows:
        value = row.columns.get("probe")
        cost = (
            1000 * row.seconds_per_image if timed and row.seconds_per_image else (row.model.total_parameters or 0) / 1e6
        )
        if value is not None and value.value is not None and cost > 0:
            points.append((cost, value.value))
            names.append(row.name)
    if len(points) < 2:
        return ""
    best = frontier(points)

    def paint(canvas: Canvas) -> None:
        axes = canvas.add_subplot()
        axes.set_xscale("log")
        axes.plot(
            [points[index][0] for index in best], [points[index][1] for index in best], color=ACCENT, linewidth=1.2
        )
        for index, (cost, accuracy) in enumerate(points):
            colour = ACCENT if index in best else MUTED
            axes.plot([cost], [accuracy], "o", color=colour, markersize=6, markeredgecolor=PAPER)
            if len(points) <= 14 or index in best:
                axes.annotate(
                    visible(shorten(names[index], 24)),
                    (cost, accuracy),
                    xytext=(0, 6),
                    textcoords="offset points",
                    ha="center",
                    color=INK,
                    fontsize=7,
                )
        axes.margins(x=0.18, y=0.15)
        axes.set_xlabel("milliseconds an image" if timed else "parameters, millions")
        axes.set_ylabel("probe accuracy")
        percentages(axes.yaxis)

    return draw("rank", 4.0, 3.0, paint)
