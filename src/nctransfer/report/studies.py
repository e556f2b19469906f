"""The page of the studies: a front table of all claims, then each artefact with its numbers, plots and verdicts."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from .blocks import Block, Cell, Columns, Details, Figure, Note, Page, Prose, Section, Table, Tile
from .figures import OTHERS, WIDTH, drawable
from .source import Source
from .svg import GRID, INK, MUTED, draw, logarithmic, percentages
from .text import count, duration, mapping, number, rows, shorten, significant, visible, words

__all__ = ["studies_page", "study_plot"]

_MARKS = {"holds": "✓\u00a0holds", "does not hold": "✗\u00a0does not hold", "undecided": "undecided"}
_LEANS = {"holds": "undecided, leans to holding", "does not hold": "undecided, leans against"}


def studies_page(source: Source) -> Page:
    """The page of a folder of studies."""
    result = source.result
    studies = rows(result.get("studies"))
    claims = [claim for study in studies for claim in rows(study.get("claims"))]
    tally = {word: sum(claim.get("verdict") == word for claim in claims) for word in _MARKS}
    seeds = result.get("seeds") or []
    cost = mapping(result.get("cost"))
    sections = [
        Section("All claims", [_front(studies)], lead=_rule()),
        *(_study(study) for study in studies),
        Section("What failed", [_failures(rows(result.get("failures")))] if result.get("failures") else []),
        Section("What this stands on", _conditions(result)),
    ]
    return Page(
        title=f"nctransfer studies, {words(result.get('scale'))} scale",
        kicker=f"studies · {words(result.get('scale'))} scale · {len(seeds)} seed{'s' if len(seeds) != 1 else ''}",
        headline=_headline(tally, len(studies)),
        sections=[section for section in sections if section.blocks],
        lead=[f"Scale: {words(result.get('about'))}."],
        tiles=[
            Tile("Claims that hold", count(tally["holds"]), f"of {len(claims)}"),
            Tile("that do not", count(tally["does not hold"])),
            Tile("undecided", count(tally["undecided"])),
            Tile("Computing", duration(number(cost.get("seconds"))), f"{count(number(cost.get('cells')))} cells"),
        ],
        warnings=_warnings(studies),
        footer="Made by nctransfer from the cells of the folder.",
    )


def _headline(tally: dict[str, int], num: int) -> str:
    total = sum(tally.values())
    return (
        f"Of {total} claims in {num} stud{'y' if num == 1 else 'ies'}, at this scale {tally['holds']} held, "
        f"{tally['does not hold']} did not, and {tally['undecided']} stayed undecided."
    )


def _rule() -> str:
    return (
        "A claim is decided when at least three seeds have it, all agree on it, and the mean effect exceeds their standard "
        "deviation; noise alone would be decided in about a fifth of cases with three seeds. ± is the standard deviation "
        "over seeds."
    )


def _warnings(studies: list[dict[str, Any]]) -> list[str]:
    found = []
    for study in studies:
        if number(study.get("missing")):
            found.append(
                f"{words(study.get('name'))}: {count(study['missing'])} cells are missing; what needs them is left out."
            )
    older = [study for study in studies if number(study.get("other_code"))]
    if older:
        names = ", ".join(words(study.get("name")) for study in older)
        found.append(f"Computed by another version of the recipe than this page's, wholly or in part: {names}.")
    return found


def _front(studies: list[dict[str, Any]]) -> Table:
    body: list[list[Cell | str]] = []
    for study in studies:
        claims = rows(study.get("claims"))
        words_ = [claim.get("verdict") for claim in claims]
        open_ = [claim.get("leaning") for claim in claims if claim.get("verdict") == "undecided"]
        leanings = {"lean to holding": open_.count("holds"), "lean against": open_.count("does not hold")}
        said = ", ".join(f"{number_} {leaning}" for leaning, number_ in leanings.items() if number_)
        undecided = count(len(open_)) + (f" ({said})" if said else "")
        artefacts = ", ".join(words(name) for name in study.get("artefacts") or [])
        anchor = "#" + Section(_title(study), []).anchor
        body.append(
            [
                Cell(artefacts, href=anchor),
                words(study.get("claim")),
                count(words_.count("holds")),
                count(words_.count("does not hold")),
                undecided,
                count(len(study.get("seeds") or [])),
                duration(number(study.get("seconds_a_seed"))),
            ]
        )
    columns = ["Artefact", "Claim", "holds", "does not hold", "undecided", "Seeds", "Time a seed"]
    return Table(columns, body, "Every artefact, and how many of its claims hold", frozenset({1}), stack=True)


def _title(study: dict[str, Any]) -> str:
    artefacts = ", ".join(words(name) for name in study.get("artefacts") or [])
    return f"{artefacts}: {words(study.get('title'))}"


def _study(study: dict[str, Any]) -> Section:
    name = words(study.get("name"))
    claims = rows(study.get("claims"))
    blocks: list[Block] = []
    if claims:
        body: list[list[Cell | str]] = [
            [
                words(claim.get("statement")),
                Cell(_verdict(claim), strong=claim.get("verdict") != "undecided"),
                words(claim.get("statistic")),
            ]
            for claim in claims
        ]
        blocks.append(Table(["Claim", "Verdict", "Statistic"], body, "Verdicts", frozenset({1, 2}), stack=True))
    causes = dict.fromkeys(words(claim["cause"]) for claim in claims if claim.get("cause"))
    blocks += [Note(cause, "Why not?") for cause in causes]
    drawn: list[Block] = []
    tables: list[Block] = []
    for position, panel in enumerate(rows(study.get("panels"))):
        if panel.get("kind") == "plot":
            figure = study_plot(panel, f"{name}-{position}")
            if figure:
                drawn.append(Figure(figure, words(panel.get("caption")), words(panel.get("alt"))))
        else:
            tables.append(_table(panel))
    if drawn:
        pairs = [drawn[start : start + 2] for start in range(0, len(drawn), 2)]
        blocks += [Columns(pair) for pair in pairs]
    blocks += tables[:3]
    if tables[3:]:
        blocks.append(Details("More tables", tables[3:]))
    blocks += [Prose(words(note)) for note in study.get("notes") or []]
    seeds = ", ".join(words(seed) for seed in study.get("seeds") or [])
    blocks.append(Prose(f"Seeds {seeds or 'none'}; {duration(number(study.get('seconds')))} of computing."))
    return Section(_title(study), blocks, lead=words(study.get("claim")))


def _verdict(claim: dict[str, Any]) -> str:
    """A claim's verdict as the page shows it.

    Example:
        >>> _verdict({"verdict": "undecided", "leaning": "holds"})
        'undecided, leans to holding'
    """
    word = words(claim.get("verdict"))
    leaning = words(claim.get("leaning"))
    return _LEANS[leaning] if word == "undecided" and leaning in _LEANS else _MARKS.get(word, "")


def _table(panel: dict[str, Any]) -> Table:
    columns = [words(title) for title in panel.get("columns") or []]
    body = [[_cell(value) for value in row] for row in panel.get("rows") or []]
    notes = [words(note) for note in panel.get("notes") or []]
    return Table(columns, body, words(panel.get("caption")), stack=True, notes=notes)


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return _over_seeds([number(item) for item in value.get("values") or []], bool(value.get("percent")))
    return significant(value) if number(value) is not None else ""


def _over_seeds(values: list[float | None], in_percent: bool) -> str:
    """Mean ± sample standard deviation.

    Example:
        >>> _over_seeds([0.5, 0.52], True), _over_seeds([0.123456], False), _over_seeds([], False)
        ('51.0 ± 1.4', '0.123', '')
    """
    known = [value for value in values if value is not None]
    if not known:
        return ""
    mean = sum(known) / len(known)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in known) / (len(known) - 1)) if len(known) > 1 else None
    if in_percent:
        digits = 2 if len(known) == 1 else 1
        return f"{100 * mean:.{digits}f}" + (f" ± {100 * deviation:.1f}" if deviation is not None else "")
    return significant(mean) + (f" ± {significant(deviation, 2)}" if deviation is not None else "")


def study_plot(panel: dict[str, Any], name: str) -> str:
    """The SVG of a plot, or an empty string where nothing can be drawn."""
    x, y = mapping(panel.get("x")), mapping(panel.get("y"))
    shown = [drawn for drawn in (_points(item, x, y) for item in rows(panel.get("series"))) if drawn["x"]]
    if not shown:
        return ""
    fit = panel.get("fit")

    def paint(canvas: Canvas) -> None:
        axes = canvas.add_subplot()
        for index, item in enumerate(shown):
            marker, colour, dash = OTHERS[index % len(OTHERS)] if index < len(OTHERS) else ("x", MUTED, ":")
            spread = [value or 0.0 for value in item["spread"]]
            if any(spread):
                axes.errorbar(item["x"], item["y"], yerr=spread, fmt="none", ecolor=colour, elinewidth=0.9, alpha=0.6)
            line = dash if item["line"] and len(item["x"]) > 1 else "none"
            axes.plot(
                item["x"],
                item["y"],
                marker=marker,
                linestyle=line,
                color=colour,
                label=shorten(visible(item["name"]), 34),
            )
            for where, height, label in zip(item["x"], item["y"], item["labels"], strict=False):
                axes.annotate(
                    visible(label), (where, height), textcoords="offset points", xytext=(4, 4), fontsize=7, color=INK
                )
        if fit:
            low, high = axes.get_xlim()
            axes.axline((low, fit[0] * low + fit[1]), slope=fit[0], color=GRID, linewidth=1.2, zorder=0)
            axes.set_xlim(low, high)
        _axes(axes, x, y)
        if len(shown) > 1:
            canvas.legend(loc="outside upper left", ncols=2 if len(shown) < 9 else 3)

    return draw(name, WIDTH, 2.6 + 0.14 * len(shown), paint)


def _axes(axes: Any, x: dict[str, Any], y: dict[str, Any]) -> None:
    axes.margins(0.08)
    for side, made, setter in ((x, axes.xaxis, axes.set_xscale), (y, axes.yaxis, axes.set_yscale)):
        if side.get("log"):
            setter("log")
            logarithmic(made)
        elif side.get("percent"):
            percentages(made)
    names = x.get("names") or []
    if names:
        axes.set_xticks(range(1, len(names) + 1), [shorten(visible(words(label)), 14) for label in names])
    elif not x.get("log") and words(x.get("label")) in ("epoch", "layer"):
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_xlabel(words(x.get("label")))
    axes.set_ylabel(words(y.get("label")))


def _points(item: dict[str, Any], x: dict[str, Any], y: dict[str, Any]) -> dict[str, Any]:
    """A series without the points that its axes cannot show."""
    across = drawable([number(value) for value in item.get("x") or []])
    heights = drawable([number(value) for value in item.get("y") or []])
    spread = [number(value) for value in item.get("spread") or []] or [None] * len(heights)
    labels = [words(label) for label in item.get("labels") or []] or [""] * len(heights)
    kept = [
        (a, b, s, label)
        for a, b, s, label in zip(across, heights, spread, labels, strict=False)
        if a is not None and b is not None and not (x.get("log") and a <= 0) and not (y.get("log") and b <= 0)
    ]
    # On a logarithmic axis a whisker must not reach below zero.
    return {
        "name": words(item.get("name")),
        "line": bool(item.get("line", True)),
        "x": [a for a, *_ in kept],
        "y": [b for _, b, *_ in kept],
        "spread": [min(s, 0.9 * b) if s is not None and y.get("log") else s for _, b, s, _ in kept],
        "labels": [label for *_, label in kept],
    }


def _failures(failures: list[dict[str, Any]]) -> Table:
    body = [[words(failure.get("cell")), words(failure.get("error"))] for failure in failures]
    return Table(["Cell", "Error"], body, "Cells that failed", frozenset({1}), stack=True)


def _conditions(result: dict[str, Any]) -> list[Block]:
    hardware = "; ".join(words(item) for item in result.get("hardware") or [])
    versions = ", ".join(f"{name} {words(version)}" for name, version in mapping(result.get("versions")).items())
    return [Prose(f"Hardware: {hardware}."), Prose(f"Versions: {versions}.")]
