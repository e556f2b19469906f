"""Several networks or seeds: a folder of runs and a summary; one alone is simply that run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ..data import check_same_place
from ..engine import StopRequest, Watch
from ..errors import DataError, UsageError
from ..runs import SCHEMA_VERSION, BestRun, Cost, Result, RunFolder, Summary, SummaryRun, Verb, load_run
from .result import RunResult
from .run import run_transfer
from .settings import FREE_SETTINGS, TransferSettings

__all__ = ["run_grid"]


def run_grid(
    kind: Verb,
    jobs: list[TransferSettings],
    out: Path,
    *,
    unit: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    watch: Watch | None = None,
    spent: float = 0.0,
) -> RunResult:
    """Run every job; with more than one, each in a subfolder of ``out``, and a summary of them in ``out``.

    With ``resume``, finished jobs are taken from the disk. A new seed added to a resumed grid computes only its own run.
    """
    if len(jobs) == 1:
        return run_transfer(kind, jobs[0], out, unit=unit, resume=resume, overwrite=overwrite, watch=watch, spent=spent)
    watch = watch or Watch()
    started = time.perf_counter()
    names = [f"{Path(job.model).name}-seed{job.seed}" for job in jobs]
    if len(set(names)) < len(names):
        raise UsageError("the same network is named twice", where="--model", remedy="name each once")
    shared = {"verb": kind, "grid": True, **_shared(jobs)}
    with (
        RunFolder.create(out, config=shared, resume=resume, overwrite=overwrite, free=FREE_SETTINGS) as folder,
        StopRequest() as stop,
    ):
        runs: list[SummaryRun] = []
        warnings: list[str] = []
        for name, job in zip(names, jobs, strict=True):
            stop.raise_if_noted()
            watch.say(f"{len(runs) + 1} of {len(jobs)}: {job.model}, seed {job.seed}")
            if (folder.path / name / "result.json").is_file():
                check_same_place(folder.path / name, job.data, download=job.download, **job.columns())
                result = load_run(folder.path / name)
            else:
                begun = (folder.path / name / "config.json").is_file()
                result = run_transfer(kind, job, folder.path / name, unit=unit, resume=begun, watch=watch).record
            if not isinstance(result, Result):
                raise DataError(f"a result of kind {result.kind!r} lies there", where=str(folder.path / name))
            runs.append(_entry(name, job, result))
            warnings += [f"{name}: {warning}" for warning in result.warnings]
        summary = Summary(
            schema_version=SCHEMA_VERSION,
            kind="summary",
            runs=tuple(runs),
            best=_best(runs),
            cost=_cost(time.perf_counter() - started, runs),
            warnings=tuple(warnings),
        )
        folder.write_result(summary)
        from ..report import write_report

        write_report(folder.path)
        return RunResult(summary, folder.path)


def _shared(jobs: list[TransferSettings]) -> dict[str, Any]:
    return {key: value for key, value in jobs[0].model_dump().items() if key not in ("model", "seed")}


def _entry(name: str, job: TransferSettings, result: Result) -> SummaryRun:
    return SummaryRun(
        folder=name,
        model=job.model,
        seed=job.seed,
        dataset=result.dataset.name,
        splits=result.splits,
        imbalance=result.dataset.imbalance,
        best_method=result.best_method,
        methods={method: row.summary() for method, row in result.methods.items()},
        layers=result.layers,
        cost=result.cost,
    )


def _cost(seconds: float, runs: list[SummaryRun]) -> Cost:
    """The cost of all runs, those included that were finished before; ``seconds`` of it are of this process."""
    known = sum(run.cost.whole or 0.0 for run in runs if run.cost is not None)
    return Cost(seconds=seconds, total_seconds=max(seconds, known))


def _best(runs: list[SummaryRun]) -> BestRun | None:
    """The run whose chosen method is best on held-out images, by the metric of the runs."""
    tuned = [
        (run, row.val_accuracy if row.val_score is None else row.val_score)
        for run in runs
        if (row := run.best) and row.val_accuracy is not None
    ]
    if not tuned:
        return None
    best, _ = max(tuned, key=lambda pair: pair[1])
    return BestRun(folder=best.folder, model=best.model, seed=best.seed, method=str(best.best_method))
