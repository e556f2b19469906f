"""Several seeds or networks side by side: means, standard deviations, and the way to each run's own page."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from ..runs import MethodSummary, Summary, SummaryRun
from .about import conditions_section, glossary_section
from .blocks import Block, Cell, Columns, Figure, Page, Section, Table
from .figures import Group, seeds
from .footnotes import Footnotes
from .kinds import warnings_of
from .lead import Lead, lead_of
from .source import Source, method_name, method_phrase
from .text import DASH, amount, count, duration, percent, points, significant, spread

__all__ = ["run_folder", "summary_page"]

_BASELINE = "linear"
Groups = dict[tuple[str, str], list[MethodSummary]]


def summary_page(source: Source, record: Summary) -> Page:
    """The page of a folder of runs."""
    runs, lead = record.runs, lead_of(record)
    groups = _groups(runs)
    models = list(dict.fromkeys(run.model for run in runs))
    blocks: list[Block] = []
    drawn = [
        Group(
            method_name(method, rows[0]),
            [lead.value(row) for row in rows],
            rows[0].mark,
            heading=model if len(models) > 1 else "",
        )
        for (model, method), rows in groups.items()
    ]
    if drawing := seeds(drawn, lead.phrase):
        alt = f"Dots of {lead.phrase}, one for each run, and a bar at each mean, by method."
        blocks.append(Columns([Figure(drawing, f"{lead.title} of every run; the bar is the mean.", alt)]))
    if groups:
        blocks.append(_table(groups, models, lead))
    sections = [
        Section("Methods side by side", blocks),
        _runs_section(source, runs, lead),
        conditions_section(source, title="How these runs were made"),
        glossary_section(),
    ]
    dataset = next((run.dataset for run in runs if run.dataset), "")
    kicker = " · ".join(part for part in (dataset, *models, f"{len(runs)} runs") if part)
    return Page(
        title=kicker,
        kicker=kicker,
        headline=_headline(runs, groups, lead),
        sections=[section for section in sections if section.blocks],
        warnings=warnings_of(source),
        footer="Made by nctransfer from the files of the runs' folders.",
    )


def run_folder(source: Source, run: SummaryRun) -> Path | None:
    """The folder of one of the runs, if it lies inside the summary's folder."""
    if not run.folder:
        return None
    try:
        folder = source.folder / run.folder
        inside = (
            folder.resolve().is_relative_to(source.folder.resolve()) and folder.resolve() != source.folder.resolve()
        )
        return folder if inside else None
    except (OSError, ValueError):
        return None


def _groups(runs: Sequence[SummaryRun]) -> Groups:
    """The methods' rows by (model, method), one for each run."""
    found: Groups = defaultdict(list)
    for run in runs:
        for key, row in run.methods.items():
            found[run.model, key].append(row)
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _table(groups: Groups, models: list[str], lead: Lead) -> Table:
    best = _winner(groups)
    notes = Footnotes()
    body: list[list[Cell | str]] = []
    for key, rows in groups.items():
        plain = spread((row.test_accuracy for row in rows), 100)
        even = spread((row.balanced_accuracy for row in rows), 100)
        f1 = spread((row.macro_f1 for row in rows), 100)
        first, *others = (even, f1, plain) if lead.balanced else (plain, even, f1)
        why = next((row.reason("nc1_after") for row in rows if row.nc1_after is None), None)
        body.append(
            [
                *([Cell(key[0], strong=key == best)] if len(models) > 1 else []),
                Cell(method_name(key[1], rows[0]), strong=key == best),
                count(len(rows)),
                Cell(first, strong=key == best),
                *others,
                spread((row.val_accuracy for row in rows), 100),
                amount(_mean([row.tuned_parameters for row in rows])),
                duration(_mean([row.seconds for row in rows])),
                notes.cell(_nc1([row.nc1_after for row in rows if row.nc1_after is not None]), why),
            ]
        )
    tested = ["Test accuracy (%)", "Balanced accuracy (%)", "Macro F1 (%)"]
    columns = [
        *(["Network"] if len(models) > 1 else []),
        "Method",
        "Runs",
        *(tested[1:] + tested[:1] if lead.balanced else tested),
        "Validation accuracy (%)",
        "Tuned parameters",
        "Time",
        "NC1 after",
    ]
    place = list(groups).index(best) if best in groups else None
    note = "Mean ± sample standard deviation over the runs; times and parameters are means."
    left = frozenset({1}) if len(models) > 1 else frozenset[int]()
    lines = [note, *notes.lines]
    return Table(columns, body, "Methods over all runs", left, stack=True, highlight=place, notes=lines)


def _nc1(values: list[float]) -> str:
    if not values:
        return DASH
    mean = sum(values) / len(values)
    if len(values) == 1:
        return significant(mean)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return f"{significant(mean)} ± {significant(deviation, 2)}"


def _winner(groups: Groups) -> tuple[str, str] | None:
    """The best (model, method) by mean validation accuracy."""
    scored = {
        key: mean for key, rows in groups.items() if (mean := _mean([row.val_accuracy for row in rows])) is not None
    }
    return max(scored, key=lambda key: scored[key]) if scored else next(iter(groups), None)


def _headline(runs: Sequence[SummaryRun], groups: Groups, lead: Lead) -> str:
    best = _winner(groups)
    if best is None:
        return _probed(runs)
    model, method = best
    rows = groups[best]
    phrase = method_phrase(method, rows[0])
    text = f"{phrase[:1].upper()}{phrase[1:]}{f' of {model}' if model else ''} reaches "
    which = " balanced accuracy" if lead.balanced else ""
    text += f"{spread((lead.value(row) for row in rows), 100)}\u00a0%{which} on the test images"
    if len(rows) > 1:
        text += f" (mean ± standard deviation over {len(rows)} runs)"
    if method == _BASELINE:
        return text + ("; no other method did better on held-out images." if len(groups) > 1 else ".")
    pairs = [
        (lead.value(row), lead.value(probe))
        for run in runs
        if run.model == model and (row := run.methods.get(method)) and (probe := run.methods.get(_BASELINE))
    ]
    differences = [ours - theirs for ours, theirs in pairs if ours is not None and theirs is not None]
    if differences:
        mean = sum(differences) / len(differences)
        above = sum(difference > 0 for difference in differences)
        text += f", {points(mean)} {'above' if mean >= 0 else 'below'} a linear probe on average"
        if len(differences) > 1:
            text += f" and above it in {above} of {len(differences)} runs"
    return text + "."


def _probed(runs: Sequence[SummaryRun]) -> str:
    """The most accurate layer of runs that only measured."""
    found = [
        (layer.probe_val_accuracy, run.model, layer.name)
        for run in runs
        for layer in run.layers
        if layer.probe_val_accuracy is not None
    ]
    if not found:
        return "These runs tuned no method."
    accuracy, model, layer = max(found)
    return (
        f"Over {len(runs)} runs, a linear probe does best on {layer} of {model or 'the network'}: "
        f"{percent(accuracy)} of the held-out images."
    )


def _runs_section(source: Source, runs: Sequence[SummaryRun], lead: Lead) -> Section:
    notes = Footnotes()
    body: list[list[Cell | str]] = []
    for run in runs:
        row, last = run.best, run.layers[-1] if run.layers else None
        folder = run_folder(source, run)
        href = ""
        if folder is not None and (folder / "report.html").is_file():
            inside = folder.relative_to(source.folder).as_posix()
            href = f"./{quote(inside, errors='surrogateescape')}/report.html"
        nc1 = significant(last.nc1 if last else None)
        body.append(
            [
                Cell(run.folder, href=href),
                run.model,
                "" if run.seed is None else str(run.seed),
                method_name(run.best_method or "", row),
                (row.unit if row else None) or "",
                percent(lead.value(row) if row else None),
                notes.cell(nc1, last.notes.get("nc1") if last else None),
            ]
        )
    columns = ["Run", "Network", "Seed", "Best method", "Block", lead.title, "Penultimate NC1 before tuning"]
    caption = "Every run, with its own page"
    table = Table(columns, body, caption, frozenset({1, 3, 4}), stack=True, notes=notes.lines)
    return Section("Every run", [table] if body else [])
