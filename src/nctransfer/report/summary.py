"""Several seeds or networks side by side: means, spreads, and the way to each run's own page."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .about import conditions_section, glossary_section, warnings_of
from .blocks import Block, Cell, Columns, Figure, Page, Section, Table
from .figures import Group, seeds
from .headline import best_method
from .methods import ordered
from .source import Source, method_name
from .text import DASH, amount, count, duration, mapping, number, percent, points, rows, significant, spread, words

__all__ = ["run_folder", "summary_page"]


def summary_page(source: Source) -> Page:
    """The page of a folder of runs."""
    runs = rows(source.result.get("runs"))
    groups = _groups(runs)
    models = list(dict.fromkeys(words(run.get("model")) for run in runs))
    blocks: list[Block] = []
    drawn = [
        Group(
            method_name(method),
            [number(item.get("test_accuracy")) for item in items],
            method,
            heading=model if len(models) > 1 else "",
        )
        for (model, method), items in groups.items()
    ]
    if drawing := seeds(drawn):
        alt = "Dots of test accuracy, one for each run, and a bar at each mean, by method."
        blocks.append(Columns([Figure(drawing, "Test accuracy of every run; the bar is the mean over seeds.", alt)]))
    if groups:
        blocks.append(_table(groups, models))
    sections = [
        Section("Methods side by side", blocks),
        _runs_section(source, runs, models),
        conditions_section(source),
        glossary_section(),
    ]
    parts = (_dataset(source.result, runs), *models, f"{len(runs)} runs")
    kicker = " · ".join(part for part in parts if part)
    return Page(
        title=kicker,
        kicker=kicker,
        headline=_headline(runs, groups, models),
        sections=[section for section in sections if section.blocks],
        warnings=warnings_of(source.result),
        footer="Made by nctransfer from the files of the runs' folders.",
    )


def run_folder(source: Source, run: Any) -> Path | None:
    """The folder of one of the runs, if it lies inside the summary's folder."""
    name = words(mapping(run).get("folder"))
    if not name:
        return None
    try:
        folder = (source.folder / name).resolve()
        return folder if folder.is_relative_to(source.folder.resolve()) and folder != source.folder.resolve() else None
    except (OSError, ValueError):
        return None


Groups = dict[tuple[str, str], list[dict[str, Any]]]


def _groups(runs: list[dict[str, Any]]) -> Groups:
    """The methods' records by (model, method), one for each seed."""
    found: Groups = defaultdict(list)
    for run in runs:
        for key, item in ordered(run):
            found[words(run.get("model")), key].append(item)
    order = list(dict.fromkeys(model for model, _ in found))
    return dict(sorted(found.items(), key=lambda entry: order.index(entry[0][0])))


def _dataset(result: dict[str, Any], runs: list[dict[str, Any]]) -> str:
    names = [mapping(result.get("dataset")).get("name"), *(run.get("dataset") for run in runs)]
    return next((words(name) for name in names if words(name)), "")


def _mean(items: list[dict[str, Any]], field: str) -> float | None:
    known = [value for item in items if (value := number(item.get(field))) is not None]
    return sum(known) / len(known) if known else None


def _table(groups: Groups, models: list[str]) -> Table:
    best = _winner(groups)
    body: list[list[Cell | str]] = []
    for key, items in groups.items():
        nc1 = [value for item in items if (value := number(item.get("nc1_after"))) is not None]
        body.append(
            [
                *([Cell(key[0], strong=key == best)] if len(models) > 1 else []),
                Cell(method_name(key[1]), strong=key == best),
                count(len(items)),
                Cell(spread((item.get("test_accuracy") for item in items), 100), strong=key == best),
                spread((item.get("balanced_accuracy") for item in items), 100),
                spread((item.get("val_accuracy") for item in items), 100),
                amount(_mean(items, "tuned_parameters")),
                duration(_mean(items, "seconds")),
                _nc1(nc1),
            ]
        )
    columns = [
        *(["Network"] if len(models) > 1 else []),
        "Method",
        "Runs",
        "Test accuracy (%)",
        "Balanced accuracy (%)",
        "Validation accuracy (%)",
        "Tuned parameters",
        "Time",
        "NC1 after",
    ]
    row = list(groups).index(best) if best in groups else None
    note = "Mean ± sample standard deviation over the runs; times and parameters are means."
    return Table(
        columns,
        body,
        "Methods over all runs",
        frozenset({1}) if len(models) > 1 else frozenset(),
        stack=True,
        highlight=row,
        notes=[note],
    )


def _nc1(values: list[float]) -> str:
    if not values:
        return DASH
    mean = sum(values) / len(values)
    if len(values) == 1:
        return significant(mean)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return f"{significant(mean)} ± {significant(deviation, 2)}"


def _winner(groups: Groups) -> tuple[str, str] | None:
    """The best (model, method) by mean validation accuracy; by test accuracy where none was kept."""
    for field in ("val_accuracy", "test_accuracy"):
        scored = {key: mean for key, items in groups.items() if (mean := _mean(items, field)) is not None}
        if scored:
            return max(scored, key=lambda key: scored[key])
    return None


def _headline(runs: list[dict[str, Any]], groups: Groups, models: list[str]) -> str:
    best = _winner(groups)
    if best is None:
        return _probed(runs)
    model, method = best
    items = groups[best]
    text = f"{method_name(method)}{f' of {model}' if model else ''} reaches "
    text += f"{spread((item.get('test_accuracy') for item in items), 100)}\u00a0% on the test images"
    if len(items) > 1:
        text += f" (mean ± spread over {len(items)} runs)"
    if method == "linear":
        return text + "; no tuning method did better on the validation images."
    differences = []
    for run in runs:
        own = mapping(run.get("methods"))
        ours, theirs = (number(mapping(own.get(key)).get("test_accuracy")) for key in (method, "linear"))
        if words(run.get("model")) == model and ours is not None and theirs is not None:
            differences.append(ours - theirs)
    if differences:
        mean = sum(differences) / len(differences)
        above = sum(difference > 0 for difference in differences)
        text += f", {points(mean)} {'above' if mean >= 0 else 'below'} a linear probe on average"
        if len(differences) > 1:
            text += f" and above it in {above} of {len(differences)} runs"
    return text + "."


def _probed(runs: list[dict[str, Any]]) -> str:
    """The most accurate layer of runs that only measured."""
    found = [
        (accuracy, words(run.get("model")), words(layer.get("name")))
        for run in runs
        for layer in rows(run.get("layers"))
        if (accuracy := number(layer.get("probe_val_accuracy"))) is not None
    ]
    if not found:
        return "These runs tuned no method."
    accuracy, model, layer = max(found)
    return (
        f"Of {len(runs)} runs, a linear probe does best on {layer} of {model or 'the network'}: "
        f"{percent(accuracy)} of the validation images."
    )


def _runs_section(source: Source, runs: list[dict[str, Any]], models: list[str]) -> Section:
    body: list[list[Cell | str]] = []
    for run in runs:
        best = best_method(run)
        method = mapping(mapping(run.get("methods")).get(best)) if best else {}
        folder = run_folder(source, run)
        href = ""
        if folder is not None and (folder / "report.html").is_file():
            inside = folder.relative_to(source.folder.resolve()).as_posix()
            href = f"./{quote(inside, errors='surrogateescape')}/report.html"
        body.append(
            [
                Cell(words(run.get("folder")), href=href),
                words(run.get("model")),
                words(run.get("seed")),
                method_name(best) if best else "",
                words(method.get("unit")),
                percent(method.get("test_accuracy")),
                significant((rows(run.get("layers")) or [{}])[-1].get("nc1")),
            ]
        )
    columns = ["Run", "Network", "Seed", "Best method", "Unit", "Test accuracy", "Penultimate NC1 before tuning"]
    table = Table(columns, body, "Every run, with its own page", frozenset({1, 3, 4}), stack=True)
    return Section("Every run", [table] if body else [])
