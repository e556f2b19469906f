"""What `auto`, `probe` and `tune` do with their options: the settings of each run, the runs, and what is printed."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ..errors import PreemptedError
from ..transfer.grid import run_grid
from ..transfer.plan import plan_run
from ..transfer.result import RunResult
from ..transfer.settings import TransferSettings, settings_from
from .progress import TerminalWatch

__all__ = ["launch"]


def launch(
    kind: str,
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
            console.print(plan_run(job).text(), markup=False, highlight=False)
        return
    signal.signal(signal.SIGTERM, _stop)
    folder = out or Path("runs") / _default_name(jobs)
    result = run_grid(kind, jobs, folder, unit=unit, resume=resume, overwrite=overwrite, watch=TerminalWatch())
    _print(console, result)
    console.print(f"report: {folder / 'report.html'}", markup=False, highlight=False)


def _stop(number: int, frame: object) -> None:
    raise PreemptedError("told to stop", where="SIGTERM", remedy="finished steps are kept; go on with --resume")


def _jobs(data: str, models: list[str] | None, sources: list[dict[str, Any]], seeds: int) -> list[TransferSettings]:
    first = settings_from({"data": data}, *sources, where="the command line")
    names = models or [
        first.arch if first.weights and first.arch and "model" not in first.model_fields_set else first.model
    ]
    return [
        settings_from({"data": data}, *sources, {"model": name, "seed": first.seed + number}, where="the command line")
        for name in names
        for number in range(seeds)
    ]


def _default_name(jobs: list[TransferSettings]) -> str:
    words = [Path(jobs[0].data.replace(":", "-")).name, Path(jobs[0].model).name]
    return "-".join(words) + (f"-and-{len(jobs) - 1}-more" if len(jobs) > 1 else "")


def _print(console: Console, result: RunResult) -> None:
    if result.kind == "summary":
        for run in result.runs:
            best = run["best_method"]
            line = f"{run['folder']}: {run['model']}, seed {run['seed']}"
            if best:
                line += f", best by validation {best}, {run['methods'][best]['test_accuracy']:.1%} on test"
            console.print(line, markup=False, highlight=False)
    elif result.kind == "probe":
        _print_layers(console, result)
    else:
        _print_methods(console, result)


def _print_layers(console: Console, result: RunResult) -> None:
    table = Table("layer", "dim", "NC1", "CDNV", "num. rank", "probe (val.)")
    for row in result.layers:
        table.add_row(
            row["name"],
            str(row["dim"]),
            *("–" if row[key] is None else f"{row[key]:.3g}" for key in ("nc1", "cdnv", "numerical_rank")),
            f"{row['probe_val_accuracy']:.1%}",
        )
    console.print(table)


def _print_methods(console: Console, result: RunResult) -> None:
    table = Table("method", "unit", "test", "95 %", "val.", "tuned", "NC1", "after", "s")
    for column in table.columns[1:4]:
        column.no_wrap = True
    for name, row in result.methods.items():
        low, high = row["test_accuracy_interval"]
        table.add_row(
            name + (" *" if name == result.best_method else ""),
            row["unit"] or "–",
            f"{row['test_accuracy']:.1%}",
            f"{100 * low:.1f}–{100 * high:.1f}",
            f"{row['val_accuracy']:.1%}",
            f"{row['tuned_parameters'] / row['total_parameters']:.1%}",
            *("–" if row[key] is None else f"{row[key]:.3g}" for key in ("nc1_before", "nc1_after")),
            f"{row['seconds']:.0f}",
        )
    console.print(table)
    console.print("* best on validation; it is the model that `nctransfer predict` uses", highlight=False)
