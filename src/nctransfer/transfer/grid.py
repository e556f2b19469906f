"""Several networks or seeds: a folder of runs and a summary; one alone is simply that run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ..engine import Watch
from ..errors import UsageError
from ..runs import RunFolder
from .result import RunResult
from .run import run_transfer
from .settings import TransferSettings

__all__ = ["run_grid"]

_KEPT: tuple[str, ...] = (
    "unit",
    "test_accuracy",
    "test_accuracy_interval",
    "balanced_accuracy",
    "val_accuracy",
    "tuned_parameters",
)
_KEPT += (
    "total_parameters",
    "seconds",
    "seconds_per_step",
    "peak_memory_bytes",
    "nc1_before",
    "nc1_after",
    "learning_rate",
)


def run_grid(
    kind: str,
    jobs: list[TransferSettings],
    out: Path,
    *,
    unit: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    watch: Watch | None = None,
) -> RunResult:
    """Run every job; with more than one, each in a subfolder of ``out``, and a summary of them in ``out``.

    With ``resume``, finished jobs are taken from the disk. A new seed added to a resumed grid computes only its own run.
    """
    if len(jobs) == 1:
        return run_transfer(kind, jobs[0], out, unit=unit, resume=resume, overwrite=overwrite, watch=watch)
    watch = watch or Watch()
    started = time.perf_counter()
    names = [f"{Path(job.model).name}-seed{job.seed}" for job in jobs]
    if len(set(names)) < len(names):
        raise UsageError("the same network is named twice", where="--model", remedy="name each once")
    shared = {"verb": kind, "grid": True, **_shared(jobs)}
    with RunFolder.create(out, config=shared, resume=resume, overwrite=overwrite) as folder:
        runs: list[dict[str, Any]] = []
        for name, job in zip(names, jobs, strict=True):
            watch.say(f"{len(runs) + 1} of {len(jobs)}: {job.model}, seed {job.seed}")
            done = (folder.path / name / "result.json").is_file()
            if done:
                result = RunFolder(folder.path / name).result()
            else:
                begun = (folder.path / name / "config.json").is_file()
                result = run_transfer(kind, job, folder.path / name, unit=unit, resume=begun, watch=watch).result
            runs.append(_entry(name, job, result))
        summary = {
            "kind": "summary",
            "runs": runs,
            "best": _best(runs),
            "cost": {"seconds": time.perf_counter() - started},
        }
        folder.write_result(summary)
        from ..report import write_report

        write_report(folder.path)
        return RunResult(summary, folder.path)


def _shared(jobs: list[TransferSettings]) -> dict[str, Any]:
    return {key: value for key, value in jobs[0].model_dump().items() if key not in ("model", "seed")}


def _entry(name: str, job: TransferSettings, result: dict[str, Any]) -> dict[str, Any]:
    methods = {method: {key: row.get(key) for key in _KEPT} for method, row in result.get("methods", {}).items()}
    return {
        "folder": name,
        "model": job.model,
        "seed": job.seed,
        "dataset": result["dataset"]["name"],
        "splits": result["splits"],
        "best_method": result.get("best_method"),
        "methods": methods,
        "layers": result["layers"],
        "cost": result.get("cost"),
    }


def _best(runs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The run with the best validation accuracy of its chosen method."""
    tuned = [run for run in runs if run["best_method"]]
    if not tuned:
        return None
    best = max(tuned, key=lambda run: run["methods"][run["best_method"]]["val_accuracy"])
    return {"folder": best["folder"], "model": best["model"], "seed": best["seed"], "method": best["best_method"]}
