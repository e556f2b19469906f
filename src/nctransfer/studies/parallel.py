"""Several processes that share a folder's cells: on this machine, or as jobs of a cluster through submitit.

There is one runner. It starts workers, follows what they finish and stops them; how a worker is started is the launcher's
affair: :class:`LocalLauncher` starts a process, :class:`ClusterLauncher` submits a job.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from ..engine import StopRequest, Watch
from ..errors import PreemptedError, SetupError, UsageError, near_names
from .catalogue import cells_of, get_studies
from .cells import Cell
from .scales import get_scale
from .store import Store
from .worker import Job, groups, work

__all__ = ["CLUSTERS", "ClusterLauncher", "LocalLauncher", "Worker", "launcher_for", "run_parallel"]

CLUSTERS = ("local", "slurm")
JOB_MINUTES = 25.0
_POLL_SECONDS = 1.0
_PATIENCE_SECONDS = 120.0
_ROUNDS = 20


class Worker(Protocol):
    """A worker that was started."""

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        ...

    def tell(self) -> None:
        """Ask it to stop."""
        ...

    def wait(self) -> None:
        """Wait until it has stopped; with time to save its state, then by force."""
        ...


class Launcher(Protocol):
    """Starts workers.

    Attributes:
        rounds: How often a worker that its own time limit has stopped is started again.
    """

    rounds: int

    def start(self, job: Job) -> Worker: ...


def launcher_for(cluster: str | None, root: Path, jobs: int, partition: str | None = None) -> Launcher:
    """The launcher for ``--cluster``: processes of this machine for ``local`` and None, jobs of the cluster else.

    Raises:
        UsageError: an unknown cluster.
        SetupError: submitit is not installed.
    """
    if cluster not in (None, *CLUSTERS):
        raise UsageError(f"unknown cluster {cluster!r}", where="--cluster", remedy=near_names(str(cluster), CLUSTERS))
    if cluster in (None, "local"):
        return LocalLauncher(root, jobs)
    return ClusterLauncher(root, str(cluster), partition)


def run_parallel(
    names: Sequence[str],
    *,
    scale: str,
    root: Path,
    seeds: Sequence[int] | None,
    jobs: int | None,
    device: str,
    accept_other_code: bool,
    launcher: Launcher,
    watch: Watch,
    stop: StopRequest,
) -> None:
    """Compute the missing cells in several workers; each writes what it says below ``jobs/`` of the folder.

    A cell that fails in a worker is left for the caller, who tries it again and reports it.

    Args:
        names: Studies by name.
        scale: The scale.
        root: The folder.
        seeds: The seeds; those that the scale plans where None.
        jobs: Workers; one for each network where None.
        device: ``auto``, ``cpu``, ``cuda``.
        accept_other_code: Whether cells of another version of their recipe are used.
        launcher: Starts the workers.
        watch: Receives progress.
        stop: Ends the waiting, and with it the workers.

    Raises:
        PreemptedError: this process or a worker was told to stop, or cells are unfinished after many rounds.
    """
    store = Store(root, accept_other_code=accept_other_code)
    cells = cells_of(get_studies(names), get_scale(scale), seeds)
    missing = [cell for cell in cells if store.read(cell) is None]
    if not missing:
        return
    number = len(groups(missing)) if jobs is None else min(jobs, len(missing))
    (root / "jobs").mkdir(exist_ok=True)
    job = Job(
        tuple(names), scale, str(root), None if seeds is None else tuple(seeds), device, accept_other_code, of=number
    )
    watch.say(f"{len(missing)} cells in {number} processes; what they say is in {root / 'jobs'}")
    running: dict[int, Worker] = {}
    try:
        for place in range(number):
            running[place] = launcher.start(replace(job, place=place))
        _follow(running, job, launcher, missing, store, watch, stop)
    finally:
        for worker in running.values():
            worker.tell()
        for worker in running.values():
            worker.wait()


def _follow(
    running: dict[int, Worker],
    job: Job,
    launcher: Launcher,
    missing: list[Cell],
    store: Store,
    watch: Watch,
    stop: StopRequest,
) -> None:
    """Wait for the workers, saying what they finish; one that was told to stop ends the waiting or is started again."""
    waited = dict.fromkeys(missing)
    again = dict.fromkeys(running, launcher.rounds)
    with watch.stage("cells", len(missing)) as advance:
        while True:
            stop.raise_if_noted()
            codes = {place: worker.poll() for place, worker in running.items()}
            for cell in list(waited):
                record = store.read(cell)
                if record is not None:
                    del waited[cell]
                    watch.say(f"{cell.title()}: {record['seconds']:.0f} s")
                    advance(1)
            for place, code in codes.items():
                if code == PreemptedError.exit_code:
                    if not again[place]:
                        raise PreemptedError(
                            "told to stop; what was finished is kept",
                            where="paper",
                            remedy="run the same command again",
                        )
                    again[place] -= 1
                    running[place] = launcher.start(replace(job, place=place))
            if all(code is not None and code != PreemptedError.exit_code for code in codes.values()):
                return
            time.sleep(_POLL_SECONDS)


class LocalLauncher:
    """Processes of this machine that share its cores.

    Args:
        root: The folder.
        jobs: How many there will be.
    """

    rounds = 0

    def __init__(self, root: Path, jobs: int) -> None:
        self.root = root
        threads = max(1, (os.cpu_count() or 1) // max(1, jobs))
        # Threads that spin while they wait would take the cores from the other workers.
        # glibc would give large blocks back to the system at every step and take them again, page fault by page fault.
        kept = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TRIM_THRESHOLD_": str(1 << 33)}
        threading = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
        self._environment = {**kept, **os.environ, **threading}

    def start(self, job: Job) -> Worker:
        command = [sys.executable, "-m", work.__module__, job.text()]
        with (self.root / "jobs" / f"worker-{job.place}.log").open("w", encoding="utf-8") as log:
            return _Process(subprocess.Popen(command, env=self._environment, stdout=log, stderr=log))


class _Process:
    def __init__(self, process: subprocess.Popen) -> None:
        self._process = process

    def poll(self) -> int | None:
        return self._process.poll()

    def tell(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        try:
            self._process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class ClusterLauncher:
    """Jobs that submitit submits, each with a network of its own; a job that its time limit stops is submitted again.

    Args:
        root: A folder that every node sees.
        cluster: As submitit names it.
        partition: Of Slurm.

    Raises:
        SetupError: submitit is not installed.
    """

    rounds = _ROUNDS

    def __init__(self, root: Path, cluster: str, partition: str | None = None) -> None:
        try:
            import submitit
        except ImportError:
            raise SetupError(
                "submitit is not installed", where="--cluster", remedy="pip install 'nctransfer[cluster]'"
            ) from None
        self._executor = submitit.AutoExecutor(folder=root / "jobs", cluster=cluster)
        self._executor.update_parameters(name="nctransfer", timeout_min=int(JOB_MINUTES) + 10)
        if cluster == "slurm":
            self._executor.update_parameters(slurm_partition=partition, gpus_per_node=1, cpus_per_task=8)

    def start(self, job: Job) -> Worker:
        # A node that has finished its own networks must not sit and wait for those of another.
        return _Submitted(self._executor.submit(work, replace(job, time_limit=JOB_MINUTES, alone=True).text()))


class _Submitted:
    def __init__(self, job: Any) -> None:
        self._job = job

    def poll(self) -> int | None:
        return int(self._job.result()) if self._job.done() else None

    def tell(self) -> None:
        if not self._job.done():
            self._job.cancel()

    def wait(self) -> None:
        return
