"""From the options of `auto`, `probe` and `tune` to runs: the settings of each, the runs, and the table in the terminal."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from ..report import frontier_sentence, lead_of, lead_sentence
from ..runs import MethodRow, Result, Summary, Verb
from ..transfer import TransferSettings, plan_run, run_grid, settings_from
from .progress import TerminalWatch

__all__ = ["default_name", "last_part", "launch", "print_result"]


def launch(
    kind: Verb,
    data: str,
    models: list[str] | None,
    sources: list[dict[str, Any]],
    *,
    out: Path | None,
    seeds: int = 1,
    resume: bool = False,
    overwrite: bool = False,
    unit: str | None = None,
    dry_run: bool = False,
) -> None:
    """Run every network with every seed and print the table and where the report lies."""
    jobs = _jobs(data, models, sources, seeds)
    console = Console(soft_wrap=True)
    if dry_run:
        for job in jobs:
            console.print(plan_run(job, kind, unit=unit).text(), markup=False, highlight=False)
        return
    folder = out or Path("runs") / default_name(kind, jobs)
    spent = max(0.0, time.time() - psutil.Process().create_time())  # a budget is the user's time, imports included
    result = run_grid(
        kind, jobs, folder, unit=unit, resume=resume, overwrite=overwrite, watch=TerminalWatch(), spent=spent
    )
    print_result(console, result.record)
    console.print(f"report: {folder / 'report.html'}", markup=False, highlight=False)


def _jobs(data: str, models: list[str] | None, sources: list[dict[str, Any]], seeds: int) -> list[TransferSettings]:
    sources = [*sources, {"data": data}]
    first = settings_from(*sources, where="the command line")
    names = models or [
        first.arch if first.weights and first.arch and "model" not in first.model_fields_set else first.model
    ]
    return [
        settings_from(*sources, {"model": name, "seed": first.seed + number}, where="the command line")
        for name in names
        for number in range(seeds)
    ]


def default_name(kind: str, jobs: list[TransferSettings]) -> str:
    """The run folder's name where none is given; `auto` has the short one, so that other verbs do not stand in its way.

    Example:
        >>> default_name("tune", [settings_from({"data": "path/to/images", "model": "resnet18", "methods": "scl"})])
        'images-resnet18-scl'
    """
    words = [last_part(jobs[0].data), last_part(jobs[0].model)]
    words += jobs[0].methods if kind == "tune" else ["probe"] if kind == "probe" else []
    return "-".join(words) + (f"-and-{len(jobs) - 1}-more" if len(jobs) > 1 else "")


def last_part(name: str) -> str:
    """The last part of a path or name, for the name of a run folder; that of the folder itself for ``.`` and ``..``.

    Example:
        >>> last_part("path/to/images/"), last_part("hf:owner/name"), last_part("hf:name"), last_part(".") == Path.cwd().name
        ('images', 'name', 'hf-name', True)
        >>> last_part("path/to/birds.csv")
        'birds'
    """
    last = Path(name.replace(":", "-")).name
    last = Path(last).stem if last.lower().endswith((".csv", ".tsv", ".tab")) else last
    return last if last not in ("", "..") else Path(name).resolve().name or "data"


def print_result(console: Console, record: Result | Summary) -> None:
    """The table of a run or of several."""
    if isinstance(record, Summary):
        lead = lead_of(record)
        for run in record.runs:
            line = f"{run.folder}: {run.model}, seed {run.seed}"
            if best := run.best:
                line += f", best by validation {run.best_method}, {_percent(lead.value(best))} {lead.phrase}"
            console.print(line, markup=False, highlight=False)
    elif record.kind == "probe":
        _print_layers(console, record)
    else:
        _print_methods(console, record)


def _print_layers(console: Console, record: Result) -> None:
    table = Table("layer", "dim", "NC1", "CDNV", "num. rank", "probe (val.)")
    for row in record.layers:
        numbers = (_short(row.nc1), _short(row.cdnv), _short(row.numerical_rank))
        table.add_row(row.name, str(row.dim), *numbers, _percent(row.probe_val_accuracy))
    console.print(table)
    for row in record.layers:
        if row.nc1 is None and row.notes.get("nc1"):
            console.print(f"{row.name}: {row.notes['nc1']}", markup=False, highlight=False)


def _print_methods(console: Console, record: Result) -> None:
    lead = lead_of(record)
    folded = any(row.out_of_fold_images for row in record.methods.values())
    judged = "held out" if folded else "val."
    # A terminal of 80 columns has room for one set of these; the page has all.
    uneven = ["bal.", "95 %", "F1", "test", judged, "NC1"]
    table = Table("method", "block", *(uneven if lead.balanced else ["test", "95 %", judged, "tuned", "NC1", "s"]))
    for column in table.columns:
        column.no_wrap = True
    for name, row in record.methods.items():
        interval = lead.interval(row)
        share = row.tuned_parameters / row.total_parameters if row.tuned_parameters and row.total_parameters else None
        # The probe of a layer is named method@layer.
        method, _, layer = name.partition("@")
        tested = [
            _percent(lead.value(row)),
            f"{100 * interval[0]:.1f}–{100 * interval[1]:.1f}" if interval else "–",
        ]
        held = _held_out(record, row) if folded else _percent(row.val_accuracy)
        if lead.balanced:
            rest = [_percent(row.macro_f1), _percent(row.test_accuracy), held, _short(row.nc1_after)]
        else:
            seconds = "–" if row.seconds is None else f"{row.seconds:.0f}"
            rest = [held, _percent(share), _short(row.nc1_after), seconds]
        mark = " *" if name == record.best_method else ""
        table.add_row(method + mark, row.unit or layer or "–", *tested, *rest)
    console.print(table)
    chosen = "* the model that `nctransfer predict` uses, chosen on held-out images"
    console.print(chosen + (" (their number in brackets)" if folded else ""), highlight=False)
    if said := lead_sentence(record):
        console.print(
            said.replace("balanced accuracy and macro F1", "balanced accuracy (bal., with its interval) and macro F1"),
            markup=False,
            highlight=False,
        )
    if said := frontier_sentence(record):
        console.print(f"held-out accuracy against time: {said}", markup=False, highlight=False)


def _held_out(record: Result, row: MethodRow) -> str:
    """The accuracy that the choice rests on, and on how many images."""
    if row.out_of_fold_images:
        return f"{_percent(row.out_of_fold_accuracy)} ({row.out_of_fold_images})"
    return f"{_percent(row.val_accuracy)} ({record.splits.validation})"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
