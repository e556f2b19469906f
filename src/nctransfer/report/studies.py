"""The page of the studies: a front table of all claims, then each artefact with its numbers, plots and verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from ..runs import AxisRow, ClaimRow, OverSeeds, PlotPanel, SeriesRow, StudyResult, StudyRow, TablePanel
from .blocks import Block, Cell, Columns, Details, Figure, Note, Page, Prose, Section, Table, Tile
from .figures import OTHERS, WIDTH, drawable
from .kinds import warnings_of
from .source import Source
from .svg import GRID, INK, MUTED, draw, logarithmic, percentages
from .text import count, duration, shorten, significant, visible

__all__ = ["studies_page", "study_plot"]

_MARKS = {
    "holds": "✓\u00a0holds",
    "does not hold": "✗\u00a0does not hold",
    "no difference": "=\u00a0no difference",
    "undecided": "undecided",
}
_ROOM = 44
"""Letters of names that fit side by side under a plot."""
_LEANS = {"holds": "undecided, leans to holding", "does not hold": "undecided, leans against"}


def studies_page(source: Source, record: StudyResult) -> Page:
    """The page of a folder of studies."""
    claims = [claim for study in record.studies for claim in study.claims]
    whole = [claim for claim in claims if claim.part_of is None]
    tally = {word: sum(claim.verdict == word for claim in whole) for word in _MARKS}
    num_seeds, cost = len(record.seeds), record.cost
    sections = [
        Section("All claims", [_front(record.studies), *_noise(whole)], lead=_rule()),
        *(_study(study) for study in record.studies),
        Section("What failed", [_failures(record)] if record.failures else []),
        Section("How this was computed", _conditions(record)),
    ]
    tiles = [
        Tile("Claims that hold", count(tally["holds"]), f"of {len(whole)} independent"),
        Tile("Claims that do not", count(tally["does not hold"])),
        Tile("No difference", count(tally["no difference"]), "larger than X"),
        Tile("Undecided", count(tally["undecided"])),
    ]
    if cost:
        tiles.append(Tile("Computing time", duration(cost.seconds), f"{count(cost.cells)} cells"))
    return Page(
        title=f"nctransfer studies, {record.scale} scale",
        kicker=f"studies · {record.scale} scale · {num_seeds} seed{'s' if num_seeds != 1 else ''}",
        headline=_headline(tally, len(record.studies)),
        sections=[section for section in sections if section.blocks],
        lead=[f"Scale: {record.about}."] if record.about else [],
        tiles=tiles,
        warnings=[*_warnings(record.studies), *warnings_of(source)],
        footer="Made by nctransfer from the cells of the folder.",
    )


def _headline(tally: dict[str, int], num: int) -> str:
    total = sum(tally.values())
    return (
        f"Of {total} independent claims in {num} stud{'y' if num == 1 else 'ies'}, {tally['holds']} hold at this scale, "
        f"{tally['does not hold']} {'does' if tally['does not hold'] == 1 else 'do'} not, {tally['no difference']} "
        f"find{'s' if tally['no difference'] == 1 else ''} no difference, and {tally['undecided']} "
        f"{'is' if tally['undecided'] == 1 else 'are'} undecided."
    )


def _rule() -> str:
    return (
        "A claim holds, or does not, where the 95 % interval of its mean effect over at least three seeds excludes 0; there is "
        "no difference where the 90 % interval lies within ±X, an effect so small that it would not matter. Parts of a claim "
        "(its blocks, losses or data sets, marked by a dash) share its cells and are not counted beside it. ± is the standard "
        "deviation over seeds."
    )


def _noise(claims: Sequence[ClaimRow]) -> list[Block]:
    """How many of these claims noise alone would decide, by simulation of each rule."""
    rates = [claim.noise for claim in claims if claim.noise is not None]
    if not rates:
        return []
    return [
        Prose(
            f"Run on simulated seeds without an effect, the rules of {len(rates)} of the independent claims decide by noise "
            f"alone in {100 * sum(rates) / len(rates):.1f} % of draws on average and {100 * max(rates):.1f} % at most: "
            f"{sum(rates):.1f} claims of this page. The rate of each stands with it; the other claims are of an absence or of a "
            "bound, and are tried at the value where their answer turns."
        )
    ]


def _warnings(studies: Sequence[StudyRow]) -> list[str]:
    found = [
        f"{study.name}: {count(study.missing)} cells are missing; what needs them is left out."
        for study in studies
        if study.missing
    ]
    older = ", ".join(study.name for study in studies if study.other_code)
    if older:
        found.append(f"Computed by another version of the recipe than this page's, wholly or in part: {older}.")
    return found


def _front(studies: Sequence[StudyRow]) -> Table:
    body: list[list[Cell | str]] = []
    for study in studies:
        whole = [claim for claim in study.claims if claim.part_of is None]
        verdicts = [claim.verdict for claim in whole]
        open_ = [claim.leaning for claim in whole if claim.verdict == "undecided"]
        leanings = {"lean to holding": open_.count("holds"), "lean against": open_.count("does not hold")}
        said = ", ".join(f"{number_} {leaning}" for leaning, number_ in leanings.items() if number_)
        body.append(
            [
                Cell(", ".join(study.artefacts), href="#" + Section(_title(study), []).anchor),
                study.claim,
                count(verdicts.count("holds")),
                count(verdicts.count("does not hold")),
                count(verdicts.count("no difference")),
                count(len(open_)) + (f" ({said})" if said else ""),
                count(len(study.seeds)),
                duration(study.seconds_a_seed),
            ]
        )
    columns = ["Artefact", "Claim", "Holds", "Does not hold", "No difference", "Undecided", "Seeds", "Time per seed"]
    return Table(columns, body, "Every artefact, and how many of its claims hold", frozenset({1, 5}), stack=True)


def _title(study: StudyRow) -> str:
    return f"{', '.join(study.artefacts)}: {study.title}"


def _study(study: StudyRow) -> Section:
    blocks: list[Block] = []
    if study.claims:
        rated = any(claim.noise is not None for claim in study.claims)
        body: list[list[Cell | str]] = [
            [
                ("" if claim.part_of is None else "– ") + claim.statement,
                Cell(_verdict(claim), strong=claim.verdict != "undecided"),
                claim.statistic,
                *(["" if claim.noise is None else f"{100 * claim.noise:.1f} %"] if rated else []),
            ]
            for claim in study.claims
        ]
        columns = ["Claim", "Verdict", "Statistic", *(["By noise"] if rated else [])]
        blocks.append(Table(columns, body, "Verdicts", frozenset({1, 2}), stack=True))
    blocks += [Note(cause, "Why not?") for cause in dict.fromkeys(claim.cause for claim in study.claims) if cause]
    drawn: list[Block] = []
    tables: list[Block] = []
    for position, panel in enumerate(study.panels):
        if isinstance(panel, TablePanel):
            tables.append(_table(panel))
        elif figure := study_plot(panel, f"{study.name}-{position}"):
            drawn.append(Figure(figure, panel.caption, panel.alt))
    blocks += [Columns(drawn[start : start + 2]) for start in range(0, len(drawn), 2)]
    blocks += tables[:3]
    if tables[3:]:
        blocks.append(Details("More tables", tables[3:]))
    blocks += [Prose(note) for note in study.notes]
    seeds = ", ".join(map(str, study.seeds))
    blocks.append(Prose(f"Seeds {seeds or 'none'}; {duration(study.seconds)} of computing time."))
    return Section(_title(study), blocks, lead=study.claim)


def _verdict(claim: ClaimRow) -> str:
    """A claim's verdict as the page shows it.

    Example:
        >>> _verdict(ClaimRow(statement="", verdict="undecided", leaning="holds"))
        'undecided, leans to holding'
    """
    if claim.verdict == "undecided" and claim.leaning in _LEANS:
        return _LEANS[claim.leaning]
    return _MARKS[claim.verdict]


def _table(panel: TablePanel) -> Table:
    body = [[_cell(value) for value in row] for row in panel.rows]
    return Table(panel.columns, body, panel.caption, stack=True, notes=panel.notes)


def _cell(value: OverSeeds | str | float | None) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, OverSeeds):
        return _over_seeds(value.values, value.percent)
    return significant(value) if value is not None else ""


def _over_seeds(values: Sequence[float | None], in_percent: bool) -> str:
    """Mean ± sample standard deviation; what every seed has alike stands alone.

    Example:
        >>> _over_seeds([0.5, 0.52], True), _over_seeds([0.123456], False), _over_seeds([7, 7], False)
        ('51.0 ± 1.4', '0.123', '7.00')
    """
    known = [value for value in values if value is not None]
    if not known:
        return ""
    mean = sum(known) / len(known)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in known) / (len(known) - 1)) if len(known) > 1 else None
    if in_percent:
        digits = 2 if len(known) == 1 else 1
        return f"{100 * mean:.{digits}f}" + (f" ± {100 * deviation:.1f}" if deviation is not None else "")
    return significant(mean) + (f" ± {significant(deviation, 2)}" if deviation else "")


def study_plot(panel: PlotPanel, name: str) -> str:
    """The SVG of a plot, or an empty string where nothing can be drawn."""
    x, y, fit = panel.x, panel.y, panel.fit
    shown = [drawn for drawn in (_points(item, x, y) for item in panel.series) if drawn.x]
    if not shown:
        return ""
    # Long names do not fit side by side: they get a line each, as in a list.
    sideways = sum(map(len, x.names)) > _ROOM and not any(item.line for item in shown) and not fit

    def paint(canvas: Canvas) -> None:
        axes = canvas.add_subplot()
        for index, item in enumerate(shown):
            marker, colour, dash = OTHERS[index % len(OTHERS)] if index < len(OTHERS) else ("x", MUTED, ":")
            spread = [value or 0.0 for value in item.spread]
            across, along = (item.y, item.x) if sideways else (item.x, item.y)
            if any(spread):
                whiskers: dict[str, Any] = {"xerr" if sideways else "yerr": spread}
                axes.errorbar(across, along, **whiskers, fmt="none", ecolor=colour, elinewidth=0.9, alpha=0.6)
            line = dash if item.line and len(item.x) > 1 else "none"
            axes.plot(
                across,
                along,
                marker=marker,
                linestyle=line,
                color=colour,
                label=shorten(visible(item.name), 34),
            )
            for where, height, label in zip(across, along, item.labels, strict=True):
                axes.annotate(
                    visible(label), (where, height), textcoords="offset points", xytext=(4, 4), fontsize=7, color=INK
                )
        if fit:
            low, high = axes.get_xlim()
            axes.axline((low, fit[0] * low + fit[1]), slope=fit[0], color=GRID, linewidth=1.2, zorder=0)
            axes.set_xlim(low, high)
        if sideways:
            _listed(axes, x, y)
        else:
            _axes(axes, x, y)
        if len(shown) > 1:
            canvas.legend(loc="outside upper left", ncols=2 if len(shown) < 9 else 3)

    height = 0.9 + 0.26 * len(x.names) if sideways else 2.6
    return draw(name, WIDTH, height + 0.14 * len(shown), paint)


def _listed(axes: Any, x: AxisRow, y: AxisRow) -> None:
    """Names from top to bottom, values across."""
    axes.margins(0.08)
    if y.log:
        axes.set_xscale("log")
        logarithmic(axes.xaxis)
    elif y.percent:
        percentages(axes.xaxis)
    axes.set_yticks(range(1, len(x.names) + 1), [shorten(visible(label), 34) for label in x.names])
    axes.set_ylim(len(x.names) + 0.5, 0.5)
    axes.set_xlabel(visible(y.label))


def _axes(axes: Any, x: AxisRow, y: AxisRow) -> None:
    axes.margins(0.08)
    for side, made, setter in ((x, axes.xaxis, axes.set_xscale), (y, axes.yaxis, axes.set_yscale)):
        if side.log:
            setter("log")
            logarithmic(made)
        elif side.percent:
            percentages(made)
    if x.names:
        axes.set_xticks(range(1, len(x.names) + 1), [shorten(visible(label), 14) for label in x.names])
    elif not x.log and x.label in ("epoch", "layer"):
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_xlabel(visible(x.label))
    axes.set_ylabel(visible(y.label))


@dataclass(frozen=True)
class _Points:
    """The points of a series that an axis can show."""

    name: str
    line: bool
    x: list[float]
    y: list[float]
    spread: list[float | None]
    labels: list[str]


def _points(item: SeriesRow, x: AxisRow, y: AxisRow) -> _Points:
    """A series without the points that its axes cannot show."""
    across, heights = drawable(item.x), drawable(item.y)
    spread = drawable(item.spread) or [None] * len(heights)
    labels = item.labels or ("",) * len(heights)
    kept = [
        (a, b, s, label)
        for a, b, s, label in zip(across, heights, spread, labels, strict=False)
        if a is not None and b is not None and not (x.log and a <= 0) and not (y.log and b <= 0)
    ]
    return _Points(
        name=item.name,
        line=item.line,
        x=[a for a, *_ in kept],
        y=[b for _, b, *_ in kept],
        # On a logarithmic axis a whisker must not reach below zero.
        spread=[min(s, 0.9 * b) if s is not None and y.log else s for _, b, s, _ in kept],
        labels=[label for *_, label in kept],
    )


def _failures(record: StudyResult) -> Table:
    body = [[failure.cell, failure.error] for failure in record.failures]
    return Table(["Cell", "Error"], body, "Cells that failed", frozenset({1}), stack=True)


def _conditions(record: StudyResult) -> list[Block]:
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    return [Prose(f"Hardware: {'; '.join(record.hardware)}."), Prose(f"Versions: {versions}.")]
