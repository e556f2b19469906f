"""Studies on a cluster: one job for each network and what is measured on it, submitted with submitit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..engine import Watch
from ..errors import PreemptedError, SetupError, UsageError, near_names
from .catalogue import cells_of, get_studies
from .cells import Cell
from .runner import claim_folder, run_cells
from .scales import get_scale
from .store import Store

__all__ = ["CLUSTERS", "groups", "submit_studies"]

CLUSTERS = ("local", "slurm")
JOB_MINUTES = 25
_ROUNDS = 20


def submit_studies(
    names: Sequence[str],
    *,
    scale: str,
    out: str | Path,
    seeds: Sequence[int],
    cluster: str,
    partition: str | None = None,
    watch: Watch | None = None,
) -> None:
    """Submit every missing cell and wait until all are done; a job that its time limit stops is submitted again.

    Args:
        names: Studies, or ``all``.
        scale: The scale.
        out: A folder that every node sees.
        seeds: The seeds.
        cluster: ``slurm``, or ``local`` for processes of this machine.
        partition: Of Slurm.
        watch: Receives progress.

    Raises:
        UsageError: an unknown cluster, study or scale.
        SetupError: submitit is not installed.
        PreemptedError: cells are still unfinished after many rounds; the same command goes on.
    """
    if cluster not in CLUSTERS:
        raise UsageError(f"unknown cluster {cluster!r}", where="--cluster", remedy=near_names(cluster, CLUSTERS))
    try:
        import submitit
    except ImportError:
        raise SetupError(
            "submitit is not installed", where="--cluster", remedy="pip install 'nctransfer[cluster]'"
        ) from None
    watch = watch or Watch()
    level, root = get_scale(scale), Path(out)
    claim_folder(root, level)
    cells = cells_of(get_studies(names), level, seeds)
    executor = submitit.AutoExecutor(folder=root / "jobs", cluster=cluster)
    executor.update_parameters(name="nctransfer", timeout_min=JOB_MINUTES + 10, **_extra(cluster, partition))
    store = Store(root)
    for _ in range(_ROUNDS):
        missing = [group for group in groups(cells) if any(store.read(cell) is None for cell in group)]
        if not missing:
            return
        watch.say(f"{len(missing)} jobs submitted to {cluster}")
        with executor.batch():
            jobs = [executor.submit(_job, group, str(root)) for group in missing]
        with watch.stage("jobs", len(jobs)) as advance:
            failures = []
            for job in jobs:
                failures += job.result()
                advance(1)
        if failures:
            return  # the run that collects the cells tries these again in this process and reports them
    raise PreemptedError("some cells are not finished", where=str(root), remedy="run the same command again")


def groups(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells by the network that they stand on, so that no group needs another.

    Example:
        >>> from nctransfer.studies.cells import encoder, transfer
        >>> first, second = (encoder({"name": "digits"}, seed, arch="mlp") for seed in (0, 1))
        >>> [len(group) for group in groups([first, second, transfer(first, {"name": "digits"}, 0)])]
        [2, 1]
    """
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        network = cell.key if cell.kind == "encoder" else str(cell.config["network"])
        found.setdefault(f"{network} {cell.config['seed']}", []).append(cell)
    return list(found.values())


def _extra(cluster: str, partition: str | None) -> dict[str, Any]:
    if cluster == "local":
        return {}
    return {"slurm_partition": partition, "gpus_per_node": 1, "cpus_per_task": 8}


def _job(cells: list[Cell], root: str) -> list[dict[str, str]]:
    """What a node does: the failures of its cells; stopped by the time limit, it leaves the rest to the next round."""
    try:
        return run_cells(cells, Store(Path(root)), device="auto", time_limit=JOB_MINUTES, watch=Watch())
    except PreemptedError:
        return []
