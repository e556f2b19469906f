"""A ranking in the terminal: the table, what it cannot tell, who was dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ..engine import StopRequest
from ..errors import UsageError
from ..ranking import RankResult, auto_ranked, find_candidates, plan_ranking, rank_settings, run_rank
from ..runs import RankValue
from ..transfer import settings_from
from .launch import last_part, print_result
from .progress import TerminalWatch

__all__ = ["auto_of_best", "print_plan", "print_ranking", "run_ranking"]

_SHOWN = ("probe", "deep", "nc1_calibrated", "log_me", "known")


def run_ranking(sources: list[dict[str, Any]], folder: Path, *, resume: bool, overwrite: bool) -> RankResult:
    """Rank as the sources of settings say."""
    settings = rank_settings(*sources, where="the command line")
    with StopRequest() as stop, stop.at_once():
        return run_rank(settings, folder, resume=resume, overwrite=overwrite, watch=TerminalWatch())


def print_plan(sources: list[dict[str, Any]]) -> None:
    """Print the steps of a ranking and about their cost."""
    plan = plan_ranking(rank_settings(*sources, where="the command line"))
    Console(soft_wrap=True).print(plan.text(), markup=False, highlight=False)


def auto_of_best(
    data: str,
    models: str,
    sources: list[dict[str, Any]],
    *,
    alone: bool,
    out: Path | None,
    resume: bool,
    overwrite: bool,
    dry_run: bool,
) -> None:
    """Rank the candidates and run `auto` with the best.

    Raises:
        UsageError: what goes only without a ranking was asked for, too.
    """
    if not alone:
        raise UsageError(
            "--models ranks and tunes one network with one seed",
            where="--models",
            remedy="leave out --model and --seeds, or repeat --model to tune every network",
        )
    names = [name.strip() for name in models.split(",") if name.strip()]
    settings = settings_from(*sources, {"data": data}, where="the command line")
    # A third of the time to find the network, the rest to tune it.
    seconds = None if settings.budget is None else settings.budget / 3
    if seconds is not None:
        settings = settings.model_copy(update={"budget": 2 * seconds})
    console = Console(soft_wrap=True)
    if dry_run:
        found = ", ".join(candidate.name for candidate in find_candidates(names, arch=settings.arch)[0])
        console.print(f"rank {found}; then tune the best", markup=False, highlight=False)
        return
    folder = out or Path("runs") / f"{last_part(data)}-best-of-{len(names)}"
    with StopRequest() as stop, stop.at_once():
        ranked, run = auto_ranked(
            names, settings, folder, budget=seconds, resume=resume, overwrite=overwrite, watch=TerminalWatch()
        )
    print_ranking(ranked)
    print_result(console, run.record)
    console.print(f"report: {folder / 'tuned' / 'report.html'}", markup=False, highlight=False)


def print_ranking(result: RankResult) -> None:
    """The table and what must be known of it."""
    console, record = Console(soft_wrap=True), result.record
    shown = [name for name in _SHOWN if name in record.columns]
    table = Table(
        "place", "network", *(record.columns[name].title.lower() for name in shown), "parameters", "ms an image"
    )
    for row in record.rows:
        place = str(row.first) if row.first == row.last else f"{row.first}–{row.last}"
        cost = "–" if row.seconds_per_image is None else f"{1000 * row.seconds_per_image:.1f}"
        values = [_cell(row.columns.get(name), record.columns[name].accuracy) for name in shown]
        table.add_row(place, row.name, *values, f"{(row.model.total_parameters or 0) / 1e6:.2f} M", cost)
    console.print(table)
    tied = [row.name for row in record.rows if row.first == 1 and row.last > 1]
    if tied:
        console.print(f"cannot be told apart: {', '.join(tied)}", markup=False, highlight=False)
    for warning in record.warnings:
        console.print(f"warning: {warning}", markup=False, highlight=False)
    if record.validation is not None:
        for tuned in record.validation.rows:
            accuracy = "–" if tuned.test_accuracy is None else f"{tuned.test_accuracy:.1%}"
            name = f"{tuned.name}{' (control)' if tuned.control else ''}"
            console.print(f"tuned: {name}, {tuned.method}, {accuracy} on test", markup=False, highlight=False)
    if result.folder is not None:
        console.print(f"report: {result.folder / 'report.html'}", markup=False, highlight=False)


def _cell(value: RankValue | None, accuracy: bool) -> str:
    if value is None or value.value is None:
        return "–"
    text = f"{value.value:.1%}" if accuracy else f"{value.value:.3g}"
    if value.low is not None and value.high is not None:
        text += (
            f" ({100 * value.low:.1f}–{100 * value.high:.1f})" if accuracy else f" ± {(value.high - value.low) / 2:.2g}"
        )
    return f"{text} {value.flag}" if value.flag else text
